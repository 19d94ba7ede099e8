//! The event log, on sled: one row a commit.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    SledStore,
    codec::Frame,
    disk::{self, View as _},
    keys::{Family, Key},
    txn::{META_PRUNED, cursor},
};
use crate::{
    domain::event::{Cursor, Event},
    storage::{EventLog, PAGE_MAX, StorageError, records::event::EventsRow},
};

#[async_trait]
impl EventLog for SledStore {
    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StorageError> {
        let head = *self.head.borrow();
        if after >= head {
            self.disk.failure.check()?;
            return Ok(Vec::new());
        }
        self.in_background(move |store| store.read_events(after, head, limit.min(PAGE_MAX))).await
    }

    async fn pruned(&self) -> Result<Cursor, StorageError> {
        self.in_background(|store| {
            let bytes = META_PRUNED.to_bytes();
            let frame = store.disk.get(&bytes)?.and_then(|value| Frame::parse(&bytes, value).ok());
            let pruned = frame.and_then(|frame| frame.payload().try_into().ok());
            Ok(Cursor(pruned.map_or(0, u64::from_be_bytes)))
        })
        .await
    }

    fn head(&self) -> watch::Receiver<Cursor> {
        self.head.subscribe()
    }
}

impl SledStore {
    /// Events up to `head`: what comes later may not be durable yet.
    fn read_events(&self, after: Cursor, head: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StorageError> {
        let mut found = Vec::new();
        let (first_seq, last_seq) = (after.0 >> 16, head.0 >> 16);
        let start = Key::Events { seq: first_seq, chunk: 0 }.to_bytes();
        for entry in self.disk.tree.range(start..).keys() {
            let key = self.disk.checked(entry)?;
            let (seq, is_first) = match Key::parse(&key) {
                Some(Key::Events { seq, chunk }) if seq <= last_seq => (seq, chunk == 0),
                _ => break,
            };
            if !is_first {
                continue;
            }
            let skipped = if seq == first_seq { usize::try_from(after.0 & 0xffff).unwrap_or(0) } else { 0 };
            for (place, event) in self.events_of(seq)?.into_iter().enumerate().skip(skipped) {
                if found.len() == limit {
                    return Ok(found);
                }
                found.push((cursor(seq, place + 1), event));
            }
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// The events of one commit; none when they are damaged, so that the log can be read on.
    pub(super) fn events_of(&self, seq: u64) -> Result<Vec<Event>, StorageError> {
        let read = disk::read_row::<EventsRow>(&self.disk, |chunk| Key::Events { seq, chunk });
        let read = read.and_then(|row| {
            let events = row.map(|stored| stored.value.into_events()).transpose();
            events.map_err(|error| StorageError::Damaged(format!("events of commit {seq}: {error}")))
        });
        match read {
            Ok(events) => Ok(events.unwrap_or_default()),
            Err(StorageError::Damaged(why)) => {
                tracing::warn!(reason = %why, "damaged events are left out");
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The number of the newest commit with events, if there is one.
    pub(super) fn newest_seq(disk: &disk::Disk) -> Result<Option<u64>, StorageError> {
        let key = disk.last(&Family::Events.prefix())?;
        Ok(match key.as_deref().and_then(Key::parse) {
            Some(Key::Events { seq, .. }) => Some(seq),
            _ => None,
        })
    }
}
