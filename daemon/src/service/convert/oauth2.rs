//! Sign-in with OAuth 2 on the wire. Its secrets go in and never come out.

use hikyaku_proto::v1;
use serde::Deserialize;

use super::{
    secrets::{check_crossing, to_secret, to_user},
    values::one_line,
    violations::Violations,
};
use crate::domain::{
    account::{Encryption, IssuerKind, OAuth2SignIn, OauthGrant, OauthIssuer, OauthMechanism},
    secret::Secret,
};

const REFRESH_TOKEN_BYTES_MAX: usize = 8 * 1_024;
const KEY_FILE_BYTES_MAX: usize = 16 * 1_024;
const CLIENT_ID_BYTES_MAX: usize = 512;
const CLIENT_SECRET_BYTES_MAX: usize = 1_024;
const ENDPOINT_BYTES_MAX: usize = 2_048;
const SCOPES_MAX: usize = 20;
const SCOPE_BYTES_MAX: usize = 512;
/// Longest name of a tenant, in bytes: an id, or a domain.
const TENANT_BYTES_MAX: usize = 253;
const TENANT_DEFAULT: &str = "common";

/// A sign-in on the wire, without its secrets.
pub(super) fn from_oauth2(oauth2: &OAuth2SignIn) -> v1::OAuth2SignIn {
    let mechanism = match oauth2.mechanism {
        OauthMechanism::Auto => v1::OauthMechanism::Unspecified,
        OauthMechanism::Xoauth2 => v1::OauthMechanism::Xoauth2,
        OauthMechanism::Oauthbearer => v1::OauthMechanism::Oauthbearer,
    };
    let grant = match oauth2.grant {
        OauthGrant::Consent => v1::OauthGrant::Consent,
        OauthGrant::ClientCredentials => v1::OauthGrant::ClientCredentials,
        OauthGrant::ServiceAccount(_) => v1::OauthGrant::ServiceAccount,
    };
    v1::OAuth2SignIn {
        user: oauth2.user.clone(),
        mechanism: mechanism.into(),
        provider: Some(from_issuer(&oauth2.issuer)),
        grant: grant.into(),
        refresh_token: String::new(),
        service_account_json: String::new(),
        allow_plaintext: oauth2.allow_plaintext,
    }
}

fn from_issuer(issuer: &OauthIssuer) -> v1::OAuthProvider {
    let mut wire = v1::OAuthProvider {
        client_id: issuer.client_id.clone(),
        scopes: issuer.scopes.clone(),
        ..v1::OAuthProvider::default()
    };
    wire.kind = match &issuer.kind {
        IssuerKind::Google => "google",
        IssuerKind::Microsoft { tenant } => {
            wire.tenant.clone_from(tenant);
            "microsoft"
        }
        IssuerKind::Custom { authorization_endpoint, device_endpoint, token_endpoint } => {
            wire.authorization_endpoint = authorization_endpoint.clone().unwrap_or_default();
            wire.device_endpoint = device_endpoint.clone().unwrap_or_default();
            wire.token_endpoint.clone_from(token_endpoint);
            "custom"
        }
    }
    .to_owned();
    wire
}

/// A sign-in that a caller sent, and the refresh token that it gave; empty secrets are those of the `stored` one.
pub(super) fn to_oauth2(
    wire: v1::OAuth2SignIn,
    stored: Option<&OAuth2SignIn>,
    encryption: Option<Encryption>,
    at: &str,
    violations: &mut Violations,
) -> Option<(OAuth2SignIn, Option<Secret<String>>)> {
    let user = to_user(wire.user, at, violations);
    let mechanism = match v1::OauthMechanism::try_from(wire.mechanism) {
        Ok(v1::OauthMechanism::Unspecified) => Some(OauthMechanism::Auto),
        Ok(v1::OauthMechanism::Xoauth2) => Some(OauthMechanism::Xoauth2),
        Ok(v1::OauthMechanism::Oauthbearer) => Some(OauthMechanism::Oauthbearer),
        Err(_) => {
            let allowed = "must be XOAUTH2 or OAUTHBEARER, or unset for the first offered";
            violations.add(format_args!("{at}.mechanism"), allowed);
            None
        }
    };
    let grant = to_grant(wire.grant, wire.service_account_json, stored, at, violations);
    let token = format!("{at}.refresh_token");
    let refresh_token = to_secret(wire.refresh_token, None, REFRESH_TOKEN_BYTES_MAX, &token, violations);
    if matches!(refresh_token, Some(Some(_))) && grant.as_ref().is_some_and(|grant| *grant != OauthGrant::Consent) {
        violations.add(token, "is for the grant CONSENT only");
    }
    let issuer = to_issuer(wire.provider, grant.as_ref(), stored, &format!("{at}.provider"), violations);
    check_crossing(encryption, wire.allow_plaintext, at, violations);
    let oauth2 = OAuth2SignIn {
        user: user?,
        mechanism: mechanism?,
        issuer: issuer?,
        grant: grant?,
        allow_plaintext: wire.allow_plaintext,
    };
    Some((oauth2, refresh_token?))
}

