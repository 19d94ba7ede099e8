//! The rules of doubts: who finds out whether the provider took a message ends them.

use super::{
    samples::{
        accept, accept_merge, account_id, also_to, at, attempt, attempt_of, ingestion, job_id, lists::domain, mark,
        open_account, sample_job, sample_merge, settlement, settlement_of, stored,
    },
    statistics::ended,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{EventKind, JobChange},
        ids::MessageKey,
        job::{Control, JobState, Schedule},
        recipient::RecipientState,
        report::ReportKind,
        statistics::StatisticsGroup,
    },
    storage::{PAGE_MAX, SharedStorage, Tenure, settlement::Doubt},
};

async fn doubts(store: &SharedStorage) -> Vec<Doubt> {
    store.doubts(&account_id("sales"), PAGE_MAX).await.expect("an answer")
}

/// Ends the doubt about a message that arose ten seconds in.
async fn resolve(store: &SharedStorage, message: MessageKey, found: bool, second: u64) -> bool {
    resolve_since(store, (message, 10), found, second).await
}

async fn resolve_since(store: &SharedStorage, of: (MessageKey, u64), found: bool, second: u64) -> bool {
    let doubt = Doubt { message: of.0, since: at(of.1) };
    store.resolve_doubt(&account_id("sales"), doubt, found, at(second)).await.expect("an answer")
}

async fn left_in_doubt(store: &SharedStorage, tenure: &Tenure, number: u32, second: u64) -> MessageKey {
    accept(store, sample_job("sales", number)).await;
    let met = attempt(1, &[Fate::LeftInDoubt], at(second));
    store.settle(tenure, vec![settlement(job_id(number), Some(met), at(second))]).await.expect("it is settled");
    MessageKey::only(job_id(number))
}

async fn is_sound(store: &SharedStorage) {
    let findings = store.verify(&super::ends::Silent).await.expect("an answer");
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

pub(super) async fn doubts_are_told_by_their_age(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let (younger, older) = (left_in_doubt(&store, &tenure, 1, 20).await, left_in_doubt(&store, &tenure, 2, 10).await);
    let mut both = sample_job("sales", 3);
    also_to(&mut both, "hanako@example.com");
    accept(&store, both).await;
    let met = attempt(1, &[Fate::LeftInDoubt, Fate::Deferred], at(15));
    store.settle(&tenure, vec![settlement(job_id(3), Some(met), at(15))]).await.expect("it is settled");
    let third = MessageKey::only(job_id(3));
    let doubt = |message, second| Doubt { message, since: at(second) };
    assert_eq!(doubts(&store).await, [doubt(older, 10), doubt(third, 15), doubt(younger, 20)]);
    assert_eq!(store.doubts(&account_id("sales"), 1).await.expect("an answer"), [doubt(older, 10)]);
    store.mark_in_doubt(&tenure, vec![mark(&stored(&store, 3).await, at(80))]).await.expect("an answer");
    assert_eq!(doubts(&store).await, [doubt(older, 10), doubt(younger, 20)], "it bears a mark");
    assert!(!resolve_since(&store, (third, 15), true, 81).await);
    is_sound(&store).await;
    let met = attempt(2, &[], at(82));
    store.settle(&tenure, vec![settlement(job_id(3), Some(met), at(82))]).await.expect("it is settled");
    assert_eq!(doubts(&store).await.len(), 3);
    is_sound(&store).await;
}

pub(super) async fn a_message_that_is_found_is_submitted(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    let message = left_in_doubt(&store, &tenure, 1, 10).await;
    let before = *store.head().borrow();
    let other = store.resolve_doubt(&account_id("orders"), Doubt { message, since: at(10) }, true, at(30)).await;
    assert!(!other.expect("an answer"));
    assert!(!resolve(&store, MessageKey { index: 1, ..message }, true, 30).await);
    assert!(!resolve_since(&store, (message, 9), true, 30).await, "that is another doubt");
    assert!(resolve(&store, message, true, 30).await);
    assert!(!resolve(&store, message, false, 31).await, "it is out of doubt");
    let job = stored(&store, 1).await;
    assert_eq!(job.recipients()[0].state, RecipientState::Submitted { at: at(30), reply: None });
    assert_eq!(job.schedule, Schedule::Idle);
    assert_eq!(doubts(&store).await, []);
    let events = store.events(before, 9).await.expect("an answer");
    let change = JobChange::Reconciled { message: 0, found: true };
    let kind = EventKind::Job { id: job_id(1), change, state: JobState::Submitted };
    assert_eq!(events.into_iter().map(|(_, event)| event.kind).collect::<Vec<_>>(), [kind]);
    is_sound(&store).await;
}

pub(super) async fn a_message_that_is_not_found_waits_again(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let message = left_in_doubt(&store, &tenure, 1, 10).await;
    store.changed().await;
    assert!(resolve(&store, message, false, 30).await);
    let told = tokio::time::timeout(std::time::Duration::from_secs(60), store.changed()).await;
    assert!(told.expect("it is told").contains(&account_id("sales")));
    let ready = store.ready(&account_id("sales"), &Default::default(), 9, at(30)).await.expect("an answer");
    assert_eq!(ready.messages.iter().map(|ready| ready.message).collect::<Vec<_>>(), [message]);
    let job = stored(&store, 1).await;
    assert_eq!((job.attempts_made, job.first_attempt_at), (1, Some(at(10))), "its clocks go on");
    is_sound(&store).await;
}

pub(super) async fn a_message_of_a_merge_is_found_out(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 3)).await;
    let key = |index| MessageKey { job: job_id(1), index };
    let settled = (0..3).map(|index| {
        settlement_of(key(index), Some(attempt_of(index, 1, Fate::LeftInDoubt, at(9 - u64::from(index)))), at(9))
    });
    store.settle(&tenure, settled.collect()).await.expect("it is settled");
    let doubt = |index: u32| Doubt { message: key(index), since: at(9 - u64::from(index)) };
    assert_eq!(doubts(&store).await, [doubt(2), doubt(1), doubt(0)]);
    is_sound(&store).await;
    assert!(!resolve_since(&store, (key(0), 8), true, 30).await, "that is another doubt");
    assert!(resolve_since(&store, (key(0), 9), true, 30).await);
    assert!(resolve_since(&store, (key(1), 8), false, 31).await);
    assert!(!resolve_since(&store, (key(1), 8), true, 32).await, "it waits");
    assert!(!resolve_since(&store, (key(8), 1), true, 32).await);
    assert_eq!(doubts(&store).await, [doubt(2)]);
    let ready = store.ready(&account_id("sales"), &Default::default(), 9, at(31)).await.expect("an answer");
    assert_eq!(ready.messages.iter().map(|ready| ready.message).collect::<Vec<_>>(), [key(1)]);
    let tally = stored(&store, 1).await.merge().expect("a merge").tally;
    assert_eq!((tally.submitted, tally.waiting, tally.in_doubt), (1, 1, 1));
    is_sound(&store).await;
}

