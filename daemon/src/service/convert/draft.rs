//! What a client submits, on the wire.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Display,
};

use bytes::Bytes;
use hikyaku_proto::v1::{self, job_draft::Content as WireContent};

use super::{
    job::to_priority,
    limits::RECIPIENTS_PER_JOB_MAX,
    mail_headers::{to_auto_submitted, to_in_reply_to, to_list_unsubscribe, to_references},
    values::{one_line, optional_time, parse, to_mailbox, to_receiver},
    violations::{Violation, Violations},
};
use crate::domain::{
    account::ContentRules,
    ids::{AccountId, IdempotencyKey, Label},
    job::Priority,
    mail::{Attachment, AutoSubmitted, ListUnsubscribe, Mailbox, MessageId},
    time::Timestamp,
};

const SUBJECT_BYTES_MAX: usize = 10_000;
const FILE_NAME_BYTES_MAX: usize = 255;
const REPLY_TO_MAX: usize = 20;
const LABELS_MAX: usize = 16;
const HEADERS_MAX: usize = 100;
const ATTACHMENTS_MAX: usize = 100;
const DEFAULT_MEDIA_TYPE: &str = "application/octet-stream";

/// A submission, checked as far as that can be done without knowing its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Order {
    /// The account that sends it; the routing rules choose when there is none, and `from` is there then.
    pub(in crate::service) account: Option<AccountId>,
    pub(in crate::service) from: Option<Mailbox>,
    pub(in crate::service) reply_to: Vec<Mailbox>,
    pub(in crate::service) to: Vec<Mailbox>,
    pub(in crate::service) cc: Vec<Mailbox>,
    pub(in crate::service) bcc: Vec<Mailbox>,
    pub(in crate::service) content: OrderContent,
    pub(in crate::service) priority: Priority,
    pub(in crate::service) labels: Vec<Label>,
    pub(in crate::service) send_at: Option<Timestamp>,
    pub(in crate::service) expires_at: Option<Timestamp>,
    pub(in crate::service) hold: bool,
    pub(in crate::service) approval_required: bool,
    pub(in crate::service) override_suppression: bool,
    pub(in crate::service) key: Option<IdempotencyKey>,
    pub(in crate::service) dry_run: bool,
    /// What is wrong with it for an account that takes no lenient addresses.
    unless_lenient: Violations,
}

impl Order {
    /// What is wrong with its addresses for an account with these rules, to which more may be added.
    pub(in crate::service) fn address_violations(&self, rules: &ContentRules) -> Violations {
        if rules.lenient_addresses { Violations::default() } else { self.unless_lenient.clone() }
    }
}

impl Order {
    /// Whether the job goes only when somebody releases or approves it.
    pub(in crate::service) const fn waits_for_somebody(&self) -> bool {
        self.hold || self.approval_required
    }
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) enum OrderContent {
    /// Parts to be composed.
    Mail {
        subject: String,
        text: Option<String>,
        html: Option<String>,
        headers: Vec<(String, String)>,
        in_reply_to: Option<MessageId>,
        references: Vec<MessageId>,
        list_unsubscribe: Option<ListUnsubscribe>,
        auto_submitted: Option<AutoSubmitted>,
        attachments: Vec<Attachment>,
    },
    /// A finished message.
    Raw(Bytes),
}

impl OrderContent {
    /// Its texts and files, in bytes.
    pub(in crate::service) fn bytes(&self) -> usize {
        match self {
            Self::Mail { text, html, attachments, .. } => {
                let texts = [text, html].into_iter().flatten().map(String::len);
                texts.chain(attachments.iter().map(|file| file.content.len())).sum()
            }
            Self::Raw(bytes) => bytes.len(),
        }
    }
}

/// A submission that a caller sent.
pub(in crate::service) fn to_order(request: v1::SubmitJobRequest) -> Result<Order, Vec<Violation>> {
    let mut violations = Violations::default();
    let key = to_key(&request.idempotency_key, &mut violations);
    let Some(draft) = request.job else {
        violations.add("job", "is required");
        return violations.finish(None);
    };
    let order = read_draft(draft, to_recipients, &mut violations).zip(key);
    let order = order.map(|(order, key)| Order { key, dry_run: request.dry_run, ..order });
    violations.finish(order)
}

