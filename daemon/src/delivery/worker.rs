//! The only loop that sends: ask dispatch, send, settle.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::{
    Context,
    courier::{Errand, Return},
    sessions::{OpenSession, Sessions},
    window::{Underway, Window},
};
use crate::{
    accounts::{
        live::{LiveAccount, LoadError},
        standing::LiveStanding,
    },
    domain::{
        ids::{AccountId, JobId},
        ledger::Charge,
        parking::Standing,
        time::Timestamp,
    },
    policy::{
        dispatch::{self, Connections, Next, Stage, View, WaitReason},
        fair_share::FairShare,
        pacing::Pacing,
        quota::{ledger::Ledger, permit::Need},
    },
    storage::{
        StorageError, Tenure, TenureError,
        settlement::{Expiry, Settlement},
    },
};

mod outcome;
mod recovery;

/// The longest sleep, in seconds: after it the wall clock is read again, in case somebody has set it.
const SLEEP_SECONDS_MAX: u64 = 60;

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

/// Wakes a worker, and remembers that it was woken when it has just ended.
#[derive(Debug, Default)]
pub(super) struct Wake {
    notify: Notify,
    pending: std::sync::atomic::AtomicBool,
}

impl Wake {
    /// Tells the worker that its account's queue, settings or standing changed.
    pub(super) fn wake(&self) {
        self.pending.store(true, std::sync::atomic::Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// Whether it was woken since the worker looked last.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn heed(&self) -> bool {
        self.pending.swap(false, std::sync::atomic::Ordering::SeqCst)
    }
}

/// An account's worker.
#[derive(Debug)]
pub(super) struct Worker {
    context: Context,
    wake: Arc<Wake>,
    account: LiveAccount,
    tenure: Arc<Tenure>,
    standing: LiveStanding,
    ledger: Ledger,
    pacing: Pacing,
    shares: FairShare,
    sessions: Sessions,
    window: Window,
    couriers: JoinSet<Return>,
    bookings: JoinSet<Booked>,
    farewells: JoinSet<()>,
    /// Outcomes that wait to be recorded together.
    unsettled: Vec<Settlement>,
    /// Changes of the ledger that belong to no settlement; they go with the next one.
    owed: Vec<Charge>,
}

/// What came of recording outcomes: the jobs, each with when it is due again if the worker knows.
type Booked = Result<Vec<(JobId, Option<Timestamp>)>, TenureError>;

impl Worker {
    /// Takes the account over, and first of all settles what a worker before it left in doubt.
    pub(super) async fn begin(context: Context, id: &AccountId, wake: Arc<Wake>) -> Result<Self, WorkerError> {
        let tenure = Arc::new(context.storage.take_tenure(id).await?);
        let (account, standing) = LiveAccount::load(&*context.storage, id, &context.host_name).await?;
        let now = context.clock.now();
        let limits = &account.settings().limits;
        let usage = context.storage.usage(id).await?;
        let mut worker = Self {
            ledger: Ledger::new(&limits.quotas, usage, now),
            pacing: Pacing::new(limits, now),
            shares: FairShare::default(),
            sessions: Sessions::default(),
            window: Window::new(),
            couriers: JoinSet::new(),
            bookings: JoinSet::new(),
            farewells: JoinSet::new(),
            unsettled: Vec::new(),
            owed: Vec::new(),
            standing: LiveStanding::new(standing),
            context,
            wake,
            account,
            tenure,
        };
        worker.settle_doubts().await?;
        Ok(worker)
    }

    /// Sends until nothing is left to do, or the daemon stops.
    pub(super) async fn run(mut self) -> Result<(), WorkerError> {
        loop {
            self.follow_account().await?;
            self.book();
            match self.next().await? {
                Next::Send(index) => self.send(index),
                Next::Expire(index) => self.expire(index),
                Next::TooLarge { index, key } => {
                    let job = self.window.remove(index).id;
                    tracing::warn!(%job, account = %self.tenure.account, ?key, "the job needs more of a quota than one window holds: set aside");
                    self.window.close(job);
                }
                Next::WaitUntil { at, .. } => self.wait(Some(at)).await?,
                Next::WaitForReply | Next::WaitForConnection => self.wait(None).await?,
                Next::WaitForWork if self.is_done() => return self.end().await,
                Next::WaitForResume if self.window.is_quiet() => return self.end().await,
                Next::WaitForWork => self.wait(self.window.next_due()).await?,
                Next::WaitForResume => self.wait(None).await?,
                Next::Stop => return self.end().await,
            }
        }
    }

