//! An SMTP identity with its provider, its sign-in and its limits.

use std::{fmt, num::NonZeroU16, str::FromStr, time::Duration};

use super::{
    address::Address,
    ids::{AccountId, Caller, Etag},
    limits::Limits,
    mail::Mailbox,
    secret::Secret,
    time::Timestamp,
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
}

impl AccountSettings {
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
            Self::Domain(domain) => domain.eq_ignore_ascii_case(address.domain()),
        }
    }
}

/// The server that takes an account's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name or IP address.
    pub host: Host,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// Whether and how the connection is encrypted.
    pub encryption: Encryption,
    /// The name we give in EHLO; this host's name when none is set.
    pub ehlo_name: Option<EhloName>,
    /// A certificate authority, as PEM, that is trusted for this server besides those of the system.
    pub custom_ca_pem: Option<String>,
    /// Which provider's habits the classification rules should expect.
    pub provider: ProviderKind,
    /// How long each phase may take.
    pub timeouts: Timeouts,
}

/// Whether and how a connection is encrypted. None of these is ever downgraded to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// In the clear.
    None,
    /// In the clear, then TLS after STARTTLS (RFC 3207); a server that does not offer it is an error.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// How long each phase may take; the defaults are those of RFC 5321 4.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To find the address, connect and shake hands.
    pub connect: Duration,
    /// To greet.
    pub greeting: Duration,
    /// To answer EHLO, STARTTLS, each step of AUTH, MAIL and RCPT.
    pub command: Duration,
    /// To answer DATA.
    pub data: Duration,
    /// To answer the final dot, counted from the moment it was sent; each block of the message may take `data`.
    pub end_of_data: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_secs(300),
            command: Duration::from_secs(300),
            data: Duration::from_secs(120),
            end_of_data: Duration::from_secs(600),
        }
    }
}

/// How an account signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// Not at all.
    None,
    /// With a name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret<String>,
        /// The SASL mechanism.
        mechanism: PasswordMechanism,
        /// Whether the password may cross an unencrypted connection.
        allow_plaintext: bool,
    },
}

/// How a password is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordMechanism {
    /// The first of PLAIN and LOGIN that the server offers.
    Auto,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, in three lines; never standardised, often the only one offered.
    Login,
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
}

/// Providers whose replies mean something of their own. `Generic` is every other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the name of a provider")]
pub enum ProviderKind {
    #[default]
    Generic,
    Gmail,
    GoogleWorkspace,
    Outlook,
    Microsoft365,
    Exchange,
    Yahoo,
    YahooJapan,
    ICloud,
    Xserver,
    Sakura,
    AmazonSes,
    SendGrid,
}

impl ProviderKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Generic,
        Self::Gmail,
        Self::GoogleWorkspace,
        Self::Outlook,
        Self::Microsoft365,
        Self::Exchange,
        Self::Yahoo,
        Self::YahooJapan,
        Self::ICloud,
        Self::Xserver,
        Self::Sakura,
        Self::AmazonSes,
        Self::SendGrid,
    ];

    /// The kind's name in settings and rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Gmail => "gmail",
            Self::GoogleWorkspace => "google-workspace",
            Self::Outlook => "outlook",
            Self::Microsoft365 => "microsoft365",
            Self::Exchange => "exchange",
            Self::Yahoo => "yahoo",
            Self::YahooJapan => "yahoo-japan",
            Self::ICloud => "icloud",
            Self::Xserver => "xserver",
            Self::Sakura => "sakura",
            Self::AmazonSes => "amazon-ses",
            Self::SendGrid => "sendgrid",
        }
    }
}

/// A provider kind that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown provider kind {0:?}")]
pub struct UnknownProvider(String);

impl FromStr for ProviderKind {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| UnknownProvider(text.chars().take(80).collect()))
    }
}

/// A host name or IP address that is safe to resolve and to put into a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(String);

/// The name we give in EHLO: a domain name or an address literal (RFC 5321 4.1.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EhloName(String);

/// A text that is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a host name (labels of 1 to 63 letters, digits and inner hyphens, at most 253 bytes) or an IP address"
)]
pub struct BadHost;

impl Host {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EhloName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let valid = text.parse::<std::net::IpAddr>().is_ok() || is_host_name(text);
        valid.then(|| Self(text.to_owned())).ok_or(BadHost)
    }
}

impl FromStr for EhloName {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_literal = literal.is_some_and(|inner| {
            let address = inner.strip_prefix("IPv6:").unwrap_or(inner);
            address.parse::<std::net::IpAddr>().is_ok()
        });
        (is_literal || is_host_name(text)).then(|| Self(text.to_owned())).ok_or(BadHost)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_ip_addresses() {
        for good in ["smtp.example.jp", "localhost", "127.0.0.1", "::1", "my_host"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "-x", "x\r\n", "a..b", "[::1]", "smtp.example.jp:25"] {
            assert!(bad.parse::<Host>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ehlo_names_may_be_address_literals() {
        for good in ["client.example.jp", "[192.0.2.1]", "[IPv6:::1]"] {
            assert!(good.parse::<EhloName>().is_ok(), "{good}");
        }
        for bad in ["", "[x]", "a b", "a\r\nMAIL"] {
            assert!(bad.parse::<EhloName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn provider_kinds_survive_their_names() {
        for kind in ProviderKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("gmial".parse::<ProviderKind>().is_err());
    }
}
