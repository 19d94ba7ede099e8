//! What is old goes: finished jobs, events and idempotency keys, found by reading and deleted by the committer.

use std::time::Duration;

use super::{
    SledStore,
    accept::day_of,
    blob_store::forget_claim,
    codec, disk,
    held_keys::held_keys,
    jobs,
    keys::{Family, Key, ListKey},
    merge::forget::{delete_some, doom},
    returns::{self, old::OldReturn},
    statistics_store::{OldCounts, forget_old_counts},
    txn::{META_HEAD, META_PRUNED, Txn, cursor},
    writer::{CHANGES_PER_COMMIT_MAX, Patience, Weight},
};
use crate::{
    domain::{
        ids::{Caller, JobId},
        job::Job,
        time::Timestamp,
    },
    storage::{
        IDEMPOTENCY_DAYS, STAGED_HOURS, StorageError,
        records::{event::EventsRow, idempotency::IdempotencyRow, job::Location},
    },
};

/// A record that may go. The committer looks again: a job may have been opened meanwhile.
#[derive(Clone, Debug)]
enum Old {
    Job(JobId),
    Doomed(JobId),
    Events(u64),
    Key {
        day: u32,
        hash: [u8; 16],
    },
    /// A suppression, or a run of bounces, that has ended.
    Ended {
        at: Timestamp,
        of: Vec<u8>,
        now: Timestamp,
    },
    Counts(OldCounts),
    Return(OldReturn),
    /// What a caller has uploaded.
    Claim {
        caller: Caller,
        file: [u8; 32],
        now: Timestamp,
    },
}

impl SledStore {
    pub(super) async fn prune_some(
        &self,
        finished_before: Timestamp,
        limit: usize,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let staged = Duration::from_secs(STAGED_HOURS * 3_600);
        let find = move |store: &Self| {
            store.staging.forget_before(JobId::first_at(now.before(staged)));
            let forgotten = store.uploads.forget_old(now);
            Ok((forgotten, store.find_old(finished_before, limit, now)?))
        };
        let (mut gone, found) = self.in_background(find).await?;
        let head = *self.head.borrow();
        // A day of counts is thousands of rows: each has a commit that nothing joins.
        let (counts, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|old| matches!(old, Old::Counts(_)));
        let alone = counts.chunks(1).map(|part| (part, CHANGES_PER_COMMIT_MAX));
        let together = found.chunks(CHANGES_PER_COMMIT_MAX).map(|part| (part, part.len()));
        for (part, changes) in together.chain(alone) {
            let part = part.to_vec();
            let weight = Weight { changes, bytes: changes * 64 };
            let forget = move |txn: &mut Txn| {
                let (key, value) = codec::single(&META_HEAD, &head.0.to_be_bytes());
                txn.put(key, value);
                txn.flush_merges()?;
                let mut gone = 0;
                for old in part {
                    gone += forget(txn, old, finished_before)?;
                }
                Ok(gone)
            };
            gone += self.writer.commit(weight, Patience::Wait, forget).await?;
        }
        Ok(gone)
    }

    fn find_old(&self, finished_before: Timestamp, limit: usize, now: Timestamp) -> Result<Vec<Old>, StorageError> {
        let mut found = Vec::new();
        found.extend(self.find_doomed(limit)?.into_iter().map(Old::Doomed));
        self.find_old_jobs(finished_before, limit, &mut found)?;
        self.find_old_events(finished_before, limit, &mut found)?;
        self.find_old_keys(now, limit, &mut found)?;
        self.find_ended(now, limit, &mut found)?;
        let counts = self.find_old_counts(now, limit.saturating_sub(found.len()))?;
        found.extend(counts.into_iter().map(Old::Counts));
        let returns = self.find_old_returns(finished_before, limit.saturating_sub(found.len()), now)?;
        found.extend(returns.into_iter().map(Old::Return));
        let claims = self.uploads.old_claims(now, limit.saturating_sub(found.len()));
        found.extend(claims.into_iter().map(|(file, caller)| Old::Claim { caller, file, now }));
        Ok(found)
    }

