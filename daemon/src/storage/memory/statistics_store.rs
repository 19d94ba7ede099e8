//! What was counted, in the model.

use async_trait::async_trait;

use super::engine::MemoryStore;
use crate::{
    domain::ids::AccountId,
    storage::{Statistics, StatisticsQuery, StatisticsStore, StorageError},
};

#[async_trait]
impl StatisticsStore for MemoryStore {
    async fn statistics(&self, account: &AccountId, query: StatisticsQuery) -> Result<Statistics, StorageError> {
        Ok(self.model().statistics(account, &query))
    }
}
