//! The way in: from the bytes of a mail to what it means for whom.

use std::collections::HashMap;

use super::{
    address::same,
    autoreply, complaint, dsn,
    dsn::Reported,
    finding::{Action, Finding, Findings, Kind, Nature},
    freeform::{self, Heard},
    mail::{Mail, PartKind},
    notification, returned,
    signs::Signs,
};
use crate::{
    classify::{
        evidence::{Evidence, Judgement, Origin},
        reason::Reason,
        rules::Rules,
    },
    reply::keep,
};

/// How much of a mail is read, in bytes. Reports stand at the beginning; the mail that they return is of no interest.
pub const MESSAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// How deep a bounce may lie in another mail from a mail system.
const DEPTH_MAX: usize = 2;

/// What a mail means. It is read without any limit on what it may hold; lines may end in LF or CRLF.
///
/// Only the first [`MESSAGE_BYTES_MAX`] bytes are read, at most 200 recipients are found, and parts are read eight deep.
#[must_use]
pub fn recognise(rules: &Rules, message: &[u8]) -> Findings {
    let message = &message[..message.len().min(MESSAGE_BYTES_MAX)];
    read(rules, &with_lf(message), 0)
}

fn read(rules: &Rules, message: &[u8], depth: usize) -> Findings {
    let mail = Mail::read(message);
    let signs = Signs::of(&mail);
    let text = mail.text();
    let (report, copy) = freeform::split(&text);
    let mut findings = Findings {
        returned: returned::returned(&mail, copy),
        arrival: returned::arrival(&mail),
        ..Findings::default()
    };
    if let Some((nature, recipients)) = complaint::read(&mail) {
        return Findings { nature, recipients, ..findings };
    }
    if let Some(reported) = notification::read(&mail, &text) {
        return of_notification(rules, reported, findings);
    }
    if let Some(nature) = autoreply::nature(&mail, &signs) {
        return Findings { nature, ..findings };
    }
    let is_report = mail.of(PartKind::DeliveryStatus).next().is_some();
    let reported = if is_report || signs.may_be_bounce() { dsn::read(&mail) } else { Vec::new() };
    let heard = freeform::read(&mail, &signs, report, copy);
    findings.recipients = if reported.is_empty() {
        let around = if heard.len() == 1 { report } else { "" };
        all_heard(rules, &heard, around)
    } else {
        let only = reported.len() == 1;
        reported.into_iter().map(|one| of_reported(rules, one, &heard, if only { report } else { "" })).collect()
    };
    if findings.recipients.is_empty() && depth < DEPTH_MAX && signs.may_be_bounce() {
        // Some systems pass on the bounces that they get, in a mail of their own.
        let inner_findings = read(rules, returned::copy_of(&mail, copy).as_bytes(), depth + 1);
        if inner_findings.nature == Nature::Bounce {
            return Findings { arrival: findings.arrival, ..inner_findings };
        }
    }
    findings.nature = nature_of(&findings.recipients);
    findings
}

fn of_notification(rules: &Rules, notified: notification::Notification, findings: Findings) -> Findings {
    let (recipients, nature): (Vec<_>, _) = match notified {
        notification::Notification::Complaint(recipients) => (recipients, Some(Nature::Complaint)),
        notification::Notification::Report(reported) => {
            (reported.into_iter().map(|one| of_reported(rules, one, &[], "")).collect(), None)
        }
    };
    let nature = nature.unwrap_or_else(|| nature_of(&recipients));
    Findings { nature, recipients, ..findings }
}

fn nature_of(recipients: &[Finding]) -> Nature {
    let is = |wanted: &[Action]| recipients.iter().any(|one| one.action.is_some_and(|action| wanted.contains(&action)));
    if recipients.iter().any(|one| matches!(one.kind, Kind::Hard | Kind::Soft)) {
        Nature::Bounce
    } else if is(&[Action::Delivered, Action::Relayed, Action::Expanded]) {
        Nature::SuccessReport
    } else {
        Nature::Ordinary
    }
}

