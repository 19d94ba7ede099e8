//! What a courier brings back: the ledger, the standing and the settlement that follow from it.

use super::{Worker, WorkerError};
use crate::{
    delivery::{
        courier::{ErrandResult, Return, Trial},
        exchange::Judge,
        sessions::OpenSession,
        window::Underway,
    },
    domain::{
        attempt::{Attempt, Fate},
        ids::JobId,
        ledger::Charge,
        parking::Parking,
        time::Timestamp,
    },
    policy::{
        assess::{self, Assessment, Case},
        parking::{self, Obstacle},
    },
    storage::settlement::Settlement,
};

impl Worker {
    /// Takes in what a courier brings back.
    pub(super) async fn returned(&mut self, returned: Return) -> Result<(), WorkerError> {
        let Return { job, session, marked, result } = returned;
        self.keep(session);
        let Some(underway) = self.window.come_back(job) else {
            debug_assert!(false, "a courier comes back once");
            return Ok(());
        };
        match result {
            ErrandResult::Tried(trial) => self.tried(underway, *trial, marked).await,
            ErrandResult::Obstructed { obstacle, started } => {
                tracing::debug!(%job, account = %self.tenure.account, %obstacle, transcript = obstacle.transcript, "no connection");
                let met = self.judge().obstructed(&obstacle);
                let now = self.context.clock.now();
                let obstacle = Obstacle { phase: met.phase, ruling: &met.ruling, response: &met.response };
                let parking = parking::park(&obstacle, self.standing.last(), now, self.context.entropy.chance());
                self.give_back(underway, marked);
                self.park(parking, started).await
            }
            ErrandResult::Expired => {
                self.book_expiry(job);
                self.ledger_only(underway, marked);
                Ok(())
            }
            ErrandResult::Gone | ErrandResult::Withdrawn | ErrandResult::Stopped => {
                self.give_back(underway, marked);
                Ok(())
            }
            ErrandResult::Damaged(reason) => {
                // One damaged job must not stop the others.
                tracing::error!(%job, account = %self.tenure.account, reason, "a damaged job is set aside: verify the store");
                self.ledger_only(underway, marked);
                self.window.close(job);
                Ok(())
            }
            ErrandResult::StoreFailed(error) => {
                self.ledger_only(underway, marked);
                Err(error.into())
            }
        }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { rules: &self.context.rules, provider: self.account.settings().server.provider }
    }

    fn keep(&mut self, session: Option<OpenSession>) {
        let Some(session) = session else {
            return;
        };
        let refused = self.sessions.keep(session, self.account.etag(), &self.account.settings().limits);
        self.part_with(refused);
    }

    /// What the provider said, for the job, the ledger and the account.
    async fn tried(&mut self, underway: Underway, trial: Trial, marked: bool) -> Result<(), WorkerError> {
        let Trial { job, connection, started, ended, met } = trial;
        let case = Case {
            job: &job,
            settings: self.account.settings(),
            connection,
            started,
            ended,
            earlier: self.standing.last(),
            chance: self.context.entropy.chance(),
        };
        let (attempt, retry_at, parking) = match assess::assess(&case, met) {
            Assessment::Counts { attempt, retry_at, parking } => (Some(attempt), retry_at, parking),
            Assessment::DoesNotCount { parking } => (None, ended, parking),
        };
        let taken = attempt.as_ref().is_some_and(took_something);
        if let Some(attempt) = &attempt {
            self.log(job.id, attempt);
        }
        self.pacing.sent(ended);
        let charges = self.charge(underway, attempt.as_ref(), ended, marked);
        if attempt.is_some() || marked {
            self.unsettled.push(Settlement { job: job.id, attempt, retry_at, charges, now: ended });
        } else {
            self.owed.extend(charges);
            self.window.reopen(job.id, None);
        }
        if taken && let Some(standing) = self.standing.succeeded() {
            self.report(standing).await?;
        }
        self.park(parking, started).await
    }

    /// What an attempt that reached the provider costs: its message, and the recipients that were not refused.
    fn charge(&mut self, underway: Underway, attempt: Option<&Attempt>, ended: Timestamp, marked: bool) -> Vec<Charge> {
        let Underway { mut permit, charges: mark, .. } = underway;
        if let Some(attempt) = attempt {
            let kept = attempt.outcomes.iter().filter(|outcome| outcome.fate != Fate::Failed);
            let recipients: usize = kept.map(|outcome| outcome.recipients.len()).sum();
            self.ledger.narrow(&mut permit, u32::try_from(recipients).unwrap_or(u32::MAX));
        }
        let mut charges = self.ledger.settle(permit, ended);
        if !marked {
            charges.extend(mark);
        }
        charges
    }

    /// Ends an errand on which nothing was sent: its mark, if it was set, is taken away.
    fn give_back(&mut self, underway: Underway, marked: bool) {
        let job = underway.candidate.id;
        let charges = self.returned_charges(underway, marked);
        if marked {
            let now = self.context.clock.now();
            self.unsettled.push(Settlement { job, attempt: None, retry_at: now, charges, now });
        } else {
            self.owed.extend(charges);
            self.window.reopen(job, None);
        }
    }

    /// Corrects the ledger for an errand on which nothing was sent.
    fn ledger_only(&mut self, underway: Underway, marked: bool) {
        let charges = self.returned_charges(underway, marked);
        self.owed.extend(charges);
    }

    fn returned_charges(&mut self, underway: Underway, marked: bool) -> Vec<Charge> {
        let mut charges = self.ledger.give_back(underway.permit);
        if !marked {
            // The store never saw the mark that is taken back here.
            charges.extend(underway.charges);
        }
        charges
    }

    async fn park(&mut self, parking: Option<Parking>, started: Timestamp) -> Result<(), WorkerError> {
        let now = self.context.clock.now();
        let Some(standing) = parking.and_then(|parking| self.standing.park(parking, started, now)) else {
            return Ok(());
        };
        self.window.forget_waiting();
        self.report(standing).await
    }

    /// One line for each attempt, at the level at which its worst part deserves to be read.
    fn log(&self, job: JobId, attempt: &Attempt) {
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
                %job, account = %self.tenure.account, attempt = attempt.number, phase = %outcome.finding.phase, code,
                recipients = outcome.recipients.len(), reply, "{what}"
            );
        }
    }
}

fn took_something(attempt: &Attempt) -> bool {
    attempt.outcomes.iter().any(|outcome| outcome.fate == Fate::Submitted)
}
