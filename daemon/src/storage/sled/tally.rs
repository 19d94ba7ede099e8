//! What is counted of an account's jobs, and how it is kept beside the account.

use super::{
    codec::Frame,
    disk::{Disk, View},
    keys::Key,
};
use crate::{
    domain::{
        backlog::{Backlog, Queued},
        ids::Etag,
        job::Priority,
    },
    storage::StorageError,
};

/// What the committer knows of an account without reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountEntry {
    /// The number that stands for it in keys.
    pub(super) number: u32,
    /// The version of its settings.
    pub(super) etag: Etag,
    /// Its open jobs.
    pub(super) open_jobs: u64,
    /// What of them waits.
    pub(super) backlog: Backlog,
}

impl AccountEntry {
    /// An account without jobs.
    pub(super) fn new(number: u32, etag: Etag) -> Self {
        Self { number, etag, open_jobs: 0, backlog: Backlog::default() }
    }
}

/// What is kept of an account's jobs beside it: how many are open, and what of them waits. One that was written before that
/// was counted is mended when the store is next verified.
pub(super) fn read_tally(disk: &Disk, account: u32) -> Result<(u64, Backlog), StorageError> {
    let bytes = Key::Tally { account }.to_bytes();
    let frame = disk.get(&bytes)?.and_then(|value| Frame::parse(&bytes, value).ok());
    let numbers = frame.map(|frame| {
        let words = frame.payload().as_chunks::<8>().0.iter();
        words.map(|word| u64::from_be_bytes(*word)).collect::<Vec<_>>()
    });
    let mut numbers = numbers.unwrap_or_default().into_iter();
    let open_jobs = numbers.next().unwrap_or(0);
    let mut backlog = Backlog::default();
    for priority in Priority::ALL {
        let mut next = || numbers.next().unwrap_or(0);
        *backlog.of_mut(priority) = Queued { messages: next(), recipients: next(), bytes: next() };
    }
    Ok((open_jobs, backlog))
}

/// What [`read_tally`] reads.
pub(super) fn tally_bytes(entry: &AccountEntry) -> Vec<u8> {
    let mut bytes = entry.open_jobs.to_be_bytes().to_vec();
    for priority in Priority::ALL {
        let Queued { messages, recipients, bytes: queued } = entry.backlog.of(priority);
        [messages, recipients, queued].iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
    }
    bytes
}
