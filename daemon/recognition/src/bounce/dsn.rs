//! Delivery reports (RFC 3464, RFC 6533): all recipients of one report, and reports that are not quite as they should be.

use std::borrow::Cow;

use super::{
    address::{clean, is_address, same},
    finding::Action,
    mail::{Headers, Mail, PartKind},
};
use crate::{classify::evidence::enhanced_in, reply::EnhancedCode};

/// Most recipients of a report.
pub(super) const RECIPIENTS_MAX: usize = 200;

/// One recipient as a report has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reported {
    /// The address that we sent to.
    pub(super) recipient: String,
    /// The address at which it failed, when it is another one.
    pub(super) final_recipient: Option<String>,
    pub(super) action: Option<Action>,
    pub(super) status: Option<EnhancedCode>,
    pub(super) diagnostic: String,
    pub(super) reporting_server: Option<String>,
    pub(super) remote_server: Option<String>,
}

/// Fields that name the recipient a group is about, the best first: what we sent to goes before what became of it.
const RECIPIENT_FIELDS: [&str; 4] =
    ["original-recipient", "final-recipient", "x-actual-recipient", "x-failed-recipient"];

/// Every recipient in the reports of a mail. Reports that stand in a text instead of a part of their own count as well.
pub(super) fn read(mail: &Mail) -> Vec<Reported> {
    let mut found = Vec::new();
    for text in mail.of(PartKind::DeliveryStatus) {
        read_report(text, &mut found);
    }
    if found.is_empty() {
        let text = mail.text();
        // Amazon WorkMail and gateways that flatten reports write the fields into the text.
        if let Some(at) = field_at(&text, "reporting-mta:").or_else(|| field_at(&text, "final-recipient:")) {
            read_report(&without_indent(&text[at..]), &mut found);
        }
    }
    found
}

/// A text without the spaces that its first line begins with, in each of its lines: they would make each field a part of
/// the one before it.
fn without_indent(text: &str) -> Cow<'_, str> {
    let indent = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
    if indent.is_empty() {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| line.strip_prefix(indent).unwrap_or(line));
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// Where a line begins with a field's name.
fn field_at(text: &str, field: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().get(..field.len()).is_some_and(|start| start.eq_ignore_ascii_case(field)) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn read_report(text: &str, found: &mut Vec<Reported>) {
    let mut server = None;
    for block in text.split("\n\n").take(2 * RECIPIENTS_MAX) {
        let block = block.trim_matches(['\n', ' ']);
        let (fields, _) = Headers::read(block.as_bytes());
        if let Some(name) = fields.get("reporting-mta") {
            server = Some(server_name(name));
        }
        // A second Final-Recipient or Original-Recipient begins another recipient where the blank line was lost.
        for group in split_groups(block) {
            let (fields, _) = Headers::read(group.as_bytes());
            if let Some(mut reported) = read_group(&fields) {
                reported.reporting_server.clone_from(&server);
                let known = found.iter().any(|other: &Reported| {
                    same(&other.recipient, &reported.recipient) && other.action == reported.action
                });
                if !known && found.len() < RECIPIENTS_MAX {
                    found.push(reported);
                }
            }
        }
    }
}

fn split_groups(block: &str) -> Vec<&str> {
    let starts = |name: &str| {
        let mut at = 0;
        let mut all = Vec::new();
        for line in block.split_inclusive('\n') {
            if line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
                all.push(at);
            }
            at += line.len();
        }
        all
    };
    let finals = starts("final-recipient:");
    let marks = if finals.len() > 1 { finals } else { return vec![block] };
    let ends = marks.iter().skip(1).copied().chain([block.len()]);
    marks.iter().zip(ends).map(|(start, end)| &block[*start..end]).collect()
}

