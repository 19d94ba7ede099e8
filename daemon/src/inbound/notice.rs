//! Whom is it written to when something is wrong with a mailbox? The address that its settings name, once a day and matter.

use std::{collections::BTreeMap, time::Duration};

use super::Context;
use crate::{
    compose::{
        dkim::sign,
        identity::{ComposeError, Identity},
        message::compose,
    },
    domain::{
        account::Account,
        address::Address,
        charset::Charset,
        ids::{Caller, IdempotencyKey, JobId, Label},
        job::{Audience, Job, MessageFacts, Priority, SUBJECT_KEPT_BYTES_MAX, Schedule},
        mail::{AutoSubmitted, Draft, Mailbox, Message},
        parking::Standing,
        recipient::{Recipient, RecipientField, RecipientState},
        statistics::{Counted, Counts, StatisticsGroup},
        time::Timestamp,
    },
    storage::{Acceptance, AccountRecord, Idempotency, StorageError, Submission},
};

/// How long a notice is worth sending.
const WORTH: Duration = Duration::from_secs(3 * 86_400);
const DAY_MILLIS: u64 = 86_400_000;
const LABEL: &str = "hikyaku-notice";
const CALLER: &str = "hikyaku:inbound";

/// What is wrong with a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It cannot be read for long.
    Failing { since: Timestamp, words: String },
    /// A mail in it is too large.
    Skipped { bytes: u64, bytes_max: u64, folder: Option<Box<str>> },
    /// It holds very many messages.
    Crowded { messages: u64 },
}

/// Why a notice was not submitted.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotNoticed {
    #[error("the notice cannot be composed: {0}")]
    Compose(#[from] ComposeError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Submits a notice from the account itself, unless one of its kind was submitted today, nobody is to be told, or the account cannot
/// send. Returns whether one was submitted.
pub(super) async fn submit(context: &Context, record: &AccountRecord, notice: &Notice) -> Result<bool, NotNoticed> {
    let account = &record.account;
    let told = account.settings.mailbox.as_ref().and_then(|mailbox| mailbox.errors_to.clone());
    let Some(to) = told.filter(|_| record.standing == Standing::Active) else { return Ok(false) };
    let now = context.clock.now();
    let mut random = [0; 10];
    context.entropy.fill(&mut random);
    let id = JobId::new(now, random);
    let (subject, text) = words(notice, account);
    let from = &account.settings.from;
    let message = compose(&draft(from, &to, &subject, &text), &Identity::of_job(id, &from.address, now))?;
    let message = sign(message, &context.signers.of(&from.address).await?, now);
    let job = job(id, account, to, subject, &message, now);
    let counted = counted(&job);
    let day = now.as_millis() / DAY_MILLIS;
    let key = format!("mailbox {} {} {day}", account.id, notice.kind());
    let idempotency = Some(Idempotency {
        caller: caller(),
        key: key.parse::<IdempotencyKey>().expect("an account id and a few words are less than a key may have"),
        payload_hash: [0; 32],
    });
    let accepted = context.storage.accept(vec![Submission { job, message, idempotency, counted }]).await?;
    let is_accepted = accepted.first() == Some(&Acceptance::Accepted);
    if is_accepted {
        tracing::info!(account = %account.id, job = %id, kind = notice.kind(), "a notice of the mailbox is submitted");
    }
    Ok(is_accepted)
}

impl Notice {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "failing",
            Self::Skipped { .. } => "skipped",
            Self::Crowded { .. } => "crowded",
        }
    }
}