fn to_grant(
    grant: i32,
    key_file: String,
    stored: Option<&OAuth2SignIn>,
    at: &str,
    violations: &mut Violations,
) -> Option<OauthGrant> {
    let key_file = Secret::new(key_file);
    let field = format!("{at}.service_account_json");
    let grant = match v1::OauthGrant::try_from(grant) {
        Ok(v1::OauthGrant::Unspecified | v1::OauthGrant::Consent) => OauthGrant::Consent,
        Ok(v1::OauthGrant::ClientCredentials) => OauthGrant::ClientCredentials,
        Ok(v1::OauthGrant::ServiceAccount) => {
            let kept = stored.and_then(|stored| match &stored.grant {
                OauthGrant::ServiceAccount(key_file) => Some(key_file.clone()),
                OauthGrant::Consent | OauthGrant::ClientCredentials => None,
            });
            let given = Some(key_file).filter(|given| !given.expose().is_empty());
            return to_key_file(given.or(kept), field, violations).map(OauthGrant::ServiceAccount);
        }
        Err(_) => {
            let allowed = "must be CONSENT, CLIENT_CREDENTIALS or SERVICE_ACCOUNT";
            violations.add(format_args!("{at}.grant"), allowed);
            return None;
        }
    };
    if !key_file.expose().is_empty() {
        violations.add(field, "is for the grant SERVICE_ACCOUNT only");
    }
    Some(grant)
}

/// What has to stand in the key file of a service account.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
}

fn to_key_file(file: Option<Secret<String>>, field: String, violations: &mut Violations) -> Option<Secret<String>> {
    let Some(file) = file else {
        violations.add(field, "is required: none is stored");
        return None;
    };
    if file.expose().len() > KEY_FILE_BYTES_MAX {
        violations.add(field, format_args!("is longer than {KEY_FILE_BYTES_MAX} bytes"));
        return None;
    }
    // What was wrong is not told: the words could hold a part of the key.
    let read = serde_json::from_str::<KeyFile>(file.expose()).ok().map(|read| {
        let KeyFile { client_email, private_key } = read;
        !client_email.is_empty() && !Secret::new(private_key).expose().is_empty()
    });
    if read != Some(true) {
        violations.add(field, "is no key file: JSON with client_email and private_key");
        return None;
    }
    Some(file)
}

fn to_issuer(
    provider: Option<v1::OAuthProvider>,
    grant: Option<&OauthGrant>,
    stored: Option<&OAuth2SignIn>,
    at: &str,
    violations: &mut Violations,
) -> Option<OauthIssuer> {
    let Some(mut wire) = provider else {
        violations.add(at, "is required");
        return None;
    };
    let client_id =
        one_line(std::mem::take(&mut wire.client_id), CLIENT_ID_BYTES_MAX, format_args!("{at}.client_id"), violations);
    let needs_client = !matches!(grant, Some(OauthGrant::ServiceAccount(_)));
    if needs_client && client_id.as_deref() == Some("") {
        violations.add(format_args!("{at}.client_id"), "is required");
    }
    let field = format!("{at}.client_secret");
    let given = std::mem::take(&mut wire.client_secret);
    let scopes = to_scopes(std::mem::take(&mut wire.scopes), at, violations);
    let kind = to_kind(wire, at, violations);
    // The secret of another application, or for another issuer, is none of this one.
    let old = stored.map(|stored| &stored.issuer);
    let old = old.filter(|old| client_id.as_ref() == Some(&old.client_id) && kind.as_ref() == Some(&old.kind));
    let old = old.and_then(|old| old.client_secret.as_ref());
    let client_secret = to_secret(given, old, CLIENT_SECRET_BYTES_MAX, &field, violations);
    if matches!(grant, Some(OauthGrant::ClientCredentials)) && client_secret == Some(None) {
        // RFC 6749 4.4: only confidential clients have this grant.
        violations.add(field, "is required for the grant CLIENT_CREDENTIALS: none is stored");
    }
    Some(OauthIssuer { kind: kind?, client_id: client_id?, client_secret: client_secret?, scopes: scopes? })
}

