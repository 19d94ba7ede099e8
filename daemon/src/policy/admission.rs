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
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::domain::{
        account::{Encryption, SenderPattern, Server},
        limits::{Quota, QuotaWindow},
        reserves::Reserves,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn mailbox(address: &str) -> Mailbox {
        Mailbox { name: None, address: address.parse().expect(address) }
    }

    fn mailboxes(count: usize) -> Vec<Mailbox> {
        (0..count).map(|n| mailbox(&format!("r{n}@example.jp"))).collect()
    }

    fn settings() -> AccountSettings {
        let host = "smtp.example.jp".parse().expect("a host");
        let server = Server::new(host, 587.try_into().expect("a port"), Encryption::StartTls);
        AccountSettings {
            may_send_as: vec![SenderPattern::Domain("shop.example".into())],
            ..AccountSettings::new(mailbox("shop@example.jp"), server)
        }
    }

    fn draft(from: &str) -> Draft {
        Draft {
            from: mailbox(from),
            reply_to: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            subject: String::new(),
            text: Some("hello".into()),
            html: None,
            headers: Vec::new(),
            in_reply_to: None,
            references: Vec::new(),
            list_unsubscribe: None,
            auto_submitted: None,
            attachments: Vec::new(),
            charset: crate::domain::charset::Charset::default(),
        }
    }

    fn submission<'a>(draft: &'a Draft, to: &'a [Mailbox]) -> Submission<'a> {
        let content = Content::Draft(draft);
        Submission {
            content,
            to,
            cc: &[],
            bcc: &[],
            message_bytes: None,
            send_at: None,
            expires_at: None,
            labels: 0,
            priority: Priority::Normal,
        }
    }

    #[track_caller]
    fn check_fields(submission: &Submission<'_>, settings: &AccountSettings, fields: &[&str]) {
        let violations = check(submission, settings, NOW);
        let got: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(got, fields, "{violations:?}");
    }

    #[test]
    fn recipients_must_fit_the_account() {
        let draft = draft("shop@example.jp");
        let few = mailboxes(100);
        let many = mailboxes(101);
        let mut settings = settings();
        check_fields(&submission(&draft, &few), &settings, &[]);
        check_fields(&submission(&draft, &[]), &settings, &["job.to"]);
        check_fields(&submission(&draft, &many), &settings, &["job.to"]);
        let day = QuotaWindow::Sliding(Duration::from_secs(86_400));
        let limit = NonZeroU32::new(99).expect("not zero");
        settings.limits.quotas.push(Quota { limit: limit.into(), unit: QuotaUnit::Messages, window: day.clone() });
        check_fields(&submission(&draft, &few), &settings, &[]);
        settings.limits.quotas.push(Quota { limit: limit.into(), unit: QuotaUnit::Recipients, window: day });
        check_fields(&submission(&draft, &few), &settings, &["job.to"]);
        check_fields(&Submission { bcc: &few, ..submission(&draft, &[]) }, &settings, &["job.to"]);
    }

    #[test]
    fn recipients_must_fit_what_a_reserve_leaves_to_their_priority() {
        let (draft, to, mut settings) = (draft("shop@example.jp"), mailboxes(81), settings());
        let window = QuotaWindow::Sliding(Duration::from_secs(86_400));
        let limit = NonZeroU32::new(100).expect("not zero");
        settings.limits.quotas.push(Quota { limit: limit.into(), unit: QuotaUnit::Recipients, window });
        settings.limits.reserves = Reserves::new(0, &[(Priority::High, 20)]).expect("something is left");
        let of = |priority| Submission { priority, ..submission(&draft, &to) };
        check_fields(&of(Priority::High), &settings, &[]);
        check_fields(&of(Priority::Normal), &settings, &["job.to"]);
        let reason = check(&of(Priority::Bulk), &settings, NOW).remove(0).reason;
        let said =
            "has 81 recipients, which exceeds the account's quota of 100 recipients, of which its priority may use 80";
        assert_eq!(reason, said);
    }

    #[test]
    fn a_message_must_fit_into_what_a_quota_of_bytes_leaves_to_its_priority() {
        let (draft, to, mut settings) = (draft("shop@example.jp"), mailboxes(1), settings());
        let window = QuotaWindow::Sliding(Duration::from_secs(3_600));
        let limit = NonZeroU32::new(10_000).expect("not zero");
        settings.limits.quotas.push(Quota { limit: limit.into(), unit: QuotaUnit::Bytes, window });
        settings.limits.reserves = Reserves::new(0, &[(Priority::High, 20)]).expect("something is left");
        let of = |priority, bytes| Submission { priority, message_bytes: Some(bytes), ..submission(&draft, &to) };
        check_fields(&of(Priority::High, 10_000), &settings, &[]);
        check_fields(&of(Priority::High, 10_001), &settings, &["job"]);
        check_fields(&of(Priority::Normal, 8_000), &settings, &[]);
        check_fields(&of(Priority::Normal, 8_001), &settings, &["job"]);
    }

    #[test]
    fn from_must_belong_to_the_account() {
        let to = mailboxes(1);
        let settings = settings();
        for (from, fields) in [
            ("shop@example.jp", &[][..]),
            ("SHOP@Example.jp", &[]),
            ("any@shop.example", &[]),
            ("other@example.jp", &["job.from.address"]),
        ] {
            check_fields(&submission(&draft(from), &to), &settings, fields);
        }
        let from = mailbox("other@example.jp").address;
        let draft = draft("shop@example.jp");
        let raw = Submission { content: Content::Raw { from: &from }, ..submission(&draft, &to) };
        check_fields(&raw, &settings, &["job.raw"]);
    }

    #[test]
    fn times_must_make_sense() {
        let (draft, to, settings) = (draft("shop@example.jp"), mailboxes(1), settings());
        let at = |seconds| Some(NOW.after(Duration::from_secs(seconds)));
        let times = |send_at, expires_at| Submission { send_at, expires_at, ..submission(&draft, &to) };
        check_fields(&times(at(10), at(11)), &settings, &[]);
        check_fields(&times(Some(Timestamp::EPOCH), at(1)), &settings, &[]);
        check_fields(&times(at(10), at(10)), &settings, &["job.expires_at"]);
        check_fields(&times(None, Some(NOW)), &settings, &["job.expires_at"]);
        check_fields(&times(at(367 * 86_400), None), &settings, &["job.send_at"]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let draft = Draft { text: None, ..draft("other@example.jp") };
        let submission = Submission {
            message_bytes: Some(u64::MAX),
            expires_at: Some(Timestamp::EPOCH),
            labels: 17,
            ..submission(&draft, &[])
        };
        let fields = ["job.to", "job.from.address", "job.text", "job", "job.expires_at", "job.labels"];
        check_fields(&submission, &settings(), &fields);
    }

    #[test]
    fn a_merge_job_is_checked_before_its_recipients_are_known() {
        let draft = draft("other@example.jp");
        let submission = Submission { expires_at: Some(Timestamp::EPOCH), ..submission(&draft, &[]) };
        let found = check_merge(&submission, &settings(), NOW);
        let fields: Vec<&str> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["job.from.address", "job.expires_at"]);
    }

    #[test]
    fn an_address_is_written_to_once() {
        let to = [mailbox("a@example.jp"), mailbox("A@example.jp")];
        let cc = [mailbox("a@EXAMPLE.jp")];
        let bcc = [mailbox("b@example.jp"), mailbox("a@example.jp")];
        let recipients = envelope_recipients(&to, &cc, &bcc);
        let got: Vec<_> = recipients.iter().map(|r| (r.field, r.address.as_str())).collect();
        let expected = [
            (RecipientField::To, "a@example.jp"),
            (RecipientField::To, "A@example.jp"),
            (RecipientField::Bcc, "b@example.jp"),
        ];
        assert_eq!(got, expected);
    }
}
