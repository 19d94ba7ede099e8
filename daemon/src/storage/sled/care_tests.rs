//! Whether the store can be looked after: damage, backups, exports, and openings that go wrong.

use std::{
    collections::HashSet,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use super::{
    OpenError, RestoreError, SledStore,
    jobs::{self, ready_key},
    keys::Key,
    restore,
    tests::open_plain,
};
use crate::{
    domain::{
        account::{PasswordMechanism, SignIn},
        event::Cursor,
        ids::Etag,
        job::{Control, Fallbacks, Flight, Job},
        routing::Routing,
        secret::Secret,
    },
    storage::{
        AccountStore, DkimStore, EventLog, Idempotency, JobStore, PAGE_MAX, Progress, Queue, RoutingStore,
        SharedStorage, StorageError, StoreCare, Submission,
        contract::samples::{self, at, job_id, sample_job},
        records::job::Location,
        spool,
    },
};

mod files;

struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

/// A store with an account that signs in, five jobs of which one is large and one is in doubt, and a key.
async fn filled(path: &Path) -> Arc<SledStore> {
    let store = open_plain(path);
    let mut account = samples::sample_account("sales");
    account.settings.sign_in = SignIn::Password {
        user: "taro".into(),
        password: Secret::new("hunter2".into()),
        mechanism: PasswordMechanism::Auto,
        allow_plaintext: false,
    };
    store.create_account(account).await.unwrap();
    store.put_tokens(&samples::account_id("sales"), samples::tokens("hunter2")).await.unwrap();
    for number in 1..=5 {
        let mut given = samples::submission(sample_job("sales", number));
        if number == 1 || number == 4 {
            given.job.fallbacks = fallbacks();
        }
        if number == 5 {
            given.message.bytes = vec![b'x'; 100_000].into();
        }
        let idempotency: Option<Idempotency> = (number == 4).then(|| samples::idempotency("local", "k", 1));
        JobStore::accept(&*store, vec![Submission { idempotency, ..given }]).await.unwrap();
    }
    let default_account = Some(samples::account_id("sales"));
    let routing = Routing { default_account, etag: Etag(1), ..Routing::default() };
    store.set_routing(routing, Etag(0)).await.unwrap();
    let (key, private) = samples::dkim_key("s1", "example.jp");
    store.add_dkim_key(key, private).await.unwrap();
    store.set_dkim_rules(samples::dkim_rules(&["s1._domainkey.example.jp"], 1), Etag(0)).await.unwrap();
    let tenure = store.take_tenure(&samples::account_id("sales")).await.unwrap();
    let mark = samples::mark(&sample_job("sales", 1), at(6));
    store.mark_in_doubt(&tenure, vec![mark]).await.unwrap();
    store
}

fn fallbacks() -> Option<Box<Fallbacks>> {
    let accounts = vec![samples::account_id("spare")];
    Some(Box::new(Fallbacks { from: "sales@example.jp".parse().unwrap(), accounts }))
}

/// All that can be read of such a store.
async fn all(store: &SledStore) -> String {
    let sales = samples::account_id("sales");
    let mut all = format!("{:?}", store.account(&sales).await.unwrap());
    let tokens = store.tokens(&sales).await.unwrap().unwrap();
    all += tokens.refresh_token.unwrap().expose();
    for number in 1..=5 {
        let job = store.job(job_id(number)).await.unwrap();
        let message = store.message(job_id(number)).await.unwrap();
        all += &format!("{job:?} {message:?}");
    }
    let ready = store.ready(&sales, &HashSet::new(), PAGE_MAX, at(9)).await.unwrap();
    let marks = store.in_doubt(&sales).await.unwrap();
    let divertible = store.divertible(&sales, None, PAGE_MAX, at(9)).await.unwrap();
    all += &format!("{divertible:?} {:?}", store.routing().await.unwrap());
    let (keys, rules) = (store.dkim_keys().await.unwrap(), store.dkim_rules().await.unwrap());
    let private = store.dkim_private_key(keys.keys().next().unwrap()).await.unwrap();
    all += &format!("{keys:?} {rules:?} {:?}", private.unwrap().expose());
    let usage = store.usage(&sales).await.unwrap();
    let events = store.events(Cursor(0), PAGE_MAX).await.unwrap();
    all + &format!("{ready:?} {marks:?} {usage:?} {events:?} {:?}", *store.head().borrow())
}

#[tokio::test]
async fn a_backup_is_restored_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let backup = dir.path().join("backup");
    assert!(store.backup(&backup, &Silent).await.unwrap() > 10);
    assert!(store.backup(&backup, &Silent).await.is_err(), "the target is there already");
    let restored = dir.path().join("restored");
    restore(&backup, &restored).unwrap();
    assert!(matches!(restore(&backup, &restored), Err(RestoreError::NotEmpty(_))));
    assert_eq!(all(&open_plain(&restored)).await, all(&store).await);
    assert!(matches!(restore(dir.path(), &dir.path().join("new")), Err(RestoreError::Unusable { .. })));
}

