//! Whether suppressions, recipients that are held back and counts survive copies and damage, and what counting costs.

use std::{sync::Arc, time::Instant};

use super::{
    SledStore,
    keys::{Family, Key, ListKey},
    suppressions::suppression_key,
    tests::open_plain,
    txn::Txn,
    writer::{CHANGES_PER_COMMIT_MAX, Patience, Weight},
};
use crate::{
    domain::{
        ids::MessageKey,
        statistics::{Counted, Counts, StatisticsGroup},
        suppression::{SoftBounce, Suppression, SuppressionScope},
    },
    storage::{
        AccountStore, Groups, JobStore, PAGE_MAX, Period, Progress, Queue, SharedStorage, StatisticsQuery,
        StatisticsStore, StoreCare, SuppressionFilter, SuppressionPage, SuppressionStore,
        contract::samples::{
            self, account_id, at, job_id,
            lists::{accepted, domain, omission, suppression},
            sample_job, sample_merge,
        },
    },
};

struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

const TARO: &str = "taro@example.com";

/// A store in which a recipient and a message of a merge job are held back, a run of bounces has begun, and hours are counted.
async fn filled(path: &std::path::Path) -> Arc<SledStore> {
    let store = open_plain(path);
    store.create_account(samples::sample_account("sales")).await.unwrap();
    let mut given = samples::submission(sample_job("sales", 1));
    given.counted = vec![accepted(StatisticsGroup::All, 1), accepted(domain("example.com"), 1)];
    JobStore::accept(&*store, vec![given]).await.unwrap();
    let shared: SharedStorage = store.clone();
    samples::accept_merge(&shared, sample_merge("sales", 2, 3)).await;
    let message = MessageKey { job: job_id(2), index: 1 };
    let user = suppression(SuppressionScope::Global, "user1@example.com");
    let taro = Suppression { expires_at: Some(at(9_000)), ..suppression(SuppressionScope::Global, TARO) };
    store.suppress(vec![user, taro]).await.unwrap();
    let tenure = store.take_tenure(&account_id("sales")).await.unwrap();
    let omissions =
        vec![omission(MessageKey::only(job_id(1)), &[(0, TARO)], 5), omission(message, &[(1, "user1@example.com")], 5)];
    store.leave_out(&tenure, omissions).await.unwrap();
    let then = suppression(SuppressionScope::Account(account_id("sales")), TARO);
    let bounce = SoftBounce { then, run_max: 2, within: std::time::Duration::from_secs(60) };
    store.writer.commit(WEIGHT, Patience::Wait, move |txn| txn.count_soft_bounce(&bounce, at(6))).await.unwrap();
    store
}

const WEIGHT: Weight = Weight { changes: 1, bytes: 1_024 };

/// All that can be read of such a store, and the entries of its lists.
async fn all(store: &SledStore) -> String {
    let page = SuppressionPage { after: None, limit: PAGE_MAX, now: at(10) };
    let mut all = format!("{:?}", store.list_suppressions(&SuppressionFilter::default(), page).await.unwrap());
    for groups in [Groups::All, Groups::Domains] {
        let query = StatisticsQuery { from: at(0), to: at(10), period: Period::Hour, groups };
        all += &format!("{:?}", store.statistics(&account_id("sales"), query).await.unwrap());
    }
    for family in [Family::Suppression, Family::SoftRun, Family::Ending, Family::Held, Family::HeldBy, Family::Count] {
        let keys = store.disk.keys_with(&family.prefix()).unwrap();
        all += &format!("{:?}", keys.iter().map(|key| Key::parse(key).unwrap()).collect::<Vec<_>>());
    }
    all
}

async fn requeued(store: &SledStore, address: &str) -> u32 {
    let key = suppression(SuppressionScope::Global, address).key;
    store.lift(&key, true, at(20)).await.unwrap().unwrap().requeued
}

#[tokio::test]
async fn lists_are_exported_and_imported_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let before = all(&store).await;
    let mut lines = Vec::new();
    let count = store.export(&mut lines, &Silent).await.unwrap();
    let copy = open_plain(&dir.path().join("copy"));
    assert_eq!(copy.import(&mut lines.as_slice(), &Silent).await.unwrap(), count);
    assert_eq!(all(&copy).await, before);
    for store in [&store, &copy] {
        let findings = store.verify(&Silent).await.unwrap();
        assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
    }
    let found = copy.suppressed(&account_id("sales"), &[], &[TARO.parse().unwrap()], at(9)).await.unwrap();
    assert!(found[0].is_some(), "it is known that there is one");
    assert_eq!((requeued(&copy, TARO).await, requeued(&copy, "user1@example.com").await), (1, 1));
    drop(store);
    let store = open_plain(&dir.path().join("store"));
    assert_eq!(all(&store).await, before);
    let found = store.suppressed(&account_id("sales"), &[], &[TARO.parse().unwrap()], at(9)).await.unwrap();
    assert!(found[0].is_some(), "it is known again after a restart");
}

