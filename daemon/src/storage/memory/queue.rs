//! What a worker sees of its account's queue and does to it.

use std::collections::{BTreeMap, HashSet};

use super::model::{Model, StoredJob};
use crate::{
    domain::{
        event::JobChange,
        ids::{AccountId, JobId, MessageKey},
        job::{Flight, Priority, Schedule},
        ledger::{Charge, Usage},
        parking::Standing,
        time::Timestamp,
    },
    storage::{
        Consignment, PAGE_MAX, Ready, ReadyMessage, Tenure, TenureError, lane_of,
        settlement::{Expiry, Mark, MarkOutcome, Settlement},
    },
};

impl Model {
    pub(super) fn check_tenure(&self, tenure: &Tenure) -> Result<(), TenureError> {
        let is_there = self.accounts.contains_key(&tenure.account);
        if is_there && self.epochs.get(&tenure.account) == Some(&tenure.epoch) {
            Ok(())
        } else {
            Err(TenureError::Lost(tenure.account.clone()))
        }
    }

    pub(super) fn report_standing(&mut self, account: &AccountId, standing: Standing, now: Timestamp) -> Standing {
        let stored = self.accounts.get(account).map(|(_, stored)| stored.clone()).unwrap_or_default();
        if matches!(&stored, Standing::Parked(parking) if parking.is_paused_at(now)) {
            return stored;
        }
        self.set_standing(account, standing.clone(), now);
        standing
    }

    pub(super) fn ready(&self, account: &AccountId, skip: &HashSet<MessageKey>, limit: usize, now: Timestamp) -> Ready {
        let own = self.jobs.values().filter(|stored| stored.job.account == *account);
        let waiting: Vec<ReadyMessage> = own.filter_map(ready_entry).collect();
        let next_due = waiting.iter().map(|entry| entry.due).filter(|due| *due > now).min();
        let due_now = waiting.into_iter().filter(|entry| entry.due <= now && !skip.contains(&entry.message));
        let mut messages = in_turn(due_now.collect());
        messages.truncate(limit.min(PAGE_MAX));
        Ready { messages, next_due }
    }

    pub(super) fn consign(&self, keys: &[MessageKey]) -> Vec<Consignment> {
        let found = keys.iter().filter_map(|key| self.jobs.get(&key.job));
        found.filter_map(|stored| Consignment::of(&stored.job, stored.message.clone())).collect()
    }

    pub(super) fn mark(&mut self, account: &AccountId, mark: Mark) -> MarkOutcome {
        let Some(stored) = self.waiting_job(account, mark.message.job) else {
            return MarkOutcome::Withdrawn;
        };
        stored.mark = Some(mark.clone());
        self.charge(account, &mark.charges);
        MarkOutcome::Marked
    }

    pub(super) fn settle(&mut self, account: &AccountId, settlement: Settlement) {
        let Settlement { message, attempt, retry_at, charges, now } = settlement;
        self.charge(account, &charges);
        let Some(stored) = self.jobs.get_mut(&message.job).filter(|stored| stored.job.account == *account) else {
            return;
        };
        stored.mark = None;
        let change = if let Some(attempt) = attempt {
            let change = JobChange::attempted(&attempt);
            stored.job.settle(attempt, retry_at);
            Some(change)
        } else {
            stored.job.fulfil_wish(now).map(JobChange::Controlled)
        };
        let job = stored.job.clone();
        if let Some(change) = change {
            self.note_job(now, &job, Flight::Grounded, change);
        }
    }

    pub(super) fn expire(&mut self, account: &AccountId, expiry: Expiry) {
        let Expiry { job: id, now } = expiry;
        let Some(stored) = self.waiting_job(account, id).filter(|stored| stored.job.has_expired(now)) else {
            return;
        };
        stored.job.expire(now);
        let job = stored.job.clone();
        self.note_job(now, &job, Flight::Grounded, JobChange::Expired);
    }

    /// Ends jobs that wait or are held, bear no mark, and whose time has run out.
    pub(super) fn expire_overdue(&mut self, now: Timestamp, limit: usize) -> u64 {
        let overdue = self.jobs.values().filter(|stored| {
            stored.mark.is_none() && stored.job.schedule != Schedule::Idle && stored.job.has_expired(now)
        });
        let mut ids: Vec<_> = overdue.map(|stored| (stored.job.expires_at, stored.job.id)).collect();
        ids.sort();
        ids.truncate(limit);
        for (_, id) in &ids {
            let Some(stored) = self.jobs.get_mut(id) else { continue };
            stored.job.expire(now);
            let job = stored.job.clone();
            self.note_job(now, &job, Flight::Grounded, JobChange::Expired);
            self.touch(&job.account);
        }
        ids.len() as u64
    }

    pub(super) fn in_doubt(&self, account: &AccountId) -> Vec<Mark> {
        let own = self.jobs.values().filter(|stored| stored.job.account == *account);
        own.filter_map(|stored| stored.mark.clone()).collect()
    }

    pub(super) fn usage(&self, account: &AccountId) -> Vec<Usage> {
        let own = self.ledger.iter().filter(|((owner, ..), _)| owner == account);
        own.map(|((_, key, bucket), amount)| Usage { key: key.clone(), bucket: *bucket, amount: *amount }).collect()
    }

    /// A job of this account that waits and is not in doubt: the only kind that may be marked or expire.
    fn waiting_job(&mut self, account: &AccountId, id: JobId) -> Option<&mut StoredJob> {
        let stored = self.jobs.get_mut(&id)?;
        let is_free = stored.job.account == *account && stored.job.due().is_some() && stored.mark.is_none();
        is_free.then_some(stored)
    }

    /// A ledger belongs to its account: one that does not exist is charged nothing.
    fn charge(&mut self, account: &AccountId, charges: &[Charge]) {
        if !self.accounts.contains_key(account) {
            return;
        }
        for Charge { key, bucket, amount } in charges {
            let place = (account.clone(), key.clone(), *bucket);
            let used = self.ledger.get(&place).copied().unwrap_or(0).saturating_add_signed(*amount);
            if used == 0 {
                self.ledger.remove(&place);
            } else {
                self.ledger.insert(place, used);
            }
        }
    }
}

fn ready_entry(stored: &StoredJob) -> Option<ReadyMessage> {
    let due = stored.job.due().filter(|_| stored.mark.is_none())?;
    let job = &stored.job;
    let recipients = u32::try_from(job.pending().len()).unwrap_or(u32::MAX);
    let (lane, expires_at) = (lane_of(&job.labels), job.expires_at);
    Some(ReadyMessage { message: MessageKey::only(job.id), priority: job.priority, lane, due, recipients, expires_at })
}

/// More urgent priorities first; within a priority first the head of each lane, then the second of each, and so on.
fn in_turn(mut entries: Vec<ReadyMessage>) -> Vec<ReadyMessage> {
    entries.sort_by_key(|entry| (entry.due, entry.message));
    let mut taken: BTreeMap<(Priority, u32), usize> = BTreeMap::new();
    let mut ranked: Vec<(Priority, usize, u32, ReadyMessage)> = Vec::new();
    for entry in entries {
        let round = taken.entry((entry.priority, entry.lane)).or_default();
        ranked.push((entry.priority, *round, entry.lane, entry));
        *round += 1;
    }
    ranked.sort_by_key(|(priority, round, lane, _)| (*priority, *round, *lane));
    ranked.into_iter().map(|(.., entry)| entry).collect()
}
