//! What a store must do, in the words of the domain. Engines are below; `contract` holds the rules as callable checks.
//!
//! # What every engine promises
//!
//! - **Durable, then answered.** A method that changes something returns once the change survives `kill -9` and a power
//!   cut. Callers at the same time may share one commit.
//! - **All or nothing.** Each change below is atomic: a crash leaves all of it or none of it. Several changes sent in
//!   one call are each atomic, and take effect in the order given.
//! - **One line of events.** Changes take effect one after the other. Where two disagree (a cancel and an in-doubt mark
//!   of the same job), the first wins, and the second is told so.
//! - **Bounded.** Lists are paged; a call that would have to grow memory beyond the engine's bounds is refused with
//!   [`StorageError::Overloaded`]; nothing was stored then.
//! - **Fail-stop.** After [`StorageError::Failed`] the engine changes nothing any more, and the daemon ends: only a
//!   restart tells what reached the disk.

use std::{collections::HashSet, fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::domain::{
    account::Account,
    event::{Cursor, Event},
    ids::{AccountId, Caller, Etag, IdempotencyKey, JobId, Label},
    job::{Control, ControlRefusal, Job, JobState, Priority},
    ledger::{QuotaKey, Usage},
    mail::Message,
    parking::Standing,
    time::Timestamp,
};

pub mod blobs;
#[cfg(test)]
pub mod contract;
pub mod memory;
pub mod records;
pub mod settlement;
pub mod sled;

use settlement::{Expiry, Mark, MarkOutcome, Settlement};

/// Most accounts, jobs or events that one page holds.
pub const PAGE_MAX: usize = 1_000;
/// Most jobs that one call of [`JobStore::list`] looks at before it returns what it has found so far.
pub const LIST_SCAN_JOBS_MAX: usize = 20_000;
/// How long an idempotency key is remembered, in days.
pub const IDEMPOTENCY_DAYS: u64 = 7;

/// A whole store: what `app::wiring` makes, and what the layers above share.
pub trait Storage: AccountStore + JobStore + Queue + EventLog + StoreCare {}

impl<T: AccountStore + JobStore + Queue + EventLog + StoreCare> Storage for T {}

/// A store that several tasks share.
pub type SharedStorage = Arc<dyn Storage>;

/// Why a store did not do what it was asked, whatever that was.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Too much is waiting to be written. Nothing was stored; try again later.
    #[error("the store is overloaded: {0}")]
    Overloaded(&'static str),
    /// The disk is nearly full. Nothing was stored; intake opens again when there is room.
    #[error("the store's disk is nearly full: {free_bytes} bytes left, {needed_bytes} needed to accept jobs")]
    DiskNearlyFull {
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that must be free before intake opens again.
        needed_bytes: u64,
    },
    /// A stored record cannot be read. It is quarantined when the store is next verified.
    #[error("a stored record is damaged: {0}")]
    Damaged(String),
    /// The engine has stopped. Whether this change is durable is not known.
    #[error("the store has stopped: {0}")]
    Failed(String),
}

/// Accounts: their settings, and whether they may send.
#[async_trait]
pub trait AccountStore: Send + Sync + fmt::Debug {
    /// Stores a new account with [`Standing::Active`]. Refused when the id is taken.
    async fn create_account(&self, account: Account) -> Result<(), CreateAccountError>;

    /// One account, if there is such a one.
    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, StorageError>;

    /// Up to `limit` (at most [`PAGE_MAX`]) accounts in the order of their ids, beginning after `after`.
    async fn accounts(&self, after: Option<&AccountId>, limit: usize) -> Result<Vec<AccountRecord>, StorageError>;

    /// Replaces an account's settings. `expected` is the etag that the caller has seen; `account` carries the new one.
    async fn update_account(&self, account: Account, expected: Etag) -> Result<(), UpdateAccountError>;

    /// Deletes an account, its ledger and its standing, and ends its tenure. Its finished jobs stay until they are
    /// pruned. Refused while it has open jobs: cancel them first.
    async fn delete_account(
        &self,
        id: &AccountId,
        expected: Option<Etag>,
        now: Timestamp,
    ) -> Result<(), DeleteAccountError>;

    /// Parks an account or makes it active again, and writes the event that says so. Setting what is already set
    /// writes nothing, and neither does an account that does not exist.
    async fn set_standing(&self, id: &AccountId, standing: Standing, now: Timestamp) -> Result<(), StorageError>;
}

/// An account with what the store keeps beside its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The settings.
    pub account: Account,
    /// Whether it may send.
    pub standing: Standing,
    /// How many of its jobs have a recipient that is not final.
    pub open_jobs: u64,
}

