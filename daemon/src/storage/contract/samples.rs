//! Accounts, jobs and attempts for tests.

mod returns;

use bytes::Bytes;

pub use self::returns::{consequence, finding_about, inbound_id, inbound_mail, ingestion};
use crate::{
    domain::{
        account::{Account, AccountSettings, Encryption, Server, Stamp},
        attempt::{Attempt, Fate, Finding, Outcome, Response},
        dkim::{DkimAlgorithm, DkimKey, DkimKeyId, DkimRule, DkimRules},
        ids::{AccountId, Caller, Etag, JobId, Label, MessageKey},
        inbound::InboundId,
        job::{Audience, Job, MessageFacts, Priority, Schedule},
        ledger::{Charge, QuotaKey},
        limits::{QuotaUnit, QuotaWindow},
        mail::{Attachment, AutoSubmitted, Draft, ListUnsubscribe, Mailbox, Message},
        merge::{MergeRecipient, MergeTemplate, progress::MergeProgress},
        parking::{Parking, ParkingCause, Standing},
        reason::Reason,
        recipient::{Recipient, RecipientField, RecipientState},
        reply::Reply,
        report::{Report, ReportKind},
        secret::Secret,
        time::Timestamp,
        tokens::{AccessToken, Tokens},
        verdict::{Phase, Verdict},
    },
    storage::{
        Acceptance, Idempotency, JobStore, MergeSubmission, PrivateKey, SharedStorage, StorageError, Submission,
        Tenure,
        settlement::{Mark, Settlement},
    },
};

pub mod lists;

/// The time that is `seconds` after the beginning of every test.
#[must_use]
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
}

/// What a mail says that came back.
#[must_use]
pub fn report(kind: ReportKind) -> Report {
    Report {
        at: at(100),
        kind,
        reason: if kind == ReportKind::Complaint { Reason::Complaint } else { Reason::UserUnknown },
        status: "5.1.1".parse().ok(),
        diagnostic: "550 5.1.1 no such user".into(),
        reporting_server: Some("mx.example.jp".into()),
        inbound: InboundId::new(at(100), [7; 10]),
    }
}

/// An account's id.
#[must_use]
pub fn account_id(text: &str) -> AccountId {
    text.parse().expect("an account id")
}

/// A key that never signs, and its private half, which is longer than one value of a store.
#[must_use]
pub fn dkim_key(selector: &str, domain: &str) -> (DkimKey, PrivateKey) {
    let id = DkimKeyId::new(selector, domain).expect("a name");
    let private = Secret::new(id.to_string().repeat(5_000 / id.to_string().len()).into_bytes());
    let created = Stamp { at: at(1), by: caller() };
    (DkimKey { id, algorithm: DkimAlgorithm::Rsa { bits: 4_096 }, public_key: vec![0x30; 550], created }, private)
}

/// Rules that name these keys, each in a rule of its own, and the first one as a default.
#[must_use]
pub fn dkim_rules(keys: &[&str], etag: u64) -> DkimRules {
    let keys: Vec<DkimKeyId> = keys.iter().map(|text| text.parse().expect("a name")).collect();
    let from = || ["@example.jp", "*.example.com", "a@example.org"].map(|text| text.parse().expect("a pattern"));
    DkimRules {
        rules: keys.iter().map(|key| DkimRule { from: from().to_vec(), keys: vec![key.clone()] }).collect(),
        default_keys: keys.into_iter().take(1).collect(),
        sign_own_domains: true,
        etag: Etag(etag),
        updated: Some((at(1), caller())),
    }
}

/// The caller of all samples.
#[must_use]
pub fn caller() -> Caller {
    "local".parse().expect("a caller")
}

/// An account without limits that sends in the clear to port 25 of this host.
#[must_use]
pub fn sample_account(id: &str) -> Account {
    let stamp = Stamp { at: at(0), by: caller() };
    let from = Mailbox { name: None, address: format!("{id}@example.jp").parse().expect("an address") };
    let host = "localhost".parse().expect("a host");
    let server = Server::new(host, std::num::NonZeroU16::new(25).expect("not zero"), Encryption::None);
    let settings = AccountSettings { display_name: id.to_owned(), ..AccountSettings::new(from, server) };
    Account { id: account_id(id), settings, etag: Etag(1), created: stamp.clone(), updated: stamp }
}

/// Tokens in which `text` is the secret.
#[must_use]
pub fn tokens(text: &str) -> Tokens {
    Tokens {
        refresh_token: Some(Secret::new(format!("rt-{text}"))),
        access: Some(AccessToken { token: Secret::new(format!("at-{text}")), expires_at: at(3_600) }),
        refreshed_at: Some(at(0)),
    }
}

/// The id of the sample job of this number; ids sort by number.
#[must_use]
pub fn job_id(number: u32) -> JobId {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&number.to_be_bytes());
    JobId::new(at(u64::from(number)), random)
}

