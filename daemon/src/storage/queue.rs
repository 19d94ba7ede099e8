//! What a store does for the workers that drain its queue.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;

use super::{
    StorageError,
    settlement::{Diversion, Doubt, Expiry, Mark, MarkOutcome, Omission, Settlement},
};
use crate::domain::{
    backlog::Backlog,
    ids::{AccountId, JobId, Label, MessageKey},
    job::{Flight, Job, Priority, Tries},
    ledger::{ObservedLimit, QuotaKey, Usage},
    mail::{Envelope, Message},
    merge::{
        MergeRecipient, MergeTemplate,
        progress::{MergeOutcome, MergeProgress},
    },
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

    /// The heads of an account's queue: up to `limit` (at most [`PAGE_MAX`](super::PAGE_MAX)) messages that wait, are
    /// due at `now`, bear no in-doubt mark and are not in `skip`; more urgent priorities first, and within a priority the
    /// lanes in turn: the first message of each lane in the order of the lanes' numbers, then the second of each, and so
    /// on. A lane is in the order of due time and id of its jobs. The messages of a merge job stand together in its
    /// place, which is that of its earliest one: first those that were tried before, in the order of due time and index,
    /// then the untouched ones in the order of their indexes.
    async fn ready(
        &self,
        account: &AccountId,
        skip: &HashSet<MessageKey>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Ready, StorageError>;

    /// Messages for sending, in the order of the keys; one that is gone or no longer waits is left out. Whether it bears
    /// a mark is not looked at.
    async fn consign(&self, keys: &[MessageKey]) -> Result<Vec<Consignment>, StorageError>;

    /// Sets in-doubt marks, with their quota charges, before final dots are sent. A message that is gone, belongs to
    /// another account, is not waiting or bears a mark already is not marked: nothing is charged for it, and its final
    /// dot must not be sent. So a mark that an earlier worker left must be settled before its message is sent again.
    async fn mark_in_doubt(&self, tenure: &Tenure, marks: Vec<Mark>) -> Result<Vec<MarkOutcome>, TenureError>;

    /// Records what attempts met: recipients, history, due time, ledger and event of each, and takes its mark away.
    /// Works on the job as it is now, not as the worker saw it: what is final stays final, and a job that is held stays
    /// held, due again when the attempt says so. A job that is gone, or belongs to another account, is left alone; the
    /// charges are made all the same. No bucket of the ledger falls below zero.
    ///
    /// The event is [`JobChange::attempted`](crate::domain::event::JobChange::attempted). When an attempt is given up
    /// ([`Settlement::attempt`] is nothing), a wish of the time of the mark is done too, and told as
    /// [`Controlled`](crate::domain::event::JobChange::Controlled); without a wish there is no event. Merge jobs have no
    /// wishes: a message of one that was withdrawn or whose time ran out meanwhile ends with the others.
    async fn settle(&self, tenure: &Tenure, settlements: Vec<Settlement>) -> Result<(), TenureError>;

    /// Ends jobs whose client's time has run out; those that are no longer waiting, bear an in-doubt mark or have time
    /// left (a retry may have taken the limit away) are left as they are. Of a merge job all ends that bears no mark.
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

    /// Jobs of an account that another one may take over (see
    /// [`Job::divertible_since`](crate::domain::job::Job::divertible_since)) and that are due at `now`, up to `limit` (at
    /// most [`PAGE_MAX`](super::PAGE_MAX)), in the order of due time and id, beginning after `after`. An account without
    /// such jobs is answered by one look.
    async fn divertible(
        &self,
        account: &AccountId,
        after: Option<(Timestamp, JobId)>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Divertible, StorageError>;

    /// Gives jobs to other accounts, each with the event that says so, and wakes those. A job that belongs to another
    /// account by now, does not wait, bears an in-doubt mark, was given to a provider, does not name that account as its
    /// fallback, or whose new account is gone or has as many open jobs as are allowed, stays where it is. The answers
    /// stand in the order of the moves.
    ///
    /// What a courier of the old account does with such a job meanwhile comes to nothing: its mark is refused.
    async fn divert(&self, tenure: &Tenure, moves: Vec<Diversion>) -> Result<Vec<bool>, TenureError>;

    /// Leaves recipients out that must not be sent to, each with the event that says so. Those that do not wait any more, or whose
    /// message bears a mark, stay as they are. Other recipients of the job wait on. Answers with whether each omission left anybody out,
    /// in order; one of a message that is damaged does not.
    async fn leave_out(&self, tenure: &Tenure, omissions: Vec<Omission>) -> Result<Vec<bool>, TenureError>;

    /// Messages of an account with recipients in doubt, which bear no mark, in the order of the time since when they are in doubt;
    /// up to `limit` (at most [`PAGE_MAX`](super::PAGE_MAX)).
    async fn doubts(&self, account: &AccountId, limit: usize) -> Result<Vec<Doubt>, StorageError>;

    /// Ends the doubt about a message: what was found counts as submitted, without a reply; what was not waits again, due at once.
    /// False when it is not in doubt any more, is in doubt since another time, belongs to another account, or when no copy of it
    /// could tell ([`Job::is_told_by_copy`](crate::domain::job::Job::is_told_by_copy)).
    async fn resolve_doubt(
        &self,
        account: &AccountId,
        doubt: Doubt,
        found: bool,
        now: Timestamp,
    ) -> Result<bool, StorageError>;

    /// The marks of an account that were set and never settled: what was in doubt when a worker stopped.
    async fn in_doubt(&self, account: &AccountId) -> Result<Vec<Mark>, StorageError>;

    /// What waits of an account; nothing of one that does not exist. It is counted with each change: nothing is read.
    async fn backlog(&self, account: &AccountId) -> Result<Backlog, StorageError>;

    /// What of it is due after `at` only. At most [`LATER_SCAN_JOBS_MAX`](super::LATER_SCAN_JOBS_MAX) jobs of each priority are
    /// looked at, and their bytes are not told. Of a merge job those that were never tried count.
    async fn backlog_after(&self, account: &AccountId, at: Timestamp) -> Result<Backlog, StorageError>;

    /// Remembers at which limit of a quota the provider was seen to refuse, instead of what was remembered of this quota. It is
    /// deleted with the account.
    async fn observe_limit(&self, tenure: &Tenure, observed: ObservedLimit) -> Result<(), TenureError>;

    /// The limits that were observed, in any order; also those of quotas that are no longer configured.
    async fn observed_limits(&self, account: &AccountId) -> Result<Vec<ObservedLimit>, StorageError>;

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
    /// Messages that are due, in the order in which they should go.
    pub messages: Vec<ReadyMessage>,
    /// When the next message becomes due that waits, is not due yet and bears no mark; nothing when there is none. What
    /// is in `skip` counts too. When as many messages as were asked for are ready, those of merge jobs that have others
    /// due may not be counted.
    pub next_due: Option<Timestamp>,
}

/// Jobs that another account may take over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Divertible {
    /// Those that are due, in order.
    pub jobs: Vec<Job>,
    /// When the next one becomes due, when all that are due were told.
    pub next_due: Option<Timestamp>,
}

/// One entry of the ready index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyMessage {
    /// The message.
    pub message: MessageKey,
    /// How urgent it is.
    pub priority: Priority,
    /// The lane of its first label; see [`lane_of`].
    pub lane: u32,
    /// Since when it is due.
    pub due: Timestamp,
    /// How many recipients its next attempt is for.
    pub recipients: u32,
    /// How many bytes its message has at most: exactly those of a plain job's; see [`Job::message_bytes_max`].
    pub bytes: u64,
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

/// A message that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consignment {
    /// Which one.
    pub key: MessageKey,
    /// How often it was tried before.
    pub tries: Tries,
    /// The indexes of the recipients that wait, in the order of the envelope.
    pub recipients: Vec<u32>,
    /// From whom and to whom.
    pub envelope: Envelope,
    /// What is said.
    pub content: Content,
    /// The labels of its job.
    pub labels: Vec<Label>,
    /// Whether its recipients are sent to although they are suppressed.
    pub override_suppression: bool,
}

