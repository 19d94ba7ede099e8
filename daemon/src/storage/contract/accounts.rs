//! The rules of accounts, their settings and their standing.

use super::samples::{
    accept, account_id, at, attempt, charge, mark, open_account, parked, sample_account, sample_job, settlement,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{Cursor, EventKind},
        ids::Etag,
        job::Control,
        parking::{ParkingCause, Standing},
    },
    storage::{CreateAccountError, DeleteAccountError, PAGE_MAX, SharedStorage, TenureError, UpdateAccountError},
};

pub(super) async fn a_new_account_is_active_and_has_no_jobs(store: SharedStorage) {
    assert_eq!(store.account(&account_id("sales")).await.expect("an answer"), None);
    store.create_account(sample_account("sales")).await.expect("it is new");
    let record = store.account(&account_id("sales")).await.expect("an answer").expect("it is there");
    assert_eq!((record.account, record.standing, record.open_jobs), (sample_account("sales"), Standing::Active, 0));
}

pub(super) async fn an_account_id_is_taken_once(store: SharedStorage) {
    store.create_account(sample_account("sales")).await.expect("it is new");
    let mut other = sample_account("sales");
    other.settings.display_name = "Other".to_owned();
    assert!(matches!(store.create_account(other).await, Err(CreateAccountError::Exists)));
    let record = store.account(&account_id("sales")).await.expect("an answer").expect("it is there");
    assert_eq!(record.account, sample_account("sales"));
}

pub(super) async fn accounts_are_listed_in_the_order_of_their_ids(store: SharedStorage) {
    for id in ["b", "d", "a", "c"] {
        store.create_account(sample_account(id)).await.expect("it is new");
    }
    let check = async |after: Option<&str>, limit, expected: &[&str]| {
        let after = after.map(account_id);
        let page = store.accounts(after.as_ref(), limit).await.expect("an answer");
        let ids: Vec<_> = page.iter().map(|record| record.account.id.as_str()).collect();
        assert_eq!(ids, expected);
    };
    check(None, PAGE_MAX + 1, &["a", "b", "c", "d"]).await;
    check(None, 2, &["a", "b"]).await;
    check(Some("b"), 2, &["c", "d"]).await;
    check(Some("bb"), 1, &["c"]).await;
    check(Some("d"), 2, &[]).await;
}

pub(super) async fn settings_are_changed_by_those_who_saw_the_last(store: SharedStorage) {
    let mut changed = sample_account("sales");
    changed.settings.display_name = "Sales".to_owned();
    changed.etag = Etag(2);
    assert!(matches!(store.update_account(changed.clone(), Etag(1)).await, Err(UpdateAccountError::Unknown)));
    store.create_account(sample_account("sales")).await.expect("it is new");
    store.set_standing(&account_id("sales"), parked(ParkingCause::Paused, at(1)), at(1)).await.expect("it is set");
    let stale = store.update_account(changed.clone(), Etag(7)).await;
    assert!(matches!(stale, Err(UpdateAccountError::Stale { current: Etag(1) })));
    store.update_account(changed.clone(), Etag(1)).await.expect("the etag is the last");
    let record = store.account(&account_id("sales")).await.expect("an answer").expect("it is there");
    assert_eq!((record.account, record.standing), (changed, parked(ParkingCause::Paused, at(1))));
}

pub(super) async fn an_account_is_deleted_by_those_who_saw_the_last(store: SharedStorage) {
    let id = account_id("sales");
    assert!(matches!(store.delete_account(&id, None, at(1)).await, Err(DeleteAccountError::Unknown)));
    store.create_account(sample_account("sales")).await.expect("it is new");
    let stale = store.delete_account(&id, Some(Etag(2)), at(1)).await;
    assert!(matches!(stale, Err(DeleteAccountError::Stale { current: Etag(1) })));
    store.delete_account(&id, Some(Etag(1)), at(1)).await.expect("the etag is the last");
    assert_eq!(store.account(&id).await.expect("an answer"), None);
    store.create_account(sample_account("sales")).await.expect("its id is free again");
}

pub(super) async fn an_account_with_open_jobs_is_kept(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let jobs = [1, 2, 3].map(|number| sample_job("sales", number));
    for job in &jobs {
        accept(&store, job.clone()).await;
    }
    let lost = attempt(1, &[Fate::LeftInDoubt], at(9));
    store.settle(&tenure, vec![settlement(jobs[0].id, Some(lost), at(9))]).await.expect("it is settled");
    let taken = attempt(1, &[Fate::Submitted], at(9));
    store.settle(&tenure, vec![settlement(jobs[1].id, Some(taken), at(9))]).await.expect("it is settled");
    let record = store.account(&tenure.account).await.expect("an answer").expect("it is there");
    assert_eq!(record.open_jobs, 2, "one waits and one is in doubt");
    let refused = store.delete_account(&tenure.account, None, at(10)).await;
    assert!(matches!(refused, Err(DeleteAccountError::OpenJobs(2))));
    store.control(vec![jobs[0].id, jobs[2].id], Control::Cancel, at(11)).await.expect("an answer");
    store.delete_account(&tenure.account, None, at(12)).await.expect("nothing is open");
    for job in &jobs {
        assert!(store.job(job.id).await.expect("an answer").is_some(), "finished jobs stay");
    }
}

pub(super) async fn a_deleted_account_leaves_no_ledger_and_no_tenure(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let job = sample_job("sales", 1);
    accept(&store, job.clone()).await;
    let mut marked = mark(&job, at(2));
    marked.charges = vec![charge(0, 1)];
    store.mark_in_doubt(&tenure, vec![marked]).await.expect("an answer");
    let taken = attempt(1, &[Fate::Submitted], at(2));
    store.settle(&tenure, vec![settlement(job.id, Some(taken), at(2))]).await.expect("it is settled");
    store.set_standing(&tenure.account, parked(ParkingCause::Paused, at(3)), at(3)).await.expect("it is set");
    store.delete_account(&tenure.account, None, at(4)).await.expect("nothing is open");
    assert!(matches!(store.settle(&tenure, Vec::new()).await, Err(TenureError::Lost(_))));
    store.create_account(sample_account("sales")).await.expect("its id is free again");
    assert!(matches!(store.settle(&tenure, Vec::new()).await, Err(TenureError::Lost(_))));
    assert_eq!(store.usage(&tenure.account).await.expect("an answer"), []);
    let record = store.account(&tenure.account).await.expect("an answer").expect("it is there");
    assert_eq!(record.standing, Standing::Active);
}

pub(super) async fn a_standing_that_is_set_already_writes_nothing(store: SharedStorage) {
    let id = account_id("sales");
    store.set_standing(&id, parked(ParkingCause::Paused, at(1)), at(1)).await.expect("an answer");
    store.create_account(sample_account("sales")).await.expect("it is new");
    let paused = parked(ParkingCause::Paused, at(2));
    let throttled = parked(ParkingCause::Throttled, at(3));
    for standing in [Standing::Active, paused.clone(), paused, throttled, Standing::Active, Standing::Active] {
        store.set_standing(&id, standing.clone(), at(4)).await.expect("an answer");
        let record = store.account(&id).await.expect("an answer").expect("it is there");
        assert_eq!(record.standing, standing);
    }
    let events = store.events(Cursor(0), PAGE_MAX).await.expect("an answer");
    let causes: Vec<_> = events
        .into_iter()
        .map(|(_, event)| match event.kind {
            EventKind::AccountParked(parking) => Some(parking.cause),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [None, Some(ParkingCause::Paused), Some(ParkingCause::Throttled), None]);
}
