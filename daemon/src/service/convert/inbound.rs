//! Mail that came in, and the mailboxes that it came into, on the wire.

use std::fmt::Display;

use hikyaku_proto::v1::{self, watch_inbound_response::Change};

use super::{
    values::{from_time, optional_time, parse},
    violations::Violations,
};
use crate::{
    domain::{
        event::{Cursor, Event},
        ids::AccountId,
        inbound::{
            Correlation, Effect, InboundAttachment, InboundContent, InboundField, InboundFinding, InboundMail,
            InboundPresence, MailboxChange, Nature, Subject,
        },
    },
    service::mailboxes::MailboxStatus,
    storage::InboundFilter,
};

/// A mail on the wire, without what it holds.
pub(in crate::service) fn from_mail(mail: &InboundMail) -> v1::InboundMail {
    v1::InboundMail {
        inbound_id: mail.id.to_string(),
        account_id: mail.account.to_string(),
        arrived_at: Some(from_time(mail.arrived_at)),
        nature: from_nature(mail.nature).into(),
        date: text(mail.date.as_deref()),
        from: text(mail.from.as_deref()),
        subject: text(mail.subject.as_deref()),
        message_id: text(mail.message_id.as_deref()),
        message_bytes: mail.bytes,
        folder: text(mail.folder.as_deref()),
        findings: mail.findings.iter().map(from_finding).collect(),
        content: None,
        archived_as: text(mail.archived_as.as_deref()),
    }
}

/// A mail on the wire with what it holds.
pub(in crate::service) fn from_whole_mail(mail: &InboundMail) -> v1::InboundMail {
    v1::InboundMail { content: mail.content.as_deref().map(from_content), ..from_mail(mail) }
}

/// How a mailbox is doing, on the wire.
pub(in crate::service) fn from_status(account: &AccountId, status: &MailboxStatus) -> v1::MailboxStatus {
    v1::MailboxStatus {
        account_id: account.to_string(),
        looked_at: status.looked_at.map(from_time),
        next_at: status.next_at.map(from_time),
        idling: status.is_idling,
        messages: status.messages,
        error: text(status.error.as_deref()),
        failing_since: status.failing_since.map(from_time),
        read_mails: status.read_mails,
        bounces: status.bounces,
        skipped_mails: status.skipped_mails,
    }
}

/// An event about a mailbox on the wire. `mail` is the one that arrived; nothing is told of one that is no longer kept.
pub(in crate::service) fn from_change(
    cursor: Cursor,
    event: &Event,
    change: &MailboxChange,
    mail: Option<&InboundMail>,
) -> Option<v1::WatchInboundResponse> {
    let change = match change {
        MailboxChange::Arrived(_) => Change::Mail(from_whole_mail(mail?)),
        MailboxChange::Skipped { bytes, folder, uid } => Change::Skipped(v1::InboundSkipped {
            message_bytes: *bytes,
            folder: text(folder.as_deref()),
            uid: uid.to_string(),
        }),
        MailboxChange::Failing(error) => Change::Failing(v1::MailboxFailing { error: error.to_string() }),
        MailboxChange::Recovered => Change::Recovered(v1::MailboxRecovered {}),
        MailboxChange::Crowded { messages } => Change::Crowded(v1::MailboxCrowded { messages: *messages }),
    };
    Some(v1::WatchInboundResponse {
        cursor: cursor.0.to_string(),
        at: Some(from_time(event.at)),
        account_id: event.account.to_string(),
        change: Some(change),
    })
}