/// The head of a merge job that a caller sent: an order for nobody yet, whose content is composed.
pub(in crate::service) fn to_merge_order(head: v1::MergeHead) -> Result<Order, Vec<Violation>> {
    let mut violations = Violations::default();
    let key = to_key(&head.idempotency_key, &mut violations);
    let Some(draft) = head.job else {
        violations.add("job", "is required");
        return violations.finish(None);
    };
    if matches!(draft.content, Some(WireContent::Raw(_))) {
        violations.add("job.raw", "cannot be sent as a merge job: give mail, whose texts are templates");
    }
    let order = read_draft(draft, no_recipients, &mut violations).zip(key);
    let order = order.map(|(order, key)| Order { key, dry_run: head.dry_run, ..order });
    violations.finish(order)
}

fn to_key(key: &str, violations: &mut Violations) -> Option<Option<IdempotencyKey>> {
    match key {
        "" => Some(None),
        key => parse::<IdempotencyKey>(key, "idempotency_key", violations).map(Some),
    }
}

/// How To, Cc and Bcc are read.
type ReadRecipients =
    fn(Vec<v1::Mailbox>, Vec<v1::Mailbox>, Vec<v1::Mailbox>, &mut Violations) -> Option<[Vec<Mailbox>; 3]>;

fn read_draft(wire: v1::JobDraft, recipients: ReadRecipients, violations: &mut Violations) -> Option<Order> {
    let account = match wire.account_id.as_str() {
        "" => Some(None),
        id => parse::<AccountId>(id, "job.account_id", violations).map(Some),
    };
    if account == Some(None) && wire.from.is_none() {
        violations.add("job.from", "is required when no account is named: the routing rules go by it");
    }
    let from = match wire.from {
        Some(from) => to_mailbox(from, "job.from", violations).map(Some),
        None => Some(None),
    };
    let reply_to = to_reply_to(wire.reply_to, violations);
    let recipients = recipients(wire.to, wire.cc, wire.bcc, violations);
    let content = to_content(wire.content, violations);
    let priority = to_priority(wire.priority);
    if priority.is_none() {
        violations.add("job.priority", "must be HIGH, NORMAL, LOW or BULK");
    }
    let labels = to_labels(&wire.labels, violations);
    let send_at = optional_time(wire.send_at, "job.send_at", violations);
    let expires_at = optional_time(wire.expires_at, "job.expires_at", violations);
    let unless_lenient = violations.take_unless_lenient();
    let [to, cc, bcc] = recipients?;
    Some(Order {
        account: account?,
        from: from?,
        reply_to: reply_to?,
        to,
        cc,
        bcc,
        content: content?,
        priority: priority?,
        labels: labels?,
        send_at: send_at?,
        expires_at: expires_at?,
        hold: wire.hold,
        approval_required: wire.approval_required,
        override_suppression: wire.override_suppression,
        key: None,
        dry_run: false,
        unless_lenient,
    })
}

fn to_reply_to(wire: Vec<v1::Mailbox>, violations: &mut Violations) -> Option<Vec<Mailbox>> {
    if is_too_long(wire.len(), REPLY_TO_MAX, "job.reply_to", violations) {
        return None;
    }
    let read = wire.into_iter().enumerate();
    let read: Vec<_> = read
        .map(|(index, mailbox)| to_receiver(mailbox, None, format_args!("job.reply_to[{index}]"), violations))
        .collect();
    read.into_iter().collect()
}

/// To, Cc and Bcc, no address twice.
fn to_recipients(
    to: Vec<v1::Mailbox>,
    cc: Vec<v1::Mailbox>,
    bcc: Vec<v1::Mailbox>,
    violations: &mut Violations,
) -> Option<[Vec<Mailbox>; 3]> {
    let count = to.len() + cc.len() + bcc.len();
    if count == 0 {
        violations.add("job.to", "is empty, and so are cc and bcc: at least one recipient is required");
        return None;
    }
    if is_too_long(count, RECIPIENTS_PER_JOB_MAX as usize, "job.to", violations) {
        return None;
    }
    let mut seen: HashMap<String, String> = HashMap::with_capacity(count);
    let mut recipient = 0;
    let mut read = |wire: Vec<v1::Mailbox>, field: &str| -> Option<Vec<Mailbox>> {
        let mailboxes: Vec<_> = wire
            .into_iter()
            .enumerate()
            .map(|(index, mailbox)| {
                let at = format!("job.{field}[{index}]");
                let mailbox = to_receiver(mailbox, Some(recipient), &at, violations);
                if let Some(mailbox) = &mailbox {
                    // One person gets one copy: RFC 5321 2.4 lets local parts differ by case, providers do not.
                    match seen.entry(mailbox.address.as_str().to_ascii_lowercase()) {
                        Entry::Occupied(first) => {
                            let twice = format!("is named twice: it stands in {} too", first.get());
                            violations.add_for(recipient, format_args!("{at}.address"), twice);
                        }
                        Entry::Vacant(free) => {
                            free.insert(at);
                        }
                    }
                }
                recipient += 1;
                mailbox
            })
            .collect();
        mailboxes.into_iter().collect()
    };
    let (to, cc, bcc) = (read(to, "to"), read(cc, "cc"), read(bcc, "bcc"));
    Some([to?, cc?, bcc?])
}

