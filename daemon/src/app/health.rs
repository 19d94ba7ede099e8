//! What probes are told of the store: whether it works, and whether it takes jobs.

use std::time::Duration;

use crate::{
    service::routes::Health,
    storage::{SharedStorage, StorageError},
};

/// How often the store is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Repeats to probes what the store says of itself, until it has failed: then returns why.
pub(super) async fn follow(health: Health, storage: SharedStorage) -> StorageError {
    let mut interval = tokio::time::interval(INTERVAL);
    health.set_serving().await;
    let mut accepts = true;
    loop {
        interval.tick().await;
        match storage.health().await {
            Err(error @ StorageError::Failed(_)) => {
                health.set_not_serving().await;
                return error;
            }
            Ok(()) if !accepts => {
                tracing::info!("jobs are accepted again");
                health.set_serving().await;
                accepts = true;
            }
            Err(error) if accepts => {
                tracing::warn!(%error, "no jobs are accepted");
                health.set_refusing_jobs().await;
                accepts = false;
            }
            Ok(()) | Err(_) => {}
        }
    }
}
