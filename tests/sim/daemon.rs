//! The delivery half of the daemon as a simulated host: it starts, stops and crashes, and its store outlives it.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hikyaku_daemon::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    delivery::{Context, connections::ConnectionSlots, desk, supervisor},
    domain::time::Clock,
    platform::{clock::VirtualClock, entropy::SeededEntropy},
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::SharedStorage,
    wire::oauth::TokenClient,
};
use tokio_util::sync::CancellationToken;

use crate::{network::SimulatedDial, plan};

/// The host's name.
pub(crate) const DAEMON: &str = "hikyakud";
/// How long a daemon that is asked to stop may finish what is under way.
const GRACE: Duration = Duration::from_secs(30);

/// The rules are compiled once for all runs.
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| Arc::new(Rules::built_in()));

/// What outlives a daemon that stops or crashes.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) storage: SharedStorage,
    seed: u64,
    connections_max: usize,
    starts: AtomicU64,
    stopping: Mutex<CancellationToken>,
}

impl Estate {
    pub(crate) fn new(storage: SharedStorage, seed: u64, connections_max: usize) -> Arc<Self> {
        let (starts, stopping) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { storage, seed, connections_max, starts, stopping })
    }

    /// What a simulated host runs: delivery, until it is stopped or its tasks are dropped.
    pub(crate) async fn live(self: Arc<Self>) -> turmoil::Result {
        let start = self.starts.fetch_add(1, Ordering::SeqCst);
        let stopping = CancellationToken::new();
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = stopping.clone();
        let elapsed = turmoil::sim_elapsed().ok_or("there is no simulation")?;
        let clock = VirtualClock::starting_at(plan::BEGIN.after(elapsed));
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let issuer = Arc::new(TokenClient::default());
        let context = Context {
            storage: Arc::clone(&self.storage),
            rules: Arc::clone(&RULES),
            dial: Arc::new(SimulatedDial),
            tokens: TokenKeeper::new(Arc::clone(&self.storage), issuer, Arc::clone(&clock)),
            clock,
            entropy: Arc::new(SeededEntropy::new(self.seed.wrapping_add(start << 32))),
            signers: Signers::new(&self.storage),
            verp: VerpKey::new([7; 32]),
            host_name: "hikyakud.sim.example".parse()?,
            connections: ConnectionSlots::new(self.connections_max),
            stopping,
        };
        supervisor::run(context, desk::open().1, GRACE).await?;
        Ok(())
    }

    /// Asks the daemon to stop, as SIGTERM does.
    pub(crate) fn stop(&self) {
        self.stopping.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }
}
