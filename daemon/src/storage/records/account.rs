//! How an account is kept; its password is sealed before it comes here.

use std::{num::NonZeroU16, time::Duration};

use serde::{Deserialize, Serialize};

use super::{BadRow, as_base64, codes::Code, job::parsed, ledger::nanos, limits::LimitsRow};
use crate::{
    domain::{
        account::{Account, AccountSettings, Retry, SenderPattern, Server, SignIn, Stamp, Timeouts, TlsOptions},
        ids::Etag,
        mail::Mailbox,
        secret::Secret,
        time::Timestamp,
    },
    platform::sealing::Sealer,
};

/// An [`Account`]. Durations are in nanoseconds, times in milliseconds since 1970.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the account")]
pub struct AccountRow {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(uint64, tag = "2")]
    pub etag: u64,
    #[prost(uint64, tag = "3")]
    pub created_at: u64,
    #[prost(string, tag = "4")]
    pub created_by: String,
    #[prost(uint64, tag = "5")]
    pub updated_at: u64,
    #[prost(string, tag = "6")]
    pub updated_by: String,
    #[prost(string, tag = "7")]
    pub display_name: String,
    #[prost(message, optional, tag = "8")]
    pub from: Option<MailboxRow>,
    /// Addresses; one that begins with `@` means a domain.
    #[prost(string, repeated, tag = "9")]
    pub may_send_as: Vec<String>,
    #[prost(message, optional, tag = "10")]
    pub reply_to: Option<MailboxRow>,
    #[prost(message, optional, tag = "11")]
    pub server: Option<ServerRow>,
    /// Nothing for an account that does not sign in.
    #[prost(message, optional, tag = "12")]
    pub password: Option<PasswordRow>,
    #[prost(message, optional, tag = "13")]
    pub limits: Option<LimitsRow>,
    #[prost(message, optional, tag = "14")]
    pub retry: Option<RetryRow>,
    #[prost(uint32, tag = "15")]
    pub in_doubt: u32,
}

/// A [`Mailbox`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the mailbox")]
pub struct MailboxRow {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, tag = "2")]
    pub address: String,
}

/// A [`Server`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the server")]
pub struct ServerRow {
    #[prost(string, tag = "1")]
    pub host: String,
    #[prost(uint32, tag = "2")]
    pub port: u32,
    #[prost(uint32, tag = "3")]
    pub encryption: u32,
    #[prost(string, optional, tag = "4")]
    pub ehlo_name: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub custom_ca_pem: Option<String>,
    #[prost(string, tag = "6")]
    pub provider: String,
    /// Connect, greeting, command, data, end of data.
    #[prost(uint64, repeated, tag = "7")]
    pub timeouts: Vec<u64>,
}

/// The sign-in with a password.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the sign-in")]
pub struct PasswordRow {
    #[prost(string, tag = "1")]
    pub user: String,
    /// Sealed for the account's id.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "as_base64")]
    pub sealed: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub mechanism: u32,
    #[prost(bool, tag = "4")]
    pub allow_plaintext: bool,
}

/// A [`Retry`].
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the retry schedule")]
pub struct RetryRow {
    #[prost(uint64, tag = "1")]
    pub first_delay: u64,
    #[prost(double, tag = "2")]
    pub multiplier: f64,
    #[prost(uint64, tag = "3")]
    pub delay_max: u64,
    #[prost(double, tag = "4")]
    pub jitter: f64,
    #[prost(uint64, tag = "5")]
    pub give_up_after: u64,
}

impl AccountRow {
    /// The row of an account, its password sealed for its id.
    #[must_use]
    pub fn new(account: &Account, sealer: &Sealer) -> Self {
        let settings = &account.settings;
        Self {
            id: account.id.as_str().to_owned(),
            etag: account.etag.0,
            created_at: account.created.at.as_millis(),
            created_by: account.created.by.as_str().to_owned(),
            updated_at: account.updated.at.as_millis(),
            updated_by: account.updated.by.as_str().to_owned(),
            display_name: settings.display_name.clone(),
            from: Some((&settings.from).into()),
            may_send_as: settings.may_send_as.iter().map(pattern_text).collect(),
            reply_to: settings.reply_to.as_ref().map(MailboxRow::from),
            server: Some((&settings.server).into()),
            password: match &settings.sign_in {
                SignIn::None | SignIn::AsMailbox | SignIn::OAuth2(_) | SignIn::PopBeforeSmtp(_) => None,
                SignIn::Password { user, password, mechanism, allow_plaintext } => Some(PasswordRow {
                    user: user.clone(),
                    sealed: sealer.seal(account.id.as_str().as_bytes(), password.expose().as_bytes()),
                    mechanism: mechanism.code(),
                    allow_plaintext: *allow_plaintext,
                }),
            },
            limits: Some((&settings.limits).into()),
            retry: Some(settings.retry.into()),
            in_doubt: settings.in_doubt.code(),
        }
    }

