//! Accounts as they were read last, so that a submission neither decodes nor unseals its account again.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::ids::AccountId,
    storage::{AccountRecord, StorageError},
};

/// Most accounts that are kept; beyond it all are forgotten, and those in use come back.
const ACCOUNTS_KEPT_MAX: usize = 1_024;

/// Accounts as they were read last.
#[derive(Debug, Default)]
pub(super) struct KnownAccounts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    records: HashMap<AccountId, AccountRecord>,
    /// Counts what was forgotten: what was read before may be of before.
    era: u64,
}

impl KnownAccounts {
    /// An account, by `read` unless it is known.
    pub(super) fn get(
        &self,
        id: &AccountId,
        read: impl FnOnce() -> Result<Option<AccountRecord>, StorageError>,
    ) -> Result<Option<AccountRecord>, StorageError> {
        let era = {
            let known = self.lock();
            if let Some(record) = known.records.get(id) {
                return Ok(Some(record.clone()));
            }
            known.era
        };
        let found = read()?;
        let mut known = self.lock();
        if let Some(record) = found.as_ref().filter(|_| known.era == era) {
            if known.records.len() >= ACCOUNTS_KEPT_MAX {
                known.records.clear();
            }
            known.records.insert(id.clone(), record.clone());
        }
        Ok(found)
    }

    /// Forgets accounts whose records have changed.
    pub(super) fn forget(&self, changed: &HashSet<AccountId>) {
        if !changed.is_empty() {
            let mut known = self.lock();
            known.era += 1;
            changed.iter().for_each(|id| drop(known.records.remove(id)));
        }
    }

    /// Forgets all accounts.
    pub(super) fn forget_all(&self) {
        let mut known = self.lock();
        known.era += 1;
        known.records.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::parking::Standing, storage::contract::samples};

    fn record() -> AccountRecord {
        AccountRecord { account: samples::sample_account("sales"), standing: Standing::Active, open_jobs: 0 }
    }

    #[test]
    fn what_changes_while_it_is_read_is_not_kept() {
        let known = KnownAccounts::default();
        let id = samples::account_id("sales");
        let read_during_a_change = || {
            known.forget(&HashSet::from([id.clone()]));
            Ok(Some(record()))
        };
        assert!(known.get(&id, read_during_a_change).unwrap().is_some());
        assert!(known.get(&id, || Ok(None)).unwrap().is_none());
        assert!(known.get(&id, || Ok(Some(record()))).unwrap().is_some());
        assert!(known.get(&id, || Ok(None)).unwrap().is_some(), "now it is known");
        known.forget_all();
        assert!(known.get(&id, || Ok(None)).unwrap().is_none());
    }
}
