//! Merge jobs in the model: what is staged, and what becomes of each message.

use std::sync::Arc;

use super::model::{Model, Stored, StoredJob};
use crate::{
    domain::{
        attempt::Attempt,
        event::JobChange,
        ids::JobId,
        job::{Audience, Flight, Schedule},
        mail::Message,
        merge::{MergeRecipient, MergeTemplate, MessageClass, progress::Again, progress::MergeOutcome},
        time::Timestamp,
    },
    storage::{
        Acceptance, Consignment, MERGE_SCAN_RECIPIENTS_MAX, MergeMessage, MergeMessages, MergeSubmission, PAGE_MAX,
        RecipientPage, STAGED_JOBS_MAX, StorageError,
    },
};

impl Model {
    pub(super) fn stage(
        &mut self,
        job: JobId,
        first: u32,
        recipients: Vec<MergeRecipient>,
    ) -> Result<(), StorageError> {
        if !self.staged.contains_key(&job) && self.staged.len() >= STAGED_JOBS_MAX {
            return Err(StorageError::Overloaded("too many merge jobs are coming in"));
        }
        let staged = self.staged.get(&job).map_or(0, Vec::len);
        if staged != first as usize {
            return Err(StorageError::Overloaded("the recipients before these are not staged (any more)"));
        }
        self.staged.entry(job).or_default().extend(recipients);
        Ok(())
    }

    pub(super) fn accept_merge(&mut self, submission: MergeSubmission) -> Result<Acceptance, StorageError> {
        let MergeSubmission { job, template, idempotency, counted } = submission;
        let recipients = self.staged.remove(&job.id).unwrap_or_default();
        if job.merge().is_none_or(|progress| progress.messages as usize != recipients.len()) {
            return Err(StorageError::Overloaded("the recipients of the merge job are not staged (any more)"));
        }
        let content = Stored::Merge { template: Arc::new(template), recipients, outcomes: Default::default() };
        Ok(self.accept_job(job, content, idempotency, &counted))
    }
}

impl StoredJob {
    pub(super) fn message(&self) -> Option<Message> {
        match &self.content {
            Stored::Plain(message) => Some(message.clone()),
            Stored::Merge { .. } => None,
        }
    }

    pub(super) fn template(&self) -> Option<Arc<MergeTemplate>> {
        match &self.content {
            Stored::Plain(_) => None,
            Stored::Merge { template, .. } => Some(Arc::clone(template)),
        }
    }

    fn known(&self, index: u32) -> Option<&MergeOutcome> {
        match &self.content {
            Stored::Plain(_) => None,
            Stored::Merge { outcomes, .. } => outcomes.get(&index),
        }
    }

    /// The messages that would be tried if the job were not held, and when each is due: those that were tried before,
    /// then the untouched ones.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        let mut waiting = Vec::new();
        match (&self.job.audience, &self.content) {
            (Audience::Each(progress), Stored::Merge { outcomes, .. }) => {
                let tried = outcomes.iter().filter(|(index, known)| progress.waits(**index, Some(known)));
                waiting.extend(tried.map(|(index, known)| (*index, known.due)));
                waiting.sort_by_key(|(index, due)| (*due, *index));
                let untouched = progress.untouched.iter().filter(|_| !progress.has_ended());
                waiting.extend(untouched.map(|index| (index, progress.due)));
            }
            _ => waiting.extend(self.job.due().map(|due| (0, due))),
        }
        waiting.retain(|(index, _)| !self.marks.contains_key(index));
        waiting.into_iter()
    }

    pub(super) fn reschedule(&mut self) {
        let tried = self.waiting().filter(|(index, _)| self.known(*index).is_some());
        let first_retry = tried.map(|(_, due)| due).min();
        self.job.reschedule_merge(first_retry);
    }

    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        let may_end = match &self.job.audience {
            Audience::Together(_) => self.marks.is_empty(),
            Audience::Each(progress) => progress.tally.waiting > progress.underway,
        };
        may_end && self.job.schedule != Schedule::Idle && self.job.has_expired(now)
    }

    pub(super) fn consign(&self, index: u32) -> Option<Consignment> {
        match &self.content {
            Stored::Plain(message) => (index == 0).then(|| Consignment::of(&self.job, message.clone())).flatten(),
            Stored::Merge { template, recipients, .. } => {
                let recipient = recipients.get(index as usize)?.clone();
                Consignment::of_merge(&self.job, index, self.known(index), Arc::clone(template), recipient)
            }
        }
    }

    /// Records what an attempt of one message met, and says what happened.
    pub(super) fn settle_message(
        &mut self,
        index: u32,
        was_marked: bool,
        attempt: Option<&Attempt>,
        retry_at: Timestamp,
    ) -> Option<JobChange> {
        let Stored::Merge { outcomes, .. } = &mut self.content else { return None };
        let flight = if was_marked { Flight::UnderWay } else { Flight::Grounded };
        let known = outcomes.get(&index).cloned();
        if let Some(attempt) = attempt {
            let known = self.job.settle_message(index, known, flight, attempt, retry_at);
            outcomes.extend(known.map(|known| (index, known)));
        } else if was_marked && let Audience::Each(progress) = &mut self.job.audience {
            progress.give_back(index, known.as_ref());
        }
        self.reschedule();
        attempt.map(|attempt| JobChange::attempted(index, attempt))
    }

    pub(super) fn reopen(&mut self, again: Again) {
        if let (Audience::Each(progress), Stored::Merge { outcomes, .. }) = (&mut self.job.audience, &mut self.content)
        {
            for (index, known) in outcomes {
                if !self.marks.contains_key(index) {
                    progress.reopen(known, again);
                }
            }
        }
        self.reschedule();
    }

    pub(super) fn merge_messages(&self, page: &RecipientPage) -> Option<MergeMessages> {
        let (Audience::Each(progress), Stored::Merge { recipients, .. }) = (&self.job.audience, &self.content) else {
            return None;
        };
        let first = page.after.map_or(0, |after| after.saturating_add(1));
        let limit = page.limit.clamp(1, PAGE_MAX);
        let mut found = MergeMessages { messages: Vec::new(), next: None };
        for (seen, index) in (1..=MERGE_SCAN_RECIPIENTS_MAX).zip(first..progress.messages) {
            let flight = if self.marks.contains_key(&index) { Flight::UnderWay } else { Flight::Grounded };
            let state = progress.state_of(self.known(index), flight);
            if page.classes.is_empty() || page.classes.contains(&MessageClass::of(&state)) {
                let recipient = recipients[index as usize].clone();
                found.messages.push(MergeMessage::new(index, recipient, progress, self.known(index), flight));
            }
            if found.messages.len() == limit || seen == MERGE_SCAN_RECIPIENTS_MAX {
                found.next = (index + 1 < progress.messages).then_some(index);
                break;
            }
        }
        Some(found)
    }
}
