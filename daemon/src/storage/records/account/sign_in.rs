//! How the sign-in of an account is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    seals::{Place, Purpose, Seals},
    server::{CredentialsRow, ServerRow},
};
use crate::{
    domain::account::{IssuerKind, OAuth2SignIn, OauthGrant, OauthIssuer, PopBeforeSmtp, SignIn},
    storage::records::{BadRow, as_base64, codes::Code, ledger::nanos},
};

/// A [`SignIn`]: at most one of the parts. It is no message of its own: the parts are fields of the account's row.
#[derive(Debug, Default)]
pub(super) struct SignInParts {
    pub(super) password: Option<PasswordRow>,
    pub(super) as_mailbox: bool,
    pub(super) oauth2: Option<OAuth2Row>,
    pub(super) pop_before_smtp: Option<PopBeforeSmtpRow>,
}

/// The sign-in with a password.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct PasswordRow {
    #[prost(string, tag = "1")]
    pub user: String,
    /// Sealed; in rows of the first version for the account's id alone.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "as_base64")]
    pub sealed: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub mechanism: u32,
    #[prost(bool, tag = "4")]
    pub allow_plaintext: bool,
}

/// An [`OAuth2SignIn`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct OAuth2Row {
    #[prost(string, tag = "1")]
    pub user: String,
    #[prost(uint32, tag = "2")]
    pub mechanism: u32,
    #[prost(bool, tag = "3")]
    pub allow_plaintext: bool,
    /// 0 for consent, 1 for client credentials, 2 for a service account.
    #[prost(uint32, tag = "4")]
    pub grant: u32,
    /// The key file of a service account, sealed.
    #[prost(bytes = "vec", optional, tag = "5")]
    #[serde(with = "as_optional_base64")]
    pub sealed_service_account: Option<Vec<u8>>,
    /// 1 for Google, 2 for Microsoft, 3 for any other.
    #[prost(uint32, tag = "6")]
    pub issuer: u32,
    #[prost(string, tag = "7")]
    pub tenant: String,
    #[prost(string, optional, tag = "8")]
    pub authorization_endpoint: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub device_endpoint: Option<String>,
    #[prost(string, tag = "10")]
    pub token_endpoint: String,
    #[prost(string, tag = "11")]
    pub client_id: String,
    /// Sealed.
    #[prost(bytes = "vec", optional, tag = "12")]
    #[serde(with = "as_optional_base64")]
    pub sealed_client_secret: Option<Vec<u8>>,
    #[prost(string, repeated, tag = "13")]
    pub scopes: Vec<String>,
}

/// A [`PopBeforeSmtp`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct PopBeforeSmtpRow {
    #[prost(message, optional, tag = "1")]
    pub server: Option<ServerRow>,
    #[prost(message, optional, tag = "2")]
    pub credentials: Option<CredentialsRow>,
    #[prost(bool, tag = "3")]
    pub apop: bool,
    #[prost(bool, tag = "4")]
    pub allow_plaintext: bool,
    #[prost(uint64, tag = "5")]
    pub valid_for: u64,
}

const GRANT_CONSENT: u32 = 0;
const GRANT_CLIENT_CREDENTIALS: u32 = 1;
const GRANT_SERVICE_ACCOUNT: u32 = 2;
const ISSUER_GOOGLE: u32 = 1;
const ISSUER_MICROSOFT: u32 = 2;
const ISSUER_CUSTOM: u32 = 3;

impl SignInParts {
    pub(super) fn new(sign_in: &SignIn, seals: Seals<'_>) -> Self {
        let none = Self::default();
        match sign_in {
            SignIn::None => none,
            SignIn::AsMailbox => Self { as_mailbox: true, ..none },
            SignIn::Password { user, password, mechanism, allow_plaintext } => {
                let sealed = seals.seal(Purpose::Password, password);
                let (mechanism, allow_plaintext) = (mechanism.code(), *allow_plaintext);
                Self { password: Some(PasswordRow { user: user.clone(), sealed, mechanism, allow_plaintext }), ..none }
            }
            SignIn::OAuth2(oauth2) => Self { oauth2: Some(OAuth2Row::new(oauth2, seals)), ..none },
            SignIn::PopBeforeSmtp(pop) => Self { pop_before_smtp: Some(PopBeforeSmtpRow::new(pop, seals)), ..none },
        }
    }

    pub(super) fn into_sign_in(self, seals: Seals<'_>) -> Result<SignIn, BadRow> {
        match (self.password, self.oauth2, self.pop_before_smtp) {
            (None, None, None) if self.as_mailbox => Ok(SignIn::AsMailbox),
            (None, None, None) => Ok(SignIn::None),
            (Some(password), None, None) => password.into_sign_in(seals),
            (None, Some(oauth2), None) => oauth2.into_sign_in(seals).map(|oauth2| SignIn::OAuth2(Box::new(oauth2))),
            (None, None, Some(pop)) => pop.into_sign_in(seals).map(|pop| SignIn::PopBeforeSmtp(Box::new(pop))),
            _ => Err(BadRow::new("sign-in", "has two ways")),
        }
    }
}

