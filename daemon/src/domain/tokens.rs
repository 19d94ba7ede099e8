//! What an account holds of its OAuth 2 issuer.

use super::{secret::Secret, time::Timestamp};

/// Tokens of an account. They change by themselves, so they are kept beside its settings and not in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Gets access tokens; itself replaced by some issuers with each use.
    pub refresh_token: Option<Secret<String>>,
    /// Signs in.
    pub access: Option<AccessToken>,
    /// When tokens were got last.
    pub refreshed_at: Option<Timestamp>,
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The token.
    pub token: Secret<String>,
    /// When it no longer signs in.
    pub expires_at: Timestamp,
}
