//! What an operator may choose about the store.

use crate::storage::UploadLimits;

/// What an operator may choose about the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SledSettings {
    /// Bytes of pages that sled keeps in memory; it needs about as much again.
    pub cache_bytes: u64,
    /// Most open jobs of one account.
    pub open_jobs_per_account_max: u64,
    /// Most bytes of changes that wait to be written; beyond them intake is refused.
    pub waiting_bytes_max: usize,
    /// Free bytes on the disk below which no job is accepted; nothing for the larger of 10 % and 1 GiB.
    pub intake_free_bytes_min: Option<u64>,
    /// Free bytes on the disk below which the ballast is given up and nothing is sent.
    pub work_free_bytes_min: u64,
    /// Size of the file that is given up when the disk is nearly full, so that settlements can still be written; 0 for
    /// none.
    pub ballast_bytes: u64,
    /// How much callers may upload.
    pub uploads: UploadLimits,
}

impl Default for SledSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 128 << 20,
            open_jobs_per_account_max: 1_000_000,
            waiting_bytes_max: 64 << 20,
            intake_free_bytes_min: None,
            work_free_bytes_min: 256 << 20,
            ballast_bytes: 64 << 20,
            uploads: UploadLimits::default(),
        }
    }
}