/// The subject and the text of a notice.
fn words(notice: &Notice, account: &Account) -> (String, String) {
    let id = &account.id;
    let (user, server) = match &account.settings.mailbox {
        Some(mailbox) => {
            let user = crate::accounts::mailbox::user(&account.settings).unwrap_or_default();
            (user, format!("{}, port {}", mailbox.server.host, mailbox.server.port))
        }
        None => Default::default(),
    };
    let mailbox = format!("the mailbox {user} on {server}, to which bounces of the account {id} come back");
    let (subject, what, then) = match notice {
        Notice::Failing { since, words } => (
            format!("Mailbox of account {id} cannot be read"),
            format!("Since {since} Hikyaku cannot read {mailbox}. The last failure was:\n\n    {words}"),
            "Until it can be read again, bounces are not noticed and dead addresses are not suppressed. `hikyaku account test` \
             with the account's name and `--mailbox` shows each step. Reading is tried again by itself.",
        ),
        Notice::Skipped { bytes, bytes_max, folder } => (
            format!("Mail too large in the mailbox of account {id}"),
            format!(
                "A mail of {bytes} bytes lies in {mailbox}{}. The account's settings allow {bytes_max} bytes, so it was not read.",
                folder.as_ref().map(|folder| format!(", folder {folder}")).unwrap_or_default()
            ),
            "It stays where it is. Read it by other means, or raise the largest message in the account's mailbox settings \
             for those to come.",
        ),
        Notice::Crowded { messages } => (
            format!("Very many messages in the mailbox of account {id}"),
            format!("There are {messages} messages in {mailbox}."),
            "Hikyaku goes on reading, but many servers become slow, or refuse mail when the mailbox is full. Clean it up, or \
             have bounces deleted once they were read.",
        ),
    };
    (subject, format!("{what}\n\n{then}\n\nOf each kind one notice a day is sent.\n"))
}

fn draft(from: &Mailbox, to: &Address, subject: &str, text: &str) -> Draft {
    Draft {
        from: from.clone(),
        reply_to: Vec::new(),
        to: vec![Mailbox { name: None, address: to.clone() }],
        cc: Vec::new(),
        subject: subject.to_owned(),
        text: Some(text.to_owned()),
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: Some(AutoSubmitted::Generated),
        attachments: Vec::new(),
        charset: Charset::Utf8,
    }
}

fn job(id: JobId, account: &Account, to: Address, subject: String, message: &Message, now: Timestamp) -> Job {
    let from = &account.settings.from.address;
    let state = RecipientState::Pending { deferral: None };
    Job {
        id,
        account: account.id.clone(),
        caller: caller(),
        accepted_at: now,
        sender: account.settings.results.sender_of(from),
        audience: Audience::Together(vec![Recipient { address: to, field: RecipientField::To, state }]),
        subject: subject[..subject.floor_char_boundary(SUBJECT_KEPT_BYTES_MAX)].to_owned(),
        message: MessageFacts {
            message_id: Identity::of_job(id, from, now).message_id,
            bytes: message.bytes.len() as u64,
            is_eight_bit: message.is_eight_bit,
        },
        priority: Priority::Normal,
        labels: vec![label()],
        expires_at: Some(now.after(WORTH)),
        schedule: Schedule::Waiting { due: now },
        attempts_made: 0,
        first_attempt_at: None,
        attempts: Vec::new(),
        wish: None,
        fallbacks: None,
        approval: None,
        resent: None,
        override_suppression: false,
    }
}

/// One accepted recipient.
fn counted(job: &Job) -> Vec<Counted> {
    let counts = Counts { accepted: 1, reasons: BTreeMap::new(), ..Counts::default() };
    let domain = match &job.audience {
        Audience::Together(recipients) => recipients.first().map(|one| one.address.domain().to_lowercase()),
        Audience::Each(_) => None,
    };
    let groups = [StatisticsGroup::All, StatisticsGroup::Label(label())].into_iter();
    let groups = groups.chain(domain.map(|domain| StatisticsGroup::Domain(domain.into())));
    groups.map(|group| Counted { group, counts: counts.clone() }).collect()
}

fn label() -> Label {
    LABEL.parse().expect("a word without control characters is a label")
}

fn caller() -> Caller {
    CALLER.parse().expect("letters and a colon are a caller")
}
