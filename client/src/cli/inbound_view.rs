//! How mail that came is shown, and the mailboxes into which it came.

use hikyaku_client::proto::{
    Correlation, InboundContent, InboundEffect, InboundField, InboundFinding, InboundMail, InboundNature,
    InboundPresence, MailboxStatus, ReadMailboxResponse, WatchInboundResponse, watch_inbound_response::Change,
};
use serde::Serialize;

use super::{
    counted::counted,
    escape::{escape, escape_lines},
    job_view::bare,
    output::Show,
    table::{fields, table},
    time_text::show_time,
};

/// Longest subject in a table, in characters.
const SUBJECT_CHARS_MAX: usize = 50;

/// A mail that came.
#[derive(Debug, Serialize)]
pub(crate) struct MailView {
    inbound_id: String,
    account_id: String,
    arrived_at: Option<String>,
    nature: &'static str,
    date: String,
    from: String,
    subject: String,
    message_id: String,
    message_bytes: u64,
    folder: String,
    archived_as: String,
    findings: Vec<FindingView>,
    content: Option<ContentView>,
}

#[derive(Debug, Serialize)]
struct FindingView {
    recipient: String,
    kind: String,
    reason: String,
    action: String,
    status: String,
    diagnostic: String,
    reporting_server: String,
    message: String,
    recipient_index: u32,
    correlation: Option<&'static str>,
    effect: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct ContentView {
    headers: Vec<(String, String)>,
    text: String,
    text_cut: bool,
    attachments: Vec<AttachmentView>,
    presences: Vec<PresenceView>,
}

#[derive(Debug, Serialize)]
struct AttachmentView {
    attachment_id: String,
    file_name: String,
    media_type: String,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct PresenceView {
    field: &'static str,
    address: String,
    labels: Vec<String>,
    status: String,
}

impl From<InboundMail> for MailView {
    fn from(mail: InboundMail) -> Self {
        Self {
            nature: bare(InboundNature::as_str_name(&mail.nature()), "INBOUND_NATURE_"),
            arrived_at: mail.arrived_at.map(show_time),
            inbound_id: mail.inbound_id,
            account_id: mail.account_id,
            date: mail.date,
            from: mail.from,
            subject: mail.subject,
            message_id: mail.message_id,
            message_bytes: mail.message_bytes,
            folder: mail.folder,
            archived_as: mail.archived_as,
            findings: mail.findings.into_iter().map(Into::into).collect(),
            content: mail.content.map(Into::into),
        }
    }
}

impl From<InboundFinding> for FindingView {
    fn from(finding: InboundFinding) -> Self {
        let correlation = Some(finding.correlation()).filter(|way| *way != Correlation::Unspecified);
        let effect = Some(finding.effect()).filter(|effect| *effect != InboundEffect::Unspecified);
        Self {
            correlation: correlation.map(|way| bare(way.as_str_name(), "CORRELATION_")),
            effect: effect.map(|effect| bare(effect.as_str_name(), "INBOUND_EFFECT_")),
            recipient: finding.recipient,
            kind: finding.kind,
            reason: finding.reason,
            action: finding.action,
            status: finding.status,
            diagnostic: finding.diagnostic,
            reporting_server: finding.reporting_server,
            message: finding.message,
            recipient_index: finding.recipient_index,
        }
    }
}

impl From<InboundContent> for ContentView {
    fn from(content: InboundContent) -> Self {
        let presence = |presence: InboundPresence| PresenceView {
            field: bare(InboundField::as_str_name(&presence.field()), "INBOUND_FIELD_"),
            address: presence.address,
            labels: presence.labels,
            status: presence.status,
        };
        let attachments = content.attachments.into_iter().map(|file| AttachmentView {
            attachment_id: file.attachment_id,
            file_name: file.file_name,
            media_type: file.media_type,
            bytes: file.bytes,
        });
        Self {
            headers: content.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            text: content.text,
            text_cut: content.text_cut,
            attachments: attachments.collect(),
            presences: content.presences.into_iter().map(presence).collect(),
        }
    }
}

impl Show for MailView {
    fn text(&self) -> String {
        let head = fields([
            ("mail", self.inbound_id.clone()),
            ("account", self.account_id.clone()),
            ("nature", self.nature.to_owned()),
            ("arrived", self.arrived_at.clone().unwrap_or_default()),
            ("date", self.date.clone()),
            ("from", self.from.clone()),
            ("subject", self.subject.clone()),
            ("message id", self.message_id.clone()),
            ("length", counted(self.message_bytes, "byte", "bytes")),
            ("folder", self.folder.clone()),
            ("archived as", self.archived_as.clone()),
        ]);
        let findings = self.findings.iter().map(FindingView::text);
        let content = self.content.iter().map(ContentView::text);
        [head].into_iter().chain(findings).chain(content).collect::<Vec<_>>().join("\n\n")
    }
}

impl FindingView {
    fn text(&self) -> String {
        let about = match self.correlation {
            Some(way) => format!("{} recipient {}, by {way}", self.message, self.recipient_index),
            None => "no message of ours was found: nothing was changed".to_owned(),
        };
        fields([
            ("recipient", self.recipient.clone()),
            ("means", [&self.kind, &self.reason].map(String::as_str).join(" ")),
            ("action", self.action.clone()),
            ("status", self.status.clone()),
            ("about", about),
            ("effect", self.effect.unwrap_or("NONE").to_owned()),
            ("reported by", self.reporting_server.clone()),
            ("words", self.diagnostic.clone()),
        ])
    }
}

impl ContentView {
    fn text(&self) -> String {
        let files = self.attachments.iter().map(|file| {
            let name = escape(&file.file_name).into_owned();
            let length = counted(file.bytes, "byte", "bytes");
            format!("file  {name}  {}  {length}  {}", escape(&file.media_type), escape(&file.attachment_id))
        });
        let presences = self.presences.iter().map(|one| {
            let words = [one.labels.join(", "), one.status.clone()];
            let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).map(|word| escape(word)).collect();
            format!("{}  {}  {}", one.field, escape(&one.address), words.join("; ")).trim_end().to_owned()
        });
        let mut lines: Vec<String> = presences.chain(files).collect();
        lines.push(String::new());
        lines.extend(escape_lines(&self.text).map(std::borrow::Cow::into_owned));
        if self.text_cut {
            lines.push("[cut]".to_owned());
        }
        lines.join("\n")
    }
}

/// Mails as rows.
pub(crate) fn mail_table(mails: &[MailView]) -> String {
    let rows = mails.iter().map(|mail| {
        let first = mail.findings.first();
        let others = mail.findings.len().saturating_sub(1);
        let recipient = first.map(|one| escape(&one.recipient).into_owned()).unwrap_or_default();
        vec![
            mail.inbound_id.clone(),
            escape(&mail.account_id).into_owned(),
            mail.arrived_at.clone().unwrap_or_default(),
            mail.nature.to_owned(),
            if others == 0 { recipient } else { format!("{recipient} +{others}") },
            first.map(|one| escape(&one.reason).into_owned()).unwrap_or_default(),
            first.map(|one| one.effect.unwrap_or("NONE").to_owned()).unwrap_or_default(),
            escape(&mail.subject.chars().take(SUBJECT_CHARS_MAX).collect::<String>()).into_owned(),
        ]
    });
    table(&["MAIL", "ACCOUNT", "ARRIVED", "NATURE", "RECIPIENT", "REASON", "EFFECT", "SUBJECT"], rows)
}

/// How a mailbox is doing.
#[derive(Debug, Serialize)]
pub(crate) struct StatusView {
    account_id: String,
    looked_at: Option<String>,
    next_at: Option<String>,
    idling: bool,
    messages: u64,
    error: String,
    failing_since: Option<String>,
    read_mails: u64,
    bounces: u64,
    skipped_mails: u64,
}

impl From<MailboxStatus> for StatusView {
    fn from(status: MailboxStatus) -> Self {
        Self {
            looked_at: status.looked_at.map(show_time),
            next_at: status.next_at.map(show_time),
            failing_since: status.failing_since.map(show_time),
            account_id: status.account_id,
            idling: status.idling,
            messages: status.messages,
            error: status.error,
            read_mails: status.read_mails,
            bounces: status.bounces,
            skipped_mails: status.skipped_mails,
        }
    }
}

impl Show for StatusView {
    fn text(&self) -> String {
        let next =
            if self.idling { "waits for news (IDLE)".to_owned() } else { self.next_at.clone().unwrap_or_default() };
        fields([
            ("account", self.account_id.clone()),
            ("looked into", self.looked_at.clone().unwrap_or_else(|| "not since the daemon started".to_owned())),
            ("next", next),
            ("holds", counted(self.messages, "message", "messages")),
            (
                "read",
                format!(
                    "{}, {}",
                    counted(self.read_mails, "mail", "mails"),
                    counted(self.bounces, "bounce", "bounces")
                ),
            ),
            (
                "not read",
                if self.skipped_mails == 0 { String::new() } else { counted(self.skipped_mails, "mail", "mails") },
            ),
            ("failing since", self.failing_since.clone().unwrap_or_default()),
            ("error", self.error.clone()),
        ])
    }
}

/// What a look into a mailbox found.
#[derive(Debug, Serialize)]
pub(crate) struct ReadView {
    read_mails: u64,
    status: StatusView,
}

impl From<ReadMailboxResponse> for ReadView {
    fn from(answer: ReadMailboxResponse) -> Self {
        Self { read_mails: answer.read_mails, status: answer.status.unwrap_or_default().into() }
    }
}

impl Show for ReadView {
    fn text(&self) -> String {
        format!("{} read\n{}", counted(self.read_mails, "mail", "mails"), self.status.text())
    }
}

/// Something that happened to a mailbox or in it.
#[derive(Debug, Serialize)]
pub(crate) struct InboundEventView {
    cursor: String,
    at: Option<String>,
    account_id: String,
    change: &'static str,
    what: String,
    mail: Option<MailView>,
}

impl From<WatchInboundResponse> for InboundEventView {
    fn from(event: WatchInboundResponse) -> Self {
        let mut mail = None;
        let (change, what) = match event.change {
            None => ("UNKNOWN", String::new()),
            Some(Change::Mail(came)) => {
                let view = MailView::from(came);
                let what = format!("{} from {}: {}", view.nature, view.from, view.subject);
                mail = Some(view);
                ("ARRIVED", what)
            }
            Some(Change::Skipped(skipped)) => {
                let length = counted(skipped.message_bytes, "byte", "bytes");
                let place = if skipped.folder.is_empty() { String::new() } else { format!(" in {}", skipped.folder) };
                ("SKIPPED", format!("not read: {length}, {}{place}", skipped.uid))
            }
            Some(Change::Failing(failing)) => ("FAILING", failing.error),
            Some(Change::Recovered(_)) => ("RECOVERED", String::new()),
            Some(Change::Crowded(crowded)) => ("CROWDED", counted(crowded.messages, "message", "messages")),
        };
        let at = event.at.map(show_time);
        Self { cursor: event.cursor, at, account_id: event.account_id, change, what, mail }
    }
}

impl Show for InboundEventView {
    fn text(&self) -> String {
        let at = self.at.as_deref().unwrap_or("-");
        format!("{at}  {}  {}  {}", escape(&self.account_id), self.change, escape(&self.what)).trim_end().to_owned()
    }
}