impl PasswordRow {
    fn into_sign_in(self, seals: Seals<'_>) -> Result<SignIn, BadRow> {
        Ok(SignIn::Password {
            password: seals.open(Purpose::Password, &self.sealed)?,
            user: self.user,
            mechanism: Code::from_code(self.mechanism)?,
            allow_plaintext: self.allow_plaintext,
        })
    }
}

impl OAuth2Row {
    fn new(oauth2: &OAuth2SignIn, seals: Seals<'_>) -> Self {
        let issuer = &oauth2.issuer;
        let client_secret = issuer.client_secret.as_ref();
        let mut row = Self {
            user: oauth2.user.clone(),
            mechanism: oauth2.mechanism.code(),
            allow_plaintext: oauth2.allow_plaintext,
            client_id: issuer.client_id.clone(),
            sealed_client_secret: client_secret.map(|secret| seals.seal(Purpose::ClientSecret, secret)),
            scopes: issuer.scopes.clone(),
            ..Self::default()
        };
        row.grant = match &oauth2.grant {
            OauthGrant::Consent => GRANT_CONSENT,
            OauthGrant::ClientCredentials => GRANT_CLIENT_CREDENTIALS,
            OauthGrant::ServiceAccount(file) => {
                row.sealed_service_account = Some(seals.seal(Purpose::ServiceAccount, file));
                GRANT_SERVICE_ACCOUNT
            }
        };
        row.issuer = match &issuer.kind {
            IssuerKind::Google => ISSUER_GOOGLE,
            IssuerKind::Microsoft { tenant } => {
                row.tenant.clone_from(tenant);
                ISSUER_MICROSOFT
            }
            IssuerKind::Custom { authorization_endpoint, device_endpoint, token_endpoint } => {
                row.authorization_endpoint.clone_from(authorization_endpoint);
                row.device_endpoint.clone_from(device_endpoint);
                row.token_endpoint.clone_from(token_endpoint);
                ISSUER_CUSTOM
            }
        };
        row
    }

    fn into_sign_in(self, seals: Seals<'_>) -> Result<OAuth2SignIn, BadRow> {
        let grant = match (self.grant, self.sealed_service_account) {
            (GRANT_CONSENT, _) => OauthGrant::Consent,
            (GRANT_CLIENT_CREDENTIALS, _) => OauthGrant::ClientCredentials,
            (GRANT_SERVICE_ACCOUNT, Some(file)) => {
                OauthGrant::ServiceAccount(seals.open(Purpose::ServiceAccount, &file)?)
            }
            (code, _) => return Err(BadRow::new("grant", format_args!("unknown code {code}, or no key file"))),
        };
        let kind = match self.issuer {
            ISSUER_GOOGLE => IssuerKind::Google,
            ISSUER_MICROSOFT => IssuerKind::Microsoft { tenant: self.tenant },
            ISSUER_CUSTOM => IssuerKind::Custom {
                authorization_endpoint: self.authorization_endpoint,
                device_endpoint: self.device_endpoint,
                token_endpoint: self.token_endpoint,
            },
            code => return Err(BadRow::new("issuer", format_args!("unknown code {code}"))),
        };
        let open = |sealed: Vec<u8>| seals.open(Purpose::ClientSecret, &sealed);
        let client_secret = self.sealed_client_secret.map(open).transpose()?;
        Ok(OAuth2SignIn {
            user: self.user,
            mechanism: Code::from_code(self.mechanism)?,
            issuer: OauthIssuer { kind, client_id: self.client_id, client_secret, scopes: self.scopes },
            grant,
            allow_plaintext: self.allow_plaintext,
        })
    }
}

impl PopBeforeSmtpRow {
    fn new(pop: &PopBeforeSmtp, seals: Seals<'_>) -> Self {
        Self {
            server: Some(ServerRow::new(&pop.server, Place::Pop, seals)),
            credentials: Some(CredentialsRow::new(&pop.credentials, Purpose::PopPassword, seals)),
            apop: pop.apop,
            allow_plaintext: pop.allow_plaintext,
            valid_for: nanos(pop.valid_for),
        }
    }

    fn into_sign_in(self, seals: Seals<'_>) -> Result<PopBeforeSmtp, BadRow> {
        let missing = |what| move || BadRow::new(what, "is missing");
        let credentials = self.credentials.ok_or_else(missing("pop credentials"))?;
        Ok(PopBeforeSmtp {
            server: self.server.ok_or_else(missing("pop server"))?.into_server(Place::Pop, seals)?,
            credentials: credentials.into_credentials(Purpose::PopPassword, seals)?,
            apop: self.apop,
            allow_plaintext: self.allow_plaintext,
            valid_for: Duration::from_nanos(self.valid_for),
        })
    }
}

/// Bytes that may be missing, as base64 in JSON.
mod as_optional_base64 {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "serde gives the field like this")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| BASE64_STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}
