//! The rules of the ready order.

use std::collections::{BTreeSet, HashSet};

use super::samples::{accept, account_id, at, job_id, label, mark, open_account, sample_job, settlement};
use crate::{
    domain::{
        ids::MessageKey,
        job::{Control, Job, Priority, Schedule},
        time::Timestamp,
    },
    storage::{Content, Ready, ReadyMessage, SharedStorage, lane_of},
};

async fn ready(store: &SharedStorage, skip: &[u32], limit: usize, now: Timestamp) -> (Vec<u32>, Option<Timestamp>) {
    let skip: HashSet<_> = skip.iter().map(|number| MessageKey::only(job_id(*number))).collect();
    let Ready { messages, next_due } = store.ready(&account_id("sales"), &skip, limit, now).await.expect("an answer");
    let number_of =
        |entry: &ReadyMessage| (1..1_000).find(|number| job_id(*number) == entry.message.job).expect("a sample");
    (messages.iter().map(number_of).collect(), next_due)
}

fn due(number: u32, due: Timestamp) -> Job {
    Job { schedule: Schedule::Waiting { due }, ..sample_job("sales", number) }
}

pub(super) async fn only_what_is_due_is_ready(store: SharedStorage) {
    open_account(&store, "sales").await;
    assert_eq!(ready(&store, &[], 9, at(0)).await, (vec![], None));
    for job in [due(1, at(30)), due(2, at(20)), due(3, at(10)), due(4, at(20))] {
        accept(&store, job).await;
    }
    accept(&store, Job { schedule: Schedule::Held { due: at(5) }, ..sample_job("sales", 5) }).await;
    assert_eq!(ready(&store, &[], 9, at(9)).await, (vec![], Some(at(10))));
    assert_eq!(ready(&store, &[], 9, at(10)).await, (vec![3], Some(at(20))));
    assert_eq!(ready(&store, &[], 9, at(20)).await, (vec![3, 2, 4], Some(at(30))));
    assert_eq!(ready(&store, &[], 2, at(20)).await, (vec![3, 2], Some(at(30))));
    assert_eq!(ready(&store, &[], 9, at(99)).await, (vec![3, 2, 4, 1], None));
    store.control(vec![job_id(3), job_id(5)], Control::Cancel, at(11)).await.expect("an answer");
    assert_eq!(ready(&store, &[], 9, at(99)).await, (vec![2, 4, 1], None));
}

pub(super) async fn what_waits_is_counted(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for (number, priority) in [(1, Priority::Bulk), (2, Priority::Bulk), (3, Priority::High), (4, Priority::Bulk)] {
        let job = Job { priority, ..due(number, at(10 * u64::from(number))) };
        accept(&store, job).await;
    }
    accept(&store, Job { schedule: Schedule::Held { due: at(5) }, ..sample_job("sales", 5) }).await;
    let count = async |priority, after: Option<Timestamp>| {
        let backlog = match after {
            Some(after) => store.backlog_after(&tenure.account, after).await,
            None => store.backlog(&tenure.account).await,
        };
        backlog.expect("an answer").of(priority).messages
    };
    assert_eq!((count(Priority::Bulk, None).await, count(Priority::High, None).await), (3, 1));
    assert_eq!(count(Priority::Bulk, Some(at(10))).await, 2);
    assert_eq!(count(Priority::High, Some(at(30))).await, 0);
    // What is under way counts until its outcome is known.
    let first = Job { priority: Priority::Bulk, ..due(1, at(10)) };
    let begun = store.mark_in_doubt(&tenure, vec![mark(&first, at(11))]).await.expect("it is marked");
    assert_eq!((begun.len(), count(Priority::Bulk, None).await), (1, 3));
    store.control(vec![job_id(2), job_id(5)], Control::Cancel, at(12)).await.expect("an answer");
    assert_eq!(count(Priority::Bulk, None).await, 2);
    assert_eq!(store.backlog(&account_id("nobody")).await.expect("an answer").all().messages, 0);
}

pub(super) async fn urgent_jobs_go_first(store: SharedStorage) {
    open_account(&store, "sales").await;
    let order =
        [(1, Priority::Bulk), (2, Priority::Low), (3, Priority::Normal), (4, Priority::High), (5, Priority::High)];
    for (number, priority) in order {
        let job = Job { priority, labels: vec![label(&format!("l{number}"))], ..due(number, at(10)) };
        accept(&store, Job { schedule: Schedule::Waiting { due: at(u64::from(number)) }, ..job }).await;
    }
    let jobs = ready(&store, &[], 9, at(9)).await.0;
    assert_eq!(BTreeSet::from_iter(&jobs[..2]), BTreeSet::from([&4, &5]));
    assert_eq!(jobs[2..], [3, 2, 1]);
    let entry = store.ready(&account_id("sales"), &HashSet::new(), 9, at(9)).await.expect("an answer").messages[4];
    let labels = [label("l1")];
    let expected = ReadyMessage {
        message: MessageKey::only(job_id(1)),
        priority: Priority::Bulk,
        lane: lane_of(&labels),
        due: at(1),
        recipients: 1,
        bytes: sample_job("sales", 1).message.bytes,
        expires_at: None,
    };
    assert_eq!(entry, expected);
}