/// Which mails a caller wants, by the fields of its request.
pub(in crate::service) fn to_inbound_filter(
    request: &v1::ListInboundRequest,
    violations: &mut Violations,
) -> Option<InboundFilter> {
    let accounts = match request.account_id.as_str() {
        "" => Some(Vec::new()),
        id => parse::<AccountId>(id, "account_id", violations).map(|id| vec![id]),
    };
    let nature = to_nature(request.nature, "nature", violations);
    let arrived_from = optional_time(request.arrived_from, "arrived_from", violations);
    let arrived_before = optional_time(request.arrived_before, "arrived_before", violations);
    Some(InboundFilter {
        accounts: accounts?,
        nature: nature?,
        uncorrelated: request.uncorrelated,
        arrived_from: arrived_from?,
        arrived_before: arrived_before?,
    })
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

fn from_finding(finding: &InboundFinding) -> v1::InboundFinding {
    let subject = finding.subject.as_ref();
    let effect = match finding.effect {
        Effect::None => v1::InboundEffect::Unspecified,
        Effect::Bounced => v1::InboundEffect::Bounced,
        Effect::Complained => v1::InboundEffect::Complained,
        Effect::Noted => v1::InboundEffect::Noted,
        Effect::Repeated => v1::InboundEffect::Repeated,
    };
    v1::InboundFinding {
        recipient: text(finding.recipient.as_deref()),
        kind: finding.kind.as_str().to_owned(),
        reason: finding.reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        action: finding.action.map(|action| action.as_str().to_owned()).unwrap_or_default(),
        status: finding.status.map(|status| status.to_string()).unwrap_or_default(),
        diagnostic: finding.diagnostic.to_string(),
        reporting_server: text(finding.reporting_server.as_deref()),
        message: subject.map(|subject| subject.message.to_string()).unwrap_or_default(),
        recipient_index: subject.map(|subject| subject.recipient).unwrap_or_default(),
        correlation: from_correlation(subject).into(),
        effect: effect.into(),
    }
}

fn from_correlation(subject: Option<&Subject>) -> v1::Correlation {
    match subject.map(|subject| subject.correlation) {
        None => v1::Correlation::Unspecified,
        Some(Correlation::Verp) => v1::Correlation::Verp,
        Some(Correlation::Header) => v1::Correlation::Header,
        Some(Correlation::MessageId) => v1::Correlation::MessageId,
        Some(Correlation::ProviderId) => v1::Correlation::ProviderId,
        Some(Correlation::Recipient) => v1::Correlation::Recipient,
    }
}

fn from_content(content: &InboundContent) -> v1::InboundContent {
    let header = |(name, value): &(Box<str>, Box<str>)| v1::Header { name: name.to_string(), value: value.to_string() };
    v1::InboundContent {
        headers: content.headers.iter().map(header).collect(),
        text: content.text.to_string(),
        text_cut: content.is_text_cut,
        attachments: content.attachments.iter().map(from_attachment).collect(),
        presences: content.presences.iter().map(from_presence).collect(),
    }
}

fn from_attachment(attachment: &InboundAttachment) -> v1::InboundAttachment {
    v1::InboundAttachment {
        attachment_id: text(attachment.saved_as.as_deref()),
        file_name: attachment.file_name.to_string(),
        media_type: attachment.media_type.to_string(),
        bytes: attachment.bytes,
    }
}

fn from_presence(presence: &InboundPresence) -> v1::InboundPresence {
    let field = match presence.field {
        InboundField::To => v1::InboundField::To,
        InboundField::Cc => v1::InboundField::Cc,
        InboundField::From => v1::InboundField::From,
    };
    v1::InboundPresence {
        field: field.into(),
        address: presence.address.to_string(),
        labels: presence.labels.iter().map(ToString::to_string).collect(),
        status: presence.status.to_string(),
    }
}

const fn from_nature(nature: Nature) -> v1::InboundNature {
    match nature {
        Nature::Bounce => v1::InboundNature::Bounce,
        Nature::Complaint => v1::InboundNature::Complaint,
        Nature::SuccessReport => v1::InboundNature::SuccessReport,
        Nature::FeedbackReport => v1::InboundNature::FeedbackReport,
        Nature::AutoReply => v1::InboundNature::AutoReply,
        Nature::Receipt => v1::InboundNature::Receipt,
        Nature::Ordinary => v1::InboundNature::Ordinary,
    }
}

fn to_nature(nature: i32, at: impl Display, violations: &mut Violations) -> Option<Option<Nature>> {
    let Ok(nature) = v1::InboundNature::try_from(nature) else {
        violations.add(at, "is no nature of a mail");
        return None;
    };
    Some(match nature {
        v1::InboundNature::Unspecified => None,
        v1::InboundNature::Bounce => Some(Nature::Bounce),
        v1::InboundNature::Complaint => Some(Nature::Complaint),
        v1::InboundNature::SuccessReport => Some(Nature::SuccessReport),
        v1::InboundNature::FeedbackReport => Some(Nature::FeedbackReport),
        v1::InboundNature::AutoReply => Some(Nature::AutoReply),
        v1::InboundNature::Receipt => Some(Nature::Receipt),
        v1::InboundNature::Ordinary => Some(Nature::Ordinary),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nature_can_be_asked_for() {
        for number in 1..=7 {
            let nature = to_nature(number, "nature", &mut Violations::default()).expect("it is one").expect("not any");
            assert_eq!(i32::from(from_nature(nature)), number);
        }
        assert_eq!(to_nature(0, "nature", &mut Violations::default()), Some(None));
    }

    #[test]
    fn a_filter_is_checked_field_by_field() {
        let bad = v1::ListInboundRequest {
            account_id: "A B".into(),
            nature: 99,
            arrived_from: Some(prost_types::Timestamp { seconds: -1, nanos: 0 }),
            arrived_before: Some(prost_types::Timestamp { seconds: 1, nanos: -1 }),
            ..v1::ListInboundRequest::default()
        };
        let mut violations = Violations::default();
        assert_eq!(to_inbound_filter(&bad, &mut violations), None);
        let found = violations.finish(Some(())).expect_err("four mistakes");
        let fields: Vec<_> = found.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["account_id", "nature", "arrived_from", "arrived_before"]);
    }
}
