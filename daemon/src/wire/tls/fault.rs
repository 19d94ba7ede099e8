//! Why did a TLS handshake fail, in a word for programs and in a sentence for people?

use std::{io, time::Duration};

use rustls::{AlertDescription, CertificateError, Error as RustlsError};

use crate::domain::account::Host;

/// Why a handshake failed.
#[derive(Clone, Debug)]
pub enum TlsFailure {
    /// The server did not finish it in time.
    TimedOut(Duration),
    /// The server closed the connection.
    Closed,
    /// TLS itself failed.
    Refused {
        /// In a word.
        kind: TlsFault,
        /// In one sentence for people.
        text: String,
    },
}

/// What is wrong with a server's TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for other names.
    WrongName,
    /// The certificate is signed by nobody whom we trust, often by itself.
    UnknownIssuer,
    /// The server does not speak TLS here.
    NotTls,
    /// Both speak no common version, or no common cipher.
    Version,
    /// The server refused us with an alert.
    Alert,
    /// Anything else.
    Other,
}

impl TlsFailure {
    /// What a handshake's error says; `host` is the name that was asked for.
    pub(super) fn of(error: &io::Error, host: &Host) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
        match inner {
            Some(error) => {
                let (kind, text) = explain(error, host);
                Self::Refused { kind, text }
            }
            None if is_hang_up(error.kind()) => Self::Closed,
            None => Self::Refused { kind: TlsFault::Other, text: error.to_string() },
        }
    }
}

/// Whether an error of this kind says that the peer has gone.
pub const fn is_hang_up(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

fn explain(error: &RustlsError, host: &Host) -> (TlsFault, String) {
    match error {
        RustlsError::InvalidCertificate(bad) => explain_certificate(bad, host),
        RustlsError::InvalidMessage(_) | RustlsError::PeerSentOversizedRecord => {
            (TlsFault::NotTls, format!("the server does not speak TLS at this point ({error})"))
        }
        RustlsError::AlertReceived(alert) => {
            let kind = if *alert == AlertDescription::ProtocolVersion { TlsFault::Version } else { TlsFault::Alert };
            (kind, format!("the server refused the handshake with the alert {alert:?}"))
        }
        RustlsError::PeerIncompatible(_) => {
            (TlsFault::Version, format!("the server speaks no version of TLS that is safe ({error})"))
        }
        other => (TlsFault::Other, format!("the TLS handshake failed: {other}")),
    }
}

fn explain_certificate(bad: &CertificateError, host: &Host) -> (TlsFault, String) {
    use CertificateError as Bad;
    match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            (TlsFault::Expired, format!("the server's certificate has expired ({bad})"))
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            (TlsFault::NotYetValid, format!("the server's certificate is not valid yet ({bad})"))
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            (TlsFault::WrongName, format!("the server's certificate is not for {host} ({bad})"))
        }
        Bad::UnknownIssuer => (
            TlsFault::UnknownIssuer,
            "the server's certificate is signed by an authority that is not trusted".to_owned(),
        ),
        // A new authority often has the name of the one that it replaces.
        Bad::BadSignature => (
            TlsFault::UnknownIssuer,
            "the server's certificate is not signed by the authority of that name that is trusted".to_owned(),
        ),
        // The verifier says this of certificates that sign themselves and call themselves an authority.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            (TlsFault::UnknownIssuer, "the server's certificate is that of an authority, signed by itself".to_owned())
        }
        other => (TlsFault::Other, format!("the server's certificate is not accepted: {other}")),
    }
}
