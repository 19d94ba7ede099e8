//! The only loop that sends: ask dispatch, send, settle.

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::{
    Context,
    errand::Return,
    preparation::Assignment,
    roster::Roster,
    wake::Wake,
    window::{Busy, Then, Window},
};
use crate::{
    accounts::{
        live::{LiveAccount, LoadError},
        pop_gate::PopGates,
        standing::LiveStanding,
    },
    compose::merge::Renderers,
    domain::{
        ids::{AccountId, MessageKey},
        ledger::{Charge, QuotaKey},
        time::Timestamp,
    },
    platform::leaps::LeapingClock,
    policy::{
        dispatch::{self, Connections, Next, Stage, View, WaitReason},
        fair_share::FairShare,
        pacing::Pacing,
        quiet::QuietHours,
        quota::ledger::Ledger,
    },
    storage::{StorageError, Tenure, TenureError, settlement::Settlement},
};

mod account;
mod aftermath;
mod diversion;
mod hours;
mod leap;
mod learning;
mod lending;
mod outcome;
mod recovery;
mod sending;

/// The longest sleep, in seconds: after it the wall clock is read again, in case somebody has set it.
const SLEEP_SECONDS_MAX: u64 = 60;
/// Most results of couriers that wait for the worker; beyond it the couriers wait.
const RETURNS_WAITING_MAX: usize = 1_024;

/// Why a worker ended before its work did.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Tenure(#[from] TenureError),
    #[error("a task of the worker broke down")]
    Task(#[from] JoinError),
}

impl From<StorageError> for WorkerError {
    fn from(error: StorageError) -> Self {
        Self::Tenure(error.into())
    }
}

/// An account's worker.
#[derive(Debug)]
pub(super) struct Worker {
    context: Context,
    /// The same clock as the context's, which it asks for leaps.
    clock: LeapingClock,
    wake: Arc<Wake>,
    /// The POP3 sign-ins of all accounts.
    gates: Arc<PopGates>,
    account: LiveAccount,
    tenure: Arc<Tenure>,
    standing: LiveStanding,
    ledger: Ledger,
    pacing: Pacing,
    quiet: QuietHours,
    /// Whether it was quiet when the hours were looked at last.
    was_quiet: bool,
    shares: FairShare,
    window: Window,
    roster: Roster,
    /// Set once the provider has failed in BDAT, which it offers.
    fails_in_runs: Arc<AtomicBool>,
    /// Where couriers take what comes back; the other end.
    returning: mpsc::Sender<Return>,
    returns: mpsc::Receiver<Return>,
    /// Messages that have a courier and go to it together.
    departing: Vec<Assignment>,
    /// What composes the messages of merge jobs, kept while it is of use.
    renderers: Arc<Mutex<Renderers>>,
    preparations: JoinSet<Result<Vec<Return>, TenureError>>,
    bookings: JoinSet<Booked>,
    /// Permits that are lent to others.
    lendings: JoinSet<lending::Lent>,
    /// Outcomes that wait to be recorded together.
    unsettled: Vec<Settlement>,
    /// Changes of the ledger that belong to no settlement; they go with the next one.
    owed: Vec<Charge>,
    /// When the wall clock was last set forward, on the clock after it.
    leapt_at: Timestamp,
    /// Whether what is owed must not wait for a message: a crash would free what was used.
    owes_at_once: bool,
    /// When to look for jobs that other accounts may take over while this one cannot send; never when there are none.
    divert_at: Option<Timestamp>,
}

/// What came of recording outcomes: the messages, each with what it makes of it.
type Booked = Result<Vec<(MessageKey, Then)>, TenureError>;

