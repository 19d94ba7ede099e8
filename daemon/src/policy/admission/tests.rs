//! What is refused, and how it is told.

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
