//! Which keys are written while a backup is made?

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use ::sled::IVec;

/// The keys that were written since a backup began. It ends with its owner, so that a caller who leaves in the middle
/// leaves nothing behind.
#[derive(Clone, Debug)]
pub(super) struct Journal(Arc<JournalKeys>);

type JournalKeys = Mutex<HashSet<IVec>>;

impl Journal {
    /// The keys that were written since this was last asked.
    pub(super) fn take(&self) -> HashSet<IVec> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Those who want to know which keys are written, as long as they live.
#[derive(Debug, Default)]
pub(super) struct Journals(Vec<Weak<JournalKeys>>);

impl Journals {
    /// Begins a journal.
    pub(super) fn begin(&mut self) -> Journal {
        let keys = Arc::default();
        self.0.push(Arc::downgrade(&keys));
        Journal(keys)
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|journal| journal.strong_count() > 0).count()
    }

    /// Notes keys that are written.
    pub(super) fn note<'a>(&mut self, keys: impl Iterator<Item = &'a IVec> + Clone) {
        self.0.retain(|journal| journal.strong_count() > 0);
        for journal in self.0.iter().filter_map(Weak::upgrade) {
            journal.lock().unwrap_or_else(PoisonError::into_inner).extend(keys.clone().cloned());
        }
    }
}
