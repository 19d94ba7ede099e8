//! What a reply, or the lack of one, means for us: what to do, and who is to blame.

use std::{fmt, time::Duration};

/// The step of talking to a provider in which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Finding the server's address.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// Waiting for the greeting (RFC 5321 3.1).
    Greeting,
    /// EHLO or HELO (RFC 5321 4.1.1.1).
    Hello,
    /// STARTTLS or the TLS handshake (RFC 3207, RFC 8314).
    Tls,
    /// AUTH (RFC 4954).
    SignIn,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// The DATA command, before any of the message was sent.
    Data,
    /// The message and the final dot, or a last BDAT chunk.
    EndOfData,
}

impl Phase {
    /// All phases in the order in which a session passes them.
    pub const ALL: [Self; 10] = [
        Self::Resolve,
        Self::Connect,
        Self::Greeting,
        Self::Hello,
        Self::Tls,
        Self::SignIn,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::EndOfData,
    ];

    /// The phase's name in rules, logs and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::Tls => "tls",
            Self::SignIn => "sign-in",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::EndOfData => "end-of-data",
        }
    }

    /// Whether what happens in this phase concerns the connection and the account, and no message yet.
    #[must_use]
    pub fn is_before_mail(self) -> bool {
        self < Self::Mail
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The provider took it.
    Accepted,
    /// Try this message again after its backoff.
    RetryLater,
    /// Try again after its backoff, and send more slowly from this account until then.
    RetrySlower,
    /// This recipient cannot be reached; others of the message may.
    RejectRecipient,
    /// This message will never be taken as it is.
    RejectMessage,
    /// Nothing can be sent from this account now; its jobs wait and lose no attempt.
    ParkAccount(ParkCause),
    /// Close this connection and try at once on a new one.
    RetryOnNewConnection,
    /// The message may or may not have been taken: the account's in-doubt policy decides.
    InDoubt,
}

/// Why a provider takes no mail from an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkCause {
    /// The provider's own quota is used up.
    Quota,
    /// The provider does not accept the sign-in.
    SignIn,
    /// The provider has suspended the account.
    Suspended,
}

/// Who caused a refusal. Only [`Blame::Recipient`] ever feeds suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The address: unknown, full, disabled.
    Recipient,
    /// The content: too large, spam, malformed.
    Message,
    /// The account: its credentials, quota, reputation or rights.
    Account,
    /// The provider: overloaded, broken, unreachable.
    Provider,
    /// Hikyaku or its host.
    Us,
}

/// What the classification rules say of one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What to do.
    pub verdict: Verdict,
    /// Who caused it; nobody when the verdict is [`Verdict::Accepted`].
    pub blame: Option<Blame>,
    /// How long the provider asked to wait, when it said so.
    pub wait: Option<Duration>,
    /// The name of the rule that decided.
    pub rule: Box<str>,
}
