//! How messages of merge jobs are left out, and wait again when what held them back is taken away.

use super::{book, open::OpenMerge, outcomes::place_of};
use crate::{
    domain::{
        event::JobChange,
        ids::MessageKey,
        job::{Control, Schedule},
        recipient::RecipientState,
        suppression::{SuppressedBy, Suppression, SuppressionKey},
        time::Timestamp,
    },
    storage::{
        StorageError,
        sled::{
            disk::readable,
            jobs::{self, job_event},
            txn::Txn,
        },
    },
};

impl OpenMerge {
    /// Leaves a message out, if it waits and bears no mark.
    pub(in crate::storage::sled) fn leave_out(
        &mut self,
        txn: &mut Txn,
        index: u32,
        by: &Suppression,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let message = MessageKey { job: self.id(), index };
        let known = self.known(txn, index)?;
        let is_under_way = known.is_some() && jobs::is_marked(txn, self.account(), message)?;
        // The page of an untouched message was not read yet.
        self.page(txn, place_of(index).0)?;
        let old_due = known.as_ref().and_then(book::due_of);
        let left =
            if is_under_way { None } else { self.progress().leave_out(index, known, SuppressedBy::from(by), now) };
        let Some(left) = left else { return Ok(false) };
        if let Some(due) = old_due {
            txn.remove_retry(message, due);
        }
        self.note(txn, index, left);
        txn.put_held(message, &by.key);
        if self.progress().underway == 0 {
            self.refresh(txn)?;
        }
        let flight = self.progress().flight();
        let change = JobChange::Suppressed { recipients: vec![index] };
        txn.event(job_event(&self.stored.job, change, flight, now));
        Ok(true)
    }

    /// Lets messages wait again that a suppression held back, and says how many do.
    pub(in crate::storage::sled) fn readmit(
        &mut self,
        txn: &mut Txn,
        indexes: &[u32],
        key: &SuppressionKey,
        now: Timestamp,
    ) -> Result<u32, StorageError> {
        if self.stored.job.is_over(now) {
            return Ok(0);
        }
        let mut readmitted = 0;
        for index in indexes {
            readmitted += u32::from(self.readmit_one(txn, *index, key, now)?);
        }
        if readmitted > 0 {
            self.refresh(txn)?;
            let flight = self.progress().flight();
            txn.event(job_event(&self.stored.job, JobChange::Controlled(Control::Retry), flight, now));
        }
        Ok(readmitted)
    }

    fn readmit_one(
        &mut self,
        txn: &mut Txn,
        index: u32,
        key: &SuppressionKey,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let message = MessageKey { job: self.id(), index };
        let Some(mut known) = readable(self.known(txn, index))? else { return Ok(false) };
        let is_held = matches!(&known.state, RecipientState::Suppressed { by, .. } if by.scope == key.scope);
        if !is_held || !self.progress().readmit(&mut known, now) {
            return Ok(false);
        }
        txn.remove_held(message, key);
        txn.put_retry(message, Some(known.due));
        if self.stored.job.schedule == Schedule::Idle {
            self.stored.job.schedule = Schedule::Waiting { due: known.due };
        }
        self.note(txn, index, known);
        Ok(true)
    }
}
