//! How accounts and their usage are shown.

use std::time::Duration;

use hikyaku_client::{
    proto::{
        Account, AccountState, Encryption, InDoubtPolicy, Limits, OAuthTokenState, PasswordMechanism, Retry, Server,
        SignIn, sign_in::Method,
    },
    show_mailbox,
};
use serde::Serialize;
use toml::Table;

use super::{
    duration_text::show_duration,
    escape::escape,
    job_view::bare,
    output::Show,
    quota_text::{show_quota, show_reserve},
    settings::{
        changes::{leaves, value_text},
        document::settings_tree,
        writing::Secrets,
    },
    table::{fields, table},
    time_text::show_time,
};

/// An account as it stands; settings that are null take their defaults.
#[derive(Debug, Serialize)]
pub(crate) struct AccountView {
    account_id: String,
    state: &'static str,
    reason: String,
    reply: String,
    since: Option<String>,
    until: Option<String>,
    open_jobs: u64,
    display_name: String,
    from: Option<String>,
    may_send_as: Vec<String>,
    reply_to: Option<String>,
    server: ServerView,
    sign_in: Option<SignInView>,
    limits: LimitsView,
    retry: RetryView,
    in_doubt: &'static str,
    etag: String,
    created_at: Option<String>,
    created_by: String,
    updated_at: Option<String>,
    updated_by: String,
    oauth: Option<OauthView>,
    /// All settings that differ from their defaults, by the keys of an account file.
    settings: Table,
}

/// What an account holds of its issuer.
#[derive(Debug, Serialize)]
struct OauthView {
    has_refresh_token: bool,
    access_expires_at: Option<String>,
    refreshed_at: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct ServerView {
    host: String,
    port: Option<u32>,
    encryption: Option<&'static str>,
    ehlo_name: Option<String>,
    custom_ca: bool,
    provider: Option<String>,
}

#[derive(Debug, Serialize)]
struct SignInView {
    user: String,
    mechanism: &'static str,
    allow_plaintext: bool,
}

#[derive(Debug, Default, Serialize)]
struct LimitsView {
    quotas: Vec<String>,
    reserve_for_humans: Option<u32>,
    reserves: Vec<String>,
    interval: Option<String>,
    pace_per_minute: Option<u32>,
    pace_burst: Option<u32>,
    batch: Option<String>,
    connections_max: Option<u32>,
    messages_per_connection_max: Option<u32>,
    recipients_per_job_max: Option<u32>,
    message_bytes_max: Option<u64>,
}

#[derive(Debug, Default, Serialize)]
struct RetryView {
    first_delay: Option<String>,
    multiplier: Option<f64>,
    delay_max: Option<String>,
    jitter: Option<f64>,
    give_up_after: Option<String>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let settings = account.settings.unwrap_or_default();
        let tree = settings_tree(Secrets::LeftOut, &settings);
        let standing = account.standing.unwrap_or_default();
        Self {
            account_id: account.account_id,
            state: bare(AccountState::as_str_name(&standing.state()), "ACCOUNT_STATE_"),
            since: standing.since.map(show_time),
            until: standing.until.map(show_time),
            reason: standing.reason,
            reply: standing.reply,
            open_jobs: account.open_jobs,
            in_doubt: match settings.in_doubt() {
                InDoubtPolicy::Unspecified | InDoubtPolicy::Resend => "RESEND",
                InDoubtPolicy::Hold => "HOLD",
                InDoubtPolicy::Reconcile => "RECONCILE",
            },
            display_name: settings.display_name,
            from: settings.from.as_ref().map(show_mailbox),
            may_send_as: settings.may_send_as,
            reply_to: settings.reply_to.as_ref().map(show_mailbox),
            server: settings.server.map(Into::into).unwrap_or_default(),
            sign_in: settings.sign_in.and_then(sign_in_view),
            limits: settings.limits.map(Into::into).unwrap_or_default(),
            retry: settings.retry.map(Into::into).unwrap_or_default(),
            etag: account.etag,
            created_at: account.created_at.map(show_time),
            created_by: account.created_by,
            updated_at: account.updated_at.map(show_time),
            updated_by: account.updated_by,
            oauth: account.oauth.map(Into::into),
            settings: tree,
        }
    }
}

impl From<OAuthTokenState> for OauthView {
    fn from(state: OAuthTokenState) -> Self {
        Self {
            has_refresh_token: state.has_refresh_token,
            access_expires_at: state.access_expires_at.map(show_time),
            refreshed_at: state.refreshed_at.map(show_time),
        }
    }
}

impl OauthView {
    fn text(&self) -> String {
        let mut text =
            String::from(if self.has_refresh_token { "has a refresh token" } else { "has no refresh token" });
        for (what, time) in [("access until", &self.access_expires_at), ("refreshed", &self.refreshed_at)] {
            if let Some(time) = time {
                text.push_str(&format!(", {what} {time}"));
            }
        }
        text
    }
}

impl From<Server> for ServerView {
    fn from(server: Server) -> Self {
        let encryption = match server.encryption() {
            Encryption::Unspecified => None,
            encryption => Some(bare(encryption.as_str_name(), "ENCRYPTION_")),
        };
        Self {
            host: server.host,
            port: given(server.port),
            encryption,
            ehlo_name: given(server.ehlo_name),
            custom_ca: !server.custom_ca_pem.is_empty(),
            provider: given(server.provider),
        }
    }
}

