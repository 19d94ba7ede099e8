//! Whether the files of large messages go when nothing refers to them.

use super::{filled, open_plain};
use crate::{
    domain::{job::Control, mail::Message},
    storage::{
        Acceptance, JobStore, StoreCare, Submission,
        contract::samples::{self, at, job_id, sample_job},
    },
};

#[tokio::test]
async fn a_file_goes_with_its_last_job() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    assert_eq!(store.shelves.files.all().unwrap().len(), 1);
    let control = Control::Cancel;
    store.control(vec![job_id(5)], control, at(7)).await.unwrap();
    while store.prune(at(8), 100, at(9)).await.unwrap() > 0 {}
    assert_eq!(store.job(job_id(5)).await.unwrap(), None);
    assert!(store.shelves.files.all().unwrap().is_empty());
}

#[tokio::test]
async fn refused_submissions_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let large = |account: &str, number: u32, letter: u8| {
        let given = samples::submission(sample_job(account, number));
        let message = Message { bytes: vec![letter; 100_000].into(), ..given.message };
        Submission { message, ..given }
    };
    let answers = store.accept(vec![large("nobody", 21, b'a')]).await.unwrap();
    assert_eq!(answers, [Acceptance::UnknownAccount]);
    let reused = Submission { idempotency: Some(samples::idempotency("local", "k", 9)), ..large("sales", 22, b'b') };
    assert_eq!(store.accept(vec![reused]).await.unwrap(), [Acceptance::KeyReused(job_id(4))]);
    assert_eq!(store.shelves.files.all().unwrap().len(), 1, "that of job 5");
    assert!(store.message(job_id(5)).await.is_ok());
    drop(store.shelves.files.store(&[b'c'; 100_000][..]).unwrap());
    drop(store);
    assert_eq!(
        open_plain(dir.path()).shelves.files.all().unwrap().len(),
        1,
        "a crash leaves loose files to the next start"
    );
}
