//! What is known of an encrypted connection: the protocol, and what the server's certificate says of itself?

use std::net::IpAddr;

use rustls::{ClientConnection, ProtocolVersion};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, time::ASN1Time};

use crate::domain::time::Timestamp;

/// Most names of a certificate that are kept.
const NAMES_MAX: usize = 100;
/// Most bytes of a name that are kept: RFC 5280 allows a common name 64 characters, and a host's name has 253 at most.
const NAME_BYTES_MAX: usize = 256;

/// Facts of an encrypted connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version, such as `TLSv1.3`.
    pub version: String,
    /// The cipher suite by its name at IANA.
    pub cipher: String,
    /// Whom the server's certificate is for: its subject's common name and its alternative names, each once.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// From when it is valid; nothing when it cannot be read.
    pub valid_from: Option<Timestamp>,
    /// Until when it is valid; nothing when it cannot be read.
    pub valid_until: Option<Timestamp>,
}

impl TlsFacts {
    /// Of a connection whose handshake is complete.
    pub(super) fn of(connection: &ClientConnection) -> Self {
        let facts = Self {
            version: connection.protocol_version().map(version).unwrap_or_default(),
            cipher: connection.negotiated_cipher_suite().map(|suite| cipher(suite.suite())).unwrap_or_default(),
            ..Self::default()
        };
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        match leaf.map(|leaf| X509Certificate::from_der(leaf)) {
            Some(Ok((_, leaf))) => facts.with(&leaf),
            Some(Err(_)) | None => facts,
        }
    }

    fn with(self, leaf: &X509Certificate<'_>) -> Self {
        let mut names: Vec<String> = Vec::new();
        let common = leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok().map(str::to_owned));
        let alternative = leaf.subject_alternative_name().ok().flatten();
        let alternative = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(name);
        for name in common.chain(alternative).take(NAMES_MAX).map(bounded) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let validity = leaf.validity();
        Self {
            names,
            issuer: bounded(leaf.issuer().to_string()),
            valid_from: Some(timestamp(validity.not_before)),
            valid_until: Some(timestamp(validity.not_after)),
            ..self
        }
    }
}

fn version(version: ProtocolVersion) -> String {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
        other => format!("{other:?}"),
    }
}

/// rustls writes `TLS13_` where IANA writes `TLS_`.
fn cipher(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn bounded(mut name: String) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

fn timestamp(time: ASN1Time) -> Timestamp {
    // What is older than 1970 is as old.
    Timestamp::from_millis(u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1_000))
}
