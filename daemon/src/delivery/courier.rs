//! One connection, one message after the other: from a prepared errand to what its recipients met.
//!
//! The rule of the house is kept here: the final dot is not sent before the in-doubt mark is durable.

use std::sync::{Arc, atomic::Ordering};

use tokio::{sync::mpsc, task::JoinSet, time::sleep_until};

use super::{
    Context,
    connections::{NotNow, OPENING_PATIENCE},
    errand::{Errand, ErrandResult, MarkStage, Return, Trial},
    exchange::{Judge, Sorted},
    roster::{CourierId, Post},
    session::{OpenSession, idle_from_now},
};
use crate::{
    accounts::live::LiveAccount,
    domain::{
        time::Timestamp,
        verdict::{Phase, Verdict},
    },
    policy::assess::{Connection, Met},
    storage::{Consignment, Tenure, TenureError, settlement::MarkOutcome},
    wire::smtp::{Abandoned, EnvelopeFailure, EnvelopeReplies, Fault, Obstacle, Session},
};

/// A courier at its post.
#[derive(Debug)]
pub(super) struct Courier {
    pub(super) context: Context,
    pub(super) account: LiveAccount,
    pub(super) tenure: Arc<Tenure>,
    pub(super) post: Post,
    pub(super) returns: mpsc::Sender<Return>,
}

/// A message whose envelope was sent and answered.
#[derive(Debug)]
struct Leg {
    errand: Errand,
    connection: Connection,
    asked: Result<EnvelopeReplies, EnvelopeFailure>,
}

