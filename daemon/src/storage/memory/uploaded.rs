//! Files in the model: those of which a part is there, and whole ones.

use bytes::Bytes;

use crate::{
    domain::time::Timestamp,
    storage::{Blob, USE_NOTED_EVERY, Upload, blobs::FileHash},
};

/// A file of which a part is there.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) upload: Upload,
    pub(super) content: Vec<u8>,
    pub(super) touched_at: Timestamp,
}

/// A file that a caller has uploaded.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) content: Bytes,
    pub(super) used_at: Timestamp,
}

impl Whole {
    pub(super) fn blob(&self, hash: &FileHash) -> Blob {
        Blob::new(*hash, self.content.len() as u64, self.used_at)
    }

    pub(super) fn use_now(&mut self, now: Timestamp) {
        if now.since(self.used_at) >= USE_NOTED_EVERY {
            self.used_at = now;
        }
    }
}