fn read_group(fields: &Headers) -> Option<Reported> {
    let address = |name: &&str| fields.get(name).and_then(recipient_in);
    let mut named = RECIPIENT_FIELDS.iter().filter_map(address);
    let mut recipient = named.next()?;
    let final_recipient = fields.get("final-recipient").and_then(recipient_in).or_else(|| named.next());
    // RFC 3461 4.2 writes ORCPT as xtext; some servers hand it on as it stands.
    if let Some(plain) = final_recipient.as_deref().filter(|other| same(&without_xtext(&recipient), other)) {
        recipient = plain.to_owned();
    }
    let status_text = fields.get("status").unwrap_or_default();
    let status = enhanced_of(status_text);
    let code = fields.all("diagnostic-code").map(diagnostic_text).collect::<Vec<_>>().join(" ");
    // Sun's servers put the words into a comment of the status.
    let comment = status_text.split_once('(').map(|(_, words)| words.trim_end_matches(')'));
    let diagnostic = if code.is_empty() { comment.unwrap_or_default().to_owned() } else { code };
    let action = fields.get("action").and_then(action_of).or_else(|| match status?.class {
        2 => Some(Action::Delivered),
        5 => Some(Action::Failed),
        _ => None,
    });
    let final_recipient = final_recipient.filter(|other| !same(other, &recipient));
    let remote_server = fields.get("remote-mta").map(server_name);
    let is_report = action.is_some() || status.is_some() || !diagnostic.is_empty();
    is_report.then_some(Reported {
        recipient,
        final_recipient,
        action,
        status,
        diagnostic,
        reporting_server: None,
        remote_server,
    })
}

/// The address in a recipient field (RFC 3464 2.3.1): the type is often wrong or missing.
fn recipient_in(value: &str) -> Option<String> {
    let value = without_escapes(value);
    // "Taro" <taro@example.jp> names the mailbox in its brackets.
    let value =
        value.rsplit_once('<').filter(|(before, _)| before.trim_end().ends_with('"')).map_or(&*value, |(_, rest)| rest);
    let address = clean(value);
    // Comments behind the address are not of it.
    let address = address.split([' ', '\t']).next().unwrap_or_default();
    let address = address.strip_prefix("mailto:").unwrap_or(address);
    let address = clean(address).trim_start_matches("RFC822:").trim_start_matches("rfc822:");
    is_address(address).then(|| address.to_owned())
}

/// A value with the characters that utf-8-addr-xtext writes as `\x{7528}` (RFC 6533 3).
fn without_escapes(value: &str) -> Cow<'_, str> {
    if !value.contains("\\x{") {
        return Cow::Borrowed(value);
    }
    let mut parts = value.split("\\x{");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = part.split_once('}').and_then(|(digits, rest)| {
            let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
            (!c.is_control() && !c.is_whitespace()).then_some((c, rest))
        });
        match escaped {
            Some((c, rest)) => {
                plain.push(c);
                plain.push_str(rest);
            }
            None => plain.push_str(part),
        }
    }
    Cow::Owned(plain)
}

/// An address with the characters that xtext writes as `+2B` (RFC 3461 4).
fn without_xtext(address: &str) -> String {
    let mut parts = address.split('+');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii_graphic);
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[2..]);
            }
            None => {
                plain.push('+');
                plain.push_str(part);
            }
        }
    }
    plain
}

fn action_of(value: &str) -> Option<Action> {
    let word = value.trim().split(|c: char| !c.is_ascii_alphabetic()).next()?.to_ascii_lowercase();
    Some(match word.as_str() {
        "failed" | "failure" | "fail" | "expired" | "error" | "bounced" => Action::Failed,
        "delayed" | "deferred" | "delay" => Action::Delayed,
        "delivered" | "deliverable" | "success" => Action::Delivered,
        "relayed" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ => return None,
    })
}

fn enhanced_of(value: &str) -> Option<EnhancedCode> {
    let word = value.trim().split([' ', '(', ';', '\t']).next()?;
    word.parse().ok().or_else(|| enhanced_in(value))
}

/// A diagnostic without its type: `smtp; 550 no` is `550 no` (RFC 3464 2.3.6).
fn diagnostic_text(value: &str) -> &str {
    match value.split_once(';') {
        Some((kind, words)) if kind.trim().len() <= 24 && !kind.trim().contains(' ') => words.trim(),
        _ => value.trim(),
    }
}

fn server_name(value: &str) -> String {
    let name = value.split_once(';').map_or(value, |(_, name)| name).trim();
    name.split([' ', '\t']).next().unwrap_or_default().trim_matches(['(', ')']).to_owned()
}

#[cfg(test)]
mod tests;
