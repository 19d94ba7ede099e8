//! What a store does for the routing rules.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    ids::{AccountId, Etag},
    routing::Routing,
};

/// Longest stored form of the rules, in bytes: they are one record, written as a whole and kept in memory.
pub const ROUTING_BYTES_MAX: usize = 1_024 * 1_024;

/// The routing rules.
#[async_trait]
pub trait RoutingStore: Send + Sync + fmt::Debug {
    /// The rules; none with etag 0 when they were never set.
    async fn routing(&self) -> Result<Arc<Routing>, StorageError>;

    /// Replaces the rules. `expected` is the etag that the caller has seen; `routing` carries the new one. Damaged rules
    /// are replaced whatever the caller has seen.
    ///
    /// An account that they name is not deleted: see
    /// [`AccountStore::delete_account`](super::AccountStore::delete_account).
    async fn set_routing(&self, routing: Routing, expected: Etag) -> Result<(), SetRoutingError>;
}

/// Why the rules were not replaced.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SetRoutingError {
    #[error("the rules were changed by someone else: their etag is {current} now")]
    Stale { current: Etag },
    #[error("there is no account {0}")]
    UnknownAccount(AccountId),
    #[error("the rules have {bytes} bytes, more than {ROUTING_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error(transparent)]
    Storage(#[from] StorageError),
}
