//! Whether uploads survive crashes, files are kept once and go in time, and copies of a store have them.

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    RestoreError, SledSettings, SledStore,
    jobs::{self, ready_key},
    keys::{Family, Key},
    restore,
    tests::open_plain,
};
use crate::{
    domain::{job::Control, time::Timestamp},
    platform::{clock::SystemClock, sealing::Sealer},
    storage::{
        Acceptance, AccountStore, Appended, BlobStore, JobStore, MergeStore, Progress, SharedStorage, StorageError,
        StoreCare, UploadError,
        contract::{
            blobs::{append, begin, file, hash, merge_with, message_with, submission_with, upload, upload_all},
            samples::{self, at, job_id, sample_job},
        },
        records::job::Location,
    },
};

struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

const LARGE_BYTES: usize = 5 << 20;

/// The bytes of all files below a folder.
fn disk_bytes(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| if entry.path().is_dir() { disk_bytes(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

fn files(store: &SledStore) -> usize {
    store.shelves.files.all().unwrap().len()
}

fn shared(store: &Arc<SledStore>) -> SharedStorage {
    Arc::<SledStore>::clone(store)
}

async fn open_with_account(path: &Path) -> Arc<SledStore> {
    let store = open_plain(path);
    store.create_account(samples::sample_account("sales")).await.unwrap();
    store
}

async fn accept(store: &SledStore, number: u32, files: &[Bytes]) {
    let answer = store.accept(vec![submission_with(number, files)]).await.unwrap();
    assert_eq!(answer, [Acceptance::Accepted]);
}

async fn accept_merge(store: &SledStore, number: u32, file: &Bytes) {
    store.stage(job_id(number), 0, vec![samples::merge_recipient(0)]).await.unwrap();
    assert_eq!(store.accept_merge(merge_with(number, 1, file)).await.unwrap(), Acceptance::Accepted);
}

async fn forget(store: &SledStore, number: u32) {
    store.control(vec![job_id(number)], Control::Cancel, at(7)).await.unwrap();
    while store.prune(at(99), 100, at(99)).await.unwrap() > 0 {}
    assert_eq!(store.job(job_id(number)).await.unwrap(), None);
}

async fn check_sound(store: &SledStore) {
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

/// A store with a file that was uploaded and is used by two plain jobs and a merge job, and one that nobody uses.
async fn filled(path: &Path) -> Arc<SledStore> {
    let store = open_with_account(path).await;
    upload_all(&shared(&store), "shop", &file(1, LARGE_BYTES), at(1)).await;
    upload_all(&shared(&store), "shop", &file(2, 1_000), at(1)).await;
    accept(&store, 1, &[file(1, LARGE_BYTES)]).await;
    accept(&store, 2, &[file(1, LARGE_BYTES), file(3, 100_000)]).await;
    accept_merge(&store, 3, &file(1, LARGE_BYTES)).await;
    store
}

async fn check_filled(store: &SledStore) {
    let caller = "shop".parse().unwrap();
    let read = async |content: Bytes| store.read_blob(&caller, &hash(&content), at(1)).await.unwrap() == Some(content);
    assert!(read(file(1, LARGE_BYTES)).await && read(file(2, 1_000)).await);
    for (number, files) in [(1, vec![file(1, LARGE_BYTES)]), (2, vec![file(1, LARGE_BYTES), file(3, 100_000)])] {
        assert!(store.message(job_id(number)).await.unwrap().unwrap() == message_with(&files), "job {number}");
    }
    let template = store.template(job_id(3)).await.unwrap().unwrap();
    assert!(*template == merge_with(3, 1, &file(1, LARGE_BYTES)).template);
    assert_eq!(files(store), 3);
    check_sound(store).await;
}

#[tokio::test]
async fn a_file_is_on_disk_once_however_many_jobs_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_account(dir.path()).await;
    accept(&store, 1, &[file(1, LARGE_BYTES)]).await;
    let once = disk_bytes(&dir.path().join("files")) + disk_bytes(&dir.path().join("spool"));
    assert!((LARGE_BYTES as u64..LARGE_BYTES as u64 + 100_000).contains(&once), "{once} bytes");
    for number in 2..6 {
        accept(&store, number, &[file(1, LARGE_BYTES)]).await;
    }
    accept_merge(&store, 9, &file(1, LARGE_BYTES)).await;
    upload_all(&shared(&store), "shop", &file(1, LARGE_BYTES), at(1)).await;
    upload_all(&shared(&store), "news", &file(1, LARGE_BYTES), at(1)).await;
    let after = disk_bytes(&dir.path().join("files")) + disk_bytes(&dir.path().join("spool"));
    assert!(after < once + 10_000, "{after} bytes after {once}");
    assert_eq!(disk_bytes(&dir.path().join("uploads")), 0);
    assert_eq!(files(&store), 1);
    for number in 1..6 {
        assert!(store.message(job_id(number)).await.unwrap().unwrap() == message_with(&[file(1, LARGE_BYTES)]));
    }
    check_sound(&store).await;
}

#[tokio::test]
async fn messages_that_fit_into_the_spool_make_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_account(dir.path()).await;
    accept(&store, 1, &[file(1, 20_000)]).await;
    assert_eq!(files(&store), 0);
    assert!(jobs::load(&store.disk, job_id(1)).unwrap().unwrap().body.cuts.is_empty());
    upload_all(&shared(&store), "shop", &file(1, 20_000), at(1)).await;
    accept(&store, 2, &[file(1, 20_000)]).await;
    let stored = jobs::load(&store.disk, job_id(2)).unwrap().unwrap();
    assert_eq!((stored.body.cuts.len(), files(&store)), (1, 1), "it is there, so it is used");
    assert!(matches!(stored.body.location, Location::Spool(_)));
    assert!(store.message(job_id(2)).await.unwrap().unwrap() == message_with(&[file(1, 20_000)]));
}

#[tokio::test]
async fn a_file_goes_with_the_last_that_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    forget(&store, 2).await;
    assert_eq!(files(&store), 2, "that of job 2 alone is gone");
    forget(&store, 1).await;
    forget(&store, 3).await;
    assert_eq!(files(&store), 2, "they are their caller's yet");
    let store = {
        drop(store);
        open_plain(dir.path())
    };
    assert_eq!(files(&store), 2);
    accept(&store, 4, &[file(1, LARGE_BYTES)]).await;
    while store.prune(Timestamp::EPOCH, 100, at(99_999)).await.unwrap() > 0 {}
    assert_eq!(files(&store), 1, "what nobody uses was forgotten");
    assert!(store.message(job_id(4)).await.unwrap().unwrap() == message_with(&[file(1, LARGE_BYTES)]));
    store.control(vec![job_id(4)], Control::Cancel, at(100_000)).await.unwrap();
    while store.prune(at(200_000), 100, at(200_000)).await.unwrap() > 0 {}
    assert_eq!(files(&store), 0);
    check_sound(&store).await;
}

#[tokio::test]
async fn uploads_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let content = file(1, 300_000);
    let upload = upload("a:b.c_D-1", &content);
    let store = shared(&open_plain(dir.path()));
    begin(&store, &upload, at(1)).await;
    append(&store, &upload, 0, &content[..200_000], at(1)).await.unwrap();
    drop(store);
    // What a crash leaves: the last piece was written in part, a file that is none of ours lies there.
    let part = fs::read_dir(dir.path().join("uploads")).unwrap().next().unwrap().unwrap().path();
    fs::OpenOptions::new().write(true).open(&part).unwrap().set_len(123_456).unwrap();
    fs::write(dir.path().join("uploads/x"), b"x").unwrap();
    let store = shared(&open_plain(dir.path()));
    assert!(!dir.path().join("uploads/x").exists());
    assert_eq!(begin(&store, &upload, at(2)).await, (upload.id(), 123_456));
    let refused = append(&store, &upload, 200_000, &content[200_000..], at(2)).await;
    assert!(matches!(refused, Err(UploadError::Elsewhere { offset: 123_456 })), "{refused:?}");
    let whole = append(&store, &upload, 123_456, &content[123_456..], at(2)).await.unwrap();
    assert!(matches!(whole, Appended::There(_)));
    drop(store);
    let store = open_plain(dir.path());
    assert_eq!(store.read_blob(&upload.caller, &upload.hash, at(3)).await.unwrap(), Some(content));
    check_sound(&store).await;
}

