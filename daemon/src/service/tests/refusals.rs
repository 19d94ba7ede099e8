//! Everything that a client can get wrong in a submission: each is refused with the fields it is about, and nothing is stored.

use v1::job_draft::Content;

use super::{gate::with, *};

const INVALID: (Code, &str) = (Code::InvalidArgument, "INVALID_FIELDS");

fn seconds(seconds: i64) -> Option<prost_types::Timestamp> {
    let begin = i64::try_from(BEGIN_MS / 1_000).expect("small");
    Some(prost_types::Timestamp { seconds: begin + seconds, nanos: 0 })
}

/// A draft with this content.
fn mail(change: impl FnOnce(&mut v1::MailContent)) -> v1::JobDraft {
    let mut mail = v1::MailContent { subject: "Hello".into(), text: "World".into(), ..v1::MailContent::default() };
    change(&mut mail);
    v1::JobDraft { content: Some(Content::Mail(mail)), ..good() }
}

fn good() -> v1::JobDraft {
    draft("sales", "a@example.jp")
}

fn header(name: &str, value: &str) -> v1::Header {
    v1::Header { name: name.into(), value: value.into() }
}

async fn api() -> Api {
    let limited = |settings: &mut crate::domain::account::AccountSettings| {
        settings.limits.recipients_per_job_max = 3.try_into().expect("not zero");
        settings.limits.message_bytes_max = 20_000;
        settings.content.attachments_allowed = false;
    };
    with(limited).await
}

/// Submits each draft alone and in a stream, dry and not: it is refused with these fields, the recipients of which are told.
async fn check(api: &Api, what: &str, job: v1::JobDraft, (code, reason): (Code, &str), fields: &[(&str, Option<u32>)]) {
    let names: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
    for dry_run in [true, false] {
        let request = v1::SubmitJobRequest { job: Some(job.clone()), idempotency_key: "k".into(), dry_run };
        check_refused(api.jobs().submit_job(request).await, code, reason, &names);
    }
    let submission = Some(v1::SubmitJobRequest { job: Some(job), ..v1::SubmitJobRequest::default() });
    let requests = stream::iter([v1::SubmitJobsRequest { sequence: 1, submission }]);
    let mut answers = api.jobs().submit_jobs(requests).await.expect("a stream").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one").result;
    let Some(v1::submit_jobs_response::Result::Refused(refusal)) = answer else { panic!("{what} is accepted") };
    let told: Vec<_> = refusal.violations.iter().map(|one| (one.field.as_str(), one.recipient)).collect();
    assert_eq!((refusal.code, told.as_slice()), (code as i32, fields), "{what}");
    let list = api.jobs().list_jobs(v1::ListJobsRequest::default()).await.expect("a list").into_inner();
    assert_eq!(list.jobs, [], "{what}");
}

#[tokio::test]
async fn wrong_recipients_and_accounts_are_refused() {
    let api = api().await;
    let to = |addresses: &[&str]| v1::JobDraft { to: addresses.iter().map(|one| mailbox(one)).collect(), ..good() };
    check(&api, "no recipients", to(&[]), INVALID, &[("job.to", None)]).await;
    let twice = to(&["a@example.jp", "x", "A@EXAMPLE.jp"]);
    let fields = [("job.to[1].address", Some(1)), ("job.to[2].address", Some(2))];
    check(&api, "bad addresses", twice, INVALID, &fields).await;
    let bcc = v1::JobDraft { bcc: vec![mailbox("b@example.jp"), mailbox("a b@example.jp")], ..good() };
    check(&api, "a bad address in bcc", bcc, INVALID, &[("job.bcc[1].address", Some(2))]).await;
    let injected = v1::Mailbox { name: "A\r\nBcc: x@y.jp".into(), address: "a@example.jp".into() };
    let injected = v1::JobDraft { to: vec![injected], ..good() };
    check(&api, "a name with a line break", injected, INVALID, &[("job.to[0].name", Some(0))]).await;
    let many = to(&["a@x.jp", "b@x.jp", "c@x.jp", "d@x.jp"]);
    check(&api, "too many recipients", many, INVALID, &[("job.to", None)]).await;
    let unknown = (Code::NotFound, "ACCOUNT_NOT_FOUND");
    let nobody = draft("nobody", "a@example.jp");
    check(&api, "an unknown account", nobody, unknown, &[("job.account_id", None)]).await;
    let bad = draft("!", "a@example.jp");
    check(&api, "a bad account", bad, INVALID, &[("job.account_id", None)]).await;
    check(&api, "neither account nor from", draft("", "a@example.jp"), INVALID, &[("job.from", None)]).await;
    let other = v1::JobDraft { from: Some(mailbox("other@example.jp")), ..good() };
    check(&api, "another's From", other, INVALID, &[("job.from.address", None)]).await;
    let bad = v1::JobDraft { reply_to: vec![mailbox("x")], ..good() };
    check(&api, "a bad Reply-To", bad, INVALID, &[("job.reply_to[0].address", None)]).await;
}

