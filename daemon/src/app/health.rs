//! What the gRPC health service says: whether the daemon runs, and whether it takes jobs.

use std::time::Duration;

use hikyaku_proto::v1::job_service_server::SERVICE_NAME as JOB_SERVICE;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::HealthReporter,
};

use crate::storage::{SharedStorage, StorageError};

/// How often the store is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// The daemon as a whole, in the words of the health protocol.
const OVERALL: &str = "";

/// Says how we are. The daemon as a whole serves while its store works, so that nobody restarts it for a full disk;
/// the service of jobs serves while jobs are accepted.
#[derive(Clone, Debug)]
pub(super) struct HealthDesk {
    reporter: HealthReporter,
}

impl HealthDesk {
    /// A desk and the service that repeats what it says. Both serve from the beginning.
    pub(super) async fn open() -> (Self, HealthServer<impl Health>) {
        let (reporter, service) = tonic_health::server::health_reporter();
        let desk = Self { reporter };
        desk.say(true, true).await;
        (desk, service)
    }

    /// Repeats what the store says of itself, until it has failed: then returns why.
    pub(super) async fn follow(&self, storage: &SharedStorage) -> StorageError {
        let mut interval = tokio::time::interval(INTERVAL);
        let mut accepted = true;
        loop {
            interval.tick().await;
            let health = storage.health().await;
            if let Err(error @ StorageError::Failed(_)) = health {
                self.say(false, false).await;
                return error;
            }
            if health.is_ok() != accepted {
                accepted = health.is_ok();
                self.say(true, accepted).await;
                match health {
                    Ok(()) => tracing::info!("jobs are accepted again"),
                    Err(error) => tracing::warn!(%error, "no jobs are accepted"),
                }
            }
        }
    }

    /// Tells everybody to go elsewhere.
    pub(super) async fn close(&self) {
        self.say(false, false).await;
    }

    async fn say(&self, runs: bool, accepts: bool) {
        let status = |serves| if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(OVERALL, status(runs)).await;
        self.reporter.set_service_status(JOB_SERVICE, status(accepts)).await;
    }
}