pub(super) async fn a_doubt_ends_with_what_comes_back(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let message = left_in_doubt(&store, &tenure, 1, 10).await;
    store.ingest(ingestion("sales", 20, &[(message, 0, ReportKind::Soft)])).await.expect("it is taken in");
    assert_eq!(doubts(&store).await, []);
    assert!(!resolve(&store, message, false, 30).await, "the provider had it");
    is_sound(&store).await;
}

pub(super) async fn what_is_withdrawn_is_no_doubt(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    left_in_doubt(&store, &tenure, 1, 10).await;
    accept_merge(&store, sample_merge("sales", 2, 2)).await;
    let key = MessageKey { job: job_id(2), index: 0 };
    let settled = settlement_of(key, Some(attempt_of(0, 1, Fate::LeftInDoubt, at(9))), at(9));
    store.settle(&tenure, vec![settled]).await.expect("it is settled");
    assert_eq!(doubts(&store).await.len(), 2);
    store.control(vec![job_id(1), job_id(2)], Control::Cancel, at(12)).await.expect("an answer");
    assert_eq!(doubts(&store).await, []);
    assert!(!resolve_since(&store, (key, 9), false, 30).await);
    is_sound(&store).await;
    while store.prune(at(99), 3, at(99)).await.expect("an answer") > 0 {}
    is_sound(&store).await;
}

pub(super) async fn what_is_found_is_counted_as_submitted(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let found = left_in_doubt(&store, &tenure, 1, 10).await;
    let lost = left_in_doubt(&store, &tenure, 2, 10).await;
    accept_merge(&store, sample_merge("sales", 3, 1)).await;
    let message = MessageKey { job: job_id(3), index: 0 };
    let settled = settlement_of(message, Some(attempt_of(0, 1, Fate::LeftInDoubt, at(10))), at(10));
    store.settle(&tenure, vec![settled]).await.expect("it is settled");
    assert_eq!(ended(&store).await, []);
    for (message, is_found) in [(found, true), (lost, false), (message, true)] {
        assert!(resolve(&store, message, is_found, 30).await);
        assert!(!resolve(&store, message, is_found, 31).await, "it is counted once");
    }
    // The messages of a merge job count in no domain then.
    assert_eq!(ended(&store).await, [(StatisticsGroup::All, 0, 2), (domain("example.com"), 0, 1)]);
}