pub(super) async fn lanes_take_turns(store: SharedStorage) {
    open_account(&store, "sales").await;
    // Three in lane a, two in lane b, two without a label, one of priority Bulk in a lane of its own.
    let labels = [Some("a"), Some("a"), Some("a"), Some("b"), None, None, Some("b")];
    for (number, text) in (1..).zip(labels) {
        let labels = text.map(label).into_iter().collect();
        accept(&store, Job { labels, ..due(number, at(10 - u64::from(number))) }).await;
    }
    accept(&store, Job { labels: vec![label("c")], priority: Priority::Bulk, ..due(8, at(1)) }).await;
    let a_is_first = lane_of(&[label("a")]) < lane_of(&[label("b")]);
    // Within a lane those with the higher numbers were due earlier.
    let expected = if a_is_first { [6, 3, 7, 5, 2, 4, 1, 8] } else { [6, 7, 3, 5, 4, 2, 1, 8] };
    assert_eq!(ready(&store, &[], 9, at(20)).await.0, expected);
    assert_eq!(ready(&store, &[], 4, at(20)).await.0, expected[..4]);
}

pub(super) async fn skipped_jobs_are_left_out(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in 1..=4 {
        accept(&store, due(number, at(10))).await;
    }
    accept(&store, due(5, at(30))).await;
    assert_eq!(ready(&store, &[1, 3], 9, at(20)).await, (vec![2, 4], Some(at(30))));
    assert_eq!(ready(&store, &[1, 3, 99], 1, at(20)).await, (vec![2], Some(at(30))));
    assert_eq!(ready(&store, &[1, 2, 3, 4, 5], 9, at(20)).await, (vec![], Some(at(30))));
}

pub(super) async fn jobs_of_other_accounts_are_left_out(store: SharedStorage) {
    for id in ["sale", "sales", "sales.b"] {
        open_account(&store, id).await;
    }
    accept(&store, sample_job("sale", 1)).await;
    accept(&store, sample_job("sales", 2)).await;
    accept(&store, sample_job("sales.b", 3)).await;
    accept(&store, Job { schedule: Schedule::Waiting { due: at(50) }, ..sample_job("sales.b", 4) }).await;
    assert_eq!(ready(&store, &[], 9, at(9)).await, (vec![2], None));
}

pub(super) async fn a_marked_job_is_not_ready(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for number in 1..=2 {
        accept(&store, due(number, at(10))).await;
    }
    store.mark_in_doubt(&tenure, vec![mark(&due(1, at(10)), at(10))]).await.expect("an answer");
    assert_eq!(ready(&store, &[], 9, at(10)).await, (vec![2], None));
    assert_eq!(ready(&store, &[], 9, at(9)).await, (vec![], Some(at(10))));
    store.settle(&tenure, vec![settlement(job_id(1), None, at(11))]).await.expect("it is settled");
    assert_eq!(ready(&store, &[], 9, at(11)).await, (vec![1, 2], None));
}

pub(super) async fn waiting_and_marked_jobs_are_work(store: SharedStorage) {
    for id in ["a", "b", "c", "d"] {
        open_account(&store, id).await;
    }
    accept(&store, Job { schedule: Schedule::Waiting { due: at(999) }, ..sample_job("c", 1) }).await;
    accept(&store, Job { schedule: Schedule::Held { due: at(1) }, ..sample_job("b", 2) }).await;
    let marked = sample_job("a", 3);
    accept(&store, marked.clone()).await;
    let tenure = store.take_tenure(&account_id("a")).await.expect("a tenure");
    store.mark_in_doubt(&tenure, vec![mark(&marked, at(4))]).await.expect("an answer");
    accept(&store, sample_job("d", 5)).await;
    store.control(vec![job_id(5)], Control::Cancel, at(6)).await.expect("an answer");
    assert_eq!(store.accounts_with_work().await.expect("an answer"), [account_id("a"), account_id("c")]);
}

pub(super) async fn consignments_stand_in_the_order_of_the_ids(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in 1..=3 {
        accept(&store, sample_job("sales", number)).await;
    }
    let consigned = store.consign(&[3, 9, 1].map(|number| MessageKey::only(job_id(number)))).await.expect("an answer");
    let ids: Vec<_> = consigned.iter().map(|consignment| consignment.key.job).collect();
    assert_eq!(ids, [job_id(3), job_id(1)]);
    for consignment in consigned {
        let message = store.message(consignment.key.job).await.expect("an answer");
        assert_eq!(Some(consignment.content), message.map(Content::Composed));
    }
}