#[tokio::test]
async fn a_damaged_or_unfinished_backup_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let (backup, into) = (dir.path().join("backup"), dir.path().join("restored"));
    store.backup(&backup, &Silent).await.unwrap();
    let log = backup.join("db/db");
    let whole = fs::read(&log).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for (start, end) in [(used / 3, used / 2), (used / 2, used)] {
        let mut torn = whole.clone();
        torn[start..end].fill(0x5a);
        fs::write(&log, torn).unwrap();
        let error = restore(&backup, &into).expect_err("damaged");
        assert!(matches!(error, RestoreError::Unusable { .. }), "{error}");
        assert!(!into.exists());
    }
    fs::write(&log, whole).unwrap();
    fs::remove_file(backup.join("backup")).unwrap();
    let error = restore(&backup, &into).expect_err("not complete").to_string();
    assert!(error.contains("not complete"), "{error}");
}

#[tokio::test]
async fn copies_that_fail_speak_of_themselves_and_not_of_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let nowhere = dir.path().join("missing/backup");
    let backup = store.backup(&nowhere, &Silent).await.expect_err("no folder").to_string();
    let other = open_plain(&dir.path().join("other"));
    let import = other.import(&mut &b"{}\n"[..], &Silent).await.expect_err("no records").to_string();
    assert!(backup.starts_with("the backup cannot be written"), "{backup}");
    assert!(import.starts_with("import, line"), "{import}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_store_is_consistent() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 10..300 {
                store.accept(vec![samples::submission(sample_job("sales", number))]).await.unwrap();
            }
        })
    };
    store.backup(&dir.path().join("backup"), &Silent).await.unwrap();
    writer.await.unwrap();
    let copy = open_plain(&dir.path().join("backup"));
    let findings = copy.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
    assert_eq!(store.verify(&Silent).await.unwrap().mended, 0);
}

#[tokio::test]
async fn an_export_is_imported_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let mut lines = Vec::new();
    let count = store.export(&mut lines, &Silent).await.unwrap();
    assert!(!String::from_utf8_lossy(&lines).contains("hunter2"), "secrets stay sealed");
    let copy = open_plain(&dir.path().join("copy"));
    assert_eq!(copy.import(&mut lines.as_slice(), &Silent).await.unwrap(), count);
    assert_eq!(all(&copy).await, all(&store).await);
    assert!(copy.import(&mut lines.as_slice(), &Silent).await.is_err(), "it is not empty any more");
    let findings = copy.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
    let cut = &lines[..lines.len() / 2];
    let other = open_plain(&dir.path().join("other"));
    assert!(other.import(&mut &cut[..], &Silent).await.is_err(), "the end is missing");
}

