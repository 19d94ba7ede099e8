//! What do the clients of mailboxes, POP3 and IMAP, have in common: sign-ins, steps, failures and the look into one?

use std::{fmt, io, time::Duration};

use super::{
    dial::{DialCause, DialError, DialPhase, ProxyFailure},
    tls::{TlsFacts, TlsFailure, TlsFault, is_hang_up},
};
use crate::domain::{secret::Secret, verdict::Phase};

mod talk;

pub(super) use self::talk::Talk;

/// How to sign in to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxAuth {
    /// With a name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret<String>,
        /// For POP3, by APOP (RFC 1939 7).
        apop: bool,
        /// Whether the password may cross an unencrypted connection.
        allow_plaintext: bool,
    },
    /// With an access token, by XOAUTH2.
    Token {
        /// The mail address or user name that goes with it.
        user: String,
        /// The token.
        token: Secret<String>,
        /// Whether the token may cross an unencrypted connection.
        allow_plaintext: bool,
    },
}

/// The steps of talking to a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxPhase {
    /// Finding the server's address.
    Resolve,
    /// Being connected by the proxy.
    Proxy,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The server's greeting.
    Greeting,
    /// CAPA or CAPABILITY.
    Hello,
    /// STLS or STARTTLS.
    StartTls,
    /// The sign-in.
    SignIn,
    /// STAT, or LIST and STATUS.
    Folders,
    /// QUIT or LOGOUT.
    Quit,
}

/// One step: what was said, what was answered, how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxStep {
    /// Which.
    pub phase: MailboxPhase,
    /// What was said to the server, without secrets; empty when nothing was.
    pub sent: String,
    /// What the server answered, verbatim but for secrets, the lines joined by line feeds; at most
    /// [`REPLY_TEXT_BYTES_MAX`](crate::domain::reply::REPLY_TEXT_BYTES_MAX) bytes.
    pub reply: String,
    /// How long it took.
    pub took: Duration,
}

/// A look into a mailbox, as far as it came.
#[derive(Debug)]
pub struct MailboxCheck {
    /// The steps that were taken; the last but a QUIT is the one that failed, if one did.
    pub steps: Vec<MailboxStep>,
    /// Facts of the encrypted connection.
    pub tls: Option<TlsFacts>,
    /// What the server offered last.
    pub capabilities: Vec<String>,
    /// For IMAP, the names of its folders, at most [`FOLDERS_MAX`].
    pub folders: Vec<String>,
    /// How many messages are in it; for IMAP, in INBOX.
    pub messages: u64,
    /// What went wrong.
    pub failure: Option<MailboxFailure>,
}

/// Most folders that a look into a mailbox keeps.
pub const FOLDERS_MAX: usize = 1_000;

/// Why there is no way into a mailbox.
#[derive(Debug, thiserror::Error)]
#[error("{phase}: {cause}")]
pub struct MailboxFailure {
    /// How far it came.
    pub phase: MailboxPhase,
    /// What was met.
    pub cause: MailboxCause,
    /// The dialogue until then, secrets masked.
    pub transcript: String,
}

