//! How fast merge jobs are, and how much room they take, on the machine at hand:
//! `cargo test --release -- --ignored --nocapture merge::measure`.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    domain::{attempt::Fate, merge::MergeRecipient, reply::Reply, time::Timestamp},
    storage::{
        Acceptance, SharedStorage,
        contract::samples::{self, attempt_of, mark_of, merge_submission, sample_merge, settlement_of},
        sled::tests::open_plain,
    },
};

const MESSAGES: u32 = 1_000_000;
const RECIPIENTS_PER_CALL: u32 = 5_000;
const STRETCH: Duration = Duration::from_secs(10);

fn recipient(index: u32) -> MergeRecipient {
    MergeRecipient {
        address: format!("customer{index:07}@example.co.jp").parse().unwrap(),
        name: None,
        values: vec![Some(format!("Customer {index}"))],
    }
}

fn bytes_in(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let bytes = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => bytes_in(&entry.path()),
        false => entry.metadata().unwrap().blocks() * 512,
    });
    bytes.sum()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn drain(store: &SharedStorage, at_once: usize) -> (u64, Duration) {
    let tenure = Arc::new(store.take_tenure(&samples::account_id("sales")).await.unwrap());
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < STRETCH {
        let now = Timestamp::from_millis(u64::MAX / 2);
        let ready = store.ready(&tenure.account, &HashSet::new(), at_once, now).await.unwrap();
        let keys: Vec<_> = ready.messages.iter().map(|entry| entry.message).collect();
        assert_eq!(store.consign(&keys).await.unwrap().len(), keys.len());
        let mut tasks = tokio::task::JoinSet::new();
        for part in keys.chunks(10) {
            let (store, tenure, part) = (store.clone(), Arc::clone(&tenure), part.to_vec());
            tasks.spawn(async move {
                let marks = part.iter().map(|key| mark_of(*key, now)).collect();
                store.mark_in_doubt(&tenure, marks).await.unwrap();
                let settled = part.iter().map(|key| {
                    let mut attempt = attempt_of(key.index, 1, Fate::Submitted, now);
                    let text = format!("250 2.0.0 Ok: queued as 4bXyZ{:08X}", key.index);
                    let reply = Reply::from_lines(&text).unwrap();
                    attempt.outcomes[0].finding.response = crate::domain::attempt::Response::Replied(reply);
                    settlement_of(*key, Some(attempt), now)
                });
                store.settle(&tenure, settled.collect()).await.unwrap();
                part.len() as u64
            });
        }
        while let Some(one) = tasks.join_next().await {
            done += one.unwrap();
        }
    }
    (done, started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures the machine"]
async fn how_fast_and_how_large_merges_are() {
    let dir = tempfile::tempdir_in(std::env::var("HIKYAKU_MEASURE_DIR").unwrap_or("/var/tmp".into())).unwrap();
    let store: SharedStorage = open_plain(dir.path());
    store.create_account(samples::sample_account("sales")).await.unwrap();
    let (bytes, kib) = (bytes_in(dir.path()), resident_kib());
    let job = sample_merge("sales", 1, MESSAGES);
    let mut staging = Duration::ZERO;
    for first in (0..MESSAGES).step_by(RECIPIENTS_PER_CALL as usize) {
        let recipients = (first..first + RECIPIENTS_PER_CALL).map(recipient).collect();
        let started = Instant::now();
        store.stage(job.id, first, recipients).await.unwrap();
        staging += started.elapsed();
    }
    let started = Instant::now();
    assert_eq!(store.accept_merge(merge_submission(job)).await.unwrap(), Acceptance::Accepted);
    let per_message = |bytes: u64| bytes as f64 / f64::from(MESSAGES);
    println!("stage: {:.0} recipients/s", f64::from(MESSAGES) / staging.as_secs_f64());
    println!("accept: {:?}", started.elapsed());
    println!("disk: {:.1} B per recipient", per_message(bytes_in(dir.path()) - bytes));
    println!("memory: {:.1} B per recipient", per_message((resident_kib() - kib) * 1_024));
    for at_once in [64, 256] {
        let (messages, took) = drain(&store, at_once).await;
        println!("mark and settle, {at_once} at once: {:.0}/s", messages as f64 / took.as_secs_f64());
    }
    println!("disk after that: {:.1} B per recipient", per_message(bytes_in(dir.path()) - bytes));
    drop(store);
    let started = Instant::now();
    drop(open_plain(dir.path()));
    println!("open: {:?}", started.elapsed());
}