    fn find_old_jobs(&self, before: Timestamp, limit: usize, found: &mut Vec<Old>) -> Result<(), StorageError> {
        for entry in self.disk.tree.scan_prefix(Family::Job.prefix()).keys() {
            if found.len() >= limit {
                break;
            }
            let key = Key::parse(&self.disk.checked(entry)?);
            let Some(Key::Job { job: id, chunk: 0 }) = key else { continue };
            if id >= JobId::first_at(before) {
                break;
            }
            match jobs::load(&self.disk, id) {
                Ok(Some(stored)) if is_old(&stored.job, before) => found.push(Old::Job(id)),
                // A damaged job stays until the store is verified.
                Ok(_) | Err(StorageError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn find_old_events(&self, before: Timestamp, limit: usize, found: &mut Vec<Old>) -> Result<(), StorageError> {
        for entry in self.disk.tree.scan_prefix(Family::Events.prefix()).keys() {
            if found.len() >= limit {
                break;
            }
            let Some(Key::Events { seq, chunk: 0 }) = Key::parse(&self.disk.checked(entry)?) else { continue };
            if !self.events_of(seq)?.iter().all(|event| event.at < before) {
                break;
            }
            found.push(Old::Events(seq));
        }
        Ok(())
    }

    fn find_ended(&self, now: Timestamp, limit: usize, found: &mut Vec<Old>) -> Result<(), StorageError> {
        for entry in self.disk.tree.scan_prefix(Family::Ending.prefix()).keys() {
            if found.len() >= limit {
                break;
            }
            let Some(Key::List(ListKey::Ending { at, of })) = Key::parse(&self.disk.checked(entry)?) else { continue };
            if at > now {
                break;
            }
            found.push(Old::Ended { at, of, now });
        }
        Ok(())
    }

    fn find_old_keys(&self, now: Timestamp, limit: usize, found: &mut Vec<Old>) -> Result<(), StorageError> {
        let remembered = Duration::from_secs(IDEMPOTENCY_DAYS * 24 * 3_600);
        let last_day = day_of(now.before(remembered));
        for entry in self.disk.tree.scan_prefix(Family::IdempotencyDay.prefix()).keys() {
            if found.len() >= limit {
                break;
            }
            let key = Key::parse(&self.disk.checked(entry)?);
            let Some(Key::IdempotencyDay { day, hash }) = key else { continue };
            if day > last_day {
                break;
            }
            let row = disk::read_row::<IdempotencyRow>(&self.disk, |_| Key::Idempotency { hash });
            let at = match row {
                Ok(row) => row.map_or(Timestamp::EPOCH, |stored| Timestamp::from_millis(stored.value.at)),
                Err(StorageError::Damaged(_)) => Timestamp::EPOCH,
                Err(error) => return Err(error),
            };
            if now.since(at) > remembered {
                found.push(Old::Key { day, hash });
            }
        }
        Ok(())
    }
}

fn is_old(job: &Job, before: Timestamp) -> bool {
    job.accepted_at < before && job.finished_at().is_some_and(|finished| finished < before)
}

/// Deletes a record and says how many went.
fn forget(txn: &mut Txn, old: Old, before: Timestamp) -> Result<u64, StorageError> {
    match old {
        Old::Job(id) => forget_job(txn, id, before),
        Old::Doomed(id) => delete_some(txn, id),
        Old::Events(seq) => {
            let stored = txn.row::<EventsRow>(|chunk| Key::Events { seq, chunk });
            let (count, frames) = match stored {
                Ok(stored) => stored.map_or((0, 0), |stored| (stored.value.events.len(), stored.frames)),
                Err(StorageError::Damaged(_)) => (1, 1),
                Err(error) => return Err(error),
            };
            txn.remove_frames(|chunk| Key::Events { seq, chunk }, 0..frames);
            // Commits go in their order. Whoever had read a part of one has missed the rest.
            let (key, value) = codec::single(&META_PRUNED, &cursor(seq, count).0.to_be_bytes());
            txn.put(key, value);
            Ok(count as u64)
        }
        Old::Key { day, hash } => {
            txn.remove_key(&Key::Idempotency { hash });
            txn.remove_key(&Key::IdempotencyDay { day, hash });
            Ok(1)
        }
        Old::Ended { at, of, now } => txn.forget_ended(at, &of, now),
        Old::Counts(old) => forget_old_counts(txn, &old),
        Old::Return(old) => returns::old::forget(txn, old),
        Old::Claim { caller, file, now } => forget_claim(txn, caller, file, now),
    }
}

fn forget_job(txn: &mut Txn, id: JobId, before: Timestamp) -> Result<u64, StorageError> {
    let Some(stored) = jobs::load(txn, id)?.filter(|stored| is_old(&stored.job, before)) else {
        return Ok(0);
    };
    txn.remove_frames(|chunk| Key::Job { job: id, chunk }, 0..stored.frames);
    for cut in &stored.body.cuts {
        txn.remove_key(&Key::FileEdge { file: cut.file, job: id });
        txn.made.loose_files.insert(cut.file);
    }
    match stored.body.location {
        Location::Spool(place) => txn.unspool(place)?,
        Location::File(file) => {
            txn.remove_key(&Key::FileEdge { file, job: id });
            txn.made.loose_files.insert(file);
        }
        Location::Beside => {
            for key in txn.disk.keys_with(&Key::Body { job: id, chunk: 0 }.stem())? {
                txn.remove(key);
            }
        }
    }
    held_keys(&stored.job).into_iter().for_each(|key| txn.remove(key.into()));
    if stored.job.merge().is_some() {
        doom(txn, &stored)?;
    } else {
        txn.forget_names(id)?;
    }
    Ok(1)
}
