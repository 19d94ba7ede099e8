//! How sign-ins with OAuth 2 are checked, and that their secrets are kept and never shown.

use super::*;

/// What is read of a sign-in, with its refresh token.
type Read = (OAuth2SignIn, Option<Secret<String>>);

const KEY_FILE: &str = r#"{"client_email":"a@b","private_key":"hunter2-key"}"#;

fn wire() -> v1::OAuth2SignIn {
    let provider = v1::OAuthProvider { kind: "google".into(), client_id: "app".into(), ..v1::OAuthProvider::default() };
    v1::OAuth2SignIn { user: "me".into(), provider: Some(provider), ..v1::OAuth2SignIn::default() }
}

fn read(
    change: impl FnOnce(&mut v1::OAuth2SignIn, &mut v1::OAuthProvider),
    stored: Option<&OAuth2SignIn>,
    encryption: Encryption,
) -> Result<Read, Vec<String>> {
    let mut given = wire();
    let mut provider = given.provider.take().expect("it has one");
    change(&mut given, &mut provider);
    given.provider = Some(provider);
    let mut violations = Violations::default();
    let made = to_oauth2(given, stored, Some(encryption), "o", &mut violations);
    violations.finish(made).map_err(|found| found.into_iter().map(|one| one.field).collect())
}

#[track_caller]
fn check(change: impl FnOnce(&mut v1::OAuth2SignIn, &mut v1::OAuthProvider), expected: &[&str]) {
    assert_eq!(read(change, None, Encryption::Tls).err().unwrap_or_default(), expected);
}

#[test]
fn each_bound_is_told_with_its_field() {
    check(|_, _| {}, &[]);
    check(|o, _| o.user = String::new(), &["o.user"]);
    check(|o, _| o.mechanism = 9, &["o.mechanism"]);
    check(|o, _| o.grant = 9, &["o.grant"]);
    check(|o, _| o.refresh_token = "x".repeat(REFRESH_TOKEN_BYTES_MAX + 1), &["o.refresh_token"]);
    check(|_, p| p.kind = "gogle".into(), &["o.provider.kind"]);
    check(|_, p| p.client_id = String::new(), &["o.provider.client_id"]);
    check(|_, p| p.client_id = "x".repeat(513), &["o.provider.client_id"]);
    check(|_, p| p.client_secret = "a\nb".into(), &["o.provider.client_secret"]);
    check(|_, p| p.scopes = vec!["a".into(); 21], &["o.provider.scopes"]);
    check(|_, p| p.scopes = vec!["a".into(), "b c".into()], &["o.provider.scopes[1]"]);
    check(|_, p| p.tenant = "common".into(), &["o.provider.tenant"]);
    check(|_, p| (p.kind, p.tenant) = ("microsoft".into(), "../x".into()), &["o.provider.tenant"]);
    check(|_, p| p.token_endpoint = "https://x/t".into(), &["o.provider.token_endpoint"]);
    check(|_, p| p.kind = String::new(), &["o.provider.token_endpoint"]);
    let mut violations = Violations::default();
    to_oauth2(v1::OAuth2SignIn { provider: None, ..wire() }, None, None, "o", &mut violations);
    assert_eq!(violations.finish(Some(())).expect_err("a mistake")[0].field, "o.provider");
}

#[track_caller]
fn check_endpoint(url: &str, is_good: bool) {
    let expected: &[&str] = if is_good { &[] } else { &["o.provider.token_endpoint"] };
    check(|_, p| (p.kind, p.token_endpoint) = ("custom".into(), url.into()), expected);
}

#[test]
fn endpoints_are_https_or_on_the_loopback_interface() {
    check_endpoint("https://issuer.example/token?x=1", true);
    check_endpoint("http://localhost:8080/token", true);
    check_endpoint("http://127.0.0.1:8080/token", true);
    check_endpoint("http://[::1]:8080/token", true);
    check_endpoint("http://issuer.example/token", false);
    check_endpoint("http://127.0.0.1.example/token", false);
    check_endpoint("https://user:secret@issuer.example/token", false);
    check_endpoint("https://issuer.example/token#x", false);
    check_endpoint("ftp://issuer.example/token", false);
    check_endpoint("/token", false);
    check_endpoint(&format!("https://issuer.example/{}", "x".repeat(2_048)), false);
}

