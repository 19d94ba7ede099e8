//! What a client wants to be said: content before it is composed, and the message and envelope after.

use bytes::Bytes;

use super::{address::Address, charset::Charset};

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
    /// Files that travel with the message.
    pub attachments: Vec<Attachment>,
    /// The charset of the whole.
    pub charset: Charset,
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