#[tokio::test]
async fn derived_entries_of_lists_are_mended() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let before = all(&store).await;
    let tree = &store.disk.tree;
    let derived = [Family::Ending, Family::Held];
    let keys: Vec<_> = derived.iter().flat_map(|family| store.disk.keys_with(&family.prefix()).unwrap()).collect();
    assert_eq!(keys.len(), 4);
    keys.iter().for_each(|key| drop(tree.remove(key).unwrap()));
    let of = suppression_key(&suppression(SuppressionScope::Global, TARO).key).to_bytes();
    let key = suppression(SuppressionScope::Global, "nobody@example.com").key;
    let left_over = [
        Key::List(ListKey::Ending { at: at(7), of }),
        Key::List(ListKey::Held { key: key.clone(), message: MessageKey::only(job_id(1)) }),
        Key::List(ListKey::Held { key, message: MessageKey::only(job_id(9)) }),
        Key::List(ListKey::HeldBy { message: MessageKey::only(job_id(9)) }),
    ];
    left_over.iter().for_each(|key| drop(tree.insert(key.to_bytes(), &[]).unwrap()));
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (0, 8), "{findings:?}");
    assert_eq!(all(&store).await, before);
}

#[tokio::test]
async fn a_damaged_suppression_holds_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let key = suppression(SuppressionScope::Global, TARO).key;
    for family in [Family::Suppression, Family::SoftRun, Family::Count] {
        let key = store.disk.keys_with(&family.prefix()).unwrap().remove(0);
        let mut value = store.disk.tree.get(&key).unwrap().unwrap().to_vec();
        *value.last_mut().unwrap() ^= 1;
        store.disk.tree.insert(&key, value).unwrap();
    }
    let holds = async || {
        let found = store.suppressed(&account_id("sales"), &[], &[TARO.parse().unwrap()], at(99_999)).await.unwrap();
        found[0].as_ref().is_some_and(|found| found.evidence.contains("damaged"))
    };
    assert!(holds().await);
    let findings = store.verify(&Silent).await.unwrap();
    // What ends the suppression and the run that were set aside.
    assert_eq!((findings.quarantined_count, findings.mended), (3, 2), "{findings:?}");
    assert!(holds().await);
    assert_eq!(store.verify(&Silent).await.unwrap().quarantined_count, 0);
    while store.prune(at(0), 9, at(99_999)).await.unwrap() > 0 {}
    assert!(store.suppression(&key).await.unwrap().is_some(), "it ends only when somebody takes it away");
}

/// What follows of a message of one of so many domains.
fn counted(number: usize, domains: usize) -> Vec<Counted> {
    let mut counts = Counts { submitted: 1, ..Counts::default() };
    counts.waited(std::time::Duration::from_secs(number as u64 % 90));
    let label = StatisticsGroup::Label(samples::label("spring"));
    let groups = [StatisticsGroup::All, domain(&format!("d{}.example", number % domains)), label];
    groups.map(|group| Counted { group, counts: counts.clone() }).to_vec()
}

#[tokio::test]
#[ignore = "measures the machine"]
async fn what_counting_costs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_plain(dir.path());
    for (accounts, domains) in [(1, 1), (1, 50), (1, 300), (50, 50), (500, 50)] {
        let mut micros = Vec::new();
        for _ in 0..20 {
            let count = move |txn: &mut Txn| {
                let given: Vec<_> = (0..CHANGES_PER_COMMIT_MAX).map(|number| counted(number, domains)).collect();
                let started = Instant::now();
                for (number, given) in given.iter().enumerate() {
                    txn.count(u32::try_from(number % accounts).unwrap() + 1, given, at(0));
                }
                txn.flush_counts()?;
                Ok(started.elapsed().as_micros())
            };
            micros.push(store.writer.commit(WEIGHT, Patience::Wait, count).await.unwrap());
        }
        micros.sort_unstable();
        println!("{accounts} accounts, {domains} domains: {} us for {CHANGES_PER_COMMIT_MAX} messages", micros[10]);
    }
}
