//! How jobs come in, are read and controlled, and are forgotten at last.

use std::{collections::BTreeMap, time::Duration};

use super::model::{Model, Stored, StoredJob, UsedKey, key_of};
use crate::{
    domain::{
        address::Address,
        event::{EventKind, JobChange},
        ids::{Caller, JobId},
        inbound::InboundId,
        job::{Control, ControlRefusal, Flight, Job},
        merge::MergeRecipient,
        statistics::Counted,
        time::Timestamp,
    },
    storage::{
        Acceptance, Controlled, FINGERPRINT_DAYS, IDEMPOTENCY_DAYS, Idempotency, JobFilter, JobPage, JobRecord,
        LIST_SCAN_JOBS_MAX, PAGE_MAX, Page, STAGED_HOURS, Submission,
    },
};

impl StoredJob {
    pub(super) fn flight(&self) -> Flight {
        if self.marks.is_empty() { Flight::Grounded } else { Flight::UnderWay }
    }

    fn record(&self) -> JobRecord {
        JobRecord { job: self.job.clone(), marked: !self.marks.is_empty() }
    }

    fn addresses(&self) -> impl Iterator<Item = &Address> {
        let each: &[MergeRecipient] = match &self.content {
            Stored::Plain(_) => &[],
            Stored::Merge { recipients, .. } => recipients,
        };
        let together = self.job.recipients().iter().map(|recipient| &recipient.address);
        together.chain(each.iter().map(|recipient| &recipient.address))
    }

    fn matches(&self, filter: &JobFilter, now: Timestamp) -> bool {
        let job = &self.job;
        let is_for = |wanted: &String| self.addresses().any(|address| address.as_str().eq_ignore_ascii_case(wanted));
        filter.account.as_ref().is_none_or(|wanted| job.account == *wanted)
            && (filter.states.is_empty() || filter.states.contains(&job.state(self.flight(), now)))
            && filter.label.as_ref().is_none_or(|wanted| job.labels.contains(wanted))
            && filter.recipient.as_ref().is_none_or(is_for)
            && filter.accepted_from.is_none_or(|from| job.accepted_at >= from)
            && filter.accepted_before.is_none_or(|end| job.accepted_at < end)
    }
}

impl Model {
    pub(super) fn submitted(&self, idempotency: &Idempotency) -> Option<Acceptance> {
        let used = self.keys.get(&key_of(&idempotency.caller, &idempotency.key))?;
        let is_same = used.payload_hash == idempotency.payload_hash;
        Some(if is_same { Acceptance::Existing(used.job) } else { Acceptance::KeyReused(used.job) })
    }

    pub(super) fn accept(&mut self, submission: Submission) -> Acceptance {
        let Submission { job, message, idempotency, counted } = submission;
        self.accept_job(job, Stored::Plain(message), idempotency, &counted)
    }

    pub(super) fn accept_job(
        &mut self,
        job: Job,
        content: Stored,
        idempotency: Option<Idempotency>,
        counted: &[Counted],
    ) -> Acceptance {
        if let Some(known) = idempotency.as_ref().and_then(|idempotency| self.submitted(idempotency)) {
            return known;
        }
        if !self.accounts.contains_key(&job.account) {
            return Acceptance::UnknownAccount;
        }
        if self.open_jobs_max.is_some_and(|max| self.open_jobs(&job.account) >= max) {
            return Acceptance::QueueFull;
        }
        if let Some(Idempotency { caller, key, payload_hash }) = idempotency {
            self.keys.insert(key_of(&caller, &key), UsedKey { job: job.id, payload_hash, at: job.accepted_at });
        }
        self.count(&job.account, counted, job.accepted_at);
        self.note_job(job.accepted_at, &job, Flight::Grounded, JobChange::Accepted);
        self.touch(&job.account);
        let id = job.id;
        self.jobs.insert(id, StoredJob { job, content, marks: BTreeMap::new() });
        self.name_job(id);
        Acceptance::Accepted
    }

    pub(super) fn job(&self, id: JobId) -> Option<JobRecord> {
        self.jobs.get(&id).map(StoredJob::record)
    }

