//! The merge jobs that a commit in the making has open, as data.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::outcomes::OutcomePage;
use crate::{
    domain::{
        ids::JobId,
        job::{Audience, Flight, Job},
        merge::progress::MergeProgress,
        time::Timestamp,
    },
    storage::sled::jobs::{Before, StoredJob},
};

/// The merge jobs of a commit in the making.
#[derive(Debug, Default)]
pub(in crate::storage::sled) struct MergeBook {
    pub(super) open: HashMap<JobId, OpenMerge>,
    /// The entries of the retry index that this commit adds, by job.
    pub(super) added: HashMap<JobId, BTreeSet<(Timestamp, u32)>>,
}

/// A merge job that a commit changes.
#[derive(Debug)]
pub(in crate::storage::sled) struct OpenMerge {
    pub(super) account: u32,
    pub(super) stored: StoredJob,
    pub(super) before: Before,
    pub(super) pages: BTreeMap<u32, ChangedPage>,
}

/// A page of what is known of messages.
#[derive(Debug)]
pub(super) struct ChangedPage {
    pub(super) page: OutcomePage,
    pub(super) is_changed: bool,
}

impl MergeBook {
    /// A job that this commit has open, to be given back.
    pub(in crate::storage::sled) fn take(&mut self, job: JobId) -> Option<OpenMerge> {
        self.open.remove(&job)
    }

    /// Begins the next commit.
    pub(in crate::storage::sled) fn forget(&mut self) {
        self.added.clear();
    }
}

impl OpenMerge {
    pub(in crate::storage::sled) fn new(account: u32, stored: StoredJob) -> Self {
        let before = Before::of(account, &stored.job, Flight::Grounded);
        Self { account, stored, before, pages: BTreeMap::new() }
    }

    pub(super) fn id(&self) -> JobId {
        self.stored.job.id
    }

    pub(in crate::storage::sled) const fn job(&self) -> &Job {
        &self.stored.job
    }

    pub(in crate::storage::sled) const fn account(&self) -> u32 {
        self.account
    }

    pub(super) fn progress(&mut self) -> &mut MergeProgress {
        match &mut self.stored.job.audience {
            Audience::Each(progress) => progress,
            Audience::Together(_) => unreachable!("only merge jobs are opened as such"),
        }
    }

    /// Whether it has a message of this number.
    pub(in crate::storage::sled) fn has_message(&self, index: u32) -> bool {
        self.stored.job.merge().is_some_and(|progress| index < progress.messages)
    }
}
