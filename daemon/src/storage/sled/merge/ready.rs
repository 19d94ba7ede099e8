//! The one entry that a merge job has in the ready index, as the messages for which it stands.

use std::{collections::HashSet, ops::Range, vec};

use crate::{
    domain::{ids::MessageKey, time::Timestamp},
    storage::{
        ReadyMessage, StorageError,
        sled::{
            SledStore,
            disk::Disk,
            disk::readable,
            jobs,
            keys::{Family, Key},
        },
    },
};

/// The due messages of a merge job, read as far as they are wanted: first those that were tried before.
pub(in crate::storage::sled) struct Expansion {
    head: ReadyMessage,
    retries: ::sled::Iter,
    untouched_due: Timestamp,
    untouched: vec::IntoIter<Range<u32>>,
    range: Range<u32>,
}

impl SledStore {
    /// Opens a merge job of which this is the entry, and says when its next message becomes due that is not due yet.
    /// Nothing when the job is gone or damaged.
    pub(in crate::storage::sled) fn expand(
        &self,
        head: ReadyMessage,
        now: Timestamp,
    ) -> Result<Option<(Expansion, Option<Timestamp>)>, StorageError> {
        let job = head.message.job;
        let Some(stored) = readable(jobs::load(&self.disk, job))? else { return Ok(None) };
        let Some(progress) = stored.job.merge().filter(|progress| !progress.has_ended()) else { return Ok(None) };
        let later = Timestamp::from_millis(now.as_millis().saturating_add(1));
        let later = Key::Retry { job, due: later, index: 0 }.to_bytes();
        let prefix = Key::of_job(Family::Retry, job);
        let next = self.disk.seek(&later, &prefix)?;
        let next_retry = next.as_deref().and_then(Key::parse).and_then(|key| match key {
            Key::Retry { due, .. } => Some(due),
            _ => None,
        });
        let is_due = progress.due <= now;
        let next_untouched = (!is_due && !progress.untouched.is_empty()).then_some(progress.due);
        let untouched = if is_due { progress.untouched.ranges().to_vec() } else { Vec::new() };
        let expansion = Expansion {
            head,
            retries: self.disk.tree.range(prefix.to_vec()..later),
            untouched_due: progress.due,
            untouched: untouched.into_iter(),
            range: 0..0,
        };
        Ok(Some((expansion, [next_retry, next_untouched].into_iter().flatten().min())))
    }
}

impl Expansion {
    /// The next message that is not to be skipped.
    pub(in crate::storage::sled) fn next(
        &mut self,
        disk: &Disk,
        skip: &HashSet<MessageKey>,
    ) -> Result<Option<ReadyMessage>, StorageError> {
        while let Some((index, due)) = self.advance(disk)? {
            let message = MessageKey { job: self.head.message.job, index };
            if !skip.contains(&message) {
                return Ok(Some(ReadyMessage { message, due, recipients: 1, ..self.head }));
            }
        }
        Ok(None)
    }

    fn advance(&mut self, disk: &Disk) -> Result<Option<(u32, Timestamp)>, StorageError> {
        for entry in self.retries.by_ref() {
            let (key, _) = disk.checked(entry)?;
            if let Some(Key::Retry { due, index, .. }) = Key::parse(&key) {
                return Ok(Some((index, due)));
            }
        }
        loop {
            if let Some(index) = self.range.next() {
                return Ok(Some((index, self.untouched_due)));
            }
            match self.untouched.next() {
                Some(range) => self.range = range,
                None => return Ok(None),
            }
        }
    }
}
