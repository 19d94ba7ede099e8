//! The rules of the quota ledger.

use super::samples::{
    accept, account_id, at, attempt, charge, job_id, mark, open_account, per_minute, sample_job, settlement,
};
use crate::{
    domain::{
        attempt::Fate,
        ids::AccountId,
        ledger::{Charge, ObservedLimit, QuotaKey},
        limits::{CalendarSpan, QuotaUnit, QuotaWindow},
    },
    storage::{SharedStorage, settlement::Settlement},
};

async fn used(store: &SharedStorage, account: &AccountId, key: &QuotaKey) -> Vec<(u64, u64)> {
    let usage = store.usage(account).await.expect("an answer");
    let own = usage.into_iter().filter(|usage| usage.key == *key && usage.amount > 0);
    let mut buckets: Vec<_> = own.map(|usage| (usage.bucket, usage.amount)).collect();
    buckets.sort_unstable();
    buckets
}

fn charging(charges: Vec<Charge>) -> Vec<Settlement> {
    vec![Settlement { charges, ..settlement(job_id(99), None, at(1)) }]
}

pub(super) async fn charges_add_up_and_never_fall_below_zero(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let other = open_account(&store, "sales.b").await;
    let window = QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".to_owned() };
    let per_day = QuotaKey { unit: QuotaUnit::Recipients, window };
    let daily = Charge { key: per_day.clone(), bucket: 5, amount: 7 };
    let charges = vec![charge(5, 2), charge(6, 1), daily, charge(5, 3), charge(6, -4), charge(6, 2)];
    store.settle(&tenure, charging(charges)).await.expect("it is settled");
    store.settle(&other, charging(vec![charge(5, 1)])).await.expect("it is settled");
    assert_eq!(used(&store, &tenure.account, &per_minute()).await, [(5, 5), (6, 2)]);
    assert_eq!(used(&store, &tenure.account, &per_day).await, [(5, 7)]);
    assert_eq!(used(&store, &other.account, &per_minute()).await, [(5, 1)]);
    assert_eq!(used(&store, &account_id("nobody"), &per_minute()).await, []);
}

pub(super) async fn a_settlement_corrects_what_the_mark_charged(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let job = sample_job("sales", 1);
    accept(&store, job.clone()).await;
    let mut marked = mark(&job, at(2));
    marked.charges = vec![charge(100, 1)];
    store.mark_in_doubt(&tenure, vec![marked]).await.expect("an answer");
    assert_eq!(used(&store, &tenure.account, &per_minute()).await, [(100, 1)]);
    let moved = Settlement {
        charges: vec![charge(100, -1), charge(101, 1)],
        ..settlement(job.id, Some(attempt(1, &[Fate::Submitted], at(3))), at(3))
    };
    store.settle(&tenure, vec![moved]).await.expect("it is settled");
    assert_eq!(used(&store, &tenure.account, &per_minute()).await, [(101, 1)]);
}

pub(super) async fn an_observed_limit_is_kept_beside_the_ledger(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let seen = |limit, second| ObservedLimit { key: per_minute(), limit, at: at(second) };
    store.settle(&tenure, charging(vec![charge(5, 2)])).await.expect("it is settled");
    store.observe_limit(&tenure, seen(400, 3)).await.expect("it is kept");
    store.observe_limit(&tenure, seen(300, 4)).await.expect("it is kept");
    assert_eq!(store.observed_limits(&tenure.account).await.expect("an answer"), [seen(300, 4)]);
    assert_eq!(used(&store, &tenure.account, &per_minute()).await, [(5, 2)]);
    assert_eq!(store.observed_limits(&account_id("nobody")).await.expect("an answer"), []);
    store.delete_account(&tenure.account, None, at(5)).await.expect("it has no jobs");
    assert!(store.observe_limit(&tenure, seen(1, 6)).await.is_err(), "the tenure ended with the account");
    open_account(&store, "sales").await;
    assert_eq!(store.observed_limits(&tenure.account).await.expect("an answer"), []);
}

pub(super) async fn forgotten_buckets_are_gone(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let charges = (1..=3).map(|bucket| charge(bucket, 1)).collect();
    store.settle(&tenure, charging(charges)).await.expect("it is settled");
    let buckets = [1, 3, 9].map(|bucket| (per_minute(), bucket));
    store.forget_usage(&tenure, buckets.into()).await.expect("an answer");
    assert_eq!(used(&store, &tenure.account, &per_minute()).await, [(2, 1)]);
}
