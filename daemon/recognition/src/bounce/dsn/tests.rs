//! Reports as the RFCs have them, and as servers write them.

use super::*;

fn mail(status: &str) -> Mail {
    let text = format!(
        "From: MAILER-DAEMON@mx.example.jp\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
         --b\nContent-Type: text/plain\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n{status}\n--b\n\
         Content-Type: message/rfc822\n\nMessage-ID: <1@example.jp>\n\nHello\n--b--\n"
    );
    Mail::read(text.as_bytes())
}

#[track_caller]
fn check(status: &str, want: &[(&str, Option<Action>, Option<&str>, &str)]) {
    let got = read(&mail(status));
    let got: Vec<_> = got
        .iter()
        .map(|one| {
            let code = one.status.map(|status| status.to_string());
            (one.recipient.as_str(), one.action, code, one.diagnostic.as_str())
        })
        .collect();
    let want: Vec<_> =
        want.iter().map(|(to, action, status, words)| (*to, *action, status.map(str::to_owned), *words)).collect();
    assert_eq!(got, want, "{status}");
}

#[test]
fn every_recipient_of_a_report_is_read() {
    let (failed, delayed, relayed) = (Some(Action::Failed), Some(Action::Delayed), Some(Action::Relayed));
    check(
        "Reporting-MTA: dns; mx.example.jp\n\nFinal-Recipient: rfc822; taro@example.jp\nAction: failed\nStatus: 5.1.1\n\
         Diagnostic-Code: smtp; 550 5.1.1\n no such user\n\nFinal-Recipient: RFC822;<jiro@example.jp>\nAction: delayed\n\
         Status: 4.4.1 (connection timed out)\n\nFinal-Recipient: rfc822;saburo@example.jp\nAction: relayed\nStatus: 2.6.0\n",
        &[
            ("taro@example.jp", failed, Some("5.1.1"), "550 5.1.1 no such user"),
            ("jiro@example.jp", delayed, Some("4.4.1"), "connection timed out"),
            ("saburo@example.jp", relayed, Some("2.6.0"), ""),
        ],
    );
}

#[test]
fn the_address_that_we_sent_to_goes_before_the_final_one() {
    let status = "Original-Recipient: rfc822;info@example.jp\nFinal-Recipient: rfc822;taro@inner.example\nAction: failed\n\
        Status: 5.2.2\n";
    let reported = &read(&mail(status))[0];
    assert_eq!(reported.recipient, "info@example.jp");
    assert_eq!(reported.final_recipient.as_deref(), Some("taro@inner.example"));
}

#[test]
fn reports_with_mistakes_are_read() {
    let failed = Some(Action::Failed);
    check(
        "Final-Recipient: taro@example.jp\nAction: Failed (bad address)\nStatus: 5.1.1 (bad)\n",
        &[("taro@example.jp", failed, Some("5.1.1"), "bad")],
    );
    check(
        "Reporting-MTA: dns; x\nFinal-Recipient: rfc822; a@example.jp\nAction: failed\nStatus: 5.0.0\n\
         Final-Recipient: rfc822; b@example.jp\nAction: failed\nStatus: 5.0.0\n",
        &[("a@example.jp", failed, Some("5.0.0"), ""), ("b@example.jp", failed, Some("5.0.0"), "")],
    );
    check(
        "Final-Recipient: rfc822; taro@example.jp\nStatus: 5.5.0\n",
        &[("taro@example.jp", failed, Some("5.5.0"), "")],
    );
    check(
        "Final-Recipient: utf-8; 太郎@例え.jp\nAction: failed\nStatus: 5.1.1\n",
        &[("太郎@例え.jp", failed, Some("5.1.1"), "")],
    );
    check("Reporting-MTA: dns; x\n", &[]);
    check("Final-Recipient: rfc822; nobody\nAction: failed\n", &[]);
}

#[test]
fn a_report_that_stands_in_the_text_is_read() {
    let mail = Mail::read(
        b"Subject: Delivery Status Notification (Failure)\n\nAn error occurred.\n\nTechnical report:\n\n\
          Reporting-MTA: dsn; out.example\n\nAction: failed\nFinal-Recipient: rfc822; taro@example.jp\n\
          Diagnostic-Code: smtp; 552 5.2.2 full\nStatus: 5.2.2\n",
    );
    let reported = read(&mail);
    assert_eq!(reported.len(), 1);
    assert_eq!(
        (reported[0].recipient.as_str(), reported[0].diagnostic.as_str()),
        ("taro@example.jp", "552 5.2.2 full")
    );
    assert_eq!(reported[0].reporting_server.as_deref(), Some("out.example"));
}
