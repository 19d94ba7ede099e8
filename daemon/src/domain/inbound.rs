//! Mail that came into the mailbox of an account, and what it means.

use std::{fmt, str::FromStr};

pub use hikyaku_recognition::bounce::{Action, Kind, Nature};
use hikyaku_recognition::{classify::reason::Reason, reply::EnhancedCode};
use uuid::Uuid;

use super::{
    ids::{AccountId, BadName, JobId, Label, MessageKey},
    time::Timestamp,
};

/// Most findings that are kept of a mail.
pub const FINDINGS_MAX: usize = 200;
/// Most header fields that are kept of a mail, and most bytes of them.
pub const HEADERS_MAX: usize = 200;
/// Most bytes of header fields that are kept of a mail.
pub const HEADERS_BYTES_MAX: usize = 64 * 1_024;
/// Most bytes of text that are kept of a mail.
pub const TEXT_BYTES_MAX: usize = 256 * 1_024;
/// Most attachments that are told of a mail.
pub const ATTACHMENTS_MAX: usize = 100;
/// Longest From, subject, Message-ID, folder or file name that is kept, in bytes.
pub const LINE_BYTES_MAX: usize = 1_000;

/// The name of a mail: a version 7 UUID (RFC 9562), so that ids sort by the time of arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboundId(Uuid);

impl InboundId {
    /// An id made of the time and ten random bytes.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self::from_bytes(JobId::new(now, random).to_bytes())
    }

    /// The id as it is stored: 16 bytes that sort by time.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The id that is stored as these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The smallest id that any mail which arrived at `time` or later can have.
    #[must_use]
    pub fn first_at(time: Timestamp) -> Self {
        Self::from_bytes(JobId::first_at(time).to_bytes())
    }
}

impl fmt::Debug for InboundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for InboundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for InboundId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        text.parse::<JobId>().map(|id| Self::from_bytes(id.to_bytes()))
    }
}

/// A mail that was read and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMail {
    /// Its name.
    pub id: InboundId,
    /// The account whose mailbox it came into.
    pub account: AccountId,
    /// When it was read, by our clock.
    pub arrived_at: Timestamp,
    /// What it is.
    pub nature: Nature,
    /// Its Date field as it stands there.
    pub date: Option<Box<str>>,
    /// Its From address.
    pub from: Option<Box<str>>,
    /// Its subject, decoded.
    pub subject: Option<Box<str>>,
    /// Its Message-ID without angle brackets.
    pub message_id: Option<Box<str>>,
    /// Its length in bytes.
    pub bytes: u64,
    /// The folder in which it was, for IMAP.
    pub folder: Option<Box<str>>,
    /// What it says of recipients, and what came of it; at most [`FINDINGS_MAX`].
    pub findings: Vec<InboundFinding>,
    /// Of mail that is neither a bounce nor a complaint, what it holds.
    pub content: Option<Box<InboundContent>>,
    /// The file in the archive that holds the raw message.
    pub archived_as: Option<Box<str>>,
}

impl InboundMail {
    /// Whether it is a bounce or a complaint some of which changed nothing because its message was not found.
    #[must_use]
    pub fn is_uncorrelated(&self) -> bool {
        let is_report = matches!(self.nature, Nature::Bounce | Nature::Complaint);
        is_report && (self.findings.is_empty() || self.findings.iter().any(|finding| finding.subject.is_none()))
    }
}

/// What a mail says of one recipient, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundFinding {
    /// The address to which we sent, as far as the report knows it.
    pub recipient: Option<Box<str>>,
    /// What it means.
    pub kind: Kind,
    /// Why.
    pub reason: Option<Reason>,
    /// What the reporting server did.
    pub action: Option<Action>,
    /// The status (RFC 3463).
    pub status: Option<EnhancedCode>,
    /// The words of the server that refused.
    pub diagnostic: Box<str>,
    /// The server that wrote the report.
    pub reporting_server: Option<Box<str>>,
    /// The recipient of ours that it is about; nothing when none was found.
    pub subject: Option<Subject>,
    /// What came of it. Written by the store.
    pub effect: Effect,
}