/// Why an account was not created.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CreateAccountError {
    #[error("there is an account of this id already")]
    Exists,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UpdateAccountError {
    #[error("there is no such account")]
    Unknown,
    #[error("the account was changed by someone else: its etag is {current} now")]
    Stale { current: Etag },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an account was not deleted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DeleteAccountError {
    #[error("there is no such account")]
    Unknown,
    #[error("the account was changed by someone else: its etag is {current} now")]
    Stale { current: Etag },
    #[error("the account has {0} open jobs")]
    OpenJobs(u64),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Jobs as their callers see them.
#[async_trait]
pub trait JobStore: Send + Sync + fmt::Debug {
    /// Stores jobs with their messages. The answers stand in the order of the submissions; each is accepted or refused
    /// by itself. An accepted job is in the ready index at once.
    ///
    /// The idempotency key is looked at first, so a repeated submission is known again even when its account or its job
    /// is gone. A key is remembered for [`IDEMPOTENCY_DAYS`], and after that until the next [`StoreCare::prune`]. The
    /// ids of the jobs are new: the caller made them of time and chance.
    async fn accept(&self, submissions: Vec<Submission>) -> Result<Vec<Acceptance>, StorageError>;

    /// One job, with whether its in-doubt mark is set.
    async fn job(&self, id: JobId) -> Result<Option<JobRecord>, StorageError>;

    /// A job's composed message.
    async fn message(&self, id: JobId) -> Result<Option<Message>, StorageError>;

    /// Jobs that match, the youngest first, beginning after `page.after`.
    async fn list(&self, filter: &JobFilter, page: Page) -> Result<JobPage, StorageError>;

    /// Does the same to several jobs; the answers stand in the order of the ids. A job bears its in-doubt mark as long
    /// as an attempt is [`Flight::UnderWay`](crate::domain::job::Flight). A finished job whose account was deleted is
    /// not opened again: [`ControlRefusal::NothingToDo`].
    async fn control(&self, ids: Vec<JobId>, control: Control, now: Timestamp)
    -> Result<Vec<Controlled>, StorageError>;
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
    /// Whether an attempt is past its in-doubt mark.
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
    /// Most jobs in this one; at most [`PAGE_MAX`].
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
    /// next one, because a call looks at [`LIST_SCAN_JOBS_MAX`] jobs at most.
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

/// The queue as workers see it.
///
/// A worker first takes its account's *tenure*. Each of its changes shows it; once another has taken the tenure, they are
/// refused with [`TenureError::Lost`], so that the ledger, the pace and the sessions of an account live in one place.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Takes an account over from whoever held it.
    async fn take_tenure(&self, account: &AccountId) -> Result<Tenure, StorageError>;

    /// The accounts that have a waiting job, due or not yet, or an in-doubt mark, in the order of their ids; asked once
    /// at the start.
    async fn accounts_with_work(&self) -> Result<Vec<AccountId>, StorageError>;

    /// The accounts whose queue, settings or standing changed since the last call; waits until there is one. One
    /// task asks; each change is told at least once, and many changes of one account as one. What a worker did itself
    /// by showing its tenure need not be told.
    async fn changed(&self) -> HashSet<AccountId>;

    /// The heads of an account's queue: up to `limit` (at most [`PAGE_MAX`]) jobs that wait, are due at `now`, bear no
    /// in-doubt mark and are not in `skip`; more urgent priorities first, and within a priority the lanes in turn: the
    /// first job of each lane in the order of the lanes' numbers, then the second of each, and so on. A lane is in the
    /// order of due time and id.
    async fn ready(
        &self,
        account: &AccountId,
        skip: &HashSet<JobId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Ready, StorageError>;

    /// Jobs with their messages, for sending, in the order of the ids; a job that is gone is left out.
    async fn consign(&self, ids: &[JobId]) -> Result<Vec<Consignment>, StorageError>;

    /// Sets in-doubt marks, with their quota charges, before final dots are sent. A job that is gone, belongs to another
    /// account, is not waiting or bears a mark already is not marked: nothing is charged for it, and its final dot must
    /// not be sent. So a mark that an earlier worker left must be settled before its job is sent again.
    async fn mark_in_doubt(&self, tenure: &Tenure, marks: Vec<Mark>) -> Result<Vec<MarkOutcome>, TenureError>;

    /// Records what attempts met: recipients, history, due time, ledger and event of each, and takes its mark away.
    /// Works on the job as it is now, not as the worker saw it: what is final stays final, and a job that is held stays
    /// held, due again when the attempt says so. A job that is gone, or belongs to another account, is left alone; the
    /// charges are made all the same. No bucket of the ledger falls below zero.
    ///
    /// The event is [`JobChange::attempted`](crate::domain::event::JobChange::attempted). When an attempt is given up
    /// ([`Settlement::attempt`] is nothing), a wish of the time of the mark is done too, and told as
    /// [`Controlled`](crate::domain::event::JobChange::Controlled); without a wish there is no event.
    async fn settle(&self, tenure: &Tenure, settlements: Vec<Settlement>) -> Result<(), TenureError>;

    /// Ends jobs whose client's time has run out; those that are no longer waiting, bear an in-doubt mark or have time
    /// left (a retry may have taken the limit away) are left as they are.
    async fn expire(&self, tenure: &Tenure, expiries: Vec<Expiry>) -> Result<(), TenureError>;

    /// The marks of an account that were set and never settled: what was in doubt when a worker stopped.
    async fn in_doubt(&self, account: &AccountId) -> Result<Vec<Mark>, StorageError>;

    /// The account's quota ledger, in any order; a bucket that fell to zero may be left out.
    async fn usage(&self, account: &AccountId) -> Result<Vec<Usage>, StorageError>;

    /// Forgets buckets that no window can reach any more.
    async fn forget_usage(&self, tenure: &Tenure, buckets: Vec<(QuotaKey, u64)>) -> Result<(), TenureError>;
}

/// The right to send from an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// The account.
    pub account: AccountId,
    /// Counts how often the account was taken over; an older one is refused.
    pub epoch: u64,
}

/// Why a worker's change was refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TenureError {
    #[error("another worker has taken account {0} over")]
    Lost(AccountId),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The heads of an account's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Jobs that are due, in the order in which they should go.
    pub jobs: Vec<ReadyJob>,
    /// When the next job becomes due that waits, is not due yet and bears no mark; nothing when there is none. What is
    /// in `skip` counts too.
    pub next_due: Option<Timestamp>,
}

/// One entry of the ready index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyJob {
    /// The job.
    pub id: JobId,
    /// How urgent it is.
    pub priority: Priority,
    /// The lane of its first label; see [`lane_of`].
    pub lane: u32,
    /// Since when it is due.
    pub due: Timestamp,
}

