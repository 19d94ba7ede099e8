//! The heads of an account's queue, found by seeking: from priority to priority, from lane to lane.

use std::collections::HashSet;

use super::{
    SledStore,
    disk::readable,
    jobs::{self, parse_ready_value},
    keys::{Key, ready_lane_end, ready_lane_start, ready_priority},
    merge::ready::Expansion,
};
use crate::{
    domain::{
        backlog::{Backlog, Queued},
        ids::MessageKey,
        job::Priority,
        time::Timestamp,
    },
    storage::{LATER_SCAN_JOBS_MAX, PAGE_MAX, Ready, ReadyMessage, StorageError},
};

/// The due jobs of one lane, read as far as they are wanted.
struct Lane {
    entries: ::sled::Iter,
    /// The merge job whose messages are taken at present.
    merge: Option<Expansion>,
}

impl SledStore {
    pub(super) fn find_ready(
        &self,
        account: u32,
        skip: &HashSet<MessageKey>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Ready, StorageError> {
        let limit = limit.min(PAGE_MAX);
        let mut ready = Ready::default();
        for priority in Priority::ALL {
            let mut lanes = self.open_lanes(account, priority, now, &mut ready)?;
            // One round takes one job of each lane.
            while !lanes.is_empty() && ready.messages.len() < limit {
                let mut remaining = Vec::with_capacity(lanes.len());
                for mut lane in lanes {
                    if ready.messages.len() == limit {
                        break;
                    }
                    let (message, next_due) = self.next_in(&mut lane, skip, now)?;
                    ready.next_due = [ready.next_due, next_due].into_iter().flatten().min();
                    if let Some(message) = message {
                        ready.messages.push(message);
                        remaining.push(lane);
                    }
                }
                lanes = remaining;
            }
        }
        Ok(ready)
    }

    /// What waits and is due after `at` only.
    pub(super) fn find_later(&self, account: u32, at: Timestamp) -> Result<Backlog, StorageError> {
        let later = at.as_millis().saturating_add(1).to_be_bytes();
        let mut backlog = Backlog::default();
        for priority in Priority::ALL {
            let prefix = ready_priority(account, priority);
            let mut start = prefix.clone();
            let mut looked = 0;
            while let Some((key, value)) = self.disk.seek_entry(&start, &prefix)? {
                let Some(head) = parse(&key, &value) else { break };
                let end = ready_lane_end(account, priority, head.lane);
                let begin = [ready_lane_start(account, priority, head.lane).as_slice(), &later].concat();
                for entry in self.disk.tree.range(begin..end.clone()).take(LATER_SCAN_JOBS_MAX - looked) {
                    let (key, value) = self.disk.checked(entry)?;
                    let Some(entry) = parse(&key, &value) else { continue };
                    let queued = backlog.of_mut(priority);
                    *queued = queued.plus(self.later_of(&entry)?);
                    looked += 1;
                }
                start = end;
            }
        }
        Ok(backlog)
    }

    /// What waits of a job that is not due.
    fn later_of(&self, entry: &ReadyMessage) -> Result<Queued, StorageError> {
        if entry.recipients > 0 {
            return Ok(Queued { messages: 1, recipients: u64::from(entry.recipients), bytes: 0 });
        }
        let stored = readable(jobs::load(&self.disk, entry.message.job))?;
        let progress = stored.as_ref().and_then(|stored| stored.job.merge());
        Ok(Queued::alike(progress.map_or(0, |progress| u64::from(progress.untouched.count())), 0))
    }

    /// The next due message of a lane that is not to be skipped, and when the next one becomes due of the merge jobs
    /// that were opened for it.
    fn next_in(
        &self,
        lane: &mut Lane,
        skip: &HashSet<MessageKey>,
        now: Timestamp,
    ) -> Result<(Option<ReadyMessage>, Option<Timestamp>), StorageError> {
        let mut next_due = None;
        loop {
            if let Some(merge) = &mut lane.merge {
                match merge.next(&self.disk, skip)? {
                    Some(message) => return Ok((Some(message), next_due)),
                    None => lane.merge = None,
                }
            }
            let Some(entry) = lane.entries.next() else { return Ok((None, next_due)) };
            let (key, value) = self.disk.checked(entry)?;
            match parse(&key, &value) {
                Some(head) if head.recipients == 0 => {
                    let Some((merge, due)) = self.expand(head, now)? else { continue };
                    next_due = [next_due, due].into_iter().flatten().min();
                    lane.merge = Some(merge);
                }
                Some(message) if !skip.contains(&message.message) => return Ok((Some(message), next_due)),
                _ => {}
            }
        }
    }

    /// Finds the lanes that have due jobs, and the next due time of all lanes; two seeks a lane at most.
    fn open_lanes(
        &self,
        account: u32,
        priority: Priority,
        now: Timestamp,
        ready: &mut Ready,
    ) -> Result<Vec<Lane>, StorageError> {
        let prefix = ready_priority(account, priority);
        let mut start = prefix.clone();
        let mut lanes = Vec::new();
        while let Some((key, value)) = self.disk.seek_entry(&start, &prefix)? {
            let Some(head) = parse(&key, &value) else {
                return Err(StorageError::Damaged("the ready index holds a key that is none: verify the store".into()));
            };
            let lane = ready_lane_start(account, priority, head.lane);
            let later = [lane.as_slice(), &now.as_millis().saturating_add(1).to_be_bytes()].concat();
            let next_due = if head.due > now {
                Some(head.due)
            } else {
                let next = self.disk.seek_entry(&later, &lane)?.and_then(|(key, value)| parse(&key, &value));
                lanes.push(Lane { entries: self.disk.tree.range(lane..later), merge: None });
                next.map(|next| next.due)
            };
            ready.next_due = [ready.next_due, next_due].into_iter().flatten().min();
            start = ready_lane_end(account, priority, head.lane);
        }
        Ok(lanes)
    }
}

fn parse(key: &[u8], value: &[u8]) -> Option<ReadyMessage> {
    let Some(Key::Ready { priority, lane, due, job, .. }) = Key::parse(key) else {
        return None;
    };
    let (recipients, expires_at, bytes) = parse_ready_value(value)?;
    Some(ReadyMessage { message: MessageKey::only(job), priority, lane, due, recipients, bytes, expires_at })
}
