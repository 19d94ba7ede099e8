//! How fast the store is, on the machine at hand: `cargo test --release -- --ignored --nocapture sled::measure`.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::tests::open_plain;
use crate::{
    domain::{attempt::Fate, ids::JobId, time::Timestamp},
    storage::{
        Acceptance, Consignment, JobStore, ReadyMessage, SharedStorage, Submission,
        contract::samples,
        settlement::{Mark, Settlement},
    },
};

const STRETCH: Duration = Duration::from_secs(3);

fn submission(number: u64) -> Submission {
    let mut job = samples::sample_job("sales", 1);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    job.id = JobId::new(job.accepted_at, random);
    let mut given = samples::submission(job);
    given.message.bytes = vec![b'x'; 1_024].into();
    given
}

async fn fill(store: &SharedStorage, callers: u64, next: &Arc<AtomicU64>) -> u64 {
    let until = Instant::now() + STRETCH;
    let before = next.load(Ordering::Relaxed);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (store, next) = (store.clone(), Arc::clone(next));
        tasks.spawn(async move {
            while Instant::now() < until {
                let given = submission(next.fetch_add(1, Ordering::Relaxed));
                assert_eq!(JobStore::accept(&*store, vec![given]).await.unwrap(), [Acceptance::Accepted]);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    next.load(Ordering::Relaxed) - before
}

async fn drain(store: &SharedStorage, couriers: usize) -> (u64, Duration) {
    let tenure = store.take_tenure(&samples::account_id("sales")).await.unwrap();
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < STRETCH {
        let now = Timestamp::from_millis(u64::MAX / 2);
        let ready = store.ready(&tenure.account, &HashSet::new(), couriers, now).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for ReadyMessage { message: key, .. } in ready.messages {
            let (store, tenure) = (store.clone(), tenure.clone());
            tasks.spawn(async move {
                let consigned = store.consign(&[key]).await.unwrap().remove(0);
                let Consignment { tries, recipients, .. } = consigned;
                let mark = Mark {
                    message: key,
                    attempt: tries.made + 1,
                    recipients,
                    started: now,
                    since: now,
                    charges: vec![],
                };
                store.mark_in_doubt(&tenure, vec![mark]).await.unwrap();
                let attempt = Some(samples::attempt(1, &[Fate::Submitted], now));
                let settled = Settlement {
                    message: key,
                    attempt,
                    retry_at: now,
                    charges: vec![],
                    now,
                    handed_over: true,
                    aftermath: None,
                };
                store.settle(&tenure, vec![settled]).await.unwrap();
            });
        }
        while let Some(one) = tasks.join_next().await {
            one.unwrap();
            done += 1;
        }
    }
    (done, started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the machine"]
async fn how_fast_jobs_come_and_go() {
    let dir = tempfile::tempdir_in(std::env::var("HIKYAKU_MEASURE_DIR").unwrap_or("/var/tmp".into())).unwrap();
    let store: SharedStorage = open_plain(Path::new(dir.path()));
    store.create_account(samples::sample_account("sales")).await.unwrap();
    let next = Arc::new(AtomicU64::new(1));
    for callers in [1, 16, 64, 256] {
        let started = Instant::now();
        let jobs = fill(&store, callers, &next).await;
        println!("accept, {callers} callers: {:.0}/s", jobs as f64 / started.elapsed().as_secs_f64());
    }
    for couriers in [64, 256] {
        let (jobs, took) = drain(&store, couriers).await;
        println!("mark and settle, {couriers} at once: {:.0}/s", jobs as f64 / took.as_secs_f64());
    }
}