#[tokio::test]
async fn wrong_content_is_refused() {
    let api = api().await;
    let none = v1::JobDraft { content: None, ..good() };
    check(&api, "no content", none, INVALID, &[("job.content", None)]).await;
    let empty = mail(|mail| mail.text.clear());
    check(&api, "empty content", empty, INVALID, &[("job.mail.text", None)]).await;
    let subject = mail(|mail| mail.subject = "a\nBcc: x@y.jp".into());
    check(&api, "a line break in the subject", subject, INVALID, &[("job.mail.subject", None)]).await;
    let large = mail(|mail| mail.text = "long ".repeat(5_000));
    check(&api, "too large", large, INVALID, &[("job", None)]).await;
    let file = v1::Attachment { file_name: "a.txt".into(), content: "x".into(), ..v1::Attachment::default() };
    let file = mail(|mail| mail.attachments = vec![file]);
    check(&api, "an attachment", file, INVALID, &[("job.mail.attachments", None)]).await;
    for name in ["From", "bcc", "DKIM-Signature", "Date", "Content-Type", "X-Hikyaku-Job"] {
        let protected = mail(|mail| mail.headers = vec![header("X-A", "fine"), header(name, "x")]);
        check(&api, name, protected, INVALID, &[("job.mail.headers[1].name", None)]).await;
    }
    let injected = mail(|mail| mail.headers = vec![header("X-A", "a\r\nBcc: x@y.jp")]);
    check(&api, "a line break in a header", injected, INVALID, &[("job.mail.headers[0].value", None)]).await;
    let raw = v1::JobDraft { content: Some(Content::Raw("no header".into())), ..good() };
    check(&api, "no message", raw, INVALID, &[("job.raw", None)]).await;
}

#[tokio::test]
async fn wrong_terms_are_refused_together() {
    let api = api().await;
    let late = v1::JobDraft { expires_at: seconds(-5), ..good() };
    check(&api, "expired", late, INVALID, &[("job.expires_at", None)]).await;
    let before = v1::JobDraft { send_at: seconds(60), expires_at: seconds(60), ..good() };
    check(&api, "expired before it could be sent", before, INVALID, &[("job.expires_at", None)]).await;
    let far = v1::JobDraft { send_at: seconds(367 * 86_400), ..good() };
    check(&api, "more than a year ahead", far, INVALID, &[("job.send_at", None)]).await;
    let labels = v1::JobDraft { labels: vec!["x".into(); 17], ..good() };
    check(&api, "too many labels", labels, INVALID, &[("job.labels", None)]).await;
    let labels = v1::JobDraft { labels: vec!["a".into(), "x".repeat(65)], ..good() };
    check(&api, "a long label", labels, INVALID, &[("job.labels[1]", None)]).await;
    let priority = v1::JobDraft { priority: 9, ..good() };
    check(&api, "no priority", priority, INVALID, &[("job.priority", None)]).await;
    let all = v1::JobDraft { priority: 9, labels: vec![String::new()], to: vec![mailbox("x")], ..good() };
    let fields = [("job.to[0].address", Some(0)), ("job.priority", None), ("job.labels[0]", None)];
    check(&api, "several at once", all, INVALID, &fields).await;
}

#[tokio::test]
async fn what_is_only_odd_is_accepted_with_a_warning() {
    let api = api().await;
    let past = v1::JobDraft { send_at: seconds(-60), ..good() };
    let answer = api.submit(past).await.expect("a job");
    assert_eq!(answer.warnings, ["send_at 2023-11-14T22:12:20.000Z has passed: the job goes as soon as it may"]);
    assert_eq!(api.job(&answer.job_id).await.state(), v1::JobState::Queued);
    let pause = v1::PauseAccountRequest { account_id: "sales".into(), until: seconds(600), ..Default::default() };
    api.accounts().pause_account(pause).await.expect("it is paused");
    let short = v1::JobDraft { expires_at: seconds(60), ..good() };
    let warnings = api.submit(short).await.expect("a job").warnings;
    assert!(warnings.len() == 2 && warnings[1].ends_with("it would not be sent"), "{warnings:?}");
}