impl From<Limits> for LimitsView {
    fn from(limits: Limits) -> Self {
        Self {
            quotas: limits.quotas.iter().map(show_quota).collect(),
            reserve_for_humans: given(limits.reserve_for_humans),
            reserves: limits.reserves.iter().map(show_reserve).collect(),
            interval: limits.interval.map(show_length),
            pace_per_minute: limits.pace.map(|pace| pace.messages_per_minute),
            pace_burst: limits.pace.and_then(|pace| given(pace.burst)),
            batch: limits
                .batch
                .map(|batch| format!("{}/{}", batch.messages, show_length(batch.pause.unwrap_or_default()))),
            connections_max: given(limits.connections_max),
            messages_per_connection_max: given(limits.messages_per_connection_max),
            recipients_per_job_max: given(limits.recipients_per_job_max),
            message_bytes_max: given(limits.message_bytes_max),
        }
    }
}

impl From<Retry> for RetryView {
    fn from(retry: Retry) -> Self {
        Self {
            first_delay: retry.first_delay.map(show_length),
            multiplier: given(retry.multiplier),
            delay_max: retry.delay_max.map(show_length),
            jitter: retry.jitter,
            give_up_after: retry.give_up_after.map(show_length),
        }
    }
}

impl Show for AccountView {
    fn text(&self) -> String {
        let AccountView { server, limits, retry, .. } = self;
        let sign_in = self.sign_in.as_ref();
        let more = leaves(&self.settings);
        let more = more.iter().filter(|(path, _)| MORE.iter().any(|group| path.starts_with(group)));
        let own = [
            ("account", self.account_id.clone()),
            ("state", self.state.to_owned()),
            ("reason", self.reason.clone()),
            ("reply", self.reply.clone()),
            ("since", text(&self.since)),
            ("until", text(&self.until)),
            ("open jobs", self.open_jobs.to_string()),
            ("name", self.display_name.clone()),
            ("from", text(&self.from)),
            ("may send as", self.may_send_as.join(", ")),
            ("reply to", text(&self.reply_to)),
            ("server", server.host.clone()),
            ("port", text(&server.port)),
            ("encryption", text(&server.encryption)),
            ("EHLO name", text(&server.ehlo_name)),
            ("own CA", if server.custom_ca { "yes".to_owned() } else { String::new() }),
            ("provider", text(&server.provider)),
            (
                "signs in as",
                sign_in.map(|sign_in| format!("{} ({})", sign_in.user, sign_in.mechanism)).unwrap_or_default(),
            ),
            ("quotas", limits.quotas.join(", ")),
            ("for humans", limits.reserve_for_humans.map(|percent| format!("{percent}%")).unwrap_or_default()),
            ("reserves", limits.reserves.join(", ")),
            ("interval", text(&limits.interval)),
            ("pace", limits.pace_per_minute.map(|pace| format!("{pace}/min")).unwrap_or_default()),
            ("batch", text(&limits.batch)),
            ("connections", text(&limits.connections_max)),
            ("per connection", text(&limits.messages_per_connection_max)),
            ("recipients", text(&limits.recipients_per_job_max)),
            ("message bytes", text(&limits.message_bytes_max)),
            ("first retry", text(&retry.first_delay)),
            ("longest retry", text(&retry.delay_max)),
            ("gives up", text(&retry.give_up_after)),
            ("in doubt", self.in_doubt.to_owned()),
            ("OAuth 2", self.oauth.as_ref().map(OauthView::text).unwrap_or_default()),
        ];
        let more = more.map(|(path, value)| (path.as_str(), value_text(value)));
        fields(own.into_iter().chain(more).chain([("etag", self.etag.clone())]))
    }
}

/// Settings that are shown by their paths in an account file, because they are seldom there.
const MORE: [&str; 15] = [
    "content.",
    "default_bcc",
    "default_cc",
    "labels",
    "limits.over_quota",
    "mailbox.",
    "owner",
    "quiet_windows",
    "results.",
    "server.proxy.",
    "server.timeouts.",
    "server.tls.",
    "sign_in.oauth2.",
    "sign_in.pop_before_smtp.",
    "unlisted",
];

/// Accounts as rows.
pub(crate) fn account_table(accounts: &[AccountView]) -> String {
    let rows = accounts.iter().map(|account| {
        let cells =
            [&account.account_id, &text(&account.from), &account.server.host, &account.limits.quotas.join(", ")];
        let [id, from, host, quotas] = cells.map(|cell| escape(cell).into_owned());
        vec![id, account.state.to_owned(), text(&account.until), account.open_jobs.to_string(), from, host, quotas]
    });
    table(&["ACCOUNT", "STATE", "UNTIL", "OPEN", "FROM", "SERVER", "QUOTAS"], rows)
}

fn sign_in_view(sign_in: SignIn) -> Option<SignInView> {
    let Method::Password(password) = sign_in.method? else { return None };
    let mechanism = match password.mechanism() {
        PasswordMechanism::Unspecified => "AUTO",
        mechanism => bare(mechanism.as_str_name(), "PASSWORD_MECHANISM_"),
    };
    Some(SignInView { mechanism, allow_plaintext: password.allow_plaintext, user: password.user })
}

fn show_length(length: prost_types::Duration) -> String {
    show_duration(Duration::try_from(length).unwrap_or_default())
}

/// The value unless it is the one that stands for none.
fn given<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn text<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}
