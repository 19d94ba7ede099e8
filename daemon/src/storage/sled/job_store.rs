//! Jobs as their callers see them, on sled.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    SledStore,
    jobs::{self, Before, StoredJob, job_event},
    keys::{Family, Key},
    merge::{
        again::{Rest, control_merge},
        open::OpenMerge,
    },
    shelving::load_message,
    txn::Txn,
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        event::JobChange,
        ids::{Caller, JobId},
        job::{Control, ControlRefusal, Flight},
        mail::Message,
        time::Timestamp,
    },
    storage::{
        Acceptance, Controlled, Idempotency, JobFilter, JobPage, JobRecord, JobStore, LIST_SCAN_JOBS_MAX,
        MERGE_SCAN_RECIPIENTS_MAX, PAGE_MAX, Page, StorageError, Submission, records::job::Location,
    },
};

/// About how many bytes a control call takes for each job.
const CONTROL_BYTES: usize = 1_024;

#[async_trait]
impl JobStore for SledStore {
    async fn accept(&self, submissions: Vec<Submission>) -> Result<Vec<Acceptance>, StorageError> {
        self.accept_jobs(submissions).await
    }

    async fn submitted(&self, idempotency: &Idempotency) -> Result<Option<Acceptance>, StorageError> {
        self.find_submission(idempotency).await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRecord>, StorageError> {
        let stored = jobs::load(&self.disk, id)?;
        stored.map(|stored| self.record(stored)).transpose()
    }

    async fn message(&self, id: JobId) -> Result<Option<Message>, StorageError> {
        match jobs::load(&self.disk, id)? {
            None => Ok(None),
            Some(stored) if stored.job.merge().is_some() => Ok(None),
            Some(stored) => self.message_of(&Arc::new(stored)).await.map(Some),
        }
    }

    async fn list(&self, filter: &JobFilter, page: Page) -> Result<JobPage, StorageError> {
        let filter = filter.clone();
        self.in_background(move |store| store.find_jobs(&filter, page)).await
    }

    async fn control(
        &self,
        ids: Vec<JobId>,
        control: Control,
        now: Timestamp,
    ) -> Result<Vec<Controlled>, StorageError> {
        let weight = Weight { changes: ids.len(), bytes: ids.len() * CONTROL_BYTES };
        let control = move |txn: &mut Txn| control_all(txn, &ids, control, now);
        let (answers, rests) = self.writer.commit(weight, Patience::Refuse, control).await?;
        for rest in rests {
            self.reopen_rest(rest).await?;
        }
        Ok(answers)
    }

    async fn approve(&self, ids: Vec<JobId>, by: &Caller, now: Timestamp) -> Result<Vec<Controlled>, StorageError> {
        let weight = Weight { changes: ids.len(), bytes: ids.len() * CONTROL_BYTES };
        let by = by.clone();
        let approve = move |txn: &mut Txn| approve_all(txn, &ids, &by, now);
        self.writer.commit(weight, Patience::Refuse, approve).await
    }
}

type AllControlled = (Vec<Controlled>, Vec<Rest>);

fn control_all(txn: &mut Txn, ids: &[JobId], control: Control, now: Timestamp) -> Result<AllControlled, StorageError> {
    txn.flush_merges()?;
    // Read all before the first is changed: a damaged one refuses the call, which then has changed nothing.
    for id in ids {
        jobs::load(txn, *id)?;
    }
    let mut rests = Vec::new();
    let answers = ids.iter().map(|id| control_one(txn, *id, control, now, &mut rests)).collect::<Result<_, _>>()?;
    Ok((answers, rests))
}

fn control_one(
    txn: &mut Txn,
    id: JobId,
    control: Control,
    now: Timestamp,
    rests: &mut Vec<Rest>,
) -> Result<Controlled, StorageError> {
    txn.flush_merges()?;
    let Some(mut stored) = jobs::load(txn, id)? else {
        return Ok(Controlled::Unknown);
    };
    let Some(account) = txn.accounts.get(&stored.job.account).map(|entry| entry.number) else {
        // The account was deleted: nobody could send it.
        return Ok(Controlled::Refused(ControlRefusal::NothingToDo));
    };
    if stored.job.merge().is_some() {
        return control_merge(txn, OpenMerge::new(account, stored), control, now, rests);
    }
    let flight = jobs::flight_of(txn, account, &stored.job)?;
    let (before, uncounted) = (Before::of(account, &stored.job, flight), stored.job.uncounted());
    if let Err(refusal) = stored.job.control(control, flight, now) {
        return Ok(Controlled::Refused(refusal));
    }
    txn.replace_job(account, &stored, &before, flight);
    txn.made.changed.insert(stored.job.account.clone());
    txn.count(account, &stored.job.counted_since(&uncounted, None), now);
    txn.event(job_event(&stored.job, JobChange::Controlled(control), flight, now));
    Ok(Controlled::Done)
}

fn approve_all(txn: &mut Txn, ids: &[JobId], by: &Caller, now: Timestamp) -> Result<Vec<Controlled>, StorageError> {
    txn.flush_merges()?;
    // As in `control_all`: a damaged one refuses the call, which then has changed nothing.
    for id in ids {
        jobs::load(txn, *id)?;
    }
    ids.iter().map(|id| approve_one(txn, *id, by, now)).collect()
}

/// What waits for approval was never under way, so merge jobs are as plain ones.
fn approve_one(txn: &mut Txn, id: JobId, by: &Caller, now: Timestamp) -> Result<Controlled, StorageError> {
    let Some(mut stored) = jobs::load(txn, id)? else {
        return Ok(Controlled::Unknown);
    };
    let mut approved = stored.job.clone();
    if let Err(refusal) = approved.approve(by, now) {
        return Ok(Controlled::Refused(refusal));
    }
    let Some(account) = txn.accounts.get(&stored.job.account).map(|entry| entry.number) else {
        return Ok(Controlled::Refused(ControlRefusal::NothingToDo));
    };
    let before = Before::of(account, &stored.job, Flight::Grounded);
    stored.job = approved;
    txn.replace_job(account, &stored, &before, Flight::Grounded);
    txn.made.changed.insert(stored.job.account.clone());
    txn.event(job_event(&stored.job, JobChange::Approved, Flight::Grounded, now));
    Ok(Controlled::Done)
}

impl SledStore {
    /// A job's message; a file is read in the background.
    pub(super) async fn message_of(&self, stored: &Arc<StoredJob>) -> Result<Message, StorageError> {
        if !matches!(stored.body.location, Location::File(_)) && stored.body.cuts.is_empty() {
            return load_message(&self.disk, &self.shelves, stored);
        }
        let stored = Arc::clone(stored);
        self.in_background(move |store| load_message(&store.disk, &store.shelves, &stored)).await
    }

