//! The rules of merge jobs: how they come in, and how their messages go out one by one.

use std::collections::HashSet;

use super::samples::{
    accept, accept_merge, account_id, at, attempt_of, idempotency, job_id, label, mark_of, merge_recipient,
    merge_submission, open_account, sample_job, sample_merge, settlement_of, stage,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{Cursor, EventKind, JobChange},
        ids::MessageKey,
        job::{Control, ControlRefusal, Flight, Job, JobState, Schedule},
        merge::{MergeTally, MessageClass},
        recipient::RecipientState,
        time::Timestamp,
    },
    storage::{
        Acceptance, Content, Controlled, JobFilter, MergeMessage, PAGE_MAX, Page, Ready, RecipientPage, STAGED_HOURS,
        SharedStorage, StorageError, Tenure,
        settlement::{Expiry, MarkOutcome},
    },
};

fn key(index: u32) -> MessageKey {
    MessageKey { job: job_id(1), index }
}

async fn ready(store: &SharedStorage, skip: &[u32], limit: usize, now: Timestamp) -> (Vec<u32>, Option<Timestamp>) {
    let skip: HashSet<_> = skip.iter().map(|index| key(*index)).collect();
    let Ready { messages, next_due } = store.ready(&account_id("sales"), &skip, limit, now).await.expect("an answer");
    (messages.iter().map(|entry| entry.message.index).collect(), next_due)
}

async fn mark(store: &SharedStorage, tenure: &Tenure, indexes: &[u32]) -> Vec<MarkOutcome> {
    let marks = indexes.iter().map(|index| mark_of(key(*index), at(5))).collect();
    store.mark_in_doubt(tenure, marks).await.expect("an answer")
}

async fn settle(store: &SharedStorage, tenure: &Tenure, fates: &[(u32, Option<Fate>)], now: Timestamp) {
    let settled = |(index, fate): &(u32, Option<Fate>)| {
        settlement_of(key(*index), fate.map(|fate| attempt_of(*index, 1, fate, now)), now)
    };
    store.settle(tenure, fates.iter().map(settled).collect()).await.expect("it is settled");
}

async fn tally(store: &SharedStorage) -> MergeTally {
    let record = store.job(job_id(1)).await.expect("an answer").expect("it is there");
    record.job.merge().expect("a merge job").tally
}

async fn state(store: &SharedStorage, now: Timestamp) -> JobState {
    let record = store.job(job_id(1)).await.expect("an answer").expect("it is there");
    record.job.state(if record.marked { Flight::UnderWay } else { Flight::Grounded }, now)
}

async fn message(store: &SharedStorage, index: u32) -> MergeMessage {
    let page = RecipientPage { after: index.checked_sub(1), limit: 1, classes: Vec::new() };
    let found = store.merge_recipients(job_id(1), page).await.expect("an answer").expect("a merge job");
    found.messages.into_iter().next().expect("it is there")
}

async fn control(store: &SharedStorage, control: Control, now: Timestamp) -> Controlled {
    store.control(vec![job_id(1)], control, now).await.expect("an answer")[0]
}

pub(super) async fn a_staged_merge_is_accepted_whole(store: SharedStorage) {
    open_account(&store, "sales").await;
    let given = merge_submission(sample_merge("sales", 1, 150));
    for (first, count) in [(0, 1), (1, 69), (70, 0), (70, 80)] {
        stage(&store, 1, first, count).await.expect("it is staged");
    }
    assert_eq!(store.job(job_id(1)).await.expect("an answer"), None);
    assert_eq!(store.template(job_id(1)).await.expect("an answer"), None);
    assert_eq!(store.accept_merge(given.clone()).await.expect("an answer"), Acceptance::Accepted);
    let record = store.job(job_id(1)).await.expect("an answer").expect("it is there");
    assert_eq!((record.job, record.marked), (given.job, false));
    assert_eq!(store.template(job_id(1)).await.expect("an answer").as_deref(), Some(&given.template));
    assert_eq!(store.message(job_id(1)).await.expect("an answer"), None);
    let record = store.account(&account_id("sales")).await.expect("an answer").expect("it is there");
    assert_eq!(record.open_jobs, 1);
    let (mut seen, mut page) = (Vec::new(), RecipientPage { limit: 47, ..RecipientPage::default() });
    loop {
        let found = store.merge_recipients(job_id(1), page.clone()).await.expect("an answer").expect("a merge job");
        seen.extend(found.messages);
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 150);
    for (index, message) in (0..).zip(seen) {
        assert_eq!((message.index, message.recipient), (index, merge_recipient(index)));
        assert_eq!((message.state, message.due), (RecipientState::Pending { deferral: None }, Some(at(1))));
    }
}