#[tokio::test]
async fn what_a_crash_left_whole_or_wrong_is_found_at_the_next_begin() {
    let dir = tempfile::tempdir().unwrap();
    let (right, wrong) = (file(1, 10_000), file(2, 10_000));
    let store = shared(&open_plain(dir.path()));
    for content in [&right, &wrong] {
        begin(&store, &upload("shop", content), at(1)).await;
    }
    drop(store);
    for part in fs::read_dir(dir.path().join("uploads")).unwrap() {
        fs::write(part.unwrap().path(), &right).unwrap();
    }
    let store = open_plain(dir.path());
    let begun = store.begin_upload(upload("shop", &right), at(2)).await.unwrap();
    assert!(matches!(begun, crate::storage::Begun::There(_)), "{begun:?}");
    assert_eq!(begin(&shared(&store), &upload("shop", &wrong), at(2)).await.1, 0, "it begins anew");
    assert_eq!(files(&store), 1);
}

#[tokio::test]
async fn an_upload_whose_part_has_gone_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (store, content) = (shared(&open_plain(dir.path())), file(1, 10_000));
    let upload = upload("shop", &content);
    begin(&store, &upload, at(1)).await;
    append(&store, &upload, 0, &content[..4_000], at(1)).await.unwrap();
    fs::remove_file(fs::read_dir(dir.path().join("uploads")).unwrap().next().unwrap().unwrap().path()).unwrap();
    let refused = append(&store, &upload, 4_000, &content[4_000..], at(1)).await;
    assert!(matches!(refused, Err(UploadError::Unknown)), "{refused:?}");
    upload_all(&store, "shop", &content, at(2)).await;
    assert_eq!(store.read_blob(&upload.caller, &upload.hash, at(2)).await.unwrap(), Some(content));
}

