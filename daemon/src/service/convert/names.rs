//! What an account sends as, to whom besides, and by which words it is found, on the wire.

use std::collections::HashSet;

use hikyaku_proto::v1;

use super::{
    values::{parse, to_receiver},
    violations::Violations,
};
use crate::domain::{account::SenderPattern, address::Address, ids::Label, mail::Mailbox};

/// Most further From addresses and domains of one account.
const SENDER_PATTERNS_MAX: usize = 1_000;
const LABELS_MAX: usize = 16;
/// Most further recipients in Cc, and as many in Bcc.
const MAILBOXES_MAX: usize = 20;

/// Patterns on the wire: addresses, and domains after an `@`.
pub(super) fn from_patterns(patterns: &[SenderPattern]) -> Vec<String> {
    let text = |pattern: &SenderPattern| match pattern {
        SenderPattern::Address(address) => address.as_str().to_owned(),
        SenderPattern::Domain(domain) => format!("@{domain}"),
    };
    patterns.iter().map(text).collect()
}

/// Patterns that a caller sent.
pub(super) fn to_patterns(texts: &[String], at: &str, violations: &mut Violations) -> Option<Vec<SenderPattern>> {
    check_count(texts.len(), SENDER_PATTERNS_MAX, at, violations)?;
    let read = texts.iter().enumerate().map(|(index, text)| {
        let at = format!("{at}[{index}]");
        let Some(domain) = text.strip_prefix('@') else {
            return parse::<Address>(text, at, violations).map(SenderPattern::Address);
        };
        // A domain is valid where an address of it is.
        let probe = parse::<Address>(&format!("x{text}"), at, violations);
        probe.map(|_| SenderPattern::Domain(domain.to_owned()))
    });
    let patterns: Vec<_> = read.collect();
    patterns.into_iter().collect()
}

/// Labels that a caller sent, none twice.
pub(in crate::service) fn to_labels(texts: &[String], at: &str, violations: &mut Violations) -> Option<Vec<Label>> {
    check_count(texts.len(), LABELS_MAX, at, violations)?;
    let mut seen = HashSet::new();
    let read = texts.iter().enumerate().map(|(index, text)| {
        let at = format!("{at}[{index}]");
        if !seen.insert(text) {
            violations.add(at, "is there twice");
            return None;
        }
        parse::<Label>(text, at, violations)
    });
    let labels: Vec<_> = read.collect();
    labels.into_iter().collect()
}

/// Further recipients that a caller sent; those that only a lenient account takes are noted.
pub(super) fn to_mailboxes(wire: Vec<v1::Mailbox>, at: &str, violations: &mut Violations) -> Option<Vec<Mailbox>> {
    check_count(wire.len(), MAILBOXES_MAX, at, violations)?;
    let read = wire.into_iter().enumerate();
    let read = read.map(|(index, mailbox)| to_receiver(mailbox, None, format_args!("{at}[{index}]"), violations));
    let mailboxes: Vec<_> = read.collect();
    mailboxes.into_iter().collect()
}

fn check_count(count: usize, most: usize, at: &str, violations: &mut Violations) -> Option<()> {
    if count > most {
        violations.add(at, format_args!("has more than {most} entries"));
    }
    (count <= most).then_some(())
}