pub(super) async fn what_is_not_staged_is_not_accepted(store: SharedStorage) {
    open_account(&store, "sales").await;
    let refused = |answer: Result<Acceptance, StorageError>| matches!(answer, Err(StorageError::Overloaded(_)));
    let given = merge_submission(sample_merge("sales", 1, 5));
    assert!(refused(store.accept_merge(given.clone()).await), "nothing is staged");
    assert!(stage(&store, 1, 3, 2).await.is_err(), "the first are missing");
    stage(&store, 1, 0, 3).await.expect("it is staged");
    assert!(refused(store.accept_merge(given.clone()).await), "some are missing");
    assert!(stage(&store, 1, 3, 2).await.is_err(), "the refusal forgot the first");
    stage(&store, 1, 0, 5).await.expect("it is staged");
    store.discard(job_id(1)).await.expect("an answer");
    assert!(refused(store.accept_merge(given.clone()).await), "it was discarded");
    stage(&store, 1, 0, 5).await.expect("it is staged");
    store.prune(at(0), 9, at(STAGED_HOURS * 3_600 + 2)).await.expect("an answer");
    assert!(refused(store.accept_merge(given.clone()).await), "it waited for too long");
    let all = Page { after: None, limit: 9, now: at(9) };
    assert_eq!(store.list(&JobFilter::default(), all).await.expect("an answer").jobs, []);
    let mut other = given;
    other.job.account = account_id("orders");
    stage(&store, 1, 0, 5).await.expect("it is staged");
    assert_eq!(store.accept_merge(other).await.expect("an answer"), Acceptance::UnknownAccount);
}

pub(super) async fn a_repeated_merge_is_known_again(store: SharedStorage) {
    open_account(&store, "sales").await;
    for (number, hash, expected) in [
        (1, 7, Acceptance::Accepted),
        (2, 7, Acceptance::Existing(job_id(1))),
        (3, 8, Acceptance::KeyReused(job_id(1))),
    ] {
        let mut given = merge_submission(sample_merge("sales", number, 3));
        given.idempotency = Some(idempotency("local", "key", hash));
        stage(&store, number, 0, 3).await.expect("it is staged");
        assert_eq!(store.accept_merge(given).await.expect("an answer"), expected);
        assert!(stage(&store, number, 3, 1).await.is_err(), "nothing is staged any more");
    }
    assert_eq!(store.job(job_id(2)).await.expect("an answer"), None);
}

pub(super) async fn messages_of_a_merge_go_in_order(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 100)).await;
    assert_eq!(ready(&store, &[], 9, at(0)).await, (vec![], Some(at(1))));
    assert_eq!(ready(&store, &[1, 3], 4, at(1)).await.0, [0, 2, 4, 5]);
    assert_eq!(mark(&store, &tenure, &[0, 2, 3, 2, 100]).await[3..], [MarkOutcome::Withdrawn; 2]);
    assert_eq!(ready(&store, &[], 3, at(5)).await.0, [1, 4, 5]);
    assert_eq!(state(&store, at(5)).await, JobState::Sending);
    settle(&store, &tenure, &[(2, None), (0, Some(Fate::Submitted))], at(6)).await;
    assert_eq!(ready(&store, &[], 3, at(6)).await.0, [1, 2, 4], "one was given back");
    assert_eq!(ready(&store, &[], PAGE_MAX, at(6)).await.0.len(), 98);
    let marks = store.in_doubt(&tenure.account).await.expect("an answer");
    assert_eq!(marks, [mark_of(key(3), at(5))]);
    let all: Vec<_> = (0..100).collect();
    mark(&store, &tenure, &all).await;
    assert_eq!(ready(&store, &[], 9, at(99)).await, (vec![], None));
    assert_eq!(store.accounts_with_work().await.expect("an answer"), [account_id("sales")]);
    assert_eq!(tally(&store).await, MergeTally { waiting: 99, submitted: 1, ..MergeTally::default() });
}

pub(super) async fn a_merge_takes_turns_with_other_lanes(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept_merge(&store, Job { labels: vec![label("a")], ..sample_merge("sales", 1, 5) }).await;
    for number in 2..=3 {
        accept(&store, sample_job("sales", number)).await;
    }
    accept(&store, Job { labels: vec![label("a")], ..sample_job("sales", 4) }).await;
    let found = store.ready(&account_id("sales"), &HashSet::new(), 9, at(9)).await.expect("an answer");
    let order: Vec<_> = found.messages.iter().map(|entry| entry.message).collect();
    let plain = |number| MessageKey::only(job_id(number));
    assert_eq!(order, [plain(2), key(0), plain(3), key(1), key(2), key(3), key(4), plain(4)]);
}

