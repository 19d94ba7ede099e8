//! What watchers are told.

use std::pin::pin;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use v1::watch_jobs_response::Change;

use super::*;
use crate::{
    domain::{
        event::{Cursor, Event},
        ids::AccountId,
        inbound::MailboxChange,
    },
    service::{
        api_keys::Role,
        convert::violations::Violations,
        visibility::{View, Visitor},
        watching::{Interest, Start, Watcher, events},
    },
    storage::{InboundStore as _, StorageError, StoreCare as _},
};

async fn watch(api: &Api, request: v1::WatchJobsRequest) -> tonic::Streaming<v1::WatchJobsResponse> {
    api.jobs().watch_jobs(request).await.expect("a watch").into_inner()
}

fn from(cursor: &str) -> v1::WatchJobsRequest {
    v1::WatchJobsRequest { cursor: cursor.into(), ..v1::WatchJobsRequest::default() }
}

async fn next(events: &mut tonic::Streaming<v1::WatchJobsResponse>) -> v1::WatchJobsResponse {
    events.message().await.expect("no error").expect("an event")
}

#[tokio::test]
async fn a_watch_tells_what_was_and_what_comes() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let first = api.submit(draft("sales", "a@example.jp")).await.expect("a job").job_id;
    let mut all = watch(&api, from("0")).await;
    let mut live = watch(&api, from("")).await;
    let told = next(&mut all).await;
    assert_eq!((told.job_id.as_str(), told.state()), (first.as_str(), v1::JobState::Queued));
    assert_eq!(told.change, Some(Change::Accepted(v1::JobAccepted {})));
    let second = api.submit(draft("sales", "b@example.jp")).await.expect("a job").job_id;
    assert_eq!(next(&mut all).await.job_id, second);
    assert_eq!(next(&mut live).await.job_id, second);
    let mut again = watch(&api, from(&told.cursor)).await;
    assert_eq!(next(&mut again).await.job_id, second);
}

#[tokio::test]
async fn a_watch_can_name_an_account_or_jobs() {
    let api = Api::start().await;
    api.create_account("sales").await;
    api.create_account("shop").await;
    api.submit(draft("sales", "a@example.jp")).await.expect("a job");
    let second = api.submit(draft("shop", "a@example.jp")).await.expect("a job").job_id;
    let third = api.submit(draft("shop", "b@example.jp")).await.expect("a job").job_id;
    let mut of_shop = watch(&api, v1::WatchJobsRequest { account_id: "shop".into(), ..from("0") }).await;
    assert_eq!(next(&mut of_shop).await.job_id, second);
    let mut of_third = watch(&api, v1::WatchJobsRequest { job_ids: vec![third.clone()], ..from("0") }).await;
    assert_eq!(next(&mut of_third).await.job_id, third);
    let selector = v1::JobSelector { selection: Some(v1::job_selector::Selection::JobId(third.clone())) };
    let hold = v1::HoldJobsRequest { selector: Some(selector), dry_run: false };
    api.jobs().hold_jobs(hold).await.expect("held");
    let told = next(&mut of_third).await;
    assert_eq!(told.change, Some(Change::Controlled(v1::JobControlled { control: v1::JobControl::Hold.into() })));
    assert_eq!(told.state(), v1::JobState::Held);
}

#[tokio::test]
async fn a_watch_ends_when_the_daemon_stops() {
    let api = Api::start().await;
    let mut events = watch(&api, from("")).await;
    api.shutdown.cancel();
    check_refused(events.message().await, Code::Unavailable, "SHUTTING_DOWN", &[]);
}

#[tokio::test]
async fn a_watch_that_makes_no_sense_is_refused() {
    let api = Api::start().await;
    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    let wrong = v1::WatchJobsRequest { cursor: "x".into(), account_id: "A".into(), job_ids: vec!["y".into()] };
    let fields = ["cursor", "account_id", "job_ids[0]"];
    check_refused(api.jobs().watch_jobs(wrong).await, code, reason, &fields);
    check_refused(api.jobs().watch_jobs(from("99")).await, code, reason, &["cursor"]);
    let gone = v1::WatchJobsRequest { account_id: "gone".into(), ..from("") };
    check_refused(api.jobs().watch_jobs(gone).await, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
    let many = v1::WatchJobsRequest { job_ids: vec![String::new(); 1_001], ..from("") };
    check_refused(api.jobs().watch_jobs(many).await, code, reason, &["job_ids"]);
}

/// Wants all events, and tells where each is.
struct All;

#[async_trait]
impl Interest for All {
    type Told = Cursor;

    async fn wants(&self, _event: &Event, _view: &mut View<'_>) -> Result<bool, StorageError> {
        Ok(true)
    }

    async fn tell(&self, cursor: Cursor, _: &Event, _: &SharedStorage) -> Result<Option<Cursor>, StorageError> {
        Ok(Some(cursor))
    }
}

#[tokio::test]
async fn a_watch_that_falls_behind_what_is_kept_is_told() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let account: AccountId = "sales".parse().expect("an id");
    let note = async || {
        let noted = api.storage.note_mailbox(&account, MailboxChange::Recovered, api.clock.now()).await;
        noted.expect("it is noted");
    };
    for _ in 0..600 {
        note().await;
    }
    let storage: SharedStorage = Arc::<MemoryStore>::clone(&api.storage);
    let watch = |cursor: &str| {
        let start = Start::read(cursor, Cursor(u64::MAX), &mut Violations::default()).expect("a cursor");
        let watcher = Watcher {
            storage: Arc::clone(&storage),
            visitor: Visitor::new("boss".parse().expect("a name"), Role::Admin),
            shutdown: CancellationToken::new(),
            place: Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place"),
        };
        events(watcher, start, All)
    };
    let (mut slow, mut live) = (pin!(watch("0")), pin!(watch("")));
    slow.next().await.expect("an event").expect("no error");
    let later = Timestamp::from_millis(2 * BEGIN_MS);
    while api.storage.prune(later, 1_000, later).await.expect("an answer") > 0 {}
    let mut rest: Vec<_> = slow.collect().await;
    let end = rest.pop().expect("an end");
    assert!(rest.iter().all(Result::is_ok), "what was read before is told");
    check_refused(end, Code::OutOfRange, "EVENTS_PRUNED", &[]);
    note().await;
    live.next().await.expect("an event").expect("it was abreast");
}
