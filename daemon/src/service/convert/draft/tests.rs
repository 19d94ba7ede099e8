//! How submissions on the wire are checked.

use super::*;

fn mailbox(address: &str) -> v1::Mailbox {
    v1::Mailbox { name: String::new(), address: address.into() }
}

fn mail(change: impl FnOnce(&mut v1::MailContent)) -> Option<WireContent> {
    let mut mail = v1::MailContent { subject: "s".into(), text: "t".into(), ..v1::MailContent::default() };
    change(&mut mail);
    Some(WireContent::Mail(mail))
}

fn least() -> v1::JobDraft {
    v1::JobDraft {
        account_id: "sales".into(),
        to: vec![mailbox("a@example.jp")],
        content: mail(|_| {}),
        ..v1::JobDraft::default()
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut v1::JobDraft), expected: &[(&str, Option<u32>)]) {
    let mut draft = least();
    change(&mut draft);
    let request = v1::SubmitJobRequest { job: Some(draft), ..v1::SubmitJobRequest::default() };
    let found = to_order(request).err().unwrap_or_default();
    let fields: Vec<_> = found.iter().map(|violation| (violation.field.as_str(), violation.recipient)).collect();
    assert_eq!(fields, expected);
}

fn file(name: &str) -> v1::Attachment {
    v1::Attachment { file_name: name.into(), ..v1::Attachment::default() }
}

#[test]
fn the_least_job_is_enough() {
    check(|_| {}, &[]);
    check(|d| d.content = Some(WireContent::Raw("From: a@b\n\nx".into())), &[]);
    check(|d| (d.to, d.bcc) = (Vec::new(), vec![mailbox("a@example.jp")]), &[]);
}

#[test]
fn threads_lists_and_programs_are_checked() {
    let list = |url: &str, mailto: &str, one_click| {
        let list = v1::ListUnsubscribe { url: url.into(), mailto: mailto.into(), one_click };
        move |m: &mut v1::MailContent| m.list_unsubscribe = Some(list)
    };
    check(|d| d.content = mail(|m| m.in_reply_to = "<a@example.jp>".into()), &[]);
    check(|d| d.content = mail(|m| m.references = vec!["a@x".into(), "<b@x>".into()]), &[]);
    check(|d| d.content = mail(|m| m.in_reply_to = "a b".into()), &[("job.mail.in_reply_to", None)]);
    check(|d| d.content = mail(|m| m.references = vec!["a@x".into(), "x".into()]), &[("job.mail.references[1]", None)]);
    check(|d| d.content = mail(|m| m.references = vec!["a@x".into(); 101]), &[("job.mail.references", None)]);
    check(|d| d.content = mail(list("https://x.jp/{{ id }}", "leave@x.jp", true)), &[]);
    check(|d| d.content = mail(list("", "", false)), &[("job.mail.list_unsubscribe.url", None)]);
    check(|d| d.content = mail(list("", "leave@x.jp", true)), &[("job.mail.list_unsubscribe.one_click", None)]);
    check(
        |d| d.content = mail(list("a\nb", "a\rb", false)),
        &[("job.mail.list_unsubscribe.url", None), ("job.mail.list_unsubscribe.mailto", None)],
    );
    check(|d| d.content = mail(|m| m.auto_submitted = 2), &[]);
    check(|d| d.content = mail(|m| m.auto_submitted = 9), &[("job.mail.auto_submitted", None)]);
}

#[test]
fn recipients_are_told_by_field_and_index() {
    check(|d| d.to = Vec::new(), &[("job.to", None)]);
    check(|d| d.to.push(mailbox("nobody")), &[("job.to[1].address", Some(1))]);
    check(
        |d| {
            d.cc = vec![mailbox("b@example.jp"), mailbox("")];
            d.bcc = vec![mailbox("a b@example.jp")];
        },
        &[("job.cc[1].address", Some(2)), ("job.bcc[0].address", Some(3))],
    );
    check(|d| d.cc = vec![mailbox("A@Example.jp")], &[("job.cc[0].address", Some(1))]);
    let many = (0..1_001).map(|n| mailbox(&format!("r{n}@example.jp"))).collect();
    check(|d| d.bcc = many, &[("job.to", None)]);
}

#[test]
fn each_bound_is_told_with_its_field() {
    check(|d| d.account_id = String::new(), &[("job.from", None)]);
    check(|d| d.account_id = "A B".into(), &[("job.account_id", None)]);
    check(|d| d.from = Some(mailbox("x")), &[("job.from.address", None)]);
    check(|d| d.reply_to = vec![mailbox("x")], &[("job.reply_to[0].address", None)]);
    check(|d| d.reply_to = vec![mailbox("a@example.jp"); 21], &[("job.reply_to", None)]);
    check(|d| d.content = None, &[("job.content", None)]);
    check(|d| d.content = Some(WireContent::Raw(Bytes::new())), &[("job.raw", None)]);
    check(|d| d.content = mail(|m| m.text.clear()), &[("job.mail.text", None)]);
    check(|d| d.content = mail(|m| m.subject = "a\nb".into()), &[("job.mail.subject", None)]);
    check(|d| d.content = mail(|m| m.subject = "x".repeat(10_001)), &[("job.mail.subject", None)]);
    check(|d| d.content = mail(|m| m.headers = vec![v1::Header::default(); 101]), &[("job.mail.headers", None)]);
    check(|d| d.content = mail(|m| m.attachments = vec![file("a"); 101]), &[("job.mail.attachments", None)]);
    check(
        |d| d.content = mail(|m| m.attachments = vec![file("a"), file(""), file("a\nb")]),
        &[("job.mail.attachments[1].file_name", None), ("job.mail.attachments[2].file_name", None)],
    );
    check(|d| d.priority = 9, &[("job.priority", None)]);
    check(|d| d.labels = vec!["a".into(), String::new()], &[("job.labels[1]", None)]);
    check(|d| d.labels = vec!["a".into(); 17], &[("job.labels", None)]);
    let early = Some(prost_types::Timestamp { seconds: -1, nanos: 0 });
    check(|d| (d.send_at, d.expires_at) = (early, early), &[("job.send_at", None), ("job.expires_at", None)]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let request = v1::SubmitJobRequest {
        job: Some(v1::JobDraft::default()),
        idempotency_key: "x".repeat(256),
        ..v1::SubmitJobRequest::default()
    };
    let found = to_order(request).expect_err("much is missing");
    let fields: Vec<_> = found.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["idempotency_key", "job.from", "job.to", "job.content"]);
    assert_eq!(to_order(v1::SubmitJobRequest::default()).expect_err("nothing")[0].field, "job");
}
