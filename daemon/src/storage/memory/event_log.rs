//! What happened, in memory.

use async_trait::async_trait;
use tokio::sync::watch;

use super::engine::MemoryStore;
use crate::{
    domain::event::{Cursor, Event},
    storage::{EventLog, StorageError},
};

#[async_trait]
impl EventLog for MemoryStore {
    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StorageError> {
        Ok(self.model().events_after(after, limit))
    }

    async fn pruned(&self) -> Result<Cursor, StorageError> {
        Ok(self.model().pruned)
    }

    fn head(&self) -> watch::Receiver<Cursor> {
        self.head.subscribe()
    }
}