#[tokio::test]
async fn whoever_brings_the_content_of_a_damaged_file_mends_it_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let content = file(1, LARGE_BYTES);
    for round in 0..2 {
        let store = filled(&dir.path().join(round.to_string())).await;
        let path = store.shelves.files.path(&hash(&content));
        fs::write(&path, b"rotten").unwrap();
        if round == 0 {
            upload_all(&shared(&store), "shop", &content, at(1)).await;
        } else {
            accept(&store, 7, std::slice::from_ref(&content)).await;
        }
        assert!(fs::read(&path).unwrap() == content);
        check_filled(&store).await;
    }
    // One that fits into the spool mends a file that it would not have made.
    let (store, small) = (open_with_account(&dir.path().join("small")).await, file(2, 20_000));
    upload_all(&shared(&store), "shop", &small, at(1)).await;
    fs::write(store.shelves.files.path(&hash(&small)), b"rotten").unwrap();
    accept(&store, 1, std::slice::from_ref(&small)).await;
    assert!(store.message(job_id(1)).await.unwrap().unwrap() == message_with(&[small]));
    check_sound(&store).await;
}

#[tokio::test]
async fn a_message_is_not_cut_into_more_files_than_pay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_account(dir.path()).await;
    let contents: Vec<_> = (0..40_u16).map(|number| file(number.into(), 20_000 + usize::from(number) * 10)).collect();
    accept(&store, 1, &contents).await;
    assert_eq!(jobs::load(&store.disk, job_id(1)).unwrap().unwrap().body.cuts.len(), 32);
    assert!(!store.shelves.files.path(&hash(&contents[7])).exists(), "it is one of the smallest");
    assert!(store.message(job_id(1)).await.unwrap().unwrap() == message_with(&contents));
    check_sound(&store).await;
}

#[tokio::test]
async fn a_full_disk_takes_no_uploads() {
    let dir = tempfile::tempdir().unwrap();
    let settings = SledSettings { intake_free_bytes_min: Some(u64::MAX), ballast_bytes: 0, ..SledSettings::default() };
    let (sealer, clock) = (Sealer::from_key([7; 32]), Arc::new(SystemClock));
    let store = SledStore::open(dir.path(), settings, sealer, clock).unwrap();
    let refused = store.begin_upload(upload("shop", &file(1, 1_000)), at(1)).await;
    let is_full = matches!(refused, Err(UploadError::Storage(StorageError::DiskNearlyFull { .. })));
    assert!(is_full, "{refused:?}");
}

#[tokio::test]
async fn a_file_without_a_commit_is_gone_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_plain(dir.path());
    let content = file(1, 10_000);
    let upload = upload("shop", &content);
    begin(&shared(&store), &upload, at(1)).await;
    let held = store.shelves.files.hold();
    drop(store.shelves.files.store_bytes(&content).unwrap());
    drop((store, held));
    let store = open_plain(dir.path());
    assert_eq!(files(&store), 0);
    assert_eq!(begin(&shared(&store), &upload, at(2)).await.1, 0);
}

