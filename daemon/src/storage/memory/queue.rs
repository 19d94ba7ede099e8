//! What a worker sees of its account's queue and does to it.

use std::collections::{BTreeMap, HashSet};

use super::model::{Model, StoredJob};
use crate::{
    domain::{
        backlog::{Backlog, Queued},
        event::JobChange,
        ids::{AccountId, JobId, MessageKey},
        job::{Audience, Priority},
        ledger::{Charge, ObservedLimit, Usage},
        parking::Standing,
        time::Timestamp,
    },
    storage::{
        Consignment, Divertible, PAGE_MAX, Ready, ReadyMessage, Tenure, TenureError, lane_of,
        settlement::{Diversion, Expiry, Mark, MarkOutcome, Settlement},
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
        let waiting: Vec<Place> = own.flat_map(places).collect();
        let next_due = waiting.iter().map(|place| place.message.due).filter(|due| *due > now).min();
        let is_wanted = |place: &Place| place.message.due <= now && !skip.contains(&place.message.message);
        let mut messages = in_turn(waiting.into_iter().filter(is_wanted).collect());
        messages.truncate(limit.min(PAGE_MAX));
        Ready { messages, next_due }
    }

    pub(super) fn consign(&self, keys: &[MessageKey]) -> Vec<Consignment> {
        keys.iter().filter_map(|key| self.jobs.get(&key.job)?.consign(key.index)).collect()
    }

    pub(super) fn mark(&mut self, account: &AccountId, mark: Mark) -> MarkOutcome {
        let index = mark.message.index;
        let Some(stored) = self.jobs.get_mut(&mark.message.job).filter(|stored| stored.job.account == *account) else {
            return MarkOutcome::Withdrawn;
        };
        if stored.job.due().is_none() || !stored.waiting().any(|(waiting, _)| waiting == index) {
            return MarkOutcome::Withdrawn;
        }
        if let Audience::Each(progress) = &mut stored.job.audience {
            progress.begin(index);
        }
        stored.marks.insert(index, mark.clone());
        stored.reschedule();
        self.charge(account, &mark.charges);
        MarkOutcome::Marked
    }

    pub(super) fn settle(&mut self, account: &AccountId, settlement: Settlement) {
        let Settlement { message, attempt, retry_at, charges, now, handed_over, aftermath } = settlement;
        self.charge(account, &charges);
        let Some(stored) = self.jobs.get_mut(&message.job).filter(|stored| stored.job.account == *account) else {
            return;
        };
        let was_marked = stored.marks.remove(&message.index).is_some();
        let has_message = stored.job.merge().map_or(1, |progress| progress.messages) > message.index;
        if handed_over && message.index == 0 && stored.job.merge().is_none() {
            stored.job.fallbacks = None;
        }
        let (uncounted, met) = (stored.job.uncounted(), attempt.clone());
        let change = match (stored.job.merge().is_some(), attempt) {
            (false, Some(attempt)) if message.index == 0 => {
                let change = JobChange::attempted(0, &attempt);
                stored.job.settle(attempt, retry_at);
                Some(change)
            }
            (false, None) if message.index == 0 => stored.job.fulfil_wish(now).map(JobChange::Controlled),
            (true, attempt) => stored.settle_message(message.index, was_marked, attempt.as_ref(), retry_at),
            (false, _) => None,
        };
        let (job, flight) = (stored.job.clone(), stored.flight());
        if let Some(change) = change {
            self.note_job(now, &job, flight, change);
        }
        self.count(account, &job.counted_since(&uncounted, met.as_ref()), now);
        if let Some(aftermath) = aftermath.filter(|_| has_message) {
            self.follow(account, message, &aftermath, now);
        }
    }

    pub(super) fn expire(&mut self, account: &AccountId, expiry: Expiry) {
        let Expiry { job: id, now } = expiry;
        let own = self.jobs.get_mut(&id).filter(|stored| stored.job.account == *account);
        let Some(stored) = own.filter(|stored| stored.job.due().is_some() && stored.is_overdue(now)) else {
            return;
        };
        let uncounted = stored.job.uncounted();
        stored.job.expire(now);
        let (job, flight) = (stored.job.clone(), stored.flight());
        self.count(account, &job.counted_since(&uncounted, None), now);
        self.note_job(now, &job, flight, JobChange::Expired);
    }

    /// Ends jobs that wait or are held, bear no mark, and whose time has run out.
    pub(super) fn expire_overdue(&mut self, now: Timestamp, limit: usize) -> u64 {
        let overdue = self.jobs.values().filter(|stored| stored.is_overdue(now));
        let mut ids: Vec<_> = overdue.map(|stored| (stored.job.expires_at, stored.job.id)).collect();
        ids.sort();
        ids.truncate(limit);
        for (_, id) in &ids {
            let Some(stored) = self.jobs.get_mut(id) else { continue };
            let uncounted = stored.job.uncounted();
            stored.job.expire(now);
            let (job, flight) = (stored.job.clone(), stored.flight());
            self.count(&job.account, &job.counted_since(&uncounted, None), now);
            self.note_job(now, &job, flight, JobChange::Expired);
            self.touch(&job.account);
        }
        ids.len() as u64
    }

    pub(super) fn divertible(
        &self,
        account: &AccountId,
        after: Option<(Timestamp, JobId)>,
        limit: usize,
        now: Timestamp,
    ) -> Divertible {
        let own = self.jobs.values().filter(|stored| stored.job.account == *account);
        let mut found: Vec<_> = own
            .filter_map(|stored| Some(((stored.job.divertible_since(stored.flight())?, stored.job.id), &stored.job)))
            .filter(|(place, _)| after.is_none_or(|after| *place > after))
            .collect();
        found.sort_by_key(|(place, _)| *place);
        let due: Vec<_> = found.iter().take_while(|((due, _), _)| *due <= now).map(|(_, job)| *job).collect();
        let limit = limit.clamp(1, PAGE_MAX);
        let next = found.get(due.len()).map(|((due, _), _)| *due);
        let next_due = next.filter(|_| due.len() <= limit);
        Divertible { jobs: due.into_iter().take(limit).cloned().collect(), next_due }
    }

    pub(super) fn divert(&mut self, account: &AccountId, to: &Diversion) -> bool {
        let has_room = self.open_jobs_max.is_none_or(|max| self.open_jobs(&to.to) < max);
        if !has_room || !self.accounts.contains_key(&to.to) {
            return false;
        }
        let own = self.jobs.get_mut(&to.job).filter(|stored| stored.job.account == *account);
        let Some(stored) = own else { return false };
        let flight = stored.flight();
        if !stored.job.divert(&to.to, &to.sender, flight) {
            return false;
        }
        let job = stored.job.clone();
        self.returns.move_names(job.id, &to.to);
        self.note_job(to.now, &job, flight, JobChange::Diverted { from: account.clone() });
        self.touch(&to.to);
        true
    }

    pub(super) fn in_doubt(&self, account: &AccountId) -> Vec<Mark> {
        let own = self.jobs.values().filter(|stored| stored.job.account == *account);
        own.flat_map(|stored| stored.marks.values().cloned()).collect()
    }

    pub(super) fn backlog(&self, account: &AccountId) -> Backlog {
        let mut backlog = Backlog::default();
        for stored in self.jobs.values().filter(|stored| stored.job.account == *account) {
            let queued = backlog.of_mut(stored.job.priority);
            *queued = queued.plus(Queued::of_job(&stored.job));
        }
        backlog
    }

    pub(super) fn backlog_after(&self, account: &AccountId, at: Timestamp) -> Backlog {
        let mut backlog = Backlog::default();
        let own = self.jobs.values().filter(|stored| stored.job.account == *account);
        for stored in own.filter(|stored| stored.job.due().is_some_and(|due| due > at)) {
            let later = match stored.job.merge() {
                // Only a job with a message that is not under way stands in the queue.
                Some(_) if stored.waiting().next().is_none() => Queued::default(),
                Some(progress) => Queued::alike(u64::from(progress.untouched.count()), 0),
                None if !stored.marks.is_empty() => Queued::default(),
                None => Queued { bytes: 0, ..Queued::of_job(&stored.job) },
            };
            let queued = backlog.of_mut(stored.job.priority);
            *queued = queued.plus(later);
        }
        backlog
    }

    pub(super) fn usage(&self, account: &AccountId) -> Vec<Usage> {
        let own = self.ledger.iter().filter(|((owner, ..), _)| owner == account);
        own.map(|((_, key, bucket), amount)| Usage { key: key.clone(), bucket: *bucket, amount: *amount }).collect()
    }

    pub(super) fn observed_limits(&self, account: &AccountId) -> Vec<ObservedLimit> {
        let own = self.observed.iter().filter(|((owner, _), _)| owner == account);
        own.map(|(_, observed)| observed.clone()).collect()
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

/// A message that waits, and where its job stands in its lane.
struct Place {
    job_due: Timestamp,
    /// Its place among the messages of its job.
    rank: usize,
    message: ReadyMessage,
}

/// The waiting messages of a job that bear no mark, in their order.
fn places(stored: &StoredJob) -> Vec<Place> {
    let Some(job_due) = stored.job.due() else { return Vec::new() };
    let job = &stored.job;
    let (lane, expires_at) = (lane_of(&job.labels), job.expires_at);
    let recipients = if job.merge().is_some() { 1 } else { u32::try_from(job.pending().len()).unwrap_or(u32::MAX) };
    let place = |(rank, (index, due))| {
        let key = MessageKey { job: job.id, index };
        let (priority, bytes) = (job.priority, job.message_bytes_max());
        let message = ReadyMessage { message: key, priority, lane, due, recipients, bytes, expires_at };
        Place { job_due, rank, message }
    };
    stored.waiting().enumerate().map(place).collect()
}

/// More urgent priorities first; within a priority first the head of each lane, then the second of each, and so on.
fn in_turn(mut places: Vec<Place>) -> Vec<ReadyMessage> {
    places.sort_by_key(|place| (place.job_due, place.message.message.job, place.rank));
    let mut taken: BTreeMap<(Priority, u32), usize> = BTreeMap::new();
    let mut ranked: Vec<(Priority, usize, u32, ReadyMessage)> = Vec::new();
    for Place { message, .. } in places {
        let round = taken.entry((message.priority, message.lane)).or_default();
        ranked.push((message.priority, *round, message.lane, message));
        *round += 1;
    }
    ranked.sort_by_key(|(priority, round, lane, _)| (*priority, *round, *lane));
    ranked.into_iter().map(|(.., message)| message).collect()
}
