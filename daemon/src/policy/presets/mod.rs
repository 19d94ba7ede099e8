//! What is known of mail providers: servers, ways of signing in, limits, each with its source.

mod table;

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::LazyLock,
};

use crate::domain::{
    account::{Encryption, Host, ProviderKind},
    limits::Quota,
};

/// The presets that are compiled in.
const BUILT_IN: &str = include_str!("presets.toml");

/// What stands for a page where none was found and the figure is that of Hikyaku's own specification.
pub const SPECIFICATION: &str = "specification";

/// Known providers, in the order of their ids.
#[derive(Clone, Debug)]
pub struct Presets(Vec<Preset>);

/// What is known of a provider.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name, such as `gmail`.
    pub id: String,
    /// What people call the provider.
    pub name: String,
    /// Whose replies the classification rules expect.
    pub provider: ProviderKind,
    /// The server that takes mail.
    pub server: Endpoint,
    /// The ways of signing in, the best first.
    pub sign_in: Vec<SignInWay>,
    /// Who issues tokens, when that is known.
    pub oauth: Option<Issuer>,
    /// What it lets an account send.
    pub limits: KnownLimits,
    /// Its POP3 server, if it has one.
    pub pop3: Option<Endpoint>,
    /// Its IMAP server, if it has one.
    pub imap: Option<Endpoint>,
    /// Domains whose addresses are its own, in small letters.
    pub domains: Vec<String>,
    /// Names of its mail exchangers.
    pub mail_exchangers: Vec<NamePattern>,
    /// Where it explains sign-in to people.
    pub help_url: Option<String>,
    /// What a person should know before using it.
    pub notes: Vec<String>,
    /// Where the figures come from.
    pub sources: Vec<Source>,
}

/// A server of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name; nothing where each customer has another.
    pub host: Option<Host>,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
}

/// Ways of signing in that a provider accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInWay {
    /// An access token.
    OAuth2,
    /// A password that was made for programs.
    AppPassword,
    /// The password of the account.
    Password,
    /// A POP3 sign-in shortly before.
    PopBeforeSmtp,
}

/// Issuers of access tokens that are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Google.
    Google,
    /// Microsoft.
    Microsoft,
}

/// What a provider lets an account send, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownLimits {
    /// Quotas that all hold at once.
    pub quotas: Vec<Quota>,
    /// Most connections open at once.
    pub connections_max: Option<NonZeroU32>,
    /// Messages after which a connection is closed.
    pub messages_per_connection_max: Option<NonZeroU32>,
    /// Most recipients of one message.
    pub recipients_per_job_max: Option<NonZeroU32>,
    /// Largest message, in bytes.
    pub message_bytes_max: Option<u64>,
}

/// A name, or all names below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This name.
    Whole(String),
    /// Every name that ends with this, which begins with a dot.
    Below(String),
}

/// Where a figure comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is about.
    pub about: Subject,
    /// The page, or [`SPECIFICATION`].
    pub url: String,
    /// When it was read, as `YYYY-MM-DD`; empty for a standard, which does not change.
    pub read_on: String,
}

/// Parts of a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the part of that name")]
pub enum Subject {
    Server,
    Limits,
    SignIn,
    Mailbox,
}

impl Presets {
    /// The presets that come with Hikyaku.
    ///
    /// # Panics
    /// Never: a test proves that the table can be read.
    #[must_use]
    pub fn built_in() -> &'static Self {
        static PRESETS: LazyLock<Presets> = LazyLock::new(|| {
            Presets(table::parse(BUILT_IN).expect("the built-in presets have no mistake: proven by a test"))
        });
        &PRESETS
    }

    /// All, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.0.iter()
    }

    /// The one of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Preset> {
        self.0.iter().find(|preset| preset.id == id)
    }

    /// The one whose own domain this is. Case does not matter.
    #[must_use]
    pub fn by_domain(&self, domain: &str) -> Option<&Preset> {
        self.0.iter().find(|preset| preset.domains.iter().any(|own| own.eq_ignore_ascii_case(domain)))
    }

    /// The one whose mail exchanger this is, which is told without a dot at its end. Case does not matter.
    #[must_use]
    pub fn by_mail_exchanger(&self, name: &str) -> Option<&Preset> {
        let name = name.to_ascii_lowercase();
        // The longest pattern is the most exact: `*.olc.protection.outlook.com` is not `*.protection.outlook.com`.
        let fits = self.0.iter().flat_map(|preset| {
            let patterns = preset.mail_exchangers.iter().filter(|pattern| pattern.matches(&name));
            patterns.map(move |pattern| (pattern.bytes(), preset))
        });
        fits.max_by_key(|(bytes, _)| *bytes).map(|(_, preset)| preset)
    }
}

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Whole(own) => own == name,
            Self::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
        }
    }

    const fn bytes(&self) -> usize {
        match self {
            Self::Whole(name) | Self::Below(name) => name.len(),
        }
    }
}

impl SignInWay {
    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::AppPassword => "app-password",
            Self::Password => "password",
            Self::PopBeforeSmtp => "pop-before-smtp",
        }
    }
}

impl Issuer {
    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Microsoft => "microsoft",
        }
    }
}

impl Subject {
    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Limits => "limits",
            Self::SignIn => "sign-in",
            Self::Mailbox => "mailbox",
        }
    }
}

#[cfg(test)]
mod tests;
