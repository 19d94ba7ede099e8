//! The calls of which scripts are made.

use crate::domain::{
    attempt::Fate,
    job::{Control, Priority},
    report::ReportKind,
};

/// One call of a script, or a few that belong together. Jobs are named by how many submissions came before them, and
/// accounts and keys by small numbers, so that steps often meet the same ones.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is named after the call that it makes")]
pub enum Step {
    CreateAccount {
        account: u8,
    },
    UpdateAccount {
        account: u8,
        stale: bool,
    },
    DeleteAccount {
        account: u8,
    },
    SetStanding {
        account: u8,
        standing: u8,
    },
    Accept {
        jobs: Vec<NewJob>,
    },
    /// Stages a merge job and submits it, or one recipient more than it has.
    AcceptMerge {
        job: NewJob,
        messages: u8,
        surplus: bool,
    },
    MarkMessages {
        account: u8,
        job: u8,
        indexes: Vec<u8>,
        stale: bool,
    },
    SettleMessages {
        account: u8,
        job: u8,
        indexes: Vec<u8>,
        fates: Option<Vec<Fate>>,
        retry_seconds: u64,
    },
    Control {
        jobs: Vec<u8>,
        control: Control,
    },
    Approve {
        jobs: Vec<u8>,
    },
    TakeTenure {
        account: u8,
    },
    Mark {
        account: u8,
        jobs: Vec<u8>,
        stale: bool,
    },
    Settle {
        account: u8,
        job: u8,
        fates: Option<Vec<Fate>>,
        retry_seconds: u64,
        stale: bool,
    },
    Expire {
        account: u8,
        jobs: Vec<u8>,
        stale: bool,
    },
    /// Takes the heads of the queue, marks them and settles some of them.
    Work {
        account: u8,
        limit: usize,
        settled: usize,
        fates: Vec<Fate>,
    },
    /// Gives jobs to another account, which may be none of their fallbacks.
    Divert {
        account: u8,
        jobs: Vec<u8>,
        to: u8,
        stale: bool,
    },
    /// Suppresses addresses in a scope.
    Suppress {
        scope: u8,
        addresses: Vec<u8>,
        lasts_seconds: Option<u64>,
    },
    Lift {
        scope: u8,
        address: u8,
        requeue: bool,
    },
    /// Suppresses addresses and leaves them out of a job.
    LeaveOut {
        account: u8,
        job: u8,
        scope: u8,
        indexes: Vec<u8>,
        stale: bool,
    },
    /// Takes a mail in that says something of some recipients.
    Ingest {
        account: u8,
        /// The message in its mailbox.
        uid: u8,
        /// Whether the mailbox is read by UIDs.
        imap: bool,
        fingerprint: Option<u8>,
        /// Jobs, messages and recipients, and what is said of them.
        reports: Vec<(u8, u8, u8, ReportKind)>,
    },
    ForgetRead {
        account: u8,
        uids: Vec<u8>,
    },
    ResolveDoubt {
        account: u8,
        job: u8,
        index: u8,
        found: bool,
    },
    ForgetUsage {
        account: u8,
        bucket: u64,
    },
    Wait {
        seconds: u64,
    },
    Prune {
        finished_seconds_ago: u64,
    },
    ExpireOverdue {
        limit: usize,
    },
    Reopen,
}

/// A job that a script submits.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its account.
    pub account: u8,
    /// Its priority.
    pub priority: Priority,
    /// Its label.
    pub label: Option<u8>,
    /// How many recipients it has.
    pub recipients: u8,
    /// In how many seconds it is due.
    pub due_seconds: u64,
    /// In how many seconds it is void.
    pub expires_seconds: Option<u64>,
    /// Whether it is held.
    pub held: bool,
    /// Whether it needs approval.
    pub approval: bool,
    /// Its idempotency key and the hash of its content.
    pub key: Option<(u8, u8)>,
    /// How many bytes its message has.
    pub bytes: usize,
    /// The account that may take it over.
    pub fallback: Option<u8>,
    /// The scope by which its first two recipients are suppressed from the beginning; not of a merge job.
    pub left_out: Option<u8>,
}
