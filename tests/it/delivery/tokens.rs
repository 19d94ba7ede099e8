//! Does an account that signs in with OAuth 2 send whatever becomes of its tokens? An issuer and a server that agree on
//! which tokens are good, in paused time.

use std::{
    collections::HashMap,
    num::NonZeroU16,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use hikyaku_daemon::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    delivery::{Context, connections::ConnectionSlots, supervisor},
    domain::{
        account::{Host, IssuerKind, OAuth2SignIn, OauthGrant, OauthIssuer, OauthMechanism, SignIn},
        event::{Cursor, EventKind},
        ids::{AccountId, JobId},
        job::JobState,
        parking::{Parking, ParkingCause, Standing},
        secret::Secret,
        time::Clock,
    },
    platform::entropy::SeededEntropy,
    policy::classify::rules::Rules,
    wire::{
        dial::{Dial, DialError, Stream},
        oauth::{Application, DeviceCodes, Ground, Issued, Issuer, OauthError},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::house::{House, pass};

/// An issuer, and the server that asks it which tokens are good.
#[derive(Clone, Debug, Default)]
struct Realm(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    life: Duration,
    /// The one refresh token that is good.
    refresh_token: String,
    /// Access tokens and when they end.
    access: HashMap<String, Instant>,
    refusal: Option<OauthError>,
    asked: u32,
    refused_sign_ins: u32,
    taken: u32,
}

impl Realm {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no test panics with it")
    }

    /// Makes a grant, as a person's consent does.
    fn grant(&self, refresh_token: &str) -> Issued {
        let mut book = self.book();
        book.refusal = None;
        book.refresh_token = refresh_token.to_owned();
        book.issue()
    }

    async fn serve(self, stream: DuplexStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 hi\r\n").await?;
        let (mut line, mut in_content) = (String::new(), false);
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let reply = match line.trim_end() {
                "." if in_content => {
                    in_content = false;
                    sleep(Duration::from_millis(100)).await;
                    self.book().taken += 1;
                    "250 taken"
                }
                _ if in_content => continue,
                "DATA" => {
                    in_content = true;
                    "354 go"
                }
                command if command.starts_with("EHLO") => "250-hi\r\n250 AUTH XOAUTH2",
                command if command.starts_with("AUTH XOAUTH2 ") => self.judge(command),
                "" => "535 5.7.8 the token is not accepted",
                "QUIT" => return stream.write_all(b"221 bye\r\n").await,
                _ => "250 ok",
            };
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        }
    }

    fn judge(&self, command: &str) -> &'static str {
        let response = BASE64_STANDARD.decode(&command["AUTH XOAUTH2 ".len()..]).expect("base64");
        let response = String::from_utf8(response).expect("text");
        let token = response.split_once("Bearer ").expect("a token").1.trim_end_matches('\u{1}');
        let mut book = self.book();
        if book.access.get(token).is_some_and(|end| *end > Instant::now()) {
            return "235 2.7.0 in";
        }
        book.refused_sign_ins += 1;
        "334 eyJzdGF0dXMiOiI0MDEifQ=="
    }
}

impl Book {
    fn issue(&mut self) -> Issued {
        self.asked += 1;
        let access_token = format!("at-{}", self.asked);
        self.access.insert(access_token.clone(), Instant::now() + self.life);
        self.refresh_token = format!("rt-{}", self.asked);
        Issued {
            access_token: Secret::new(access_token),
            expires_in: Some(self.life),
            refresh_token: Some(Secret::new(self.refresh_token.clone())),
        }
    }
}

#[async_trait]
impl Issuer for Realm {
    async fn issue(&self, _: &Application, ground: &Ground) -> Result<Issued, OauthError> {
        sleep(Duration::from_millis(50)).await;
        let mut book = self.book();
        if let Some(refusal) = &book.refusal {
            return Err(refusal.clone());
        }
        match ground {
            Ground::RefreshToken(token) if *token.expose() == book.refresh_token => Ok(book.issue()),
            _ => Err(revoked()),
        }
    }

    async fn device_codes(&self, _: &Application, _: &str) -> Result<DeviceCodes, OauthError> {
        Err(revoked())
    }
}

#[async_trait]
impl Dial for Realm {
    async fn dial(&self, _: &Host, _: NonZeroU16, _: Duration) -> Result<Box<dyn Stream>, DialError> {
        let (near, far) = tokio::io::duplex(64 * 1_024);
        tokio::spawn(self.clone().serve(far));
        Ok(Box::new(near))
    }
}

fn revoked() -> OauthError {
    OauthError::InvalidGrant { description: "Token has been expired or revoked.".to_owned() }
}

