//! How mail that came is kept: what lists need in one row, what it holds in another.

use serde::{Deserialize, Serialize};

use super::{
    BadRow, as_base64,
    codes::{Code, optional},
    idempotency::job_id,
    parsed::parsed,
    report::reason,
};
use crate::domain::{
    ids::MessageKey,
    inbound::{InboundAttachment, InboundContent, InboundFinding, InboundId, InboundMail, InboundPresence, Subject},
    time::Timestamp,
};

/// An [`InboundMail`] without its id and its content.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundRow {
    /// The account.
    #[prost(string, tag = "1")]
    pub account: String,
    /// In milliseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub arrived_at: u64,
    /// What it is.
    #[prost(uint32, tag = "3")]
    pub nature: u32,
    /// Its Date field.
    #[prost(string, optional, tag = "4")]
    pub date: Option<String>,
    /// Its From address.
    #[prost(string, optional, tag = "5")]
    pub from_address: Option<String>,
    /// Its subject.
    #[prost(string, optional, tag = "6")]
    pub subject: Option<String>,
    /// Its Message-ID.
    #[prost(string, optional, tag = "7")]
    pub message_id: Option<String>,
    /// Its length.
    #[prost(uint64, tag = "8")]
    pub bytes: u64,
    /// Its folder.
    #[prost(string, optional, tag = "9")]
    pub folder: Option<String>,
    /// Its file in the archive.
    #[prost(string, optional, tag = "10")]
    pub archived_as: Option<String>,
    /// What it says of recipients.
    #[prost(message, repeated, tag = "11")]
    pub findings: Vec<FindingRow>,
}

/// An [`InboundFinding`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct FindingRow {
    /// The address.
    #[prost(string, optional, tag = "1")]
    pub recipient: Option<String>,
    /// What it means.
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    /// Why, by its name.
    #[prost(string, optional, tag = "3")]
    pub reason: Option<String>,
    /// What was done; 0 when it is not said.
    #[prost(uint32, tag = "4")]
    pub action: u32,
    /// The status; empty for none.
    #[prost(string, tag = "5")]
    pub status: String,
    /// What the server said.
    #[prost(string, tag = "6")]
    pub diagnostic: String,
    /// Who wrote it.
    #[prost(string, optional, tag = "7")]
    pub reporting_server: Option<String>,
    /// How its subject was found; 0 when it has none.
    #[prost(uint32, tag = "8")]
    pub correlation: u32,
    /// The job, 16 bytes.
    #[prost(bytes = "vec", tag = "9")]
    #[serde(with = "as_base64")]
    pub job: Vec<u8>,
    /// The message's number in it.
    #[prost(uint32, tag = "10")]
    pub message: u32,
    /// The recipient's place in it.
    #[prost(uint32, tag = "11")]
    pub place: u32,
    /// What came of it.
    #[prost(uint32, tag = "12")]
    pub effect: u32,
}

/// An [`InboundContent`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundContentRow {
    /// Names and values of header fields, in turn.
    #[prost(string, repeated, tag = "1")]
    pub headers: Vec<String>,
    /// The text.
    #[prost(string, tag = "2")]
    pub text: String,
    /// Whether it was cut.
    #[prost(bool, tag = "3")]
    pub is_text_cut: bool,
    /// The attachments.
    #[prost(message, repeated, tag = "4")]
    pub attachments: Vec<AttachmentRow>,
    /// Which addresses of the account stood where.
    #[prost(message, repeated, tag = "5")]
    pub presences: Vec<PresenceRow>,
}

/// An [`InboundAttachment`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachmentRow {
    /// Its file.
    #[prost(string, optional, tag = "1")]
    pub saved_as: Option<String>,
    /// Its name.
    #[prost(string, tag = "2")]
    pub file_name: String,
    /// Its media type.
    #[prost(string, tag = "3")]
    pub media_type: String,
    /// Its length.
    #[prost(uint64, tag = "4")]
    pub bytes: u64,
}

/// An [`InboundPresence`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct PresenceRow {
    /// The field.
    #[prost(uint32, tag = "1")]
    pub field: u32,
    /// The address.
    #[prost(string, tag = "2")]
    pub address: String,
    /// The labels.
    #[prost(string, repeated, tag = "3")]
    pub labels: Vec<String>,
    /// The status.
    #[prost(string, tag = "4")]
    pub status: String,
}

