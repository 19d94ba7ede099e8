//! Whole mails in the formats of many servers, each written for these tests.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

mod others;
mod servers;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

/// What a mail says of a recipient: address, kind, status and reason.
type Row<'a> = (&'a str, &'a str, Option<&'a str>, &'a str);

#[track_caller]
fn check(mail: &str, want: &[Row<'_>]) {
    check_bytes(mail.as_bytes(), want);
    check_bytes(mail.replace('\n', "\r\n").as_bytes(), want);
}

#[track_caller]
fn check_bytes(mail: &[u8], want: &[Row<'_>]) {
    let found = recognise(&RULES, mail);
    let got: Vec<_> = found
        .to_act_on()
        .map(|one| {
            let status = one.status.map(|status| status.to_string());
            (one.recipient.clone(), one.kind.as_str(), status, one.reason.map(Reason::as_str))
        })
        .collect();
    let want: Vec<_> = want
        .iter()
        .map(|(to, kind, status, reason)| (Some((*to).into()), *kind, status.map(str::to_owned), Some(*reason)))
        .collect();
    assert_eq!(got, want, "{}\n{found:#?}", String::from_utf8_lossy(mail));
}

/// A mail from a mail system with a plain text.
fn from_system(subject: &str, text: &str) -> String {
    format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: bounces@sender.example\nSubject: {subject}\n\
         Content-Type: text/plain; charset=utf-8\n\n{text}"
    )
}

#[test]
fn reports_are_read_with_all_that_correlation_needs() {
    let mail = "Return-Path: <>\nDelivered-To: b+7=x@sender.example\nFrom: MAILER-DAEMON@mx.example.net\n\
        To: b+7=x@sender.example\nSubject: Undelivered Mail Returned to Sender\nMessage-ID: <r1@mx.example.net>\n\
        Content-Type: multipart/report; report-type=delivery-status; boundary=\"b/1\"\n\n--b/1\n\nSorry.\n--b/1\n\
        Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\nOriginal-Envelope-Id: QQ1\n\n\
        Original-Recipient: rfc822;info@example.jp\nFinal-Recipient: rfc822; taro@inner.example\nAction: failed\n\
        Status: 5.1.1\nRemote-MTA: dns; mx.inner.example\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n\n--b/1\n\
        Content-Type: message/rfc822\n\nMessage-ID: <m1@sender.example>\nX-Hikyaku-Job: j1/0\nTo: info@example.jp\n\n\
        Hello\n--b/1--\n";
    check(mail, &[("info@example.jp", "hard", Some("5.1.1"), "user-unknown")]);
    let found = recognise(&RULES, mail.as_bytes());
    assert_eq!(found.nature, Nature::Bounce);
    let one = &found.recipients[0];
    assert_eq!(one.final_recipient.as_deref(), Some("taro@inner.example"));
    assert_eq!(one.reporting_server.as_deref(), Some("mx.example.net"));
    assert_eq!(one.remote_server.as_deref(), Some("mx.inner.example"));
    assert_eq!(&*one.diagnostic, "550 5.1.1 no such user");
    assert_eq!(found.returned.message_id.as_deref(), Some("m1@sender.example"));
    assert_eq!(found.returned.job.as_deref(), Some("j1/0"));
    assert_eq!(found.arrival.recipients, ["b+7=x@sender.example".into()]);
    assert_eq!(found.arrival.envelope_id.as_deref(), Some("QQ1"));
}

fn report(fields: &str) -> String {
    format!(
        "From: postmaster@mx.example.net\nSubject: Delivery report\nContent-Type: multipart/report;\n \
         report-type=delivery-status; boundary=x\n\n--x\nContent-Type: text/plain\n\nSee below.\n--x\n\
         Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n{fields}\n--x--\n"
    )
}

#[test]
fn a_delay_is_never_hard_and_good_news_is_nothing() {
    let delayed = "Final-Recipient: rfc822; taro@example.jp\nAction: delayed\nStatus: 5.1.1\n\
        Diagnostic-Code: smtp; 550 no such user\n";
    check(&report(delayed), &[("taro@example.jp", "soft", Some("5.1.1"), "user-unknown")]);
    for action in ["delivered", "relayed", "expanded"] {
        let mail = report(&format!("Final-Recipient: rfc822; taro@example.jp\nAction: {action}\nStatus: 2.0.0\n"));
        check(&mail, &[]);
        assert_eq!(recognise(&RULES, mail.as_bytes()).nature, Nature::SuccessReport);
    }
}

#[test]
fn the_text_explains_what_a_report_leaves_open() {
    let mail = report("Final-Recipient: rfc822; taro@example.jp\nAction: failed\nStatus: 5.0.0\n");
    let mail = mail.replace("See below.", "<taro@example.jp>: host mx said: 552 mailbox full (in reply to RCPT TO)");
    check(&mail, &[("taro@example.jp", "soft", Some("5.0.0"), "mailbox-full")]);
}

#[test]
fn a_bounce_within_a_bounce_is_found() {
    let inner = from_system(
        "failure notice",
        "Hi. This is the qmail-send program at mx.\n\n<taro@example.jp>:\nNo such user.\n",
    );
    let mail = from_system("Undelivered mail", &format!("We pass this on to you.\n\n--------\n{inner}"));
    check(&mail, &[("taro@example.jp", "hard", None, "user-unknown")]);
}

#[track_caller]
fn check_nature(mail: &str, nature: Nature) {
    let found = recognise(&RULES, mail.as_bytes());
    assert_eq!((found.nature, found.to_act_on().count()), (nature, 0), "{mail}\n{found:#?}");
}

#[test]
fn what_is_no_bounce_yields_nothing() {
    let quoted = "From: Taro <taro@example.jp>\nSubject: Fwd: failure notice\n\nLook what I got:\n\n\
        Hi. This is the qmail-send program at mx.example.\n<hanako@example.jp>:\nNo such user. (#5.1.1)\n";
    check_nature(quoted, Nature::Ordinary);
    check_nature(
        "From: Taro <taro@example.jp>\nSubject: lunch\n\nhanako@example.jp does not exist, said 550 5.1.1.\n",
        Nature::Ordinary,
    );
    let vacation = "From: Taro <taro@example.jp>\nReturn-Path: <>\nAuto-Submitted: auto-replied\nSubject: x\n\n\
        I am away. Write to hanako@example.jp. Your message was not delivered to my phone.\n";
    check_nature(vacation, Nature::AutoReply);
    let challenge = "From: taro@example.jp\nSubject: Please confirm your message\n\nYour mail to taro@example.jp was not \
        delivered yet. Click to prove that you are human.\n";
    check_nature(challenge, Nature::AutoReply);
    let success = "From: MAILER-DAEMON@mx.example.net\nSubject: Successful Mail Delivery Report\n\n\
        <taro@example.jp>: delivery via mx: 250 ok\n";
    check_nature(success, Nature::Ordinary);
    let delivered =
        from_system("Delivery Notification", "Your message was successfully delivered to:\n\n taro@example.jp\n");
    check_nature(&delivered, Nature::Ordinary);
    check_nature("", Nature::Ordinary);
    check_nature("\n\n\n", Nature::Ordinary);
}

#[test]
fn deep_and_broken_parts_end() {
    let mut mail = String::from("From: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n");
    for depth in 0..1_000 {
        mail.push_str(&format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n"));
    }
    mail.push_str("\n<taro@example.jp>:\n550 no such user\n");
    let found = recognise(&RULES, mail.as_bytes());
    assert!(found.recipients.len() <= 1, "{found:?}");
    let nested = "Content-Type: message/rfc822\n\n".repeat(50_000);
    assert_eq!(recognise(&RULES, nested.as_bytes()).recipients.len(), 0);
    let many: String = (0..1_000)
        .map(|n| format!("Final-Recipient: rfc822; u{n}@example.jp\nAction: failed\nStatus: 5.1.1\n\n"))
        .collect();
    assert_eq!(recognise(&RULES, report(&many).as_bytes()).recipients.len(), dsn::RECIPIENTS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_mail_is_too_odd(text in "(?s).{0,400}", cut in 0_usize..900, flip in 0_usize..900) {
        let mut mail = report("Final-Recipient: rfc822; taro@example.jp\nAction: failed\nStatus: 5.1.1\n").into_bytes();
        mail.truncate(cut.min(mail.len()));
        if let Some(byte) = mail.get_mut(flip) {
            *byte ^= 0x41;
        }
        mail.extend_from_slice(text.as_bytes());
        let found = recognise(&RULES, &mail);
        prop_assert!(found.recipients.iter().all(|one| one.diagnostic.len() <= crate::reply::REPLY_TEXT_BYTES_MAX));
    }
}
