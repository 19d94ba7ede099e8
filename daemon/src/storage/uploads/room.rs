//! Is there room for one more upload?

use crate::storage::{UploadError, UploadLimits};

/// What callers hold together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    uploads: usize,
    bytes: u64,
}

impl Held {
    pub(super) const fn add(&mut self, uploads: usize, bytes: u64) {
        self.uploads += uploads;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether a caller that holds this, and all that hold so much together, may begin an upload of so many bytes more.
    pub(super) const fn check_room(&self, all: &Self, bytes: u64, limits: &UploadLimits) -> Result<(), UploadError> {
        match limits {
            _ if self.uploads >= limits.uploads_per_caller_max => Err(UploadError::TooMany("uploads of this caller")),
            _ if all.uploads >= limits.uploads_max => Err(UploadError::TooMany("uploads")),
            _ if self.bytes.saturating_add(bytes) > limits.bytes_per_caller_max => {
                Err(UploadError::TooMany("bytes that this caller has uploaded"))
            }
            _ if all.bytes.saturating_add(bytes) > limits.bytes_max => {
                Err(UploadError::TooMany("bytes that were uploaded"))
            }
            _ => Ok(()),
        }
    }
}
