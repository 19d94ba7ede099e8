//! The rules of tenures, in-doubt marks and settlements.

use std::collections::HashSet;

use super::samples::{
    accept, account_id, also_to, at, attempt, charge, job_id, mark, open_account, sample_job, settlement, stored,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{Cursor, EventKind, JobChange},
        job::{Control, Job, JobState, Schedule},
        recipient::RecipientState,
    },
    storage::{
        PAGE_MAX, SharedStorage, TenureError,
        settlement::{Expiry, MarkOutcome, Settlement},
    },
};

async fn last_change(store: &SharedStorage) -> Option<(JobChange, JobState)> {
    let events = store.events(Cursor(0), PAGE_MAX).await.expect("an answer");
    match events.into_iter().next_back()?.1.kind {
        EventKind::Job { change, state, .. } => Some((change, state)),
        _ => None,
    }
}

pub(super) async fn an_older_tenure_is_refused(store: SharedStorage) {
    let old = open_account(&store, "sales").await;
    let other = open_account(&store, "orders").await;
    let job = Job { expires_at: Some(at(3)), ..sample_job("sales", 1) };
    accept(&store, job.clone()).await;
    let tenure = store.take_tenure(&old.account).await.expect("a tenure");
    let mut marked = mark(&job, at(5));
    marked.charges = vec![charge(0, 1)];
    let mut settled = settlement(job.id, Some(attempt(1, &[Fate::Submitted], at(5))), at(5));
    settled.charges = vec![charge(0, 1)];
    let expired = Expiry { job: job.id, now: at(5) };
    assert!(matches!(store.mark_in_doubt(&old, vec![marked.clone()]).await, Err(TenureError::Lost(_))));
    assert!(matches!(store.settle(&old, vec![settled]).await, Err(TenureError::Lost(_))));
    assert!(matches!(store.expire(&old, vec![expired]).await, Err(TenureError::Lost(_))));
    assert!(matches!(store.forget_usage(&old, Vec::new()).await, Err(TenureError::Lost(_))));
    assert_eq!(stored(&store, 1).await, job);
    assert_eq!(store.usage(&old.account).await.expect("an answer"), []);
    assert_eq!(store.in_doubt(&old.account).await.expect("an answer"), []);
    let outcome = store.mark_in_doubt(&tenure, vec![marked]).await.expect("the tenure is the last");
    assert_eq!(outcome, [MarkOutcome::Marked]);
    store.settle(&other, Vec::new()).await.expect("other accounts keep their tenures");
}

pub(super) async fn a_mark_is_set_once(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let job = sample_job("sales", 1);
    accept(&store, job.clone()).await;
    let mut marked = mark(&job, at(2));
    marked.charges = vec![charge(0, 1)];
    let outcomes = store.mark_in_doubt(&tenure, vec![marked.clone(), marked.clone()]).await.expect("an answer");
    assert_eq!(outcomes, [MarkOutcome::Marked, MarkOutcome::Withdrawn]);
    let tenure = store.take_tenure(&tenure.account).await.expect("a tenure");
    let outcomes = store.mark_in_doubt(&tenure, vec![marked.clone()]).await.expect("an answer");
    assert_eq!(outcomes, [MarkOutcome::Withdrawn], "it must be settled first");
    assert_eq!(store.usage(&tenure.account).await.expect("an answer")[0].amount, 1);
    let record = store.job(job.id).await.expect("an answer").expect("it is there");
    assert!(record.marked && record.job == job);
}

pub(super) async fn a_withdrawn_job_is_not_marked_and_not_charged(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    for (number, account) in [(1, "sales"), (2, "sales"), (3, "sales"), (4, "orders"), (5, "sales")] {
        accept(&store, sample_job(account, number)).await;
    }
    store.control(vec![job_id(1)], Control::Cancel, at(6)).await.expect("an answer");
    store.control(vec![job_id(2)], Control::Hold, at(6)).await.expect("an answer");
    let taken = attempt(1, &[Fate::Submitted], at(6));
    store.settle(&tenure, vec![settlement(job_id(3), Some(taken), at(6))]).await.expect("it is settled");
    let mut marks = Vec::new();
    for (number, bucket) in [(1, 1), (2, 2), (3, 3), (4, 4), (99, 99), (5, 5)] {
        let mut marked = mark(&sample_job("sales", number), at(7));
        marked.charges = vec![charge(bucket, 1)];
        marks.push(marked);
    }
    let last = marks[5].clone();
    let mut expected = [MarkOutcome::Withdrawn; 6];
    expected[5] = MarkOutcome::Marked;
    assert_eq!(store.mark_in_doubt(&tenure, marks).await.expect("an answer"), expected);
    assert_eq!(store.in_doubt(&tenure.account).await.expect("an answer"), [last]);
    let usage = store.usage(&tenure.account).await.expect("an answer");
    assert_eq!(usage.iter().map(|usage| usage.bucket).collect::<Vec<_>>(), [5]);
    assert_eq!(store.usage(&account_id("orders")).await.expect("an answer"), []);
}

pub(super) async fn marks_are_kept_until_they_are_settled(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let mut marks = Vec::new();
    for number in 1..=2 {
        let mut job = sample_job("sales", number);
        also_to(&mut job, "hanako@example.com");
        accept(&store, job.clone()).await;
        let mut marked = mark(&job, at(5));
        marked.charges = vec![charge(u64::from(number), 2), charge(9, 1)];
        marks.push(marked);
    }
    store.mark_in_doubt(&tenure, marks.clone()).await.expect("an answer");
    let mut kept = store.in_doubt(&tenure.account).await.expect("an answer");
    kept.sort_by_key(|mark| mark.message);
    assert_eq!(kept, marks);
    let lost = attempt(1, &[Fate::LeftInDoubt, Fate::LeftInDoubt], at(6));
    store.settle(&tenure, vec![settlement(job_id(1), Some(lost), at(6))]).await.expect("it is settled");
    assert_eq!(store.in_doubt(&tenure.account).await.expect("an answer"), [marks[1].clone()]);
    assert!(!store.job(job_id(1)).await.expect("an answer").expect("it is there").marked);
}

