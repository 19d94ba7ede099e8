//! The rules of submitting and reading jobs.

use bytes::Bytes;

use super::samples::{
    accept, account_id, also_to, at, attempt, idempotency, job_id, label, open_account, recipient, sample_account,
    sample_job, settlement, submission,
};
use crate::{
    domain::{
        attempt::Fate,
        ids::MessageKey,
        job::{Audience, Control, Job, JobState, Priority, Schedule},
        time::Timestamp,
    },
    storage::{Acceptance, Content, JobFilter, JobStore, Page, SharedStorage, Submission},
};

fn keyed(job: Job, by: &str, key: &str, hash: u8) -> Submission {
    Submission { idempotency: Some(idempotency(by, key, hash)), ..submission(job) }
}

async fn answers(store: &SharedStorage, submissions: Vec<Submission>) -> Vec<Acceptance> {
    JobStore::accept(&**store, submissions).await.expect("the store answers")
}

pub(super) async fn accepted_jobs_are_read_back_as_they_are(store: SharedStorage) {
    open_account(&store, "sales").await;
    let mut job = sample_job("sales", 1);
    job.audience = Audience::Together(vec![recipient("taro@example.com"), recipient("太郎@例え.jp")]);
    job.labels = vec![label("campaign"), label("spring 春")];
    job.priority = Priority::Bulk;
    job.expires_at = Some(at(99));
    job.schedule = Schedule::Held { due: at(50) };
    assert_eq!(store.job(job.id).await.expect("an answer"), None);
    assert_eq!(store.message(job.id).await.expect("an answer"), None);
    accept(&store, job.clone()).await;
    let record = store.job(job.id).await.expect("an answer").expect("it is there");
    assert_eq!((&record.job, record.marked), (&job, false));
    assert_eq!(store.message(job.id).await.expect("an answer"), Some(submission(job).message));
}

pub(super) async fn submissions_are_answered_one_by_one_in_order(store: SharedStorage) {
    open_account(&store, "sales").await;
    let batch = vec![
        submission(sample_job("nobody", 1)),
        keyed(sample_job("sales", 2), "local", "k", 1),
        keyed(sample_job("sales", 3), "local", "k", 1),
        submission(sample_job("sales", 4)),
    ];
    let expected =
        [Acceptance::UnknownAccount, Acceptance::Accepted, Acceptance::Existing(job_id(2)), Acceptance::Accepted];
    assert_eq!(answers(&store, batch).await, expected);
    for (number, is_there) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(store.job(job_id(number)).await.expect("an answer").is_some(), is_there, "job {number}");
        assert_eq!(store.message(job_id(number)).await.expect("an answer").is_some(), is_there, "message {number}");
    }
    assert_eq!(answers(&store, Vec::new()).await, []);
}

pub(super) async fn a_repeated_submission_is_known_again(store: SharedStorage) {
    open_account(&store, "sales").await;
    let check = async |number, key, hash, expected: Acceptance| {
        let answer = answers(&store, vec![keyed(sample_job("sales", number), "local", key, hash)]).await;
        assert_eq!(answer, [expected], "job {number}");
    };
    let known = async |key, hash| store.submitted(&idempotency("local", key, hash)).await.expect("an answer");
    assert_eq!(known("k", 1).await, None);
    check(1, "k", 1, Acceptance::Accepted).await;
    assert_eq!(known("k", 1).await, Some(Acceptance::Existing(job_id(1))));
    assert_eq!(known("k", 2).await, Some(Acceptance::KeyReused(job_id(1))));
    check(2, "k", 1, Acceptance::Existing(job_id(1))).await;
    check(3, "k", 2, Acceptance::KeyReused(job_id(1))).await;
    check(4, "l", 1, Acceptance::Accepted).await;
    store.control(vec![job_id(1)], Control::Cancel, at(5)).await.expect("an answer");
    check(6, "k", 1, Acceptance::Existing(job_id(1))).await;
}

pub(super) async fn an_idempotency_key_is_its_callers_own(store: SharedStorage) {
    open_account(&store, "sales").await;
    // The caller and the key must not run into each other.
    for (number, by, key) in [(1, "a", "b"), (2, "b", "b"), (3, "a:", "b"), (4, "a", ":b")] {
        let answer = answers(&store, vec![keyed(sample_job("sales", number), by, key, 1)]).await;
        assert_eq!(answer, [Acceptance::Accepted], "job {number}");
    }
}

pub(super) async fn a_key_outlives_its_account(store: SharedStorage) {
    open_account(&store, "sales").await;
    answers(&store, vec![keyed(sample_job("sales", 1), "local", "k", 1)]).await;
    store.control(vec![job_id(1)], Control::Cancel, at(2)).await.expect("an answer");
    store.delete_account(&account_id("sales"), None, at(3)).await.expect("nothing is open");
    let again = answers(&store, vec![keyed(sample_job("sales", 4), "local", "k", 1)]).await;
    assert_eq!(again, [Acceptance::Existing(job_id(1))]);
}

pub(super) async fn large_messages_come_back_whole(store: SharedStorage) {
    open_account(&store, "sales").await;
    for (number, length) in [(1, 0), (2, 3_999), (3, 4_000), (4, 4_001), (5, 65_536), (6, 65_537), (7, 3_000_000)] {
        let mut given = submission(sample_job("sales", number));
        given.message.bytes = (0..length).map(|index: u32| index.to_le_bytes()[0]).collect::<Bytes>();
        given.message.is_eight_bit = number % 2 == 0;
        assert_eq!(answers(&store, vec![given.clone()]).await, [Acceptance::Accepted]);
        let message = store.message(given.job.id).await.expect("an answer").expect("it is there");
        assert!(message == given.message, "{length} bytes");
        let consigned = store.consign(&[MessageKey::only(given.job.id)]).await.expect("an answer");
        assert!(consigned.len() == 1 && consigned[0].content == Content::Composed(given.message), "{length} bytes");
    }
}