#[test]
fn each_grant_has_its_own_secret() {
    let (client, service) = (v1::OauthGrant::ClientCredentials, v1::OauthGrant::ServiceAccount);
    check(|o, _| o.grant = client.into(), &["o.provider.client_secret"]);
    check(|o, p| (o.grant, p.client_secret) = (client.into(), "s".into()), &[]);
    check(|o, _| o.grant = service.into(), &["o.service_account_json"]);
    check(|o, _| (o.grant, o.service_account_json) = (service.into(), "{}".into()), &["o.service_account_json"]);
    check(
        |o, p| {
            (o.grant, o.service_account_json) = (service.into(), KEY_FILE.into());
            p.client_id = String::new();
        },
        &[],
    );
    check(|o, _| o.service_account_json = KEY_FILE.into(), &["o.service_account_json"]);
    check(
        |o, _| (o.grant, o.service_account_json, o.refresh_token) = (service.into(), KEY_FILE.into(), "t".into()),
        &["o.refresh_token"],
    );
}

#[test]
fn a_token_crosses_no_unencrypted_connection_unasked() {
    let refused = read(|_, _| {}, None, Encryption::None);
    assert_eq!(refused.expect_err("in the clear"), ["o.allow_plaintext"]);
    assert!(read(|o, _| o.allow_plaintext = true, None, Encryption::None).is_ok());
}

#[test]
fn a_refresh_token_is_handed_on_and_not_a_setting() {
    let read = read(|o, _| o.refresh_token = "hunter2".into(), None, Encryption::Tls).expect("it is good");
    assert_eq!(read.1, Some(Secret::new("hunter2".into())));
    assert!(!format!("{read:?}").contains("hunter2"));
}

/// The client secret and the key file that are kept when a caller gives none.
#[track_caller]
fn check_kept(old: &OAuth2SignIn, client_id: &str, expected: (Option<&str>, Result<(), &[&str]>)) {
    let mut bare = from_oauth2(old);
    assert!(!format!("{bare:?}").contains("hunter2"), "{bare:?}");
    if let Some(provider) = &mut bare.provider {
        provider.client_id = client_id.into();
    }
    let again = read(|o, p| (*p, *o) = (bare.provider.clone().expect("it"), bare), Some(old), Encryption::Tls);
    match (again, expected.1) {
        (Ok((made, _)), Ok(())) => {
            let secret = made.issuer.client_secret.as_ref().map(|secret| secret.expose().as_str());
            assert_eq!((secret, &made.grant), (expected.0, &old.grant));
        }
        (again, expected) => {
            assert_eq!(again.map(drop), expected.map_err(|all| all.iter().map(|one| (*one).to_owned()).collect()));
        }
    }
}

#[test]
fn empty_secrets_keep_those_of_the_same_application() {
    let stored = |grant: v1::OauthGrant, file: &str| {
        let made = read(
            |o, p| {
                (o.grant, o.service_account_json) = (grant.into(), file.into());
                p.client_secret = "hunter2".into();
            },
            None,
            Encryption::Tls,
        );
        made.expect("it is good").0
    };
    let consent = stored(v1::OauthGrant::Consent, "");
    check_kept(&consent, "app", (Some("hunter2"), Ok(())));
    check_kept(&consent, "other", (None, Ok(())));
    check_kept(&stored(v1::OauthGrant::ServiceAccount, KEY_FILE), "app", (Some("hunter2"), Ok(())));
    let application = stored(v1::OauthGrant::ClientCredentials, "");
    check_kept(&application, "app", (Some("hunter2"), Ok(())));
    check_kept(&application, "other", (None, Err(&["o.provider.client_secret"])));
}
