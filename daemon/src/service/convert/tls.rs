//! What a TLS connection of an account needs, on the wire: authorities, versions, names and certificates of our own. A
//! private key goes in and never comes out.

use hikyaku_proto::v1;
use rustls::{
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::{values::parse, violations::Violations};
use crate::domain::{
    account::{ClientCertificate, Host, TlsOptions, TlsVersion},
    secret::Secret,
};

/// Longest certificates in PEM, and longest key, in bytes.
const PEM_BYTES_MAX: usize = 64 * 1_024;

/// The options on the wire, without the private key.
pub(super) fn from_tls(tls: &TlsOptions) -> v1::TlsOptions {
    let version_min = match tls.version_min {
        TlsVersion::V1_2 => v1::TlsVersion::TlsVersion12,
        TlsVersion::V1_3 => v1::TlsVersion::TlsVersion13,
    };
    let client_certificate = tls
        .client_certificate
        .as_ref()
        .map(|certificate| v1::ClientCertificate { chain_pem: certificate.chain_pem.clone(), key_pem: String::new() });
    v1::TlsOptions {
        version_min: version_min.into(),
        server_name: tls.server_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        client_certificate,
    }
}

/// Options of the server at `at` that a caller sent; an empty key is the `stored` one.
pub(super) fn to_tls(
    wire: v1::TlsOptions,
    stored: Option<&TlsOptions>,
    at: &str,
    violations: &mut Violations,
) -> Option<TlsOptions> {
    let version_min = match v1::TlsVersion::try_from(wire.version_min) {
        Ok(v1::TlsVersion::Unspecified | v1::TlsVersion::TlsVersion12) => Some(TlsVersion::V1_2),
        Ok(v1::TlsVersion::TlsVersion13) => Some(TlsVersion::V1_3),
        Err(_) => {
            violations.add(format_args!("{at}.tls.version_min"), "must be 1.2 or 1.3");
            None
        }
    };
    let server_name = match wire.server_name.as_str() {
        "" => Some(None),
        name => parse::<Host>(name, format_args!("{at}.tls.server_name"), violations).map(Some),
    };
    let old = stored.and_then(|tls| tls.client_certificate.as_ref());
    let client_certificate = match wire.client_certificate {
        Some(certificate) => {
            to_client_certificate(certificate, old, &format!("{at}.tls.client_certificate"), violations).map(Some)
        }
        None => Some(None),
    };
    Some(TlsOptions { version_min: version_min?, server_name: server_name?, client_certificate: client_certificate? })
}

fn to_client_certificate(
    wire: v1::ClientCertificate,
    stored: Option<&ClientCertificate>,
    at: &str,
    violations: &mut Violations,
) -> Option<ClientCertificate> {
    let key = to_key(Secret::new(wire.key_pem), stored, at, violations);
    let chain = read_pem(&wire.chain_pem, &format!("{at}.chain_pem"), violations);
    let ((key_pem, key), chain) = key.zip(chain)?;
    if let Err(error) = CertifiedKey::from_der(chain, key, &default_provider()) {
        violations.add(format_args!("{at}.key_pem"), format_args!("does not go with the certificate: {error}"));
        return None;
    }
    Some(ClientCertificate { chain_pem: wire.chain_pem, key_pem })
}

fn to_key(
    given: Secret<String>,
    stored: Option<&ClientCertificate>,
    at: &str,
    violations: &mut Violations,
) -> Option<(Secret<String>, PrivateKeyDer<'static>)> {
    let field = format!("{at}.key_pem");
    let pem = match stored {
        Some(stored) if given.expose().is_empty() => stored.key_pem.clone(),
        None if given.expose().is_empty() => {
            violations.add(field, "is required: none is stored");
            return None;
        }
        _ => given,
    };
    if pem.expose().len() > PEM_BYTES_MAX {
        violations.add(field, format_args!("is longer than {PEM_BYTES_MAX} bytes"));
        return None;
    }
    // What was wrong is not told: the words could hold a part of the key.
    let Ok(key) = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()) else {
        violations.add(field, "holds no private key in PEM (PKCS #8, PKCS #1 or SEC 1)");
        return None;
    };
    Some((pem, key))
}

