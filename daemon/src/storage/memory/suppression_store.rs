//! Suppressions as their callers see them, in the model.

use async_trait::async_trait;

use super::engine::MemoryStore;
use crate::{
    domain::{
        address::Address,
        ids::{AccountId, Label},
        suppression::{Suppression, SuppressionKey},
        time::Timestamp,
    },
    storage::{Lifted, StorageError, SuppressionFilter, SuppressionPage, SuppressionStore, Suppressions},
};

#[async_trait]
impl SuppressionStore for MemoryStore {
    async fn suppressed(
        &self,
        account: &AccountId,
        labels: &[Label],
        addresses: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError> {
        let model = self.model();
        Ok(addresses.iter().map(|address| model.suppressed(account, labels, address, now)).collect())
    }

    fn has_suppressions(&self) -> bool {
        !self.model().suppressions.all.is_empty()
    }

    async fn suppression(&self, key: &SuppressionKey) -> Result<Option<Suppression>, StorageError> {
        Ok(self.model().suppressions.all.get(key).cloned())
    }

    async fn list_suppressions(
        &self,
        filter: &SuppressionFilter,
        page: SuppressionPage,
    ) -> Result<Suppressions, StorageError> {
        Ok(self.model().list_suppressions(filter, &page))
    }

    async fn suppress(&self, suppressions: Vec<Suppression>) -> Result<Vec<bool>, StorageError> {
        self.change(|model| {
            let add = |one: Suppression| model.suppressions.all.insert(one.key.clone(), one).is_some();
            suppressions.into_iter().map(add).collect()
        })
    }

    async fn suppress_new(
        &self,
        suppressions: Vec<Suppression>,
        now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError> {
        self.change(|model| suppressions.into_iter().map(|one| model.suppress_new(one, now)).collect())
    }

    async fn lift(&self, key: &SuppressionKey, requeue: bool, now: Timestamp) -> Result<Option<Lifted>, StorageError> {
        self.change(|model| model.lift(key, requeue, now))
    }
}
