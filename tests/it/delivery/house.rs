//! A small house to test in: a store in memory, the supervisor, and a capturing server that is dialled through pipes.

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hikyaku_daemon::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    app::demo::capture::{CaptureServer, Records, Rules as ServerRules},
    delivery::{
        Context,
        connections::ConnectionSlots,
        desk::{self, Desk},
        supervisor,
    },
    domain::{
        account::{Account, AccountSettings, Encryption, Host, Retry, Server, SignIn, Stamp},
        ids::{AccountId, Caller, Etag, JobId},
        job::{Audience, Flight, Job, JobState, MessageFacts, Priority, Schedule},
        limits::{Quota, QuotaUnit, QuotaWindow},
        mail::{Mailbox, Message},
        parking::Standing,
        recipient::{Recipient, RecipientField, RecipientState},
        secret::Secret,
        time::{Clock, Timestamp},
    },
    platform::{clock::VirtualClock, entropy::SeededEntropy},
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::{Acceptance, JobRecord, SharedStorage, Submission, memory::MemoryStore},
    wire::{
        dial::{Dial, DialCause, DialError, DialPhase, Stream},
        oauth::TokenClient,
    },
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// When every test begins: 2027-01-15T08:00:00Z.
const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// How long the supervisor may finish what is under way.
const GRACE: Duration = Duration::from_secs(30);

/// The rules are compiled once for all tests.
static RULES: std::sync::LazyLock<Arc<Rules>> = std::sync::LazyLock::new(|| Arc::new(Rules::built_in()));

/// Everything a delivery needs, in one process and in paused time.
pub(super) struct House {
    pub(super) storage: SharedStorage,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) network: Arc<Network>,
    /// Asks the workers of the present process.
    pub(super) desk: Desk,
    server: CaptureServer,
    stopping: CancellationToken,
    supervisor: Option<JoinHandle<()>>,
    jobs: AtomicU32,
}

/// What lies between the daemon and its provider.
#[derive(Debug)]
pub(super) struct Network {
    server: CaptureServer,
    weather: Mutex<Weather>,
    dialled: AtomicU32,
}

/// How the network behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// Every connection comes about.
    Fair,
    /// Every connection is refused.
    Refusing,
    /// Connections to this host come about and say nothing for ever.
    SilentAt(&'static str),
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self, host: &Host, _: NonZeroU16, _: Duration) -> Result<Box<dyn Stream>, DialError> {
        self.dialled.fetch_add(1, Ordering::SeqCst);
        let weather = *self.weather.lock().expect("no test panics while it holds this");
        if weather == Weather::Refusing {
            let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            return Err(DialError { phase: DialPhase::Connect, cause: DialCause::Io(refused) });
        }
        let (near, far) = tokio::io::duplex(1 << 20);
        let server = self.server.clone();
        let is_silent = matches!(weather, Weather::SilentAt(silent) if silent == host.as_str());
        tokio::spawn(async move {
            if is_silent {
                std::future::pending::<()>().await;
            }
            // A client that breaks off is part of the test.
            drop(server.serve(far).await);
        });
        Ok(Box::new(near))
    }
}

impl Network {
    pub(super) fn turn(&self, weather: Weather) {
        *self.weather.lock().expect("no test panics while it holds this") = weather;
    }

    pub(super) fn dialled(&self) -> u32 {
        self.dialled.load(Ordering::SeqCst)
    }
}

impl House {
    /// A house whose server takes mail without sign-in.
    pub(super) fn new() -> Self {
        Self::with_server(ServerRules::default())
    }

    pub(super) fn with_server(rules: ServerRules) -> Self {
        let clock = Arc::new(VirtualClock::starting_at(BEGIN));
        let server = CaptureServer::new(rules, Arc::clone(&clock) as Arc<dyn Clock>);
        let network =
            Network { server: server.clone(), weather: Mutex::new(Weather::Fair), dialled: AtomicU32::new(0) };
        let mut house = Self {
            storage: MemoryStore::new(),
            clock,
            network: Arc::new(network),
            server,
            desk: desk::open().0,
            stopping: CancellationToken::new(),
            supervisor: None,
            jobs: AtomicU32::new(0),
        };
        house.start();
        house
    }

    pub(super) fn records(&self) -> Arc<Records> {
        self.server.records()
    }

    /// Starts delivery, as a new process would.
    pub(super) fn start(&mut self) {
        self.stopping = CancellationToken::new();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let issuer = Arc::new(TokenClient::default());
        let context = Context {
            storage: Arc::clone(&self.storage),
            rules: Arc::clone(&RULES),
            dial: Arc::clone(&self.network) as Arc<dyn Dial>,
            tokens: TokenKeeper::new(Arc::clone(&self.storage), issuer, Arc::clone(&clock)),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            signers: Signers::new(&self.storage),
            verp: VerpKey::new([7; 32]),
            host_name: "test.example.jp".parse().expect("a name"),
            connections: ConnectionSlots::new(100),
            stopping: self.stopping.clone(),
        };
        let (desk, asks) = desk::open();
        self.desk = desk;
        let run = async move { supervisor::run(context, asks, GRACE).await.expect("delivery goes on") };
        self.supervisor = Some(tokio::spawn(run));
    }

