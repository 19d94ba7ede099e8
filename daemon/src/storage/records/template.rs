//! How the content of a merge job is kept.

use super::{BadRow, account::MailboxRow, codes::Code};
use crate::domain::{
    mail::{Attachment, Draft, ListUnsubscribe, Mailbox, MessageId},
    merge::MergeTemplate,
};

/// A [`MergeTemplate`].
#[derive(Clone, PartialEq, prost::Message)]
#[expect(missing_docs, reason = "the fields are those of the template and its draft")]
pub struct TemplateRow {
    #[prost(string, repeated, tag = "1")]
    pub variables: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub from: Option<MailboxRow>,
    #[prost(message, repeated, tag = "3")]
    pub reply_to: Vec<MailboxRow>,
    #[prost(message, repeated, tag = "4")]
    pub to: Vec<MailboxRow>,
    #[prost(message, repeated, tag = "5")]
    pub cc: Vec<MailboxRow>,
    #[prost(string, tag = "6")]
    pub subject: String,
    #[prost(string, optional, tag = "7")]
    pub text: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub html: Option<String>,
    #[prost(message, repeated, tag = "9")]
    pub headers: Vec<HeaderRow>,
    #[prost(message, repeated, tag = "10")]
    pub attachments: Vec<AttachmentRow>,
    #[prost(uint32, tag = "11")]
    pub charset: u32,
    #[prost(string, optional, tag = "12")]
    pub in_reply_to: Option<String>,
    #[prost(string, repeated, tag = "13")]
    pub references: Vec<String>,
    #[prost(message, optional, tag = "14")]
    pub list_unsubscribe: Option<ListUnsubscribeRow>,
    #[prost(uint32, optional, tag = "15")]
    pub auto_submitted: Option<u32>,
    #[prost(bool, tag = "16")]
    pub forbid_dkim: bool,
}

/// A [`ListUnsubscribe`].
#[derive(Clone, PartialEq, prost::Message)]
#[expect(missing_docs, reason = "the fields are those of the way to leave")]
pub struct ListUnsubscribeRow {
    #[prost(string, optional, tag = "1")]
    pub url: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub mailto: Option<String>,
    #[prost(bool, tag = "3")]
    pub one_click: bool,
}

/// A header of the client's own.
#[derive(Clone, PartialEq, prost::Message)]
#[expect(missing_docs, reason = "the fields are those of a header")]
pub struct HeaderRow {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An [`Attachment`].
#[derive(Clone, PartialEq, prost::Message)]
#[expect(missing_docs, reason = "the fields are those of the attachment")]
pub struct AttachmentRow {
    #[prost(string, tag = "1")]
    pub file_name: String,
    #[prost(string, tag = "2")]
    pub media_type: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub content: bytes::Bytes,
    #[prost(string, optional, tag = "4")]
    pub content_id: Option<String>,
}

impl From<&MergeTemplate> for TemplateRow {
    fn from(template: &MergeTemplate) -> Self {
        let Draft { from, reply_to, to, cc, subject, text, html, headers, attachments, charset, .. } = &template.draft;
        let Draft { in_reply_to, references, list_unsubscribe, auto_submitted, .. } = &template.draft;
        let mailboxes = |mailboxes: &[Mailbox]| mailboxes.iter().map(MailboxRow::from).collect();
        let header = |(name, value): &(String, String)| HeaderRow { name: name.clone(), value: value.clone() };
        let attachment = |file: &Attachment| AttachmentRow {
            file_name: file.file_name.clone(),
            media_type: file.media_type.clone(),
            content: file.content.clone(),
            content_id: file.content_id.clone(),
        };
        let id = |id: &MessageId| id.as_str().to_owned();
        let leaving = |list: &ListUnsubscribe| ListUnsubscribeRow {
            url: list.url.clone(),
            mailto: list.mailto.clone(),
            one_click: list.one_click,
        };
        Self {
            variables: template.variables.clone(),
            from: Some(from.into()),
            reply_to: mailboxes(reply_to),
            to: mailboxes(to),
            cc: mailboxes(cc),
            subject: subject.clone(),
            text: text.clone(),
            html: html.clone(),
            headers: headers.iter().map(header).collect(),
            attachments: attachments.iter().map(attachment).collect(),
            charset: charset.code(),
            in_reply_to: in_reply_to.as_ref().map(id),
            references: references.iter().map(id).collect(),
            list_unsubscribe: list_unsubscribe.as_ref().map(leaving),
            auto_submitted: auto_submitted.map(Code::code),
            forbid_dkim: template.forbid_dkim,
        }
    }
}

impl TryFrom<TemplateRow> for MergeTemplate {
    type Error = BadRow;

    fn try_from(row: TemplateRow) -> Result<Self, BadRow> {
        let mailboxes = |rows: Vec<MailboxRow>| rows.into_iter().map(Mailbox::try_from).collect::<Result<_, _>>();
        let attachment = |row: AttachmentRow| Attachment {
            file_name: row.file_name,
            media_type: row.media_type,
            content: row.content,
            content_id: row.content_id,
        };
        let id = |id: String| id.parse::<MessageId>().map_err(|error| BadRow::new("template", error));
        let leaving = |row: ListUnsubscribeRow| {
            let ListUnsubscribeRow { url, mailto, one_click } = row;
            ListUnsubscribe { url, mailto, one_click }
        };
        let draft = Draft {
            from: row.from.ok_or_else(|| BadRow::new("template", "has no sender"))?.try_into()?,
            reply_to: mailboxes(row.reply_to)?,
            to: mailboxes(row.to)?,
            cc: mailboxes(row.cc)?,
            subject: row.subject,
            text: row.text,
            html: row.html,
            headers: row.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            attachments: row.attachments.into_iter().map(attachment).collect(),
            charset: Code::from_code(row.charset)?,
            in_reply_to: row.in_reply_to.map(id).transpose()?,
            references: row.references.into_iter().map(id).collect::<Result<_, _>>()?,
            list_unsubscribe: row.list_unsubscribe.map(leaving),
            auto_submitted: row.auto_submitted.map(Code::from_code).transpose()?,
        };
        Ok(Self { draft, variables: row.variables, forbid_dkim: row.forbid_dkim })
    }
}