#[tokio::test]
async fn damage_is_quarantined_and_derived_entries_are_mended() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let tree = &store.disk.tree;
    let damaged = Key::Job { job: job_id(2), chunk: 0 }.to_bytes();
    let mut value = tree.get(&damaged).unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 1;
    tree.insert(&damaged, value).unwrap();
    let number = store.number_of(&samples::account_id("sales")).unwrap();
    let missing = ready_key(number, &sample_job("sales", 3)).unwrap().to_bytes();
    tree.remove(&missing).unwrap().unwrap();
    let divert = |number| {
        let job = Job { fallbacks: fallbacks(), ..sample_job("sales", number) };
        jobs::divert_key(store.number_of(&job.account).unwrap(), &job, Flight::Grounded)
    };
    tree.remove(divert(4).unwrap().to_bytes()).unwrap().unwrap();
    tree.insert(divert(3).unwrap().to_bytes(), &[]).unwrap();
    let left_over = ready_key(number, &sample_job("sales", 77)).unwrap().to_bytes();
    tree.insert(&left_over, &[]).unwrap();
    assert!(matches!(store.job(job_id(2)).await, Err(StorageError::Damaged(_))));
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!(findings.quarantined_count, 1, "{findings:?}");
    // Two missing entries, two left-over ones, that of the damaged job and two of its name, the tally, and the segment of its
    // message.
    assert_eq!(findings.mended, 9, "{findings:?}");
    assert_eq!(store.job(job_id(2)).await.unwrap(), None);
    assert!(tree.get(&missing).unwrap().is_some());
    assert!(tree.get(&left_over).unwrap().is_none());
    let again = store.verify(&Silent).await.unwrap();
    assert_eq!((again.quarantined_count, again.mended), (0, 0), "{again:?}");
    let kept = tree.scan_prefix([0x7f]).count();
    assert_eq!(kept, 1, "what was unreadable is kept");
}

/// Flips a bit of what is stored under a key.
fn damage(store: &SledStore, key: &Key) {
    let key = key.to_bytes();
    let mut value = store.disk.tree.get(&key).unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 1;
    store.disk.tree.insert(&key, value).unwrap();
}

#[tokio::test]
async fn a_damaged_mark_leaves_its_job_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let sales = samples::account_id("sales");
    let account = store.number_of(&sales).unwrap();
    damage(&store, &Key::Mark { account, job: job_id(1), index: 0, chunk: 0 });
    let marks = store.in_doubt(&sales).await.unwrap();
    assert_eq!((marks.len(), marks[0].message.job, &marks[0].recipients[..]), (1, job_id(1), &[0][..]));
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (1, 0), "{findings:?}");
    assert_eq!(store.in_doubt(&sales).await.unwrap(), marks);
    let again = store.verify(&Silent).await.unwrap();
    assert_eq!((again.quarantined_count, again.mended), (0, 0), "{again:?}");
    let ready = store.ready(&sales, &HashSet::new(), PAGE_MAX, at(9)).await.unwrap();
    assert!(ready.messages.iter().all(|entry| entry.message.job != job_id(1)), "{ready:?}");
}

#[tokio::test]
async fn jobs_without_their_message_leave_the_queue_and_the_export() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let sales = samples::account_id("sales");
    let Location::Spool(place) = jobs::load(&store.disk, job_id(2)).unwrap().unwrap().body.location else {
        panic!("a short message is in the spool")
    };
    let segment = File::options().read(true).write(true).open(store.shelves.spool.path(place.segment)).unwrap();
    segment.write_all_at(&[0xff], u64::from(place.offset) + spool::HEADER_BYTES as u64).unwrap();
    fs::remove_file(store.shelves.files.path(&store.shelves.files.all().unwrap()[0])).unwrap();
    assert!(matches!(store.message(job_id(5)).await, Err(StorageError::Damaged(_))));
    let mut lines = Vec::new();
    store.export(&mut lines, &Silent).await.unwrap();
    assert!(String::from_utf8_lossy(&lines).contains("\"damaged\":2"));
    open_plain(&dir.path().join("copy")).import(&mut lines.as_slice(), &Silent).await.unwrap();
    assert_eq!(store.verify(&Silent).await.unwrap().quarantined_count, 2);
    let ready = store.ready(&sales, &HashSet::new(), PAGE_MAX, at(9)).await.unwrap();
    assert_eq!(ready.messages.iter().map(|entry| entry.message.job).collect::<Vec<_>>(), [job_id(3), job_id(4)]);
    let again = store.verify(&Silent).await.unwrap();
    assert_eq!((again.quarantined_count, again.mended), (2, 0), "{again:?}");
}

#[tokio::test]
async fn a_backup_that_nobody_waits_for_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let left = tokio::time::timeout(std::time::Duration::ZERO, store.backup(&one, &Silent)).await;
    assert!(left.is_err(), "it is under way");
    store.backup(&two, &Silent).await.unwrap();
    JobStore::accept(&*store, vec![samples::submission(sample_job("sales", 9))]).await.unwrap();
    let count = |txn: &mut super::txn::Txn| Ok(txn.journals_count());
    let weight = super::writer::Weight { changes: 1, bytes: 0 };
    assert_eq!(store.writer.commit(weight, super::writer::Patience::Wait, count).await.unwrap(), 0);
}

