//! The rules of how jobs, events, keys and the store itself end.

use super::samples::{
    accept, account_id, at, attempt, idempotency, job_id, mark, open_account, parked, sample_account, sample_job,
    settlement, stored, submission,
};
use crate::{
    domain::{
        attempt::Fate,
        event::Cursor,
        job::{Control, Job},
        parking::ParkingCause,
        recipient::RecipientState,
        time::Timestamp,
    },
    storage::{
        Acceptance, IDEMPOTENCY_DAYS, JobStore, PAGE_MAX, Progress, SharedStorage, Submission, settlement::Expiry,
    },
};

pub(super) struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

async fn prune_all(store: &SharedStorage, finished_before: Timestamp, now: Timestamp) -> u64 {
    let mut gone = 0;
    loop {
        let some = store.prune(finished_before, 2, now).await.expect("an answer");
        if some == 0 {
            return gone;
        }
        gone += some;
    }
}

pub(super) async fn a_job_expires_only_when_its_time_is_over(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, Job { expires_at: Some(at(10)), ..sample_job("sales", 1) }).await;
    accept(&store, sample_job("sales", 2)).await;
    let expire = async |second| {
        let expiries = [1, 2, 99].map(|number| Expiry { job: job_id(number), now: at(second) });
        store.expire(&tenure, expiries.into()).await.expect("an answer");
    };
    let before = *store.head().borrow();
    expire(9).await;
    assert!(stored(&store, 1).await.is_open());
    assert_eq!(store.events(before, 9).await.expect("an answer"), []);
    expire(10).await;
    assert_eq!(stored(&store, 1).await.recipients()[0].state, RecipientState::Expired { at: at(10), last: None });
    assert!(stored(&store, 2).await.is_open(), "it has no limit");
    assert_eq!(store.events(before, 9).await.expect("an answer").len(), 1);
    store.control(vec![job_id(1)], Control::Retry, at(11)).await.expect("an answer");
    expire(12).await;
    assert!(stored(&store, 1).await.is_open(), "the retry took the limit away");
}

pub(super) async fn a_marked_or_held_job_does_not_expire(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    for (number, account) in [(1, "sales"), (2, "sales"), (3, "orders")] {
        accept(&store, Job { expires_at: Some(at(10)), ..sample_job(account, number) }).await;
    }
    store.mark_in_doubt(&tenure, vec![mark(&stored(&store, 1).await, at(5))]).await.expect("an answer");
    store.control(vec![job_id(2)], Control::Hold, at(5)).await.expect("an answer");
    let expiries = [1, 2, 3].map(|number| Expiry { job: job_id(number), now: at(20) });
    store.expire(&tenure, expiries.into()).await.expect("an answer");
    for number in 1..=3 {
        assert!(stored(&store, number).await.is_open(), "job {number}");
    }
}

pub(super) async fn overdue_jobs_end_whoever_sends(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for number in 1..=5 {
        let expires_at = (number != 5).then(|| at(20 - u64::from(number)));
        accept(&store, Job { expires_at, ..sample_job("sales", number) }).await;
    }
    store.mark_in_doubt(&tenure, vec![mark(&stored(&store, 1).await, at(5))]).await.expect("an answer");
    store.control(vec![job_id(2)], Control::Hold, at(5)).await.expect("an answer");
    store.set_standing(&tenure.account, parked(ParkingCause::Paused, at(6)), at(6)).await.expect("an answer");
    let before = *store.head().borrow();
    assert_eq!(store.expire_overdue(at(15), 9).await.expect("an answer"), 0, "nobody's time is over");
    assert_eq!(store.expire_overdue(at(16), 9).await.expect("an answer"), 1);
    assert_eq!(store.expire_overdue(at(30), 1).await.expect("an answer"), 1);
    for (number, is_open) in [(1, true), (2, true), (3, false), (4, false), (5, true)] {
        assert_eq!(stored(&store, number).await.is_open(), is_open, "job {number}");
    }
    assert_eq!(store.expire_overdue(at(30), 9).await.expect("an answer"), 1);
    assert_eq!(stored(&store, 2).await.recipients()[0].state, RecipientState::Expired { at: at(30), last: None });
    assert_eq!(store.expire_overdue(at(30), 9).await.expect("an answer"), 0, "one is in doubt, one has no limit");
    assert_eq!(store.events(before, 9).await.expect("an answer").len(), 3);
    store.settle(&tenure, vec![settlement(job_id(1), None, at(31))]).await.expect("it is settled");
    assert_eq!(store.expire_overdue(at(32), 9).await.expect("an answer"), 1, "its mark is gone");
}

