//! Whether merge jobs survive restarts, copies and damage, and leave nothing behind.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use crate::{
    domain::{
        attempt::Fate,
        ids::{JobId, MessageKey},
        job::JobState,
        merge::MergeRecipient,
    },
    storage::{
        Acceptance, AccountStore, Findings, JobStore, MergeStore, PAGE_MAX, Progress, Queue, RecipientPage,
        SharedStorage, StoreCare,
        contract::samples::{
            self, accept_merge, at, attempt_of, job_id, mark_of, merge_submission, sample_merge, settlement_of,
        },
        sled::{SledStore, keys::Family, keys::Key, tests::open_plain},
    },
};

struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

/// Recipients so long that each part becomes a file.
fn long(index: u32) -> MergeRecipient {
    MergeRecipient { values: vec![Some("v".repeat(10_000))], ..samples::merge_recipient(index) }
}

async fn accept_long(store: &SledStore, number: u32, messages: u32) {
    store.stage(job_id(number), 0, (0..messages).map(long).collect()).await.unwrap();
    let given = merge_submission(sample_merge("sales", number, messages));
    assert_eq!(store.accept_merge(given).await.unwrap(), Acceptance::Accepted);
}

/// A store with a small merge job of which some messages were tried and one is in doubt, and one whose recipients are in
/// files.
async fn filled(path: &Path) -> Arc<SledStore> {
    let store = open_plain(path);
    store.create_account(samples::sample_account("sales")).await.unwrap();
    accept_merge(&(store.clone() as SharedStorage), sample_merge("sales", 1, 100)).await;
    accept_long(&store, 2, 200).await;
    let tenure = store.take_tenure(&samples::account_id("sales")).await.unwrap();
    let key = |index| MessageKey { job: job_id(1), index };
    let marks = [0, 1, 2, 40].map(|index| mark_of(key(index), at(3))).to_vec();
    store.mark_in_doubt(&tenure, marks).await.unwrap();
    let settled = [(0, Fate::Submitted), (1, Fate::Deferred), (40, Fate::Deferred)]
        .map(|(index, fate)| settlement_of(key(index), Some(attempt_of(index, 1, fate, at(4))), at(4)));
    store.settle(&tenure, settled.to_vec()).await.unwrap();
    store.mark_in_doubt(&tenure, vec![mark_of(key(40), at(5))]).await.unwrap();
    store
}

/// All that can be read of such a store.
async fn all(store: &SledStore) -> String {
    let sales = samples::account_id("sales");
    let mut all = String::new();
    for number in 1..=2 {
        let page = RecipientPage { limit: PAGE_MAX, ..RecipientPage::default() };
        let job = store.job(job_id(number)).await.unwrap();
        let messages = store.merge_recipients(job_id(number), page).await.unwrap();
        all += &format!("{job:?} {messages:?} {:?}", store.template(job_id(number)).await.unwrap());
    }
    let ready = store.ready(&sales, &HashSet::new(), PAGE_MAX, at(99)).await.unwrap();
    all + &format!("{ready:?} {:?}", store.in_doubt(&sales).await.unwrap())
}

fn files(store: &SledStore) -> usize {
    store.shelves.files.all().unwrap().len()
}

#[tokio::test]
async fn what_was_staged_ends_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let before = (all(&store).await, files(&store));
    let id = job_id(3);
    store.stage(id, 0, (1_000..1_150).map(long).collect()).await.unwrap();
    assert!(files(&store) > before.1, "a part is in a file already");
    let forgotten = store.shelves.files.hold();
    drop(store);
    drop(forgotten);
    let store = open_plain(dir.path());
    assert_eq!((all(&store).await, files(&store)), before);
    assert!(store.stage(id, 150, vec![long(150)]).await.is_err());
    assert_eq!(store.job(id).await.unwrap(), None);
    store.stage(id, 0, (1_000..1_150).map(long).collect()).await.unwrap();
    store.discard(id).await.unwrap();
    assert_eq!(files(&store), before.1, "discarded files go at once");
}

