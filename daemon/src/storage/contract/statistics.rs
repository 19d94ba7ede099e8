//! The rules of what is counted: by hour and day, in groups, and for how long.

use super::samples::{
    accept, accept_merge, account_id, at, attempt, attempt_of, idempotency, job_id, label,
    lists::{accepted, domain},
    mark, mark_of, merge_submission, open_account, sample_job, sample_merge, settlement, settlement_of, stage, stored,
    submission,
};
use crate::{
    domain::{
        attempt::Fate,
        ids::MessageKey,
        job::{Control, Job},
        statistics::{Counted, GROUPS_PER_PERIOD_MAX, StatisticsGroup},
        time::Timestamp,
    },
    storage::{
        Acceptance, DAYS_KEPT_DAYS, Groups, HOURS_KEPT_DAYS, JobStore, Period, SharedStorage, StatisticsQuery,
        Submission, settlement::Expiry,
    },
};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Accepts a job at a time, which counts.
async fn count(store: &SharedStorage, number: u32, seconds: u64, counted: Vec<Counted>) {
    let job = Job { accepted_at: at(seconds), ..sample_job("sales", number) };
    let given = Submission { counted, ..submission(job) };
    assert_eq!(JobStore::accept(&**store, vec![given]).await.expect("an answer"), [Acceptance::Accepted]);
}

/// How many were accepted in the groups, by the hours from the beginning.
async fn told(store: &SharedStorage, period: Period, groups: Groups) -> Vec<(u64, StatisticsGroup, u64)> {
    let query = StatisticsQuery { from: Timestamp::EPOCH, to: Timestamp::from_millis(u64::MAX), period, groups };
    let found = store.statistics(&account_id("sales"), query).await.expect("an answer");
    let first = Period::Day.start_of(at(0)).as_millis();
    found
        .into_iter()
        .map(|((start, group), counts)| ((start.as_millis() - first) / 3_600_000, group, counts.accepted))
        .collect()
}

/// How many expired and were submitted, in each group.
pub(super) async fn ended(store: &SharedStorage) -> Vec<(StatisticsGroup, u64, u64)> {
    let mut found = Vec::new();
    for groups in [Groups::All, Groups::Domains, Groups::Labels] {
        let query = StatisticsQuery { from: at(0), to: at(HOUR), period: Period::Hour, groups };
        let told = store.statistics(&account_id("sales"), query).await.expect("an answer");
        found.extend(told.into_iter().map(|((_, group), counts)| (group, counts.expired, counts.submitted)));
    }
    found
}

pub(super) async fn what_time_or_a_caller_ends_is_counted(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let labels = vec![label("spring"), label("news")];
    accept(&store, Job { expires_at: Some(at(10)), labels, ..sample_job("sales", 1) }).await;
    store.expire(&tenure, vec![Expiry { job: job_id(1), now: at(9) }]).await.expect("an answer");
    assert_eq!(ended(&store).await, [], "it has time left");
    store.expire(&tenure, vec![Expiry { job: job_id(1), now: at(10) }]).await.expect("an answer");
    accept(&store, Job { expires_at: Some(at(11)), ..sample_job("sales", 2) }).await;
    assert_eq!(store.expire_overdue(at(20), 9).await.expect("an answer"), 1);
    for number in 3..=5 {
        accept(&store, sample_job("sales", number)).await;
    }
    store.mark_in_doubt(&tenure, vec![mark(&stored(&store, 4).await, at(21))]).await.expect("an answer");
    store.control(vec![job_id(3), job_id(4)], Control::Expire, at(22)).await.expect("an answer");
    let tried = |number, fate| settlement(job_id(number), Some(attempt(1, &[fate], at(30))), at(30));
    // What an attempt gives up is counted with what follows from the attempt.
    let both = vec![tried(4, Fate::Deferred), tried(5, Fate::GivenUp)];
    store.settle(&tenure, both).await.expect("it is settled");
    accept_merge(&store, sample_merge("sales", 6, 4)).await;
    let key = |index| MessageKey { job: job_id(6), index };
    let met = |index, fate| settlement_of(key(index), Some(attempt_of(index, 1, fate, at(31))), at(31));
    store.settle(&tenure, vec![met(0, Fate::Submitted), met(1, Fate::GivenUp)]).await.expect("it is settled");
    store.mark_in_doubt(&tenure, vec![mark_of(key(2), at(32))]).await.expect("an answer");
    store.control(vec![job_id(6)], Control::Expire, at(33)).await.expect("an answer");
    store.settle(&tenure, vec![met(2, Fate::Deferred)]).await.expect("it is settled");
    let group = |name| StatisticsGroup::Label(label(name));
    let expected =
        [(StatisticsGroup::All, 6, 0), (domain("example.com"), 4, 0), (group("news"), 1, 0), (group("spring"), 1, 0)];
    assert_eq!(ended(&store).await, expected);
}