/// What a consigned message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The message as it was composed when its job came in.
    Composed(Message),
    /// What the message of a merge job is made of.
    Merge {
        /// The content of the job, shared by its messages.
        template: Arc<MergeTemplate>,
        /// To whom, and what the variables mean.
        recipient: MergeRecipient,
        /// The Date of the message, the same in each attempt: when the job came in.
        date: Timestamp,
    },
}

impl Consignment {
    /// The message of a plain job; nothing when it does not wait.
    #[must_use]
    pub fn of(job: &Job, message: Message) -> Option<Self> {
        job.due()?;
        let recipients = job.pending();
        let waiting = job.recipients().iter().filter(|recipient| recipient.state.is_pending());
        let addresses = waiting.map(|recipient| recipient.address.clone()).collect();
        let envelope = Envelope { sender: job.sender.clone(), recipients: addresses };
        let content = Content::Composed(message);
        Some(Self {
            key: MessageKey::only(job.id),
            tries: job.tries(),
            recipients,
            envelope,
            content,
            labels: job.labels.clone(),
            override_suppression: job.override_suppression,
        })
    }

    /// A message of a merge job, of which this is known; nothing when it does not wait. Its only recipient has the
    /// message's own index.
    #[must_use]
    pub fn of_merge(
        job: &Job,
        index: u32,
        known: Option<&MergeOutcome>,
        template: Arc<MergeTemplate>,
        recipient: MergeRecipient,
    ) -> Option<Self> {
        job.due()?;
        let state = job.merge()?.state_of(known, Flight::Grounded);
        let envelope = Envelope { sender: job.sender.clone(), recipients: vec![recipient.address.clone()] };
        let consignment = Self {
            key: MessageKey { job: job.id, index },
            tries: MergeProgress::tries_of(known, job.expires_at),
            recipients: vec![index],
            envelope,
            content: Content::Merge { template, recipient, date: job.accepted_at },
            labels: job.labels.clone(),
            override_suppression: job.override_suppression,
        };
        state.is_pending().then_some(consignment)
    }
}
