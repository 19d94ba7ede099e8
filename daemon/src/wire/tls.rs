//! How is a stream encrypted, and what is said when that fails?

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, Error as RustlsError, RootCertStore,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject},
};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::dial::Stream;
use crate::domain::account::Host;

/// Why no configuration could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsSetupError {
    /// The text is no PEM, or what it holds is no certificate.
    #[error("the custom certificate authority is not a PEM certificate: {0}")]
    BadPem(String),
    /// The PEM holds no certificate at all.
    #[error("the custom certificate authority holds no certificate")]
    EmptyPem,
    /// The cryptographic provider does not support the protocol versions.
    #[error("cannot set up TLS: {0}")]
    Provider(String),
}

/// Why a handshake failed.
#[derive(Debug)]
pub enum TlsFailure {
    /// The server did not finish it in time.
    TimedOut(Duration),
    /// The server closed the connection.
    Closed,
    /// TLS itself failed; one sentence for people.
    Refused(String),
}

/// What TLS clients trust: the system's authorities, which are loaded once, and `custom_ca_pem` besides. All who have no
/// authority of their own share one configuration: a copy of a few hundred authorities for each account would be large.
///
/// # Errors
/// When `custom_ca_pem` holds no certificate.
pub fn client_config(custom_ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    static SHARED: OnceLock<Result<Arc<ClientConfig>, TlsSetupError>> = OnceLock::new();
    let Some(pem) = custom_ca_pem else {
        return SHARED.get_or_init(|| trusting(native_roots().clone())).clone();
    };
    let mut roots = native_roots().clone();
    add_pem(&mut roots, pem)?;
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsSetupError::Provider(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
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

/// Shakes hands with the server on `stream`, which must be `host`'s by its certificate.
///
/// # Errors
/// When the handshake fails or takes longer than `limit`.
pub async fn encrypt(
    stream: Box<dyn Stream>,
    host: &Host,
    config: &Arc<ClientConfig>,
    limit: Duration,
) -> Result<Box<dyn Stream>, TlsFailure> {
    let name = server_name(host).map_err(|_| TlsFailure::Refused(format!("{host} cannot stand in a certificate")))?;
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    match timeout(limit, handshake).await {
        Err(_) => Err(TlsFailure::TimedOut(limit)),
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(failure(&error, host)),
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(host.as_str().to_owned())
}

fn failure(error: &io::Error, host: &Host) -> TlsFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
    match inner {
        Some(error) => TlsFailure::Refused(explain(error, host)),
        None if is_hang_up(error.kind()) => TlsFailure::Closed,
        None => TlsFailure::Refused(error.to_string()),
    }
}

/// Whether an error of this kind says that the peer has gone.
pub(super) const fn is_hang_up(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

fn explain(error: &RustlsError, host: &Host) -> String {
    use CertificateError as Bad;
    match error {
        RustlsError::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => format!("the server's certificate has expired ({bad})"),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                format!("the server's certificate is not valid yet ({bad})")
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                format!("the server's certificate is not for {host} ({bad})")
            }
            Bad::UnknownIssuer => "the server's certificate is signed by an authority that is not trusted".to_owned(),
            other => format!("the server's certificate is not accepted: {other}"),
        },
        RustlsError::InvalidMessage(_) | RustlsError::PeerSentOversizedRecord => {
            format!("the server does not speak TLS at this point ({error})")
        }
        RustlsError::AlertReceived(alert) => format!("the server refused the handshake with the alert {alert:?}"),
        RustlsError::PeerIncompatible(_) => format!("the server speaks no version of TLS that is safe ({error})"),
        other => format!("the TLS handshake failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_authority_must_be_a_certificate() {
        assert_eq!(client_config(Some("")).err(), Some(TlsSetupError::EmptyPem));
        assert_eq!(client_config(Some("hello")).err(), Some(TlsSetupError::EmptyPem));
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(client_config(Some(damaged)), Err(TlsSetupError::BadPem(_))));
        assert!(client_config(None).is_ok());
    }

    #[test]
    fn who_has_no_authority_of_its_own_shares_one_configuration() {
        let (one, other) = (client_config(None).unwrap(), client_config(None).unwrap());
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn names_and_ip_addresses_can_be_checked() {
        for good in ["smtp.example.jp", "localhost", "127.0.0.1", "::1", "my_host"] {
            assert!(server_name(&good.parse().expect(good)).is_ok(), "{good}");
        }
    }
}
