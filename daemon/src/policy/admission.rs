//! What is wrong with a submission, in view of the account that is to send it.

use std::{collections::HashSet, time::Duration};

use crate::domain::{
    account::AccountSettings,
    address::Address,
    job::Priority,
    limits::{Limits, QuotaUnit},
    mail::{Draft, Mailbox},
    recipient::{Recipient, RecipientField, RecipientState},
    time::Timestamp,
};

/// Furthest into the future that a job may be scheduled.
pub const SEND_AT_AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
/// Most labels of one job.
pub const LABELS_MAX: usize = 16;
/// Most attachments of one job.
pub const ATTACHMENTS_MAX: usize = 100;
/// Most custom headers of one job.
pub const HEADERS_MAX: usize = 100;

/// One thing that is wrong with a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, such as `job.to[3].address`.
    pub field: String,
    /// What is wrong with it, as a sentence without a full stop.
    pub reason: String,
    /// The recipient it is about, counted over To, Cc and Bcc together, when it is about one.
    pub recipient: Option<usize>,
}

impl Violation {
    fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), reason: reason.into(), recipient: None }
    }
}

/// What a client wants to have sent, in the words of the domain.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// What is to be said.
    pub content: Content<'a>,
    /// The To recipients; for a draft those of the draft.
    pub to: &'a [Mailbox],
    /// The Cc recipients; for a draft those of the draft.
    pub cc: &'a [Mailbox],
    /// The Bcc recipients.
    pub bcc: &'a [Mailbox],
    /// The size of the composed message in bytes, once it is known.
    pub message_bytes: Option<u64>,
    /// Not to be sent before.
    pub send_at: Option<Timestamp>,
    /// Void when not sent before.
    pub expires_at: Option<Timestamp>,
    /// How many labels it has.
    pub labels: usize,
    /// How urgent it is.
    pub priority: Priority,
}

/// What is to be said.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Parts to be composed.
    Draft(&'a Draft),
    /// A finished message, whose From is this.
    Raw {
        /// The address in its From header.
        from: &'a Address,
    },
}

/// Everything that is wrong with a submission to an account with these settings; empty when it may be accepted.
#[must_use]
pub fn check(submission: &Submission<'_>, settings: &AccountSettings, now: Timestamp) -> Vec<Violation> {
    let mut violations = Vec::new();
    check_recipients(submission, settings, &mut violations);
    check_terms(submission, settings, now, &mut violations);
    violations
}

/// Everything that is wrong with a merge job but for its recipients, who are not known yet. There may be more of them
/// than the account allows for one message, as each gets one.
#[must_use]
pub fn check_merge(submission: &Submission<'_>, settings: &AccountSettings, now: Timestamp) -> Vec<Violation> {
    let mut violations = Vec::new();
    check_terms(submission, settings, now, &mut violations);
    violations
}

/// Everything that is wrong with sending again what was accepted once: its recipients, its From and its size. What the account
/// says of content was asked then.
#[must_use]
pub fn check_again(submission: &Submission<'_>, settings: &AccountSettings) -> Vec<Violation> {
    let mut violations = Vec::new();
    check_recipients(submission, settings, &mut violations);
    check_from(submission, settings, &mut violations);
    check_size(submission, settings, &mut violations);
    violations
}

fn check_terms(
    submission: &Submission<'_>,
    settings: &AccountSettings,
    now: Timestamp,
    violations: &mut Vec<Violation>,
) {
    check_content(submission, settings, violations);
    check_times(submission, now, violations);
    if submission.labels > LABELS_MAX {
        violations.push(Violation::new("job.labels", format!("has more than {LABELS_MAX} labels")));
    }
}

/// The recipients of the envelope: To, Cc and Bcc in this order, each address once.
///
/// An address that stands in several places is tried once, under its first field: a client that names a person in both
/// To and Cc means one mail, and a second RCPT would only be counted twice. Domains are compared without case, local
/// parts with it (RFC 5321 2.4).
#[must_use]
pub fn envelope_recipients(to: &[Mailbox], cc: &[Mailbox], bcc: &[Mailbox]) -> Vec<Recipient> {
    let fields = [(RecipientField::To, to), (RecipientField::Cc, cc), (RecipientField::Bcc, bcc)];
    let mut seen = HashSet::new();
    let mut recipients = Vec::with_capacity(to.len() + cc.len() + bcc.len());
    for (field, mailbox) in fields.iter().flat_map(|(field, list)| list.iter().map(|mailbox| (*field, mailbox))) {
        let address = &mailbox.address;
        if seen.insert((address.local_part(), address.domain().to_ascii_lowercase())) {
            let state = RecipientState::Pending { deferral: None };
            recipients.push(Recipient { address: address.clone(), field, state });
        }
    }
    recipients
}

