//! What is finished for long enough is forgotten, a little at a time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crate::{domain::time::Clock, storage::SharedStorage};

/// How often the store is swept.
const ROUND: Duration = Duration::from_secs(600);
/// Most records that go at once: each step is a commit that others wait for.
const STEP_RECORDS_MAX: usize = 1_000;
/// Between two steps of a round, so that mail goes first.
const PAUSE: Duration = Duration::from_millis(100);

/// How often jobs whose time has run out are ended, whether or not their account may send.
const EXPIRY_ROUND: Duration = Duration::from_secs(60);

/// Sweeps for ever: finished jobs and events go when they are older than `keep`, and overdue jobs end.
pub(super) async fn run(storage: SharedStorage, clock: Arc<dyn Clock>, keep: Duration) -> Infallible {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut expiries = tokio::time::interval(EXPIRY_ROUND);
    expiries.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = expiries.tick() => {
                expire(&storage, clock.as_ref()).await;
                continue;
            }
            _ = rounds.tick() => {}
        }
        let records = sweep(&storage, clock.as_ref(), keep).await;
        if records > 0 {
            tracing::info!(records, "old records are gone");
        }
    }
}

/// Ends the jobs that are overdue now. A store that is too busy is asked again in the next round.
async fn expire(storage: &SharedStorage, clock: &dyn Clock) {
    let now = clock.now();
    loop {
        match storage.expire_overdue(now, STEP_RECORDS_MAX).await {
            Ok(0) => return,
            Ok(jobs) => tracing::info!(jobs, "jobs have expired"),
            Err(error) => {
                tracing::warn!(%error, "overdue jobs could not be ended");
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One round; returns how many records went. A store that is too busy is swept in the next round.
async fn sweep(storage: &SharedStorage, clock: &dyn Clock, keep: Duration) -> u64 {
    let mut gone = 0;
    loop {
        let now = clock.now();
        match storage.prune(now.before(keep), STEP_RECORDS_MAX, now).await {
            Ok(0) => return gone,
            Ok(records) => gone += records,
            Err(error) => {
                tracing::warn!(%error, "old records could not be swept");
                return gone;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