#[tokio::test]
async fn copies_of_a_store_have_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    check_filled(&store).await;
    let backup = dir.path().join("backup");
    store.backup(&backup, &Silent).await.unwrap();
    restore(&backup, &dir.path().join("restored")).unwrap();
    check_filled(&open_plain(&dir.path().join("restored"))).await;
    let mut lines = Vec::new();
    let count = store.export(&mut lines, &Silent).await.unwrap();
    assert!(lines.len() < 2 * LARGE_BYTES, "each file is exported once: {} bytes", lines.len());
    let other = open_plain(&dir.path().join("other"));
    assert_eq!(other.import(&mut lines.as_slice(), &Silent).await.unwrap(), count);
    check_filled(&other).await;
    // The files of a backup are links to those of the store: this one gets its own content.
    drop((store, other));
    let path = |content: &Bytes| {
        let hash = blake3::Hash::from(hash(content)).to_hex().to_string();
        backup.join("files").join(&hash[..2]).join(hash)
    };
    fs::remove_file(path(&file(3, 100_000))).unwrap();
    fs::write(path(&file(3, 100_000)), b"something else").unwrap();
    let refused = restore(&backup, &dir.path().join("again"));
    assert!(matches!(refused, Err(RestoreError::Unusable { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_upload_that_is_damaged_or_missing_stops_no_backup() {
    for damage in [None, Some(b"something else")] {
        let dir = tempfile::tempdir().unwrap();
        let store = filled(&dir.path().join("store")).await;
        let (content, caller) = (file(2, 1_000), "shop".parse().unwrap());
        let path = store.shelves.files.path(&hash(&content));
        fs::remove_file(&path).unwrap();
        damage.inspect(|bytes| fs::write(&path, bytes).unwrap());
        store.backup(&dir.path().join("backup"), &Silent).await.unwrap();
        restore(&dir.path().join("backup"), &dir.path().join("restored")).unwrap();
        let restored = open_plain(&dir.path().join("restored"));
        assert!(matches!(restored.read_blob(&caller, &hash(&content), at(1)).await, Err(StorageError::Damaged(_))));
        upload_all(&shared(&restored), "shop", &content, at(2)).await;
        check_filled(&restored).await;
    }
}

#[tokio::test]
async fn a_torn_export_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("store")).await;
    let mut lines = Vec::new();
    store.export(&mut lines, &Silent).await.unwrap();
    let text = String::from_utf8(lines).unwrap();
    let pieces: Vec<_> = text.lines().enumerate().filter(|(_, line)| line.contains("\"kind\":\"file\"")).collect();
    assert!(pieces.len() > 5);
    for (round, missing) in [pieces[0].0, pieces[2].0, pieces[4].0].into_iter().enumerate() {
        let torn: String = text
            .lines()
            .enumerate()
            .filter(|(place, _)| *place != missing)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        let other = open_plain(&dir.path().join(format!("other{round}")));
        assert!(other.import(&mut torn.as_bytes(), &Silent).await.is_err(), "line {missing} is missing");
    }
}

#[tokio::test]
async fn a_damaged_file_never_gives_wrong_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let path = store.shelves.files.path(&hash(&file(1, LARGE_BYTES)));
    let mut content = fs::read(&path).unwrap();
    content[1_000] ^= 1;
    fs::write(&path, content).unwrap();
    let caller = "shop".parse().unwrap();
    assert!(matches!(store.message(job_id(1)).await, Err(StorageError::Damaged(_))));
    let blob = store.read_blob(&caller, &hash(&file(1, LARGE_BYTES)), at(1)).await;
    assert!(matches!(blob, Err(StorageError::Damaged(_))));
    let mut lines = Vec::new();
    store.export(&mut lines, &Silent).await.unwrap();
    assert!(String::from_utf8_lossy(&lines).contains("\"damaged\":4"), "two jobs, a merge job and a claim");
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!(findings.quarantined_count, 4, "{findings:?}");
    assert_eq!(store.blob(&caller, &hash(&file(1, LARGE_BYTES))).await.unwrap(), None, "it may be uploaded again");
    let number = store.number_of(&samples::account_id("sales")).unwrap();
    let ready = ready_key(number, &sample_job("sales", 1)).unwrap().to_bytes();
    assert!(store.disk.tree.get(ready).unwrap().is_none(), "the job has left the queue");
    upload_all(&shared(&store), "shop", &file(1, LARGE_BYTES), at(2)).await;
    assert!(store.message(job_id(1)).await.unwrap().unwrap() == message_with(&[file(1, LARGE_BYTES)]), "it is mended");
}

#[tokio::test]
async fn lost_and_unreadable_edges_are_mended() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let edge = |file: &Bytes, number| Key::FileEdge { file: hash(file), job: job_id(number) }.to_bytes();
    store.disk.tree.remove(edge(&file(3, 100_000), 2)).unwrap().unwrap();
    store.disk.tree.insert(edge(&file(1, LARGE_BYTES), 1), b"rubbish").unwrap();
    let findings = store.verify(&Silent).await.unwrap();
    assert_eq!((findings.quarantined_count, findings.mended), (1, 1), "{findings:?}");
    check_filled(&store).await;
    assert_eq!(store.disk.keys_with(&Family::FileEdge.prefix()).unwrap().len(), 4);
}
