//! How an order becomes a job with its message, or what is wrong with it in view of its account.

use std::sync::Arc;

use super::route::Routed;
use crate::{
    accounts::signers::Signers,
    compose::{
        dkim::{SigningKey, sign},
        identity::{ComposeError, Identity},
        letterhead,
        losses::{Loss, losses},
        message::compose,
        raw::{adopt_raw, from_of_raw},
    },
    domain::{
        account::AccountSettings,
        ids::{AccountId, Caller, JobId},
        job::{Approval, Audience, Fallbacks, Job, MessageFacts, SUBJECT_KEPT_BYTES_MAX, Schedule},
        mail::{Draft, Mailbox, Message},
        time::Timestamp,
    },
    policy::admission::{self, Content, Submission, envelope_recipients},
    service::convert::{
        draft::{Order, OrderContent},
        violations::{Violation, Violations},
    },
    storage::StorageError,
};

/// What a job is made of besides its order.
pub(super) struct Birth {
    pub(super) id: JobId,
    pub(super) caller: Caller,
    pub(super) now: Timestamp,
    pub(super) account: AccountId,
    pub(super) fallbacks: Option<Box<Fallbacks>>,
    /// The keys that sign the message: see [`keys_for`].
    pub(super) keys: Vec<Arc<SigningKey>>,
}

/// A job in its first state, with its message.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) job: Job,
    pub(super) message: Message,
    /// What its charset cannot say.
    pub(super) warnings: Vec<String>,
}

/// A message that was made or adopted.
pub(super) struct Composed {
    pub(super) message: Message,
    pub(super) message_id: String,
    pub(super) subject: String,
    /// What its charset cannot say.
    pub(super) warnings: Vec<String>,
}

/// A message whose bytes stay as they are.
pub(super) struct Sealed {
    pub(super) message: Message,
    pub(super) facts: MessageFacts,
    pub(super) subject: String,
    /// What its charset cannot say.
    pub(super) warnings: Vec<String>,
}

/// The keys that sign the message of an order; none when its route forbids that.
pub(super) async fn keys_for(
    signers: &Signers,
    order: &Order,
    routed: &Routed,
) -> Result<Vec<Arc<SigningKey>>, StorageError> {
    if routed.forbid_dkim {
        return Ok(Vec::new());
    }
    let written = match &order.content {
        OrderContent::Mail { .. } => order.from.as_ref().map(|from| from.address.clone()),
        // The rules are about the From that readers see.
        OrderContent::Raw(bytes) => from_of_raw(bytes),
    };
    let settings = &routed.record.account.settings;
    signers.of(written.as_ref().unwrap_or(&settings.from.address)).await
}

/// By which keys a message is signed, and when.
pub(super) struct Signing {
    pub(super) keys: Vec<Arc<SigningKey>>,
    pub(super) now: Timestamp,
}

/// Makes the job of an order and its message, composed and signed.
pub(super) fn job_of(mut order: Order, settings: &AccountSettings, birth: Birth) -> Result<Made, Vec<Violation>> {
    let Birth { id, caller, now, account, fallbacks, keys } = birth;
    add_defaults(&mut order, settings);
    let from = order.from.clone().unwrap_or_else(|| settings.from.clone());
    let due = order.send_at.map_or(now, |send_at| send_at.max(now));
    let identity = Identity::of_job(id, &from.address, due);
    let mut violations = order.address_violations(&settings.content);
    let sealed = compose_order(&order, &from, settings, &identity, &Signing { keys, now }, &mut violations);
    let Sealed { message, facts, subject, warnings } = violations.finish(sealed)?;
    let job = Job {
        id,
        account,
        caller,
        accepted_at: now,
        sender: settings.results.sender_of(&from.address),
        audience: Audience::Together(envelope_recipients(&order.to, &order.cc, &order.bcc)),
        subject,
        message: facts,
        priority: order.priority,
        labels: order.labels,
        expires_at: order.expires_at,
        schedule: if order.hold { Schedule::Held { due } } else { Schedule::Waiting { due } },
        attempts_made: 0,
        first_attempt_at: None,
        attempts: Vec::new(),
        wish: None,
        fallbacks,
        approval: order.approval_required.then_some(Approval::Awaited),
        resent: None,
        override_suppression: order.override_suppression,
    };
    Ok(Made { job, message, warnings })
}

/// Makes a composed message ready to be stored, sent or shown: it is signed, and from here on its bytes stay as they are. Each
/// message of a plain job passes here, whether it was composed, adopted or is sent again.
pub(super) fn seal(composed: Composed, signing: &Signing) -> Sealed {
    let Composed { message, message_id, subject, warnings } = composed;
    let message = sign(message, &signing.keys, signing.now);
    let facts = MessageFacts { message_id, bytes: message.bytes.len() as u64, is_eight_bit: message.is_eight_bit };
    Sealed { message, facts, subject, warnings }
}

/// Adds the recipients that every job of the account has. They get a raw message too, whose header is left as it is.
fn add_defaults(order: &mut Order, settings: &AccountSettings) {
    let Order { to, cc, bcc, .. } = order;
    let named: Vec<Mailbox> = to.iter().chain(&*cc).chain(&*bcc).cloned().collect();
    letterhead::add_recipients(cc, &settings.default_cc, &named);
    let named: Vec<Mailbox> = named.into_iter().chain(cc.iter().cloned()).collect();
    letterhead::add_recipients(bcc, &settings.default_bcc, &named);
}

