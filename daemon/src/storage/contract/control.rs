//! The rules of cancelling, holding, releasing, retrying and ending.

use std::collections::HashSet;

use super::samples::{
    accept, account_id, also_to, at, attempt, job_id, mark, open_account, sample_job, settlement, stored,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{EventKind, JobChange},
        job::{Control, ControlRefusal, Job, JobState, Schedule, Wish},
        recipient::RecipientState,
    },
    storage::{Controlled, SharedStorage},
};

async fn control(store: &SharedStorage, number: u32, control: Control, second: u64) -> Controlled {
    let answers = store.control(vec![job_id(number)], control, at(second)).await.expect("an answer");
    assert_eq!(answers.len(), 1);
    answers[0]
}

pub(super) async fn calls_are_answered_in_the_order_of_the_ids(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    accept(&store, sample_job("sales", 2)).await;
    let ids = vec![job_id(2), job_id(9), job_id(1), job_id(2)];
    let answers = store.control(ids, Control::Cancel, at(3)).await.expect("an answer");
    let refused = Controlled::Refused(ControlRefusal::NothingToDo);
    assert_eq!(answers, [Controlled::Done, Controlled::Unknown, Controlled::Done, refused]);
    for number in [1, 2] {
        let job = stored(&store, number).await;
        assert_eq!(job.recipients()[0].state, RecipientState::Cancelled { at: at(3) });
    }
}

pub(super) async fn a_held_job_waits_for_its_release(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept(&store, Job { schedule: Schedule::Waiting { due: at(10) }, ..sample_job("sales", 1) }).await;
    let ready = async || {
        let ready = store.ready(&account_id("sales"), &HashSet::new(), 9, at(20)).await.expect("an answer");
        ready.messages.len()
    };
    assert_eq!(control(&store, 1, Control::Hold, 5).await, Controlled::Done);
    assert_eq!((stored(&store, 1).await.schedule, ready().await), (Schedule::Held { due: at(10) }, 0));
    assert_eq!(control(&store, 1, Control::Retry, 6).await, Controlled::Refused(ControlRefusal::IsHeld));
    assert_eq!(control(&store, 1, Control::Release, 7).await, Controlled::Done);
    assert_eq!((stored(&store, 1).await.schedule, ready().await), (Schedule::Waiting { due: at(10) }, 1));
}

pub(super) async fn a_wish_waits_for_the_end_of_the_attempt(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for number in 1..=2 {
        let mut job = sample_job("sales", number);
        also_to(&mut job, "hanako@example.com");
        accept(&store, job.clone()).await;
        store.mark_in_doubt(&tenure, vec![mark(&job, at(5))]).await.expect("an answer");
    }
    assert_eq!(control(&store, 1, Control::Cancel, 6).await, Controlled::Done);
    assert_eq!(control(&store, 2, Control::Hold, 6).await, Controlled::Done);
    assert_eq!(control(&store, 2, Control::Retry, 6).await, Controlled::Refused(ControlRefusal::UnderWay));
    let job = stored(&store, 1).await;
    assert_eq!((job.wish, job.pending().len()), (Some(Wish::Cancel), 2));
    for number in 1..=2 {
        let met = attempt(1, &[Fate::Submitted, Fate::Deferred], at(7));
        store.settle(&tenure, vec![settlement(job_id(number), Some(met), at(7))]).await.expect("it is settled");
    }
    let cancelled = stored(&store, 1).await;
    assert!(matches!(cancelled.recipients()[0].state, RecipientState::Submitted { .. }));
    assert_eq!(cancelled.recipients()[1].state, RecipientState::Cancelled { at: at(7) });
    assert_eq!((cancelled.wish, cancelled.schedule), (None, Schedule::Idle));
    let held = stored(&store, 2).await;
    assert_eq!((held.wish, held.schedule), (None, Schedule::Held { due: at(67) }));
}

pub(super) async fn a_wish_is_done_when_the_attempt_did_not_count(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let job = sample_job("sales", 1);
    accept(&store, job.clone()).await;
    store.mark_in_doubt(&tenure, vec![mark(&job, at(5))]).await.expect("an answer");
    assert_eq!(control(&store, 1, Control::Cancel, 6).await, Controlled::Done);
    let before = *store.head().borrow();
    store.settle(&tenure, vec![settlement(job.id, None, at(7))]).await.expect("it is settled");
    let job = stored(&store, 1).await;
    assert_eq!((job.recipients()[0].state.clone(), job.wish), (RecipientState::Cancelled { at: at(7) }, None));
    let events = store.events(before, 9).await.expect("an answer");
    let change = JobChange::Controlled(Control::Cancel);
    let expected = EventKind::Job { id: job.id, change, state: JobState::Cancelled };
    assert_eq!(events.into_iter().map(|(_, event)| event.kind).collect::<Vec<_>>(), [expected]);
}