    /// The account, its password opened.
    ///
    /// # Errors
    /// When a part of the row means nothing, or the password was sealed with another key.
    pub fn into_account(self, sealer: &Sealer) -> Result<Account, BadRow> {
        let missing = |what| move || BadRow::new(what, "is missing");
        let stamp = |at, by: &str| Ok(Stamp { at: Timestamp::from_millis(at), by: parsed("caller", by)? });
        let sign_in = match self.password {
            None => SignIn::None,
            Some(row) => row.into_sign_in(&self.id, sealer)?,
        };
        let from = self.from.ok_or_else(missing("from"))?.try_into()?;
        let server = self.server.ok_or_else(missing("server"))?.try_into()?;
        let settings = AccountSettings {
            display_name: self.display_name,
            may_send_as: self.may_send_as.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?,
            reply_to: self.reply_to.map(Mailbox::try_from).transpose()?,
            sign_in,
            limits: self.limits.ok_or_else(missing("limits"))?.try_into()?,
            retry: self.retry.ok_or_else(missing("retry"))?.into(),
            in_doubt: Code::from_code(self.in_doubt)?,
            ..AccountSettings::new(from, server)
        };
        Ok(Account {
            id: parsed("account", &self.id)?,
            settings,
            etag: Etag(self.etag),
            created: stamp(self.created_at, &self.created_by)?,
            updated: stamp(self.updated_at, &self.updated_by)?,
        })
    }
}

impl PasswordRow {
    fn into_sign_in(self, account: &str, sealer: &Sealer) -> Result<SignIn, BadRow> {
        let opened = sealer.open(account.as_bytes(), &self.sealed).map_err(|error| BadRow::new("password", error))?;
        let password = std::str::from_utf8(&opened).map_err(|error| BadRow::new("password", error))?;
        Ok(SignIn::Password {
            user: self.user,
            password: Secret::new(password.to_owned()),
            mechanism: Code::from_code(self.mechanism)?,
            allow_plaintext: self.allow_plaintext,
        })
    }
}

fn pattern_text(pattern: &SenderPattern) -> String {
    match pattern {
        SenderPattern::Address(address) => address.as_str().to_owned(),
        SenderPattern::Domain(domain) => format!("@{domain}"),
    }
}

fn pattern(text: &str) -> Result<SenderPattern, BadRow> {
    match text.strip_prefix('@') {
        Some(domain) => Ok(SenderPattern::Domain(domain.to_owned())),
        None => parsed("sender pattern", text).map(SenderPattern::Address),
    }
}

impl From<&Mailbox> for MailboxRow {
    fn from(mailbox: &Mailbox) -> Self {
        Self { name: mailbox.name.clone(), address: mailbox.address.as_str().to_owned() }
    }
}

impl TryFrom<MailboxRow> for Mailbox {
    type Error = BadRow;

    fn try_from(row: MailboxRow) -> Result<Self, BadRow> {
        Ok(Self { name: row.name, address: parsed("mailbox", &row.address)? })
    }
}

impl From<&Server> for ServerRow {
    fn from(server: &Server) -> Self {
        let t = &server.timeouts;
        Self {
            host: server.host.as_str().to_owned(),
            port: server.port.get().into(),
            encryption: server.encryption.code(),
            ehlo_name: server.ehlo_name.as_ref().map(|name| name.as_str().to_owned()),
            custom_ca_pem: server.custom_ca_pem.clone(),
            provider: server.provider.as_str().to_owned(),
            timeouts: [t.connect, t.greeting, t.command, t.data, t.end_of_data].map(nanos).to_vec(),
        }
    }
}

impl TryFrom<ServerRow> for Server {
    type Error = BadRow;

    fn try_from(row: ServerRow) -> Result<Self, BadRow> {
        let port = u16::try_from(row.port).ok().and_then(NonZeroU16::new);
        let &[connect, greeting, command, data, end_of_data] = row.timeouts.as_slice() else {
            return Err(BadRow::new("timeouts", "are not five"));
        };
        Ok(Self {
            host: parsed("host", &row.host)?,
            port: port.ok_or_else(|| BadRow::new("port", "is none"))?,
            encryption: Code::from_code(row.encryption)?,
            ehlo_name: row.ehlo_name.map(|name| parsed("EHLO name", &name)).transpose()?,
            custom_ca_pem: row.custom_ca_pem,
            provider: parsed("provider", &row.provider)?,
            timeouts: Timeouts {
                connect: Duration::from_nanos(connect),
                greeting: Duration::from_nanos(greeting),
                command: Duration::from_nanos(command),
                data: Duration::from_nanos(data),
                end_of_data: Duration::from_nanos(end_of_data),
            },
            tls: TlsOptions::default(),
            proxy: None,
        })
    }
}

impl From<Retry> for RetryRow {
    fn from(retry: Retry) -> Self {
        Self {
            first_delay: nanos(retry.first_delay),
            multiplier: retry.multiplier,
            delay_max: nanos(retry.delay_max),
            jitter: retry.jitter,
            give_up_after: nanos(retry.give_up_after),
        }
    }
}

impl From<RetryRow> for Retry {
    fn from(row: RetryRow) -> Self {
        Self {
            first_delay: Duration::from_nanos(row.first_delay),
            multiplier: row.multiplier,
            delay_max: Duration::from_nanos(row.delay_max),
            jitter: row.jitter,
            give_up_after: Duration::from_nanos(row.give_up_after),
        }
    }
}
