//! How many messages of a segment of the spool are still referred to?

use super::{
    codec::Frame,
    disk::{Disk, View},
    keys::Key,
};
use crate::storage::StorageError;

/// How many messages of a segment jobs refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Referred(pub(super) u64);

impl Referred {
    /// What is known of a segment; a damaged record counts as nothing known, and keeps the segment.
    pub(super) fn read(disk: &Disk, segment: u32) -> Result<Self, StorageError> {
        let key = Key::Segment { number: segment }.to_bytes();
        let Some(value) = disk.get(&key)? else {
            return Ok(Self::default());
        };
        let read = Frame::parse(&key, value).ok().and_then(|frame| Self::from_bytes(frame.payload()));
        if read.is_none() {
            tracing::error!(segment, "it is not known how much of a segment is in use: verify the store");
        }
        Ok(read.unwrap_or(Self(u64::MAX / 2)))
    }

    /// As it is stored.
    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}