    /// What to do next, after a look at the queue when that could change the answer.
    async fn next(&mut self) -> Result<Next, WorkerError> {
        let next = self.ask();
        let is_busy = matches!(next, Next::Send(_));
        let is_parked = matches!(next, Next::WaitForResume | Next::WaitUntil { reason: WaitReason::Parked(_), .. });
        let may_look = !is_parked && self.stage() == Stage::Running;
        if !may_look || !self.window.wants_look(is_busy, self.context.clock.now()) {
            return Ok(next);
        }
        let (limit, known) = self.window.query();
        let now = self.context.clock.now();
        let ready = self.context.storage.ready(&self.tenure.account, &known, limit, now).await?;
        self.window.take_in(ready, limit);
        Ok(self.ask())
    }

    fn ask(&mut self) -> Next {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let stage = self.stage();
        let (idle, under_way) = (count(self.sessions.idle()), count(self.couriers.len()));
        dispatch::next(View {
            now: self.context.clock.now(),
            stage,
            standing: self.standing.standing(),
            jobs: self.window.waiting(),
            shares: &self.shares,
            ledger: &mut self.ledger,
            pacing: &mut self.pacing,
            connections: Connections {
                idle,
                open: idle.saturating_add(under_way),
                max: self.account.settings().limits.connections_max.get(),
            },
            in_flight: under_way,
            chance: self.context.entropy.chance(),
        })
    }

    fn stage(&self) -> Stage {
        if self.context.stopping.is_cancelled() { Stage::Draining } else { Stage::Running }
    }

    fn is_done(&self) -> bool {
        self.window.is_quiet() && self.window.next_due().is_none() && self.sessions.idle() == 0
    }

    /// Hands a job to a courier.
    fn send(&mut self, index: usize) {
        let candidate = self.window.remove(index);
        let now = self.context.clock.now();
        let Ok(mut permit) = self.ledger.permit(Need::message_to(candidate.recipients), now) else {
            // The clock has moved since dispatch was asked: it is asked again.
            self.window.distrust();
            return;
        };
        let charges = self.ledger.mark(&mut permit, now);
        self.pacing.begin(now);
        self.shares.served(candidate.priority, candidate.lane, candidate.recipients);
        let errand = Errand {
            context: self.context.clone(),
            account: self.account.clone(),
            tenure: Arc::clone(&self.tenure),
            job: candidate.id,
            charges: charges.clone(),
            session: self.sessions.take(),
        };
        self.window.depart(Underway { candidate, permit, charges });
        self.couriers.spawn(errand.run());
    }

    /// Ends a job whose client's time has run out.
    fn expire(&mut self, index: usize) {
        let job = self.window.remove(index).id;
        self.window.close(job);
        self.book_expiry(job);
    }

    fn book_expiry(&mut self, job: JobId) {
        let (storage, tenure) = (Arc::clone(&self.context.storage), Arc::clone(&self.tenure));
        let expiry = Expiry { job, now: self.context.clock.now() };
        tracing::info!(%job, account = %tenure.account, "expired");
        self.bookings.spawn(async move {
            storage.expire(&tenure, vec![expiry]).await?;
            Ok(vec![(job, None)])
        });
    }

    /// Records the outcomes that have come in, together, while sending goes on.
    fn book(&mut self) {
        let mut settlements = std::mem::take(&mut self.unsettled);
        let Some(first) = settlements.first_mut() else {
            return;
        };
        first.charges.append(&mut self.owed);
        let (storage, tenure) = (Arc::clone(&self.context.storage), Arc::clone(&self.tenure));
        self.bookings.spawn(async move {
            let due = |settlement: &Settlement| settlement.attempt.is_some().then_some(settlement.retry_at);
            let jobs = settlements.iter().map(|settlement| (settlement.job, due(settlement))).collect();
            storage.settle(&tenure, settlements).await?;
            Ok(jobs)
        });
    }

