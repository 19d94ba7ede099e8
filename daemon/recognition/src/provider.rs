//! Providers whose habits are known.

use std::str::FromStr;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_kinds_survive_their_names() {
        for kind in ProviderKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("gmial".parse::<ProviderKind>().is_err());
    }
}
