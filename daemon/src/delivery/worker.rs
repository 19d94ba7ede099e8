//! The only loop that sends: ask dispatch, send, settle.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::{
    Context,
    courier::{Errand, Return},
    sessions::{OpenSession, Sessions},
    wake::Wake,
    window::{Busy, Then, Underway, Window},
};
use crate::{
    accounts::{
        live::{LiveAccount, LoadError},
        standing::LiveStanding,
    },
    domain::{
        attempt::Fate,
        ids::{AccountId, JobId},
        ledger::{Charge, QuotaKey},
        parking::Standing,
        time::Timestamp,
    },
    platform::leaps::LeapingClock,
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

mod leap;
mod outcome;
mod recovery;

/// The longest sleep, in seconds: after it the wall clock is read again, in case somebody has set it.
const SLEEP_SECONDS_MAX: u64 = 60;

/// What a settlement makes of its job.
fn then_of(settlement: &Settlement) -> Then {
    match &settlement.attempt {
        Some(attempt) if attempt.outcomes.iter().any(|outcome| outcome.fate == Fate::Deferred) => {
            Then::DueAt(settlement.retry_at)
        }
        Some(_) => Then::Done,
        None => Then::AskTheQueue,
    }
}

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
    /// When the wall clock was last set forward, on the clock after it.
    leapt_at: Timestamp,
    /// Whether what is owed comes of a leap, and would be forgotten with the worker.
    owes_leap: bool,
}

/// What came of recording outcomes: the jobs, each with what it makes of it.
type Booked = Result<Vec<(JobId, Then)>, TenureError>;

impl Worker {
    /// Takes the account over, and first of all settles what a worker before it left in doubt.
    pub(super) async fn begin(
        mut context: Context,
        id: &AccountId,
        wake: Arc<Wake>,
        clock: LeapingClock,
    ) -> Result<Self, WorkerError> {
        context.clock = Arc::new(clock.clone());
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
            leapt_at: Timestamp::EPOCH,
            owes_leap: false,
            clock,
            standing: LiveStanding::new(standing),
            context,
            wake,
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
            self.book();
            match self.next().await? {
                Next::Send(index) => self.send(index),
                Next::Expire(index) => self.expire(index),
                Next::TooLarge { index, key } => self.set_aside(index, &key),
                Next::WaitUntil { at, .. } => self.wait(self.earlier_of(at)).await?,
                Next::WaitForReply | Next::WaitForConnection => self.wait(None).await?,
                Next::WaitForWork if self.is_done() => return self.end().await,
                Next::WaitForResume if self.window.is_quiet() && !self.owes_leap => return self.end().await,
                Next::WaitForWork => self.wait(self.work_or_rest()).await?,
                Next::WaitForResume => self.wait(None).await?,
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

    /// Whether nothing would be forgotten if the worker ended now.
    fn is_done(&self) -> bool {
        let is_rested = self.pacing.forgotten_at() <= self.context.clock.now();
        !self.owes_leap
            && self.window.is_quiet()
            && self.window.next_due().is_none()
            && self.sessions.idle() == 0
            && is_rested
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
        let job = self.window.remove(index).id;
        tracing::warn!(%job, account = %self.tenure.account, ?key, "the job is larger than a quota: set aside");
        self.window.set_aside(job);
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
            recipients: candidate.recipients,
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
            Ok(vec![(job, Then::AskTheQueue)])
        });
    }

    /// Records the outcomes that have come in, together, while sending goes on.
    fn book(&mut self) {
        let mut settlements = std::mem::take(&mut self.unsettled);
        let Some(first) = settlements.first_mut() else {
            return;
        };
        first.charges.append(&mut self.owed);
        self.owes_leap = false;
        let (storage, tenure) = (Arc::clone(&self.context.storage), Arc::clone(&self.tenure));
        self.bookings.spawn(async move {
            let jobs = settlements.iter().map(|settlement| (settlement.job, then_of(settlement))).collect();
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
            () = self.wake.woken() => {}
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
        for (job, then) in booked? {
            self.window.reopen(job, then);
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
            if record.account.created != self.account.account.created {
                // Another account of the same name: its own worker begins when this one has ended.
                return Err(TenureError::Lost(id.clone()).into());
            }
            if record.account.etag != self.account.etag() {
                self.reload().await?;
            }
        }
        if let Some(standing) = self.standing.lapse(self.context.clock.now()) {
            self.report(standing).await?;
        }
        Ok(())
    }

    /// Takes over new settings. What was sent counts on under them.
    async fn reload(&mut self) -> Result<(), WorkerError> {
        let id = &self.tenure.account;
        let (account, _) = LiveAccount::load(&*self.context.storage, id, &self.context.host_name).await?;
        let now = self.context.clock.now();
        let (old, new) = (&self.account.settings().limits, &account.settings().limits);
        self.ledger.reconfigure(&new.quotas, now);
        if (old.interval, old.pace, old.batch) != (new.interval, new.pace, new.batch) {
            self.pacing = Pacing::new(new, now);
        }
        self.account = account;
        self.window.reconsider();
        self.close_stale_sessions();
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
