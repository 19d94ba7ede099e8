//! What recognition finds in one mail.

use crate::{classify::reason::Reason, reply::EnhancedCode};

/// What a mail means for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The address is dead: unknown, moved, or of a domain that does not exist or takes no mail.
    Hard,
    /// It was not delivered, or not yet; the address may be sound.
    Soft,
    /// The recipient complains.
    Complaint,
    /// A program answered for the recipient.
    AutoReply,
    /// Nothing to act on: delivered, relayed, expanded.
    None,
}

impl Kind {
    /// The kind's name in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Complaint => "complaint",
            Self::AutoReply => "auto_reply",
            Self::None => "none",
        }
    }
}

/// What a mail is as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nature {
    /// Mail from a person or program that recognition has nothing to say of.
    #[default]
    Ordinary,
    /// At least one recipient did not get the mail, or not yet.
    Bounce,
    /// Only good news: delivered, relayed or expanded (RFC 3464 2.3.3).
    SuccessReport,
    /// A complaint (RFC 5965).
    Complaint,
    /// A feedback report that is no complaint, such as one of a failed authentication (RFC 6591).
    FeedbackReport,
    /// A vacation notice or another automatic reply (RFC 3834), also one that asks the sender to prove to be human.
    AutoReply,
    /// A receipt (RFC 8098).
    Receipt,
}

impl Nature {
    /// The nature's name in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Bounce => "bounce",
            Self::SuccessReport => "success report",
            Self::Complaint => "complaint",
            Self::FeedbackReport => "feedback report",
            Self::AutoReply => "automatic reply",
            Self::Receipt => "receipt",
        }
    }
}

/// What the reporting server did with a recipient (RFC 3464 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It gave up.
    Failed,
    /// It still tries.
    Delayed,
    /// It put the mail into the mailbox.
    Delivered,
    /// It handed the mail to a server that sends no reports.
    Relayed,
    /// It handed the mail to the members of a list.
    Expanded,
}

impl Action {
    /// The action's name in a report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

/// What a mail says of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The address that we sent to, as far as the report knows it; a complaint may hide it.
    pub recipient: Option<Box<str>>,
    /// The address at which it failed, when it is another one, such as the target of an alias.
    pub final_recipient: Option<Box<str>>,
    /// The status (RFC 3463).
    pub status: Option<EnhancedCode>,
    /// The words of the server that refused, verbatim, at most [`crate::reply::REPLY_TEXT_BYTES_MAX`] bytes.
    pub diagnostic: Box<str>,
    /// The server that wrote the report.
    pub reporting_server: Option<Box<str>>,
    /// The server that refused.
    pub remote_server: Option<Box<str>>,
    /// What was done.
    pub action: Option<Action>,
    /// What it means.
    pub kind: Kind,
    /// Why.
    pub reason: Option<Reason>,
    /// The name of the rule or the format that decided.
    pub rule: Box<str>,
}

/// What the part that was returned tells of the mail that we sent. Nothing of it is proven: anybody can write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Its Message-ID, without the angle brackets.
    pub message_id: Option<Box<str>>,
    /// Our private header `X-Hikyaku-Job`.
    pub job: Option<Box<str>>,
    /// Its From address.
    pub from: Option<Box<str>>,
    /// Its To addresses.
    pub to: Vec<Box<str>>,
    /// Its Subject, decoded.
    pub subject: Option<Box<str>>,
}

/// What the mail's own header tells of how it came to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Addresses that it was delivered to: Delivered-To, X-Original-To, Envelope-To and To. A tagged envelope sender of
    /// ours is among them.
    pub recipients: Vec<Box<str>>,
    /// The Return-Path; the empty text for the null sender `<>`.
    pub return_path: Option<Box<str>>,
    /// Its From address.
    pub from: Option<Box<str>>,
    /// Its Subject, decoded.
    pub subject: Option<Box<str>>,
    /// Its Date as it stands there.
    pub date: Option<Box<str>>,
    /// Its own Message-ID, without the angle brackets.
    pub message_id: Option<Box<str>>,
    /// The Message-IDs in In-Reply-To and References, without the angle brackets.
    pub answers: Vec<Box<str>>,
    /// The envelope id of the report (RFC 3464 2.2.1).
    pub envelope_id: Option<Box<str>>,
}

/// All that recognition finds in one mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What the mail is.
    pub nature: Nature,
    /// What it says of each recipient; for a bounce also of those that were served.
    pub recipients: Vec<Finding>,
    /// What it brings back of the mail that we sent.
    pub returned: Returned,
    /// How it came.
    pub arrival: Arrival,
}

impl Findings {
    /// The recipients that something is to be done about: hard and soft bounces, and complaints.
    pub fn to_act_on(&self) -> impl Iterator<Item = &Finding> {
        self.recipients.iter().filter(|finding| matches!(finding.kind, Kind::Hard | Kind::Soft | Kind::Complaint))
    }
}
