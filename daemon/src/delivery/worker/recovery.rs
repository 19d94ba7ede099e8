//! What a worker before this one left in doubt.

use std::time::Duration;

use super::{Worker, WorkerError};
use crate::{
    domain::time::Timestamp,
    policy::{
        assess,
        retry_schedule::{self, NextTry},
    },
    storage::settlement::{Mark, Settlement},
};

/// How long a provider may still be reading what reached it before the stop, in seconds. Quotas are counted from after
/// that, so that they are never exceeded by a message that was taken late.
const LATE_ACCEPTANCE_SECONDS: u64 = 1;

impl Worker {
    /// Settles every mark that was set and never settled: a worker before this one stopped between the final dot and
    /// the reply's commit. The account's policy says whether such a message is sent again or waits for an operator; in
    /// the ledger it counts as sent now, because the provider may have counted it as late as that.
    pub(super) async fn settle_doubts(&mut self) -> Result<(), WorkerError> {
        let marks = self.context.storage.in_doubt(&self.tenure.account).await?;
        if marks.iter().any(|mark| !mark.charges.is_empty()) {
            tokio::time::sleep(Duration::from_secs(LATE_ACCEPTANCE_SECONDS)).await;
        }
        let now = self.context.clock.now();
        let mut settlements = Vec::with_capacity(marks.len());
        for mark in marks {
            tracing::warn!(
                message = %mark.message, account = %self.tenure.account, attempt = mark.attempt, since = %mark.since,
                policy = ?self.account.settings().in_doubt, "in doubt since hikyakud stopped"
            );
            let charges = self.ledger.recover(&mark.charges, now);
            let settings = self.account.settings();
            let attempt = assess::interrupted(settings, mark.attempt, mark.recipients.clone(), mark.started, now);
            let retry_at = self.retry_after(&mark, now);
            settlements.push(Settlement {
                message: mark.message,
                attempt: Some(attempt),
                retry_at,
                charges,
                now,
                handed_over: true,
                aftermath: None,
            });
        }
        if !settlements.is_empty() {
            self.context.storage.settle(&self.tenure, settlements).await?;
        }
        Ok(())
    }

    /// When an interrupted attempt may be repeated: at once, but a job that is interrupted again and again backs off, as
    /// it may itself be what stops us.
    fn retry_after(&self, mark: &Mark, now: Timestamp) -> Timestamp {
        if mark.attempt <= 1 {
            return now;
        }
        let retry = &self.account.settings().retry;
        let chance = self.context.entropy.chance();
        match retry_schedule::after_failure(retry, mark.attempt, mark.started, now, None, chance) {
            NextTry::Again(at) => at,
            NextTry::GiveUp => now,
        }
    }
}