pub(super) async fn a_refused_call_changes_nothing(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    let (before, head) = (stored(&store, 1).await, *store.head().borrow());
    let nothing = Controlled::Refused(ControlRefusal::NothingToDo);
    assert_eq!(control(&store, 1, Control::Release, 5).await, nothing);
    assert_eq!((stored(&store, 1).await, *store.head().borrow()), (before, head));
    control(&store, 1, Control::Cancel, 6).await;
    let (before, head) = (stored(&store, 1).await, *store.head().borrow());
    for refused in [Control::Cancel, Control::Hold, Control::Release, Control::Retry, Control::Expire] {
        assert_eq!(control(&store, 1, refused, 7).await, nothing);
    }
    assert_eq!((stored(&store, 1).await, *store.head().borrow()), (before, head));
}

pub(super) async fn a_retry_opens_a_finished_job(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    let refused = attempt(1, &[Fate::Failed], at(2));
    store.settle(&tenure, vec![settlement(job_id(1), Some(refused), at(2))]).await.expect("it is settled");
    assert_eq!(control(&store, 1, Control::Retry, 5).await, Controlled::Done);
    assert_eq!(stored(&store, 1).await.due(), Some(at(5)));
    let ready = store.ready(&tenure.account, &HashSet::new(), 9, at(5)).await.expect("an answer");
    assert_eq!(ready.messages.len(), 1);
    let record = store.account(&tenure.account).await.expect("an answer").expect("it is there");
    assert_eq!(record.open_jobs, 1);
}

pub(super) async fn a_job_without_account_is_not_opened_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    let refused = attempt(1, &[Fate::Failed], at(2));
    store.settle(&tenure, vec![settlement(job_id(1), Some(refused), at(2))]).await.expect("it is settled");
    store.delete_account(&tenure.account, None, at(3)).await.expect("nothing is open");
    let nothing = Controlled::Refused(ControlRefusal::NothingToDo);
    assert_eq!(control(&store, 1, Control::Retry, 4).await, nothing);
    open_account(&store, "sales").await;
    assert_eq!(control(&store, 1, Control::Retry, 5).await, Controlled::Done);
}

pub(super) async fn what_is_not_final_ends_at_a_callers_wish(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let mut job = sample_job("sales", 1);
    ["b", "c", "d"].iter().for_each(|name| also_to(&mut job, &format!("{name}@example.com")));
    accept(&store, job).await;
    let met = attempt(1, &[Fate::Submitted, Fate::Deferred, Fate::LeftInDoubt, Fate::Failed], at(2));
    store.settle(&tenure, vec![settlement(job_id(1), Some(met), at(2))]).await.expect("it is settled");
    assert_eq!(control(&store, 1, Control::Expire, 5).await, Controlled::Done);
    let job = stored(&store, 1).await;
    let states: Vec<_> = job.recipients().iter().map(|recipient| &recipient.state).collect();
    assert!(matches!(states[0], RecipientState::Submitted { .. }));
    assert!(matches!(states[1], RecipientState::Expired { last: Some(_), .. }));
    assert_eq!(*states[2], RecipientState::Expired { at: at(5), last: None });
    assert!(matches!(states[3], RecipientState::Failed { .. }));
    assert_eq!((job.schedule, job.is_open()), (Schedule::Idle, false));
    assert_eq!(control(&store, 1, Control::Retry, 6).await, Controlled::Done);
    assert_eq!(stored(&store, 1).await.pending(), [1, 2, 3]);
}

pub(super) async fn a_job_under_way_expires_when_its_attempt_ends(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let mut job = sample_job("sales", 1);
    also_to(&mut job, "hanako@example.com");
    accept(&store, job.clone()).await;
    store.mark_in_doubt(&tenure, vec![mark(&job, at(5))]).await.expect("an answer");
    assert_eq!(control(&store, 1, Control::Hold, 6).await, Controlled::Done);
    assert_eq!(control(&store, 1, Control::Expire, 6).await, Controlled::Done);
    let nothing = Controlled::Refused(ControlRefusal::NothingToDo);
    assert_eq!(control(&store, 1, Control::Expire, 6).await, nothing);
    assert_eq!(stored(&store, 1).await.wish, Some(Wish::Expire));
    let met = attempt(1, &[Fate::Submitted, Fate::Deferred], at(7));
    store.settle(&tenure, vec![settlement(job_id(1), Some(met), at(7))]).await.expect("it is settled");
    let job = stored(&store, 1).await;
    assert!(matches!(job.recipients()[0].state, RecipientState::Submitted { .. }));
    assert!(matches!(job.recipients()[1].state, RecipientState::Expired { last: Some(_), .. }));
    assert_eq!((job.wish, job.schedule), (None, Schedule::Idle));
}