impl Worker {
    /// Takes the account over, and first of all settles what a worker before it left in doubt.
    pub(super) async fn begin(
        mut context: Context,
        id: &AccountId,
        wake: Arc<Wake>,
        clock: LeapingClock,
        gates: Arc<PopGates>,
    ) -> Result<Self, WorkerError> {
        context.clock = Arc::new(clock.clone());
        let tenure = Arc::new(context.storage.take_tenure(id).await?);
        let (account, standing) = LiveAccount::load(&*context.storage, id, &context.host_name, &gates).await?;
        let now = context.clock.now();
        let limits = &account.settings().limits;
        let usage = context.storage.usage(id).await?;
        let (returning, returns) = mpsc::channel(RETURNS_WAITING_MAX);
        let mut worker = Self {
            ledger: Ledger::new(limits, usage, now),
            pacing: Pacing::new(limits, now),
            quiet: QuietHours::new(&account.settings().quiet_windows),
            was_quiet: false,
            shares: FairShare::default(),
            window: Window::new(),
            roster: Roster::new(&context.stopping),
            fails_in_runs: Arc::default(),
            returning,
            returns,
            departing: Vec::new(),
            renderers: Arc::default(),
            preparations: JoinSet::new(),
            bookings: JoinSet::new(),
            lendings: JoinSet::new(),
            unsettled: Vec::new(),
            owed: Vec::new(),
            leapt_at: Timestamp::EPOCH,
            owes_at_once: false,
            divert_at: Some(Timestamp::EPOCH),
            clock,
            standing: LiveStanding::new(standing),
            context,
            wake,
            gates,
            account,
            tenure,
        };
        worker.follow_clock();
        worker.settle_doubts().await?;
        Ok(worker)
    }

    /// Sends until nothing is left to do, or the daemon stops.
    pub(super) async fn run(mut self) -> Result<(), WorkerError> {
        loop {
            self.follow_clock();
            self.follow_account().await?;
            self.follow_hours();
            self.serve();
            self.book();
            match self.next().await? {
                Next::Send(index) => self.send(index),
                Next::Expire(index) => self.expire(index),
                Next::TooLarge { index, key } => self.set_aside(index, &key),
                // What becomes due while the account is parked, or in a quiet window, ends no wait.
                Next::WaitUntil { at, reason: WaitReason::Quiet } => self.wait(Some(at)).await?,
                Next::WaitUntil { at, reason: WaitReason::Parked(_) } => {
                    self.divert().await?;
                    self.wait(Some(self.diversion_due().map_or(at, |due| due.min(at)))).await?;
                }
                Next::WaitUntil { at, .. } => self.wait(self.earlier_of(at)).await?,
                Next::WaitForReply | Next::WaitForConnection => self.wait(None).await?,
                Next::WaitForWork if self.is_done() => return self.end().await,
                Next::WaitForWork => self.wait(self.work_or_rest()).await?,
                Next::WaitForResume => {
                    self.divert().await?;
                    let rest = Some(self.pacing.forgotten_at()).filter(|at| *at > self.context.clock.now());
                    let until = [self.diversion_due(), rest].into_iter().flatten().min();
                    if self.owes_nothing() && until.is_none() {
                        return self.end().await;
                    }
                    self.wait(until).await?;
                }
                Next::Stop => return self.end().await,
            }
        }
    }

    /// What to do next, after a look at the queue when that could change the answer.
    async fn next(&mut self) -> Result<Next, WorkerError> {
        let next = self.ask();
        let busy = match next {
            Next::Send(_) | Next::WaitForReply | Next::WaitForConnection => Busy::Sending,
            _ => Busy::Waiting,
        };
        let is_parked = matches!(next, Next::WaitForResume | Next::WaitUntil { reason: WaitReason::Parked(_), .. });
        let may_look = !is_parked && self.stage() == Stage::Running;
        if !may_look || !self.window.wants_look(busy, self.context.clock.now()) {
            return Ok(next);
        }
        let (limit, known) = self.window.query();
        let now = self.context.clock.now();
        let ready = self.context.storage.ready(&self.tenure.account, &known, limit, now).await?;
        self.window.take_in(ready, limit);
        Ok(self.ask())
    }

    fn ask(&mut self) -> Next {
        let stage = self.stage();
        let connections = self.roster.connections(self.connections_max());
        let is_paced = self.pacing.is_serial() || self.account.settings().limits.pace.is_some();
        dispatch::next(View {
            now: self.context.clock.now(),
            stage,
            standing: self.standing.standing(),
            quiet: self.quiet.until(self.context.clock.now()),
            jobs: self.window.waiting(),
            shares: &self.shares,
            ledger: &mut self.ledger,
            pacing: &mut self.pacing,
            // A message that waits behind another would not go at the time for which the pace allowed it.
            connections: if is_paced { Connections { ahead: 0, ..connections } } else { connections },
            in_flight: u32::try_from(self.window.underway() + self.lendings.len()).unwrap_or(u32::MAX),
            chance: self.context.entropy.chance(),
        })
    }