async fn listed(store: &SharedStorage, filter: &JobFilter, limit: usize, now: Timestamp) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(filter, Page { after, limit, now }).await.expect("an answer");
        assert!(page.jobs.len() <= limit);
        for record in &page.jobs {
            numbers.push((1..1_000).find(|number| job_id(*number) == record.job.id).expect("a sample"));
        }
        if page.next.is_none() {
            return numbers;
        }
        assert!(after.is_none() || page.next < after, "pages go on to older jobs");
        after = page.next;
    }
}

pub(super) async fn lists_begin_with_the_youngest(store: SharedStorage) {
    open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    for number in [3, 1, 5, 2, 4] {
        accept(&store, sample_job(if number == 3 { "orders" } else { "sales" }, number)).await;
    }
    for limit in [1, 2, 5, 9] {
        assert_eq!(listed(&store, &JobFilter::default(), limit, at(9)).await, [5, 4, 3, 2, 1], "{limit} a page");
    }
    let page = Page { after: Some(job_id(3)), limit: 9, now: at(9) };
    let page = store.list(&JobFilter::default(), page).await.expect("an answer");
    assert_eq!(page.jobs.iter().map(|record| record.job.id).collect::<Vec<_>>(), [job_id(2), job_id(1)]);
    assert_eq!(page.next, None);
}

pub(super) async fn filters_hold_all_at_once(store: SharedStorage) {
    open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    for number in 1..=6 {
        let mut job = sample_job(if number <= 3 { "sales" } else { "orders" }, number);
        job.labels = if number % 2 == 0 { vec![label("even"), label("all")] } else { vec![label("all")] };
        also_to(&mut job, &format!("User{number}@Example.com"));
        accept(&store, job).await;
    }
    let check = async |filter: JobFilter, expected: &[u32]| {
        assert_eq!(listed(&store, &filter, 2, at(9)).await, expected, "{filter:?}");
    };
    let all = JobFilter::default;
    let orders = Some(account_id("orders"));
    check(JobFilter { account: orders.clone(), ..all() }, &[6, 5, 4]).await;
    check(JobFilter { account: Some(account_id("nobody")), ..all() }, &[]).await;
    check(JobFilter { label: Some(label("even")), ..all() }, &[6, 4, 2]).await;
    check(JobFilter { label: Some(label("all")), ..all() }, &[6, 5, 4, 3, 2, 1]).await;
    check(JobFilter { recipient: Some("user5@EXAMPLE.com".to_owned()), ..all() }, &[5]).await;
    check(JobFilter { recipient: Some("user".to_owned()), ..all() }, &[]).await;
    check(JobFilter { accepted_from: Some(at(3)), accepted_before: Some(at(5)), ..all() }, &[4, 3]).await;
    check(JobFilter { account: orders, label: Some(label("even")), accepted_before: Some(at(6)), ..all() }, &[4]).await;
}

pub(super) async fn lists_filter_by_state_at_the_given_time(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for number in 1..=4 {
        accept(&store, Job { schedule: Schedule::Waiting { due: at(10) }, ..sample_job("sales", number) }).await;
    }
    store.control(vec![job_id(1)], Control::Hold, at(5)).await.expect("an answer");
    let job = sample_job("sales", 2);
    store.mark_in_doubt(&tenure, vec![super::samples::mark(&job, at(5))]).await.expect("an answer");
    let taken = attempt(1, &[Fate::Submitted], at(5));
    store.settle(&tenure, vec![settlement(job_id(3), Some(taken), at(5))]).await.expect("it is settled");
    let check = async |states: &[JobState], now, expected: &[u32]| {
        let filter = JobFilter { states: states.to_vec(), ..JobFilter::default() };
        assert_eq!(listed(&store, &filter, 9, now).await, expected, "{states:?}");
    };
    check(&[JobState::Held], at(9), &[1]).await;
    check(&[JobState::Sending], at(9), &[2]).await;
    check(&[JobState::Submitted], at(9), &[3]).await;
    check(&[JobState::Scheduled], at(9), &[4]).await;
    check(&[JobState::Scheduled], at(10), &[]).await;
    check(&[JobState::Queued, JobState::Held], at(10), &[4, 1]).await;
}

pub(super) async fn a_full_queue_takes_no_more(store: SharedStorage, open_jobs_max: u32) {
    open_account(&store, "sales").await;
    store.create_account(sample_account("orders")).await.expect("it is new");
    let batch = (1..=open_jobs_max + 1).map(|number| submission(sample_job("sales", number))).collect();
    let given = answers(&store, batch).await;
    let (full, accepted) = given.split_last().expect("an answer each");
    assert!(accepted.iter().all(|answer| *answer == Acceptance::Accepted));
    assert_eq!(*full, Acceptance::QueueFull);
    let other = answers(&store, vec![submission(sample_job("orders", open_jobs_max + 2))]).await;
    assert_eq!(other, [Acceptance::Accepted], "each account has its own bound");
    store.control(vec![job_id(1)], Control::Cancel, at(5)).await.expect("an answer");
    accept(&store, sample_job("sales", open_jobs_max + 3)).await;
}
