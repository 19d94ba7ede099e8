//! How the mailbox of an account is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    seals::{Place, Purpose, Seals},
    server::{CredentialsRow, ServerRow},
};
use crate::{
    domain::account::{InboundMarks, IncomingMailbox, MailboxSignIn},
    storage::records::{BadRow, codes::Code, ledger::nanos, parsed::parsed},
};

/// An [`IncomingMailbox`]. Durations are in nanoseconds.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct IncomingRow {
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    #[prost(message, optional, tag = "2")]
    pub server: Option<ServerRow>,
    /// Nothing for one that signs in as SMTP does.
    #[prost(message, optional, tag = "3")]
    pub credentials: Option<CredentialsRow>,
    #[prost(bool, tag = "4")]
    pub apop: bool,
    #[prost(bool, tag = "5")]
    pub allow_plaintext: bool,
    #[prost(uint64, tag = "6")]
    pub interval: u64,
    #[prost(bool, tag = "7")]
    pub delete_after_fetch: bool,
    #[prost(bool, tag = "8")]
    pub all_folders: bool,
    #[prost(bool, tag = "9")]
    pub unseen_only: bool,
    #[prost(bool, tag = "10")]
    pub all_mail: bool,
    #[prost(string, optional, tag = "11")]
    pub archive_folder: Option<String>,
    #[prost(uint64, tag = "12")]
    pub message_bytes_max: u64,
    #[prost(uint32, tag = "13")]
    pub warn_messages: u32,
    #[prost(string, optional, tag = "14")]
    pub errors_to: Option<String>,
    #[prost(string, optional, tag = "15")]
    pub attachments_folder: Option<String>,
    #[prost(bool, tag = "16")]
    pub keep_duplicates: bool,
    #[prost(bool, tag = "17")]
    pub no_idle: bool,
    /// Those for To, Cc and From, in this order.
    #[prost(message, repeated, tag = "18")]
    pub marks: Vec<MarksRow>,
}

/// An [`InboundMarks`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct MarksRow {
    #[prost(string, repeated, tag = "1")]
    pub labels: Vec<String>,
    #[prost(string, tag = "2")]
    pub status: String,
}

impl From<&InboundMarks> for MarksRow {
    fn from(marks: &InboundMarks) -> Self {
        let labels = marks.labels.iter().map(|label| label.as_str().to_owned()).collect();
        Self { labels, status: marks.status.clone() }
    }
}

impl TryFrom<&MarksRow> for InboundMarks {
    type Error = BadRow;

    fn try_from(row: &MarksRow) -> Result<Self, BadRow> {
        let labels = row.labels.iter().map(|label| parsed("label", label)).collect::<Result<_, _>>()?;
        Ok(Self { labels, status: row.status.clone() })
    }
}

impl IncomingRow {
    pub(super) fn new(mailbox: &IncomingMailbox, seals: Seals<'_>) -> Self {
        let sign_in = mailbox.sign_in.as_ref();
        let credentials =
            |sign_in: &MailboxSignIn| CredentialsRow::new(&sign_in.credentials, Purpose::MailboxPassword, seals);
        Self {
            protocol: mailbox.protocol.code(),
            server: Some(ServerRow::new(&mailbox.server, Place::Mailbox, seals)),
            credentials: sign_in.map(credentials),
            apop: sign_in.is_some_and(|sign_in| sign_in.apop),
            allow_plaintext: sign_in.is_some_and(|sign_in| sign_in.allow_plaintext),
            interval: nanos(mailbox.interval),
            delete_after_fetch: mailbox.delete_after_fetch,
            all_folders: mailbox.all_folders,
            unseen_only: mailbox.unseen_only,
            all_mail: mailbox.all_mail,
            archive_folder: mailbox.archive_folder.clone(),
            message_bytes_max: mailbox.message_bytes_max,
            warn_messages: mailbox.warn_messages,
            errors_to: mailbox.errors_to.as_ref().map(|address| address.as_str().to_owned()),
            attachments_folder: mailbox.attachments_folder.clone(),
            keep_duplicates: mailbox.keep_duplicates,
            no_idle: mailbox.no_idle,
            marks: [&mailbox.marks_to, &mailbox.marks_cc, &mailbox.marks_from].map(MarksRow::from).to_vec(),
        }
    }

    pub(super) fn into_mailbox(self, seals: Seals<'_>) -> Result<IncomingMailbox, BadRow> {
        let (apop, allow_plaintext) = (self.apop, self.allow_plaintext);
        let sign_in = |row: CredentialsRow| {
            let credentials = row.into_credentials(Purpose::MailboxPassword, seals)?;
            Ok(MailboxSignIn { credentials, apop, allow_plaintext })
        };
        let server = self.server.ok_or_else(|| BadRow::new("mailbox server", "is missing"))?;
        let marks = |place: usize| {
            let row = self.marks.get(place);
            row.map_or_else(|| Ok(InboundMarks::default()), InboundMarks::try_from)
        };
        Ok(IncomingMailbox {
            marks_to: marks(0)?,
            marks_cc: marks(1)?,
            marks_from: marks(2)?,
            attachments_folder: self.attachments_folder,
            keep_duplicates: self.keep_duplicates,
            no_idle: self.no_idle,
            protocol: Code::from_code(self.protocol)?,
            server: server.into_server(Place::Mailbox, seals)?,
            sign_in: self.credentials.map(sign_in).transpose()?,
            interval: Duration::from_nanos(self.interval),
            delete_after_fetch: self.delete_after_fetch,
            all_folders: self.all_folders,
            unseen_only: self.unseen_only,
            all_mail: self.all_mail,
            archive_folder: self.archive_folder,
            message_bytes_max: self.message_bytes_max,
            warn_messages: self.warn_messages,
            errors_to: self.errors_to.map(|address| parsed("errors to", &address)).transpose()?,
        })
    }
}