    /// Waits until something happens, or `at` comes.
    async fn wait(&mut self, at: Option<Timestamp>) -> Result<(), WorkerError> {
        let pause = at.map_or(Duration::MAX, |at| at.since(self.context.clock.now()));
        let wake_at = Instant::now() + pause.min(Duration::from_secs(SLEEP_SECONDS_MAX));
        let wake_at = self.sessions.next_close().map_or(wake_at, |close| close.min(wake_at));
        tokio::select! {
            Some(returned) = self.couriers.join_next() => self.returned(returned?).await?,
            Some(booked) = self.bookings.join_next() => self.booked(booked?)?,
            Some(parted) = self.farewells.join_next() => parted?,
            () = self.wake.notify.notified() => {}
            () = tokio::time::sleep_until(wake_at) => {}
            () = self.context.stopping.cancelled(), if self.couriers.is_empty() => {}
        }
        // What else has come in meanwhile is taken together with it.
        while let Some(returned) = self.couriers.try_join_next() {
            self.returned(returned?).await?;
        }
        while let Some(booked) = self.bookings.try_join_next() {
            self.booked(booked?)?;
        }
        self.close_stale_sessions();
        Ok(())
    }

    fn booked(&mut self, booked: Booked) -> Result<(), WorkerError> {
        for (job, due) in booked? {
            self.window.reopen(job, due);
        }
        Ok(())
    }

    /// Follows what people change about the account, and what time changes about its standing.
    async fn follow_account(&mut self) -> Result<(), WorkerError> {
        if self.wake.heed() {
            self.window.distrust();
            let id = &self.tenure.account;
            let record = self.context.storage.account(id).await?.ok_or(LoadError::Unknown)?;
            self.standing.adopt(record.standing);
            if record.account.etag != self.account.etag() {
                let (account, _) = LiveAccount::load(&*self.context.storage, id, &self.context.host_name).await?;
                let now = self.context.clock.now();
                self.ledger.reconfigure(&account.settings().limits.quotas, now);
                self.pacing = Pacing::new(&account.settings().limits, now);
                self.account = account;
                self.close_stale_sessions();
            }
        }
        if let Some(standing) = self.standing.lapse(self.context.clock.now()) {
            self.report(standing).await?;
        }
        Ok(())
    }

    /// Stores the standing that the worker finds; an operator's word goes before it.
    async fn report(&mut self, standing: Standing) -> Result<(), WorkerError> {
        match &standing {
            Standing::Active => tracing::info!(account = %self.tenure.account, "the account sends again"),
            Standing::Parked(parking) => {
                let reply = parking.reply.as_ref().map(ToString::to_string);
                let until = parking.until.map(|until| until.to_string());
                tracing::warn!(account = %self.tenure.account, cause = ?parking.cause, reason = parking.reason, reply, until, "the account is parked");
            }
        }
        let now = self.context.clock.now();
        let stands = self.context.storage.report_standing(&self.tenure, standing, now).await?;
        self.standing.adopt(stands);
        Ok(())
    }

    fn close_stale_sessions(&mut self) {
        let stale = self.sessions.take_stale(self.account.etag(), &self.account.settings().limits);
        self.part_with(stale);
    }

    fn part_with(&mut self, sessions: impl IntoIterator<Item = OpenSession>) {
        for open in sessions {
            self.farewells.spawn(open.session.quit());
        }
    }

    /// Records what is left to record, and takes leave of the server.
    async fn end(mut self) -> Result<(), WorkerError> {
        self.book();
        let sessions = self.sessions.take_all();
        self.part_with(sessions);
        while let Some(booked) = self.bookings.join_next().await {
            self.booked(booked?)?;
        }
        while let Some(parted) = self.farewells.join_next().await {
            parted?;
        }
        Ok(())
    }
}