pub(super) async fn consignments_of_a_merge_share_its_content(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let given = merge_submission(sample_merge("sales", 1, 70));
    accept_merge(&store, given.job.clone()).await;
    settle(&store, &tenure, &[(66, Some(Fate::Deferred)), (2, Some(Fate::Failed))], at(6)).await;
    let consigned = store.consign(&[66, 2, 5, 70].map(key)).await.expect("an answer");
    let indexes: Vec<_> = consigned.iter().map(|one| one.key.index).collect();
    assert_eq!(indexes, [66, 5], "one has failed, and one is not there");
    for (one, made) in consigned.into_iter().zip([1, 0]) {
        let index = one.key.index;
        assert_eq!((one.recipients, one.tries.made), (vec![index], made));
        assert_eq!(one.envelope.recipients, [merge_recipient(index).address]);
        let Content::Merge { template, recipient, date } = one.content else { panic!("a merge message") };
        assert_eq!((&*template, recipient, date), (&given.template, merge_recipient(index), at(1)));
    }
}

pub(super) async fn each_message_of_a_merge_has_its_outcome(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 40)).await;
    mark(&store, &tenure, &[0, 1, 2, 33, 34]).await;
    let fates = [
        (0, Some(Fate::Submitted)),
        (1, Some(Fate::Deferred)),
        (2, Some(Fate::Failed)),
        (33, Some(Fate::GivenUp)),
        (34, Some(Fate::LeftInDoubt)),
    ];
    settle(&store, &tenure, &fates, at(6)).await;
    let counted = MergeTally { waiting: 36, submitted: 1, failed: 1, in_doubt: 1, expired: 1, ..MergeTally::default() };
    assert_eq!(tally(&store).await, counted);
    let deferred = message(&store, 1).await;
    assert_eq!((deferred.due, deferred.attempts_made, deferred.first_attempt_at), (Some(at(66)), 1, Some(at(6))));
    assert!(matches!(message(&store, 2).await.state, RecipientState::Failed { .. }));
    let page = RecipientPage { limit: 9, classes: vec![MessageClass::InDoubt, MessageClass::Expired], after: Some(2) };
    let found = store.merge_recipients(job_id(1), page).await.expect("an answer").expect("a merge job");
    assert_eq!(found.messages.iter().map(|message| message.index).collect::<Vec<_>>(), [33, 34]);
    assert_eq!(found.next, None);
    assert_eq!(ready(&store, &[], 2, at(66)).await.0, [1, 3], "what was tried before goes first");
    assert_eq!(ready(&store, &[], 99, at(6)).await.1, Some(at(66)));
    settle(&store, &tenure, &[(2, Some(Fate::Submitted)), (0, Some(Fate::Failed))], at(7)).await;
    assert_eq!(tally(&store).await, counted, "what is final stays final");
    assert_eq!(mark(&store, &tenure, &[1, 2, 1]).await[1..], [MarkOutcome::Withdrawn; 2]);
    settle(&store, &tenure, &[(1, None)], at(8)).await;
    assert_eq!(ready(&store, &[], 1, at(66)).await.0, [1], "it was given back");
    let events = store.events(Cursor(0), PAGE_MAX).await.expect("an answer");
    let attempted = events.iter().filter_map(|(_, event)| match event.kind {
        EventKind::Job { change: JobChange::Attempted { message, .. }, .. } => Some(message),
        _ => None,
    });
    assert_eq!(attempted.collect::<Vec<_>>(), [0, 1, 2, 33, 34, 2, 0]);
}

