//! Suppressions: who must not be sent to.

use async_trait::async_trait;

use super::SledStore;
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
impl SuppressionStore for SledStore {
    async fn suppressed(
        &self,
        _account: &AccountId,
        _labels: &[Label],
        addresses: &[Address],
        _now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError> {
        Ok(vec![None; addresses.len()])
    }

    async fn suppression(&self, _key: &SuppressionKey) -> Result<Option<Suppression>, StorageError> {
        Ok(None)
    }

    async fn list_suppressions(
        &self,
        _filter: &SuppressionFilter,
        _page: SuppressionPage,
    ) -> Result<Suppressions, StorageError> {
        Err(StorageError::Unfinished("not built yet".into()))
    }

    async fn suppress(&self, _suppressions: Vec<Suppression>) -> Result<Vec<bool>, StorageError> {
        Err(StorageError::Unfinished("not built yet".into()))
    }

    async fn lift(
        &self,
        _key: &SuppressionKey,
        _requeue: bool,
        _now: Timestamp,
    ) -> Result<Option<Lifted>, StorageError> {
        Err(StorageError::Unfinished("not built yet".into()))
    }
}
