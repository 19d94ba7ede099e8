//! How an account is kept; its secrets are sealed before they come here.

use serde::{Deserialize, Serialize};

use self::{
    behaviour::{ContentRow, QuietWindowRow, ResultsRow, RetryRow},
    mailbox::IncomingRow,
    seals::{Place, Seals},
    server::ServerRow,
    sign_in::{OAuth2Row, PasswordRow, PopBeforeSmtpRow, SignInParts},
    suppression::SuppressionRulesRow,
};
use super::{BadRow, codes::Code, limits::LimitsRow, parsed::parsed};
use crate::{
    domain::{
        account::{Account, AccountSettings, ContentRules, Results, SenderPattern, Signature, Stamp},
        ids::Etag,
        mail::Mailbox,
        time::Timestamp,
    },
    platform::sealing::Sealer,
};

mod behaviour;
mod mailbox;
mod seals;
mod server;
mod sign_in;
mod suppression;

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
    /// Nothing for an account that does not sign in with a password.
    #[prost(message, optional, tag = "12")]
    pub password: Option<PasswordRow>,
    #[prost(message, optional, tag = "13")]
    pub limits: Option<LimitsRow>,
    #[prost(message, optional, tag = "14")]
    pub retry: Option<RetryRow>,
    #[prost(uint32, tag = "15")]
    pub in_doubt: u32,
    #[prost(string, repeated, tag = "16")]
    pub labels: Vec<String>,
    /// Nothing for an account that everybody may use.
    #[prost(string, optional, tag = "17")]
    pub owner: Option<String>,
    #[prost(bool, tag = "18")]
    pub unlisted: bool,
    #[prost(message, repeated, tag = "19")]
    pub default_cc: Vec<MailboxRow>,
    #[prost(message, repeated, tag = "20")]
    pub default_bcc: Vec<MailboxRow>,
    #[prost(string, tag = "21")]
    pub signature_text: String,
    #[prost(string, tag = "22")]
    pub signature_html: String,
    #[prost(message, repeated, tag = "23")]
    pub quiet_windows: Vec<QuietWindowRow>,
    /// Nothing in rows of the first version, whose accounts had the default.
    #[prost(message, optional, tag = "24")]
    pub content: Option<ContentRow>,
    /// Nothing in rows of the first version, whose accounts had the default.
    #[prost(message, optional, tag = "25")]
    pub results: Option<ResultsRow>,
    #[prost(message, optional, tag = "26")]
    pub mailbox: Option<IncomingRow>,
    #[prost(message, optional, tag = "30")]
    pub suppression: Option<SuppressionRulesRow>,
    /// Whether it signs in with the credentials of its mailbox.
    #[prost(bool, tag = "27")]
    pub as_mailbox: bool,
    #[prost(message, optional, tag = "28")]
    pub oauth2: Option<OAuth2Row>,
    #[prost(message, optional, tag = "29")]
    pub pop_before_smtp: Option<PopBeforeSmtpRow>,
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

impl AccountRow {
    /// The row of an account, each of its secrets sealed for its id and what it is.
    #[must_use]
    pub fn new(account: &Account, sealer: &Sealer) -> Self {
        let settings = &account.settings;
        let seals = Seals::new(sealer, account.id.as_str());
        let mailboxes = |mailboxes: &[Mailbox]| mailboxes.iter().map(MailboxRow::from).collect();
        let SignInParts { password, as_mailbox, oauth2, pop_before_smtp } = SignInParts::new(&settings.sign_in, seals);
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
            server: Some(ServerRow::new(&settings.server, Place::Server, seals)),
            password,
            limits: Some((&settings.limits).into()),
            retry: Some(settings.retry.into()),
            in_doubt: settings.in_doubt.code(),
            labels: settings.labels.iter().map(|label| label.as_str().to_owned()).collect(),
            owner: settings.owner.as_ref().map(|owner| owner.as_str().to_owned()),
            unlisted: settings.unlisted,
            default_cc: mailboxes(&settings.default_cc),
            default_bcc: mailboxes(&settings.default_bcc),
            signature_text: settings.signature.text.clone(),
            signature_html: settings.signature.html.clone(),
            quiet_windows: settings.quiet_windows.iter().map(QuietWindowRow::from).collect(),
            content: Some(settings.content.into()),
            results: Some((&settings.results).into()),
            mailbox: settings.mailbox.as_ref().map(|mailbox| IncomingRow::new(mailbox, seals)),
            suppression: Some(SuppressionRulesRow::from(&settings.suppression)),
            as_mailbox,
            oauth2,
            pop_before_smtp,
        }
    }

    /// The account, its secrets opened.
    ///
    /// # Errors
    /// When a part of the row means nothing, or a secret was sealed with another key or for something else.
    pub fn into_account(self, sealer: &Sealer) -> Result<Account, BadRow> {
        let stamp = |at, by: &str| Ok(Stamp { at: Timestamp::from_millis(at), by: parsed("caller", by)? });
        Ok(Account {
            id: parsed("account", &self.id)?,
            etag: Etag(self.etag),
            created: stamp(self.created_at, &self.created_by)?,
            updated: stamp(self.updated_at, &self.updated_by)?,
            settings: self.into_settings(sealer)?,
        })
    }

    fn into_settings(self, sealer: &Sealer) -> Result<AccountSettings, BadRow> {
        let missing = |what| move || BadRow::new(what, "is missing");
        let seals = Seals::new(sealer, &self.id);
        let sign_in = SignInParts {
            password: self.password,
            as_mailbox: self.as_mailbox,
            oauth2: self.oauth2,
            pop_before_smtp: self.pop_before_smtp,
        };
        Ok(AccountSettings {
            display_name: self.display_name,
            from: self.from.ok_or_else(missing("from"))?.try_into()?,
            may_send_as: self.may_send_as.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?,
            reply_to: self.reply_to.map(Mailbox::try_from).transpose()?,
            server: self.server.ok_or_else(missing("server"))?.into_server(Place::Server, seals)?,
            sign_in: sign_in.into_sign_in(seals)?,
            limits: self.limits.ok_or_else(missing("limits"))?.try_into()?,
            retry: self.retry.ok_or_else(missing("retry"))?.into(),
            in_doubt: Code::from_code(self.in_doubt)?,
            labels: self.labels.iter().map(|label| parsed("label", label)).collect::<Result<_, _>>()?,
            owner: self.owner.map(|owner| parsed("owner", &owner)).transpose()?,
            unlisted: self.unlisted,
            default_cc: mailboxes(self.default_cc)?,
            default_bcc: mailboxes(self.default_bcc)?,
            signature: Signature { text: self.signature_text, html: self.signature_html },
            quiet_windows: self.quiet_windows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            content: self.content.map_or_else(|| Ok(ContentRules::default()), TryInto::try_into)?,
            results: self.results.map_or_else(|| Ok(Results::default()), TryInto::try_into)?,
            mailbox: self.mailbox.map(|mailbox| mailbox.into_mailbox(seals)).transpose()?,
            suppression: self.suppression.map(Into::into).unwrap_or_default(),
        })
    }
}

fn mailboxes(rows: Vec<MailboxRow>) -> Result<Vec<Mailbox>, BadRow> {
    rows.into_iter().map(Mailbox::try_from).collect()
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
