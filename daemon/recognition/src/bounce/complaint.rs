//! Complaints: feedback reports (RFC 5965) and what providers sent before there were any.

use super::{
    address::{addresses_in, clean, is_address},
    finding::{Finding, Kind, Nature},
    mail::{Headers, Mail, PartKind},
};
use crate::classify::reason::Reason;

/// Types of feedback that say that somebody does not want the mail: RFC 5965 7.3, and opt-out of Yahoo and others.
const COMPLAINTS: [&str; 7] = ["abuse", "fraud", "virus", "other", "opt-out", "opt-out-list", "miscategorized"];

/// Fields of the returned mail in which a provider names who complained, as its documentation says.
const HIDDEN_RECIPIENTS: [&str; 4] = ["x-hmxmroriginalrecipient", "x-original-to", "x-rcpt-to", "x-apparently-to"];

/// What the mail is, and whom it is about, when it is a feedback report.
pub(super) fn read(mail: &Mail) -> Option<(Nature, Vec<Finding>)> {
    let returned = mail.of(PartKind::Returned).next().map(|text| Headers::read(text.trim_start().as_bytes()).0);
    let text = mail.text();
    let Some(report) = mail.of(PartKind::FeedbackReport).next().or_else(|| report_in(mail, &text)) else {
        return old_hotmail(mail, returned.as_ref());
    };
    let (fields, _) = Headers::read(report.trim_start().as_bytes());
    let feedback = fields.lower("feedback-type");
    let abuse = fields.lower("abuse-type");
    let is_complaint = COMPLAINTS.contains(&feedback.as_str()) || (feedback.is_empty() && !abuse.is_empty());
    if !is_complaint {
        return Some((Nature::FeedbackReport, Vec::new()));
    }
    // RFC 5965 3.2: Original-Rcpt-To may be repeated. Removal-Recipient and Redacted-Address are older and mean the same.
    let named = ["original-rcpt-to", "original-recipient", "removal-recipient", "redacted-address"];
    let mut recipients: Vec<&str> =
        named.iter().flat_map(|name| fields.all(name)).map(clean).filter(|address| is_address(address)).collect();
    recipients.dedup();
    if recipients.is_empty() {
        recipients.extend(returned.as_ref().and_then(recipient_of));
    }
    let server = fields.get("reporting-mta").or_else(|| fields.get("user-agent"));
    Some((Nature::Complaint, findings(&recipients, &feedback, server)))
}

/// A report that stands in a text, in mail that says to be one.
fn report_in<'a>(mail: &Mail, text: &'a str) -> Option<&'a str> {
    let says_so = mail.headers.lower("content-type").contains("feedback-report");
    let at =
        text.match_indices("Feedback-Type:").map(|(at, _)| at).find(|at| text[..*at].ends_with('\n') || *at == 0)?;
    says_so.then(|| &text[text[..at].rfind("\n\n").map_or(at, |start| start + 2)..])
}

/// Hotmail's Junk Mail Reporting Programme before RFC 5965: the mail itself in a plain envelope, named in the subject.
fn old_hotmail(mail: &Mail, returned: Option<&Headers>) -> Option<(Nature, Vec<Finding>)> {
    let from = mail.headers.lower("from");
    let subject = mail.headers.lower("subject");
    let is_hotmail =
        from.contains("staff@hotmail.com") || from.contains("@hotmail.com") || from.contains("@outlook.com");
    let names_a_complaint = subject.starts_with("complaint about message from");
    if !(names_a_complaint && (is_hotmail || returned.is_some_and(|headers| headers.has(HIDDEN_RECIPIENTS[0])))) {
        return None;
    }
    let recipients: Vec<&str> = returned.and_then(recipient_of).into_iter().collect();
    Some((Nature::Complaint, findings(&recipients, "abuse", None)))
}

/// The one recipient that the returned mail names.
fn recipient_of(returned: &Headers) -> Option<&str> {
    let hidden = HIDDEN_RECIPIENTS.iter().find_map(|name| returned.address(name));
    hidden.or_else(|| {
        let mut to = returned.all("to").flat_map(addresses_in);
        to.next().filter(|_| to.next().is_none())
    })
}

pub(super) fn findings(recipients: &[&str], feedback: &str, server: Option<&str>) -> Vec<Finding> {
    let finding = |recipient: Option<&str>| Finding {
        recipient: recipient.map(Into::into),
        final_recipient: None,
        status: None,
        diagnostic: feedback.into(),
        reporting_server: server.map(Into::into),
        remote_server: None,
        action: None,
        kind: Kind::Complaint,
        reason: Some(Reason::Complaint),
        rule: "feedback-report".into(),
    };
    if recipients.is_empty() { vec![finding(None)] } else { recipients.iter().map(|one| finding(Some(one))).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(fields: &str, returned: &str) -> String {
        format!(
            "From: fbl@provider.example\nSubject: FW: offer\nContent-Type: multipart/report; report-type=feedback-report;\n \
             boundary=\"x y\"\n\n--x y\n\nThis is an abuse report.\n--x y\nContent-Type: message/feedback-report\n\n{fields}\n\
             --x y\nContent-Type: message/rfc822\n\n{returned}\n\nBuy!\n--x y--\n"
        )
    }

    #[track_caller]
    fn check(mail: &str, want: Option<(Nature, &[Option<&str>])>) {
        let got = read(&Mail::read(mail.as_bytes()));
        let got = got.map(|(nature, all)| (nature, all.into_iter().map(|one| one.recipient).collect::<Vec<_>>()));
        let want = want.map(|(nature, all)| (nature, all.iter().map(|one| one.map(Into::into)).collect()));
        assert_eq!(got, want, "{mail}");
    }

    #[test]
    fn complaints_name_their_recipients() {
        let complaint = Nature::Complaint;
        check(
            &report("Feedback-Type: abuse\nVersion: 1\nOriginal-Rcpt-To: <taro@example.jp>", "To: x@y.jp"),
            Some((complaint, &[Some("taro@example.jp")])),
        );
        check(
            &report("Feedback-Type: abuse", "To: Taro <taro@example.jp>"),
            Some((complaint, &[Some("taro@example.jp")])),
        );
        check(&report("Feedback-Type: abuse", "To: a@b.jp, c@d.jp"), Some((complaint, &[None])));
        check(
            &report("Feedback-Type: fraud", "X-HmXmrOriginalRecipient: h@hotmail.example\nTo: a@b.jp"),
            Some((complaint, &[Some("h@hotmail.example")])),
        );
        let untyped =
            report("Feedback-Type: abuse", "To: a@b.jp").replace("Content-Type: message/feedback-report", "X: y");
        check(&untyped, Some((complaint, &[Some("a@b.jp")])));
        check(&report("Feedback-Type: auth-failure", "To: a@b.jp"), Some((Nature::FeedbackReport, &[])));
        check(&report("Feedback-Type: not-spam", "To: a@b.jp"), Some((Nature::FeedbackReport, &[])));
        let old = "From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\n\
            Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n\
            X-HmXmrOriginalRecipient: h@hotmail.example\n\nx\n--b--\n";
        check(old, Some((complaint, &[Some("h@hotmail.example")])));
        check("From: a@b.jp\nSubject: complaint about message from you\n\nNo.\n", None);
    }
}
