//! What was counted, by account and time.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::SledStore;
use crate::{
    domain::{
        ids::AccountId,
        statistics::{Counts, StatisticsGroup},
        time::Timestamp,
    },
    storage::{StatisticsQuery, StatisticsStore, StorageError},
};

#[async_trait]
impl StatisticsStore for SledStore {
    async fn statistics(
        &self,
        _account: &AccountId,
        _query: StatisticsQuery,
    ) -> Result<BTreeMap<(Timestamp, StatisticsGroup), Counts>, StorageError> {
        Err(StorageError::Unfinished("not built yet".into()))
    }
}
