//! What a courier brings back: the ledger, the standing and the settlement that follow from it.

use std::time::Duration;

use super::{Worker, WorkerError, aftermath::Circumstances, learning::Learnt};
use crate::{
    delivery::{
        errand::{Addressees, ErrandResult, Return, Trial},
        exchange::Judge,
        window::{Then, Underway},
    },
    domain::{
        attempt::{Attempt, Fate, Outcome},
        ids::MessageKey,
        ledger::{self, Charge},
        parking::Parking,
        time::Timestamp,
        verdict::Phase,
    },
    policy::{
        assess::{self, Assessment, Case},
        parking::{self, Obstacle},
        quota::permit::measured,
        statistics::waited,
        tried::reasons_of,
    },
    storage::settlement::Settlement,
};

/// How long a message waits that cannot be read at present: the daemon has too many files open, say.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Worker {
    /// Takes in what a courier brings back.
    pub(super) async fn returned(&mut self, returned: Return) -> Result<(), WorkerError> {
        let Return { message, bytes, marked, result } = returned;
        let Some(mut underway) = self.window.come_back(message) else {
            debug_assert!(false, "a courier comes back once");
            return Ok(());
        };
        self.roster.came_back(underway.courier);
        if let Some(bytes) = bytes {
            self.ledger.measure(&mut underway.permit, bytes);
            underway.charges = measured(underway.charges, bytes);
        }
        match result {
            ErrandResult::Tried(trial, addressees) => self.tried(message, underway, (*trial, addressees), marked).await,
            ErrandResult::Obstructed { obstacle, started } => {
                tracing::debug!(%message, account = %self.tenure.account, %obstacle, transcript = obstacle.transcript, "no connection");
                let met = self.judge().obstructed(&obstacle);
                let learnt = self.lesson(std::slice::from_ref(&met));
                let now = self.context.clock.now();
                let obstacle = Obstacle { phase: met.phase, ruling: &met.ruling, response: &met.response };
                let parking = parking::park(&obstacle, self.standing.last(), now, self.context.entropy.chance());
                self.give_back(underway, marked);
                self.park(parking, learnt, started).await
            }
            // Without its mark one that has expired is found so when the queue is asked, and ends.
            ErrandResult::Expired | ErrandResult::Changed | ErrandResult::Withdrawn | ErrandResult::Recalled => {
                self.give_back(underway, marked);
                Ok(())
            }
            ErrandResult::Unreadable(error) if error.is_passing() => {
                // Whoever found the cause has told of it, once for all messages.
                tracing::debug!(%message, account = %self.tenure.account, %error, "the job is read again in a moment");
                self.ledger_only(underway, marked);
                self.read_again(message);
                Ok(())
            }
            ErrandResult::Unreadable(error) => {
                // The others go on; what is damaged is found and named by a check of the store.
                tracing::error!(%message, account = %self.tenure.account, %error, "the job is set aside: verify the store");
                self.ledger_only(underway, marked);
                self.window.set_aside(message);
                Ok(())
            }
            ErrandResult::StoreFailed(error) => {
                self.ledger_only(underway, marked);
                Err(error.into())
            }
        }
    }

    /// Keeps a message out of view for a moment, as nothing but its reading failed.
    fn read_again(&mut self, message: MessageKey) {
        let stopping = self.context.stopping.clone();
        self.bookings.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(READ_AGAIN_AFTER) => {}
                () = stopping.cancelled() => {}
            }
            Ok(vec![(message, Then::AskTheQueue)])
        });
    }

    fn judge(&self) -> Judge<'_> {
        Judge { rules: &self.context.rules, provider: self.account.settings().server.provider }
    }

    /// What the provider said, for the job, the ledger and the account.
    async fn tried(
        &mut self,
        message: MessageKey,
        underway: Underway,
        (trial, addressees): (Trial, Addressees),
        marked: bool,
    ) -> Result<(), WorkerError> {
        let Trial { tries, connection, started, ended, met, provider_id } = trial;
        let learnt = self.lesson(&met);
        let circumstances = Circumstances {
            message,
            addressees,
            reasons: reasons_of(&self.context.rules, &met),
            waited: waited(tries, underway.candidate.due, ended),
            provider_id,
        };
        let case = Case {
            tries,
            settings: self.account.settings(),
            connection,
            started,
            ended,
            earlier: self.standing.last(),
            chance: self.context.entropy.chance(),
        };
        // Up to the final dot a provider has taken nothing that it could count.
        let may_have_counted = met.iter().any(|met| met.phase == Phase::EndOfData);
        let handed_over = met.iter().any(|met| met.phase >= Phase::Data);
        let was_answered = met.iter().any(|met| met.response.reply().is_some());
        let (attempt, retry_at, parking) = match assess::assess(&case, met) {
            Assessment::Counts { attempt, retry_at, parking } => (Some(attempt), retry_at, parking),
            Assessment::DoesNotCount { parking } => (None, ended, parking),
        };
        let taken = attempt.as_ref().is_some_and(took_something);
        attempt.iter().for_each(|attempt| self.log(message, attempt));
        self.pacing.sent(ended);
        let aftermath = attempt.as_ref().map(|attempt| self.aftermath(attempt, circumstances));
        let charges = match &attempt {
            Some(attempt) => self.charge(underway, attempt, ended, marked),
            None if may_have_counted => self.charge_in_full(underway, ended, marked),
            None => self.returned_charges(underway, marked),
        };
        if attempt.is_some() || marked || handed_over {
            let now = ended;
            self.unsettled.push(Settlement { message, attempt, retry_at, charges, now, handed_over, aftermath });
        } else {
            self.owe(charges);
            self.window.reopen(message, Then::AskTheQueue);
        }
        if taken {
            self.standing.succeeded();
        }
        if was_answered && let Some(standing) = self.standing.reached() {
            self.report(standing).await?;
        }
        self.park(parking, learnt, started).await
    }

    /// What an attempt costs: its message, and the recipients that were not refused at RCPT.
    fn charge(&mut self, mut underway: Underway, attempt: &Attempt, ended: Timestamp, marked: bool) -> Vec<Charge> {
        let refused = |outcome: &&Outcome| outcome.fate == Fate::Failed && outcome.finding.phase <= Phase::Rcpt;
        let kept = attempt.outcomes.iter().filter(|outcome| !refused(outcome));
        let recipients: usize = kept.map(|outcome| outcome.recipients.len()).sum();
        self.ledger.narrow(&mut underway.permit, u32::try_from(recipients).unwrap_or(u32::MAX));
        self.charge_in_full(underway, ended, marked)
    }

    fn charge_in_full(&mut self, underway: Underway, ended: Timestamp, marked: bool) -> Vec<Charge> {
        // A reply of before a leap of the clock is as old as the leap.
        let replied_at = ended.max(self.leapt_at.min(self.context.clock.now()));
        let charges = self.ledger.settle(underway.permit, replied_at);
        with_unstored_mark(charges, underway.charges, marked)
    }

    /// Ends an errand on which nothing was sent: its mark, if it was set, is taken away.
    fn give_back(&mut self, underway: Underway, marked: bool) {
        let message = underway.candidate.message;
        let charges = self.returned_charges(underway, marked);
        if marked {
            let now = self.context.clock.now();
            self.unsettled.push(Settlement { message, ..Settlement::of_charges(charges, now) });
        } else {
            self.owe(charges);
            self.window.reopen(message, Then::AskTheQueue);
        }
    }

    /// Corrects the ledger for an errand on which nothing was sent.
    fn ledger_only(&mut self, underway: Underway, marked: bool) {
        let charges = self.returned_charges(underway, marked);
        self.owe(charges);
    }

    fn returned_charges(&mut self, underway: Underway, marked: bool) -> Vec<Charge> {
        let charges = self.ledger.give_back(underway.permit);
        with_unstored_mark(charges, underway.charges, marked)
    }

    pub(super) fn owe(&mut self, charges: Vec<Charge>) {
        self.owed.extend(charges);
        self.owed = ledger::sum(std::mem::take(&mut self.owed));
    }

    async fn park(
        &mut self,
        parking: Option<Parking>,
        learnt: Option<Learnt>,
        started: Timestamp,
    ) -> Result<(), WorkerError> {
        let now = self.context.clock.now();
        let Some(mut parking) = parking.filter(|_| self.standing.may_park(started)) else {
            return Ok(());
        };
        if let Some(learnt) = learnt {
            parking = self.learn(parking, learnt, now).await?;
        }
        let Some(standing) = self.standing.park(parking, started, now) else {
            return Ok(());
        };
        self.window.forget_waiting();
        self.roster.dismiss();
        self.report(standing).await
    }

    /// One line for each attempt, at the level at which its worst part deserves to be read.
    fn log(&self, message: MessageKey, attempt: &Attempt) {
        for outcome in &attempt.outcomes {
            let code = outcome.finding.response.reply().map(crate::domain::reply::Reply::code);
            let what = match outcome.fate {
                Fate::Submitted => "submitted",
                Fate::Deferred => "deferred",
                Fate::Failed => "failed",
                Fate::GivenUp => "given up",
                Fate::LeftInDoubt => "left in doubt",
            };
            let reply = match outcome.finding.response.reply() {
                Some(reply) => reply.to_string(),
                None => outcome.finding.response.text().to_owned(),
            };
            tracing::info!(
                %message, account = %self.tenure.account, attempt = attempt.number, phase = %outcome.finding.phase, code,
                recipients = outcome.recipients.len(), reply, "{what}"
            );
        }
    }
}

/// The charges as the store needs them: they take a mark back that it only saw when `marked`.
fn with_unstored_mark(mut charges: Vec<Charge>, mark: Vec<Charge>, marked: bool) -> Vec<Charge> {
    if !marked {
        charges.extend(mark);
    }
    ledger::sum(charges)
}

fn took_something(attempt: &Attempt) -> bool {
    attempt.outcomes.iter().any(|outcome| outcome.fate == Fate::Submitted)
}