    pub(super) fn list(&self, filter: &JobFilter, page: Page) -> JobPage {
        let limit = page.limit.clamp(1, PAGE_MAX);
        let mut older = self.jobs.iter().rev().filter(|(id, _)| page.after.is_none_or(|after| **id < after));
        let mut jobs = Vec::new();
        let mut last = None;
        for (id, stored) in older.by_ref().take(LIST_SCAN_JOBS_MAX) {
            last = Some(*id);
            if stored.matches(filter, page.now) {
                jobs.push(stored.record());
            }
            if jobs.len() == limit {
                break;
            }
        }
        JobPage { jobs, next: last.filter(|_| older.next().is_some()) }
    }

    pub(super) fn control(&mut self, id: JobId, control: Control, now: Timestamp) -> Controlled {
        let Some(stored) = self.jobs.get_mut(&id) else {
            return Controlled::Unknown;
        };
        // Only a retry could open a finished job again, and without its account it would stay open for ever.
        if !stored.job.is_open() && !self.accounts.contains_key(&stored.job.account) {
            return Controlled::Refused(ControlRefusal::NothingToDo);
        }
        let (flight, uncounted) = (stored.flight(), stored.job.uncounted());
        let mut job = stored.job.clone();
        let again = match job.control(control, flight, now) {
            Ok(again) => again,
            Err(refusal) => return Controlled::Refused(refusal),
        };
        stored.job = job;
        if let Some(again) = again {
            stored.reopen(again);
        }
        stored.reschedule();
        let job = stored.job.clone();
        self.count(&job.account, &job.counted_since(&uncounted, None), now);
        self.note_job(now, &job, flight, JobChange::Controlled(control));
        self.touch(&job.account);
        Controlled::Done
    }

    pub(super) fn approve(&mut self, id: JobId, by: &Caller, now: Timestamp) -> Controlled {
        let Some(stored) = self.jobs.get_mut(&id) else {
            return Controlled::Unknown;
        };
        if let Err(refusal) = stored.job.approve(by, now) {
            return Controlled::Refused(refusal);
        }
        let job = stored.job.clone();
        self.note_job(now, &job, Flight::Grounded, JobChange::Approved);
        self.touch(&job.account);
        Controlled::Done
    }

    /// Forgets up to `limit` records: finished jobs first, then events, then idempotency keys.
    pub(super) fn prune(&mut self, finished_before: Timestamp, limit: usize, now: Timestamp) -> u64 {
        let is_old = |job: &Job| {
            job.accepted_at < finished_before && job.finished_at().is_some_and(|finished| finished < finished_before)
        };
        let remembered = Duration::from_secs(IDEMPOTENCY_DAYS * 24 * 3_600);
        let mut gone = 0;
        let mut may_go = |is_due: bool| {
            let goes = is_due && gone < limit;
            gone += usize::from(goes);
            goes
        };
        let forgotten = JobId::first_at(now.before(Duration::from_secs(STAGED_HOURS * 3_600)));
        self.staged.retain(|id, _| *id >= forgotten);
        self.jobs.retain(|_, stored| !may_go(is_old(&stored.job)));
        let jobs = &self.jobs;
        self.returns.names.retain(|_, message| jobs.contains_key(&message.job));
        let oldest = InboundId::first_at(finished_before);
        self.returns.mails.retain(|id, _| !may_go(*id < oldest));
        let known_for = Duration::from_secs(FINGERPRINT_DAYS * 24 * 3_600);
        self.returns.fingerprints.retain(|_, at| !may_go(now.since(*at) > known_for));
        let mut pruned = self.pruned;
        self.events.retain(|cursor, event| {
            let goes = may_go(event.at < finished_before);
            pruned = if goes { pruned.max(*cursor) } else { pruned };
            !goes
        });
        self.pruned = pruned;
        self.keys.retain(|_, used| !may_go(now.since(used.at) > remembered));
        self.prune_suppressions(now, &mut may_go);
        self.prune_blobs(now, &mut may_go);
        gone += self.prune_counts(now);
        gone as u64
    }

    /// Appends an event about a job, with the state in which it is now.
    pub(super) fn note_job(&mut self, at: Timestamp, job: &Job, flight: Flight, change: JobChange) {
        let kind = EventKind::Job { id: job.id, change, state: job.state(flight, at) };
        self.note(at, &job.account, kind);
    }
}
