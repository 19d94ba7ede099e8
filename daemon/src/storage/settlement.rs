//! What one attempt changes, all or nothing.

use crate::domain::{
    address::Address,
    attempt::Attempt,
    ids::{AccountId, JobId, MessageKey},
    ledger::Charge,
    statistics::Counted,
    suppression::Suppression,
    time::Timestamp,
};

/// That a message may be taken by the provider from now on: set before its final dot is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The message.
    pub message: MessageKey,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Indexes of the recipients that the attempt is for.
    pub recipients: Vec<u32>,
    /// When the attempt began.
    pub started: Timestamp,
    /// When the mark was set.
    pub since: Timestamp,
    /// What it uses of the quotas. Stored with the mark and in the ledger: a crash may over-count, never under-count.
    pub charges: Vec<Charge>,
}

/// Whether a mark was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkOutcome {
    /// It is set and durable: the final dot may be sent.
    Marked,
    /// The job was cancelled, held or deleted meanwhile, or bears a mark: the final dot must not be sent.
    Withdrawn,
}

/// What one attempt changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The message.
    pub message: MessageKey,
    /// What the attempt met. Nothing for an attempt that does not count, because it was given up before the provider
    /// could take the message: then only the mark goes, the charges are corrected, and what a caller wished meanwhile
    /// is done.
    pub attempt: Option<Attempt>,
    /// When the deferred recipients are due again.
    pub retry_at: Timestamp,
    /// Corrections of the ledger, beside what the mark charged.
    pub charges: Vec<Charge>,
    /// When this is recorded.
    pub now: Timestamp,
    /// Whether the provider was asked to take the message itself (DATA or BDAT): no other account may send its job then.
    pub handed_over: bool,
    /// What else follows from the attempt.
    pub aftermath: Option<Box<Aftermath>>,
}

/// What follows from an attempt beyond its job. Nothing of it when the job is gone or belongs to another account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// What is counted.
    pub counted: Vec<Counted>,
    /// Who must not be sent to from now on.
    pub suppressions: Vec<Suppression>,
    /// The id that the provider gave the message when it took it, at most 250 bytes: bounces may bring it back.
    pub provider_id: Option<Box<str>>,
}

/// Recipients of a message that are left out, because they must not be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// The message.
    pub message: MessageKey,
    /// The places of the recipients in the job, each with the suppression that keeps it out.
    pub recipients: Vec<(u32, Suppression)>,
    /// What is counted.
    pub counted: Vec<Counted>,
    /// When.
    pub now: Timestamp,
}

/// A message that may or may not have been taken, and waits for somebody to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The message.
    pub message: MessageKey,
    /// Since when.
    pub since: Timestamp,
}

impl Settlement {
    /// Corrections of the ledger that belong to no message: a settlement of a job that is not there.
    #[must_use]
    pub const fn of_charges(charges: Vec<Charge>, now: Timestamp) -> Self {
        let nobody = MessageKey::only(JobId::from_bytes([0; 16]));
        Self { message: nobody, attempt: None, retry_at: now, charges, now, handed_over: false, aftermath: None }
    }
}

/// That another account takes a job over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// The job.
    pub job: JobId,
    /// Which account; one of its fallbacks.
    pub to: AccountId,
    /// The envelope's reverse-path that it uses.
    pub sender: Address,
    /// When.
    pub now: Timestamp,
}

/// The end of a job whose client's time has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The job.
    pub job: JobId,
    /// When.
    pub now: Timestamp,
}
