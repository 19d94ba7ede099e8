//! How is a stream encrypted, and whose certificate must the server show?

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use crate::domain::account::{ClientCertificate, Host, TlsOptions, TlsVersion};

mod facts;
mod fault;

pub use self::{
    facts::TlsFacts,
    fault::{TlsFailure, TlsFault, is_hang_up},
};

/// Why no configuration could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsSetupError {
    /// The text is no PEM, or what it holds is no certificate.
    #[error("the custom certificate authority is not a PEM certificate: {0}")]
    BadPem(String),
    /// The PEM holds no certificate at all.
    #[error("the custom certificate authority holds no certificate")]
    EmptyPem,
    /// Our own certificate is no PEM, or what it holds is no certificate.
    #[error("the client certificate is not a PEM certificate: {0}")]
    BadClientCertificate(String),
    /// The key of our own certificate cannot be read.
    #[error("the key of the client certificate is not a PEM private key: {0}")]
    BadClientKey(String),
    /// The key does not belong to our own certificate, or cannot sign.
    #[error("the client certificate cannot be used with its key: {0}")]
    UnusableClientCertificate(String),
    /// The cryptographic provider does not support the protocol versions.
    #[error("cannot set up TLS: {0}")]
    Provider(String),
}

/// How TLS is spoken with a server: what is trusted, which versions, under which name, with which certificate of ours.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server_name: Option<Host>,
}

/// A stream within TLS.
#[derive(Debug)]
pub struct Encrypted {
    /// The stream.
    pub stream: Box<dyn Stream>,
    /// What is known of it.
    pub facts: TlsFacts,
}

impl TlsClient {
    /// Trusts the system's authorities, which are loaded once, and `custom_ca_pem` besides. All who want nothing of
    /// their own but a server's name share one configuration: a copy of a few hundred authorities for each account
    /// would be large.
    ///
    /// # Errors
    /// When `custom_ca_pem` holds no certificate, or our own certificate cannot be used.
    pub fn new(custom_ca_pem: Option<&str>, options: &TlsOptions) -> Result<Self, TlsSetupError> {
        static SHARED: OnceLock<Result<Arc<ClientConfig>, TlsSetupError>> = OnceLock::new();
        let TlsOptions { version_min, server_name, client_certificate } = options;
        let is_common = *version_min == TlsVersion::default() && client_certificate.is_none();
        let config = match custom_ca_pem {
            None if is_common => {
                SHARED.get_or_init(|| configure(native_roots().clone(), *version_min, None)).clone()?
            }
            None => configure(native_roots().clone(), *version_min, client_certificate.as_ref())?,
            Some(pem) => {
                let mut roots = native_roots().clone();
                add_pem(&mut roots, pem)?;
                configure(roots, *version_min, client_certificate.as_ref())?
            }
        };
        Ok(Self { config, server_name: server_name.clone() })
    }

    /// What is trusted and spoken, for other clients than ours.
    pub(super) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Shakes hands with the server on `stream`. Its certificate must be for the name that the account sets, or else
    /// for `host`.
    ///
    /// # Errors
    /// When the handshake fails or takes longer than `limit`.
    pub async fn encrypt(
        &self,
        stream: Box<dyn Stream>,
        host: &Host,
        limit: Duration,
    ) -> Result<Encrypted, TlsFailure> {
        let host = self.server_name.as_ref().unwrap_or(host);
        let name = server_name(host).map_err(|_| TlsFailure::Refused {
            kind: TlsFault::WrongName,
            text: format!("{host} cannot stand in a certificate"),
        })?;
        let handshake = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        match timeout(limit, handshake).await {
            Err(_) => Err(TlsFailure::TimedOut(limit)),
            Ok(Err(error)) => Err(TlsFailure::of(&error, host)),
            Ok(Ok(stream)) => {
                let facts = TlsFacts::of(stream.get_ref().1);
                Ok(Encrypted { stream: Box::new(stream), facts })
            }
        }
    }
}

fn configure(
    roots: RootCertStore,
    version_min: TlsVersion,
    certificate: Option<&ClientCertificate>,
) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(version_min))
        .map_err(|e| TlsSetupError::Provider(e.to_string()))?
        .with_root_certificates(roots);
    let Some(ClientCertificate { chain_pem, key_pem }) = certificate else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect();
    let chain = chain.map_err(|e| TlsSetupError::BadClientCertificate(e.to_string()))?;
    if chain.is_empty() {
        return Err(TlsSetupError::BadClientCertificate("it holds none".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem.expose().as_bytes());
    let key = key.map_err(|e| TlsSetupError::BadClientKey(e.to_string()))?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map(Arc::new).map_err(|e| TlsSetupError::UnusableClientCertificate(e.to_string()))
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    match least {
        // rustls knows no older ones.
        TlsVersion::V1_2 => rustls::ALL_VERSIONS,
        TlsVersion::V1_3 => NEWEST,
    }
}

fn native_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // A host without authorities, or with a broken one, can still use custom ones; the handshake says what lacks.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

fn add_pem(roots: &mut RootCertStore, pem: &str) -> Result<(), TlsSetupError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| TlsSetupError::BadPem(e.to_string()))?;
        roots.add(certificate).map_err(|e| TlsSetupError::BadPem(e.to_string()))?;
    }
    if roots.len() == before { Err(TlsSetupError::EmptyPem) } else { Ok(()) }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(host.as_str().to_owned())
}

#[cfg(test)]
mod tests;
