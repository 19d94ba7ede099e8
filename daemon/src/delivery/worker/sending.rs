//! What a worker does with its turn: messages go to couriers, jobs end, outcomes are recorded.

use std::sync::Arc;

use super::Worker;
use crate::{
    delivery::{
        courier::Courier,
        preparation::{Assignment, Preparation},
        window::{Then, Underway},
    },
    domain::{account::EnvelopeSender, attempt::Fate, ids::MessageKey},
    storage::settlement::{Expiry, Settlement},
};

/// Most messages that are handed out together.
const DEPARTING_MAX: usize = 64;

impl Worker {
    /// Hands a job to a courier.
    pub(super) fn send(&mut self, index: usize) {
        let candidate = self.window.remove(index);
        let now = self.context.clock.now();
        let Ok(mut permit) = self.ledger.permit(candidate.need(), candidate.priority, now) else {
            // The clock has moved since dispatch was asked: it is asked again.
            self.window.distrust();
            return;
        };
        let charges = self.ledger.mark(&mut permit, now);
        self.pacing.begin(now);
        self.shares.served(candidate.priority, candidate.lane, candidate.recipients);
        let max = self.connections_max();
        let (context, account) = (&self.context, &self.account);
        let (tenure, returning, fails) = (&self.tenure, &self.returning, &self.fails_in_runs);
        let assigned = self.roster.assign(max, |post| {
            let (context, account) = (context.clone(), account.clone());
            let (tenure, returns, fails_in_runs) = (Arc::clone(tenure), returning.clone(), Arc::clone(fails));
            Courier { context, account, tenure, post, returns, fails_in_runs }.run()
        });
        let Some((courier, errands)) = assigned else {
            // All couriers have just become busy: dispatch is asked again when one comes back.
            let _ = self.ledger.give_back(permit);
            self.window.distrust();
            return;
        };
        let message = candidate.message;
        self.departing.push(Assignment {
            message,
            recipients: candidate.recipients,
            charges: charges.clone(),
            courier: errands,
        });
        self.window.depart(Underway { candidate, permit, charges, courier });
        if self.departing.len() == DEPARTING_MAX {
            self.hand_out();
        }
    }

    /// Lets the messages that have a courier go to it.
    pub(super) fn hand_out(&mut self) {
        if self.departing.is_empty() {
            return;
        }
        let preparation = Preparation {
            context: self.context.clone(),
            tenure: Arc::clone(&self.tenure),
            policy: self.account.settings().in_doubt,
            verp_base: match &self.account.settings().results.envelope_sender {
                EnvelopeSender::Verp(base) => Some(base.clone()),
                EnvelopeSender::Account | EnvelopeSender::Address(_) => None,
            },
            assignments: std::mem::take(&mut self.departing),
            renderers: Arc::clone(&self.renderers),
        };
        self.preparations.spawn(preparation.run());
    }

    /// Ends a job whose client's time has run out.
    pub(super) fn expire(&mut self, index: usize) {
        let message = self.window.remove(index).message;
        self.window.close(message);
        self.book_expiry(message);
    }

    pub(super) fn book_expiry(&mut self, message: MessageKey) {
        let job = message.job;
        let (storage, tenure) = (Arc::clone(&self.context.storage), Arc::clone(&self.tenure));
        let expiry = Expiry { job, now: self.context.clock.now() };
        tracing::info!(%job, account = %tenure.account, "expired");
        self.bookings.spawn(async move {
            storage.expire(&tenure, vec![expiry]).await?;
            Ok(vec![(message, Then::AskTheQueue)])
        });
    }

    /// Records the outcomes that have come in, together, while sending goes on.
    pub(super) fn book(&mut self) {
        let mut settlements = std::mem::take(&mut self.unsettled);
        if settlements.is_empty() && self.owes_at_once {
            // It must not wait for a message: a crash would free what was used.
            settlements.push(Settlement::of_charges(Vec::new(), self.context.clock.now()));
        }
        let Some(first) = settlements.first_mut() else {
            return;
        };
        first.charges.append(&mut self.owed);
        self.owes_at_once = false;
        let (storage, tenure) = (Arc::clone(&self.context.storage), Arc::clone(&self.tenure));
        self.bookings.spawn(async move {
            let messages = settlements.iter().map(|settlement| (settlement.message, then_of(settlement))).collect();
            storage.settle(&tenure, settlements).await?;
            Ok(messages)
        });
    }
}

/// What a settlement makes of its job.
fn then_of(settlement: &Settlement) -> Then {
    match &settlement.attempt {
        Some(attempt) if attempt.outcomes.iter().any(|outcome| outcome.fate == Fate::Deferred) => {
            Then::DueAt(settlement.retry_at)
        }
        Some(_) => Then::Done,
        None => Then::AskTheQueue,
    }
}
