//! What a worker does for those who ask at the desk: it counts what others sent, and lends units of its ledger.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Worker, WorkerError};
use crate::{
    delivery::desk::{Handback, LentUnits, Request},
    domain::{job::Priority, ledger::Charge, time::Timestamp},
    policy::quota::permit::{Exhausted, Need, Permit},
    storage::{SharedStorage, Tenure, TenureError, settlement::Settlement},
};

/// A permit that was lent, and what became of it; nothing when its holder only dropped it.
pub(super) type Lent = Result<(Permit, Option<Handback>), TenureError>;

impl Worker {
    /// Answers those who ask.
    pub(super) fn serve(&mut self) {
        while let Some(request) = self.wake.request() {
            match request {
                Request::Report { used, at, answer } => self.report_usage(used, at, answer),
                Request::Take { need, answer } => self.lend(need, answer),
            }
        }
    }

    fn report_usage(&mut self, used: Need, at: Timestamp, answer: oneshot::Sender<()>) {
        let now = self.context.clock.now();
        // What was sent before a leap of the clock is as old as the leap.
        let charges = self.ledger.report(used, at.max(self.leapt_at).min(now), now);
        let (storage, tenure) = (Arc::clone(&self.context.storage), Arc::clone(&self.tenure));
        self.bookings.spawn(async move {
            store(&storage, &tenure, charges, now).await?;
            // Whoever asked may have left; what was reported counts all the same.
            let _ = answer.send(());
            Ok(Vec::new())
        });
    }

    fn lend(&mut self, need: Need, answer: oneshot::Sender<Result<LentUnits, Exhausted>>) {
        let now = self.context.clock.now();
        let mut permit = match self.ledger.permit(need, Priority::High, now) {
            Ok(permit) => permit,
            Err(exhausted) => {
                let _ = answer.send(Err(exhausted));
                return;
            }
        };
        let charges = self.ledger.mark(&mut permit, now);
        let (storage, tenure) = (Arc::clone(&self.context.storage), Arc::clone(&self.tenure));
        self.lendings.spawn(async move {
            store(&storage, &tenure, charges, now).await?;
            let (units, coming) = LentUnits::new();
            if answer.send(Ok(units)).is_err() {
                return Ok((permit, Some(Handback::Unused)));
            }
            Ok((permit, coming.await.ok()))
        });
    }

    /// Takes back what was lent.
    pub(super) fn lent_back(&mut self, lent: Lent) -> Result<(), WorkerError> {
        let (permit, handback) = lent?;
        let now = self.context.clock.now();
        let charges = match handback {
            Some(Handback::Unused) => self.ledger.give_back(permit),
            // A reply of before a leap of the clock is as old as the leap.
            Some(Handback::Used(at)) => self.ledger.settle(permit, at.max(self.leapt_at).min(now)),
            None => self.ledger.settle(permit, now),
        };
        self.owes_at_once |= !charges.is_empty();
        self.owe(charges);
        Ok(())
    }
}

async fn store(
    storage: &SharedStorage,
    tenure: &Tenure,
    charges: Vec<Charge>,
    now: Timestamp,
) -> Result<(), TenureError> {
    if charges.is_empty() {
        return Ok(());
    }
    storage.settle(tenure, vec![Settlement::of_charges(charges, now)]).await
}
