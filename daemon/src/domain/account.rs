//! An SMTP identity with its provider, its sign-in and its limits.

use std::time::Duration;

use super::{
    address::{Address, is_same_domain},
    ids::{AccountId, Caller, Etag, Label},
    limits::Limits,
    mail::Mailbox,
    quiet::QuietWindow,
    time::Timestamp,
};

mod content;
mod host;
mod mailbox;
mod results;
mod server;
mod sign_in;
mod suppression;

pub use hikyaku_recognition::provider::{ProviderKind, UnknownProvider};

pub use self::{
    content::{ContentRules, Signature},
    host::{BadHost, EhloName, Host},
    mailbox::{InboundMarks, IncomingMailbox, MailboxProtocol, MailboxSignIn},
    results::{EnvelopeSender, NotifyPolicy, Results},
    server::{ClientCertificate, Credentials, Encryption, Proxy, ProxyKind, Server, Timeouts, TlsOptions, TlsVersion},
    sign_in::{
        IssuerKind, OAuth2SignIn, OauthGrant, OauthIssuer, OauthMechanism, PasswordMechanism, PopBeforeSmtp, SignIn,
    },
    suppression::SuppressionRules,
};

/// An account as it is stored and used. What is live of it (its standing, its usage) is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub id: AccountId,
    /// What a person changes.
    pub settings: AccountSettings,
    /// The version of the settings: one more with each change.
    pub etag: Etag,
    /// When it was created, and by whom.
    pub created: Stamp,
    /// When it was changed last, and by whom.
    pub updated: Stamp,
}

/// When something was done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Caller,
}

/// Everything about an account that a person chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// What people call it; may be empty.
    pub display_name: String,
    /// Who its mail is from.
    pub from: Mailbox,
    /// Further addresses and whole domains that a job may put into From.
    pub may_send_as: Vec<SenderPattern>,
    /// Where answers go when a job does not say.
    pub reply_to: Option<Mailbox>,
    /// The server that takes its mail.
    pub server: Server,
    /// How it signs in.
    pub sign_in: SignIn,
    /// What it may send.
    pub limits: Limits,
    /// How deferred mail is tried again.
    pub retry: Retry,
    /// What becomes of a message that may or may not have been taken.
    pub in_doubt: InDoubtPolicy,
    /// Words to find it by.
    pub labels: Vec<Label>,
    /// The only caller, besides admins, who may see and use it; everybody may when there is none.
    pub owner: Option<Caller>,
    /// Whether it is left out of pickers.
    pub unlisted: bool,
    /// Further recipients in Cc of every job.
    pub default_cc: Vec<Mailbox>,
    /// Further recipients in no header of every job.
    pub default_bcc: Vec<Mailbox>,
    /// What stands under every composed message.
    pub signature: Signature,
    /// When mail had better not be sent.
    pub quiet_windows: Vec<QuietWindow>,
    /// How messages are composed, and which are allowed.
    pub content: ContentRules,
    /// Where bounces and notices go.
    pub results: Results,
    /// The mailbox to which bounces come back.
    pub mailbox: Option<IncomingMailbox>,
    /// When recipients are suppressed by what is met.
    pub suppression: SuppressionRules,
}

impl AccountSettings {
    /// The settings of an account that is who it is, uses this server, and leaves everything else at its default.
    #[must_use]
    pub fn new(from: Mailbox, server: Server) -> Self {
        Self {
            display_name: String::new(),
            from,
            may_send_as: Vec::new(),
            reply_to: None,
            server,
            sign_in: SignIn::None,
            limits: Limits::default(),
            retry: Retry::default(),
            in_doubt: InDoubtPolicy::default(),
            labels: Vec::new(),
            owner: None,
            unlisted: false,
            default_cc: Vec::new(),
            default_bcc: Vec::new(),
            signature: Signature::default(),
            quiet_windows: Vec::new(),
            content: ContentRules::default(),
            results: Results::default(),
            mailbox: None,
            suppression: SuppressionRules::default(),
        }
    }

    /// Whether a job of this account may carry `from` in its From header.
    #[must_use]
    pub fn may_send_from(&self, from: &Address) -> bool {
        let own = self.from.address.as_str().eq_ignore_ascii_case(from.as_str());
        own || self.may_send_as.iter().any(|pattern| pattern.matches(from))
    }
}

/// An address, or all addresses of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SenderPattern {
    /// One address.
    Address(Address),
    /// Any address of this domain, which is written as `@example.jp`.
    Domain(String),
}

impl SenderPattern {
    /// Whether `address` is meant. Case does not matter.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        match self {
            Self::Address(own) => own.as_str().eq_ignore_ascii_case(address.as_str()),
            Self::Domain(domain) => is_same_domain(domain, address.domain()),
        }
    }
}

/// How deferred mail is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// The wait after the first deferral.
    pub first_delay: Duration,
    /// By how much each wait is longer than the one before; from 1 to 10.
    pub multiplier: f64,
    /// The longest wait.
    pub delay_max: Duration,
    /// How far a wait may differ at random, as a share of it; from 0 to 1.
    pub jitter: f64,
    /// How long after a job's first attempt its last one may be. Time in which the account was parked is not lost: a
    /// job that was never tried is never given up.
    pub give_up_after: Duration,
}

impl Eq for Retry {}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(60),
            multiplier: 2.0,
            delay_max: Duration::from_secs(3_600),
            jitter: 0.2,
            // RFC 5321 4.5.4.1: give up after four to five days at the earliest.
            give_up_after: Duration::from_secs(5 * 24 * 3_600),
        }
    }
}

/// What becomes of a message that may or may not have been taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InDoubtPolicy {
    /// It is sent again: at least once.
    #[default]
    Resend,
    /// It waits for an operator: at most once.
    Hold,
    /// The Sent folder of the account's mailbox is asked. It waits until that has answered.
    Reconcile,
}
