//! Recipients of merge jobs that are still coming in: encoded at once, put into files part by part, referred to by
//! nothing. A file that is dropped here unaccepted is deleted; after a crash the next start does that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{ids::JobId, merge::MergeRecipient},
    storage::{
        STAGED_JOBS_MAX, StorageError,
        records::{
            merge::PartRow,
            recipients::{RECIPIENTS_PER_PAGE, write_page},
        },
        sled::{SledStore, jobs::SPOOLED_BYTES_MAX, kept_file::KeptFile},
    },
};

/// About how many bytes of pages become one file.
const PART_BYTES: usize = 1 << 20;

/// What is staged, by job.
#[derive(Debug, Default)]
pub(in crate::storage::sled) struct Staging {
    jobs: Mutex<HashMap<JobId, Arc<Mutex<Staged>>>>,
}

/// The recipients of one merge job to come.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// How many there are.
    pub(super) count: u32,
    /// Those that do not fill a page yet.
    open: Vec<MergeRecipient>,
    /// Pages that do not fill a part yet.
    pages: Vec<u8>,
    lengths: Vec<u32>,
    /// The index of the first recipient in `pages`.
    first: u32,
    /// The parts that are in files.
    pub(super) parts: Vec<Part>,
}

/// Some pages, as they will be stored.
#[derive(Debug)]
pub(super) struct Part {
    /// The index of its first recipient.
    pub(super) first: u32,
    pub(super) row: PartRow,
    /// Its file, which goes with this unless a job refers to it then.
    pub(super) file: Option<KeptFile>,
}

impl Staging {
    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Mutex<Staged>>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is staged for a job, which nobody else finds any more.
    pub(super) fn take(&self, job: JobId) -> Option<Staged> {
        let staged = self.jobs().remove(&job)?;
        Some(std::mem::take(&mut *staged.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Forgets what is staged for jobs whose ids are older.
    pub(in crate::storage::sled) fn forget_before(&self, oldest: JobId) {
        let old: Vec<_> = self.jobs().extract_if(|id, _| *id < oldest).collect();
        // Their files are deleted here, outside the lock.
        drop(old);
    }

    fn of_job(&self, job: JobId) -> Result<Arc<Mutex<Staged>>, StorageError> {
        let mut jobs = self.jobs();
        if !jobs.contains_key(&job) && jobs.len() >= STAGED_JOBS_MAX {
            return Err(StorageError::Overloaded("too many merge jobs are coming in"));
        }
        Ok(Arc::clone(jobs.entry(job).or_default()))
    }
}

impl SledStore {
    /// Blocks.
    pub(super) fn stage_recipients(
        &self,
        job: JobId,
        first: u32,
        recipients: Vec<MergeRecipient>,
    ) -> Result<(), StorageError> {
        let staged = self.staging.of_job(job)?;
        let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
        if staged.count != first {
            if staged.count == 0 {
                self.staging.take_empty(job);
            }
            return Err(StorageError::Overloaded("the recipients before these are not staged (any more)"));
        }
        staged.count += u32::try_from(recipients.len()).unwrap_or(u32::MAX - staged.count);
        let taken = staged.take_in(recipients, |pages| self.store_part(pages));
        if taken.is_err() {
            drop(staged);
            self.staging.take(job);
        }
        taken
    }

    fn store_part(&self, pages: &[u8]) -> Result<KeptFile, StorageError> {
        let pin = self.store_file(pages)?;
        Ok(KeptFile::new(pin, &self.disk, &self.shelves.files))
    }

    /// Closes what is staged: all parts, the last one in a file only when it has to be. Blocks.
    pub(super) fn finish_staged(&self, mut staged: Staged) -> Result<Vec<Part>, StorageError> {
        staged.close_page();
        if staged.parts.is_empty() && staged.pages.len() <= SPOOLED_BYTES_MAX {
            let row = PartRow { file: Vec::new(), pages: staged.pages, lengths: staged.lengths };
            return Ok(vec![Part { first: 0, row, file: None }]);
        }
        staged.close_part(&|pages: &[u8]| self.store_part(pages))?;
        Ok(staged.parts)
    }
}

impl Staging {
    /// Forgets a job for which nothing came in.
    fn take_empty(&self, job: JobId) {
        self.jobs().remove(&job);
    }
}

impl Staged {
    fn take_in(
        &mut self,
        recipients: Vec<MergeRecipient>,
        store: impl Fn(&[u8]) -> Result<KeptFile, StorageError>,
    ) -> Result<(), StorageError> {
        for recipient in recipients {
            self.open.push(recipient);
            if self.open.len() == RECIPIENTS_PER_PAGE as usize {
                self.close_page();
                if self.pages.len() >= PART_BYTES {
                    self.close_part(&store)?;
                }
            }
        }
        Ok(())
    }

    fn close_page(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let before = self.pages.len();
        write_page(&self.open, &mut self.pages);
        self.lengths.push(u32::try_from(self.pages.len() - before).unwrap_or(u32::MAX));
        self.open.clear();
    }

    fn close_part(&mut self, store: &impl Fn(&[u8]) -> Result<KeptFile, StorageError>) -> Result<(), StorageError> {
        if self.pages.is_empty() {
            return Ok(());
        }
        let file = store(&self.pages)?;
        self.pages.clear();
        let lengths = std::mem::take(&mut self.lengths);
        let pages = u32::try_from(lengths.len()).unwrap_or(u32::MAX);
        let row = PartRow { file: file.hash().to_vec(), pages: Vec::new(), lengths };
        self.parts.push(Part { first: self.first, row, file: Some(file) });
        self.first += pages * RECIPIENTS_PER_PAGE;
        Ok(())
    }
}
