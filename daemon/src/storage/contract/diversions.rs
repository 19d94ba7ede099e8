//! The rules of routing and of jobs that go over to other accounts.

use super::samples::{
    accept, account_id, at, attempt, mark, open_account, sample_account, sample_job, sample_merge, settlement, stored,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{Cursor, EventKind, JobChange},
        ids::Etag,
        job::{Audience, Control, Fallbacks, Job, Schedule},
        routing::{Routing, RoutingRule},
    },
    storage::{
        DeleteAccountError, Divertible, PAGE_MAX, SetRoutingError, SharedStorage, Tenure,
        settlement::{Diversion, Settlement},
    },
};

fn rule(name: &str, account: &str, fallback: &str) -> RoutingRule {
    RoutingRule {
        name: account_id(name),
        from: vec!["@example.jp".parse().expect("a pattern")],
        recipients: ["*.example.com", "a@example.org"].iter().map(|text| text.parse().expect("a pattern")).collect(),
        account: account_id(account),
        fallbacks: vec![account_id(fallback)],
        forbid_merge: true,
        forbid_dkim: true,
    }
}

pub(super) async fn rules_are_replaced_by_those_who_saw_the_last(store: SharedStorage) {
    assert_eq!(*store.routing().await.expect("an answer"), Routing::default());
    for id in ["a", "b", "c"] {
        store.create_account(sample_account(id)).await.expect("it is new");
    }
    let updated = Some((at(1), super::samples::caller()));
    let rules = (0..300).map(|number| rule(&format!("r{number}"), "a", "b")).collect();
    let many = Routing { rules, default_account: Some(account_id("c")), etag: Etag(1), updated };
    let stale = store.set_routing(many.clone(), Etag(1)).await;
    assert!(matches!(stale, Err(SetRoutingError::Stale { current: Etag(0) })));
    store.set_routing(many.clone(), Etag(0)).await.expect("nobody set any");
    assert_eq!(*store.routing().await.expect("an answer"), many);
    let unknown = Routing { rules: vec![rule("x", "a", "nobody")], etag: Etag(2), ..many.clone() };
    let refused = store.set_routing(unknown, Etag(1)).await;
    assert!(matches!(refused, Err(SetRoutingError::UnknownAccount(id)) if id.as_str() == "nobody"));
    let few = Routing { rules: vec![rule("x", "a", "b")], etag: Etag(2), ..many };
    store.set_routing(few.clone(), Etag(1)).await.expect("the etag is the last");
    assert_eq!(*store.routing().await.expect("an answer"), few);
}

pub(super) async fn an_account_that_a_rule_names_is_kept(store: SharedStorage) {
    for id in ["a", "b", "c"] {
        store.create_account(sample_account(id)).await.expect("it is new");
    }
    let rules = vec![rule("first", "a", "b")];
    let routing = Routing { rules, default_account: Some(account_id("c")), etag: Etag(1), updated: None };
    store.set_routing(routing, Etag(0)).await.expect("nobody set any");
    for (id, name) in [("a", "first"), ("b", "first"), ("c", "default")] {
        let refused = store.delete_account(&account_id(id), None, at(1)).await;
        assert!(matches!(refused, Err(DeleteAccountError::Routed(rule)) if rule == name), "{id}");
    }
    store.set_routing(Routing { etag: Etag(2), ..Routing::default() }, Etag(1)).await.expect("the etag is the last");
    store.delete_account(&account_id("a"), None, at(1)).await.expect("nothing names it");
}

/// A job of `main` that `b`, `c` and an account that never was may take over.
fn routed(number: u32) -> Job {
    let accounts = ["b", "nobody", "c"].iter().map(|id| account_id(id)).collect();
    let from = "main@example.jp".parse().expect("an address");
    Job { fallbacks: Some(Box::new(Fallbacks { from, accounts })), ..sample_job("main", number) }
}

async fn scene(store: &SharedStorage) -> Tenure {
    for id in ["b", "c"] {
        store.create_account(sample_account(id)).await.expect("it is new");
    }
    open_account(store, "main").await
}

async fn divertible(store: &SharedStorage, seconds: u64) -> Divertible {
    store.divertible(&account_id("main"), None, PAGE_MAX, at(seconds)).await.expect("an answer")
}

async fn numbers(store: &SharedStorage, seconds: u64) -> Vec<u64> {
    let found = divertible(store, seconds).await;
    found.jobs.iter().map(|job| job.accepted_at.since(at(0)).as_secs()).collect()
}

async fn divert(store: &SharedStorage, tenure: &Tenure, number: u32, to: &str) -> bool {
    let sender = "b@example.jp".parse().expect("an address");
    let to = Diversion { job: super::samples::job_id(number), to: account_id(to), sender, now: at(50) };
    store.divert(tenure, vec![to]).await.expect("an answer")[0]
}

