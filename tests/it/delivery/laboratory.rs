//! The same promises of tokens, against a real OAuth 2 server and a real Postfix, in real time. Ignored unless asked for:
//! `HIKYAKU_LAB` names the working directory of a mail laboratory whose ports begin at 12000.

use std::{num::NonZeroU16, path::PathBuf, sync::Arc, time::Duration};

use hikyaku_daemon::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    delivery::{Context, connections::ConnectionSlots, supervisor},
    domain::{
        account::{Encryption, IssuerKind, OAuth2SignIn, OauthGrant, OauthIssuer, OauthMechanism, Server, SignIn},
        ids::AccountId,
        job::JobState,
        parking::{ParkingCause, Standing},
        secret::Secret,
        time::Clock,
    },
    platform::entropy::SeededEntropy,
    policy::{classify::rules::Rules, oauth::endpoints},
    wire::{
        dial::TcpDialer,
        oauth::{AuthorizationRequest, Ground, TokenClient},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::house::House;

const OAUTH: &str = "127.0.0.1:12080";
const USER: &str = "alice@lab.test";
const BACK: &str = "http://127.0.0.1:49152/";
const JOBS: u32 = 500;

fn lab() -> PathBuf {
    std::env::var_os("HIKYAKU_LAB").expect("HIKYAKU_LAB names the laboratory's directory").into()
}

fn control(text: &str) {
    let (new, file) = (lab().join("ctl/oauth2.new"), lab().join("ctl/oauth2.json"));
    std::fs::write(&new, text).expect("written");
    std::fs::rename(new, file).expect("renamed");
}

/// An HTTP exchange without niceties; answers with all that came.
async fn exchange(request: String) -> String {
    let mut stream = TcpStream::connect(OAUTH).await.expect("the laboratory is up");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = Vec::new();
    // It may keep the connection.
    let _ = tokio::time::timeout(Duration::from_millis(500), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn oauth(mechanism: OauthMechanism, grant: OauthGrant) -> OAuth2SignIn {
    let at = |path: &str| format!("http://{OAUTH}/{path}");
    OAuth2SignIn {
        user: USER.to_owned(),
        mechanism,
        issuer: OauthIssuer {
            kind: IssuerKind::Custom {
                authorization_endpoint: Some(at("authorize")),
                device_endpoint: Some(at("device_authorization")),
                token_endpoint: at("token"),
            },
            client_id: "daemon".to_owned(),
            client_secret: Some(Secret::new("daemon-secret".to_owned())),
            scopes: Vec::new(),
        },
        grant,
        allow_plaintext: false,
    }
}

/// Consents as a person does in a browser, and stores what comes of it.
async fn consent(keeper: &TokenKeeper, account: &AccountId, oauth: &OAuth2SignIn) {
    let (state, verifier) = (Secret::new("state".to_owned()), Secret::new("v".repeat(43)));
    let url = AuthorizationRequest {
        endpoint: &endpoints(&oauth.issuer.kind).authorization.expect("an endpoint"),
        client_id: &oauth.issuer.client_id,
        scope: "",
        redirect_uri: BACK,
        state: &state,
        verifier: &verifier,
        user: USER,
        extras: &[("user", USER), ("action", "allow")],
    };
    let url = url.url().expect("a URL");
    let path = url.strip_prefix(&format!("http://{OAUTH}")).expect("the laboratory's");
    let answer = exchange(format!("GET {path} HTTP/1.0\r\nHost: {OAUTH}\r\n\r\n")).await;
    let code = answer.split("code=").nth(1).and_then(|rest| rest.split(['&', '\r']).next()).expect("a code");
    let ground = Ground::Code { code: Secret::new(code.to_owned()), redirect_uri: BACK.to_owned(), verifier };
    let issued = keeper.issue(oauth, &ground).await.expect("tokens");
    keeper.adopt(account, issued).await.expect("stored");
}

/// Consents as a person does on another device, who is slow at first; and asks for a token without any person.
async fn check_other_grants(keeper: &TokenKeeper) {
    let by_consent = oauth(OauthMechanism::Auto, OauthGrant::Consent);
    let codes = keeper.device_codes(&by_consent).await.expect("codes");
    let ground = Ground::DeviceCode(codes.device_code);
    let pending = keeper.issue(&by_consent, &ground).await.expect_err("nobody has answered");
    assert_eq!(pending.code(), Some("authorization_pending"));
    let hurried = keeper.issue(&by_consent, &ground).await.expect_err("too early");
    assert_eq!(hurried.code(), Some("slow_down"));
    let path = format!("/device?user_code={}&action=allow&user={USER}", codes.user_code);
    exchange(format!("GET {path} HTTP/1.0\r\nHost: {OAUTH}\r\n\r\n")).await;
    tokio::time::sleep(codes.interval).await;
    keeper.issue(&by_consent, &ground).await.expect("tokens").refresh_token.expect("a refresh token");
    keeper.unsaved(&oauth(OauthMechanism::Auto, OauthGrant::ClientCredentials)).await.expect("a token");
}

async fn revoke(house: &House, account: &AccountId) {
    let tokens = house.storage.tokens(account).await.expect("an answer").expect("tokens");
    let form = format!("token={}", tokens.refresh_token.expect("one").expose());
    let length = form.len();
    let head = format!("POST /revoke HTTP/1.0\r\nHost: {OAUTH}\r\nContent-Type: application/x-www-form-urlencoded");
    let answer = exchange(format!("{head}\r\nContent-Length: {length}\r\n\r\n{form}")).await;
    assert!(answer.contains(" 200 "), "{answer}");
}

async fn account(house: &House, id: &str, sign_in: OAuth2SignIn, connections: u32) -> AccountId {
    let authority = std::fs::read_to_string(lab().join("tls/ca.pem")).expect("the laboratory's authority");
    let port = NonZeroU16::new(12_587).expect("not zero");
    house
        .account(id, |settings| {
            let server = Server::new("localhost".parse().expect("a host"), port, Encryption::StartTls);
            settings.server = Server { custom_ca_pem: Some(authority), ..server };
            settings.from.address = USER.parse().expect("an address");
            settings.sign_in = SignIn::OAuth2(Box::new(sign_in));
            settings.limits.connections_max = super::house::number(connections);
        })
        .await
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn short_tokens_a_revoked_grant_and_new_consent_against_a_real_server() {
    control(r#"{"expires_in": 5, "rotate": true}"#);
    let mut house = House::new();
    house.stop().await;
    let clock = Arc::clone(&house.clock) as Arc<dyn Clock>;
    let keeper = TokenKeeper::new(Arc::clone(&house.storage), Arc::new(TokenClient::default()), Arc::clone(&clock));
    let stopping = CancellationToken::new();
    let context = Context {
        storage: Arc::clone(&house.storage),
        rules: Arc::new(Rules::built_in()),
        dial: Arc::new(TcpDialer),
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        signers: Signers::new(&house.storage),
        verp: hikyaku_daemon::policy::verp::VerpKey::new([7; 32]),
        host_name: "client.lab.test".parse().expect("a name"),
        connections: ConnectionSlots::new(100),
        tokens: keeper.clone(),
        stopping: stopping.clone(),
    };
    let delivery =
        tokio::spawn(supervisor::run(context, hikyaku_daemon::delivery::desk::open().1, Duration::from_secs(30)));

    check_other_grants(&keeper).await;
    let bearer = oauth(OauthMechanism::Oauthbearer, OauthGrant::Consent);
    let id = account(&house, "bearer", bearer.clone(), 1).await;
    consent(&keeper, &id, &bearer).await;
    check_all_sent(&house, &id, 20).await;

    let sign_in = oauth(OauthMechanism::Auto, OauthGrant::Consent);
    let id = account(&house, "sales", sign_in.clone(), 2).await;
    consent(&keeper, &id, &sign_in).await;
    check_all_sent(&house, &id, JOBS).await;

    revoke(&house, &id).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let waiting = house.submit(&id, &["x@discard.test"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let Standing::Parked(parking) = house.standing(&id).await else { panic!("it is not parked") };
    assert_eq!(parking.cause, ParkingCause::NeedsReauth);
    assert!(parking.reason.contains("Token has been expired or revoked"), "{}", parking.reason);
    assert_eq!(house.record(waiting).await.job.attempts_made, 0);
    println!("parked: {}", parking.reason);

    consent(&keeper, &id, &sign_in).await;
    house.storage.set_standing(&id, Standing::Active, house.clock.now()).await.expect("resumed");
    assert_eq!(house.settled(waiting, Duration::from_secs(30)).await, JobState::Submitted);
    stopping.cancel();
    delivery.await.expect("no panic").expect("delivery ends well");
    control("{}");
}

async fn check_all_sent(house: &House, account: &AccountId, jobs: u32) {
    let begin = tokio::time::Instant::now();
    let first = house.clock.now();
    for part in 0..jobs {
        let id = house.submit(account, &["x@discard.test"]).await;
        if part % 10 == 0 {
            // So that the run is longer than several tokens live.
            assert_eq!(house.settled(id, Duration::from_secs(60)).await, JobState::Submitted);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let all = hikyaku_daemon::storage::JobFilter { account: Some(account.clone()), ..Default::default() };
    let page = hikyaku_daemon::storage::Page { after: None, limit: 1_000, now: first };
    loop {
        let found = house.storage.list(&all, page).await.expect("an answer");
        if found.jobs.iter().all(|record| !record.job.is_open()) {
            assert_eq!(found.jobs.len(), jobs as usize);
            assert!(
                found.jobs.iter().all(|record| record.job.attempts_made == 1),
                "each was sent at its first attempt"
            );
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(180), "it takes too long");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(house.standing(account).await, Standing::Active);
}
