//! How an idempotency key is kept.

use serde::{Deserialize, Serialize};

use super::{BadRow, as_base64};
use crate::domain::ids::JobId;

/// What was submitted under an idempotency key. The key itself is kept as a hash only, in the row's key.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct IdempotencyRow {
    /// The job, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(with = "as_base64")]
    pub job: Vec<u8>,
    /// A hash of what was sent.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "as_base64")]
    pub payload_hash: Vec<u8>,
    /// When it was accepted, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub at: u64,
}

impl IdempotencyRow {
    /// The job's id.
    ///
    /// # Errors
    /// When it is not 16 bytes long.
    pub fn job_id(&self) -> Result<JobId, BadRow> {
        job_id(&self.job)
    }
}

/// An id from its 16 bytes.
pub(super) fn job_id(bytes: &[u8]) -> Result<JobId, BadRow> {
    bytes.try_into().map(JobId::from_bytes).map_err(|_| BadRow::new("job id", "is not 16 bytes long"))
}