fn compose_order(
    order: &Order,
    from: &Mailbox,
    settings: &AccountSettings,
    identity: &Identity,
    signing: &Signing,
    violations: &mut Violations,
) -> Option<Sealed> {
    let draft;
    let adopted;
    let (made, content) = match &order.content {
        OrderContent::Mail { subject, .. } => {
            draft = draft_of(order, from, settings);
            let composed = compose(&draft, identity).map(|message| Composed {
                message,
                message_id: identity.message_id.clone(),
                subject: beginning(subject),
                warnings: warnings_of(&draft),
            });
            (composed, Content::Draft(&draft))
        }
        OrderContent::Raw(bytes) => {
            if !settings.may_send_from(&from.address) {
                let reason = format!("the account may not send as {}", from.address);
                violations.add("job.from.address", reason);
            }
            match adopt_raw(bytes, identity) {
                Err(error) => (Err(error), Content::Raw { from: &from.address }),
                Ok(found) => {
                    adopted = found.from;
                    let subject = beginning(&found.subject);
                    let (message, message_id) = (found.message, found.message_id);
                    let composed = Composed { message, message_id, subject, warnings: Vec::new() };
                    (Ok(composed), Content::Raw { from: &adopted })
                }
            }
        }
    };
    let made = made.map(|composed| seal(composed, signing));
    let submission = Submission {
        content,
        to: &order.to,
        cc: &order.cc,
        bcc: &order.bcc,
        message_bytes: made.as_ref().ok().map(|made| made.facts.bytes),
        send_at: order.send_at,
        expires_at: order.expires_at,
        labels: order.labels.len(),
        priority: order.priority,
    };
    for found in admission::check(&submission, settings, signing.now) {
        let field = on_the_wire(&found.field);
        match found.recipient.and_then(|index| u32::try_from(index).ok()) {
            Some(index) => violations.add_for(index, field, found.reason),
            None => violations.add(field, found.reason),
        }
    }
    made.map_err(|ComposeError { field, reason }| violations.add(on_the_wire(&field), reason)).ok()
}

/// What a client should know of its texts although they are sent.
pub(super) fn warnings_of(draft: &Draft) -> Vec<String> {
    losses(draft).into_iter().map(|Loss { field, reason }| format!("{} {reason}", on_the_wire(&field))).collect()
}

/// The draft of an order; without its content when that is raw.
fn draft_of(order: &Order, from: &Mailbox, settings: &AccountSettings) -> Draft {
    let mut draft = unsigned_draft_of(order, from, settings);
    letterhead::put_on(&mut draft, settings);
    draft
}

/// The draft of a merge job's order, whose texts are templates.
pub(super) fn template_draft_of(order: &Order, from: &Mailbox, settings: &AccountSettings) -> Draft {
    let mut draft = unsigned_draft_of(order, from, settings);
    letterhead::put_on_template(&mut draft, settings);
    draft
}

fn unsigned_draft_of(order: &Order, from: &Mailbox, settings: &AccountSettings) -> Draft {
    let reply_to =
        if order.reply_to.is_empty() { settings.reply_to.iter().cloned().collect() } else { order.reply_to.clone() };
    let mut draft = Draft {
        from: from.clone(),
        reply_to,
        to: order.to.clone(),
        cc: order.cc.clone(),
        subject: String::new(),
        text: None,
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: None,
        attachments: Vec::new(),
        charset: settings.content.charset,
    };
    if let OrderContent::Mail {
        subject,
        text,
        html,
        headers,
        in_reply_to,
        references,
        list_unsubscribe,
        auto_submitted,
        attachments,
    } = &order.content
    {
        draft.subject.clone_from(subject);
        draft.text.clone_from(text);
        draft.html.clone_from(html);
        draft.headers.clone_from(headers);
        draft.attachments.clone_from(attachments);
        draft.in_reply_to.clone_from(in_reply_to);
        draft.references.clone_from(references);
        draft.list_unsubscribe.clone_from(list_unsubscribe);
        draft.auto_submitted = *auto_submitted;
    }
    draft
}

/// The path in the request of a field that is named as it is in a draft.
pub(super) fn on_the_wire(field: &str) -> String {
    const OF_MAIL: [&str; 9] = [
        "subject",
        "text",
        "html",
        "headers",
        "in_reply_to",
        "references",
        "list_unsubscribe",
        "auto_submitted",
        "attachments",
    ];
    let inner = field.strip_prefix("job.").filter(|inner| OF_MAIL.iter().any(|name| inner.starts_with(name)));
    inner.map_or_else(|| field.to_owned(), |inner| format!("job.mail.{inner}"))
}

/// As much of a subject as is kept for lists.
pub(super) fn beginning(subject: &str) -> String {
    subject[..subject.floor_char_boundary(SUBJECT_KEPT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_draft_are_named_as_in_the_request() {
        for (field, path) in [
            ("job.headers[1].name", "job.mail.headers[1].name"),
            ("job.text", "job.mail.text"),
            ("job.list_unsubscribe.url", "job.mail.list_unsubscribe.url"),
            ("job.attachments", "job.mail.attachments"),
            ("job.to[3].address", "job.to[3].address"),
            ("job.raw", "job.raw"),
            ("job", "job"),
        ] {
            assert_eq!(on_the_wire(field), path);
        }
    }

    #[test]
    fn long_subjects_are_cut_between_characters() {
        assert!(beginning(&"飛".repeat(100)).len() <= SUBJECT_KEPT_BYTES_MAX);
        assert_eq!(beginning("short"), "short");
    }
}

#[cfg(test)]
mod corpus;