pub(super) async fn only_jobs_with_fallbacks_that_are_due_may_go_over(store: SharedStorage) {
    scene(&store).await;
    let held = Job { schedule: Schedule::Held { due: at(3) }, ..routed(3) };
    for job in [sample_job("main", 1), routed(2), held, routed(4), routed(9)] {
        accept(&store, job).await;
    }
    assert_eq!(numbers(&store, 5).await, [2, 4]);
    assert_eq!(divertible(&store, 5).await.next_due, Some(at(9)));
    assert_eq!(divertible(&store, 1).await.next_due, Some(at(2)));
    let page = store.divertible(&account_id("main"), None, 1, at(5)).await.expect("an answer");
    assert_eq!((page.jobs[0].id, page.jobs.len(), page.next_due), (routed(2).id, 1, None));
    let page = store.divertible(&account_id("main"), Some((at(2), routed(2).id)), 5, at(5)).await.expect("an answer");
    assert_eq!((page.jobs[0].id, page.jobs.len(), page.next_due), (routed(4).id, 1, Some(at(9))));
    store.control(vec![routed(2).id, routed(3).id], Control::Release, at(5)).await.expect("an answer");
    store.control(vec![routed(4).id], Control::Cancel, at(5)).await.expect("an answer");
    assert_eq!(numbers(&store, 5).await, [2, 3]);
}

pub(super) async fn a_job_goes_over_whole(store: SharedStorage) {
    let tenure = scene(&store).await;
    let expiring = Job { expires_at: Some(at(99)), ..routed(1) };
    accept(&store, expiring.clone()).await;
    store.changed().await;
    for to in ["main", "nobody", "d"] {
        assert!(!divert(&store, &tenure, 1, to).await, "{to}");
    }
    assert!(divert(&store, &tenure, 1, "b").await);
    assert!(!divert(&store, &tenure, 1, "c").await, "it is another account's now");
    assert!(store.changed().await.contains(&account_id("b")), "its worker is told");
    let accounts = ["nobody", "c"].iter().map(|id| account_id(id)).collect();
    let fallbacks = Fallbacks { from: expiring.sender.clone(), accounts };
    let sender = "b@example.jp".parse().expect("an address");
    let moved = Job { account: account_id("b"), sender, fallbacks: Some(Box::new(fallbacks)), ..expiring };
    assert_eq!(stored(&store, 1).await, moved);
    for (id, open) in [("main", 0), ("b", 1)] {
        let record = store.account(&account_id(id)).await.expect("an answer").expect("it is there");
        assert_eq!(record.open_jobs, open, "{id}");
        let ready = store.ready(&account_id(id), &std::collections::HashSet::new(), 9, at(60)).await;
        assert_eq!(ready.expect("an answer").messages.len() as u64, open, "{id}");
    }
    let (_, last) = store.events(Cursor(0), PAGE_MAX).await.expect("an answer").pop().expect("some event");
    let EventKind::Job { id, change, .. } = last.kind else { panic!("it is about the job") };
    assert_eq!((last.account, id), (account_id("b"), moved.id));
    assert_eq!(change, JobChange::Diverted { from: account_id("main") });
    // It expires where it is.
    assert_eq!(store.expire_overdue(at(99), 9).await.expect("an answer"), 1);
    assert!(!stored(&store, 1).await.is_open());
}

pub(super) async fn what_a_provider_may_have_never_goes_over(store: SharedStorage) {
    let tenure = scene(&store).await;
    for number in 1..=4 {
        accept(&store, routed(number)).await;
    }
    let marks = (1..=4).map(|number| mark(&routed(number), at(5))).collect();
    store.mark_in_doubt(&tenure, marks).await.expect("an answer");
    assert_eq!(numbers(&store, 70).await, [] as [u64; 0]);
    assert!(!divert(&store, &tenure, 1, "b").await, "it bears a mark");
    let of = |number, attempt| settlement(routed(number).id, attempt, at(6));
    let deferred = |number| of(number, Some(attempt(1, &[Fate::Deferred], at(6))));
    let settled = vec![
        of(1, None),
        deferred(2),
        Settlement { handed_over: false, ..deferred(3) },
        Settlement { handed_over: true, ..of(4, None) },
    ];
    store.settle(&tenure, settled).await.expect("an answer");
    assert_eq!(numbers(&store, 70).await, [1, 3], "the others were given to the provider");
    for (number, goes) in [(1, true), (2, false), (3, true), (4, false)] {
        assert_eq!(divert(&store, &tenure, number, "c").await, goes, "{number}");
    }
    let gone = stored(&store, 3).await;
    assert_eq!((gone.attempts_made, gone.attempts.len(), gone.fallbacks), (1, 1, None), "its history goes with it");
    // What the old account's couriers bring now concerns nobody.
    let late = vec![mark(&routed(1), at(70))];
    let outcome = store.mark_in_doubt(&tenure, late).await.expect("an answer");
    assert_eq!(outcome, [crate::storage::settlement::MarkOutcome::Withdrawn]);
}

pub(super) async fn a_merge_job_stays(store: SharedStorage) {
    let tenure = scene(&store).await;
    let job = Job { fallbacks: routed(1).fallbacks, ..sample_merge("main", 1, 3) };
    assert!(matches!(job.audience, Audience::Each(_)));
    super::samples::accept_merge(&store, job).await;
    assert_eq!(numbers(&store, 9).await, [] as [u64; 0]);
    assert!(!divert(&store, &tenure, 1, "b").await);
}