/// A delivery with an account that has consented, beside the house's own.
struct Scene {
    house: House,
    realm: Realm,
    keeper: TokenKeeper,
    account: AccountId,
    stopping: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl Scene {
    async fn new(life_seconds: u64) -> Self {
        let mut house = House::new();
        house.stop().await;
        let realm = Realm::default();
        realm.book().life = Duration::from_secs(life_seconds);
        let clock = Arc::clone(&house.clock) as Arc<dyn Clock>;
        let keeper = TokenKeeper::new(Arc::clone(&house.storage), Arc::new(realm.clone()), Arc::clone(&clock));
        let account = house.account("sales", |settings| settings.sign_in = SignIn::OAuth2(Box::new(oauth()))).await;
        keeper.adopt(&account, realm.grant("rt-0")).await.expect("stored");
        let stopping = CancellationToken::new();
        let context = Context {
            storage: Arc::clone(&house.storage),
            rules: Arc::new(Rules::built_in()),
            dial: Arc::new(realm.clone()),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            signers: Signers::new(&house.storage),
            verp: hikyaku_daemon::policy::verp::VerpKey::new([7; 32]),
            host_name: "test.example.jp".parse().expect("a name"),
            connections: ConnectionSlots::new(100),
            tokens: keeper.clone(),
            stopping: stopping.clone(),
        };
        let run = async move {
            supervisor::run(context, hikyaku_daemon::delivery::desk::open().1, Duration::from_secs(30))
                .await
                .expect("delivery goes on")
        };
        Self { house, realm, keeper, account, stopping, supervisor: tokio::spawn(run) }
    }

    async fn submit(&self, jobs: u32) -> Vec<JobId> {
        let mut ids = Vec::new();
        for _ in 0..jobs {
            ids.push(self.house.submit(&self.account, &["x@example.jp"]).await);
        }
        ids
    }

    /// Waits for each job to be submitted at its first attempt.
    async fn check_sent(&self, ids: &[JobId]) {
        for id in ids {
            assert_eq!(self.house.settled(*id, Duration::from_secs(600)).await, JobState::Submitted);
            assert_eq!(self.house.record(*id).await.job.attempts_made, 1);
        }
    }

    async fn parkings(&self) -> Vec<Parking> {
        let events = self.house.storage.events(Cursor(0), 1_000).await.expect("an answer");
        let parked = events.into_iter().filter_map(|(_, event)| match event.kind {
            EventKind::AccountParked(parking) => Some(parking),
            _ => None,
        });
        parked.collect()
    }

    async fn end(self) {
        self.stopping.cancel();
        self.supervisor.await.expect("the supervisor ends");
    }
}

fn oauth() -> OAuth2SignIn {
    OAuth2SignIn {
        user: "sales@example.jp".to_owned(),
        mechanism: OauthMechanism::Auto,
        issuer: OauthIssuer {
            kind: IssuerKind::Google,
            client_id: "app".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
        },
        grant: OauthGrant::Consent,
        allow_plaintext: true,
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_in_5_s_fails_none_of_many_sends() {
    let scene = Scene::new(5).await;
    let ids = scene.submit(200).await;
    scene.check_sent(&ids).await;
    // A pause lets the connections and the token end.
    pass(100).await;
    let later = scene.submit(100).await;
    scene.check_sent(&later).await;
    let (taken, refused, asked) = {
        let book = scene.realm.book();
        (book.taken, book.refused_sign_ins, book.asked)
    };
    assert_eq!((taken, refused), (300, 0));
    assert!(asked >= 4, "asked {asked} times");
    assert_eq!(scene.parkings().await, []);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_grant_parks_the_account_and_consent_resumes_it() {
    let scene = Scene::new(5).await;
    let sent = scene.submit(1).await;
    scene.check_sent(&sent).await;
    scene.realm.book().refusal = Some(revoked());
    pass(60).await;
    let ids = scene.submit(5).await;
    pass(86_400).await;
    let parkings = scene.parkings().await;
    assert_eq!(parkings.iter().map(|parking| parking.cause).collect::<Vec<_>>(), [ParkingCause::NeedsReauth]);
    let words = "New consent or credentials are needed: the issuer refuses the grant (invalid_grant): \
                 Token has been expired or revoked.";
    assert_eq!(parkings[0].reason, words);
    for id in &ids {
        assert_eq!(scene.house.record(*id).await.job.attempts_made, 0, "parking costs no attempt");
    }
    scene.keeper.adopt(&scene.account, scene.realm.grant("rt-new")).await.expect("stored");
    let now = scene.house.clock.now();
    scene.house.storage.set_standing(&scene.account, Standing::Active, now).await.expect("resumed");
    scene.check_sent(&ids).await;
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_server_refuses_is_renewed_before_anything_is_parked() {
    let scene = Scene::new(3_600).await;
    scene.realm.book().access.clear();
    let ids = scene.submit(3).await;
    scene.check_sent(&ids).await;
    assert_eq!(scene.parkings().await, []);
    assert!(scene.realm.book().refused_sign_ins > 0);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_only_delays() {
    let scene = Scene::new(5).await;
    pass(60).await;
    scene.realm.book().refusal = Some(OauthError::Unreachable("HTTP status 503".to_owned()));
    let ids = scene.submit(3).await;
    pass(600).await;
    let standing = scene.house.standing(&scene.account).await;
    let Standing::Parked(Parking { cause, .. }) = standing else { panic!("it is not parked") };
    assert_eq!(cause, ParkingCause::Unreachable);
    scene.realm.book().refusal = None;
    for id in &ids {
        assert_eq!(scene.house.settled(*id, Duration::from_secs(7_200)).await, JobState::Submitted);
        assert_eq!(scene.house.record(*id).await.job.attempts_made, 1);
    }
    scene.end().await;
}
