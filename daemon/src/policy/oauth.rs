//! Where an issuer of access tokens is asked, for what, and when again.

use std::time::Duration;

use crate::domain::{
    account::{IssuerKind, OauthGrant, OauthIssuer},
    time::Timestamp,
    tokens::{AccessToken, Tokens},
};

/// An access token is renewed when it lives no longer than this.
const MARGIN_MAX: Duration = Duration::from_secs(600);
/// One that never lives for long is renewed when this share of its life is left: an hour's sixth is the margin above.
const MARGIN_SHARE: u32 = 6;
/// How long an access token lives whose issuer does not say (RFC 6749 5.1).
pub const LIFE_ASSUMED: Duration = Duration::from_secs(3_600);
/// A grant that was not used for this long is used, so that it does not lapse. Google forgets a grant after six months,
/// Microsoft after 90 days.
pub const IDLE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Google's endpoints, as its OpenID configuration names them (accounts.google.com, November 2026).
const GOOGLE_AUTHORIZATION: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const GOOGLE_DEVICE: &str = "https://oauth2.googleapis.com/device/code";
const GOOGLE_TOKEN: &str = "https://oauth2.googleapis.com/token";
/// The one scope that Gmail's SMTP, POP and IMAP take ("XOAUTH2 Mechanism", November 2026). Google does not give it by a
/// device code.
const GOOGLE_SCOPE: &str = "https://mail.google.com/";
/// Where Microsoft's endpoints begin; the tenant follows.
const MICROSOFT: &str = "https://login.microsoftonline.com/";
/// "Authenticate an IMAP, POP or SMTP connection using OAuth" (learn.microsoft.com, November 2026).
const MICROSOFT_SCOPES: &str = "https://outlook.office.com/SMTP.Send https://outlook.office.com/IMAP.AccessAsUser.All \
                                https://outlook.office.com/POP.AccessAsUser.All offline_access";
/// The same page, for an application that acts by its own permission.
const MICROSOFT_OWN_SCOPE: &str = "https://outlook.office365.com/.default";

/// An issuer's URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where a person consents in a browser.
    pub authorization: Option<String>,
    /// Where a code for another device is got.
    pub device: Option<String>,
    /// Where tokens are got.
    pub token: String,
}

/// The URLs of an issuer.
#[must_use]
pub fn endpoints(kind: &IssuerKind) -> Endpoints {
    match kind {
        IssuerKind::Google => Endpoints {
            authorization: Some(GOOGLE_AUTHORIZATION.to_owned()),
            device: Some(GOOGLE_DEVICE.to_owned()),
            token: GOOGLE_TOKEN.to_owned(),
        },
        IssuerKind::Microsoft { tenant } => {
            let tenant = path_segment(if tenant.is_empty() { "common" } else { tenant });
            let endpoint = |name: &str| format!("{MICROSOFT}{tenant}/oauth2/v2.0/{name}");
            Endpoints {
                authorization: Some(endpoint("authorize")),
                device: Some(endpoint("devicecode")),
                token: endpoint("token"),
            }
        }
        IssuerKind::Custom { authorization_endpoint, device_endpoint, token_endpoint } => Endpoints {
            authorization: authorization_endpoint.clone(),
            device: device_endpoint.clone(),
            token: token_endpoint.clone(),
        },
    }
}

/// What the tokens are for, as the `scope` parameter says it; empty when it is left to the issuer.
#[must_use]
pub fn scope(issuer: &OauthIssuer, grant: &OauthGrant) -> String {
    if !issuer.scopes.is_empty() {
        return issuer.scopes.join(" ");
    }
    let scope = match (&issuer.kind, grant) {
        (IssuerKind::Google, _) => GOOGLE_SCOPE,
        (IssuerKind::Microsoft { .. }, OauthGrant::ClientCredentials) => MICROSOFT_OWN_SCOPE,
        (IssuerKind::Microsoft { .. }, OauthGrant::Consent | OauthGrant::ServiceAccount(_)) => MICROSOFT_SCOPES,
        (IssuerKind::Custom { .. }, _) => "",
    };
    scope.to_owned()
}

/// The scope of a renewal. Microsoft needs to know of which of its services the token is to be; others know it already, and
/// refuse what was not asked for at first (RFC 6749 6).
#[must_use]
pub fn renewal_scope(issuer: &OauthIssuer) -> String {
    match issuer.kind {
        IssuerKind::Microsoft { .. } => scope(issuer, &OauthGrant::Consent),
        IssuerKind::Google | IssuerKind::Custom { .. } => String::new(),
    }
}

/// What an authorization URL needs besides RFC 6749, so that a refresh token comes of it.
#[must_use]
pub const fn authorization_extras(kind: &IssuerKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        // Google gives a refresh token on these words only, and the second time only when the person is asked again.
        IssuerKind::Google => &[("access_type", "offline"), ("prompt", "consent")],
        IssuerKind::Microsoft { .. } => &[("response_mode", "query")],
        IssuerKind::Custom { .. } => &[],
    }
}

