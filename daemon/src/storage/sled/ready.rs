//! The heads of an account's queue, found by seeking: from priority to priority, from lane to lane.

use std::collections::HashSet;

use super::{
    SledStore,
    jobs::parse_ready_value,
    keys::{Key, ready_lane_end, ready_lane_start, ready_priority},
};
use crate::{
    domain::{ids::JobId, job::Priority, time::Timestamp},
    storage::{Ready, ReadyJob, StorageError},
};

/// One lane while its due jobs are being read.
struct Lane {
    entries: ::sled::Iter,
    head: Option<ReadyJob>,
}

impl SledStore {
    pub(super) fn find_ready(
        &self,
        account: u32,
        skip: &HashSet<JobId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Ready, StorageError> {
        let mut ready = Ready::default();
        for priority in Priority::ALL {
            let mut lanes = self.open_lanes(account, priority)?;
            // One round takes one job of each lane.
            while !lanes.is_empty() {
                let mut remaining = Vec::with_capacity(lanes.len());
                for mut lane in lanes {
                    let Some(job) = self.next_in(&mut lane, skip)? else { continue };
                    if job.due > now {
                        ready.next_due = Some(ready.next_due.map_or(job.due, |due| due.min(job.due)));
                    } else if ready.jobs.len() < limit {
                        ready.jobs.push(job);
                        remaining.push(lane);
                    } else {
                        // Due, but not wanted now: what comes after it in the lane may be due later.
                        self.pass_due(account, &job, now, &mut ready)?;
                    }
                }
                lanes = remaining;
            }
        }
        Ok(ready)
    }

    /// The next entry of a lane that is not to be skipped.
    fn next_in(&self, lane: &mut Lane, skip: &HashSet<JobId>) -> Result<Option<ReadyJob>, StorageError> {
        if let Some(head) = lane.head.take().filter(|head| !skip.contains(&head.id)) {
            return Ok(Some(head));
        }
        for entry in lane.entries.by_ref() {
            let (key, value) = self.disk.checked(entry)?;
            if let Some(job) = parse(&key, &value).filter(|job| !skip.contains(&job.id)) {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Seeks the first entry of each lane.
    fn open_lanes(&self, account: u32, priority: Priority) -> Result<Vec<Lane>, StorageError> {
        let prefix = ready_priority(account, priority);
        let mut start = prefix.clone();
        let mut lanes = Vec::new();
        while let Some((key, value)) = self.disk.seek_entry(&start, &prefix)? {
            let Some(head) = parse(&key, &value) else {
                return Err(StorageError::Damaged("the ready index holds a key that is none".into()));
            };
            let end = ready_lane_end(account, priority, head.lane);
            let after = [key.as_ref(), &[0]].concat();
            lanes.push(Lane { entries: self.disk.tree.range(after..end), head: Some(head) });
            match head.lane.checked_add(1) {
                Some(next) => start = ready_lane_start(account, priority, next),
                None => break,
            }
        }
        Ok(lanes)
    }

    /// Finds when a lane's first job after `now` is due, with one seek.
    fn pass_due(&self, account: u32, job: &ReadyJob, now: Timestamp, ready: &mut Ready) -> Result<(), StorageError> {
        let prefix = ready_lane_start(account, job.priority, job.lane);
        let start = [prefix.as_slice(), &now.as_millis().saturating_add(1).to_be_bytes()].concat();
        let found = self.disk.seek_entry(&start, &prefix)?;
        if let Some(next) = found.and_then(|(key, value)| parse(&key, &value)) {
            ready.next_due = Some(ready.next_due.map_or(next.due, |due| due.min(next.due)));
        }
        Ok(())
    }
}

fn parse(key: &[u8], value: &[u8]) -> Option<ReadyJob> {
    let Some(Key::Ready { priority, lane, due, job, .. }) = Key::parse(key) else {
        return None;
    };
    let (recipients, expires_at) = parse_ready_value(value)?;
    Some(ReadyJob { id: job, priority, lane, due, recipients, expires_at })
}
