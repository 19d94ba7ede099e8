//! Which accounts have a worker: one for each with work, and none for the others.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    task::{Id, JoinError, JoinSet},
};

use super::{
    Context,
    desk::{Ask, Asks},
    wake::Wake,
    worker::{Worker, WorkerError},
};
use crate::{
    accounts::{live::LoadError, pop_gate::PopGates},
    domain::ids::AccountId,
    platform::leaps::{LeapingClock, Leaps},
    storage::{StorageError, TenureError},
};

/// Most workers that begin at once: each reads its account, its ledger and its marks, and takes its tenure. When the daemon
/// starts, the others wait for their turn, so that thousands of accounts with work are no stampede.
const BEGINNING_WORKERS_MAX: usize = 64;

/// Why delivery stopped although nobody asked it to. Only a restart helps.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store failed.
    #[error("delivery cannot go on: the store failed")]
    Storage(#[from] StorageError),
    /// A worker panicked.
    #[error("delivery cannot go on: a worker broke down")]
    Worker(#[from] JoinError),
}

/// Runs workers until the daemon stops, takes to them what is asked at the desk, and then waits up to `grace` for what is past its in-doubt mark. What is cut off
/// then is settled at the next start.
///
/// # Errors
/// When the store fails or a worker breaks down; nothing is lost by that.
pub async fn run(context: Context, asks: Asks, grace: Duration) -> Result<(), DeliveryError> {
    let leaps = Leaps::of(Arc::clone(&context.clock));
    let mut supervisor = Supervisor {
        context,
        asks,
        leaps,
        gates: Arc::default(),
        workers: JoinSet::new(),
        accounts: HashMap::new(),
        tasks: HashMap::new(),
        beginnings: Arc::new(Semaphore::new(BEGINNING_WORKERS_MAX)),
    };
    let result = supervisor.supervise().await;
    let drained = supervisor.drain(grace).await;
    result.and(drained)
}

struct Supervisor {
    context: Context,
    asks: Asks,
    /// The clocks of the workers.
    leaps: Arc<Leaps>,
    /// The POP3 sign-ins of accounts, which outlive their workers.
    gates: Arc<PopGates>,
    workers: JoinSet<Result<(), WorkerError>>,
    accounts: HashMap<AccountId, Arc<Wake>>,
    tasks: HashMap<Id, AccountId>,
    /// One permit for each worker that may begin at once.
    beginnings: Arc<Semaphore>,
}

impl Supervisor {
    async fn supervise(&mut self) -> Result<(), DeliveryError> {
        let storage = Arc::clone(&self.context.storage);
        let stopping = self.context.stopping.clone();
        for account in storage.accounts_with_work().await? {
            self.wake(account);
        }
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return Ok(()),
                Some(ended) = self.workers.join_next_with_id() => self.ended(ended)?,
                Some(ask) = self.asks.next() => self.ask(ask),
                changed = storage.changed() => changed.into_iter().for_each(|account| self.wake(account)),
            }
        }
    }

    /// Takes a question to the account's worker.
    fn ask(&mut self, Ask { account, request }: Ask) {
        self.wake(account.clone());
        if let Some(wake) = self.accounts.get(&account) {
            wake.ask(request);
        }
    }

    /// Begins the worker of an account again, with what the one before was asked at last.
    fn revive(&mut self, account: AccountId, before: Option<Arc<Wake>>) {
        self.wake(account.clone());
        while let Some(request) = before.as_ref().and_then(|before| before.request()) {
            self.ask(Ask { account: account.clone(), request });
        }
    }

    /// Wakes an account's worker, or begins one.
    fn wake(&mut self, account: AccountId) {
        if let Some(wake) = self.accounts.get(&account) {
            wake.wake();
            return;
        }
        let wake = Arc::new(Wake::default());
        self.accounts.insert(account.clone(), Arc::clone(&wake));
        let clock = self.leaps.clock_of(&account);
        let beginnings = Arc::clone(&self.beginnings);
        let gates = Arc::clone(&self.gates);
        let handle = self.workers.spawn(work(self.context.clone(), beginnings, account.clone(), wake, clock, gates));
        self.tasks.insert(handle.id(), account);
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), WorkerError>), JoinError>) -> Result<(), DeliveryError> {
        let (task, result) = ended?;
        let Some(account) = self.tasks.remove(&task) else {
            return Ok(());
        };
        let wake = self.accounts.remove(&account);
        let was_woken = wake.as_ref().is_some_and(|wake| wake.is_pending());
        match result {
            Ok(()) => {}
            // Nobody can answer what was asked of it.
            Err(WorkerError::Load(LoadError::Unknown)) => drop_requests(wake.as_deref()),
            Err(WorkerError::Load(LoadError::Tls(error))) => {
                drop_requests(wake.as_deref());
                tracing::error!(%account, %error, "the account cannot be used: change its custom CA");
            }
            Err(WorkerError::Load(LoadError::Storage(error)) | WorkerError::Tenure(TenureError::Storage(error))) => {
                if error.is_fatal() {
                    return Err(error.into());
                }
                drop_requests(wake.as_deref());
                tracing::error!(%account, %error, "the account sends nothing until it changes: verify the store");
            }
            Err(WorkerError::Tenure(TenureError::Lost(_))) => {
                tracing::warn!(%account, "another worker has taken the account over");
                self.revive(account, wake);
                return Ok(());
            }
            Err(WorkerError::Task(error)) => return Err(error.into()),
        }
        if was_woken && !self.context.stopping.is_cancelled() {
            self.revive(account, wake);
        }
        Ok(())
    }

    /// Waits for the workers to finish what is past its in-doubt mark. One that breaks down does not keep the others from
    /// it; the first that did is told.
    async fn drain(&mut self, grace: Duration) -> Result<(), DeliveryError> {
        self.context.stopping.cancel();
        self.asks.close();
        let mut result = Ok(());
        let finish = async {
            while let Some(ended) = self.workers.join_next_with_id().await {
                let ended = self.ended(ended).inspect_err(|error| tracing::error!(%error, "a worker did not finish"));
                result = std::mem::replace(&mut result, Ok(())).and(ended);
            }
        };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::warn!(workers = self.workers.len(), "the grace time is over: what is under way is in doubt");
            self.workers.shutdown().await;
        }
        result
    }
}

/// Turns away who asked a worker that cannot answer.
fn drop_requests(wake: Option<&Wake>) {
    while wake.and_then(Wake::request).is_some() {}
}

/// An account's worker from its beginning to its end.
async fn work(
    context: Context,
    beginnings: Arc<Semaphore>,
    account: AccountId,
    wake: Arc<Wake>,
    clock: LeapingClock,
    gates: Arc<PopGates>,
) -> Result<(), WorkerError> {
    let turn = tokio::select! {
        biased;
        () = context.stopping.cancelled() => return Ok(()),
        turn = beginnings.acquire_owned() => turn,
    };
    // What is needed to begin is not kept for as long as the worker lives.
    let worker = Box::pin(Worker::begin(context, &account, wake, clock, gates)).await?;
    drop(turn);
    worker.run().await
}
