//! What callers do to merge jobs. All is done to the job at once but a retry, which looks at each message that was tried:
//! that goes step by step, each one a bounded part of a commit.

use super::{book::Opened, open::OpenMerge, outcomes::OUTCOMES_PER_PAGE};
use crate::{
    domain::{
        event::JobChange,
        ids::{AccountId, JobId, MessageKey},
        job::{Control, Schedule},
        merge::progress::Again,
        time::Timestamp,
    },
    storage::{
        Controlled, StorageError,
        sled::{
            SledStore,
            disk::readable,
            jobs::{self, job_event},
            txn::Txn,
            writer::{Patience, Weight},
        },
    },
};

/// How many pages of outcomes one step looks at.
const PAGES_PER_STEP: u32 = 128;
/// How heavy a step is for the committer.
const STEP_WEIGHT: Weight = Weight { changes: 256, bytes: 512 * 1_024 };

/// What is left to do of a retry.
#[derive(Clone, Debug)]
pub(in crate::storage::sled) struct Rest {
    job: JobId,
    account: AccountId,
    again: Again,
    /// The first page of outcomes that was not looked at.
    page: u32,
}

/// Does what a caller asks.
pub(in crate::storage::sled) fn control_merge(
    txn: &mut Txn,
    mut merge: OpenMerge,
    control: Control,
    now: Timestamp,
    rests: &mut Vec<Rest>,
) -> Result<Controlled, StorageError> {
    let flight = merge.progress().flight();
    let uncounted = merge.job().uncounted();
    let again = match merge.stored.job.control(control, flight, now) {
        Ok(again) => again,
        Err(refusal) => return Ok(Controlled::Refused(refusal)),
    };
    if let Some(again) = again
        && let Some(page) = merge.reopen(txn, again, 0)?
    {
        let (job, account) = (merge.stored.job.id, merge.stored.job.account.clone());
        rests.push(Rest { job, account, again, page });
    }
    merge.refresh(txn)?;
    txn.count(merge.account(), &merge.job().counted_since(&uncounted, None), now);
    txn.event(job_event(&merge.stored.job, JobChange::Controlled(control), flight, now));
    txn.close_merge(merge);
    Ok(Controlled::Done)
}

impl SledStore {
    /// Does the rest of a retry.
    pub(in crate::storage::sled) async fn reopen_rest(&self, rest: Rest) -> Result<(), StorageError> {
        let mut next = Some(rest);
        while let Some(rest) = next {
            let step = move |txn: &mut Txn| rest.step(txn);
            next = self.writer.commit(STEP_WEIGHT, Patience::Wait, step).await?;
        }
        Ok(())
    }
}

impl Rest {
    fn step(self, txn: &mut Txn) -> Result<Option<Self>, StorageError> {
        let Some(account) = txn.accounts.get(&self.account).map(|entry| entry.number) else {
            return Ok(None);
        };
        let Some(Opened::Merge(mut merge)) = txn.open_job(self.job, account, &self.account)? else {
            return Ok(None);
        };
        let page = merge.reopen(txn, self.again, self.page);
        txn.close_merge(merge);
        Ok(page?.map(|page| Self { page, ..self }))
    }
}

impl OpenMerge {
    /// Makes messages that were tried wait again, from a page on. Returns the page after the last one that was looked
    /// at; nothing when that was the end, or the job has ended meanwhile.
    fn reopen(&mut self, txn: &mut Txn, again: Again, from: u32) -> Result<Option<u32>, StorageError> {
        let pages = self.progress().messages.div_ceil(OUTCOMES_PER_PAGE);
        let mut seen = 0;
        for page in from..pages {
            if self.progress().has_ended() {
                return Ok(None);
            }
            let first = page * OUTCOMES_PER_PAGE;
            let end = self.progress().messages.min(first + OUTCOMES_PER_PAGE);
            if self.progress().untouched.covers(first..end) {
                continue;
            }
            if seen == PAGES_PER_STEP {
                return Ok(Some(page));
            }
            seen += 1;
            self.reopen_page(txn, again, page)?;
        }
        Ok(None)
    }

    fn reopen_page(&mut self, txn: &mut Txn, again: Again, page: u32) -> Result<(), StorageError> {
        let job = self.id();
        let read = self.page(txn, page).map(|page| Some(page.outcomes.clone()));
        for (place, mut known) in readable(read)?.unwrap_or_default() {
            let message = MessageKey { job, index: page * OUTCOMES_PER_PAGE + place };
            let old_due = known.state.is_pending().then_some(known.due);
            let is_under_way = self.progress().underway > 0 && jobs::is_marked(txn, self.account(), message)?;
            if is_under_way || !self.progress().reopen(&mut known, again) {
                continue;
            }
            if let Some(due) = old_due {
                txn.remove_retry(message, due);
            }
            txn.put_retry(message, Some(known.due));
            self.note(txn, message.index, known);
            if self.stored.job.schedule == Schedule::Idle {
                self.stored.job.schedule = Schedule::Waiting { due: again.now };
            }
        }
        Ok(())
    }
}
