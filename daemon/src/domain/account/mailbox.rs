//! The mailbox of an account, to which its bounces come back.

use std::time::Duration;

use super::server::{Credentials, Server};
use crate::domain::{address::Address, ids::Label};

/// A mailbox and how it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingMailbox {
    /// How it is read.
    pub protocol: MailboxProtocol,
    /// Its server.
    pub server: Server,
    /// How it signs in; with the credentials of SMTP when there is nothing here.
    pub sign_in: Option<MailboxSignIn>,
    /// How often it is read.
    pub interval: Duration,
    /// Whether what was read is deleted.
    pub delete_after_fetch: bool,
    /// For IMAP, whether other folders than INBOX are read.
    pub all_folders: bool,
    /// For IMAP, whether only mail is read that nobody has read.
    pub unseen_only: bool,
    /// Whether all mail is taken, and not only bounces.
    pub all_mail: bool,
    /// The folder into which raw messages are archived; a relative name below the daemon's own folder for that.
    pub archive_folder: Option<String>,
    /// Largest message that is read, in bytes.
    pub message_bytes_max: u64,
    /// How many messages in it are worth a warning.
    pub warn_messages: u32,
    /// Who is told of errors.
    pub errors_to: Option<Address>,
    /// The folder into which attachments of inbound mail are saved.
    pub attachments_folder: Option<String>,
    /// Whether mail that comes twice is told twice.
    pub keep_duplicates: bool,
    /// Whether the server is not waited for by IDLE.
    pub no_idle: bool,
    /// What inbound mail is marked with when an address of the account stands in To.
    pub marks_to: InboundMarks,
    /// The same for Cc.
    pub marks_cc: InboundMarks,
    /// The same for From.
    pub marks_from: InboundMarks,
}

/// What inbound mail is marked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundMarks {
    /// Labels.
    pub labels: Vec<Label>,
    /// A status, at most 64 bytes; may be empty.
    pub status: String,
}

/// How a mailbox is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxProtocol {
    /// POP3 (RFC 1939).
    Pop3,
    /// IMAP (RFC 3501).
    Imap,
}

/// Credentials of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxSignIn {
    /// Name and password.
    pub credentials: Credentials,
    /// For POP3, whether APOP is used.
    pub apop: bool,
    /// Whether the password may cross an unencrypted connection.
    pub allow_plaintext: bool,
}