pub(super) async fn a_settlement_writes_what_the_attempt_met(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let mut job = sample_job("sales", 1);
    for number in 1..=4 {
        also_to(&mut job, &format!("user{number}@example.com"));
    }
    accept(&store, job.clone()).await;
    store.mark_in_doubt(&tenure, vec![mark(&job, at(5))]).await.expect("an answer");
    let fates = [Fate::Submitted, Fate::Deferred, Fate::Failed, Fate::GivenUp, Fate::LeftInDoubt];
    let met = attempt(1, &fates, at(6));
    let settled = settlement(job.id, Some(met.clone()), at(7));
    store.settle(&tenure, vec![settled.clone()]).await.expect("it is settled");
    job.settle(met, settled.retry_at);
    assert_eq!(stored(&store, 1).await, job);
    assert_eq!(job.due(), Some(settled.retry_at));
    let counted = JobChange::Attempted { message: 0, attempt: 1, submitted: 1, deferred: 1, failed: 2, in_doubt: 1 };
    assert_eq!(last_change(&store).await, Some((counted, JobState::Deferred)));
    let early = store.ready(&tenure.account, &HashSet::new(), 9, at(7)).await.expect("an answer");
    assert_eq!((early.messages.len(), early.next_due), (0, Some(settled.retry_at)));
    let late = store.ready(&tenure.account, &HashSet::new(), 9, settled.retry_at).await.expect("an answer");
    assert_eq!(late.messages.len(), 1);
}

pub(super) async fn an_attempt_without_a_mark_counts_too(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    let refused = attempt(1, &[Fate::Failed], at(2));
    store.settle(&tenure, vec![settlement(job_id(1), Some(refused), at(2))]).await.expect("it is settled");
    let job = stored(&store, 1).await;
    assert!(matches!(job.recipients()[0].state, RecipientState::Failed { .. }));
    assert_eq!((job.attempts_made, job.schedule), (1, Schedule::Idle));
    let record = store.account(&tenure.account).await.expect("an answer").expect("it is there");
    assert_eq!(record.open_jobs, 0);
}

pub(super) async fn an_attempt_that_does_not_count_only_takes_the_mark_away(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let job = sample_job("sales", 1);
    accept(&store, job.clone()).await;
    let mut marked = mark(&job, at(2));
    marked.charges = vec![charge(0, 1)];
    store.mark_in_doubt(&tenure, vec![marked]).await.expect("an answer");
    let before = *store.head().borrow();
    let given_up = Settlement { charges: vec![charge(0, -1)], ..settlement(job.id, None, at(3)) };
    store.settle(&tenure, vec![given_up]).await.expect("it is settled");
    let record = store.job(job.id).await.expect("an answer").expect("it is there");
    assert!(!record.marked && record.job == job);
    assert_eq!(store.events(before, 9).await.expect("an answer"), []);
    assert!(store.usage(&tenure.account).await.expect("an answer").iter().all(|usage| usage.amount == 0));
}

pub(super) async fn what_is_final_stays_final(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    store.control(vec![job_id(1)], Control::Cancel, at(2)).await.expect("an answer");
    let late = attempt(1, &[Fate::Deferred], at(3));
    store.settle(&tenure, vec![settlement(job_id(1), Some(late), at(3))]).await.expect("it is settled");
    let job = stored(&store, 1).await;
    assert_eq!(job.recipients()[0].state, RecipientState::Cancelled { at: at(2) });
    assert_eq!((job.attempts_made, job.attempts.len(), job.schedule), (1, 1, Schedule::Idle));
    assert_eq!(last_change(&store).await.map(|(_, state)| state), Some(JobState::Cancelled));
    let ready = store.ready(&tenure.account, &HashSet::new(), 9, at(999)).await.expect("an answer");
    assert_eq!((ready.messages.len(), ready.next_due), (0, None));
}

pub(super) async fn a_held_job_stays_held(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    store.control(vec![job_id(1)], Control::Hold, at(2)).await.expect("an answer");
    let late = settlement(job_id(1), Some(attempt(1, &[Fate::Deferred], at(3))), at(3));
    store.settle(&tenure, vec![late.clone()]).await.expect("it is settled");
    assert_eq!(stored(&store, 1).await.schedule, Schedule::Held { due: late.retry_at });
    let ready = store.ready(&tenure.account, &HashSet::new(), 9, at(999)).await.expect("an answer");
    assert_eq!((ready.messages.len(), ready.next_due), (0, None));
}

pub(super) async fn a_job_that_is_gone_is_left_alone(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    let foreign = sample_job("orders", 1);
    accept(&store, foreign.clone()).await;
    let before = *store.head().borrow();
    let settlements = [(1, 1), (9, 2)].map(|(number, bucket)| Settlement {
        charges: vec![charge(bucket, 1)],
        ..settlement(job_id(number), Some(attempt(1, &[Fate::Failed], at(3))), at(3))
    });
    store.settle(&tenure, settlements.into()).await.expect("it is settled");
    assert_eq!(stored(&store, 1).await, foreign);
    assert_eq!(store.job(job_id(9)).await.expect("an answer"), None);
    assert_eq!(store.events(before, 9).await.expect("an answer"), []);
    assert_eq!(store.usage(&tenure.account).await.expect("an answer").len(), 2, "the provider counted them");
}
