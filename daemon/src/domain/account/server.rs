//! Servers that an account uses, and the way to them.

use std::{num::NonZeroU16, time::Duration};

use super::{
    ProviderKind,
    host::{EhloName, Host},
};
use crate::domain::secret::Secret;

/// The server that takes an account's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or IP address.
    pub host: Host,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// Whether and how the connection is encrypted.
    pub encryption: Encryption,
    /// The name we give in EHLO; this host's name when none is set.
    pub ehlo_name: Option<EhloName>,
    /// A certificate authority, as PEM, that is trusted for this server besides those of the system.
    pub custom_ca_pem: Option<String>,
    /// Which provider's habits the classification rules should expect.
    pub provider: ProviderKind,
    /// How long each phase may take.
    pub timeouts: Timeouts,
    /// What TLS needs beyond the defaults.
    pub tls: TlsOptions,
    /// The proxy through which it is reached.
    pub proxy: Option<Proxy>,
}

impl Server {
    /// The server at an address, everything else at its default.
    #[must_use]
    pub fn new(host: Host, port: NonZeroU16, encryption: Encryption) -> Self {
        Self {
            host,
            port,
            encryption,
            ehlo_name: None,
            custom_ca_pem: None,
            provider: ProviderKind::default(),
            timeouts: Timeouts::default(),
            tls: TlsOptions::default(),
            proxy: None,
        }
    }
}

/// What a TLS connection needs beyond the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The lowest version that is spoken.
    pub version_min: TlsVersion,
    /// The name that the server's certificate must be for, also sent as SNI; the host's when none is set.
    pub server_name: Option<Host>,
    /// The certificate by which we sign in to the server.
    pub client_certificate: Option<ClientCertificate>,
}

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// A certificate of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and those between it and its authority, as PEM.
    pub chain_pem: String,
    /// Its private key, as PEM.
    pub key_pem: Secret<String>,
}

/// A proxy between us and a server. TLS goes through it from end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Its name or IP address.
    pub host: Host,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// Name and password, when it wants them.
    pub credentials: Option<Credentials>,
}

/// Kinds of proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// SOCKS5 (RFC 1928); the proxy finds the server's address.
    Socks5,
    /// HTTP CONNECT (RFC 9110 9.3.6).
    HttpConnect,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret<String>,
}

/// Whether and how a connection is encrypted. None of these is ever downgraded to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// In the clear.
    None,
    /// In the clear, then TLS after STARTTLS (RFC 3207); a server that does not offer it is an error.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// How long each phase may take; the defaults are those of RFC 5321 4.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To find the address, connect and shake hands.
    pub connect: Duration,
    /// To greet.
    pub greeting: Duration,
    /// To answer EHLO, STARTTLS, each step of AUTH, MAIL and RCPT.
    pub command: Duration,
    /// To answer DATA.
    pub data: Duration,
    /// To answer the final dot, counted from the moment it was sent; each block of the message may take `data`.
    pub end_of_data: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_secs(300),
            command: Duration::from_secs(300),
            data: Duration::from_secs(120),
            end_of_data: Duration::from_secs(600),
        }
    }
}
