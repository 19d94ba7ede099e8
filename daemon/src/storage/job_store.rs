//! What a store does for jobs, as their callers see them.

use std::fmt;

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    ids::{AccountId, Caller, IdempotencyKey, JobId, Label},
    job::{Control, ControlRefusal, Job, JobState},
    mail::Message,
    statistics::Counted,
    time::Timestamp,
};

/// Jobs as their callers see them.
#[async_trait]
pub trait JobStore: Send + Sync + fmt::Debug {
    /// Stores jobs with their messages. The answers stand in the order of the submissions; each is accepted or refused
    /// by itself. An accepted job is in the ready index at once.
    ///
    /// The idempotency key is looked at first, so a repeated submission is known again even when its account or its job
    /// is gone. A key is remembered for [`IDEMPOTENCY_DAYS`](super::IDEMPOTENCY_DAYS), and after that until the next [`StoreCare::prune`](super::StoreCare::prune). The
    /// ids of the jobs are new: the caller made them of time and chance.
    async fn accept(&self, submissions: Vec<Submission>) -> Result<Vec<Acceptance>, StorageError>;

    /// What [`JobStore::accept`] would answer for an idempotency key that is known; nothing when it is not. For
    /// submissions that can no longer be accepted themselves: their account is gone, or their time has run out.
    async fn submitted(&self, idempotency: &Idempotency) -> Result<Option<Acceptance>, StorageError>;

    /// One job, with whether its in-doubt mark is set.
    async fn job(&self, id: JobId) -> Result<Option<JobRecord>, StorageError>;

    /// A plain job's composed message; nothing of a merge job, whose messages are made when they are sent.
    async fn message(&self, id: JobId) -> Result<Option<Message>, StorageError>;

    /// Jobs that match, the youngest first, beginning after `page.after`.
    async fn list(&self, filter: &JobFilter, page: Page) -> Result<JobPage, StorageError>;

    /// Does the same to several jobs; the answers stand in the order of the ids. A job bears its in-doubt mark as long
    /// as an attempt is [`Flight::UnderWay`](crate::domain::job::Flight). A merge job obeys at once but for what is under
    /// way, which ends by itself; once cancelled it is not tried again. A finished job whose account was deleted is
    /// not opened again: [`ControlRefusal::NothingToDo`].
    async fn control(&self, ids: Vec<JobId>, control: Control, now: Timestamp)
    -> Result<Vec<Controlled>, StorageError>;

    /// Approves jobs, plain or merge, in the name of a caller; the answers stand in the order of the ids. What needs
    /// approval and is neither held nor finished is in the ready index from then on.
    async fn approve(&self, ids: Vec<JobId>, by: &Caller, now: Timestamp) -> Result<Vec<Controlled>, StorageError>;
}

/// A job to be stored.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The job, in its first state.
    pub job: Job,
    /// Its composed message.
    pub message: Message,
    /// The caller's key, if it gave one.
    pub idempotency: Option<Idempotency>,
    /// What is counted when it is accepted.
    pub counted: Vec<Counted>,
}

/// What makes a repeated submission the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose key it is: keys of different callers never meet.
    pub caller: Caller,
    /// The key.
    pub key: IdempotencyKey,
    /// A hash of what the caller sent, by which a different submission under the same key is told apart.
    pub payload_hash: [u8; 32],
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is stored.
    Accepted,
    /// The same was submitted before, as this job; nothing was stored.
    Existing(JobId),
    /// Something else was submitted under this key before, as this job; nothing was stored.
    KeyReused(JobId),
    /// Its account does not exist (any more); nothing was stored.
    UnknownAccount,
    /// Its account has as many open jobs as the store allows; nothing was stored.
    QueueFull,
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// The job.
    pub job: Job,
    /// Whether an attempt is past its in-doubt mark; of a merge job, that of any of its messages.
    pub marked: bool,
}

/// Which jobs are meant. Every part that is given must hold; an empty filter means all jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// In one of these states (at the time given with the page); empty for any.
    pub states: Vec<JobState>,
    /// With this label.
    pub label: Option<Label>,
    /// With a recipient of this address, case ignored.
    pub recipient: Option<String>,
    /// Accepted at this time or later.
    pub accepted_from: Option<Timestamp>,
    /// Accepted before this time.
    pub accepted_before: Option<Timestamp>,
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last job of the page before.
    pub after: Option<JobId>,
    /// Most jobs in this one; at most [`PAGE_MAX`](super::PAGE_MAX).
    pub limit: usize,
    /// The time at which states are meant.
    pub now: Timestamp,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobRecord>,
    /// What the next page has as [`Page::after`]; nothing when the list has ended. A page may be short or even empty and still have a
    /// next one, because a call looks at [`LIST_SCAN_JOBS_MAX`](super::LIST_SCAN_JOBS_MAX) jobs at most, and where a recipient
    /// is wanted, at the recipients of no further merge job after
    /// [`MERGE_SCAN_RECIPIENTS_MAX`](super::MERGE_SCAN_RECIPIENTS_MAX) of them.
    pub next: Option<JobId>,
}

/// What a control call did to one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controlled {
    /// It did what was asked, or noted the wish for the end of the attempt under way.
    Done,
    /// It did nothing, and why.
    Refused(ControlRefusal),
    /// There is no such job.
    Unknown,
}