pub(super) async fn a_cancelled_merge_ends_but_for_what_is_under_way(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 10)).await;
    mark(&store, &tenure, &[0, 1, 2, 3]).await;
    settle(&store, &tenure, &[(3, Some(Fate::LeftInDoubt)), (2, Some(Fate::Deferred))], at(6)).await;
    assert_eq!(control(&store, Control::Cancel, at(7)).await, Controlled::Done);
    assert_eq!(control(&store, Control::Cancel, at(7)).await, Controlled::Refused(ControlRefusal::NothingToDo));
    assert_eq!(tally(&store).await, MergeTally { waiting: 2, cancelled: 8, ..MergeTally::default() });
    assert_eq!(ready(&store, &[], 9, at(999)).await, (vec![], None));
    assert_eq!(mark(&store, &tenure, &[5]).await, [MarkOutcome::Withdrawn]);
    assert_eq!(state(&store, at(7)).await, JobState::Sending);
    for index in [2, 3, 9] {
        assert_eq!(message(&store, index).await.state, RecipientState::Cancelled { at: at(7) });
    }
    settle(&store, &tenure, &[(0, Some(Fate::Submitted)), (1, Some(Fate::Deferred))], at(8)).await;
    assert_eq!(message(&store, 1).await.state, RecipientState::Cancelled { at: at(8) });
    assert_eq!(tally(&store).await, MergeTally { submitted: 1, cancelled: 9, ..MergeTally::default() });
    assert_eq!(state(&store, at(8)).await, JobState::PartlySubmitted);
    assert_eq!(control(&store, Control::Retry, at(9)).await, Controlled::Refused(ControlRefusal::WasCancelled));
    store.delete_account(&tenure.account, None, at(9)).await.expect("nothing is open");
}

pub(super) async fn a_held_merge_waits_for_its_release(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, Job { schedule: Schedule::Held { due: at(1) }, ..sample_merge("sales", 1, 4) }).await;
    assert_eq!(ready(&store, &[], 9, at(9)).await, (vec![], None));
    assert_eq!(mark(&store, &tenure, &[0]).await, [MarkOutcome::Withdrawn]);
    assert_eq!(control(&store, Control::Release, at(2)).await, Controlled::Done);
    mark(&store, &tenure, &[0, 1]).await;
    assert_eq!(control(&store, Control::Hold, at(6)).await, Controlled::Done);
    assert_eq!(ready(&store, &[], 9, at(9)).await, (vec![], None));
    settle(&store, &tenure, &[(0, Some(Fate::Deferred)), (1, Some(Fate::Submitted))], at(7)).await;
    assert_eq!(state(&store, at(7)).await, JobState::Held);
    assert_eq!(control(&store, Control::Retry, at(8)).await, Controlled::Refused(ControlRefusal::IsHeld));
    assert_eq!(control(&store, Control::Release, at(8)).await, Controlled::Done);
    assert_eq!(ready(&store, &[], 9, at(9)).await, (vec![2, 3], Some(at(67))));
    assert_eq!(ready(&store, &[], 9, at(67)).await, (vec![0, 2, 3], None));
}

pub(super) async fn an_overdue_merge_expires_and_may_be_tried_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, Job { expires_at: Some(at(20)), ..sample_merge("sales", 1, 6) }).await;
    mark(&store, &tenure, &[0, 1, 2]).await;
    settle(&store, &tenure, &[(1, Some(Fate::Deferred)), (2, Some(Fate::Failed))], at(6)).await;
    let expiry = |now| vec![Expiry { job: job_id(1), now }];
    store.expire(&tenure, expiry(at(19))).await.expect("an answer");
    assert_eq!(tally(&store).await.expired, 0, "it has time left");
    store.expire(&tenure, expiry(at(20))).await.expect("an answer");
    let counted = MergeTally { waiting: 1, failed: 1, expired: 4, ..MergeTally::default() };
    assert_eq!(tally(&store).await, counted);
    assert_eq!(store.expire_overdue(at(30), 9).await.expect("an answer"), 0, "the rest is under way");
    settle(&store, &tenure, &[(0, Some(Fate::Deferred))], at(21)).await;
    assert!(matches!(message(&store, 0).await.state, RecipientState::Expired { last: Some(_), .. }));
    assert_eq!(message(&store, 5).await.state, RecipientState::Expired { at: at(20), last: None });
    assert_eq!(ready(&store, &[], 9, at(999)).await, (vec![], None));
    assert_eq!(control(&store, Control::Retry, at(30)).await, Controlled::Done);
    assert_eq!(tally(&store).await, MergeTally { waiting: 6, ..MergeTally::default() });
    assert_eq!(ready(&store, &[], 9, at(30)).await, (vec![0, 1, 2, 3, 4, 5], None));
    assert_eq!(message(&store, 1).await.state, RecipientState::Pending { deferral: None });
}