    /// How many connections the account may have at present.
    fn connections_max(&self) -> u32 {
        let allowance = self.context.connections.allowance(&self.tenure.account);
        let allowance = u32::try_from(allowance).unwrap_or(u32::MAX);
        self.account.settings().limits.connections_max.get().min(allowance)
    }

    fn stage(&self) -> Stage {
        if self.context.stopping.is_cancelled() { Stage::Draining } else { Stage::Running }
    }

    /// Whether nothing would be forgotten if the worker ended now.
    fn is_done(&self) -> bool {
        let is_rested = self.pacing.forgotten_at() <= self.context.clock.now();
        self.owes_nothing() && self.window.next_due().is_none() && self.roster.is_empty() && is_rested
    }

    /// Whether nothing is under way, lent or to be recorded.
    fn owes_nothing(&self) -> bool {
        !self.owes_at_once && self.window.is_quiet() && self.lendings.is_empty()
    }

    /// What a worker without work waits for: the next job, or the end of what it must remember.
    fn work_or_rest(&self) -> Option<Timestamp> {
        let rest = Some(self.pacing.forgotten_at()).filter(|at| *at > self.context.clock.now());
        [self.window.next_due(), rest].into_iter().flatten().min()
    }

    /// The time to wait until: a job that becomes due before `at` may be more urgent, or need less.
    fn earlier_of(&self, at: Timestamp) -> Option<Timestamp> {
        Some(self.window.next_due().map_or(at, |due| due.min(at)))
    }

    /// Leaves a job alone that needs more of a quota than one window holds.
    fn set_aside(&mut self, index: usize, key: &QuotaKey) {
        let message = self.window.remove(index).message;
        tracing::warn!(%message, account = %self.tenure.account, ?key, "the job is larger than a quota: set aside");
        self.window.set_aside(message);
    }

    /// Waits until something happens, or `at` comes.
    async fn wait(&mut self, at: Option<Timestamp>) -> Result<(), WorkerError> {
        self.hand_out();
        let at = [at, self.quiet_begins()].into_iter().flatten().min();
        let pause = at.map_or(Duration::MAX, |at| at.since(self.context.clock.now()));
        let wake_at = Instant::now() + pause.min(Duration::from_secs(SLEEP_SECONDS_MAX));
        let is_idle = self.window.underway() == 0 && self.lendings.is_empty();
        tokio::select! {
            biased;
            Some(returned) = self.returns.recv() => self.returned(returned).await?,
            Some(prepared) = self.preparations.join_next() => self.prepared(prepared?).await?,
            Some(booked) = self.bookings.join_next() => self.booked(booked?)?,
            Some(lent) = self.lendings.join_next() => self.lent_back(lent?)?,
            ended = self.roster.ended() => ended?,
            () = self.wake.woken() => {}
            () = tokio::time::sleep_until(wake_at) => {}
            () = self.context.stopping.cancelled(), if is_idle => {}
        }
        // What else has come in meanwhile is taken together with it.
        while let Ok(returned) = self.returns.try_recv() {
            self.returned(returned).await?;
        }
        while let Some(booked) = self.bookings.try_join_next() {
            self.booked(booked?)?;
        }
        Ok(())
    }

    async fn prepared(&mut self, prepared: Result<Vec<Return>, TenureError>) -> Result<(), WorkerError> {
        for returned in prepared? {
            self.returned(returned).await?;
        }
        Ok(())
    }

    fn booked(&mut self, booked: Booked) -> Result<(), WorkerError> {
        for (message, then) in booked? {
            self.window.reopen(message, then);
        }
        self.reconsider_diversion();
        Ok(())
    }

    /// Records what is left to record, and lets the couriers take leave of the server.
    async fn end(mut self) -> Result<(), WorkerError> {
        self.roster.dismiss();
        while !self.roster.is_empty() {
            tokio::select! {
                Some(returned) = self.returns.recv() => self.returned(returned).await?,
                ended = self.roster.ended() => ended?,
            }
        }
        self.book();
        while let Some(booked) = self.bookings.join_next().await {
            self.booked(booked?)?;
        }
        Ok(())
    }
}
