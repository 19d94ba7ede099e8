//! What a mail that came back says of a recipient.

use hikyaku_recognition::{classify::reason::Reason, reply::EnhancedCode};

use super::{inbound::InboundId, time::Timestamp};

/// What a mail that came back says of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When it was read, by our clock.
    pub at: Timestamp,
    /// What it means.
    pub kind: ReportKind,
    /// Why.
    pub reason: Reason,
    /// The status (RFC 3463).
    pub status: Option<EnhancedCode>,
    /// The words of the server that refused, verbatim, at most [`hikyaku_recognition::reply::REPLY_TEXT_BYTES_MAX`] bytes.
    pub diagnostic: Box<str>,
    /// The server that wrote the report, at most 255 bytes.
    pub reporting_server: Option<Box<str>>,
    /// The mail.
    pub inbound: InboundId,
}

/// What a report means for its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportKind {
    /// The address is dead.
    Hard,
    /// The message came back; the address may be sound.
    Soft,
    /// Its reader complains of it.
    Complaint,
    /// The message is late; a server still tries. It changes no state.
    Delayed,
}

impl ReportKind {
    /// The kind's name in the API, in tables and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Complaint => "complaint",
            Self::Delayed => "delayed",
        }
    }
}