pub(super) async fn what_is_counted_adds_up_by_hour_and_day(store: SharedStorage) {
    open_account(&store, "sales").await;
    assert_eq!(told(&store, Period::Hour, Groups::All).await, []);
    let spring = StatisticsGroup::Label(label("spring"));
    let all = |number| accepted(StatisticsGroup::All, number);
    // The beginning of every test is 08:00.
    count(&store, 1, 0, vec![all(1), accepted(domain("b.jp"), 1), accepted(spring.clone(), 1)]).await;
    count(&store, 2, HOUR - 1, vec![all(2), accepted(domain("b.jp"), 1), accepted(domain("a.jp"), 1)]).await;
    count(&store, 3, HOUR, vec![all(4)]).await;
    count(&store, 4, 16 * HOUR, vec![all(8), accepted(spring.clone(), 3)]).await;
    let group = StatisticsGroup::All;
    assert_eq!(
        told(&store, Period::Hour, Groups::All).await,
        [(8, group.clone(), 3), (9, group.clone(), 4), (24, group.clone(), 8)]
    );
    assert_eq!(told(&store, Period::Day, Groups::All).await, [(0, group.clone(), 7), (24, group, 8)]);
    assert_eq!(told(&store, Period::Day, Groups::Domains).await, [(0, domain("a.jp"), 1), (0, domain("b.jp"), 2)]);
    assert_eq!(told(&store, Period::Hour, Groups::Labels).await, [(8, spring.clone(), 1), (24, spring, 3)]);
    let of = async |from, to, period| {
        let query = StatisticsQuery { from: at(from), to: at(to), period, groups: Groups::All };
        store.statistics(&account_id("sales"), query).await.expect("an answer").len()
    };
    assert_eq!(of(HOUR + 5, 16 * HOUR, Period::Hour).await, 2, "both ends count whole");
    assert_eq!(of(0, HOUR - 1, Period::Hour).await, 1);
    assert_eq!((of(HOUR + 5, 2 * HOUR, Period::Day).await, of(0, 20 * HOUR, Period::Day).await), (1, 2));
    assert_eq!(of(2 * HOUR, HOUR, Period::Hour).await, 0, "the end is before the beginning");
}

pub(super) async fn only_what_is_accepted_counts(store: SharedStorage) {
    open_account(&store, "sales").await;
    let counted = vec![accepted(StatisticsGroup::All, 1)];
    for number in [1, 2] {
        let idempotency = Some(idempotency("local", "k", 1));
        let given = Submission { idempotency, counted: counted.clone(), ..submission(sample_job("sales", number)) };
        let missing = Submission { counted: counted.clone(), ..submission(sample_job("orders", number)) };
        JobStore::accept(&*store, vec![given, missing]).await.expect("an answer");
    }
    stage(&store, 3, 0, 2).await.expect("it is staged");
    let mut merge = merge_submission(sample_merge("sales", 3, 2));
    merge.counted = vec![accepted(StatisticsGroup::All, 2)];
    store.accept_merge(merge).await.expect("an answer");
    accept_merge(&store, sample_merge("sales", 4, 2)).await;
    assert_eq!(told(&store, Period::Day, Groups::All).await, [(0, StatisticsGroup::All, 3)]);
}

