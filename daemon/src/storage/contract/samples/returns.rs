//! Mail that comes back, for tests.

use super::{account_id, at, label, report};
use crate::{
    domain::{
        ids::MessageKey,
        inbound::{
            Action, Correlation, Effect, InboundAttachment, InboundContent, InboundField, InboundFinding, InboundId,
            InboundMail, InboundPresence, Kind, MailboxId, Nature, ReadMark, Subject,
        },
        reason::Reason,
        report::{Report, ReportKind},
    },
    storage::{Consequence, Ingestion},
};

/// The id of the sample mail of this number; ids sort by number.
#[must_use]
pub fn inbound_id(number: u32) -> InboundId {
    InboundId::new(at(u64::from(number)), [9; 10])
}

/// A mail that came at `at(number)` and says nothing of anybody; it holds more than one value of a store.
#[must_use]
pub fn inbound_mail(account: &str, number: u32) -> InboundMail {
    let attachment = InboundAttachment {
        saved_as: Some("a1-letter.pdf".into()),
        file_name: "letter.pdf".into(),
        media_type: "application/pdf".into(),
        bytes: 70_000,
    };
    let presence = InboundPresence {
        field: InboundField::Cc,
        address: "sales@example.jp".into(),
        labels: vec![label("lead")],
        status: "new".into(),
    };
    let content = InboundContent {
        headers: vec![("Subject".into(), format!("Hello {number}").into()), ("X-Empty".into(), "".into())],
        text: "Good day. ".repeat(1_000).into(),
        is_text_cut: true,
        attachments: vec![attachment],
        presences: vec![presence],
    };
    InboundMail {
        id: inbound_id(number),
        account: account_id(account),
        arrived_at: at(u64::from(number)),
        nature: Nature::Ordinary,
        date: Some("Thu, 1 Jan 1970 00:00:00 +0000".into()),
        from: Some("hanako@example.com".into()),
        subject: Some(format!("Hello {number}").into()),
        message_id: Some(format!("{number}@example.com").into()),
        bytes: 12_345,
        folder: Some("INBOX".into()),
        findings: vec![finding_about(None)],
        content: Some(Box::new(content)),
        archived_as: Some("2026/1.eml".into()),
    }
}

/// What a mail says of a recipient of ours, or of nobody who is known.
#[must_use]
pub fn finding_about(subject: Option<(MessageKey, u32)>) -> InboundFinding {
    InboundFinding {
        recipient: Some("taro@example.com".into()),
        kind: Kind::Hard,
        reason: Some(Reason::UserUnknown),
        action: Some(Action::Failed),
        status: "5.1.1".parse().ok(),
        diagnostic: "550 5.1.1 no such user".into(),
        reporting_server: Some("mx.example.jp".into()),
        subject: subject.map(|(message, recipient)| Subject { message, recipient, correlation: Correlation::Verp }),
        effect: Effect::None,
    }
}

/// What follows from the finding in this place.
#[must_use]
pub fn consequence(finding: usize, kind: ReportKind, number: u32) -> Consequence {
    let report = Report { at: at(u64::from(number)), inbound: inbound_id(number), ..report(kind) };
    Consequence { finding, report, suppression: None, soft_bounce: None, counted: Vec::new() }
}

/// A bounce that came at `at(number)`, the message of this number in its mailbox, and says this of these recipients.
#[must_use]
pub fn ingestion(account: &str, number: u32, said: &[(MessageKey, u32, ReportKind)]) -> Ingestion {
    let findings = said.iter().map(|(message, recipient, _)| finding_about(Some((*message, *recipient)))).collect();
    let mail = InboundMail { nature: Nature::Bounce, findings, content: None, ..inbound_mail(account, number) };
    let consequences = said.iter().enumerate().map(|(finding, (.., kind))| consequence(finding, *kind, number));
    let mut uid = [0; 16];
    uid[12..].copy_from_slice(&number.to_be_bytes());
    Ingestion {
        account: account_id(account),
        mailbox: MailboxId::new([1; 16]),
        mark: ReadMark::Message(uid),
        fingerprint: None,
        mail: Some(Box::new(mail)),
        consequences: consequences.collect(),
        skipped: None,
        now: at(u64::from(number)),
    }
}
