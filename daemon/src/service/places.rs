//! How many calls of a kind may be under way at once, over all callers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::status::Refusal;

/// A place for one more call, held until it is dropped.
pub(super) fn place(places: &Arc<Semaphore>, kind: &'static str) -> Result<OwnedSemaphorePermit, Refusal> {
    Arc::clone(places).try_acquire_owned().map_err(|_| Refusal::TooMany(kind))
}
