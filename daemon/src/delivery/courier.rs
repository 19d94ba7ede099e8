//! One connection and its messages: from a prepared errand to what its recipients met.
//!
//! The rule of the house is kept in [`each`] and [`run`]: no message goes out whole before its in-doubt mark is durable.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{sync::mpsc, task::JoinSet, time::sleep_until};

use super::{
    Context,
    connections::{NotNow, OPENING_PATIENCE},
    errand::{Errand, ErrandResult, MarkStage, Return, Trial},
    exchange::Judge,
    roster::{CourierId, Post},
    session::{OpenSession, Wear, idle_from_now},
};
use crate::{
    accounts::{live::LiveAccount, opening::NotOpened, pop_gate::refuses_to_relay},
    compose::header_field::message_id,
    domain::{
        account::InDoubtPolicy,
        mail::Message,
        time::Timestamp,
        verdict::{Phase, Verdict},
    },
    policy::{
        assess::{Connection, Met},
        provider_id::provider_id,
    },
    storage::{Tenure, TenureError, settlement::MarkOutcome},
    wire::smtp::{EnvelopeReplies, Fault, Obstacle},
};

mod each;
mod run;

/// Most messages that wait for a connection beside the one that it carries. They are marked beforehand, so that the
/// connection never waits for the disk.
const AHEAD_MESSAGES_MAX: usize = 4;
/// The same where several are sent before the first is answered.
const AHEAD_IN_RUNS_MAX: usize = 8;

/// A courier at its post.
#[derive(Debug)]
pub(super) struct Courier {
    pub(super) context: Context,
    pub(super) account: LiveAccount,
    pub(super) tenure: Arc<Tenure>,
    pub(super) post: Post,
    pub(super) returns: mpsc::Sender<Return>,
    /// Set once the provider has failed in BDAT, which it offers: DATA is used from then on.
    pub(super) fails_in_runs: Arc<AtomicBool>,
}

impl Courier {
    /// Carries messages until the worker has no more, dismisses it, or the connection has been idle for too long.
    pub(super) async fn run(mut self) -> CourierId {
        let mut open = None;
        let mut farewells = JoinSet::new();
        while let Some(errand) = self.next(open.as_ref()).await {
            if let Some((errand, open)) = self.begin(errand, &mut open, &mut farewells).await {
                if self.sends_runs(open) {
                    self.carry_run(errand, open).await;
                } else {
                    self.carry_each(errand, open).await;
                }
            }
            open = open.filter(|open: &OpenSession| open.session.is_ready());
            if open.is_none() {
                // The worker is to choose another for what comes next.
                self.post.errands.close();
            }
        }
        if let Some(open) = open {
            farewells.spawn(open.session.quit());
        }
        while farewells.join_next().await.is_some() {}
        self.post.id
    }

    /// The next errand; nothing when the courier has to end.
    async fn next(&mut self, open: Option<&OpenSession>) -> Option<Errand> {
        let idle_until = open.map_or_else(idle_from_now, OpenSession::closes_at);
        let wanted = async {
            match open {
                Some(open) => open.wanted().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.post.dismissed.cancelled() => {
                self.recall_rest().await;
                return None;
            }
            errand = self.post.errands.recv() => return errand,
            () = sleep_until(idle_until) => {}
            () = wanted => {}
        }
        self.post.errands.close();
        // One that came at the last moment is still carried.
        self.post.errands.recv().await
    }

    /// Gives back what waits.
    async fn recall_rest(&mut self) {
        self.post.errands.close();
        while let Some(errand) = self.post.errands.recv().await {
            self.bring_back(errand, ErrandResult::Recalled).await;
        }
    }

    /// Opens a connection when there is none that can be used; gives the errand back when nothing can be sent.
    async fn begin<'o>(
        &mut self,
        errand: Errand,
        open: &'o mut Option<OpenSession>,
        farewells: &mut JoinSet<()>,
    ) -> Option<(Errand, &'o mut OpenSession)> {
        if errand.has_expired(self.context.clock.now()) {
            self.bring_back(errand, ErrandResult::Expired).await;
            return None;
        }
        if let Some(worn) = open.take_if(|open| open.wear.left(&self.account.settings().limits) == 0) {
            farewells.spawn(worn.session.quit());
        }
        if open.is_none() {
            match self.open(errand.started).await {
                Ok(opened) => {
                    self.post.ahead.store(self.ahead(&opened), Ordering::Relaxed);
                    *open = Some(opened);
                }
                Err(result) => {
                    self.bring_back(errand, result).await;
                    self.recall_rest().await;
                    return None;
                }
            }
        }
        open.as_mut().map(|open| (errand, open))
    }

    async fn open(&self, started: Timestamp) -> Result<OpenSession, ErrandResult> {
        let connect = async {
            let slot = self.context.connections.open(&self.tenure.account).await;
            // Its message goes over one of the connections that the account has.
            let slot = slot.map_err(|NotNow| ErrandResult::Recalled)?;
            let opened = tokio::select! {
                biased;
                opened = self.account.open(&self.context.tokens, &*self.context.dial) => opened,
                () = slot.called_off() => Err(too_slow().into()),
            };
            let opened = opened.map_err(|not| match not {
                NotOpened::Obstacle(obstacle) => ErrandResult::Obstructed { obstacle, started },
                NotOpened::Storage(error) => ErrandResult::StoreFailed(error.into()),
            })?;
            Ok(OpenSession::new(opened, slot.established()))
        };
        tokio::select! {
            biased;
            () = self.post.dismissed.cancelled() => Err(ErrandResult::Recalled),
            opened = connect => opened,
        }
    }

