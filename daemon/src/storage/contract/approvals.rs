//! The rules of jobs that need approval.

use std::collections::HashSet;

use super::samples::{
    accept, accept_merge, account_id, at, caller, job_id, mark, mark_of, open_account, sample_job, sample_merge, stored,
};
use crate::{
    domain::{
        backlog::Backlog,
        event::{EventKind, JobChange},
        ids::MessageKey,
        job::{Approval, Control, ControlRefusal, Fallbacks, Flight, Job, JobState, Schedule},
        recipient::RecipientState,
        time::Timestamp,
    },
    storage::{
        Controlled, SharedStorage,
        settlement::{Diversion, MarkOutcome},
    },
};

const DONE: Controlled = Controlled::Done;

fn unapproved(number: u32) -> Job {
    Job { approval: Some(Approval::Awaited), ..sample_job("sales", number) }
}

async fn approve(store: &SharedStorage, number: u32, second: u64) -> Controlled {
    store.approve(vec![job_id(number)], &caller(), at(second)).await.expect("an answer")[0]
}

async fn control(store: &SharedStorage, number: u32, control: Control, second: u64) -> Controlled {
    store.control(vec![job_id(number)], control, at(second)).await.expect("an answer")[0]
}

async fn ready(store: &SharedStorage, now: Timestamp) -> usize {
    store.ready(&account_id("sales"), &HashSet::new(), 9, now).await.expect("an answer").messages.len()
}

/// That nothing of a job can be sent: no worker is woken for it, sees it or may mark it.
async fn check_nothing_goes(store: &SharedStorage, job: &Job) {
    let account = account_id("sales");
    assert_eq!(ready(store, at(99)).await, 0);
    assert_eq!(store.accounts_with_work().await.expect("an answer"), []);
    assert_eq!(store.consign(&[MessageKey::only(job.id)]).await.expect("an answer"), []);
    assert_eq!(store.backlog(&account).await.expect("an answer"), Backlog::default());
    let tenure = store.take_tenure(&account).await.expect("a tenure");
    let key = MessageKey::only(job.id);
    let marked = if job.merge().is_some() { mark_of(key, at(5)) } else { mark(job, at(5)) };
    let marked = store.mark_in_doubt(&tenure, vec![marked]).await.expect("an answer");
    assert_eq!(marked, [MarkOutcome::Withdrawn]);
}

pub(super) async fn a_job_goes_only_when_it_is_approved(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept(&store, unapproved(1)).await;
    check_nothing_goes(&store, &unapproved(1)).await;
    assert_eq!(stored(&store, 1).await.state(Flight::Grounded, at(5)), JobState::Held);
    assert_eq!(control(&store, 1, Control::Retry, 5).await, Controlled::Refused(ControlRefusal::AwaitsApproval));
    let before = *store.head().borrow();
    let ids = vec![job_id(9), job_id(1), job_id(1)];
    let answers = store.approve(ids, &caller(), at(6)).await.expect("an answer");
    let refused = Controlled::Refused(ControlRefusal::NoApprovalAwaited);
    assert_eq!(answers, [Controlled::Unknown, DONE, refused]);
    let job = stored(&store, 1).await;
    assert_eq!(job.approval, Some(Approval::Given { at: at(6), by: caller() }));
    assert_eq!((job.due(), ready(&store, at(6)).await), (Some(at(1)), 1));
    let events = store.events(before, 9).await.expect("an answer");
    let expected = EventKind::Job { id: job.id, change: JobChange::Approved, state: JobState::Queued };
    assert_eq!(events.into_iter().map(|(_, event)| event.kind).collect::<Vec<_>>(), [expected]);
    let backlog = store.backlog(&account_id("sales")).await.expect("an answer");
    assert_eq!(backlog.all().messages, 1);
    accept(&store, sample_job("sales", 2)).await;
    assert_eq!(approve(&store, 2, 7).await, refused, "it needs none");
}

pub(super) async fn a_hold_and_an_approval_are_independent(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in [1, 2] {
        accept(&store, Job { schedule: Schedule::Held { due: at(1) }, ..unapproved(number) }).await;
    }
    assert_eq!(approve(&store, 1, 5).await, DONE);
    assert_eq!(control(&store, 2, Control::Release, 5).await, DONE);
    assert_eq!(ready(&store, at(9)).await, 0, "one is held, the other not approved");
    for number in [1, 2] {
        assert_eq!(stored(&store, number).await.state(Flight::Grounded, at(9)), JobState::Held);
    }
    assert_eq!(control(&store, 2, Control::Hold, 6).await, DONE);
    assert_eq!(approve(&store, 2, 7).await, DONE);
    assert_eq!(ready(&store, at(9)).await, 0, "both are held");
    for number in [1, 2] {
        assert_eq!(control(&store, number, Control::Release, 8).await, DONE);
    }
    assert_eq!(ready(&store, at(9)).await, 2);
}

pub(super) async fn what_awaits_approval_still_ends(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in 1..=3 {
        accept(&store, Job { expires_at: Some(at(50)), ..unapproved(number) }).await;
    }
    assert_eq!(control(&store, 1, Control::Cancel, 5).await, DONE);
    assert_eq!(control(&store, 2, Control::Expire, 6).await, DONE);
    assert_eq!(store.expire_overdue(at(50), 9).await.expect("an answer"), 1);
    let states = async |number| stored(&store, number).await.recipients()[0].state.clone();
    assert_eq!(states(1).await, RecipientState::Cancelled { at: at(5) });
    assert_eq!(states(2).await, RecipientState::Expired { at: at(6), last: None });
    assert_eq!(states(3).await, RecipientState::Expired { at: at(50), last: None });
    for number in 1..=3 {
        assert_eq!(approve(&store, number, 60).await, Controlled::Refused(ControlRefusal::NothingToDo));
        let refused = Controlled::Refused(ControlRefusal::AwaitsApproval);
        assert_eq!(control(&store, number, Control::Retry, 61).await, refused);
    }
}

pub(super) async fn what_awaits_approval_does_not_go_over(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    let fallbacks =
        Fallbacks { from: "a@example.jp".parse().expect("an address"), accounts: vec![account_id("orders")] };
    accept(&store, Job { fallbacks: Some(Box::new(fallbacks)), ..unapproved(1) }).await;
    let divertible = async || store.divertible(&tenure.account, None, 9, at(9)).await.expect("an answer").jobs.len();
    assert_eq!(divertible().await, 0);
    let sender = "b@example.jp".parse().expect("an address");
    let over = Diversion { job: job_id(1), to: account_id("orders"), sender, now: at(9) };
    assert_eq!(store.divert(&tenure, vec![over]).await.expect("an answer"), [false]);
    assert_eq!(approve(&store, 1, 10).await, DONE);
    assert_eq!(divertible().await, 1);
}

pub(super) async fn a_merge_is_approved_as_a_whole(store: SharedStorage) {
    open_account(&store, "sales").await;
    let job = Job { approval: Some(Approval::Awaited), ..sample_merge("sales", 1, 4) };
    accept_merge(&store, job.clone()).await;
    check_nothing_goes(&store, &job).await;
    assert_eq!(control(&store, 1, Control::Retry, 5).await, Controlled::Refused(ControlRefusal::AwaitsApproval));
    assert_eq!(approve(&store, 1, 6).await, DONE);
    assert_eq!(ready(&store, at(6)).await, 4);
    assert_eq!(approve(&store, 1, 7).await, Controlled::Refused(ControlRefusal::NoApprovalAwaited));
}