#[tokio::test]
async fn a_rescue_that_was_cut_short_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let before = all(&*filled(dir.path()).await).await;
    fs::rename(dir.path().join("db"), dir.path().join("db.rescue")).unwrap();
    assert_eq!(all(&open_plain(dir.path())).await, before);
}

#[tokio::test]
async fn a_damaged_idempotency_key_refuses_the_whole_call() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let stored = store.disk.last(&[0x30]).unwrap().unwrap();
    damage(&store, &Key::parse(&stored).unwrap());
    let repeated = samples::submission(sample_job("sales", 12));
    let repeated = Submission { idempotency: Some(samples::idempotency("local", "k", 1)), ..repeated };
    let call = vec![samples::submission(sample_job("sales", 11)), repeated];
    assert!(matches!(JobStore::accept(&*store, call).await, Err(StorageError::Damaged(_))));
    assert_eq!(store.job(job_id(11)).await.unwrap(), None, "nothing was stored");
}

#[tokio::test]
async fn a_store_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let store: SharedStorage = filled(dir.path()).await;
    let again = super::tests::try_open(dir.path());
    assert!(matches!(again, Err(OpenError::InUse(_))));
    drop(store);
    assert!(super::tests::try_open(dir.path()).is_ok());
}

#[tokio::test]
async fn unfinished_and_damaged_snapshots_do_not_keep_a_store_closed() {
    let dir = tempfile::tempdir().unwrap();
    let before = all(&*filled(dir.path()).await).await;
    let db = dir.path().join("db");
    fs::write(db.join("snap.0000000000000FFF.generating"), b"half").unwrap();
    assert_eq!(all(&open_plain(dir.path())).await, before);
    assert!(!db.join("snap.0000000000000FFF.generating").exists());
    fs::write(db.join("snap.0000000000000FFF"), b"garbage that is no snapshot").unwrap();
    assert_eq!(all(&open_plain(dir.path())).await, before);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()).await);
    let log = dir.path().join("db/db");
    let mut bytes = fs::read(&log).unwrap();
    bytes.iter_mut().skip(64).step_by(97).for_each(|byte| *byte ^= 0x55);
    fs::write(&log, bytes).unwrap();
    let error = super::tests::try_open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("hikyakud store restore"), "{error}");
    assert!(!dir.path().join("db.rescue").exists());
}

#[tokio::test]
async fn a_segment_goes_when_nothing_refers_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    assert_eq!(store.shelves.spool.segments().unwrap(), [1]);
    drop(store);
    // A crash can leave one to which no commit refers.
    fs::write(dir.path().join("spool/00000009"), b"left").unwrap();
    let store = open_plain(dir.path());
    assert_eq!(store.shelves.spool.segments().unwrap(), [1]);
    store.accept(vec![samples::submission(sample_job("sales", 6))]).await.unwrap();
    assert_eq!(store.shelves.spool.segments().unwrap(), [1, 10]);
    let ids: Vec<_> = (1..=5).map(job_id).collect();
    store
        .settle(
            &store.take_tenure(&samples::account_id("sales")).await.unwrap(),
            vec![samples::settlement(job_id(1), None, at(8))],
        )
        .await
        .unwrap();
    store.control(ids, Control::Cancel, at(9)).await.unwrap();
    while store.prune(at(99), 10, at(99)).await.unwrap() > 0 {}
    assert_eq!(store.shelves.spool.segments().unwrap(), [10]);
    assert!(store.message(job_id(6)).await.unwrap().is_some());
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

#[tokio::test]
async fn a_store_does_not_open_with_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let before = all(&*filled(dir.path()).await).await;
    let other = SledStore::open(
        dir.path(),
        super::SledSettings::default(),
        crate::platform::sealing::Sealer::from_key([9; 32]),
        Arc::new(crate::platform::clock::SystemClock),
    );
    let error = other.expect_err("another key");
    assert!(matches!(error, OpenError::OtherKey(_)), "{error}");
    assert!(error.to_string().contains("seal.key_file"), "{error}");
    assert_eq!(all(&open_plain(dir.path())).await, before);
}
