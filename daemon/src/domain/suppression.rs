//! Addresses that must not be sent to, and where that holds.

use std::fmt;

use super::{
    address::Address,
    ids::{AccountId, Caller, Label, MessageKey},
    time::Timestamp,
};

/// Longest evidence of a suppression, in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 2_048;

/// An address that must not be sent to, within a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Where it holds, and for whom.
    pub key: SuppressionKey,
    /// The address as it was written when it was added.
    pub address: Address,
    /// Why.
    pub reason: SuppressionReason,
    /// How it came into the list.
    pub source: SuppressionSource,
    /// When it was added.
    pub added_at: Timestamp,
    /// Who added it; nobody when the daemon did.
    pub added_by: Option<Caller>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// What it rests on, at most [`EVIDENCE_BYTES_MAX`] bytes.
    pub evidence: Box<str>,
    /// The message of ours that brought it.
    pub message: Option<MessageKey>,
}

impl Suppression {
    /// Whether it holds at this time.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// Whether it ends when another one does, or later.
    #[must_use]
    pub fn lasts_as_long_as(&self, other: &Self) -> bool {
        let end = |one: &Self| one.expires_at.map_or(u64::MAX, Timestamp::as_millis);
        end(self) >= end(other)
    }
}

/// Where a suppression holds, and for whom. There is at most one suppression of each key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuppressionKey {
    /// Where.
    pub scope: SuppressionScope,
    /// For whom.
    pub mailbox: SuppressedMailbox,
}

impl SuppressionKey {
    /// The key of an address in a scope.
    #[must_use]
    pub fn new(scope: SuppressionScope, address: &Address) -> Self {
        Self { scope, mailbox: SuppressedMailbox::of(address) }
    }
}

/// An address in the form in which addresses are compared: in lower case. Servers may tell cases apart in local parts (RFC 5321
/// 2.4), but hardly any does, and to mail a dead address again in capitals helps nobody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuppressedMailbox(Box<str>);

impl SuppressedMailbox {
    /// The form of an address.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        Self(address.as_str().to_lowercase().into())
    }

    /// The form that was stored as this text.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The form as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a suppression holds. The order is that in which they decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuppressionScope {
    /// For all jobs of all accounts.
    Global,
    /// For an account.
    Account(AccountId),
    /// For jobs with a label, whichever account sends them.
    Label(Label),
}

impl fmt::Display for SuppressionScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("everywhere"),
            Self::Account(account) => write!(f, "for account {account}"),
            Self::Label(label) => write!(f, "for label {label}"),
        }
    }
}

/// Why an address must not be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SuppressionReason {
    /// A server said for good that it does not exist, or takes no mail.
    HardBounce,
    /// Several messages in a row came back for reasons that may pass.
    SoftBounces,
    /// Its owner complained.
    Complaint,
    /// Its owner wants no more of it.
    Unsubscribed,
    /// Somebody decided so.
    Manual,
}

impl SuppressionReason {
    /// The reason's name in the command line, in CSV files and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HardBounce => "hard-bounce",
            Self::SoftBounces => "soft-bounces",
            Self::Complaint => "complaint",
            Self::Unsubscribed => "unsubscribed",
            Self::Manual => "manual",
        }
    }
}

/// How a suppression came into the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressionSource {
    /// A mail that came back.
    Bounce,
    /// The reply to an attempt.
    Reply,
    /// A feedback report (RFC 5965).
    Feedback,
    /// A call.
    Call,
    /// A call that imported a list.
    Import,
}

/// What is remembered with a recipient that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressedBy {
    /// Where the suppression holds.
    pub scope: SuppressionScope,
    /// Why.
    pub reason: SuppressionReason,
}

impl From<&Suppression> for SuppressedBy {
    fn from(suppression: &Suppression) -> Self {
        Self { scope: suppression.key.scope.clone(), reason: suppression.reason }
    }
}

/// A message of an account that came back from an address for a reason that may pass: it counts towards the run after which the
/// address is suppressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftBounce {
    /// The suppression that follows when the run is long enough.
    pub then: Suppression,
    /// How many in a row are enough.
    pub run_max: u32,
    /// How long the run may pause before it begins anew.
    pub within: std::time::Duration,
}
