//! What a client wants to be said: content before it is composed, and the message and envelope after.

use bytes::Bytes;

pub use self::message_id::{BadMessageId, MESSAGE_ID_BYTES_MAX, MessageId};
use super::{address::Address, charset::Charset};

mod message_id;

/// A name and an address, as they stand in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, without line breaks; none when empty.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

/// Content to be composed into one RFC 5322 message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The From header.
    pub from: Mailbox,
    /// The Reply-To header.
    pub reply_to: Vec<Mailbox>,
    /// The To header.
    pub to: Vec<Mailbox>,
    /// The Cc header.
    pub cc: Vec<Mailbox>,
    /// The Subject header, any Unicode text without line breaks.
    pub subject: String,
    /// The plain text part; made from the HTML when only that is given.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// Further headers in order; names that the composer writes itself were refused before.
    pub headers: Vec<(String, String)>,
    /// The message that this one answers (RFC 5322 3.6.4).
    pub in_reply_to: Option<MessageId>,
    /// The messages of the conversation, the oldest first; the one that is answered is added unless it is the last.
    pub references: Vec<MessageId>,
    /// How readers leave the list that it was sent to.
    pub list_unsubscribe: Option<ListUnsubscribe>,
    /// That a program sent it by itself, and why.
    pub auto_submitted: Option<AutoSubmitted>,
    /// Files that travel with the message.
    pub attachments: Vec<Attachment>,
    /// The charset of the whole.
    pub charset: Charset,
}

/// How readers leave a list: List-Unsubscribe (RFC 2369) and List-Unsubscribe-Post (RFC 8058). It has a URL or an address or
/// both. In the draft of a merge job these are templates, so they are checked when they are written into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListUnsubscribe {
    /// An https URL.
    pub url: Option<String>,
    /// An address to write to, and perhaps what to write (RFC 6068): `leave@example.jp?subject=leave`.
    pub mailto: Option<String>,
    /// Whether a POST to the URL is enough; only with a URL.
    pub one_click: bool,
}

/// Why a program sent a message by itself (RFC 3834 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoSubmitted {
    /// Without a message that it answers: reports, alarms, mailings.
    Generated,
    /// In answer to a message that somebody sent.
    Replied,
}

/// One attached or inline file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name as the reader sees it.
    pub file_name: String,
    /// The media type, such as `application/pdf`.
    pub media_type: String,
    /// The file's bytes.
    pub content: Bytes,
    /// The id by which the HTML part shows it, for an inline file.
    pub content_id: Option<String>,
}

/// A composed message: complete RFC 5322 bytes with CRLF line ends and no bare CR or LF, not dot-stuffed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether any byte is beyond ASCII, so that 8BITMIME must be asked for (RFC 6152).
    pub is_eight_bit: bool,
}

/// The SMTP envelope of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path, to which bounces come back.
    pub sender: Address,
    /// The forward-paths; at least one.
    pub recipients: Vec<Address>,
}
