//! What a store does for merge jobs: one content, a message for each of up to a million recipients.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{Acceptance, Idempotency, StorageError};
use crate::domain::{
    ids::JobId,
    job::{Flight, Job},
    merge::{
        MergeRecipient, MergeTemplate, MessageClass,
        progress::{MergeOutcome, MergeProgress},
    },
    recipient::RecipientState,
    statistics::Counted,
    time::Timestamp,
};

/// Most recipients that one call of [`MergeStore::merge_recipients`] looks at before it returns what it has found so far.
pub const MERGE_SCAN_RECIPIENTS_MAX: u32 = 20_000;
/// Most merge jobs whose recipients are staged at the same time.
pub const STAGED_JOBS_MAX: usize = 256;
/// How long staged recipients wait for their job, in hours.
pub const STAGED_HOURS: u64 = 24;

/// Merge jobs, in two steps: the recipients are staged, then the job is accepted with all of them or not at all.
#[async_trait]
pub trait MergeStore: Send + Sync + fmt::Debug {
    /// Takes recipients of a merge job to come, whose id is new. `first` is the index of the first of them: as many as
    /// were staged before, so that none is missing.
    ///
    /// Nobody sees them before [`MergeStore::accept_merge`]. What is staged ends with the process, and
    /// [`StoreCare::prune`](super::StoreCare::prune) forgets it when its job's id is [`STAGED_HOURS`] old.
    ///
    /// # Errors
    /// With [`StorageError::Overloaded`] when the recipients before `first` are not there (any more), or when those of
    /// [`STAGED_JOBS_MAX`] jobs are.
    async fn stage(&self, job: JobId, first: u32, recipients: Vec<MergeRecipient>) -> Result<(), StorageError>;

    /// Makes a staged job real: the job with its content, its recipients, its entry in the ready index and its
    /// idempotency key. Answers as [`JobStore::accept`](super::JobStore::accept) does. Whatever the answer, nothing is
    /// staged any more.
    ///
    /// # Errors
    /// With [`StorageError::Overloaded`] when not as many recipients are staged as the job has messages: submit it again.
    async fn accept_merge(&self, submission: MergeSubmission) -> Result<Acceptance, StorageError>;

    /// Forgets what was staged for a job.
    async fn discard(&self, job: JobId) -> Result<(), StorageError>;

    /// The content of a merge job; nothing when there is no such job, or it is a plain one.
    async fn template(&self, job: JobId) -> Result<Option<Arc<MergeTemplate>>, StorageError>;

    /// Recipients of a merge job in the order of their indexes, with what has become of each; nothing when there is no
    /// such job, or it is a plain one.
    async fn merge_recipients(&self, job: JobId, page: RecipientPage) -> Result<Option<MergeMessages>, StorageError>;
}

/// A merge job to be stored.
#[derive(Clone, Debug)]
pub struct MergeSubmission {
    /// The job, in its first state.
    pub job: Job,
    /// Its content.
    pub template: MergeTemplate,
    /// The caller's key, if it gave one.
    pub idempotency: Option<Idempotency>,
    /// What is counted when it is accepted.
    pub counted: Vec<Counted>,
}

/// Which recipients of a merge job are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientPage {
    /// The index of the last one of the page before.
    pub after: Option<u32>,
    /// Most recipients in this one; at most [`PAGE_MAX`](super::PAGE_MAX).
    pub limit: usize,
    /// Whose messages have come so far; empty for any.
    pub classes: Vec<MessageClass>,
}

/// Some recipients of a merge job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeMessages {
    /// The recipients, each with its message.
    pub messages: Vec<MergeMessage>,
    /// What the next page has as [`RecipientPage::after`]; nothing when there are no more. A page may be short or even
    /// empty and still have a next one, because a call looks at [`MERGE_SCAN_RECIPIENTS_MAX`] recipients at most.
    pub next: Option<u32>,
}

/// A recipient of a merge job, and what has become of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeMessage {
    /// The message's number in the job.
    pub index: u32,
    /// Whom it goes to.
    pub recipient: MergeRecipient,
    /// What has become of it.
    pub state: RecipientState,
    /// When it is due, while it waits.
    pub due: Option<Timestamp>,
    /// How many attempts were made.
    pub attempts_made: u32,
    /// When the first attempt began.
    pub first_attempt_at: Option<Timestamp>,
    /// Whether it bears an in-doubt mark.
    pub flight: Flight,
}

impl MergeMessage {
    /// A message of a merge job that has come so far, of which this is known.
    #[must_use]
    pub fn new(
        index: u32,
        recipient: MergeRecipient,
        progress: &MergeProgress,
        known: Option<&MergeOutcome>,
        flight: Flight,
    ) -> Self {
        let state = progress.state_of(known, flight);
        let due = known.map_or(progress.due, |known| known.due);
        Self {
            index,
            recipient,
            due: state.is_pending().then_some(due),
            state,
            attempts_made: known.map_or(0, |known| known.attempts_made),
            first_attempt_at: known.and_then(|known| known.first_attempt_at),
            flight,
        }
    }
}
