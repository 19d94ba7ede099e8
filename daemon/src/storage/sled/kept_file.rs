//! A file that is durable before anything refers to it, and goes again when nothing does in the end.

use super::{care, disk::Disk};
use crate::storage::blobs::{FileHash, Files, Pin};

/// A file that was written before it is known whether its job is accepted: it goes again if nothing refers to it in the
/// end.
#[derive(Debug)]
pub(super) struct KeptFile {
    pin: Option<Pin>,
    hash: FileHash,
    disk: Disk,
    files: Files,
}

impl KeptFile {
    pub(super) fn new(pin: Pin, disk: &Disk, files: &Files) -> Self {
        Self { hash: pin.hash, pin: Some(pin), disk: disk.clone(), files: files.clone() }
    }

    pub(super) const fn hash(&self) -> &FileHash {
        &self.hash
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        let hash = self.pin.take().map(|pin| pin.hash);
        // Once the store has stopped, only the next start tells what reached the disk.
        let is_sound = self.disk.failure.check().is_ok() && !std::thread::panicking();
        if let Some(hash) = hash.filter(|_| is_sound) {
            care::collect_file(&self.disk, &self.files, &hash);
        }
    }
}
