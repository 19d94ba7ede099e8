//! Messages one by one, by DATA: the envelope of the next goes out with the final dot of the one before.

use super::{
    super::{
        errand::{Errand, ErrandResult},
        exchange::Sorted,
        session::OpenSession,
    },
    Courier,
};
use crate::{
    domain::verdict::Phase,
    policy::assess::{Connection, Met},
    wire::smtp::{Abandoned, EnvelopeFailure, EnvelopeReplies, Session},
};

/// A message whose envelope was sent and answered.
#[derive(Debug)]
struct Leg {
    errand: Errand,
    connection: Connection,
    asked: Result<EnvelopeReplies, EnvelopeFailure>,
}

impl Courier {
    /// Carries a message, and those that are at hand when its turn to be sent comes.
    pub(super) async fn carry_each(&mut self, errand: Errand, open: &mut OpenSession) {
        let mut leg = self.ask(errand, open).await;
        while let Some(begun) = leg {
            leg = self.finish(begun, open).await;
        }
    }

    /// Sends an envelope.
    async fn ask(&mut self, errand: Errand, open: &mut OpenSession) -> Option<Leg> {
        let connection = open.wear.connection();
        let asked = tokio::select! {
            biased;
            () = self.post.dismissed.cancelled() => None,
            asked = open.session.envelope(&errand.envelope, &errand.message) => Some(asked),
        };
        let Some(asked) = asked else {
            // A session that is left in the midst is of no more use.
            self.bring_back(errand, ErrandResult::Recalled).await;
            return None;
        };
        Some(Leg { errand, connection, asked })
    }

    /// Sends a message when its envelope was accepted and its mark is durable, and with it the next envelope, if there is
    /// one.
    async fn finish(&mut self, leg: Leg, open: &mut OpenSession) -> Option<Leg> {
        let Leg { mut errand, connection, asked } = leg;
        if let Ok(replies) = &asked
            && let Some(met) = self.pop_lapsed(&errand, open, replies)
        {
            // Whatever abandoning says, nothing was sent to anybody.
            drop(open.session.abandon().await);
            let trial = self.trial(&errand, Connection::Used, met);
            self.tried(errand, trial, &mut open.wear).await;
            return None;
        }
        let asked = match asked {
            Ok(replies) if replies.may_send_message() => replies,
            refused => {
                let met = self.without_message(&mut open.session, &errand, refused).await;
                let trial = self.trial(&errand, connection, met);
                self.tried(errand, trial, &mut open.wear).await;
                return None;
            }
        };
        if let Some(result) = self.hindrance(&mut errand).await {
            // Whatever abandoning says, nothing was sent to anybody.
            drop(open.session.abandon().await);
            self.bring_back(errand, result).await;
            return None;
        }
        let Sorted { accepted, mut met } = self.judge().sort(&errand.recipients, &asked);
        let message = &errand.message;
        let Some(next) = self.companion(open).await else {
            met.push(match open.session.message(message).await {
                Ok(reply) => self.judge().replied(accepted, Phase::EndOfData, &reply),
                Err(broken) => self.judge().broke(accepted, &broken),
            });
            let trial = self.trial(&errand, connection, met);
            self.tried(errand, trial, &mut open.wear).await;
            return None;
        };
        let sequel = (&next.envelope, &next.message);
        let (reply, ahead) = open.session.message_then_envelope(message, sequel).await;
        met.push(match reply {
            Ok(reply) => self.judge().replied(accepted, Phase::EndOfData, &reply),
            Err(broken) => self.judge().broke(accepted, &broken),
        });
        let trial = self.trial(&errand, connection, met);
        self.tried(errand, trial, &mut open.wear).await;
        // A dismissal is looked at again before the message is sent.
        let asked = ahead.replies().await;
        Some(Leg { errand: next, connection: Connection::Used, asked })
    }

    /// A message whose envelope can go with the one that is about to be sent.
    async fn companion(&mut self, open: &OpenSession) -> Option<Errand> {
        let is_last = open.wear.left(&self.account.settings().limits) <= 1;
        if is_last || !open.session.offers().pipelining || self.post.dismissed.is_cancelled() {
            return None;
        }
        let errand = self.post.errands.try_recv().ok()?;
        if errand.has_expired(self.context.clock.now()) {
            self.bring_back(errand, ErrandResult::Expired).await;
            return None;
        }
        Some(errand)
    }

    /// What was met when the envelope was not accepted; the session is made ready for the next one.
    async fn without_message(
        &self,
        session: &mut Session,
        errand: &Errand,
        asked: Result<EnvelopeReplies, EnvelopeFailure>,
    ) -> Vec<Met> {
        let recipients = &errand.recipients;
        let replies = match asked {
            Ok(replies) => replies,
            Err(failure) => return self.judge().failed(recipients, failure),
        };
        if let Ok(Abandoned::EmptyMessageTaken(reply)) = session.abandon().await {
            tracing::warn!(message = %errand.key, %reply, "the server took an empty message to nobody");
        }
        self.judge().sort(recipients, &replies).met
    }
}
