//! How are access tokens got from an issuer (RFC 6749, RFC 7523, RFC 7636, RFC 8628)?

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::{domain::secret::Secret, policy::oauth::needs_a_person};

mod answer;
mod assertion;
mod authorization;
mod client;
#[cfg(test)]
mod exchanges;
#[cfg(test)]
pub(crate) mod fake;

pub use self::{
    assertion::assertion,
    authorization::{AuthorizationRequest, ComeBack, come_back, fault_of_redirect_uri},
    client::TokenClient,
};

/// Longest words of an issuer that are kept, in bytes.
pub const WORDS_BYTES_MAX: usize = 1_024;

/// Who asks, and where.
#[derive(Clone, Debug)]
pub struct Application {
    /// Where tokens are got: an absolute `https` URL, or `http` on the loopback interface.
    pub token_endpoint: String,
    /// The application's id at the issuer; empty when an assertion says who asks.
    pub client_id: String,
    /// Its secret; public applications have none.
    pub client_secret: Option<Secret<String>>,
    /// What the tokens are for, separated by spaces; left to the issuer when empty.
    pub scope: String,
}

/// On what ground tokens are asked for.
#[derive(Clone, Debug)]
pub enum Ground {
    /// A refresh token (RFC 6749 6).
    RefreshToken(Secret<String>),
    /// A code that a person's browser brought back (RFC 6749 4.1.3), with the verifier of RFC 7636.
    Code {
        /// The code.
        code: Secret<String>,
        /// Where the browser was sent with it.
        redirect_uri: String,
        /// What proves that we began it.
        verifier: Secret<String>,
    },
    /// A code that a person may have confirmed on another device (RFC 8628 3.4).
    DeviceCode(Secret<String>),
    /// The application's own permission (RFC 6749 4.4).
    OwnPermission,
    /// A signed claim (RFC 7523 2.1), see [`assertion`].
    Assertion(Secret<String>),
}

/// What an issuer gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Signs in.
    pub access_token: Secret<String>,
    /// How long it lives, if the issuer says so.
    pub expires_in: Option<Duration>,
    /// Gets the next one; nothing when the one that was used stays good, or there is none.
    pub refresh_token: Option<Secret<String>>,
}

/// What a person needs to consent on another device (RFC 8628 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCodes {
    /// What we ask with.
    pub device_code: Secret<String>,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// How long both are good.
    pub expires_in: Duration,
    /// How long to wait between two questions.
    pub interval: Duration,
}

/// Issues tokens.
#[async_trait]
pub trait Issuer: Send + Sync + fmt::Debug {
    /// Asks for tokens.
    ///
    /// # Errors
    /// When there are none, whoever's fault it is.
    async fn issue(&self, application: &Application, ground: &Ground) -> Result<Issued, OauthError>;

    /// Asks for the codes of a consent on another device, at this endpoint.
    ///
    /// # Errors
    /// When there are none.
    async fn device_codes(&self, application: &Application, endpoint: &str) -> Result<DeviceCodes, OauthError>;
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OauthError {
    /// Nobody has consented yet, so that there is nothing to ask with.
    #[error("nobody has consented to it yet")]
    NotConsented,
    /// The grant is not, or no longer, good: it was revoked, has lapsed, or is another application's.
    #[error("the issuer refuses the grant (invalid_grant): {description}")]
    InvalidGrant {
        /// The issuer's words.
        description: String,
    },
    /// The issuer refused for another reason.
    #[error("the issuer refuses ({error}): {description}")]
    Refused {
        /// Its error code (RFC 6749 5.2, RFC 8628 3.5).
        error: String,
        /// Its words.
        description: String,
    },
    /// The issuer did not answer, or said that it cannot at present.
    #[error("the issuer cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is not one of a token endpoint.
    #[error("the issuer's answer cannot be read: {0}")]
    Unreadable(String),
    /// What the account says of its issuer cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl OauthError {
    /// The error of a code and its description.
    pub(crate) fn of_code(error: &str, description: &str) -> Self {
        let (error, description) = (words(error), words(if description.is_empty() { error } else { description }));
        if error == "invalid_grant" { Self::InvalidGrant { description } } else { Self::Refused { error, description } }
    }

    /// Whether it stays until a person consents anew or brings other settings.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::NotConsented | Self::InvalidGrant { .. } | Self::Unusable(_) => true,
            Self::Refused { error, .. } => needs_a_person(error),
            Self::Unreachable(_) | Self::Unreadable(_) => false,
        }
    }

    /// The error code that the issuer gave.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::InvalidGrant { .. } => Some("invalid_grant"),
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The same without a secret that the issuer may have repeated.
    fn without(self, secrets: &[&str]) -> Self {
        let hide = |text: String| {
            let hidden = secrets.iter().filter(|secret| !secret.is_empty());
            hidden.fold(text, |text, secret| text.replace(secret, "***"))
        };
        match self {
            Self::InvalidGrant { description } => Self::InvalidGrant { description: hide(description) },
            Self::Refused { error, description } => Self::Refused { error, description: hide(description) },
            Self::Unreadable(text) => Self::Unreadable(hide(text)),
            Self::Unreachable(text) => Self::Unreachable(hide(text)),
            other => other,
        }
    }
}

/// Words of an issuer, bounded and on one line.
fn words(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line[..line.floor_char_boundary(WORDS_BYTES_MAX)].trim().to_owned()
}
