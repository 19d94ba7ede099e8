//! What is said of files that an account wants scanned for viruses and that were not.

use tonic::Code;

use super::telling::{LATER, Telling};

/// Why a file was not scanned.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum Unscanned {
    /// Nobody can.
    #[error("no virus scanner is configured, and the account wants files to be scanned")]
    NoScanner,
    /// The scanner does not do its work at present.
    #[error("{0}")]
    Away(String),
    /// It would be more than the scanner takes, at any time.
    #[error("the file is larger than the virus scanner takes")]
    TooLarge,
}

impl Unscanned {
    pub(super) fn telling(&self) -> Telling {
        match self {
            Self::NoScanner => Telling::new(Code::FailedPrecondition, "NO_VIRUS_SCANNER"),
            Self::Away(_) => Telling::new(Code::Unavailable, "VIRUS_SCANNER_AWAY").retry(LATER),
            Self::TooLarge => Telling::new(Code::FailedPrecondition, "TOO_LARGE_TO_SCAN"),
        }
    }
}