    /// How many messages the courier can use beside the one that it is sending. With a quota each costs a unit of it that
    /// a crash would lose, so there is only one.
    fn ahead(&self, open: &OpenSession) -> usize {
        let settings = self.account.settings();
        let most = if self.sends_runs(open) { AHEAD_IN_RUNS_MAX } else { AHEAD_MESSAGES_MAX };
        match settings.in_doubt {
            _ if !open.session.offers().pipelining => 0,
            InDoubtPolicy::Resend if settings.limits.quotas.is_empty() => most,
            InDoubtPolicy::Resend | InDoubtPolicy::Hold | InDoubtPolicy::Reconcile => 1,
        }
    }

    /// Whether messages go by BDAT. Not with HOLD, where nothing is marked before its envelope was accepted; nor after POP,
    /// where nothing is sent to some before it is known that the server relays to the others.
    fn sends_runs(&self, open: &OpenSession) -> bool {
        self.account.settings().in_doubt == InDoubtPolicy::Resend
            && open.pass.is_none()
            && open.session.offers().takes_runs()
            && !self.fails_in_runs.load(Ordering::Relaxed)
    }

    /// Waits for the mark; sets it first where each may cost an operator's time, so that nothing is held that was never
    /// sent.
    async fn mark(&self, errand: &mut Errand) -> Result<bool, TenureError> {
        if let MarkStage::Due(charges) = &mut errand.mark {
            let charges = std::mem::take(charges);
            let mark = errand.mark_with(charges, self.context.clock.now());
            let outcomes = self.context.storage.mark_in_doubt(&self.tenure, vec![mark]).await?;
            errand.mark = MarkStage::Known(outcomes.first() == Some(&MarkOutcome::Marked));
        }
        Ok(errand.is_marked().await)
    }

    /// Why an errand's message must not be sent although it could be, if there is a reason.
    async fn hindrance(&self, errand: &mut Errand) -> Option<ErrandResult> {
        match self.mark(errand).await {
            Err(error) => Some(ErrandResult::StoreFailed(error)),
            Ok(false) => Some(ErrandResult::Withdrawn),
            Ok(true) if self.post.dismissed.is_cancelled() => Some(ErrandResult::Recalled),
            Ok(true) => None,
        }
    }

    /// Brings back what the provider said.
    async fn tried(&self, mut errand: Errand, trial: Trial, wear: &mut Wear) {
        wear.carried();
        if trial.met.iter().any(|met| met.ruling.verdict == Verdict::RetryOnNewConnection) {
            wear.retire();
        }
        if let Some(gate) = &self.account.pop
            && trial.met.iter().any(|met| met.ruling.verdict == Verdict::Accepted)
        {
            gate.served();
        }
        let addressees = errand.take_addressees();
        self.bring_back(errand, ErrandResult::Tried(Box::new(trial), addressees)).await;
    }

    /// What the recipients of a message met if their server may have forgotten the account's POP3 sign-in: it refuses to
    /// relay. They are to be tried again after another one.
    fn pop_lapsed(&self, errand: &Errand, open: &OpenSession, replies: &EnvelopeReplies) -> Option<Vec<Met>> {
        let (gate, pass) = (self.account.pop.as_ref()?, open.pass?);
        let (phase, reply) = if refuses_to_relay(&replies.mail) {
            (Phase::Mail, &replies.mail)
        } else {
            (Phase::Rcpt, replies.recipients.iter().find(|reply| refuses_to_relay(reply))?)
        };
        let recipients = errand.recipients.clone();
        gate.refused(pass).then(|| vec![self.judge().pop_lapsed(recipients, phase, reply.clone())])
    }

    /// What was met, now.
    fn trial(&self, errand: &Errand, connection: Connection, met: Vec<Met>) -> Trial {
        let (tries, started) = (errand.tries, errand.started);
        let provider_id = given_id(&met, &errand.message);
        Trial { tries, connection, started, ended: self.context.clock.now(), met, provider_id }
    }

    async fn bring_back(&self, errand: Errand, result: ErrandResult) {
        // A worker that has gone has lost its tenure or its store; its successor settles what was marked.
        drop(self.returns.send(errand.returned(result).await).await);
    }

    fn judge(&self) -> Judge<'_> {
        Judge { rules: &self.context.rules, provider: self.account.settings().server.provider }
    }
}

/// The id that a provider gave a message when it took it, if that is not the message's own.
fn given_id(met: &[Met], message: &Message) -> Option<Box<str>> {
    let taken = met.iter().find(|met| met.phase == Phase::EndOfData && met.ruling.verdict == Verdict::Accepted)?;
    let id = provider_id(taken.response.reply()?.text())?;
    let own = message_id(&message.bytes).unwrap_or_default();
    (own.trim_matches(['<', '>']) != id).then(|| id.into())
}

/// What is said of a server that held a slot while others waited.
fn too_slow() -> Obstacle {
    let cause = Fault::TimedOut(OPENING_PATIENCE).into();
    Obstacle { phase: Phase::Connect, cause, transcript: String::new() }
}