/// The access token that can be used without a look ahead: it lives for ten minutes more, or, where tokens are
/// short-lived, for a sixth of its life.
#[must_use]
pub fn fresh(tokens: &Tokens, now: Timestamp) -> Option<&AccessToken> {
    let access = tokens.access.as_ref()?;
    let life = tokens.refreshed_at.map_or(Duration::MAX, |got| access.expires_at.since(got));
    let margin = MARGIN_MAX.min(life / MARGIN_SHARE);
    (access.expires_at > now.after(margin)).then_some(access)
}

/// The access token if it still lives.
#[must_use]
pub fn alive(tokens: &Tokens, now: Timestamp) -> Option<&AccessToken> {
    tokens.access.as_ref().filter(|access| access.expires_at > now)
}

/// Whether a grant should be used, so that it does not lapse. `chance`, from 0 to 1, spreads accounts over a day.
#[must_use]
pub fn is_idle(tokens: &Tokens, now: Timestamp, chance: f64) -> bool {
    let spread = Duration::from_secs(86_400).mul_f64(if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 });
    let used = tokens.refreshed_at.unwrap_or(Timestamp::EPOCH);
    tokens.refresh_token.is_some() && now.since(used) >= IDLE_MAX.saturating_sub(spread)
}

/// Whether an error code of a token endpoint (RFC 6749 5.2 and its registry) stays until a person does something.
#[must_use]
pub fn needs_a_person(error: &str) -> bool {
    !matches!(error, "temporarily_unavailable" | "server_error" | "slow_down" | "authorization_pending" | "")
}

/// A text as one segment of a path.
fn path_segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.bytes().map(|b| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn issuer(kind: IssuerKind) -> OauthIssuer {
        OauthIssuer { kind, client_id: "app".into(), client_secret: None, scopes: Vec::new() }
    }

    fn microsoft(tenant: &str) -> IssuerKind {
        IssuerKind::Microsoft { tenant: tenant.into() }
    }

    /// Whether a token that lives `life` seconds is fresh when `left` of them are left.
    #[track_caller]
    fn check_fresh(life: u64, left_ms: u64, expected: bool) {
        let expires_at = NOW.after(Duration::from_millis(left_ms));
        let tokens = Tokens {
            refresh_token: None,
            access: Some(AccessToken { token: Secret::new("t".into()), expires_at }),
            refreshed_at: Some(expires_at.before(Duration::from_secs(life))),
        };
        assert_eq!(fresh(&tokens, NOW).is_some(), expected, "{left_ms} ms of {life} s");
        assert!(alive(&tokens, NOW).is_some());
        assert!(alive(&tokens, expires_at).is_none());
    }

    #[test]
    fn a_token_is_renewed_ten_minutes_ahead_or_a_sixth_of_its_life() {
        check_fresh(3_600, 600_001, true);
        check_fresh(3_600, 600_000, false);
        check_fresh(86_400, 600_001, true);
        check_fresh(86_400, 600_000, false);
        check_fresh(60, 10_001, true);
        check_fresh(60, 9_999, false);
        check_fresh(5, 1_000, true);
        check_fresh(5, 500, false);
    }

    #[test]
    fn a_grant_that_was_not_used_for_a_week_is_idle() {
        let used = |days: u64| Tokens {
            refresh_token: Some(Secret::new("r".into())),
            access: None,
            refreshed_at: Some(NOW.before(Duration::from_secs(days * 86_400))),
        };
        assert!(is_idle(&used(7), NOW, 0.0));
        assert!(!is_idle(&used(6), NOW, 0.5) && is_idle(&used(6), NOW, 1.0));
        assert!(!is_idle(&Tokens { refresh_token: None, ..used(9) }, NOW, 0.0));
        assert!(is_idle(&Tokens { refreshed_at: None, ..used(0) }, NOW, 0.0));
    }

    #[test]
    fn known_issuers_have_their_endpoints_and_scopes() {
        let of_tenant = endpoints(&microsoft("contoso.com"));
        assert_eq!(of_tenant.token, "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token");
        assert_eq!(endpoints(&microsoft("")).token, "https://login.microsoftonline.com/common/oauth2/v2.0/token");
        assert!(endpoints(&microsoft("../x?")).token.starts_with("https://login.microsoftonline.com/..%2Fx%3F/"));
        assert_eq!(scope(&issuer(IssuerKind::Google), &OauthGrant::Consent), "https://mail.google.com/");
        assert!(scope(&issuer(microsoft("t")), &OauthGrant::Consent).ends_with(" offline_access"));
        assert!(scope(&issuer(microsoft("t")), &OauthGrant::ClientCredentials).ends_with("/.default"));
        let chosen = OauthIssuer { scopes: vec!["a".into(), "b".into()], ..issuer(IssuerKind::Google) };
        assert_eq!(scope(&chosen, &OauthGrant::Consent), "a b");
        assert_eq!(renewal_scope(&chosen), "");
    }

    #[test]
    fn what_passes_by_itself_needs_nobody() {
        for (error, expected) in [("invalid_grant", true), ("invalid_client", true), ("server_error", false)] {
            assert_eq!(needs_a_person(error), expected, "{error}");
        }
    }
}
