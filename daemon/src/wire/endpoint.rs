//! Which server, which way to it, and how is the connection encrypted?

use std::num::NonZeroU16;

use super::tls::{TlsClient, TlsSetupError};
use crate::domain::account::{Encryption, Host, Proxy, Server, Timeouts};

/// A server made ready to be connected to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name or IP address.
    pub host: Host,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// Whether and how the connection is encrypted.
    pub encryption: Encryption,
    /// How TLS is spoken.
    pub tls: TlsClient,
    /// The proxy through which it is reached.
    pub proxy: Option<Proxy>,
    /// How long each phase may take.
    pub timeouts: Timeouts,
}

impl Endpoint {
    /// Makes a server's settings ready.
    ///
    /// # Errors
    /// When a certificate among them cannot be used.
    pub fn of(server: &Server) -> Result<Self, TlsSetupError> {
        Ok(Self {
            host: server.host.clone(),
            port: server.port,
            encryption: server.encryption,
            tls: TlsClient::new(server.custom_ca_pem.as_deref(), &server.tls)?,
            proxy: server.proxy.clone(),
            timeouts: server.timeouts,
        })
    }
}
