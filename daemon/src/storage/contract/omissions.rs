//! The rules of recipients that are left out because they must not be sent to, and of how they wait again.

use std::collections::HashSet;

use super::samples::{
    accept, accept_merge, account_id, also_to, at, attempt, attempt_of, job_id,
    lists::{omission, suppression, suppression_key},
    mark, mark_of, open_account, sample_job, sample_merge, settlement, settlement_of, stored,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{Cursor, EventKind, JobChange},
        ids::MessageKey,
        job::{Control, ControlRefusal, Flight, Job, JobState},
        merge::MergeTally,
        recipient::RecipientState,
        suppression::{SuppressedBy, SuppressionScope},
        time::Timestamp,
    },
    storage::{
        Controlled, Groups, Lifted, PAGE_MAX, Period, SharedStorage, StatisticsQuery, Tenure, TenureError,
        settlement::MarkOutcome,
    },
};

const TARO: &str = "taro@example.com";
const HANAKO: &str = "hanako@example.com";

fn only(number: u32) -> MessageKey {
    MessageKey::only(job_id(number))
}

/// A job for both.
fn for_two(number: u32) -> Job {
    let mut job = sample_job("sales", number);
    also_to(&mut job, HANAKO);
    job
}

async fn suppress(store: &SharedStorage, address: &str) {
    store.suppress(vec![suppression(SuppressionScope::Global, address)]).await.expect("an answer");
}

async fn lift(store: &SharedStorage, address: &str, now: Timestamp) -> u32 {
    let lifted = store.lift(&suppression_key(address), true, now).await.expect("an answer");
    lifted.expect("it was there").requeued
}

async fn leave_out(store: &SharedStorage, tenure: &Tenure, message: MessageKey, who: &[(u32, &str)], seconds: u64) {
    store.leave_out(tenure, vec![omission(message, who, seconds)]).await.expect("an answer");
}

async fn ready(store: &SharedStorage, now: Timestamp) -> Vec<MessageKey> {
    let ready = store.ready(&account_id("sales"), &HashSet::new(), PAGE_MAX, now).await.expect("an answer");
    ready.messages.iter().map(|entry| entry.message).collect()
}

async fn changes(store: &SharedStorage, after: Cursor) -> Vec<(JobChange, JobState)> {
    let events = store.events(after, PAGE_MAX).await.expect("an answer");
    let of_job = |event| match event {
        EventKind::Job { change, state, .. } => Some((change, state)),
        _ => None,
    };
    events.into_iter().filter_map(|(_, event)| of_job(event.kind)).collect()
}

async fn cancel(store: &SharedStorage, number: u32, seconds: u64) -> Controlled {
    store.control(vec![job_id(number)], Control::Cancel, at(seconds)).await.expect("an answer")[0]
}

async fn counted(store: &SharedStorage) -> u64 {
    let query = StatisticsQuery { from: at(0), to: at(9_999), period: Period::Day, groups: Groups::All };
    let found = store.statistics(&account_id("sales"), query).await.expect("an answer");
    found.values().map(|counts| counts.suppressed).sum()
}

async fn open_jobs(store: &SharedStorage) -> u64 {
    store.account(&account_id("sales")).await.expect("an answer").expect("it is there").open_jobs
}

pub(super) async fn others_wait_on_when_one_is_left_out(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, for_two(1)).await;
    let before = *store.head().borrow();
    leave_out(&store, &tenure, only(1), &[(1, HANAKO), (5, HANAKO)], 3).await;
    leave_out(&store, &tenure, only(1), &[(1, HANAKO)], 4).await;
    assert_eq!(ready(&store, at(4)).await, [only(1)]);
    assert_eq!(stored(&store, 1).await.pending(), [0]);
    leave_out(&store, &tenure, only(1), &[(0, TARO)], 5).await;
    assert_eq!(ready(&store, at(9)).await, []);
    let left = |index, state| (JobChange::Suppressed { recipients: vec![index] }, state);
    assert_eq!(changes(&store, before).await, [left(1, JobState::Queued), left(0, JobState::Suppressed)]);
    let by = SuppressedBy::from(&suppression(SuppressionScope::Global, TARO));
    assert_eq!(
        stored(&store, 1).await.recipients()[0].state,
        RecipientState::Suppressed { at: at(5), by: Box::new(by) }
    );
    assert_eq!(counted(&store).await, 3, "what left nobody out is not counted");
    assert_eq!(open_jobs(&store).await, 0);
    assert_eq!(store.backlog(&tenure.account).await.expect("an answer").all().recipients, 0);
}

