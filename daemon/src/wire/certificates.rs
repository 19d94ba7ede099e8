//! Authorities and certificates that are made up for tests.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::domain::{account::ClientCertificate, secret::Secret};

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Valid {
    Now,
    UntilLongAgo,
    InAHundredYears,
}

/// An authority that signs what it is asked to.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec![]).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    fn sign(&self, name: &str, valid: Valid, usage: ExtendedKeyUsagePurpose) -> (String, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        leaf.extended_key_usages = vec![usage];
        match valid {
            Valid::Now => {}
            Valid::UntilLongAgo => {
                leaf.not_before = date_time_ymd(2020, 1, 1);
                leaf.not_after = date_time_ymd(2021, 1, 1);
            }
            Valid::InAHundredYears => leaf.not_before = date_time_ymd(2126, 1, 1),
        }
        (leaf.signed_by(&key, &self.issuer).expect("signed").pem(), key)
    }

    /// A certificate for one of our accounts.
    pub(crate) fn client_certificate(&self) -> ClientCertificate {
        let (chain_pem, key) = self.sign("client.test", Valid::Now, ExtendedKeyUsagePurpose::ClientAuth);
        ClientCertificate { chain_pem, key_pem: Secret::new(key.serialize_pem()) }
    }

    /// A server of this name.
    pub(crate) fn server(&self, name: &str, valid: Valid) -> Arc<ServerConfig> {
        self.server_of(name, valid, rustls::ALL_VERSIONS, None)
    }

    /// A server that speaks these versions only.
    pub(crate) fn server_speaking(
        &self,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        self.server_of(name, Valid::Now, versions, None)
    }

    /// A server that wants to see a certificate of this authority.
    pub(crate) fn server_asking(&self, name: &str) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        // TLS 1.2 tells of a refusal within the handshake, TLS 1.3 after it.
        self.server_of(name, Valid::Now, &[&rustls::version::TLS12], Some(verifier.expect("a verifier")))
    }

    fn server_of(
        &self,
        name: &str,
        valid: Valid,
        versions: &[&'static SupportedProtocolVersion],
        asks: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Arc<ServerConfig> {
        let (pem, key) = self.sign(name, valid, ExtendedKeyUsagePurpose::ServerAuth);
        let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("versions");
        let builder = match asks {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        Arc::new(builder.with_single_cert(chain, key).expect("a configuration"))
    }
}
