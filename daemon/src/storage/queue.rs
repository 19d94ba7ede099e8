//! What a store does for the workers that drain its queue.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use async_trait::async_trait;

use super::{
    StorageError,
    settlement::{Expiry, Mark, MarkOutcome, Settlement},
};
use crate::domain::{
    ids::{AccountId, JobId, Label},
    job::{Job, Priority},
    ledger::{QuotaKey, Usage},
    mail::Message,
    parking::Standing,
    time::Timestamp,
};

/// The queue as workers see it.
///
/// A worker first takes its account's *tenure*. Each of its changes shows it; once another has taken the tenure, they are
/// refused with [`TenureError::Lost`], so that the ledger, the pace and the sessions of an account live in one place.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Takes an account over from whoever held it. The tenure of an account that does not exist is worth nothing: every
    /// change that shows it is refused.
    async fn take_tenure(&self, account: &AccountId) -> Result<Tenure, StorageError>;

    /// The accounts that have a waiting job, due or not yet, or an in-doubt mark, in the order of their ids; asked once
    /// at the start.
    async fn accounts_with_work(&self) -> Result<Vec<AccountId>, StorageError>;

    /// The accounts whose queue, settings or standing changed since the last call; waits until there is one. One
    /// task asks; each change is told at least once, and many changes of one account as one. What a worker did itself
    /// by showing its tenure need not be told. They come in an order, so that a simulation can repeat what follows.
    async fn changed(&self) -> BTreeSet<AccountId>;

    /// The heads of an account's queue: up to `limit` (at most [`PAGE_MAX`](super::PAGE_MAX)) jobs that wait, are due at `now`, bear no
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

    /// Parks an account or makes it active again, as its worker finds, and writes the event that says so. A worker
    /// neither ends nor replaces an operator's pause before its time: then nothing changes. Answers with the standing that
    /// holds now.
    async fn report_standing(
        &self,
        tenure: &Tenure,
        standing: Standing,
        now: Timestamp,
    ) -> Result<Standing, TenureError>;

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
    /// How many recipients its next attempt is for.
    pub recipients: u32,
    /// When it is void, if its client said so.
    pub expires_at: Option<Timestamp>,
}

/// The lane of a job: 0 without labels, else a number from 1 to 255 made from the first one.
///
/// So few that a look at the heads of all lanes stays cheap however many labels there are: it costs two seeks for each
/// lane of each priority that has a waiting job. Labels that meet in a lane share its turns.
#[must_use]
pub fn lane_of(labels: &[Label]) -> u32 {
    labels.first().map_or(0, |label| {
        let hash = blake3::hash(label.as_str().as_bytes());
        u32::from(hash.as_bytes()[0]).max(1)
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