/// What keeps us out of a mailbox.
#[derive(Debug, thiserror::Error)]
pub enum MailboxCause {
    /// The server refused; its words, verbatim but for secrets.
    #[error("the server replied {}", one_line(.0))]
    Refused(String),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The proxy did not connect us.
    #[error(transparent)]
    Proxy(ProxyFailure),
    /// TLS failed.
    #[error("{text}")]
    Tls {
        /// In a word.
        kind: TlsFault,
        /// In one sentence for people.
        text: String,
    },
    /// The server does not offer what the settings ask for.
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    /// The server, or somebody between us, sent more than the reply to STLS or STARTTLS in the clear.
    #[error("plain text followed the reply to {0}: somebody may be tampering with the connection")]
    Injected(&'static str),
    /// The password or token would cross an unencrypted connection, which the settings do not allow.
    #[error("the connection is not encrypted and the settings do not allow credentials to be sent in the clear")]
    PlaintextSignIn,
    /// The name or password holds a character that the protocol cannot carry.
    #[error("the name or password holds a line break or another character that the protocol cannot carry")]
    BadCredentials,
    /// The server did not answer in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The server closed the connection.
    #[error("connection closed by the server")]
    Closed,
    /// The system's word.
    #[error(transparent)]
    Io(io::Error),
    /// What came is no reply of the protocol; its beginning.
    #[error("what came is no {protocol} reply: {said:?}")]
    Unreadable {
        /// The protocol.
        protocol: &'static str,
        /// What came.
        said: String,
    },
    /// The server says more than it should.
    #[error("a reply of more than {0} bytes")]
    TooLong(usize),
}

/// Response codes that say of a refused sign-in that it may succeed later: RFC 2449 8.1, RFC 3206 4, RFC 5530 3.
const TEMPORARY_CODES: [&str; 6] = ["[IN-USE]", "[LOGIN-DELAY", "[SYS/", "[UNAVAILABLE]", "[INUSE]", "[LIMIT]"];

impl MailboxFailure {
    /// Whether the credentials were refused, so that new ones are needed: by the server or by the proxy before it.
    #[must_use]
    pub fn refuses_credentials(&self) -> bool {
        match &self.cause {
            MailboxCause::Refused(words) => {
                let words = words.to_ascii_uppercase();
                self.phase == MailboxPhase::SignIn && !TEMPORARY_CODES.iter().any(|code| words.contains(code))
            }
            MailboxCause::Proxy(failure) => matches!(failure, ProxyFailure::SignInRefused(_)),
            _ => false,
        }
    }
}

impl MailboxPhase {
    /// The phase's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Proxy => "proxy",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::StartTls => "starttls",
            Self::SignIn => "sign-in",
            Self::Folders => "folders",
            Self::Quit => "quit",
        }
    }

    /// The phase of an SMTP session that comes nearest: for what keeps it from being opened.
    #[must_use]
    pub const fn nearest(self) -> Phase {
        match self {
            Self::Resolve => Phase::Resolve,
            Self::Proxy | Self::Connect => Phase::Connect,
            Self::Tls | Self::StartTls => Phase::Tls,
            Self::Greeting => Phase::Greeting,
            Self::Hello => Phase::Hello,
            Self::SignIn | Self::Folders | Self::Quit => Phase::SignIn,
        }
    }
}

impl fmt::Display for MailboxPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<io::Error> for MailboxCause {
    fn from(error: io::Error) -> Self {
        if is_hang_up(error.kind()) { Self::Closed } else { Self::Io(error) }
    }
}

impl From<TlsFailure> for MailboxCause {
    fn from(failure: TlsFailure) -> Self {
        match failure {
            TlsFailure::TimedOut(limit) => Self::TimedOut(limit),
            TlsFailure::Closed => Self::Closed,
            TlsFailure::Refused { kind, text } => Self::Tls { kind, text },
        }
    }
}

/// Where a connection failed, and why.
fn of_dial(error: DialError) -> (MailboxPhase, MailboxCause) {
    let phase = match error.phase {
        DialPhase::Resolve => MailboxPhase::Resolve,
        DialPhase::Connect => MailboxPhase::Connect,
        DialPhase::Proxy => MailboxPhase::Proxy,
    };
    let cause = match error.cause {
        DialCause::TimedOut(limit) => MailboxCause::TimedOut(limit),
        DialCause::NoAddress => MailboxCause::NoAddress,
        // A refused connection keeps the system's words.
        DialCause::Io(error) => MailboxCause::Io(error),
        DialCause::Proxy(failure) => MailboxCause::Proxy(failure),
    };
    (phase, cause)
}

/// The server's words on one line and without control characters.
fn one_line(words: &str) -> String {
    let mut line = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '\n' => line.push_str(" / "),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// The response of XOAUTH2 before it is encoded, as Google and Microsoft define it.
pub(super) fn xoauth2(user: &str, token: &str) -> String {
    format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}")
}
