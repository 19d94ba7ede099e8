//! What can go wrong on an SMTP session, and whose word it is?

use std::{io, time::Duration};

use crate::{
    domain::{reply::Reply, verdict::Phase},
    wire::{
        dial::ProxyFailure,
        mailbox::MailboxFailure,
        oauth::OauthError,
        tls::{TlsFault, is_hang_up},
    },
};

/// Why no session could be opened. Nothing was sent of any message.
#[derive(Debug, thiserror::Error)]
#[error("{phase}: {cause}")]
pub struct Obstacle {
    /// How far it came.
    pub phase: Phase,
    /// What was met.
    pub cause: ObstacleCause,
    /// The dialogue until then, secrets masked; empty when no connection came about.
    pub transcript: String,
}

/// What kept a session from being opened.
#[derive(Debug, thiserror::Error)]
pub enum ObstacleCause {
    /// The server refused.
    #[error("the server replied {0}")]
    Replied(Reply),
    /// The connection failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The proxy did not connect us.
    #[error(transparent)]
    Proxy(ProxyFailure),
    /// The POP3 sign-in that must come before the session failed.
    #[error("POP3 {0}")]
    Pop(Box<MailboxFailure>),
    /// TLS failed.
    #[error("{text}")]
    Tls {
        /// In a word.
        kind: TlsFault,
        /// In one sentence for people.
        text: String,
    },
    /// The account wants STARTTLS and the server does not offer it.
    #[error("the server does not offer STARTTLS")]
    StartTlsNotOffered,
    /// The server, or somebody between us, sent more than the reply to STARTTLS in the clear.
    #[error("plain text followed the reply to STARTTLS: somebody may be tampering with the connection")]
    StartTlsInjected,
    /// The password would cross an unencrypted connection, which the account does not allow.
    #[error("the connection is not encrypted and the account does not allow its password to be sent in the clear")]
    PlaintextSignIn,
    /// The server does not offer the mechanism that the account wants.
    #[error("the server does not offer the sign-in mechanism; it offers: {}", list(.offered))]
    SignInNotOffered {
        /// The mechanisms that it offers, in capitals.
        offered: Vec<String>,
    },
    /// There is no access token to sign in with.
    #[error("there is no access token: {0}")]
    Token(OauthError),
    /// What greeted us is no SMTP server; the first line that it sent.
    #[error("the server does not speak SMTP; it said {0:?}")]
    NotSmtp(String),
}

impl ObstacleCause {
    /// Whether somebody on the way other than the SMTP server refused what we signed in with: new credentials are needed.
    #[must_use]
    pub fn refuses_credentials(&self) -> bool {
        match self {
            Self::Proxy(failure) => matches!(failure, ProxyFailure::SignInRefused(_)),
            Self::Pop(failure) => failure.refuses_credentials(),
            _ => false,
        }
    }
}

/// A session that broke in the midst. It cannot be used any more.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{phase}: {cause}")]
pub struct Broken {
    /// Where it broke.
    pub phase: Phase,
    /// What was met.
    pub cause: Fault,
    /// Whether the server may have taken the message all the same: the final dot, or the last byte of the last chunk,
    /// was on its way. Without it no server may take one (RFC 5321 4.1.1.4, RFC 3030 2).
    pub in_doubt: bool,
    /// The replies of the same exchange that were read before, in the order of its commands: MAIL, each RCPT, DATA.
    pub answered: Vec<Reply>,
}

/// How a connection fails.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The server did not answer, or did not take what we sent, within this time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The server closed the connection without a word.
    #[error("connection closed by the server")]
    Closed,
    /// The server said 421: it closes the connection (RFC 5321 3.8).
    #[error("the server closes the connection: {0}")]
    Closing(Reply),
    /// The system's word.
    #[error(transparent)]
    Io(io::Error),
    /// What came is no SMTP reply; its first line, bounded.
    #[error("what came is no SMTP reply: {0:?}")]
    Unreadable(String),
    /// A reply without an end.
    #[error("a reply of more than {0} bytes")]
    ReplyTooLong(usize),
    /// The server spoke before it was asked, so that its replies can no longer be matched with our commands.
    #[error("the server sent a reply to no command: {0:?}")]
    Unsolicited(String),
    /// The session was used after it broke, or while an exchange had been dropped half-way.
    #[error("the session is no longer usable")]
    Unusable,
}

impl Clone for Fault {
    /// The same words; of the system's error, its kind and what it said.
    fn clone(&self) -> Self {
        match self {
            Self::TimedOut(limit) => Self::TimedOut(*limit),
            Self::Closed => Self::Closed,
            Self::Closing(reply) => Self::Closing(reply.clone()),
            Self::Io(error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
            Self::Unreadable(line) => Self::Unreadable(line.clone()),
            Self::ReplyTooLong(bytes) => Self::ReplyTooLong(*bytes),
            Self::Unsolicited(words) => Self::Unsolicited(words.clone()),
            Self::Unusable => Self::Unusable,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if is_hang_up(error.kind()) { Self::Closed } else { Self::Io(error) }
    }
}

/// Why an envelope was not answered in full.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeFailure {
    /// This server can never take this message: it lacks an extension. Nothing was sent and the session is as before.
    #[error("the server does not offer {}, which the message needs", .0.keyword())]
    NotOffered(Needed),
    /// The session broke.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// An extension that a message cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// RFC 6152, for content beyond ASCII.
    EightBitMime,
    /// RFC 6531, for addresses beyond ASCII.
    SmtpUtf8,
}

impl Needed {
    /// Its keyword in the reply to EHLO.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::EightBitMime => "8BITMIME",
            Self::SmtpUtf8 => "SMTPUTF8",
        }
    }
}

fn list(offered: &[String]) -> String {
    if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
}