impl Courier {
    /// Carries messages until the worker has no more, dismisses it, or the connection has been idle for too long.
    pub(super) async fn run(mut self) -> CourierId {
        let mut open = None;
        let mut farewells = JoinSet::new();
        while let Some(errand) = self.next(open.as_ref()).await {
            let mut leg = self.begin(errand, &mut open, &mut farewells).await;
            while let Some(begun) = leg {
                leg = self.finish(begun, &mut open).await;
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

    /// Opens a connection when there is none that can be used, and sends the envelope.
    async fn begin(
        &mut self,
        errand: Errand,
        open: &mut Option<OpenSession>,
        farewells: &mut JoinSet<()>,
    ) -> Option<Leg> {
        if errand.has_expired(self.context.clock.now()) {
            self.bring_back(errand, ErrandResult::Expired).await;
            return None;
        }
        if let Some(worn) = open.take_if(|open| !open.is_usable(&self.account.settings().limits)) {
            farewells.spawn(worn.session.quit());
        }
        let session = match open {
            Some(session) => session,
            None => match self.open(errand.started).await {
                Ok(opened) => open.insert(opened),
                Err(result) => {
                    self.bring_back(errand, result).await;
                    self.recall_rest().await;
                    return None;
                }
            },
        };
        let connection = session.connection();
        let Consignment { envelope, message, .. } = &errand.consignment;
        let asked = tokio::select! {
            biased;
            () = self.post.dismissed.cancelled() => None,
            asked = session.session.envelope(envelope, message) => Some(asked),
        };
        match asked {
            Some(asked) => Some(Leg { errand, connection, asked }),
            None => {
                // A session that is left in the midst is of no more use.
                self.bring_back(errand, ErrandResult::Recalled).await;
                None
            }
        }
    }

    async fn open(&self, started: Timestamp) -> Result<OpenSession, ErrandResult> {
        let connect = async {
            let slot = self.context.connections.open(&self.tenure.account).await;
            // Its message goes over one of the connections that the account has.
            let slot = slot.map_err(|NotNow| ErrandResult::Recalled)?;
            let session = tokio::select! {
                biased;
                session = Session::open(&self.account.provider, &*self.context.dial) => session,
                () = slot.called_off() => Err(too_slow()),
            };
            let session = session.map_err(|obstacle| ErrandResult::Obstructed { obstacle, started })?;
            Ok(OpenSession::new(session, slot.established()))
        };
        tokio::select! {
            biased;
            () = self.post.dismissed.cancelled() => Err(ErrandResult::Recalled),
            opened = connect => opened,
        }
    }

    /// Sends the message when its envelope was accepted and its mark is durable.
    async fn finish(&mut self, leg: Leg, open: &mut Option<OpenSession>) -> Option<Leg> {
        let Leg { mut errand, connection, asked } = leg;
        let session = open.as_mut()?;
        let asked = match asked {
            Ok(replies) if replies.may_send_message() => replies,
            refused => {
                let met = self.without_message(session, &errand, refused).await;
                self.tried(errand, connection, met, session).await;
                return None;
            }
        };
        let marked = match self.mark(&mut errand).await {
            Ok(marked) => marked,
            Err(error) => {
                self.bring_back(errand, ErrandResult::StoreFailed(error)).await;
                return None;
            }
        };
        let obstacle = if !marked {
            Some(ErrandResult::Withdrawn)
        } else if self.post.dismissed.is_cancelled() {
            Some(ErrandResult::Recalled)
        } else {
            None
        };
        if let Some(result) = obstacle {
            // Whatever abandoning says, nothing was sent to anybody.
            drop(session.session.abandon().await);
            self.bring_back(errand, result).await;
            return None;
        }
        let judge = self.judge();
        let Sorted { accepted, mut met } = judge.sort(&errand.consignment.recipients, &asked);
        met.push(match session.session.message(&errand.consignment.message).await {
            Ok(reply) => judge.replied(accepted, Phase::EndOfData, &reply),
            Err(broken) => judge.broke(accepted, &broken),
        });
        self.tried(errand, connection, met, session).await;
        None
    }

    /// What was met when the envelope was not accepted; the session is made ready for the next one.
    async fn without_message(
        &self,
        open: &mut OpenSession,
        errand: &Errand,
        asked: Result<EnvelopeReplies, EnvelopeFailure>,
    ) -> Vec<Met> {
        let (judge, recipients) = (self.judge(), &errand.consignment.recipients);
        match asked {
            Ok(replies) => {
                if let Ok(Abandoned::EmptyMessageTaken(reply)) = open.session.abandon().await {
                    tracing::warn!(message = %errand.key(), %reply, "the server took an empty message to nobody");
                }
                judge.sort(recipients, &replies).met
            }
            Err(EnvelopeFailure::NotOffered(needed)) => vec![judge.not_offered(recipients.clone(), needed)],
            Err(EnvelopeFailure::Broken(broken)) => judge.sort_broken(recipients, &broken),
        }
    }

    /// Waits for the mark; sets it first where each may cost an operator's time, so that nothing is held that was never
    /// sent.
    async fn mark(&self, errand: &mut Errand) -> Result<bool, TenureError> {
        if let MarkStage::Due(charges) = &mut errand.mark {
            let since = self.context.clock.now();
            let mark = Errand::mark_of(&errand.consignment, errand.started, since, std::mem::take(charges));
            let outcomes = self.context.storage.mark_in_doubt(&self.tenure, vec![mark]).await?;
            errand.mark = MarkStage::Known(outcomes.first() == Some(&MarkOutcome::Marked));
        }
        Ok(errand.is_marked().await)
    }

    /// Brings back what the provider said.
    async fn tried(&self, errand: Errand, connection: Connection, met: Vec<Met>, open: &mut OpenSession) {
        open.carried();
        if met.iter().any(|met| met.ruling.verdict == Verdict::RetryOnNewConnection) {
            open.retire();
        }
        let ahead = if open.session.is_ready() { self.ahead(open) } else { 0 };
        self.post.ahead.store(ahead, Ordering::Relaxed);
        let (tries, started) = (errand.consignment.tries, errand.started);
        let trial = Trial { tries, connection, started, ended: self.context.clock.now(), met };
        self.bring_back(errand, ErrandResult::Tried(Box::new(trial))).await;
    }

    /// How many messages the courier can use beside the one that it is sending.
    fn ahead(&self, _open: &OpenSession) -> usize {
        0
    }

    async fn bring_back(&self, errand: Errand, result: ErrandResult) {
        // A worker that has gone has lost its tenure or its store; its successor settles what was marked.
        drop(self.returns.send(errand.returned(result).await).await);
    }

    fn judge(&self) -> Judge<'_> {
        Judge { rules: &self.context.rules, provider: self.account.settings().server.provider }
    }
}

/// What is said of a server that held a slot while others waited.
fn too_slow() -> Obstacle {
    let cause = Fault::TimedOut(OPENING_PATIENCE).into();
    Obstacle { phase: Phase::Connect, cause, transcript: String::new() }
}