pub(super) async fn what_is_under_way_or_another_accounts_is_not_left_out(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let other = open_account(&store, "orders").await;
    accept(&store, sample_job("sales", 1)).await;
    store.mark_in_doubt(&tenure, vec![mark(&stored(&store, 1).await, at(2))]).await.expect("an answer");
    leave_out(&store, &tenure, only(1), &[(0, TARO)], 3).await;
    leave_out(&store, &other, only(1), &[(0, TARO)], 3).await;
    leave_out(&store, &tenure, only(7), &[(0, TARO)], 3).await;
    leave_out(&store, &tenure, MessageKey { job: job_id(1), index: 1 }, &[(0, TARO)], 3).await;
    assert!(stored(&store, 1).await.recipients()[0].state.is_pending());
    assert_eq!(counted(&store).await, 0);
    store.take_tenure(&tenure.account).await.expect("a tenure");
    let stale = store.leave_out(&tenure, vec![omission(only(1), &[(0, TARO)], 4)]).await;
    assert!(matches!(stale, Err(TenureError::Lost(_))), "{stale:?}");
}

pub(super) async fn a_job_that_is_left_out_from_the_beginning_is_finished(store: SharedStorage) {
    open_account(&store, "sales").await;
    suppress(&store, TARO).await;
    let mut job = sample_job("sales", 1);
    job.leave_out([(0, SuppressedBy::from(&suppression(SuppressionScope::Global, TARO)))], at(1));
    accept(&store, job.clone()).await;
    assert_eq!(stored(&store, 1).await, job);
    assert_eq!((ready(&store, at(9)).await, open_jobs(&store).await), (vec![], 0));
    assert_eq!(changes(&store, Cursor(0)).await, [(JobChange::Accepted, JobState::Suppressed)]);
    assert_eq!(store.accounts_with_work().await.expect("an answer"), []);
    assert_eq!(lift(&store, TARO, at(10)).await, 1);
    assert_eq!((ready(&store, at(10)).await, open_jobs(&store).await), (vec![only(1)], 1));
    accept(&store, Job { id: job_id(2), ..job }).await;
    while store.prune(at(500), 9, at(600)).await.expect("an answer") > 0 {}
    assert!(store.job(job_id(1)).await.expect("an answer").is_some(), "it is open");
    assert_eq!(store.job(job_id(2)).await.expect("an answer"), None);
}

pub(super) async fn who_was_held_back_waits_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    suppress(&store, HANAKO).await;
    for number in 1..=3 {
        accept(&store, for_two(number)).await;
        leave_out(&store, &tenure, only(number), &[(1, "Hanako@example.com")], 5).await;
    }
    let met = attempt(1, &[Fate::Submitted], at(6));
    store.settle(&tenure, vec![settlement(job_id(1), Some(met), at(6))]).await.expect("it is settled");
    store.control(vec![job_id(3)], Control::Cancel, at(7)).await.expect("an answer");
    let before = *store.head().borrow();
    assert_eq!(lift(&store, HANAKO, at(9)).await, 2, "one job was cancelled");
    let retried = (JobChange::Controlled(Control::Retry), JobState::Queued);
    assert_eq!(changes(&store, before).await, [retried.clone(), retried]);
    assert_eq!(stored(&store, 1).await.pending(), [1]);
    assert_eq!(stored(&store, 1).await.due(), Some(at(9)));
    assert_eq!(stored(&store, 2).await.pending(), [0, 1]);
    assert_eq!(stored(&store, 2).await.due(), Some(at(2)), "it goes with the other one");
    assert_eq!(ready(&store, at(9)).await, [only(2), only(1)]);
    assert_eq!(open_jobs(&store).await, 2);
    suppress(&store, HANAKO).await;
    assert_eq!(lift(&store, HANAKO, at(10)).await, 0, "nobody is held back any more");
}

