//! One message, one provider: from a queued job to what its recipients met.
//!
//! The rule of the house is kept here: the final dot is not sent before the in-doubt mark is durable.

use std::sync::Arc;

use super::{
    Context,
    exchange::{Judge, Sorted},
    sessions::OpenSession,
};
use crate::{
    accounts::live::LiveAccount,
    domain::{
        account::InDoubtPolicy,
        ids::MessageKey,
        job::Tries,
        ledger::Charge,
        mail::{Envelope, Message},
        time::Timestamp,
        verdict::{Phase, Verdict},
    },
    policy::assess::{Connection, Met},
    storage::{
        Consignment, Content, StorageError, Tenure, TenureError,
        settlement::{Mark, MarkOutcome},
    },
    wire::smtp::{Abandoned, EnvelopeFailure, EnvelopeReplies, Obstacle, Session},
};

/// A message to be handed to the provider.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) context: Context,
    pub(super) account: LiveAccount,
    pub(super) tenure: Arc<Tenure>,
    pub(super) message: MessageKey,
    /// How many recipients its permit is for.
    pub(super) recipients: u32,
    /// What the mark charges to the quotas.
    pub(super) charges: Vec<Charge>,
    /// An idle connection, if there is one.
    pub(super) session: Option<OpenSession>,
}

/// What comes back from an errand.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) message: MessageKey,
    /// The connection, when it can be used again.
    pub(super) session: Option<OpenSession>,
    /// Whether the in-doubt mark, and with it the charges, was stored.
    pub(super) marked: bool,
    pub(super) result: ErrandResult,
}

/// What became of an errand.
#[derive(Debug)]
pub(super) enum ErrandResult {
    /// The job no longer exists, no longer waits, or waits with other recipients.
    Changed,
    /// The job's time has run out.
    Expired,
    /// The daemon stops; nothing was sent.
    Stopped,
    /// A caller withdrew the job before its final dot; nothing was sent.
    Withdrawn,
    /// No connection came about.
    Obstructed { obstacle: Obstacle, started: Timestamp },
    /// The provider was asked.
    Tried(Box<Trial>),
    /// The job or its message cannot be read; nothing was sent.
    Unreadable(StorageError),
    /// The store failed, or another worker has taken the account over; nothing was sent.
    StoreFailed(TenureError),
}

/// What the provider was asked and said.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) message: MessageKey,
    pub(super) tries: Tries,
    pub(super) connection: Connection,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) met: Vec<Met>,
}

/// A result before its bookkeeping is added.
type Ended = Result<Trial, ErrandResult>;

impl Errand {
    /// Runs the errand to its end.
    pub(super) async fn run(mut self) -> Return {
        let mut marked = false;
        let mut session = self.session.take();
        let result = match self.deliver(&mut session, &mut marked).await {
            Ok(trial) => ErrandResult::Tried(Box::new(trial)),
            Err(result) => result,
        };
        let session = session.filter(|open| open.session.is_ready());
        Return { message: self.message, session, marked, result }
    }

    async fn deliver(&self, session: &mut Option<OpenSession>, marked: &mut bool) -> Ended {
        let consignment = self.consignment().await?;
        let started = self.context.clock.now();
        let tries = consignment.tries;
        if tries.expires_at.is_some_and(|expiry| expiry <= started) {
            return Err(ErrandResult::Expired);
        }
        let open = match session {
            Some(open) => open,
            None => session.insert(self.open(started).await?),
        };
        let connection = open.connection();
        let met = self.transact(open, &consignment, started, marked).await?;
        open.carried();
        if met.iter().any(|met| met.ruling.verdict == Verdict::RetryOnNewConnection) {
            open.retire();
        }
        Ok(Trial { message: self.message, tries, connection, started, ended: self.context.clock.now(), met })
    }

    async fn consignment(&self) -> Result<Consignment, ErrandResult> {
        let found = self.context.storage.consign(&[self.message]).await.map_err(|error| match error {
            error if error.is_fatal() => ErrandResult::StoreFailed(error.into()),
            error => ErrandResult::Unreadable(error),
        })?;
        let is_as_seen = |consignment: &Consignment| consignment.recipients.len() == self.recipients as usize;
        found.into_iter().next().filter(is_as_seen).ok_or(ErrandResult::Changed)
    }

