//! The merge jobs that a commit changes: each is decoded once and written once, however many messages it marks and
//! settles.

use ::sled::IVec;

use super::{
    open::{ChangedPage, OpenMerge},
    outcomes::{OutcomePage, load_page, place_of},
};
use crate::{
    domain::{
        attempt::Attempt,
        event::JobChange,
        ids::{AccountId, JobId, MessageKey},
        job::Flight,
        merge::progress::MergeOutcome,
        time::Timestamp,
    },
    storage::{
        StorageError,
        records::merge::OutcomesRow,
        settlement::Settlement,
        sled::{
            disk::readable,
            jobs::{self, StoredJob, job_event},
            keys::{Family, Key},
            txn::Txn,
        },
    },
};

/// A job that a commit is about to change.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack of one change, and most jobs are plain")]
pub(in crate::storage::sled) enum Opened {
    /// A plain one.
    Plain(StoredJob),
    /// A merge job, to be given back to [`Txn::close_merge`].
    Merge(OpenMerge),
}

impl OpenMerge {
    pub(super) fn page(&mut self, txn: &Txn, page: u32) -> Result<&mut OutcomePage, StorageError> {
        let id = self.id();
        let entry = match self.pages.entry(page) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(ChangedPage { page: load_page(txn, id, page)?, is_changed: false })
            }
        };
        Ok(&mut entry.page)
    }

    /// What is known of a message.
    pub(super) fn known(&mut self, txn: &Txn, index: u32) -> Result<Option<MergeOutcome>, StorageError> {
        let progress = self.progress();
        if index >= progress.messages || progress.untouched.contains(index) {
            return Ok(None);
        }
        let (page, place) = place_of(index);
        Ok(self.page(txn, page)?.outcomes.get(&place).cloned())
    }

    /// Notes that a message bears a mark, if it waits and may.
    pub(in crate::storage::sled) fn begin(&mut self, txn: &mut Txn, index: u32) -> Result<bool, StorageError> {
        let key = MessageKey { job: self.id(), index };
        let known = self.known(txn, index)?;
        let waits = self.stored.job.due().is_some() && self.progress().waits(index, known.as_ref());
        if !waits || known.is_some() && jobs::is_marked(txn, self.account, key)? {
            return Ok(false);
        }
        if let Some(known) = known {
            txn.remove_retry(key, known.due);
        }
        self.progress().begin(index);
        Ok(true)
    }

    /// Records what an attempt of a message met, whose mark is gone.
    pub(in crate::storage::sled) fn settle(
        &mut self,
        txn: &mut Txn,
        settlement: &Settlement,
        flight: Flight,
    ) -> Result<(), StorageError> {
        let Settlement { message, attempt, retry_at, now, .. } = settlement;
        let known = match self.known(txn, message.index) {
            Err(StorageError::Damaged(why)) => {
                tracing::error!(%message, reason = %why, "what is known of a message is damaged: its attempt is not recorded");
                let underway = &mut self.progress().underway;
                *underway = underway.saturating_sub(u32::from(flight == Flight::UnderWay));
                return Ok(());
            }
            known => known?,
        };
        let old_due = known.as_ref().and_then(due_of);
        let Some(attempt) = attempt else {
            if flight == Flight::UnderWay {
                self.progress().give_back(message.index, known.as_ref());
                txn.put_retry(*message, old_due);
            }
            return Ok(());
        };
        self.settle_attempt(txn, *message, known, flight, (attempt, *retry_at))?;
        if self.progress().underway == 0 {
            self.refresh(txn)?;
        }
        let flight = self.progress().flight();
        let change = JobChange::attempted(message.index, attempt);
        txn.event(job_event(&self.stored.job, change, flight, *now));
        Ok(())
    }

    fn settle_attempt(
        &mut self,
        txn: &mut Txn,
        message: MessageKey,
        known: Option<MergeOutcome>,
        flight: Flight,
        (attempt, retry_at): (&Attempt, Timestamp),
    ) -> Result<(), StorageError> {
        let index = message.index;
        let old_due = known.as_ref().and_then(due_of).filter(|_| flight == Flight::Grounded);
        // The page of an untouched message was not read yet.
        self.page(txn, place_of(index).0)?;
        let Some(known) = self.stored.job.settle_message(index, known, flight, attempt, retry_at) else {
            return Ok(());
        };
        if let Some(due) = old_due {
            txn.remove_retry(message, due);
        }
        txn.put_retry(message, due_of(&known));
        self.note(txn, index, known);
        Ok(())
    }

    /// Notes what is known of a message whose page was read.
    pub(super) fn note(&mut self, txn: &mut Txn, index: u32, known: MergeOutcome) {
        let message = MessageKey { job: self.id(), index };
        let (page, place) = place_of(index);
        if let Some(changed) = self.pages.get_mut(&page) {
            let after = known.state.doubtful_since();
            let before = changed.page.outcomes.insert(place, known);
            txn.move_doubt(self.account, message, before.and_then(|known| known.state.doubtful_since()), after);
            changed.is_changed = true;
        }
    }

    /// Brings the job's due time up to date.
    pub(super) fn refresh(&mut self, txn: &Txn) -> Result<(), StorageError> {
        let first_retry = txn.first_retry(self.id())?;
        self.stored.job.reschedule_merge(first_retry);
        Ok(())
    }
}