    fn record(&self, stored: StoredJob) -> Result<JobRecord, StorageError> {
        let flight = match self.number_of(&stored.job.account) {
            Some(account) => jobs::flight_of(&self.disk, account, &stored.job)?,
            None => Flight::Grounded,
        };
        Ok(JobRecord { job: stored.job, marked: flight == Flight::UnderWay })
    }

    fn find_jobs(&self, filter: &JobFilter, page: Page) -> Result<JobPage, StorageError> {
        let limit = page.limit.clamp(1, PAGE_MAX);
        let first = filter.accepted_from.map_or(JobId::from_bytes([0; 16]), JobId::first_at);
        let end = filter.accepted_before.map_or(JobId::from_bytes([0xff; 16]), JobId::first_at);
        let end = page.after.map_or(end, |after| after.min(end));
        let start = Key::Job { job: first, chunk: 0 }.to_bytes();
        let end = Key::Job { job: end, chunk: 0 }.to_bytes();
        let mut found = JobPage { jobs: Vec::new(), next: None };
        if start >= end {
            return Ok(found);
        }
        let (mut seen, mut looked_at) = (0, 0);
        for entry in self.disk.tree.range(start..end).keys().rev() {
            let key = self.disk.checked(entry)?;
            let Some(Key::Job { job: id, chunk: 0 }) = Key::parse(&key) else { continue };
            seen += 1;
            if let Some(record) = self.listed(id)?.filter(|record| matches(filter, record, page.now))
                && self.is_for(filter, &record, &mut looked_at)?
            {
                found.jobs.push(record);
            }
            let is_enough = seen == LIST_SCAN_JOBS_MAX || looked_at >= MERGE_SCAN_RECIPIENTS_MAX;
            if found.jobs.len() == limit || is_enough {
                let rest = [Family::Job as u8];
                let before = self.disk.tree.range(rest.to_vec()..key.to_vec()).next_back();
                found.next = before.map(|entry| self.disk.checked(entry)).transpose()?.map(|_| id);
                break;
            }
        }
        Ok(found)
    }

    /// Whether a job that matches otherwise has the wanted recipient. `looked_at` counts the recipients of merge jobs that
    /// had to be looked at.
    fn is_for(&self, filter: &JobFilter, record: &JobRecord, looked_at: &mut u32) -> Result<bool, StorageError> {
        let job = &record.job;
        let Some(wanted) = &filter.recipient else { return Ok(true) };
        let Some(progress) = job.merge() else {
            return Ok(job.recipients().iter().any(|one| one.address.as_str().eq_ignore_ascii_case(wanted)));
        };
        *looked_at = looked_at.saturating_add(progress.messages);
        match self.has_recipient(job.id, wanted) {
            Err(StorageError::Damaged(why)) => {
                tracing::warn!(job = %job.id, reason = %why, "a list leaves a damaged job out");
                Ok(false)
            }
            found => found,
        }
    }

    /// A job for a list; a damaged one is left out and logged.
    fn listed(&self, id: JobId) -> Result<Option<JobRecord>, StorageError> {
        match jobs::load(&self.disk, id) {
            Ok(stored) => stored.map(|stored| self.record(stored)).transpose(),
            Err(StorageError::Damaged(why)) => {
                tracing::warn!(job = %id, reason = %why, "a list leaves a damaged job out");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether all of a filter holds but for the recipient.
fn matches(filter: &JobFilter, record: &JobRecord, now: Timestamp) -> bool {
    let job = &record.job;
    let flight = if record.marked { Flight::UnderWay } else { Flight::Grounded };
    filter.account.as_ref().is_none_or(|account| job.account == *account)
        && (filter.states.is_empty() || filter.states.contains(&job.state(flight, now)))
        && filter.label.as_ref().is_none_or(|label| job.labels.contains(label))
        && filter.accepted_from.is_none_or(|from| job.accepted_at >= from)
        && filter.accepted_before.is_none_or(|before| job.accepted_at < before)
}