    async fn open(&self, started: Timestamp) -> Result<OpenSession, ErrandResult> {
        let connect = async {
            let slot = Arc::clone(&self.context.connections).acquire_owned().await;
            let slot = slot.map_err(|_| ErrandResult::Stopped)?;
            let session = Session::open(&self.account.provider, &*self.context.dial).await;
            let session = session.map_err(|obstacle| ErrandResult::Obstructed { obstacle, started })?;
            Ok(OpenSession::new(session, self.account.etag(), slot))
        };
        tokio::select! {
            biased;
            () = self.context.stopping.cancelled() => Err(ErrandResult::Stopped),
            opened = connect => opened,
        }
    }

    /// One transaction: envelope, mark, message.
    async fn transact(
        &self,
        open: &mut OpenSession,
        consignment: &Consignment,
        started: Timestamp,
        marked: &mut bool,
    ) -> Result<Vec<Met>, ErrandResult> {
        let Consignment { recipients, envelope, content, .. } = consignment;
        let Content::Composed(message) = content else { return Err(ErrandResult::Changed) };
        let judge = Judge { rules: &self.context.rules, provider: self.account.settings().server.provider };
        let mark = self.mark(consignment, started);
        let asked = match self.account.settings().in_doubt {
            // To send again what was never sent harms nobody: the mark is written while the envelope travels.
            InDoubtPolicy::Resend => {
                let (asked, set) = tokio::join!(self.ask(open, envelope, message), self.set_mark(mark));
                *marked = set?;
                asked?
            }
            // Here each mark may cost an operator's time: it is set only when nothing but the message is left to send.
            InDoubtPolicy::Hold => {
                let asked = self.ask(open, envelope, message).await?;
                if !asked.as_ref().is_ok_and(EnvelopeReplies::may_send_message) {
                    return Ok(self.without_message(open, &judge, recipients, asked).await);
                }
                *marked = self.set_mark(mark).await?;
                asked
            }
        };
        if !*marked {
            self.close(open).await;
            return Err(ErrandResult::Withdrawn);
        }
        if self.context.stopping.is_cancelled() {
            self.close(open).await;
            return Err(ErrandResult::Stopped);
        }
        match asked {
            Ok(replies) if replies.may_send_message() => {
                let Sorted { accepted, mut met } = judge.sort(recipients, &replies);
                met.push(match open.session.message(message).await {
                    Ok(reply) => judge.replied(accepted, Phase::EndOfData, &reply),
                    Err(broken) => judge.broke(accepted, &broken),
                });
                Ok(met)
            }
            other => Ok(self.without_message(open, &judge, recipients, other).await),
        }
    }

    /// Sends the envelope, unless the daemon stops meanwhile. A session that is left in the midst is of no more use.
    async fn ask(
        &self,
        open: &mut OpenSession,
        envelope: &Envelope,
        message: &Message,
    ) -> Result<Result<EnvelopeReplies, EnvelopeFailure>, ErrandResult> {
        tokio::select! {
            biased;
            () = self.context.stopping.cancelled() => Err(ErrandResult::Stopped),
            asked = open.session.envelope(envelope, message) => Ok(asked),
        }
    }

    /// What was met when the envelope was not accepted; the session is made ready for the next one.
    async fn without_message(
        &self,
        open: &mut OpenSession,
        judge: &Judge<'_>,
        recipients: &[u32],
        asked: Result<EnvelopeReplies, EnvelopeFailure>,
    ) -> Vec<Met> {
        match asked {
            Ok(replies) => {
                if let Ok(Abandoned::EmptyMessageTaken(reply)) = open.session.abandon().await {
                    tracing::warn!(message = %self.message, %reply, "the server took an empty message to nobody");
                }
                judge.sort(recipients, &replies).met
            }
            Err(EnvelopeFailure::NotOffered(needed)) => vec![judge.not_offered(recipients.to_vec(), needed)],
            Err(EnvelopeFailure::Broken(broken)) => judge.sort_broken(recipients, &broken),
        }
    }

    fn mark(&self, consignment: &Consignment, started: Timestamp) -> Mark {
        Mark {
            message: self.message,
            attempt: consignment.tries.made.saturating_add(1),
            recipients: consignment.recipients.clone(),
            started,
            since: self.context.clock.now(),
            charges: self.charges.clone(),
        }
    }

    async fn set_mark(&self, mark: Mark) -> Result<bool, ErrandResult> {
        let outcomes = self.context.storage.mark_in_doubt(&self.tenure, vec![mark]).await;
        let outcomes = outcomes.map_err(ErrandResult::StoreFailed)?;
        Ok(outcomes.first() == Some(&MarkOutcome::Marked))
    }

    async fn close(&self, open: &mut OpenSession) {
        // Whatever abandoning says, nothing was sent to anybody.
        drop(open.session.abandon().await);
    }
}