/// The lane of a job: 0 without labels, else a number made from the first one.
#[must_use]
pub fn lane_of(labels: &[Label]) -> u32 {
    labels.first().map_or(0, |label| {
        let hash = blake3::hash(label.as_str().as_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        u32::from_be_bytes([a, b, c, d]).max(1)
    })
}

/// A job with its message, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consignment {
    /// The job.
    pub job: Job,
    /// Its message.
    pub message: Message,
}

/// What happened, durably and in order.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug {
    /// Up to `limit` (at most [`PAGE_MAX`]) events after `after`, each with the cursor that comes after it.
    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StorageError>;

    /// The cursor after the last durable event, and news of it whenever it grows.
    fn head(&self) -> watch::Receiver<Cursor>;
}

/// Looking after the store itself.
#[async_trait]
pub trait StoreCare: Send + Sync + fmt::Debug {
    /// Whether the store can take jobs at present, and if not, why: the disk is nearly full, or the engine has stopped.
    async fn health(&self) -> Result<(), StorageError>;

    /// Deletes up to `limit` records: jobs that were accepted and finished before `finished_before`, events from before
    /// it, and idempotency keys older than [`IDEMPOTENCY_DAYS`] at `now`. Returns how many went; call again until it is
    /// zero. Writes no events.
    async fn prune(&self, finished_before: Timestamp, limit: usize, now: Timestamp) -> Result<u64, StorageError>;

    /// Reads every record and checks it, counts what should agree, rebuilds what is derived, and moves what is
    /// unreadable to quarantine.
    async fn verify(&self, progress: &dyn Progress) -> Result<Findings, StorageError>;

    /// Writes a consistent copy of the whole store below the new directory `target`, while the store is in use.
    async fn backup(&self, target: &Path, progress: &dyn Progress) -> Result<u64, StorageError>;

    /// Writes all records as JSON lines; secrets stay sealed. Returns how many.
    async fn export(&self, out: &mut (dyn std::io::Write + Send), progress: &dyn Progress)
    -> Result<u64, StorageError>;

    /// Reads what `export` wrote into a store that holds no account and no job. Returns how many records.
    async fn import(
        &self,
        from: &mut (dyn std::io::BufRead + Send),
        progress: &dyn Progress,
    ) -> Result<u64, StorageError>;

    /// Stops taking changes, makes everything durable and closes the files. Changes are refused afterwards.
    async fn close(&self) -> Result<(), StorageError>;
}

/// Told how far a long task has come.
pub trait Progress: Send + Sync {
    /// `done` records of about `total` (0 when not known) are done.
    fn report(&self, done: u64, total: u64);
}

/// What a check of the whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Records that were read.
    pub records: u64,
    /// Unreadable records that were moved to quarantine, each as its family and what is wrong; the first 100.
    pub quarantined: Vec<String>,
    /// How many records were moved to quarantine.
    pub quarantined_count: u64,
    /// Derived entries (ready index, tallies) that were missing, wrong or left over, and were mended.
    pub mended: u64,
}