#[tokio::test]
async fn merges_are_exported_and_backed_up_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let before = all(&store).await;
    let mut lines = Vec::new();
    store.export(&mut lines, &Silent).await.unwrap();
    let other = open_plain(&dir.path().join("other"));
    other.import(&mut lines.as_slice(), &Silent).await.unwrap();
    assert_eq!(all(&other).await, before);
    let sound = other.verify(&Silent).await.unwrap();
    assert_eq!((sound.quarantined_count, sound.mended), (0, 0), "{sound:?}");
    store.backup(&dir.path().join("backup"), &Silent).await.unwrap();
    crate::storage::sled::restore(&dir.path().join("backup"), &dir.path().join("restored")).unwrap();
    assert_eq!(all(&open_plain(&dir.path().join("restored"))).await, before);
}

#[tokio::test]
async fn a_sound_merge_has_no_findings_and_lost_entries_are_mended() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let before = all(&store).await;
    let count = |findings: Findings| (findings.quarantined_count, findings.mended);
    assert_eq!(count(store.verify(&Silent).await.unwrap()), (0, 0));
    for family in [Family::Ready, Family::Retry] {
        for key in store.disk.keys_with(&family.prefix()).unwrap() {
            store.disk.tree.remove(key).unwrap();
        }
    }
    let stray = Key::Retry { job: job_id(1), due: at(1), index: 7 };
    store.disk.tree.insert(stray.to_bytes(), vec![]).unwrap();
    assert_eq!(count(store.verify(&Silent).await.unwrap()), (0, 4));
    assert_eq!(all(&store).await, before);
}

#[tokio::test]
async fn damaged_recipients_take_their_job_out_of_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    for hash in store.shelves.files.all().unwrap() {
        let path = store.shelves.files.path(&hash);
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let consigned = store.consign(&[MessageKey { job: job_id(2), index: 0 }]).await;
    assert!(consigned.is_err(), "{consigned:?}");
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!(findings.quarantined_count, 1, "{findings:?}");
    let ready = store.ready(&samples::account_id("sales"), &HashSet::new(), PAGE_MAX, at(9)).await.unwrap();
    assert!(ready.messages.iter().all(|entry| entry.message.job == job_id(1)));
}

#[tokio::test]
async fn a_pruned_merge_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let tenure = store.take_tenure(&samples::account_id("sales")).await.unwrap();
    let key = |index| MessageKey { job: job_id(1), index };
    let settled =
        [2, 40].map(|index| settlement_of(key(index), Some(attempt_of(index, 1, Fate::Failed, at(7))), at(7)));
    store.settle(&tenure, settled.to_vec()).await.unwrap();
    store.control(vec![job_id(1), job_id(2)], crate::domain::job::Control::Cancel, at(8)).await.unwrap();
    let record = store.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!(record.job.state(crate::domain::job::Flight::Grounded, at(8)), JobState::PartlySubmitted);
    while store.prune(at(99), 2, at(99)).await.unwrap() > 0 {}
    for family in
        [Family::Job, Family::Recipients, Family::Mark, Family::Outcomes, Family::Body, Family::Doomed, Family::Ready]
            .into_iter()
            .chain([Family::Retry, Family::Expiry, Family::FileEdge])
    {
        assert_eq!(store.disk.keys_with(&family.prefix()).unwrap().len(), 0, "{family:?}");
    }
    assert_eq!(files(&store), 0);
}

#[tokio::test]
async fn a_retry_of_many_goes_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_plain(dir.path());
    store.create_account(samples::sample_account("sales")).await.unwrap();
    let tenure = store.take_tenure(&samples::account_id("sales")).await.unwrap();
    let messages = 10_000;
    accept_merge(&(store.clone() as SharedStorage), sample_merge("sales", 1, messages)).await;
    let key = |index| MessageKey { job: JobId::from_bytes(job_id(1).to_bytes()), index };
    let failed = |index| settlement_of(key(index), Some(attempt_of(index, 1, Fate::Failed, at(4))), at(4));
    for first in (0..messages).step_by(1_000) {
        store.settle(&tenure, (first..first + 1_000).map(failed).collect()).await.unwrap();
    }
    store.control(vec![job_id(1)], crate::domain::job::Control::Retry, at(5)).await.unwrap();
    let record = store.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!(record.job.merge().unwrap().tally.waiting, messages);
    let skip: HashSet<_> = (0..messages - 5).map(key).collect();
    let ready = store.ready(&tenure.account, &skip, 9, at(5)).await.unwrap();
    assert_eq!(ready.messages.len(), 5);
}
