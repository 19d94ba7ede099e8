//! The rules of events and of news.

use std::{collections::BTreeSet, time::Duration};

use super::samples::{
    accept, account_id, at, attempt, job_id, open_account, parked, sample_account, sample_job, settlement,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{Cursor, EventKind, JobChange},
        ids::{AccountId, Etag},
        job::{Control, JobState},
        parking::{ParkingCause, Standing},
    },
    storage::{PAGE_MAX, SharedStorage},
};

pub(super) async fn events_come_in_the_order_of_the_changes(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let mut changed = sample_account("sales");
    changed.etag = Etag(2);
    changed.updated.at = at(1);
    store.update_account(changed, Etag(1)).await.expect("the etag is the last");
    accept(&store, sample_job("sales", 2)).await;
    store.control(vec![job_id(2)], Control::Hold, at(3)).await.expect("an answer");
    store.control(vec![job_id(2)], Control::Release, at(4)).await.expect("an answer");
    let met = attempt(1, &[Fate::Submitted], at(5));
    store.settle(&tenure, vec![settlement(job_id(2), Some(met), at(5))]).await.expect("it is settled");
    store.set_standing(&tenure.account, Standing::Active, at(6)).await.expect("an answer");
    store.delete_account(&tenure.account, None, at(6)).await.expect("nothing is open");
    let job = |change, state| EventKind::Job { id: job_id(2), change, state };
    let taken = JobChange::Attempted { message: 0, attempt: 1, submitted: 1, deferred: 0, failed: 0, in_doubt: 0 };
    let expected = [
        EventKind::AccountCreated,
        EventKind::AccountUpdated,
        job(JobChange::Accepted, JobState::Queued),
        job(JobChange::Controlled(Control::Hold), JobState::Held),
        job(JobChange::Controlled(Control::Release), JobState::Queued),
        job(taken, JobState::Submitted),
        EventKind::AccountDeleted,
    ];
    let events = store.events(Cursor(0), PAGE_MAX).await.expect("an answer");
    assert_eq!(events.len(), expected.len(), "{events:?}");
    for (second, ((_, event), kind)) in (0..).zip(events.into_iter().zip(expected)) {
        assert_eq!((event.at, &event.account, event.kind), (at(second), &tenure.account, kind));
    }
}

pub(super) async fn pages_of_events_follow_each_other(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in 1..=6 {
        accept(&store, sample_job("sales", number)).await;
    }
    let all = store.events(Cursor(0), PAGE_MAX + 1).await.expect("an answer");
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|one, next| one.0 < next.0), "cursors grow");
    let mut paged = Vec::new();
    let mut cursor = Cursor(0);
    loop {
        let page = store.events(cursor, 3).await.expect("an answer");
        assert!(page.len() <= 3);
        let Some((last, _)) = page.last() else { break };
        cursor = *last;
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

pub(super) async fn the_head_is_the_cursor_after_the_last_event(store: SharedStorage) {
    let mut head = store.head();
    let before = *head.borrow_and_update();
    assert_eq!(store.events(before, 9).await.expect("an answer"), []);
    open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    assert!(head.has_changed().expect("the store is there"));
    let last = store.events(Cursor(0), PAGE_MAX).await.expect("an answer").last().map(|(cursor, _)| *cursor);
    assert_eq!(Some(*head.borrow_and_update()), last);
    assert_eq!(*store.head().borrow(), *head.borrow(), "whoever asks later learns the same");
}

/// The news that are there already. The wait is only met when some are missing.
async fn news(store: &SharedStorage) -> BTreeSet<AccountId> {
    tokio::time::timeout(Duration::from_secs(60), store.changed()).await.expect("there is news")
}

pub(super) async fn changes_are_told_by_account(store: SharedStorage) {
    let sales = account_id("sales");
    let only = BTreeSet::from([sales.clone()]);
    open_account(&store, "orders").await;
    open_account(&store, "sales").await;
    assert_eq!(news(&store).await, BTreeSet::from([account_id("orders"), sales.clone()]));
    accept(&store, sample_job("sales", 1)).await;
    accept(&store, sample_job("sales", 2)).await;
    assert_eq!(news(&store).await, only);
    store.control(vec![job_id(1)], Control::Cancel, at(3)).await.expect("an answer");
    assert_eq!(news(&store).await, only);
    store.set_standing(&sales, parked(ParkingCause::Paused, at(4)), at(4)).await.expect("an answer");
    assert_eq!(news(&store).await, only);
    let mut changed = sample_account("sales");
    changed.etag = Etag(2);
    store.update_account(changed, Etag(1)).await.expect("the etag is the last");
    assert_eq!(news(&store).await, only);
    let (told, ()) = tokio::join!(news(&store), accept(&store, sample_job("orders", 5)));
    assert_eq!(told, BTreeSet::from([account_id("orders")]), "whoever waits is woken");
    store.control(vec![job_id(2)], Control::Cancel, at(6)).await.expect("an answer");
    store.delete_account(&sales, None, at(7)).await.expect("nothing is open");
    assert_eq!(news(&store).await, only);
}
