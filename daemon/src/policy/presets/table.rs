//! How is the table of presets written?

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
    time::Duration,
};

use serde::Deserialize;

use super::{Endpoint, Issuer, KnownLimits, NamePattern, Preset, SignInWay, Source, Subject};
use crate::domain::{
    account::Encryption,
    limits::{Quota, QuotaUnit, QuotaWindow},
};

/// Reads the table, which `presets.toml` beside this file explains.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Preset>, String> {
    let table: RawTable = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut presets: Vec<Preset> = Vec::with_capacity(table.preset.len());
    for raw in table.preset {
        let id = raw.id.clone();
        presets.push(preset(raw).map_err(|reason| format!("{id}: {reason}"))?);
    }
    presets.sort_by(|one, other| one.id.cmp(&other.id));
    match presets.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(twins) => Err(format!("{}: the id is used twice", twins[0].id)),
        None => Ok(presets),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    preset: Vec<RawPreset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPreset {
    id: String,
    name: String,
    provider: String,
    server: RawEndpoint,
    sign_in: Vec<RawSignIn>,
    oauth: Option<RawIssuer>,
    #[serde(default)]
    limits: RawLimits,
    pop3: Option<RawEndpoint>,
    imap: Option<RawEndpoint>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    mx: Vec<String>,
    help: Option<String>,
    #[serde(default)]
    notes: Vec<String>,
    source: Vec<RawSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEndpoint {
    host: Option<String>,
    port: NonZeroU16,
    encryption: RawEncryption,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawEncryption {
    None,
    Starttls,
    Tls,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawSignIn {
    Oauth2,
    AppPassword,
    Password,
    PopBeforeSmtp,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawIssuer {
    Google,
    Microsoft,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawLimits {
    quotas: Vec<RawQuota>,
    connections_max: Option<NonZeroU32>,
    messages_per_connection_max: Option<NonZeroU32>,
    recipients_per_job_max: Option<NonZeroU32>,
    message_bytes_max: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuota {
    limit: NonZeroU64,
    unit: RawUnit,
    seconds: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawUnit {
    Messages,
    Recipients,
    Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    about: RawSubject,
    url: String,
    #[serde(default)]
    read_on: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawSubject {
    Server,
    Limits,
    SignIn,
    Mailbox,
}

fn preset(raw: RawPreset) -> Result<Preset, String> {
    Ok(Preset {
        provider: raw.provider.parse().map_err(|error| format!("provider: {error}"))?,
        server: endpoint(raw.server)?,
        pop3: raw.pop3.map(endpoint).transpose()?,
        imap: raw.imap.map(endpoint).transpose()?,
        id: raw.id,
        name: raw.name,
        sign_in: raw.sign_in.into_iter().map(sign_in).collect(),
        oauth: raw.oauth.map(|issuer| match issuer {
            RawIssuer::Google => Issuer::Google,
            RawIssuer::Microsoft => Issuer::Microsoft,
        }),
        limits: limits(raw.limits),
        domains: raw.domains.into_iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        mail_exchangers: raw.mx.iter().map(|name| pattern(name)).collect(),
        help_url: raw.help,
        notes: raw.notes,
        sources: raw.source.into_iter().map(source).collect(),
    })
}

fn endpoint(raw: RawEndpoint) -> Result<Endpoint, String> {
    Ok(Endpoint {
        host: raw.host.map(|host| host.parse().map_err(|error| format!("{host}: {error}"))).transpose()?,
        port: raw.port,
        encryption: match raw.encryption {
            RawEncryption::None => Encryption::None,
            RawEncryption::Starttls => Encryption::StartTls,
            RawEncryption::Tls => Encryption::Tls,
        },
    })
}

const fn sign_in(raw: RawSignIn) -> SignInWay {
    match raw {
        RawSignIn::Oauth2 => SignInWay::OAuth2,
        RawSignIn::AppPassword => SignInWay::AppPassword,
        RawSignIn::Password => SignInWay::Password,
        RawSignIn::PopBeforeSmtp => SignInWay::PopBeforeSmtp,
    }
}

fn limits(raw: RawLimits) -> KnownLimits {
    let quotas = raw.quotas.into_iter().map(|quota| Quota {
        limit: quota.limit,
        unit: match quota.unit {
            RawUnit::Messages => QuotaUnit::Messages,
            RawUnit::Recipients => QuotaUnit::Recipients,
            RawUnit::Bytes => QuotaUnit::Bytes,
        },
        window: QuotaWindow::Sliding(Duration::from_secs(quota.seconds)),
    });
    KnownLimits {
        quotas: quotas.collect(),
        connections_max: raw.connections_max,
        messages_per_connection_max: raw.messages_per_connection_max,
        recipients_per_job_max: raw.recipients_per_job_max,
        message_bytes_max: raw.message_bytes_max,
    }
}

fn pattern(name: &str) -> NamePattern {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix('*') {
        Some(suffix) => NamePattern::Below(suffix.to_owned()),
        None => NamePattern::Whole(name),
    }
}

fn source(raw: RawSource) -> Source {
    let about = match raw.about {
        RawSubject::Server => Subject::Server,
        RawSubject::Limits => Subject::Limits,
        RawSubject::SignIn => Subject::SignIn,
        RawSubject::Mailbox => Subject::Mailbox,
    };
    Source { about, url: raw.url, read_on: raw.read_on }
}
