//! What a worker learns of a provider that says that a quota is used up.

use super::{Worker, WorkerError};
use crate::{
    domain::{
        ledger::ObservedLimit,
        parking::{Parking, ParkingCause},
        time::Timestamp,
    },
    policy::{
        assess::Met,
        learning::{self, Lesson},
        quota::permit::Exhausted,
    },
    storage::settlement::Settlement,
};

/// A lesson, and what had been used of the quota when it was given.
#[derive(Debug)]
pub(super) struct Learnt {
    lesson: Lesson,
    used: u64,
}

impl Worker {
    /// Which quota the provider says to be used up. To be asked before what was met is charged.
    pub(super) fn lesson(&mut self, met: &[Met]) -> Option<Learnt> {
        let limits = &self.account.settings().limits;
        let rules = &self.context.rules;
        let lesson = met.iter().find_map(|met| {
            learning::lesson(limits, &met.ruling, rules.window_of(&met.ruling.rule), met.response.reply()?)
        })?;
        let used = self.ledger.settled(&lesson.key, self.context.clock.now());
        Some(Learnt { lesson, used })
    }

    /// Believes it: the quota counts as used up, which survives a restart, and the account waits until it has room.
    pub(super) async fn learn(
        &mut self,
        parking: Parking,
        Learnt { lesson, used }: Learnt,
        now: Timestamp,
    ) -> Result<Parking, WorkerError> {
        let charges = self.ledger.exhaust(&lesson.key, now);
        let key = lesson.key.clone();
        let free_at = Exhausted { key: key.clone(), until: self.ledger.free_at(&key, now) };
        let until = learning::until(&lesson, free_at.release_at(self.context.entropy.chance()), now);
        tracing::warn!(account = %self.tenure.account, ?key, used, %until, "the provider says that a quota is used up");
        let observed = ObservedLimit { key, limit: used, at: now };
        self.context.storage.observe_limit(&self.tenure, observed).await?;
        self.context.storage.settle(&self.tenure, vec![Settlement::of_charges(charges, now)]).await?;
        // One that was asked to slow down may know a longer wait than its window.
        let is_throttled = parking.cause == ParkingCause::Throttled;
        let until = parking.until.filter(|_| is_throttled).map_or(until, |throttled| throttled.max(until));
        Ok(Parking { until: Some(until), ..parking })
    }
}
