//! Is mail that needs a POP3 sign-in first delivered, and what happens when the server forgets the sign-in too soon?

use std::{
    num::NonZeroU16,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hikyaku_daemon::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    delivery::{Context, connections::ConnectionSlots, desk, supervisor},
    domain::{
        account::{Credentials, Encryption, Host, PopBeforeSmtp, Server, SignIn},
        ids::AccountId,
        job::JobState,
        parking::{ParkingCause, Standing},
        secret::Secret,
        time::Clock,
    },
    platform::entropy::SeededEntropy,
    policy::{classify::rules::Rules, verp::VerpKey},
    wire::{
        dial::{Dial, DialError, Stream},
        oauth::TokenClient,
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::house::{House, pass};

/// A POP3 server at `pop.example.jp`, and SMTP servers everywhere else that relay for those who have just been there.
#[derive(Clone, Debug)]
struct Servers {
    remembers_for: Duration,
    signed_in: Arc<Mutex<Option<Instant>>>,
    sign_ins: Arc<AtomicU32>,
    taken: Arc<AtomicU32>,
}

#[async_trait]
impl Dial for Servers {
    async fn dial(&self, host: &Host, _: NonZeroU16, _: Duration) -> Result<Box<dyn Stream>, DialError> {
        let (near, far) = duplex(64 * 1_024);
        let servers = self.clone();
        let is_pop = host.as_str() == "pop.example.jp";
        tokio::spawn(async move { if is_pop { servers.pop(far).await } else { servers.smtp(far).await } });
        Ok(Box::new(near))
    }
}

impl Servers {
    fn new(remembers_for: u64) -> Self {
        let (signed_in, sign_ins, taken) = (Arc::default(), Arc::default(), Arc::default());
        Self { remembers_for: Duration::from_secs(remembers_for), signed_in, sign_ins, taken }
    }

    async fn pop(self, stream: DuplexStream) {
        self.serve(stream, "+OK", |servers, line| match line {
            "CAPA" | "PASS wrong" => "-ERR no",
            "PASS right" => {
                servers.sign_ins.fetch_add(1, Ordering::SeqCst);
                *servers.signed_in.lock().expect("no panic") = Some(Instant::now());
                "+OK in"
            }
            _ => "+OK",
        })
        .await;
    }

    async fn smtp(self, stream: DuplexStream) {
        let mut is_content = false;
        self.serve(stream, "220 hi", |servers, line| match line {
            "." => {
                is_content = false;
                servers.taken.fetch_add(1, Ordering::SeqCst);
                "250 2.0.0 taken"
            }
            _ if is_content => "",
            "DATA" => {
                is_content = true;
                "354 go"
            }
            _ if line.starts_with("EHLO") => "250-hi\r\n250 PIPELINING",
            _ if line.starts_with("RCPT") && !servers.relays() => "550 5.7.1 Relaying denied",
            _ => "250 2.0.0 ok",
        })
        .await;
    }

    fn relays(&self) -> bool {
        let at = *self.signed_in.lock().expect("no panic");
        at.is_some_and(|at| at.elapsed() < self.remembers_for)
    }

    async fn serve(
        &self,
        stream: DuplexStream,
        greeting: &str,
        mut answer: impl FnMut(&Self, &str) -> &'static str + Send,
    ) {
        let (heard, mut said) = tokio::io::split(stream);
        let mut heard = BufReader::new(heard).lines();
        // A client that breaks off is part of the test.
        let _ = said.write_all(format!("{greeting}\r\n").as_bytes()).await;
        while let Ok(Some(line)) = heard.next_line().await {
            let answer = answer(self, &line);
            if !answer.is_empty() {
                let _ = said.write_all(format!("{answer}\r\n").as_bytes()).await;
            }
            if line == "QUIT" {
                break;
            }
        }
    }
}

/// A house whose only servers are these.
struct Post {
    house: House,
    stopping: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl Post {
    async fn start(servers: &Servers) -> Self {
        let mut house = House::new();
        house.stop().await;
        let clock = Arc::clone(&house.clock) as Arc<dyn Clock>;
        let stopping = CancellationToken::new();
        let issuer = Arc::new(TokenClient::default());
        let context = Context {
            storage: Arc::clone(&house.storage),
            rules: Arc::new(Rules::built_in()),
            dial: Arc::new(servers.clone()),
            tokens: TokenKeeper::new(Arc::clone(&house.storage), issuer, Arc::clone(&clock)),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            signers: Signers::new(&house.storage),
            verp: VerpKey::new([7; 32]),
            host_name: "test.example.jp".parse().expect("a name"),
            connections: ConnectionSlots::new(10),
            stopping: stopping.clone(),
        };
        let (_desk, asks) = desk::open();
        let run = async move { supervisor::run(context, asks, Duration::from_secs(30)).await.expect("it goes on") };
        Self { house, stopping, supervisor: tokio::spawn(run) }
    }

    async fn account(&self, password: &str) -> AccountId {
        let password = Secret::new(password.to_owned());
        let host = "pop.example.jp".parse().expect("a host");
        let sign_in = PopBeforeSmtp {
            server: Server::new(host, NonZeroU16::new(110).expect("not zero"), Encryption::None),
            credentials: Credentials { user: "taro".to_owned(), password },
            apop: false,
            allow_plaintext: true,
            valid_for: Duration::from_secs(600),
        };
        let change = |settings: &mut hikyaku_daemon::domain::account::AccountSettings| {
            settings.sign_in = SignIn::PopBeforeSmtp(Box::new(sign_in));
        };
        self.house.account("sales", change).await
    }

    async fn stop(self) {
        self.stopping.cancel();
        self.supervisor.await.expect("the supervisor ends");
    }
}

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn one_sign_in_serves_many_messages_and_is_renewed_before_it_lapses() {
    let servers = Servers::new(600);
    let post = Post::start(&servers).await;
    let account = post.account("right").await;
    for minute in 0..30 {
        let job = post.house.submit(&account, &["x@example.jp", "y@example.jp"]).await;
        assert_eq!(post.house.settled(job, SOON).await, JobState::Submitted, "minute {minute}");
        assert_eq!(post.house.record(job).await.job.attempts_made, 1);
        pass(60).await;
    }
    assert_eq!(servers.taken.load(Ordering::SeqCst), 30);
    let sign_ins = servers.sign_ins.load(Ordering::SeqCst);
    assert!((3..=5).contains(&sign_ins), "{sign_ins}");
    post.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_forgets_too_soon_costs_another_sign_in_and_no_attempt() {
    let servers = Servers::new(100);
    let post = Post::start(&servers).await;
    let account = post.account("right").await;
    for sign_ins in 1..4 {
        let job = post.house.submit(&account, &["x@example.jp", "y@example.jp"]).await;
        assert_eq!(post.house.settled(job, SOON).await, JobState::Submitted);
        assert_eq!(post.house.record(job).await.job.attempts_made, 1, "the refusal to relay leaves no trace");
        assert_eq!(servers.sign_ins.load(Ordering::SeqCst), sign_ins);
        pass(200).await;
    }
    post.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_relay_all_the_same_is_believed_after_one_more_sign_in() {
    let servers = Servers::new(0);
    let post = Post::start(&servers).await;
    let account = post.account("right").await;
    let job = post.house.submit(&account, &["x@example.jp"]).await;
    assert_eq!(post.house.settled(job, SOON).await, JobState::Failed);
    assert_eq!(servers.sign_ins.load(Ordering::SeqCst), 2);
    assert_eq!(post.house.record(job).await.job.attempts_made, 1);
    post.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_pop3_password_parks_the_account_and_costs_no_attempt() {
    let servers = Servers::new(600);
    let post = Post::start(&servers).await;
    let account = post.account("wrong").await;
    let job = post.house.submit(&account, &["x@example.jp"]).await;
    pass(24 * 3_600).await;
    let Standing::Parked(parking) = post.house.standing(&account).await else {
        panic!("it is not parked");
    };
    assert_eq!(parking.cause, ParkingCause::NeedsReauth);
    assert!(parking.reason.contains("POP3 sign-in: the server replied -ERR no"), "{}", parking.reason);
    assert_eq!(post.house.record(job).await.job.attempts_made, 0);
    post.stop().await;
}