/// When a message is due that was tried and waits.
pub(super) fn due_of(known: &MergeOutcome) -> Option<Timestamp> {
    known.state.is_pending().then_some(known.due)
}

impl Txn {
    /// A job of this account that is about to change; nothing when it is gone, damaged or another account's.
    pub(in crate::storage::sled) fn open_job(
        &mut self,
        id: JobId,
        account: u32,
        owner: &AccountId,
    ) -> Result<Option<Opened>, StorageError> {
        if let Some(merge) = self.merges.open.remove(&id) {
            if merge.stored.job.account == *owner {
                return Ok(Some(Opened::Merge(merge)));
            }
            self.close_merge(merge);
            return Ok(None);
        }
        let stored = readable(jobs::load(self, id))?.filter(|stored| stored.job.account == *owner);
        Ok(stored.map(|stored| match stored.job.merge() {
            Some(_) => Opened::Merge(OpenMerge::new(account, stored)),
            None => Opened::Plain(stored),
        }))
    }

    /// Takes a merge job back, to be written when the commit is made.
    pub(in crate::storage::sled) fn close_merge(&mut self, merge: OpenMerge) {
        self.merges.open.insert(merge.id(), merge);
    }

    /// Writes the merge jobs that were changed, so that they can be read as any other record.
    pub(in crate::storage::sled) fn flush_merges(&mut self) -> Result<(), StorageError> {
        for (id, mut merge) in std::mem::take(&mut self.merges.open) {
            merge.refresh(self)?;
            for (page, changed) in &merge.pages {
                if changed.is_changed {
                    let row = OutcomesRow::new(&changed.page.outcomes);
                    self.put_row(|chunk| Key::Outcomes { job: id, page: *page, chunk }, &row, changed.page.frames);
                }
            }
            self.replace_job(merge.account, &merge.stored, &merge.before, Flight::Grounded);
            self.made.changed.insert(merge.stored.job.account.clone());
        }
        Ok(())
    }

    /// Puts a message that was tried and waits into the retry index.
    pub(in crate::storage::sled) fn put_retry(&mut self, message: MessageKey, due: Option<Timestamp>) {
        let Some(due) = due else { return };
        let MessageKey { job, index } = message;
        self.merges.added.entry(job).or_default().insert((due, index));
        self.put(IVec::from(Key::Retry { job, due, index }.to_bytes()), IVec::default());
    }

    /// Takes a message out of the retry index.
    pub(in crate::storage::sled) fn remove_retry(&mut self, message: MessageKey, due: Timestamp) {
        let MessageKey { job, index } = message;
        if let Some(added) = self.merges.added.get_mut(&job) {
            added.remove(&(due, index));
        }
        self.remove_key(&Key::Retry { job, due, index });
    }

    /// When the first message of a job is due that was tried before and bears no mark.
    fn first_retry(&self, job: JobId) -> Result<Option<Timestamp>, StorageError> {
        let added = self.merges.added.get(&job).and_then(|added| added.first()).map(|(due, _)| *due);
        for key in self.disk.tree.scan_prefix(Key::of_job(Family::Retry, job)).keys() {
            let key = self.disk.checked(key)?;
            let Some(Key::Retry { due, .. }) = Key::parse(&key) else { continue };
            if added.is_some_and(|added| added <= due) {
                break;
            }
            if self.will_have(&key) {
                return Ok(Some(due));
            }
        }
        Ok(added)
    }
}