fn to_scopes(scopes: Vec<String>, at: &str, violations: &mut Violations) -> Option<Vec<String>> {
    if scopes.len() > SCOPES_MAX {
        violations.add(format_args!("{at}.scopes"), format_args!("has more than {SCOPES_MAX} entries"));
        return None;
    }
    // RFC 6749 3.3.
    let is_scope = |scope: &String| {
        (1..=SCOPE_BYTES_MAX).contains(&scope.len())
            && scope.bytes().all(|b| matches!(b, b'!' | b'#'..=b'[' | b']'..=b'~'))
    };
    let mut are_good = true;
    for (index, _) in scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
        let allowed = format_args!("must be 1 to {SCOPE_BYTES_MAX} visible ASCII characters but \\ and \"");
        violations.add(format_args!("{at}.scopes[{index}]"), allowed);
        are_good = false;
    }
    are_good.then_some(scopes)
}

fn to_kind(wire: v1::OAuthProvider, at: &str, violations: &mut Violations) -> Option<IssuerKind> {
    let is_custom = matches!(wire.kind.as_str(), "" | "custom");
    let endpoints = [
        ("authorization_endpoint", wire.authorization_endpoint),
        ("device_endpoint", wire.device_endpoint),
        ("token_endpoint", wire.token_endpoint),
    ];
    let [authorization_endpoint, device_endpoint, token_endpoint] = endpoints.map(|(name, text)| {
        let field = format!("{at}.{name}");
        if !is_custom && !text.is_empty() {
            violations.add(&field, "is for the kind custom only");
        }
        if text.is_empty() { Some(None) } else { to_endpoint(text, &field, violations).map(Some) }
    });
    if wire.kind != "microsoft" && !wire.tenant.is_empty() {
        violations.add(format_args!("{at}.tenant"), "is for the kind microsoft only");
    }
    match wire.kind.as_str() {
        "google" => Some(IssuerKind::Google),
        "microsoft" => to_tenant(wire.tenant, at, violations).map(|tenant| IssuerKind::Microsoft { tenant }),
        "" | "custom" => {
            if token_endpoint == Some(None) {
                violations.add(format_args!("{at}.token_endpoint"), "is required for the kind custom");
            }
            Some(IssuerKind::Custom {
                authorization_endpoint: authorization_endpoint?,
                device_endpoint: device_endpoint?,
                token_endpoint: token_endpoint??,
            })
        }
        _ => {
            violations.add(format_args!("{at}.kind"), "must be google, microsoft or custom");
            None
        }
    }
}

fn to_tenant(tenant: String, at: &str, violations: &mut Violations) -> Option<String> {
    if tenant.is_empty() {
        return Some(TENANT_DEFAULT.to_owned());
    }
    // It becomes a part of a path.
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let is_good = tenant.len() <= TENANT_BYTES_MAX && !tenant.starts_with('.') && tenant.bytes().all(is_name);
    if !is_good {
        violations.add(format_args!("{at}.tenant"), "must be the id or a domain of a tenant");
    }
    is_good.then_some(tenant)
}

/// An endpoint that secrets may be sent to (RFC 6749 3.1, 3.2).
fn to_endpoint(text: String, field: &str, violations: &mut Violations) -> Option<String> {
    let url = reqwest::Url::parse(&text).ok().filter(|_| text.len() <= ENDPOINT_BYTES_MAX);
    let is_safe = url.is_some_and(|url| {
        let is_secret = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url.host_str()));
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        is_secret && is_bare && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if !is_safe {
        let allowed = format_args!(
            "must be an https URL, or http on the loopback interface, of at most {ENDPOINT_BYTES_MAX} bytes and without \
             user and fragment"
        );
        violations.add(field, allowed);
    }
    is_safe.then_some(text)
}

fn is_loopback(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
