//! What comes back of the messages of merge jobs, and what is found out about those in doubt.

use super::{open::OpenMerge, outcomes::place_of};
use crate::{
    domain::{
        event::JobChange, ids::MessageKey, inbound::Effect, merge::progress::MergeOutcome, report::Report,
        time::Timestamp,
    },
    storage::{
        StorageError,
        settlement::Doubt,
        sled::{disk::readable, jobs::job_event, txn::Txn},
    },
};

impl OpenMerge {
    /// Writes down what came back of a message.
    pub(in crate::storage::sled) fn report(
        &mut self,
        txn: &mut Txn,
        index: u32,
        report: Report,
        now: Timestamp,
    ) -> Result<Effect, StorageError> {
        let Some(mut known) = self.tried(txn, index)? else { return Ok(Effect::None) };
        let change = JobChange::Reported { recipient: index, kind: report.kind, reason: report.reason };
        let effect = self.stored.job.report_message(&mut known, report);
        if matches!(effect, Effect::Bounced | Effect::Complained) {
            self.note(txn, index, known);
        }
        if matches!(effect, Effect::Bounced | Effect::Complained | Effect::Noted) {
            let flight = self.progress().flight();
            txn.event(job_event(&self.stored.job, change, flight, now));
        }
        Ok(effect)
    }

    /// Ends the doubt about a message; false when there is none since that time.
    pub(in crate::storage::sled) fn resolve_doubt(
        &mut self,
        txn: &mut Txn,
        doubt: Doubt,
        found: bool,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let index = doubt.message.index;
        let Some(mut known) = self.tried(txn, index)? else { return Ok(false) };
        let is_it = known.state.doubtful_since() == Some(doubt.since);
        if !is_it || !self.stored.job.resolve_message(&mut known, found, now) {
            return Ok(false);
        }
        let message = MessageKey { job: self.id(), index };
        txn.put_retry(message, known.state.is_pending().then_some(known.due));
        self.note(txn, index, known);
        self.refresh(txn)?;
        let flight = self.progress().flight();
        let change = JobChange::Reconciled { message: index, found };
        txn.event(job_event(&self.stored.job, change, flight, now));
        Ok(true)
    }

    /// What is known of a message that was tried, as far as it can be read.
    fn tried(&mut self, txn: &Txn, index: u32) -> Result<Option<MergeOutcome>, StorageError> {
        let progress = self.progress();
        if index >= progress.messages || progress.untouched.contains(index) {
            return Ok(None);
        }
        let (page, place) = place_of(index);
        let read = self.page(txn, page).map(|page| page.outcomes.get(&place).cloned());
        readable(read)
    }
}