fn of_reported(rules: &Rules, reported: Reported, heard: &[Heard], report: &str) -> Finding {
    let Reported { recipient, final_recipient, action, status, diagnostic, reporting_server, remote_server } = reported;
    let names = |one: &&Heard| {
        same(&one.recipient, &recipient) || final_recipient.as_deref().is_some_and(|other| same(&one.recipient, other))
    };
    let heard = heard.iter().find(names);
    // RFC 3464 2.3.3 demands an action; without one the status, else the text, says whether it is over.
    let action = action.or_else(|| heard.map(|heard| heard.action)).unwrap_or(Action::Failed);
    let mut words = diagnostic;
    let context = heard.map_or("", |heard| heard.said.as_str());
    let mut judgement = rules.judge(&Evidence { status, words: &words, context, origin: Origin::Report });
    if judgement.reason == Reason::Undetermined {
        let said = heard.map(|heard| heard.said.clone()).unwrap_or_default();
        let said = if said.is_empty() && words.is_empty() { freeform::tidy(report) } else { said };
        if !said.is_empty() {
            let by_text = rules.judge(&Evidence { status, words: &said, context, origin: Origin::Report });
            judgement = Judgement { reason: by_text.reason, ruling: by_text.ruling, ..judgement };
            if words.is_empty() {
                words = said;
            }
        }
    }
    let finding = finding(action, &judgement, &words);
    Finding {
        recipient: Some(recipient.into()),
        final_recipient: final_recipient.map(Into::into),
        status: status.or(judgement.status),
        reporting_server: reporting_server.map(Into::into),
        remote_server: remote_server.map(Into::into),
        ..finding
    }
}

/// Many recipients often share their words, which are then judged once.
fn all_heard(rules: &Rules, heard: &[Heard], around: &str) -> Vec<Finding> {
    let mut judged: HashMap<&str, Judgement> = HashMap::new();
    let mut findings = Vec::with_capacity(heard.len());
    for one in heard {
        let judgement = judged.entry(&one.said).or_insert_with(|| judge_heard(rules, one, around));
        findings.push(of_heard(one, judgement));
    }
    findings
}

fn judge_heard(rules: &Rules, heard: &Heard, around: &str) -> Judgement {
    let mut judgement =
        rules.judge(&Evidence { status: None, words: &heard.said, context: around, origin: Origin::Report });
    if judgement.reason == Reason::Undetermined && !around.is_empty() {
        // With one recipient, what stands before it is about it as well.
        let by_text =
            rules.judge(&Evidence { status: judgement.status, words: around, context: "", origin: Origin::Report });
        let transient = judgement.transient || by_text.transient;
        judgement = Judgement { transient, status: judgement.status.or(by_text.status), ..by_text };
    }
    judgement
}

fn of_heard(heard: &Heard, judgement: &Judgement) -> Finding {
    let finding = finding(heard.action, judgement, &heard.said);
    Finding {
        recipient: Some(heard.recipient.as_str().into()),
        final_recipient: heard.final_recipient.as_deref().map(Into::into),
        rule: format!("{}/{}", heard.format, finding.rule).into(),
        ..finding
    }
}

fn finding(action: Action, judgement: &Judgement, words: &str) -> Finding {
    let (kind, reason) = match action {
        Action::Failed if judgement.is_hard() => (Kind::Hard, Some(judgement.reason)),
        // A delay says nothing of the address.
        Action::Failed | Action::Delayed => (Kind::Soft, Some(judgement.reason)),
        Action::Delivered | Action::Relayed | Action::Expanded => (Kind::None, None),
    };
    Finding {
        recipient: None,
        final_recipient: None,
        status: judgement.status,
        diagnostic: keep(words).into(),
        reporting_server: None,
        remote_server: None,
        action: Some(action),
        kind,
        reason,
        rule: judgement.ruling.rule.clone(),
    }
}

fn with_lf(message: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(message.len());
    for (at, byte) in message.iter().enumerate() {
        if *byte != b'\r' || message.get(at + 1) != Some(&b'\n') {
            lines.push(*byte);
        }
    }
    lines
}

#[cfg(test)]
mod tests;
