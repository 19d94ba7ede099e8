//! Reports, and what they may speak of.

use super::*;
use crate::policy::bounce::{Action, Arrival, Nature, Returned};

fn verp() -> VerpKey {
    VerpKey::new([7; 32])
}

fn job(number: u8) -> JobId {
    let mut bytes = [number; 16];
    (bytes[6], bytes[8]) = (0x70, 0x80);
    JobId::from_bytes(bytes)
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn finding(recipient: Option<&str>, last: Option<&str>) -> Finding {
    Finding {
        recipient: recipient.map(Into::into),
        final_recipient: last.map(Into::into),
        status: None,
        diagnostic: "".into(),
        reporting_server: None,
        remote_server: None,
        action: Some(Action::Failed),
        kind: Kind::Hard,
        reason: None,
        rule: "".into(),
    }
}

fn report(returned: Returned, to: &[&str], answers: &[&str]) -> Findings {
    let boxed = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
    Findings {
        nature: Nature::Bounce,
        recipients: vec![finding(Some("taro@example.com"), None)],
        returned,
        arrival: Arrival { recipients: boxed(to), answers: boxed(answers), ..Arrival::default() },
    }
}

fn named(job: JobId, index: u32, by: Correlation) -> Lead {
    Lead::Message(Named { message: MessageKey { job, index }, by, is_proven: by == Correlation::Verp })
}

#[test]
fn what_is_signed_comes_first_and_recipients_last() {
    let key = MessageKey { job: job(1), index: 5 };
    let tagged = verp().address(&address("bounces@example.jp"), key);
    let forged = VerpKey::new([8; 32]).address(&address("bounces@example.jp"), key);
    let returned = |id: &str, header: &str| Returned {
        message_id: Some(id).filter(|id| !id.is_empty()).map(Into::into),
        job: Some(header).filter(|header| !header.is_empty()).map(Into::into),
        ..Returned::default()
    };
    let check = |findings: Findings, expected: Vec<Lead>| {
        assert_eq!(leads(&findings, &verp()), expected);
    };
    check(report(returned("", ""), &[tagged.as_str()], &[]), vec![named(job(1), 5, Correlation::Verp)]);
    check(report(returned("", ""), &[forged.as_str(), "not an address"], &[]), vec![Lead::Recipients]);
    let plain = job(2).to_string();
    check(report(returned("", &plain), &[], &[]), vec![named(job(2), 0, Correlation::Header)]);
    check(report(returned("", "nonsense"), &[], &[]), vec![]);
    check(
        report(returned(&format!("{plain}.9@example.jp"), ""), &[], &[]),
        vec![named(job(2), 9, Correlation::MessageId)],
    );
    check(report(returned(&format!("{plain}.x@example.jp"), ""), &[], &[]).clone(), {
        vec![Lead::Name(format!("{plain}.x@example.jp").into())]
    });
    check(report(returned("own@shop.example", ""), &[], &["own@shop.example", "other@shop.example"]), {
        vec![Lead::Name("own@shop.example".into()), Lead::Name("other@shop.example".into())]
    });
    check(
        report(returned(&format!("{plain}@example.jp"), &plain), &[tagged.as_str()], &[]),
        vec![named(job(1), 5, Correlation::Verp), named(job(2), 0, Correlation::Header)],
    );
    let ordinary = Findings { recipients: Vec::new(), ..report(returned("a@b", ""), &[tagged.as_str()], &[]) };
    assert_eq!(leads(&ordinary, &verp()), []);
}

#[track_caller]
fn check(
    (by, is_proven, is_of_merge): (Correlation, bool, bool),
    recipients: &[&str],
    finding: &Finding,
    expected: Option<(u32, Correlation)>,
) {
    let message = MessageKey { job: job(1), index: 0 };
    let recipients = (0..).zip(recipients.iter().map(|text| address(text))).collect();
    let candidate = Candidate { named: Named { message, by, is_proven }, is_of_merge, recipients };
    let found = subject(&candidate, finding);
    assert_eq!(found.map(|subject| (subject.recipient, subject.correlation)), expected);
}

#[test]
fn a_report_speaks_only_of_recipients_of_its_message() {
    use Correlation::{Header, MessageId, ProviderId, Recipient, Verp};
    let (verp, header) = ((Verp, true, false), (Header, false, false));
    let two = ["taro@example.com", "Hanako@Example.com"];
    check(verp, &two, &finding(Some("HANAKO@example.COM"), None), Some((1, Verp)));
    check(verp, &two, &finding(Some("x@y.example"), Some("taro@example.com")), Some((0, Verp)));
    check(verp, &two, &finding(Some("forwarded@elsewhere.example"), None), None);
    check(verp, &two, &finding(None, None), None);
    check(verp, &two[..1], &finding(Some("forwarded@elsewhere.example"), None), Some((0, Verp)));
    check(verp, &two[..1], &finding(None, None), Some((0, Verp)));
    check(header, &two[..1], &finding(None, None), Some((0, Header)));
    check(header, &two[..1], &finding(Some("forwarded@elsewhere.example"), None), None);
    check(header, &two, &finding(Some("taro@example.com"), None), Some((0, Header)));
    check((MessageId, false, false), &two[..1], &finding(Some("taro@example.com"), None), Some((0, MessageId)));
    // Whoever got one message of a merge job could name the others.
    check((Header, false, true), &two[..1], &finding(Some("taro@example.com"), None), Some((0, Recipient)));
    check((Header, false, true), &two[..1], &finding(None, None), None);
    check((Header, true, true), &two[..1], &finding(None, None), Some((0, Header)));
    check((MessageId, false, true), &two[..1], &finding(Some("taro@example.com"), None), Some((0, Recipient)));
    check((ProviderId, false, true), &two[..1], &finding(Some("taro@example.com"), None), Some((0, ProviderId)));
}

#[test]
fn addresses_are_compared_without_case_and_quotes() {
    assert!(is_same("TARO@example.com", &address("taro@Example.COM")));
    assert!(is_same("\"taro\"@example.com", &address("taro@example.com")));
    assert!(!is_same("taro@example.com.", &address("hanako@example.com")));
    assert!(!is_same("", &address("hanako@example.com")));
}