    /// Stops delivery as SIGTERM does.
    pub(super) async fn stop(&mut self) {
        self.stopping.cancel();
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.await.expect("the supervisor ends");
        }
    }

    /// Stops delivery as SIGKILL does.
    pub(super) async fn kill(&mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.abort();
            assert!(supervisor.await.expect_err("it was cut off").is_cancelled());
        }
    }

    pub(super) async fn account(&self, id: &str, change: impl FnOnce(&mut AccountSettings)) -> AccountId {
        let mut settings = settings(id);
        change(&mut settings);
        let stamp = Stamp { at: self.clock.now(), by: caller() };
        let id: AccountId = id.parse().expect("an id");
        let account = Account { id: id.clone(), settings, etag: Etag(1), created: stamp.clone(), updated: stamp };
        self.storage.create_account(account).await.expect("it is new");
        id
    }

    /// Accepts a job to these recipients.
    pub(super) async fn submit(&self, account: &AccountId, recipients: &[&str]) -> JobId {
        self.submit_with(account, recipients, |_| {}).await
    }

    pub(super) async fn submit_with(
        &self,
        account: &AccountId,
        recipients: &[&str],
        change: impl FnOnce(&mut Job),
    ) -> JobId {
        let number = self.jobs.fetch_add(1, Ordering::SeqCst);
        let mut job = job(account, number, recipients, self.clock.now());
        change(&mut job);
        let (id, message_id) = (job.id, job.message.message_id.clone());
        let text = format!("Message-ID: {message_id}\r\nFrom: a@example.jp\r\n\r\n.hello {number}\r\n");
        let message = Message { bytes: Bytes::from(text), is_eight_bit: false };
        let submission = Submission { job, message, idempotency: None, counted: Vec::new() };
        let acceptances = self.storage.accept(vec![submission]).await.expect("an answer");
        assert_eq!(acceptances, [Acceptance::Accepted]);
        id
    }

    pub(super) async fn record(&self, id: JobId) -> JobRecord {
        self.storage.job(id).await.expect("an answer").expect("it is there")
    }

    pub(super) async fn state(&self, id: JobId) -> JobState {
        let record = self.record(id).await;
        let flight = if record.marked { Flight::UnderWay } else { Flight::Grounded };
        record.job.state(flight, self.clock.now())
    }

    pub(super) async fn recipient(&self, id: JobId, index: usize) -> RecipientState {
        self.record(id).await.job.recipients()[index].state.clone()
    }

    pub(super) async fn standing(&self, account: &AccountId) -> Standing {
        self.storage.account(account).await.expect("an answer").expect("it is there").standing
    }

    /// Lets virtual time pass until the job is in a final state; panics when that takes more than `limit`.
    #[track_caller]
    pub(super) fn settled(&self, id: JobId, limit: Duration) -> impl Future<Output = JobState> {
        let caller = std::panic::Location::caller();
        async move {
            let begin = tokio::time::Instant::now();
            loop {
                let state = self.state(id).await;
                if state.is_final() {
                    return state;
                }
                assert!(begin.elapsed() < limit, "{caller}: still {state:?} after {limit:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

pub(super) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(super) fn caller() -> Caller {
    "local".parse().expect("a caller")
}

pub(super) fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

pub(super) fn sliding(limit: u32, seconds: u64) -> Quota {
    let window = QuotaWindow::Sliding(Duration::from_secs(seconds));
    Quota { limit: number(limit).into(), unit: QuotaUnit::Messages, window }
}

pub(super) fn with_password(settings: &mut AccountSettings, password: &str) {
    settings.sign_in = SignIn::Password {
        user: String::from("taro"),
        password: Secret::new(password.to_owned()),
        mechanism: hikyaku_daemon::domain::account::PasswordMechanism::Auto,
        allow_plaintext: true,
    };
}

fn settings(id: &str) -> AccountSettings {
    let host = format!("{id}.example.jp").parse().expect("a host");
    let server = Server::new(host, NonZeroU16::new(25).expect("not zero"), Encryption::None);
    AccountSettings {
        display_name: id.to_owned(),
        retry: Retry { jitter: 0.0, ..Retry::default() },
        ..AccountSettings::new(Mailbox { name: None, address: sender(id) }, server)
    }
}

fn sender(account: &str) -> hikyaku_daemon::domain::address::Address {
    format!("{account}@example.jp").parse().expect("an address")
}

fn job(account: &AccountId, number: u32, recipients: &[&str], now: Timestamp) -> Job {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&number.to_be_bytes());
    let recipient = |address: &&str| Recipient {
        address: address.parse().expect("an address"),
        field: RecipientField::To,
        state: RecipientState::Pending { deferral: None },
    };
    Job {
        id: JobId::new(now, random),
        account: account.clone(),
        caller: caller(),
        accepted_at: now,
        sender: sender(account.as_str()),
        audience: Audience::Together(recipients.iter().map(recipient).collect()),
        subject: format!("mail {number}"),
        message: MessageFacts { message_id: format!("<{number}@example.jp>"), bytes: 60, is_eight_bit: false },
        priority: Priority::Normal,
        labels: Vec::new(),
        expires_at: None,
        schedule: Schedule::Waiting { due: now },
        attempts_made: 0,
        first_attempt_at: None,
        attempts: Vec::new(),
        wish: None,
        fallbacks: None,
        approval: None,
        resent: None,
        override_suppression: false,
    }
}
