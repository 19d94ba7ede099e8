//! What do the clients of mailboxes, POP3 and IMAP, have in common: sign-ins, failures and the look into one?

use std::{io, time::Duration};

use super::{
    dial::{DialCause, DialError, DialPhase, ProxyFailure},
    steps::StepName,
    tls::{TlsFailure, TlsFault, is_hang_up},
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

/// What a look into a mailbox finds. Its steps are those that [`steps`](super::steps) keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxView {
    /// For IMAP, the names of its folders as the server writes them, at most [`FOLDERS_MAX`].
    pub folders: Vec<String>,
    /// How many messages are in it; for IMAP, in INBOX.
    pub messages: u64,
}

/// Most folders that a look into a mailbox keeps.
pub const FOLDERS_MAX: usize = 1_000;

/// Why there is no way into a mailbox.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", .phase.as_str())]
pub struct MailboxFailure {
    /// How far it came.
    pub phase: StepName,
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
                self.phase == StepName::SignIn && !TEMPORARY_CODES.iter().any(|code| words.contains(code))
            }
            MailboxCause::Proxy(failure) => matches!(failure, ProxyFailure::SignInRefused(_)),
            _ => false,
        }
    }

    /// The phase of an SMTP session that comes nearest: for what keeps it from being opened.
    #[must_use]
    pub const fn nearest_phase(&self) -> Phase {
        match self.phase {
            StepName::Resolve => Phase::Resolve,
            StepName::Proxy | StepName::Connect => Phase::Connect,
            StepName::Tls | StepName::StartTls => Phase::Tls,
            StepName::Greeting => Phase::Greeting,
            StepName::Hello => Phase::Hello,
            _ => Phase::SignIn,
        }
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
fn of_dial(error: DialError) -> (StepName, MailboxCause) {
    let phase = match error.phase {
        DialPhase::Resolve => StepName::Resolve,
        DialPhase::Connect => StepName::Connect,
        DialPhase::Proxy => StepName::Proxy,
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