/// No To, Cc and Bcc: a merge job has its recipients elsewhere.
fn no_recipients(
    to: Vec<v1::Mailbox>,
    cc: Vec<v1::Mailbox>,
    bcc: Vec<v1::Mailbox>,
    violations: &mut Violations,
) -> Option<[Vec<Mailbox>; 3]> {
    for (field, named) in [("job.to", to), ("job.cc", cc), ("job.bcc", bcc)] {
        if !named.is_empty() {
            violations.add(field, "must be empty: the recipients of a merge job follow its head");
        }
    }
    Some([Vec::new(), Vec::new(), Vec::new()])
}

fn to_content(content: Option<WireContent>, violations: &mut Violations) -> Option<OrderContent> {
    match content {
        None => {
            violations.add("job.content", "is required: mail or raw");
            None
        }
        Some(WireContent::Raw(raw)) if raw.is_empty() => {
            violations.add("job.raw", "is empty");
            None
        }
        Some(WireContent::Raw(raw)) => Some(OrderContent::Raw(raw)),
        Some(WireContent::Mail(mail)) => to_mail(mail, violations),
    }
}

fn to_mail(mail: v1::MailContent, violations: &mut Violations) -> Option<OrderContent> {
    let subject = one_line(mail.subject, SUBJECT_BYTES_MAX, "job.mail.subject", violations);
    if mail.text.is_empty() && mail.html.is_empty() {
        violations.add("job.mail.text", "is empty, and so is html: one of them is required");
    }
    if is_too_long(mail.headers.len(), HEADERS_MAX, "job.mail.headers", violations)
        | is_too_long(mail.attachments.len(), ATTACHMENTS_MAX, "job.mail.attachments", violations)
    {
        return None;
    }
    let attachments: Vec<_> = mail
        .attachments
        .into_iter()
        .enumerate()
        .map(|(index, file)| to_attachment(file, format_args!("job.mail.attachments[{index}]"), violations))
        .collect();
    let attachments: Option<Vec<_>> = attachments.into_iter().collect();
    let in_reply_to = to_in_reply_to(&mail.in_reply_to, violations);
    let references = to_references(&mail.references, violations);
    let list_unsubscribe = to_list_unsubscribe(mail.list_unsubscribe, violations);
    let auto_submitted = to_auto_submitted(mail.auto_submitted, violations);
    Some(OrderContent::Mail {
        subject: subject?,
        text: Some(mail.text).filter(|text| !text.is_empty()),
        html: Some(mail.html).filter(|html| !html.is_empty()),
        headers: mail.headers.into_iter().map(|header| (header.name, header.value)).collect(),
        in_reply_to: in_reply_to?,
        references: references?,
        list_unsubscribe: list_unsubscribe?,
        auto_submitted: auto_submitted?,
        attachments: attachments?,
    })
}

fn to_attachment(file: v1::Attachment, at: impl Display, violations: &mut Violations) -> Option<Attachment> {
    if file.file_name.is_empty() {
        violations.add(format_args!("{at}.file_name"), "is required");
        return None;
    }
    let file_name = one_line(file.file_name, FILE_NAME_BYTES_MAX, format_args!("{at}.file_name"), violations)?;
    let media_type = if file.media_type.is_empty() { DEFAULT_MEDIA_TYPE.to_owned() } else { file.media_type };
    let content_id = Some(file.content_id).filter(|id| !id.is_empty());
    Some(Attachment { file_name, media_type, content: file.content, content_id })
}

fn to_labels(wire: &[String], violations: &mut Violations) -> Option<Vec<Label>> {
    if is_too_long(wire.len(), LABELS_MAX, "job.labels", violations) {
        return None;
    }
    let labels: Vec<_> = wire
        .iter()
        .enumerate()
        .map(|(index, label)| parse::<Label>(label, format_args!("job.labels[{index}]"), violations))
        .collect();
    labels.into_iter().collect()
}

fn is_too_long(count: usize, most: usize, at: &str, violations: &mut Violations) -> bool {
    if count > most {
        violations.add(at, format_args!("has {count} entries, more than {most}"));
    }
    count > most
}

#[cfg(test)]
mod tests;