fn check_recipients(submission: &Submission<'_>, settings: &AccountSettings, violations: &mut Vec<Violation>) {
    let count = envelope_recipients(submission.to, submission.cc, submission.bcc).len();
    if count == 0 {
        violations.push(Violation::new("job.to", "has no recipients: at least one is needed in to, cc or bcc"));
    }
    let per_job = settings.limits.recipients_per_job_max.get();
    if count > per_job as usize {
        let reason = format!("has {count} recipients, the account allows {per_job} a job");
        violations.push(Violation::new("job.to", reason));
    }
    // A job is one transaction, so it can never fit into a window of which its class may use less.
    let Limits { quotas, reserves, .. } = &settings.limits;
    let quotas = quotas.iter().filter(|quota| quota.unit == QuotaUnit::Recipients);
    let shares = quotas.map(|quota| (reserves.share(quota.limit, submission.priority), quota.limit));
    if let Some((share, limit)) = shares.min()
        && count as u64 > share
    {
        let kept =
            if share == limit.get() { String::new() } else { format!(", of which its priority may use {share}") };
        let reason = format!("has {count} recipients, which exceeds the account's quota of {limit} recipients{kept}");
        violations.push(Violation::new("job.to", reason));
    }
}

fn check_content(submission: &Submission<'_>, settings: &AccountSettings, violations: &mut Vec<Violation>) {
    check_from(submission, settings, violations);
    if let Content::Draft(draft) = submission.content {
        check_draft(draft, settings, violations);
    }
    check_size(submission, settings, violations);
}

fn check_from(submission: &Submission<'_>, settings: &AccountSettings, violations: &mut Vec<Violation>) {
    let (from, from_field) = match submission.content {
        Content::Draft(draft) => (&draft.from.address, "job.from.address"),
        Content::Raw { from } => (from, "job.raw"),
    };
    if !settings.may_send_from(from) {
        let reason = format!("the account may not send as {from}: allow it in may_send_as");
        violations.push(Violation::new(from_field, reason));
    }
}

fn check_size(submission: &Submission<'_>, settings: &AccountSettings, violations: &mut Vec<Violation>) {
    let bytes_max = message_bytes_max(&settings.limits, submission.priority);
    if let Some(bytes) = submission.message_bytes.filter(|bytes| *bytes > bytes_max) {
        let reason = format!("the composed message has {bytes} bytes, the account allows {bytes_max}");
        violations.push(Violation::new("job", reason));
    }
}

/// Most bytes of a message of this class: what the account allows, and what the class may use of the smallest quota of bytes,
/// as a larger one would never go.
#[must_use]
pub fn message_bytes_max(limits: &Limits, class: Priority) -> u64 {
    let quotas = limits.quotas.iter().filter(|quota| quota.unit == QuotaUnit::Bytes);
    let shares = quotas.map(|quota| limits.reserves.share(quota.limit, class));
    shares.fold(limits.message_bytes_max, u64::min)
}

fn check_draft(draft: &Draft, settings: &AccountSettings, violations: &mut Vec<Violation>) {
    if draft.text.is_none() && draft.html.is_none() {
        violations.push(Violation::new("job.text", "has neither text nor html"));
    }
    if !draft.attachments.is_empty() && !settings.content.attachments_allowed {
        violations.push(Violation::new("job.attachments", "are not allowed by the account"));
    }
    if draft.attachments.len() > ATTACHMENTS_MAX {
        let reason = format!("has more than {ATTACHMENTS_MAX} attachments");
        violations.push(Violation::new("job.attachments", reason));
    }
    if draft.headers.len() > HEADERS_MAX {
        violations.push(Violation::new("job.headers", format!("has more than {HEADERS_MAX} headers")));
    }
}

fn check_times(submission: &Submission<'_>, now: Timestamp, violations: &mut Vec<Violation>) {
    if submission.send_at.is_some_and(|at| at > now.after(SEND_AT_AHEAD_MAX)) {
        violations.push(Violation::new("job.send_at", "is more than a year ahead"));
    }
    let Some(expires_at) = submission.expires_at else { return };
    if expires_at <= now {
        violations.push(Violation::new("job.expires_at", "is not in the future"));
    } else if submission.send_at.is_some_and(|at| expires_at <= at) {
        violations.push(Violation::new("job.expires_at", "is not after send_at: the job would expire unsent"));
    }
}

#[cfg(test)]
mod tests;
