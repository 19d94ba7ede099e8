//! The reference model: what a store does, in plain maps that are gone with the process.
//!
//! Nothing in it is derived: the ready order, the tallies and the states are worked out from the jobs whenever someone
//! asks. It is as slow as that sounds, and serves tests, which compare every other engine with it.

mod blobs;
mod dkim;
mod dkim_store;
mod engine;
mod event_log;
mod holdings;
mod inbound_store;
mod jobs;
mod merges;
mod model;
mod queue;
mod returns;
mod statistics;
mod statistics_store;
mod suppression_store;
mod suppressions;
mod uploaded;

pub use engine::MemoryStore;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::MemoryStore;
    use crate::storage::{
        SharedStorage,
        contract::{self, script},
    };

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    #[tokio::test]
    async fn the_model_keeps_every_rule() {
        contract::check_all(async || MemoryStore::new() as SharedStorage).await;
        contract::check_queue_full(MemoryStore::with_open_jobs_max(3), 3).await;
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_model_answers_as_itself(script in script::scripts(60)) {
            runtime().block_on(script::compare(&script, MemoryStore::new(), async |store| store));
        }
    }
}
