//! What happened, in the order in which it became durable.

use super::{
    attempt::{Attempt, Fate},
    ids::{AccountId, JobId},
    inbound::MailboxChange,
    job::{Control, JobState},
    parking::Parking,
    reason::Reason,
    report::ReportKind,
    time::Timestamp,
};

/// A place in the event log: everything before it has been seen. Grows with each commit and survives restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To which account, or to a job of which account.
    pub account: AccountId,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Something about a job.
    Job {
        /// Which job.
        id: JobId,
        /// What.
        change: JobChange,
        /// The job's state afterwards.
        state: JobState,
    },
    /// The account was created.
    AccountCreated,
    /// Its settings were changed.
    AccountUpdated,
    /// It was deleted.
    AccountDeleted,
    /// It cannot send now.
    AccountParked(Parking),
    /// It sends again.
    AccountResumed,
    /// Something happened to its mailbox or in it.
    Mailbox(MailboxChange),
}

/// What happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobChange {
    /// It was stored.
    Accepted,
    /// An attempt ended; numbers of recipients by what it made of them.
    Attempted {
        /// The message's number in its job; 0 for a plain job.
        message: u32,
        /// The attempt's number, from 1.
        attempt: u32,
        /// Recipients that the provider took.
        submitted: u32,
        /// Recipients that are tried again.
        deferred: u32,
        /// Recipients that ended without being taken.
        failed: u32,
        /// Recipients that wait for an operator.
        in_doubt: u32,
    },
    /// A caller's wish was done, or noted to be done when the attempt under way ends.
    Controlled(Control),
    /// A mail that came back says something of a recipient.
    Reported {
        /// The recipient's place in the job.
        recipient: u32,
        /// What it means.
        kind: ReportKind,
        /// Why.
        reason: Reason,
    },
    /// Recipients were left out, because they must not be sent to.
    Suppressed {
        /// Their places in the job; at most as many as a plain job has.
        recipients: Vec<u32>,
    },
    /// It was found out whether the provider took a message that was in doubt.
    Reconciled {
        /// The message's number in its job; 0 for a plain job.
        message: u32,
        /// Whether it is in the Sent folder.
        found: bool,
    },
    /// Somebody approved it.
    Approved,
    /// Its time ran out.
    Expired,
    /// Its account could not send, and the account of the event took it over.
    Diverted {
        /// The account that had it before.
        from: AccountId,
    },
}

impl JobChange {
    /// That `attempt` of a message ended, with its recipients counted by their fates.
    #[must_use]
    pub fn attempted(message: u32, attempt: &Attempt) -> Self {
        let count = |fates: &[Fate]| {
            let met = attempt.outcomes.iter().filter(|outcome| fates.contains(&outcome.fate));
            u32::try_from(met.map(|outcome| outcome.recipients.len()).sum::<usize>()).unwrap_or(u32::MAX)
        };
        Self::Attempted {
            message,
            attempt: attempt.number,
            submitted: count(&[Fate::Submitted]),
            deferred: count(&[Fate::Deferred]),
            failed: count(&[Fate::Failed, Fate::GivenUp]),
            in_doubt: count(&[Fate::LeftInDoubt]),
        }
    }
}