/// A job for one recipient, accepted and due at `at(number)`.
#[must_use]
pub fn sample_job(account: &str, number: u32) -> Job {
    let accepted_at = at(u64::from(number));
    Job {
        id: job_id(number),
        account: account_id(account),
        caller: caller(),
        accepted_at,
        sender: format!("{account}@example.jp").parse().expect("an address"),
        audience: Audience::Together(vec![recipient("taro@example.com")]),
        subject: format!("Letter {number}"),
        message: MessageFacts {
            message_id: format!("<{number}@example.jp>"),
            bytes: sample_message(number).bytes.len() as u64,
            is_eight_bit: false,
        },
        priority: Priority::Normal,
        labels: Vec::new(),
        expires_at: None,
        schedule: Schedule::Waiting { due: accepted_at },
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

/// A recipient in To that was never tried.
#[must_use]
pub fn recipient(address: &str) -> Recipient {
    Recipient {
        address: address.parse().expect("an address"),
        field: RecipientField::To,
        state: RecipientState::Pending { deferral: None },
    }
}

/// Adds a recipient to a plain job.
pub fn also_to(job: &mut Job, address: &str) {
    if let Audience::Together(recipients) = &mut job.audience {
        recipients.push(recipient(address));
    }
}

/// The message of the sample job of this number.
#[must_use]
pub fn sample_message(number: u32) -> Message {
    let text = format!("Message-ID: <{number}@example.jp>\r\nSubject: Letter {number}\r\n\r\nGood day.\r\n");
    Message { bytes: Bytes::from(text), is_eight_bit: false }
}

/// A label.
#[must_use]
pub fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

/// A job with a message that names its id, without an idempotency key.
#[must_use]
pub fn submission(job: Job) -> Submission {
    let text = format!("Message-ID: {}\r\nX-Job: {}\r\n\r\nGood day.\r\n", job.message.message_id, job.id);
    Submission {
        message: Message { bytes: Bytes::from(text), is_eight_bit: false },
        job,
        idempotency: None,
        counted: Vec::new(),
    }
}

/// A caller's key for a submission whose content hashes to `hash`.
#[must_use]
pub fn idempotency(by: &str, key: &str, hash: u8) -> Idempotency {
    let caller = by.parse().expect("a caller");
    Idempotency { caller, key: key.parse().expect("a key"), payload_hash: [hash; 32] }
}

/// Creates an account and takes its tenure.
pub async fn open_account(store: &SharedStorage, id: &str) -> Tenure {
    store.create_account(sample_account(id)).await.expect("the account is new");
    store.take_tenure(&account_id(id)).await.expect("a tenure")
}

/// Stores a job, which must be accepted.
pub async fn accept(store: &SharedStorage, job: Job) {
    let answers = JobStore::accept(&**store, vec![submission(job)]).await.expect("the store answers");
    assert_eq!(answers, [Acceptance::Accepted]);
}

/// A job as it is stored now.
pub async fn stored(store: &SharedStorage, number: u32) -> Job {
    store.job(job_id(number)).await.expect("the store answers").expect("the job is there").job
}

/// A reply.
#[must_use]
pub fn reply(text: &str) -> Reply {
    Reply::from_lines(text).expect("a reply")
}

/// A merge job with so many messages, accepted and due at `at(number)`.
#[must_use]
pub fn sample_merge(account: &str, number: u32, messages: u32) -> Job {
    let job = sample_job(account, number);
    let progress = MergeProgress::new(messages, job.accepted_at);
    Job { audience: Audience::Each(Box::new(progress)), ..job }
}

/// The recipient of this index of any sample merge job.
#[must_use]
pub fn merge_recipient(index: u32) -> MergeRecipient {
    MergeRecipient {
        address: format!("user{index}@example.com").parse().expect("an address"),
        name: (!index.is_multiple_of(3)).then(|| format!("山田 {index}")),
        values: vec![Some(format!("v{index}"))],
    }
}

/// A merge job with a content that names its id, without an idempotency key.
#[must_use]
pub fn merge_submission(job: Job) -> MergeSubmission {
    let from = Mailbox { name: Some("Sales".to_owned()), address: job.sender.clone() };
    let file = Attachment {
        file_name: "a.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        content: Bytes::from_static(b"a file"),
        content_id: None,
    };
    let draft = Draft {
        from: from.clone(),
        reply_to: vec![from],
        to: Vec::new(),
        cc: Vec::new(),
        subject: format!("To {{{{name}}}} of {}", job.id),
        text: Some("Good day.".to_owned()),
        html: None,
        headers: vec![("X-Campaign".to_owned(), "spring".to_owned())],
        in_reply_to: Some("<first@example.jp>".parse().expect("an id")),
        references: vec!["<root@example.jp>".parse().expect("an id"), "<first@example.jp>".parse().expect("an id")],
        list_unsubscribe: Some(ListUnsubscribe {
            url: Some("https://example.jp/leave?who={{ name }}".to_owned()),
            mailto: Some("leave@example.jp".to_owned()),
            one_click: true,
        }),
        auto_submitted: Some(AutoSubmitted::Generated),
        attachments: vec![file],
        charset: crate::domain::charset::Charset::Iso2022Jp,
    };
    let template = MergeTemplate { draft, variables: vec!["name".to_owned()], forbid_dkim: true };
    MergeSubmission { job, template, idempotency: None, counted: Vec::new() }
}

/// Stages recipients of the sample merge job of this number.
///
/// # Errors
/// As the store does.
pub async fn stage(store: &SharedStorage, number: u32, first: u32, count: u32) -> Result<(), StorageError> {
    store.stage(job_id(number), first, (first..first + count).map(merge_recipient).collect()).await
}

/// Stages a merge job's recipients and stores it, which must be accepted.
pub async fn accept_merge(store: &SharedStorage, job: Job) {
    let messages = job.merge().map_or(0, |progress| progress.messages);
    store.stage(job.id, 0, (0..messages).map(merge_recipient).collect()).await.expect("it is staged");
    let answer = store.accept_merge(merge_submission(job)).await.expect("the store answers");
    assert_eq!(answer, Acceptance::Accepted);
}

/// The mark of a message of a merge job, without charges.
#[must_use]
pub fn mark_of(message: MessageKey, now: Timestamp) -> Mark {
    let recipients = vec![message.index];
    Mark { message, attempt: 1, recipients, started: now, since: now, charges: Vec::new() }
}

/// An attempt of a message of a merge job.
#[must_use]
pub fn attempt_of(index: u32, number: u32, fate: Fate, now: Timestamp) -> Attempt {
    let outcome = Outcome { recipients: vec![index], finding: finding(fate), fate };
    Attempt { number, started: now, ended: now, outcomes: vec![outcome] }
}

/// The settlement of a message's attempt at `now`, to be tried again a minute later, without charges.
#[must_use]
pub fn settlement_of(message: MessageKey, attempt: Option<Attempt>, now: Timestamp) -> Settlement {
    let retry_at = now.after(std::time::Duration::from_secs(60));
    let handed_over = attempt.is_some();
    Settlement { message, attempt, retry_at, charges: Vec::new(), now, handed_over, aftermath: None }
}

/// What leads to a fate.
#[must_use]
pub fn finding(fate: Fate) -> Finding {
    let replied = |text| Response::Replied(reply(text));
    let broken = || Response::Broken("connection closed by the server".to_owned());
    let (response, verdict) = match fate {
        Fate::Submitted => (replied("250 2.0.0 queued"), Verdict::Accepted),
        Fate::Deferred | Fate::GivenUp => (replied("451 4.3.0 later"), Verdict::RetryLater),
        Fate::Failed => (replied("550 5.1.1 no such user"), Verdict::RejectRecipient),
        Fate::LeftInDoubt => (broken(), Verdict::InDoubt),
    };
    Finding { phase: Phase::EndOfData, response, verdict, blame: None }
}

/// An attempt that lasted from `now` to `now`, with the fates of the recipients in their order.
#[must_use]
pub fn attempt(number: u32, fates: &[Fate], now: Timestamp) -> Attempt {
    let outcome = |(index, &fate)| Outcome { recipients: vec![index], finding: finding(fate), fate };
    Attempt { number, started: now, ended: now, outcomes: (0..).zip(fates).map(outcome).collect() }
}

/// The mark of a job's next attempt, without charges.
#[must_use]
pub fn mark(job: &Job, now: Timestamp) -> Mark {
    let attempt = job.attempts_made + 1;
    Mark {
        message: MessageKey::only(job.id),
        attempt,
        recipients: job.pending(),
        started: now,
        since: now,
        charges: Vec::new(),
    }
}

/// The settlement of a job's attempt at `now`, to be tried again a minute later, without charges.
#[must_use]
pub fn settlement(job: JobId, attempt: Option<Attempt>, now: Timestamp) -> Settlement {
    settlement_of(MessageKey::only(job), attempt, now)
}

/// What the sample charges count: messages in any minute.
#[must_use]
pub fn per_minute() -> QuotaKey {
    QuotaKey { unit: QuotaUnit::Messages, window: QuotaWindow::Sliding(std::time::Duration::from_secs(60)) }
}

/// A change of one bucket of [`per_minute`].
#[must_use]
pub fn charge(bucket: u64, amount: i64) -> Charge {
    Charge { key: per_minute(), bucket, amount }
}

/// A standing that only a person ends.
#[must_use]
pub fn parked(cause: ParkingCause, since: Timestamp) -> Standing {
    let reason = "for a test".to_owned();
    Standing::Parked(Parking { cause, reason, reply: None, since, until: None, strikes: 1 })
}