pub(super) async fn finished_jobs_are_pruned_and_open_ones_kept(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for number in 1..=5 {
        accept(&store, sample_job("sales", number)).await;
    }
    let fates = [(1, Fate::Submitted, 10), (2, Fate::Failed, 20), (3, Fate::LeftInDoubt, 10), (4, Fate::Submitted, 10)];
    for (number, fate, second) in fates {
        let met = attempt(1, &[fate], at(second));
        store.settle(&tenure, vec![settlement(job_id(number), Some(met), at(second))]).await.expect("it is settled");
    }
    assert!(prune_all(&store, at(20), at(30)).await >= 2);
    for (number, is_there) in [(1, false), (2, true), (3, true), (4, false), (5, true)] {
        assert_eq!(store.job(job_id(number)).await.expect("an answer").is_some(), is_there, "job {number}");
        assert_eq!(store.message(job_id(number)).await.expect("an answer").is_some(), is_there, "message {number}");
    }
    prune_all(&store, at(21), at(30)).await;
    assert_eq!(store.job(job_id(2)).await.expect("an answer"), None);
}

pub(super) async fn old_events_are_pruned(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in 1..=4 {
        accept(&store, sample_job("sales", number)).await;
    }
    let head = *store.head().borrow();
    let all = store.events(Cursor(0), PAGE_MAX).await.expect("an answer");
    assert_eq!(store.pruned().await.expect("an answer"), Cursor(0));
    prune_all(&store, at(3), at(30)).await;
    let kept = store.events(Cursor(0), PAGE_MAX).await.expect("an answer");
    assert_eq!(kept, all[3..], "cursors stay what they were");
    assert_eq!(store.pruned().await.expect("an answer"), all[2].0);
    assert_eq!(*store.head().borrow(), head);
}

pub(super) async fn keys_are_remembered_for_a_week(store: SharedStorage) {
    open_account(&store, "sales").await;
    let submit = async |number| {
        let job = sample_job("sales", number);
        let given = Submission { idempotency: Some(idempotency("local", "k", 1)), ..submission(job) };
        JobStore::accept(&*store, vec![given]).await.expect("an answer")
    };
    assert_eq!(submit(1).await, [Acceptance::Accepted]);
    store.control(vec![job_id(1)], Control::Cancel, at(2)).await.expect("an answer");
    let week = IDEMPOTENCY_DAYS * 24 * 3_600;
    prune_all(&store, at(9), at(week)).await;
    assert_eq!(store.job(job_id(1)).await.expect("an answer"), None);
    assert_eq!(submit(2).await, [Acceptance::Existing(job_id(1))], "the key outlives its job");
    prune_all(&store, at(9), at(week + 24 * 3_600 + 2)).await;
    assert_eq!(submit(3).await, [Acceptance::Accepted]);
}

pub(super) async fn a_closed_store_refuses_changes(store: SharedStorage) {
    open_account(&store, "sales").await;
    store.health().await.expect("it is well");
    store.close().await.expect("it closes");
    assert!(store.health().await.is_err());
    assert!(store.create_account(sample_account("orders")).await.is_err());
    assert!(JobStore::accept(&*store, vec![submission(sample_job("sales", 1))]).await.is_err());
    assert!(store.control(vec![job_id(1)], Control::Cancel, at(1)).await.is_err());
    assert!(store.take_tenure(&account_id("sales")).await.is_err());
}

pub(super) async fn a_sound_store_has_no_findings(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for number in 1..=5 {
        accept(&store, sample_job("sales", number)).await;
    }
    store.mark_in_doubt(&tenure, vec![mark(&sample_job("sales", 1), at(6))]).await.expect("an answer");
    let met = attempt(1, &[Fate::Deferred], at(6));
    store.settle(&tenure, vec![settlement(job_id(2), Some(met), at(6))]).await.expect("it is settled");
    store.control(vec![job_id(3)], Control::Hold, at(6)).await.expect("an answer");
    store.control(vec![job_id(4)], Control::Cancel, at(6)).await.expect("an answer");
    let findings = store.verify(&Silent).await.expect("an answer");
    assert!(findings.records >= 6, "{findings:?}");
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}
