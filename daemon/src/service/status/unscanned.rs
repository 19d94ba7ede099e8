//! What is said of files that an account wants scanned for viruses and that were not.

use tonic::Code;

use super::telling::{LATER, SOON, Telling};

/// Why a file was not scanned.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum Unscanned {
    /// Nobody can.
    #[error("no virus scanner is configured, and the account wants files to be scanned")]
    NoScanner,
    /// The scanner does not do its work at present.
    #[error("{0}")]
    Away(String),
    /// Too many files wait. This is never let pass: whoever sends much would have files taken that nobody has scanned.
    #[error("{0}")]
    Busy(String),
    /// It would be more than the scanner takes, at any time.
    #[error("the file is larger than the virus scanner takes")]
    TooLarge,
}

impl Unscanned {
    pub(super) fn telling(&self) -> Telling {
        match self {
            Self::NoScanner => Telling::new(Code::FailedPrecondition, "NO_VIRUS_SCANNER"),
            Self::Away(_) => Telling::new(Code::Unavailable, "VIRUS_SCANNER_AWAY").retry(LATER),
            Self::Busy(_) => Telling::new(Code::ResourceExhausted, "VIRUS_SCANNER_BUSY").retry(SOON),
            Self::TooLarge => Telling::new(Code::FailedPrecondition, "TOO_LARGE_TO_SCAN"),
        }
    }
}