fn text(text: &Option<Box<str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

impl From<&InboundMail> for InboundRow {
    fn from(mail: &InboundMail) -> Self {
        Self {
            account: mail.account.as_str().to_owned(),
            arrived_at: mail.arrived_at.as_millis(),
            nature: mail.nature.code(),
            date: text(&mail.date),
            from_address: text(&mail.from),
            subject: text(&mail.subject),
            message_id: text(&mail.message_id),
            bytes: mail.bytes,
            folder: text(&mail.folder),
            archived_as: text(&mail.archived_as),
            findings: mail.findings.iter().map(FindingRow::from).collect(),
        }
    }
}

impl InboundRow {
    /// The mail, as yet without its content.
    ///
    /// # Errors
    /// When a part of the row means nothing.
    pub fn into_mail(self, id: InboundId) -> Result<InboundMail, BadRow> {
        Ok(InboundMail {
            id,
            account: parsed("account", &self.account)?,
            arrived_at: Timestamp::from_millis(self.arrived_at),
            nature: Code::from_code(self.nature)?,
            date: self.date.map(Into::into),
            from: self.from_address.map(Into::into),
            subject: self.subject.map(Into::into),
            message_id: self.message_id.map(Into::into),
            bytes: self.bytes,
            folder: self.folder.map(Into::into),
            findings: self.findings.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            content: None,
            archived_as: self.archived_as.map(Into::into),
        })
    }
}

impl From<&InboundFinding> for FindingRow {
    fn from(finding: &InboundFinding) -> Self {
        let subject = finding.subject;
        Self {
            recipient: text(&finding.recipient),
            kind: finding.kind.code(),
            reason: finding.reason.map(|reason| reason.as_str().to_owned()),
            action: finding.action.map_or(0, Code::code),
            status: finding.status.map(|status| status.to_string()).unwrap_or_default(),
            diagnostic: finding.diagnostic.to_string(),
            reporting_server: text(&finding.reporting_server),
            correlation: subject.map_or(0, |subject| subject.correlation.code()),
            job: subject.map(|subject| subject.message.job.to_bytes().to_vec()).unwrap_or_default(),
            message: subject.map_or(0, |subject| subject.message.index),
            place: subject.map_or(0, |subject| subject.recipient),
            effect: finding.effect.code(),
        }
    }
}

impl TryFrom<FindingRow> for InboundFinding {
    type Error = BadRow;

    fn try_from(row: FindingRow) -> Result<Self, BadRow> {
        let subject = match optional(row.correlation)? {
            None => None,
            Some(correlation) => {
                let message = MessageKey { job: job_id(&row.job)?, index: row.message };
                Some(Subject { message, recipient: row.place, correlation })
            }
        };
        Ok(Self {
            recipient: row.recipient.map(Into::into),
            kind: Code::from_code(row.kind)?,
            reason: row.reason.as_deref().map(reason),
            action: optional(row.action)?,
            status: row.status.parse().ok(),
            diagnostic: row.diagnostic.into(),
            reporting_server: row.reporting_server.map(Into::into),
            subject,
            effect: Code::from_code(row.effect)?,
        })
    }
}

impl From<&InboundContent> for InboundContentRow {
    fn from(content: &InboundContent) -> Self {
        let headers = content.headers.iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]);
        let attachment = |file: &InboundAttachment| AttachmentRow {
            saved_as: text(&file.saved_as),
            file_name: file.file_name.to_string(),
            media_type: file.media_type.to_string(),
            bytes: file.bytes,
        };
        let presence = |presence: &InboundPresence| PresenceRow {
            field: presence.field.code(),
            address: presence.address.to_string(),
            labels: presence.labels.iter().map(|label| label.as_str().to_owned()).collect(),
            status: presence.status.to_string(),
        };
        Self {
            headers: headers.collect(),
            text: content.text.to_string(),
            is_text_cut: content.is_text_cut,
            attachments: content.attachments.iter().map(attachment).collect(),
            presences: content.presences.iter().map(presence).collect(),
        }
    }
}

impl TryFrom<InboundContentRow> for InboundContent {
    type Error = BadRow;

    fn try_from(row: InboundContentRow) -> Result<Self, BadRow> {
        let mut headers = Vec::with_capacity(row.headers.len() / 2);
        let mut parts = row.headers.into_iter().map(Box::<str>::from);
        while let Some(name) = parts.next() {
            headers.push((name, parts.next().unwrap_or_default()));
        }
        let attachment = |row: AttachmentRow| InboundAttachment {
            saved_as: row.saved_as.map(Into::into),
            file_name: row.file_name.into(),
            media_type: row.media_type.into(),
            bytes: row.bytes,
        };
        let presence = |row: PresenceRow| {
            Ok(InboundPresence {
                field: Code::from_code(row.field)?,
                address: row.address.into(),
                labels: row.labels.iter().map(|text| parsed("label", text)).collect::<Result<_, _>>()?,
                status: row.status.into(),
            })
        };
        Ok(Self {
            headers,
            text: row.text.into(),
            is_text_cut: row.is_text_cut,
            attachments: row.attachments.into_iter().map(attachment).collect(),
            presences: row.presences.into_iter().map(presence).collect::<Result<_, BadRow>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::storage::contract::samples;

    #[test]
    fn mail_survives_its_rows() {
        let mail = samples::inbound_mail("sales", 1);
        let row = InboundRow::decode(InboundRow::from(&mail).encode_to_vec().as_slice()).unwrap();
        let row: InboundRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(row.into_mail(mail.id), Ok(InboundMail { content: None, ..mail.clone() }));
        let content = mail.content.unwrap();
        let row = InboundContentRow::decode(InboundContentRow::from(&*content).encode_to_vec().as_slice()).unwrap();
        let row: InboundContentRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(InboundContent::try_from(row), Ok(*content));
    }
}
