//! How it is kept who uploaded which file.

use serde::{Deserialize, Serialize};

use super::{BadRow, parsed::parsed};
use crate::domain::{ids::Caller, time::Timestamp};

/// A caller's claim to a file; the file's hash is in its key.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct BlobRow {
    /// Who uploaded it.
    #[prost(string, tag = "1")]
    pub caller: String,
    /// Its length in bytes.
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
    /// When it was uploaded or used last, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub used_at: u64,
}

impl BlobRow {
    /// Who uploaded it.
    ///
    /// # Errors
    /// When that is no name of a caller.
    pub fn caller(&self) -> Result<Caller, BadRow> {
        parsed("caller", &self.caller)
    }

    /// When it was uploaded or used last.
    #[must_use]
    pub const fn used_at(&self) -> Timestamp {
        Timestamp::from_millis(self.used_at)
    }
}