pub(super) async fn a_merge_expires_at_a_callers_wish_and_may_be_tried_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 6)).await;
    mark(&store, &tenure, &[0, 1, 2]).await;
    settle(&store, &tenure, &[(2, Some(Fate::LeftInDoubt))], at(6)).await;
    assert_eq!(control(&store, Control::Expire, at(7)).await, Controlled::Done);
    assert_eq!(tally(&store).await, MergeTally { waiting: 2, expired: 4, ..MergeTally::default() });
    assert_eq!(message(&store, 2).await.state, RecipientState::Expired { at: at(7), last: None });
    let nothing = Controlled::Refused(ControlRefusal::NothingToDo);
    assert_eq!(control(&store, Control::Expire, at(8)).await, nothing, "the rest is under way");
    settle(&store, &tenure, &[(0, Some(Fate::Deferred)), (1, Some(Fate::LeftInDoubt))], at(9)).await;
    assert_eq!(tally(&store).await, MergeTally { expired: 6, ..MergeTally::default() });
    assert_eq!(message(&store, 1).await.state, RecipientState::Expired { at: at(9), last: None });
    assert_eq!(state(&store, at(9)).await, JobState::Expired);
    assert_eq!(ready(&store, &[], 9, at(999)).await, (vec![], None));
    assert_eq!(control(&store, Control::Retry, at(30)).await, Controlled::Done);
    assert_eq!(tally(&store).await, MergeTally { waiting: 6, ..MergeTally::default() });
    assert_eq!(ready(&store, &[], 9, at(30)).await, (vec![0, 1, 2, 3, 4, 5], None));
}

pub(super) async fn a_merge_is_found_by_its_recipients(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 2)).await;
    accept_merge(&store, sample_merge("sales", 1, 150)).await;
    let wanted = merge_recipient(149).address.as_str().to_ascii_uppercase();
    for (recipient, expected) in [(wanted, vec![job_id(1)]), ("nobody@example.com".to_owned(), vec![])] {
        let filter = JobFilter { recipient: Some(recipient), ..JobFilter::default() };
        let page = store.list(&filter, Page { after: None, limit: 9, now: at(9) }).await.expect("an answer");
        assert_eq!(page.jobs.iter().map(|record| record.job.id).collect::<Vec<_>>(), expected);
    }
}

pub(super) async fn a_retry_opens_what_failed_of_a_merge(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 3)).await;
    assert_eq!(store.expire_overdue(at(99), 9).await.expect("an answer"), 0, "it has no limit");
    let fates = [Fate::Failed, Fate::Submitted, Fate::LeftInDoubt].map(Some);
    let fates: Vec<_> = (0..).zip(fates).collect();
    settle(&store, &tenure, &fates, at(6)).await;
    assert_eq!(state(&store, at(6)).await, JobState::InDoubt);
    assert_eq!(store.accounts_with_work().await.expect("an answer"), []);
    assert_eq!(control(&store, Control::Retry, at(7)).await, Controlled::Done);
    assert_eq!(ready(&store, &[], 9, at(7)).await, (vec![0, 2], None));
    let message = message(&store, 0).await;
    assert_eq!((message.attempts_made, message.first_attempt_at), (1, None));
    mark(&store, &tenure, &[0, 2]).await;
    assert_eq!(control(&store, Control::Retry, at(8)).await, Controlled::Refused(ControlRefusal::UnderWay));
    settle(&store, &tenure, &[(0, Some(Fate::Submitted)), (2, Some(Fate::Submitted))], at(8)).await;
    assert_eq!(state(&store, at(8)).await, JobState::Submitted);
    assert_eq!(control(&store, Control::Retry, at(9)).await, Controlled::Refused(ControlRefusal::NothingToDo));
}

pub(super) async fn a_finished_merge_is_pruned_with_all_it_has(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 70)).await;
    let all: Vec<_> = (0..70).map(|index| (index, Some(Fate::Submitted))).collect();
    settle(&store, &tenure, &all[1..], at(6)).await;
    while store.prune(at(100), 3, at(100)).await.expect("an answer") > 0 {}
    assert!(store.job(job_id(1)).await.expect("an answer").is_some(), "one message waits");
    settle(&store, &tenure, &all[..1], at(101)).await;
    while store.prune(at(101), 3, at(102)).await.expect("an answer") > 0 {}
    assert!(store.job(job_id(1)).await.expect("an answer").is_some(), "it has ended too late");
    while store.prune(at(102), 3, at(102)).await.expect("an answer") > 0 {}
    assert_eq!(store.job(job_id(1)).await.expect("an answer"), None);
    assert_eq!(store.template(job_id(1)).await.expect("an answer"), None);
    accept_merge(&store, sample_merge("sales", 1, 2)).await;
    assert_eq!(message(&store, 0).await.attempts_made, 0, "nothing is known of the messages that were before");
}
