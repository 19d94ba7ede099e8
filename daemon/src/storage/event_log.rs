//! What a store does for those who follow what happens.

use std::fmt;

use async_trait::async_trait;
use tokio::sync::watch;

use super::StorageError;
use crate::domain::event::{Cursor, Event};

/// What happened, durably and in order.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug {
    /// Up to `limit` (at most [`PAGE_MAX`](super::PAGE_MAX)) events after `after`, each with the cursor that comes after it.
    async fn events(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, StorageError>;

    /// The cursor after the newest event that was pruned: from an older one, something is missing. Zero when none was.
    async fn pruned(&self) -> Result<Cursor, StorageError>;

    /// The cursor after the last durable event, and news of it whenever it grows.
    fn head(&self) -> watch::Receiver<Cursor>;
}