pub(super) async fn a_job_that_is_gone_takes_nobody_back(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    accept(&store, Job { expires_at: Some(at(20)), ..sample_job("sales", 2) }).await;
    accept_merge(&store, sample_merge("sales", 3, 1)).await;
    leave_out(&store, &tenure, only(1), &[(0, TARO)], 5).await;
    leave_out(&store, &tenure, only(2), &[(0, TARO)], 500).await;
    leave_out(&store, &tenure, only(3), &[(0, "user0@example.com")], 5).await;
    while store.prune(at(100), 9, at(200)).await.expect("an answer") > 0 {}
    assert_eq!(store.job(job_id(1)).await.expect("an answer"), None);
    assert_eq!(store.job(job_id(3)).await.expect("an answer"), None);
    for address in [TARO, "user0@example.com"] {
        suppress(&store, address).await;
        assert_eq!(lift(&store, address, at(600)).await, 0, "{address}");
    }
}

pub(super) async fn a_lift_without_a_wish_lets_nobody_wait(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    suppress(&store, TARO).await;
    accept(&store, sample_job("sales", 1)).await;
    leave_out(&store, &tenure, only(1), &[(0, TARO)], 5).await;
    let lifted = store.lift(&suppression_key(TARO), false, at(6)).await.expect("an answer");
    assert_eq!(lifted.map(|lifted| lifted.requeued), Some(0));
    assert_eq!(ready(&store, at(9)).await, []);
    suppress(&store, TARO).await;
    store.control(vec![job_id(1)], Control::Retry, at(7)).await.expect("an answer");
    assert_eq!(ready(&store, at(9)).await, [], "a retry does not reach who is suppressed");
    assert_eq!(lift(&store, TARO, at(9)).await, 1);
}

pub(super) async fn who_is_held_back_by_what_is_gone_waits_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    suppress(&store, TARO).await;
    accept(&store, sample_job("sales", 1)).await;
    leave_out(&store, &tenure, only(1), &[(0, TARO)], 5).await;
    store.lift(&suppression_key(TARO), false, at(6)).await.expect("an answer");
    assert_eq!(store.lift(&suppression_key(TARO), false, at(7)).await.expect("an answer"), None);
    let lifted = store.lift(&suppression_key(TARO), true, at(8)).await.expect("an answer");
    assert_eq!(lifted, Some(Lifted { suppression: None, requeued: 1 }));
    assert_eq!(ready(&store, at(9)).await, [only(1)]);
    assert_eq!(store.lift(&suppression_key(TARO), true, at(9)).await.expect("an answer"), None);
}

pub(super) async fn it_is_told_whether_anybody_was_left_out(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    accept_merge(&store, sample_merge("sales", 2, 2)).await;
    let first = MessageKey { job: job_id(2), index: 0 };
    let omissions = [only(1), only(1), first, only(7), first].map(|message| omission(message, &[(0, TARO)], 3));
    let told = store.leave_out(&tenure, omissions.to_vec()).await.expect("an answer");
    assert_eq!(told, [true, false, true, false, false]);
}

fn user(index: u32) -> (MessageKey, String) {
    (MessageKey { job: job_id(1), index }, format!("user{index}@example.com"))
}

async fn leave_users_out(store: &SharedStorage, tenure: &Tenure, indexes: &[u32], seconds: u64) {
    let omissions = indexes.iter().map(|index| {
        let (message, address) = user(*index);
        omission(message, &[(*index, &address)], seconds)
    });
    store.leave_out(tenure, omissions.collect()).await.expect("an answer");
}

