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
        ids::JobId,
        job::Job,
        ledger::Charge,
        mail::{Envelope, Message},
        time::Timestamp,
        verdict::Phase,
    },
    policy::assess::{Connection, Met},
    storage::{
        Consignment, StorageError, Tenure, TenureError,
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
    pub(super) job: JobId,
    /// What the mark charges to the quotas.
    pub(super) charges: Vec<Charge>,
    /// An idle connection, if there is one.
    pub(super) session: Option<OpenSession>,
}

/// What comes back from an errand.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) job: JobId,
    /// The connection, when it can be used again.
    pub(super) session: Option<OpenSession>,
    /// Whether the in-doubt mark, and with it the charges, was stored.
    pub(super) marked: bool,
    pub(super) result: ErrandResult,
}

/// What became of an errand.
#[derive(Debug)]
pub(super) enum ErrandResult {
    /// The job no longer waits, or no longer exists.
    Gone,
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
    Damaged(String),
    /// The store failed, or another worker has taken the account over; nothing was sent.
    StoreFailed(TenureError),
}

/// What the provider was asked and said.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) job: Job,
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
        Return { job: self.job, session, marked, result }
    }

    async fn deliver(&self, session: &mut Option<OpenSession>, marked: &mut bool) -> Ended {
        let Consignment { job, message } = self.consignment().await?;
        let started = self.context.clock.now();
        if job.has_expired(started) {
            return Err(ErrandResult::Expired);
        }
        let open = match session {
            Some(open) => open,
            None => session.insert(self.open(started).await?),
        };
        let connection = open.connection();
        let recipients = job.pending();
        let met = self.transact(open, &job, &recipients, &message, started, marked).await?;
        open.carried();
        Ok(Trial { job, connection, started, ended: self.context.clock.now(), met })
    }

    async fn consignment(&self) -> Result<Consignment, ErrandResult> {
        let found = self.context.storage.consign(&[self.job]).await;
        let failed = |error| match error {
            StorageError::Damaged(why) => ErrandResult::Damaged(why),
            error => ErrandResult::StoreFailed(error.into()),
        };
        let consignment = found.map_err(failed)?.pop();
        consignment.filter(|consignment| consignment.job.due().is_some()).ok_or(ErrandResult::Gone)
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
        job: &Job,
        recipients: &[u32],
        message: &Message,
        started: Timestamp,
        marked: &mut bool,
    ) -> Result<Vec<Met>, ErrandResult> {
        let judge = Judge { rules: &self.context.rules, provider: self.account.settings().server.provider };
        let envelope = envelope_of(job, recipients);
        let mark = self.mark(job, recipients, started);
        let asked = match self.account.settings().in_doubt {
            // To send again what was never sent harms nobody: the mark is written while the envelope travels.
            InDoubtPolicy::Resend => {
                let (asked, set) = tokio::join!(open.session.envelope(&envelope, message), self.set_mark(mark));
                *marked = set?;
                asked
            }
            // Here each mark may cost an operator's time: it is set only when nothing but the message is left to send.
            InDoubtPolicy::Hold => {
                let asked = open.session.envelope(&envelope, message).await;
                if asked.as_ref().is_ok_and(EnvelopeReplies::may_send_message) {
                    *marked = self.set_mark(mark).await?;
                } else {
                    return Ok(self.without_message(open, &judge, recipients, asked).await);
                }
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
                    tracing::warn!(job = %self.job, %reply, "the server took an empty message to nobody");
                }
                judge.sort(recipients, &replies).met
            }
            Err(EnvelopeFailure::NotOffered(needed)) => vec![judge.not_offered(recipients.to_vec(), needed)],
            Err(EnvelopeFailure::Broken(broken)) => judge.sort_broken(recipients, &broken),
        }
    }

    fn mark(&self, job: &Job, recipients: &[u32], started: Timestamp) -> Mark {
        Mark {
            job: self.job,
            attempt: job.attempts_made.saturating_add(1),
            recipients: recipients.to_vec(),
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

fn envelope_of(job: &Job, recipients: &[u32]) -> Envelope {
    let address = |&index: &u32| {
        let recipient = usize::try_from(index).ok().and_then(|index| job.recipients.get(index));
        recipient.map(|recipient| recipient.address.clone())
    };
    Envelope { sender: job.sender.clone(), recipients: recipients.iter().filter_map(address).collect() }
}
