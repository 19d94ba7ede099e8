//! Whether what came back survives restarts, copies and damage, and whether an older store gets its index.

use std::path::Path;

use crate::{
    domain::{attempt::Fate, ids::MessageKey, inbound::MailboxId, report::ReportKind},
    storage::{
        AccountStore, InboundFilter, InboundStore, Ingested, Ingestion, PAGE_MAX, Progress, Queue, SharedStorage,
        StoreCare,
        contract::samples::{
            self, accept, accept_merge, account_id, at, attempt, attempt_of, inbound_id, inbound_mail, ingestion,
            job_id, sample_job, sample_merge, settlement, settlement_of,
        },
        settlement::{Aftermath, Settlement},
        sled::{
            SledStore,
            keys::{Family, Key},
            restore,
            tests::open_plain,
        },
    },
};

const MAILBOX: MailboxId = MailboxId::new([1; 16]);

struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

/// A store with mail, names and doubts of all kinds.
async fn filled(path: &Path) -> std::sync::Arc<SledStore> {
    let store = open_plain(path);
    let shared = store.clone() as SharedStorage;
    store.create_account(samples::sample_account("sales")).await.unwrap();
    let tenure = store.take_tenure(&account_id("sales")).await.unwrap();
    for (number, fate) in [(1, Fate::Submitted), (2, Fate::LeftInDoubt)] {
        accept(&shared, sample_job("sales", number)).await;
        let aftermath = Aftermath { provider_id: Some(format!("p{number}").into()), ..Aftermath::default() };
        let settled = settlement(job_id(number), Some(attempt(1, &[fate], at(5))), at(5));
        let settled = Settlement { aftermath: Some(Box::new(aftermath)), ..settled };
        store.settle(&tenure, vec![settled]).await.unwrap();
    }
    accept_merge(&shared, sample_merge("sales", 3, 80)).await;
    let key = |index| MessageKey { job: job_id(3), index };
    let doubtful = |index| settlement_of(key(index), Some(attempt_of(index, 1, Fate::LeftInDoubt, at(6))), at(6));
    store.settle(&tenure, [0, 70].map(doubtful).to_vec()).await.unwrap();
    let bounce = ingestion("sales", 10, &[(MessageKey::only(job_id(1)), 0, ReportKind::Hard)]);
    store.ingest(bounce).await.unwrap();
    let mail = Some(Box::new(inbound_mail("sales", 11)));
    let mark = crate::domain::inbound::ReadMark::UpTo { folder: [2; 8], uid_validity: 7, uid: 9 };
    let letter = Ingestion { mail, mark, fingerprint: Some([3; 16]), ..ingestion("sales", 11, &[]) };
    store.ingest(letter).await.unwrap();
    store
}

async fn all(store: &SledStore) -> String {
    let sales = account_id("sales");
    let mut all = format!("{:?}", store.doubts(&sales, PAGE_MAX).await.unwrap());
    all += &format!("{:?}", store.read_messages(&sales, MAILBOX).await.unwrap());
    all += &format!("{:?}", store.read_up_to(&sales, MAILBOX, [2; 8]).await.unwrap());
    for name in ["p1", "p2", "1@example.jp", "2@example.jp"] {
        all += &format!("{:?}", store.message_named(&sales, name).await.unwrap());
    }
    for number in [10, 11] {
        all += &format!("{:?}", store.inbound(inbound_id(number)).await.unwrap());
    }
    all += &format!("{:?}", store.list_inbound(&InboundFilter::default(), None, PAGE_MAX).await.unwrap());
    let twice = Ingestion { fingerprint: Some([3; 16]), ..ingestion("sales", 12, &[]) };
    assert_eq!(store.ingest(twice.clone()).await.unwrap(), Ingested::Duplicate);
    let crate::domain::inbound::ReadMark::Message(uid) = twice.mark else { unreachable!() };
    store.forget_read(&sales, MAILBOX, vec![uid]).await.unwrap();
    all
}

async fn mended(store: &SledStore) -> (u64, u64) {
    let findings = store.verify(&Silent).await.unwrap();
    (findings.quarantined_count, findings.mended)
}

#[tokio::test]
async fn what_came_back_survives_restarts_and_copies() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let before = all(&store).await;
    let mut lines = Vec::new();
    store.export(&mut lines, &Silent).await.unwrap();
    let other = open_plain(&dir.path().join("other"));
    other.import(&mut lines.as_slice(), &Silent).await.unwrap();
    assert_eq!((all(&other).await, mended(&other).await), (before.clone(), (0, 0)));
    store.backup(&dir.path().join("backup"), &Silent).await.unwrap();
    restore(&dir.path().join("backup"), &dir.path().join("restored")).unwrap();
    assert_eq!(all(&open_plain(&dir.path().join("restored"))).await, before);
    drop(store);
    assert_eq!(all(&open_plain(&dir.path().join("store"))).await, before);
}

#[tokio::test]
async fn an_older_store_gets_its_index_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let before = all(&store).await;
    for key in store.disk.keys_with(&Family::Doubt.prefix()).unwrap() {
        store.disk.tree.remove(key).unwrap();
    }
    store.disk.tree.remove(Key::Meta { fact: 5 }.to_bytes()).unwrap();
    drop(store);
    let store = open_plain(dir.path());
    assert_eq!((all(&store).await, mended(&store).await), (before, (0, 0)));
}

#[tokio::test]
async fn what_is_derived_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let before = all(&store).await;
    assert_eq!(mended(&store).await, (0, 0));
    let mut lost = 0;
    for family in [Family::Doubt, Family::Name, Family::FingerprintDay] {
        for key in store.disk.keys_with(&family.prefix()).unwrap() {
            store.disk.tree.remove(key).unwrap();
            lost += 1;
        }
    }
    assert_eq!(lost, 3 + 4 + 1);
    assert_eq!(mended(&store).await, (0, lost));
    assert_eq!(all(&store).await, before);
}

#[tokio::test]
async fn a_damaged_mail_is_set_aside_and_stays_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    for family in [Family::Inbound, Family::Read, Family::NameOf] {
        let key = store.disk.keys_with(&family.prefix()).unwrap().remove(0);
        let mut value = store.disk.tree.get(&key).unwrap().unwrap().to_vec();
        value[9] ^= 1;
        store.disk.tree.insert(key, value).unwrap();
    }
    assert!(store.inbound(inbound_id(10)).await.is_err());
    assert_eq!(mended(&store).await.0, 3);
    assert_eq!(store.inbound(inbound_id(10)).await.unwrap(), None);
    assert_eq!(store.ingest(ingestion("sales", 10, &[])).await.unwrap(), Ingested::ReadBefore);
    assert_eq!(mended(&store).await, (0, 0));
}

#[tokio::test]
async fn a_pruned_store_keeps_nothing_of_what_came_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let ids = [2, 3].map(job_id).to_vec();
    crate::storage::JobStore::control(&*store, ids, crate::domain::job::Control::Cancel, at(20)).await.unwrap();
    store.delete_account(&account_id("sales"), None, at(30)).await.unwrap();
    while store.prune(at(99), 2, at(99 + 20 * 86_400)).await.unwrap() > 0 {}
    for family in Family::ALL.into_iter().filter(|family| (0x40..=0x4f).contains(&(*family as u8))) {
        assert_eq!(store.disk.keys_with(&family.prefix()).unwrap().len(), 0, "{family:?}");
    }
}