pub(super) async fn messages_of_a_merge_are_left_out_and_wait_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 5)).await;
    let settle = async |index, fate, seconds| {
        let met = Some(attempt_of(index, 1, fate, at(seconds)));
        let settled = settlement_of(MessageKey { job: job_id(1), index }, met, at(seconds));
        store.settle(&tenure, vec![settled]).await.expect("it is settled");
    };
    settle(1, Fate::Deferred, 2).await;
    store.mark_in_doubt(&tenure, vec![mark_of(user(2).0, at(3))]).await.expect("an answer");
    leave_users_out(&store, &tenure, &[0, 1, 2, 0, 9], 4).await;
    let tally = |job: &Job| job.merge().expect("a merge job").tally;
    let job = stored(&store, 1).await;
    assert_eq!(tally(&job), MergeTally { waiting: 3, suppressed: 2, ..MergeTally::default() });
    assert_eq!(counted(&store).await, 2);
    settle(2, Fate::Submitted, 5).await;
    leave_users_out(&store, &tenure, &[3, 4], 6).await;
    let job = stored(&store, 1).await;
    assert_eq!((job.is_open(), job.state(Flight::Grounded, at(7))), (false, JobState::PartlySubmitted));
    assert_eq!(ready(&store, at(999)).await, []);
    let before = *store.head().borrow();
    suppress(&store, "USER1@example.com").await;
    assert_eq!(lift(&store, "user1@example.com", at(70)).await, 1);
    assert_eq!(changes(&store, before).await, [(JobChange::Controlled(Control::Retry), JobState::Queued)]);
    assert_eq!(ready(&store, at(70)).await, [user(1).0]);
    let marked = store.mark_in_doubt(&tenure, vec![mark_of(user(1).0, at(71)), mark_of(user(0).0, at(71))]).await;
    assert_eq!(marked.expect("an answer"), [MarkOutcome::Marked, MarkOutcome::Withdrawn]);
    settle(1, Fate::Submitted, 72).await;
    let expected = MergeTally { submitted: 2, suppressed: 3, ..MergeTally::default() };
    assert_eq!(tally(&stored(&store, 1).await), expected);
    suppress(&store, "user0@example.com").await;
    assert_eq!(lift(&store, "user0@example.com", at(73)).await, 1);
    settle(0, Fate::Submitted, 74).await;
    assert_eq!(cancel(&store, 1, 75).await, Controlled::Done, "two of it may wait again");
    suppress(&store, "user3@example.com").await;
    assert_eq!(lift(&store, "user3@example.com", at(76)).await, 0, "it was cancelled");
    assert_eq!(cancel(&store, 1, 77).await, Controlled::Refused(ControlRefusal::NothingToDo));
    let expected = MergeTally { submitted: 3, suppressed: 2, ..MergeTally::default() };
    assert_eq!(tally(&stored(&store, 1).await), expected);
}

pub(super) async fn who_was_left_out_is_withdrawn_with_the_job(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    suppress(&store, HANAKO).await;
    for number in 1..=2 {
        accept(&store, for_two(number)).await;
        leave_out(&store, &tenure, only(number), &[(1, HANAKO)], 5).await;
    }
    let met = attempt(1, &[Fate::Submitted], at(6));
    store.settle(&tenure, vec![settlement(job_id(1), Some(met.clone()), at(6))]).await.expect("it is settled");
    assert_eq!(cancel(&store, 1, 7).await, Controlled::Done);
    assert_eq!(cancel(&store, 1, 8).await, Controlled::Refused(ControlRefusal::NothingToDo));
    // What is under way is not withdrawn, the rest is when that has ended.
    store.mark_in_doubt(&tenure, vec![mark(&stored(&store, 2).await, at(7))]).await.expect("an answer");
    assert_eq!(cancel(&store, 2, 8).await, Controlled::Done);
    store.settle(&tenure, vec![settlement(job_id(2), Some(met), at(9))]).await.expect("it is settled");
    assert_eq!(lift(&store, HANAKO, at(9)).await, 0);
    for number in 1..=2 {
        let job = stored(&store, number).await;
        assert!(matches!(job.recipients()[0].state, RecipientState::Submitted { .. }), "{job:?}");
        assert!(matches!(job.recipients()[1].state, RecipientState::Cancelled { .. }), "{job:?}");
    }
    let findings = store.verify(&super::ends::Silent).await.expect("an answer");
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

pub(super) async fn very_many_wait_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    suppress(&store, TARO).await;
    for number in 1..=600 {
        accept(&store, sample_job("sales", number)).await;
    }
    let omissions = (1..=600).map(|number| omission(only(number), &[(0, TARO)], 700)).collect();
    store.leave_out(&tenure, omissions).await.expect("an answer");
    assert_eq!(open_jobs(&store).await, 0);
    assert_eq!(lift(&store, TARO, at(800)).await, 600);
    assert_eq!(open_jobs(&store).await, 600);
}
