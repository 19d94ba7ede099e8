//! Many accounts at once: does each get on as if it were alone, whatever becomes of the others?

use std::{num::NonZeroU16, sync::Arc, time::Duration};

use async_trait::async_trait;
use hikyaku_daemon::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    app::demo::capture::{CaptureServer, Rules as ServerRules},
    delivery::{
        Context,
        connections::{ConnectionSlots, OPENING_PATIENCE},
        desk, supervisor,
    },
    domain::{account::Host, time::Clock},
    platform::entropy::SeededEntropy,
    policy::{classify::rules::Rules, verp::VerpKey},
    wire::{
        dial::{Dial, DialError, Stream},
        oauth::TokenClient,
    },
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::house::{House, pass};

/// Accounts in a crowd, unless `HIKYAKU_CROWD_ACCOUNTS` says otherwise: the store in memory looks through all jobs of all
/// accounts for each question, so that the cost of a test grows with the square.
const ACCOUNTS: usize = 1_000;
const JOBS_PER_ACCOUNT: usize = 2;
/// Connections that may be open at once.
const SLOTS: usize = 100;

/// Servers that take everything at once, except those whose name begins with `hanging`: they never say a word.
#[derive(Debug)]
struct Servers(CaptureServer);

#[async_trait]
impl Dial for Servers {
    async fn dial(&self, host: &Host, _: NonZeroU16, _: Duration) -> Result<Box<dyn Stream>, DialError> {
        let (near, mut far) = tokio::io::duplex(64 * 1_024);
        let server = self.0.clone();
        let hangs = host.as_str().starts_with("hanging");
        tokio::spawn(async move {
            if hangs {
                drop(tokio::io::copy(&mut far, &mut tokio::io::sink()).await);
            } else {
                drop(server.serve(far).await);
            }
        });
        Ok(Box::new(near))
    }
}

/// Delivery for a crowd of accounts.
struct Crowd {
    house: House,
    server: CaptureServer,
    stopping: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl Crowd {
    async fn start() -> Self {
        let mut house = House::new();
        house.stop().await;
        let clock = Arc::clone(&house.clock) as Arc<dyn Clock>;
        let server = CaptureServer::new(ServerRules::default(), Arc::clone(&clock));
        let stopping = CancellationToken::new();
        let issuer = Arc::new(TokenClient::default());
        let context = Context {
            storage: Arc::clone(&house.storage),
            rules: Arc::new(Rules::built_in()),
            dial: Arc::new(Servers(server.clone())),
            tokens: TokenKeeper::new(Arc::clone(&house.storage), issuer, Arc::clone(&clock)),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            signers: Signers::new(&house.storage),
            verp: VerpKey::new([7; 32]),
            host_name: "test.example.jp".parse().expect("a name"),
            connections: ConnectionSlots::new(SLOTS),
            stopping: stopping.clone(),
        };
        let run = async move {
            supervisor::run(context, desk::open().1, Duration::from_secs(30)).await.expect("delivery goes on")
        };
        Self { house, server, stopping, supervisor: tokio::spawn(run) }
    }

    /// Gives jobs to so many accounts of a kind, before any of them can send.
    async fn submit(&self, kind: &str, accounts: usize) {
        for number in 0..accounts {
            let account = self.house.account(&format!("{kind}{number}"), |_| {}).await;
            for _ in 0..JOBS_PER_ACCOUNT {
                self.house.submit(&account, &["x@example.jp"]).await;
            }
        }
    }

    /// How long it takes until so many messages are there.
    async fn drained(&self, messages: usize) -> Duration {
        let begin = Instant::now();
        self.server.records().arrivals().wait_for(|arrived| *arrived >= messages).await.expect("they are counted");
        begin.elapsed()
    }

    async fn stop(self) {
        self.stopping.cancel();
        self.supervisor.await.expect("it ends");
    }
}

fn crowd_size() -> usize {
    std::env::var("HIKYAKU_CROWD_ACCOUNTS").ok().and_then(|size| size.parse().ok()).unwrap_or(ACCOUNTS)
}

/// How long the working accounts of a crowd take to send what they have.
async fn time_to_drain(working: usize, hanging: usize) -> Duration {
    let crowd = Crowd::start().await;
    // The names of those that hang come first in every order.
    crowd.submit("hanging", hanging).await;
    crowd.submit("working", working).await;
    let took = crowd.drained(working * JOBS_PER_ACCOUNT).await;
    crowd.stop().await;
    took
}

#[tokio::test(start_paused = true)]
async fn servers_that_hang_hold_up_their_own_accounts_only() {
    let hanging = crowd_size() / 5;
    let working = crowd_size() - hanging;
    let alone = time_to_drain(working, 0).await;
    let together = time_to_drain(working, hanging).await;
    let rounds = u32::try_from(hanging.div_ceil(SLOTS)).expect("few");
    let bound = alone + OPENING_PATIENCE * rounds;
    assert!(together <= bound, "alone they take {alone:?}, together {together:?}, and not {bound:?}");
}

#[tokio::test(start_paused = true)]
async fn fewer_servers_that_hang_than_there_are_slots_cost_the_others_nothing() {
    let (working, hanging) = (crowd_size() / 4, SLOTS / 2);
    let alone = time_to_drain(working, 0).await;
    assert_eq!(time_to_drain(working, hanging).await, alone);
}

#[tokio::test(start_paused = true)]
async fn an_account_without_work_has_no_task() {
    let crowd = Crowd::start().await;
    pass(1).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let accounts = crowd_size() / 10;
    crowd.submit("working", accounts).await;
    crowd.drained(accounts * JOBS_PER_ACCOUNT).await;
    // Connections are closed when they have been idle for a while.
    pass(120).await;
    assert_eq!(tasks(), before);
    crowd.stop().await;
}