/// The authority of the server at `at` that a caller wants trusted.
pub(super) fn to_custom_ca(pem: String, at: &str, violations: &mut Violations) -> Option<Option<String>> {
    if pem.is_empty() {
        return Some(None);
    }
    let field = format!("{at}.custom_ca_pem");
    let certificates = read_pem(&pem, &field, violations)?;
    let mut roots = rustls::RootCertStore::empty();
    for (index, certificate) in certificates.into_iter().enumerate() {
        if let Err(error) = roots.add(certificate) {
            violations.add(field, format_args!("certificate {} cannot be used: {error}", index + 1));
            return None;
        }
    }
    Some(Some(pem))
}

/// The certificates of a PEM, of which there must be one.
fn read_pem(pem: &str, field: &str, violations: &mut Violations) -> Option<Vec<CertificateDer<'static>>> {
    if pem.len() > PEM_BYTES_MAX {
        violations.add(field, format_args!("is longer than {PEM_BYTES_MAX} bytes"));
        return None;
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => violations.add(field, "holds no certificate in PEM"),
        Ok(certificates) => return Some(certificates),
        Err(error) => violations.add(field, format_args!("is no PEM: {error}")),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::contract::unusual::{Identity, identity};

    #[track_caller]
    fn check_ca(pem: &str, is_good: bool) {
        let mut violations = Violations::default();
        let read = to_custom_ca(pem.to_owned(), "s", &mut violations);
        let found = violations.finish(read).map_err(|found| found[0].field.clone());
        let expected = if is_good { Ok(Some(pem.to_owned())) } else { Err("s.custom_ca_pem".to_owned()) };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_authority_is_a_certificate_that_can_be_used() {
        check_ca(&identity().chain_pem, true);
        check_ca("no certificate", false);
        check_ca(&"x".repeat(PEM_BYTES_MAX + 1), false);
        check_ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", false);
        check_ca("-----BEGIN CERTIFICATE-----\n!\n", false);
    }

    #[track_caller]
    fn check_identity(chain: &str, key: &str, stored: Option<&Identity>, expected: Result<&str, &[&str]>) {
        let old = stored.map(|identity| TlsOptions {
            client_certificate: Some(ClientCertificate {
                chain_pem: identity.chain_pem.clone(),
                key_pem: Secret::new(identity.key_pem.clone()),
            }),
            ..TlsOptions::default()
        });
        let certificate = v1::ClientCertificate { chain_pem: chain.into(), key_pem: key.into() };
        let wire = v1::TlsOptions { client_certificate: Some(certificate), ..v1::TlsOptions::default() };
        let mut violations = Violations::default();
        let read = to_tls(wire, old.as_ref(), "s", &mut violations);
        let read = violations.finish(read).map(|tls| tls.client_certificate.expect("it").key_pem.expose().clone());
        let prefix = "s.tls.client_certificate.";
        let read = read.map_err(|found| found.iter().map(|one| one.field.replacen(prefix, "", 1)).collect::<Vec<_>>());
        let expected = expected.map(str::to_owned);
        assert_eq!(read, expected.map_err(|fields| fields.iter().map(|field| (*field).to_owned()).collect()));
    }

    #[test]
    fn a_certificate_of_our_own_comes_with_its_key_or_keeps_it() {
        let (ours, other) = (identity(), Identity::generate());
        let (chain, key) = (ours.chain_pem.as_str(), ours.key_pem.as_str());
        check_identity(chain, key, None, Ok(key));
        check_identity(chain, "", Some(ours), Ok(key));
        check_identity(chain, "", None, Err(&["key_pem"]));
        check_identity("", "", None, Err(&["key_pem", "chain_pem"]));
        check_identity(chain, chain, None, Err(&["key_pem"]));
        check_identity(chain, &other.key_pem, None, Err(&["key_pem"]));
        check_identity(&other.chain_pem, "", Some(ours), Err(&["key_pem"]));
    }
}