/// A recipient of ours that a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The message.
    pub message: MessageKey,
    /// The recipient's place in the job: of a merge job, the message's own index.
    pub recipient: u32,
    /// How it was found.
    pub correlation: Correlation,
}

/// How a message of ours was found, the most certain way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Correlation {
    /// By the signed tag in the address to which the mail came (VERP).
    Verp,
    /// By our private header in the message that it brings back.
    Header,
    /// By the Message-ID of the message that it brings back.
    MessageId,
    /// By the id that the provider gave the message when it took it.
    ProviderId,
    /// By recipient and time. Anybody may have written such a mail, so it suppresses nobody.
    Recipient,
}

/// What a finding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// The recipient is bounced now.
    Bounced,
    /// The recipient has complained now.
    Complained,
    /// A delay was noted.
    Noted,
    /// The recipient had bounced or complained before.
    Repeated,
}

/// What a mail holds that is neither a bounce nor a complaint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundContent {
    /// Its header fields, decoded, in their order: at most [`HEADERS_MAX`], and [`HEADERS_BYTES_MAX`] bytes.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Its text, at most [`TEXT_BYTES_MAX`] bytes.
    pub text: Box<str>,
    /// Whether the text was cut.
    pub is_text_cut: bool,
    /// Its attachments, at most [`ATTACHMENTS_MAX`].
    pub attachments: Vec<InboundAttachment>,
    /// Which addresses of the account stood in which field.
    pub presences: Vec<InboundPresence>,
}

/// A file in a mail that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundAttachment {
    /// Its name in the attachments folder; nothing when it was not saved.
    pub saved_as: Option<Box<str>>,
    /// Its name, as the sender wrote it.
    pub file_name: Box<str>,
    /// Its media type.
    pub media_type: Box<str>,
    /// Its length in bytes.
    pub bytes: u64,
}

/// That an address of the account stood in a field of a mail, and what the account's settings say of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundPresence {
    /// The field.
    pub field: InboundField,
    /// The address.
    pub address: Box<str>,
    /// The account's labels for it.
    pub labels: Vec<Label>,
    /// The account's status for it; may be empty.
    pub status: Box<str>,
}

/// A field of a mail that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the name of a header field")]
pub enum InboundField {
    To,
    Cc,
    From,
}

/// A mailbox, as what was read of it is remembered: another server, user or protocol is another mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId([u8; 16]);

impl MailboxId {
    /// The mailbox that has this hash.
    #[must_use]
    pub const fn new(hash: [u8; 16]) -> Self {
        Self(hash)
    }

    /// Its hash.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// What was read of a mailbox: by it, nothing is read twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReadMark {
    /// For POP3: the message with the unique id of this hash.
    Message([u8; 16]),
    /// For IMAP: all messages of a folder up to this UID (RFC 3501 2.3.1.1).
    UpTo {
        /// A hash of the folder's name.
        folder: [u8; 8],
        /// Its UIDVALIDITY.
        uid_validity: u32,
        /// The UID.
        uid: u32,
    },
}

/// What happened to a mailbox or in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxChange {
    /// A mail was read and is kept.
    Arrived(InboundId),
    /// A mail is not read and stays where it is: it is too large, its server does not give it, or it cannot be taken apart.
    Skipped {
        /// Its length in bytes.
        bytes: u64,
        /// The folder in which it is.
        folder: Option<Box<str>>,
        /// Its UID or unique id.
        uid: Box<str>,
    },
    /// The mailbox cannot be read; why, with the server's words.
    Failing(Box<str>),
    /// It can be read again.
    Recovered,
    /// It holds very many messages.
    Crowded {
        /// How many.
        messages: u64,
    },
}
