//! What callers see of consents, with an issuer that is asked in memory.

use super::*;
use crate::{
    domain::{
        account::{Account, IssuerKind, OAuth2SignIn, OauthGrant, OauthIssuer, OauthMechanism, SignIn},
        ids::AccountId,
        parking::{Parking, ParkingCause, Standing},
    },
    policy::parking::without_consent,
    storage::{AccountStore, contract::samples},
    wire::oauth::{OauthError, fake::FakeIssuer},
};

const BACK: &str = "http://127.0.0.1:49152/";

/// An API with an account that waits for a consent.
async fn waiting() -> (Api, Arc<FakeIssuer>) {
    let (issuer, storage) = (Arc::new(FakeIssuer::default()), MemoryStore::new());
    let api = Api::issued_by(Arc::clone(&issuer) as Arc<dyn Issuer>, Guard::Local, storage, Load::default()).await;
    let oauth = OAuth2SignIn {
        user: "sales@example.jp".into(),
        mechanism: OauthMechanism::Auto,
        issuer: OauthIssuer {
            kind: IssuerKind::Google,
            client_id: "app".into(),
            client_secret: None,
            scopes: Vec::new(),
        },
        grant: OauthGrant::Consent,
        allow_plaintext: false,
    };
    let mut account: Account = samples::sample_account("sales");
    account.settings.sign_in = SignIn::OAuth2(Box::new(oauth));
    api.storage.create_account(account).await.expect("it is new");
    let parked = Standing::Parked(without_consent("revoked", Timestamp::from_millis(BEGIN_MS)));
    api.storage.set_standing(&sales(), parked, Timestamp::from_millis(BEGIN_MS)).await.expect("parked");
    (api, issuer)
}

fn sales() -> AccountId {
    samples::account_id("sales")
}

async fn standing(api: &Api) -> Standing {
    api.storage.account(&sales()).await.expect("an answer").expect("it is there").standing
}

fn needs_reauth(standing: &Standing) -> bool {
    matches!(standing, Standing::Parked(Parking { cause: ParkingCause::NeedsReauth, .. }))
}

async fn begin(api: &Api, way: v1::begin_consent_request::Way) -> Result<v1::BeginConsentResponse, Status> {
    let request = v1::BeginConsentRequest { account_id: "sales".into(), way: Some(way) };
    Ok(api.accounts().begin_consent(request).await?.into_inner())
}

fn browser(redirect_uri: &str) -> v1::begin_consent_request::Way {
    v1::begin_consent_request::Way::Browser(v1::BrowserConsent { redirect_uri: redirect_uri.into() })
}

async fn finish(api: &Api, consent_id: &str, query: &str) -> Result<v1::FinishConsentResponse, Status> {
    let request = v1::FinishConsentRequest { consent_id: consent_id.into(), redirect_query: query.into() };
    Ok(api.accounts().finish_consent(request).await?.into_inner())
}

/// A parameter of a URL whose value needs no decoding.
fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let pairs = url.split(['?', '&']).filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value).expect(name)
}

#[tokio::test]
async fn a_consent_in_a_browser_resumes_the_account() {
    let (api, issuer) = waiting().await;
    let begun = begin(&api, browser(BACK)).await.expect("begun");
    assert!(begun.url.starts_with("https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=app&"));
    let state = parameter(&begun.url, "state").to_owned();
    assert_ne!(state, parameter(&begun.url, "code_challenge"));
    let foreign = finish(&api, &begun.consent_id, "code=c&state=other").await;
    check_refused(foreign, Code::InvalidArgument, "INVALID_FIELDS", &["redirect_query"]);
    assert!(needs_reauth(&standing(&api).await));
    let ended = finish(&api, &begun.consent_id, &format!("code=c-1&state={state}")).await.expect("ended");
    let account = ended.account.expect("the account");
    assert!(account.oauth.as_ref().is_some_and(|oauth| oauth.has_refresh_token && oauth.refreshed_at.is_some()));
    assert!(!format!("{account:?}").contains("rt-"), "tokens are never told");
    assert_eq!(standing(&api).await, Standing::Active);
    assert_eq!(issuer.book().asked, [format!("code c-1 {BACK}")]);
    let again = finish(&api, &begun.consent_id, &format!("code=c-1&state={state}")).await;
    check_refused(again, Code::NotFound, "CONSENT_NOT_FOUND", &[]);
    let tokens = api.storage.tokens(&sales()).await.expect("an answer").expect("tokens");
    assert_eq!(tokens.refresh_token.expect("kept").expose(), "rt-1");
}

#[tokio::test]
async fn a_consent_on_another_device_is_waited_for() {
    let (api, issuer) = waiting().await;
    let begun = begin(&api, v1::begin_consent_request::Way::Device(v1::DeviceConsent {})).await.expect("begun");
    assert_eq!((begun.url.as_str(), begun.user_code.as_str()), ("https://issuer.test/device", "ABCD-EFGH"));
    assert!(finish(&api, &begun.consent_id, "").await.expect("an answer").pending, "too early to ask");
    assert!(issuer.book().asked.is_empty());
    for (refusal, interval) in [("authorization_pending", 5), ("slow_down", 10)] {
        issuer.book().refusal = Some(OauthError::of_code(refusal, ""));
        api.clock.0.fetch_add(60_000, Ordering::Relaxed);
        let answer = finish(&api, &begun.consent_id, "").await.expect("an answer");
        assert!(answer.pending);
        assert_eq!(answer.poll_interval.expect("told").seconds, interval);
    }
    issuer.book().refusal = None;
    api.clock.0.fetch_add(60_000, Ordering::Relaxed);
    assert!(!finish(&api, &begun.consent_id, "").await.expect("an answer").pending);
    assert_eq!(standing(&api).await, Standing::Active);
}

#[tokio::test]
async fn what_is_no_consent_is_told() {
    let (api, issuer) = waiting().await;
    let elsewhere = begin(&api, browser("http://crm.example/")).await;
    check_refused(elsewhere, Code::InvalidArgument, "INVALID_FIELDS", &["browser.redirect_uri"]);
    let begun = begin(&api, browser(BACK)).await.expect("begun");
    let denied = format!("error=access_denied&state={}", parameter(&begun.url, "state"));
    let refused = finish(&api, &begun.consent_id, &denied).await;
    check_refused(refused, Code::FailedPrecondition, "CONSENT_REFUSED", &[]);

    let begun = begin(&api, browser(BACK)).await.expect("begun");
    let query = format!("code=c&state={}", parameter(&begun.url, "state"));
    issuer.book().refusal = Some(OauthError::Unreachable("HTTP status 503".into()));
    let unreachable = finish(&api, &begun.consent_id, &query).await;
    check_refused(unreachable, Code::Unavailable, "ISSUER_UNREACHABLE", &[]);
    issuer.book().refusal = None;
    finish(&api, &begun.consent_id, &query).await.expect("it may be tried again");

    let begun = begin(&api, browser(BACK)).await.expect("begun");
    api.clock.0.fetch_add(901_000, Ordering::Relaxed);
    let late = finish(&api, &begun.consent_id, &format!("code=c&state={}", parameter(&begun.url, "state"))).await;
    check_refused(late, Code::NotFound, "CONSENT_NOT_FOUND", &[]);

    api.create_account("orders").await;
    let request = v1::BeginConsentRequest { account_id: "orders".into(), way: Some(browser(BACK)) };
    let by_password = api.accounts().begin_consent(request).await;
    check_refused(by_password, Code::InvalidArgument, "INVALID_FIELDS", &["account_id"]);
}