pub(super) async fn an_hour_names_a_bounded_number_of_groups(store: SharedStorage) {
    open_account(&store, "sales").await;
    let most = GROUPS_PER_PERIOD_MAX;
    let name = |number: usize| domain(&format!("d{number:04}.jp"));
    let many = |range: std::ops::Range<usize>| range.map(|number| accepted(name(number), 1)).collect::<Vec<_>>();
    count(&store, 1, 0, many(0..most - 1)).await;
    count(&store, 2, 1, [many(0..1), many(most..most + 2), vec![accepted(domain(&"x".repeat(300)), 1)]].concat()).await;
    count(
        &store,
        3,
        2,
        [many(0..1), many(most..most + 3), vec![accepted(StatisticsGroup::Label(label("l")), 1)]].concat(),
    )
    .await;
    let found = told(&store, Period::Hour, Groups::Domains).await;
    assert_eq!(found.len(), most + 1);
    assert_eq!(found[0], (8, name(0), 3));
    assert_eq!(found[most - 1], (8, name(most), 2), "the last that has a name");
    assert_eq!(found[most], (8, StatisticsGroup::OtherDomains, 4));
    assert_eq!(told(&store, Period::Hour, Groups::Labels).await.len(), 1, "labels have their own names");
    count(&store, 4, HOUR, many(most + 1..most + 3)).await;
    assert_eq!(told(&store, Period::Hour, Groups::Domains).await.len(), most + 3, "another hour names others");
    let days = told(&store, Period::Day, Groups::Domains).await;
    assert_eq!(days.len(), most + 1, "a day names no more than an hour");
    assert_eq!(days.iter().map(|(.., accepted)| accepted).sum::<u64>(), most as u64 + 9);
}

pub(super) async fn old_hours_are_summed_up_in_their_day(store: SharedStorage) {
    open_account(&store, "sales").await;
    let all = |number| vec![accepted(StatisticsGroup::All, number), accepted(domain("a.jp"), number)];
    count(&store, 1, 0, all(1)).await;
    count(&store, 2, HOUR, all(2)).await;
    count(&store, 3, DAY, all(4)).await;
    let prune = async |seconds| while store.prune(at(0), 1, at(seconds)).await.expect("an answer") > 0 {};
    let group = StatisticsGroup::All;
    let days = vec![(0, group.clone(), 3), (24, group.clone(), 4)];
    let kept = HOURS_KEPT_DAYS * DAY;
    prune(kept + 15 * HOUR).await;
    assert_eq!(told(&store, Period::Hour, Groups::All).await.len(), 3, "the day is not over");
    assert_eq!(told(&store, Period::Day, Groups::All).await, days);
    prune(kept + 16 * HOUR).await;
    assert_eq!(told(&store, Period::Hour, Groups::All).await, [(32, group.clone(), 4)]);
    assert_eq!(told(&store, Period::Day, Groups::All).await, days);
    assert_eq!(told(&store, Period::Day, Groups::Domains).await.len(), 2);
    count(&store, 4, 2 * HOUR, all(8)).await;
    let late = vec![(0, group.clone(), 11), (24, group, 4)];
    assert_eq!(told(&store, Period::Day, Groups::All).await, late, "the clock went back");
    prune(kept + 16 * HOUR).await;
    assert_eq!(told(&store, Period::Day, Groups::All).await, late);
    prune(kept + 3 * DAY).await;
    assert_eq!(told(&store, Period::Hour, Groups::All).await, []);
    assert_eq!(told(&store, Period::Day, Groups::All).await, late);
    prune((DAYS_KEPT_DAYS + 1) * DAY).await;
    assert_eq!(told(&store, Period::Day, Groups::All).await, late[1..]);
    prune((DAYS_KEPT_DAYS + 9) * DAY).await;
    assert_eq!(told(&store, Period::Day, Groups::All).await, []);
}

pub(super) async fn counts_go_with_their_account(store: SharedStorage) {
    open_account(&store, "sales").await;
    count(&store, 1, 0, vec![accepted(StatisticsGroup::All, 1)]).await;
    store.control(vec![job_id(1)], Control::Cancel, at(1)).await.expect("an answer");
    store.delete_account(&account_id("sales"), None, at(2)).await.expect("it is deleted");
    assert_eq!(told(&store, Period::Hour, Groups::All).await, []);
    open_account(&store, "sales").await;
    while store.prune(at(0), 9, at(3)).await.expect("an answer") > 0 {}
    count(&store, 2, 5, vec![accepted(StatisticsGroup::All, 2)]).await;
    assert_eq!(told(&store, Period::Hour, Groups::All).await, [(8, StatisticsGroup::All, 2)]);
}
