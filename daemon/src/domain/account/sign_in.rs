//! How accounts sign in to their servers.

use std::time::Duration;

use super::server::{Credentials, Server};
use crate::domain::secret::Secret;

/// How an account signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// Not at all.
    None,
    /// With the credentials of the account's mailbox; not at all when that has none.
    AsMailbox,
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
    /// With an access token.
    OAuth2(Box<OAuth2SignIn>),
    /// By a POP3 sign-in from the same address shortly before.
    PopBeforeSmtp(Box<PopBeforeSmtp>),
}

/// How a password is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordMechanism {
    /// The first of PLAIN, LOGIN and CRAM-MD5 that the server offers.
    Auto,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, in three lines; never standardised, often the only one offered.
    Login,
    /// CRAM-MD5 (RFC 2195): the password does not cross the network.
    CramMd5,
}

/// Sign-in with an access token of an OAuth 2 issuer (RFC 6749). What is fetched is kept beside the account, see
/// [`Tokens`](crate::domain::tokens::Tokens).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2SignIn {
    /// The mail address or user name that goes with the token.
    pub user: String,
    /// The SASL mechanism.
    pub mechanism: OauthMechanism,
    /// Who issues the tokens.
    pub issuer: OauthIssuer,
    /// How they are got.
    pub grant: OauthGrant,
    /// Whether the token may cross an unencrypted connection.
    pub allow_plaintext: bool,
}

/// How an access token is presented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OauthMechanism {
    /// The first of XOAUTH2 and OAUTHBEARER that the server offers.
    #[default]
    Auto,
    /// XOAUTH2, as Google and Microsoft define it.
    Xoauth2,
    /// OAUTHBEARER (RFC 7628).
    Oauthbearer,
}

/// How access tokens are got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OauthGrant {
    /// A person consented; what is kept of it is a refresh token.
    Consent,
    /// The application's own permission (RFC 6749 4.4).
    ClientCredentials,
    /// A signed claim (RFC 7523): the key file of the service account, as JSON.
    ServiceAccount(Secret<String>),
}

/// Who issues access tokens, and who we are to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthIssuer {
    /// Which one.
    pub kind: IssuerKind,
    /// The application's id; empty for service accounts.
    pub client_id: String,
    /// The application's secret; public applications have none.
    pub client_secret: Option<Secret<String>>,
    /// What the tokens are for; what the issuer needs for mail when empty.
    pub scopes: Vec<String>,
}

/// Issuers of access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// Google.
    Google,
    /// Microsoft, with the tenant's id or domain, or `common`.
    Microsoft {
        /// The tenant.
        tenant: String,
    },
    /// Any other, by its endpoints: absolute `https` URLs, or `http` on the loopback interface.
    Custom {
        /// Where a person consents.
        authorization_endpoint: Option<String>,
        /// Where a code for another device is got.
        device_endpoint: Option<String>,
        /// Where tokens are got.
        token_endpoint: String,
    },
}

/// Sign-in for servers that take mail from where somebody has signed in by POP3 shortly before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopBeforeSmtp {
    /// The POP3 server.
    pub server: Server,
    /// Name and password.
    pub credentials: Credentials,
    /// Whether APOP (RFC 1939 7) is used, so that the password does not cross the network.
    pub apop: bool,
    /// Whether the password may cross an unencrypted connection.
    pub allow_plaintext: bool,
    /// How long the server remembers a sign-in.
    pub valid_for: Duration,
}
