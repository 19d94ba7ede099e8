//! What callers see of AccountService.

use super::*;
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        job::Priority,
        parking::{Parking, ParkingCause, Standing},
    },
    policy::quota::{ledger::Ledger, permit::Need},
    storage::{AccountStore, Queue, settlement::Settlement},
};

#[tokio::test]
async fn an_account_is_created_once_and_never_shows_its_password() {
    let api = Api::start().await;
    let account = api.create_account("sales").await;
    assert_eq!((account.etag.as_str(), account.created_by.as_str()), ("1", "local"));
    assert_eq!(account.standing.as_ref().map(v1::AccountStanding::state), Some(v1::AccountState::Active));
    assert!(!format!("{account:?}").contains("hunter2"));
    let again =
        v1::CreateAccountRequest { account_id: "sales".into(), settings: Some(settings()), ..Default::default() };
    check_refused(api.accounts().create_account(again).await, Code::AlreadyExists, "ACCOUNT_EXISTS", &[]);
    let got = api.accounts().get_account(v1::GetAccountRequest { account_id: "sales".into() }).await;
    assert_eq!(got.expect("an account").into_inner().account, Some(account));
}

#[tokio::test]
async fn all_mistakes_of_an_account_are_told_at_once() {
    let api = Api::start().await;
    let wrong = v1::CreateAccountRequest {
        account_id: "A".into(),
        settings: Some(v1::AccountSettings { from: None, in_doubt: 9, ..settings() }),
        ..Default::default()
    };
    let fields = ["account_id", "settings.from.address", "settings.in_doubt"];
    check_refused(api.accounts().create_account(wrong).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

#[tokio::test]
async fn accounts_that_are_not_there_are_not_found() {
    let api = Api::start().await;
    let mut accounts = api.accounts();
    let (code, reason, fields) = (Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"][..]);
    let id = || "nobody".to_owned();
    check_refused(accounts.get_account(v1::GetAccountRequest { account_id: id() }).await, code, reason, fields);
    let pause = v1::PauseAccountRequest { account_id: id(), ..v1::PauseAccountRequest::default() };
    check_refused(accounts.pause_account(pause).await, code, reason, fields);
    let resume = v1::ResumeAccountRequest { account_id: id() };
    check_refused(accounts.resume_account(resume).await, code, reason, fields);
    let usage = v1::GetAccountUsageRequest { account_id: id() };
    check_refused(accounts.get_account_usage(usage).await, code, reason, fields);
    let delete = v1::DeleteAccountRequest { account_id: id(), ..v1::DeleteAccountRequest::default() };
    check_refused(accounts.delete_account(delete).await, code, reason, fields);
}

#[tokio::test]
async fn accounts_are_listed_page_by_page() {
    let api = Api::start().await;
    for id in ["c", "a", "b", "d"] {
        api.create_account(id).await;
    }
    let mut page_token = String::new();
    let mut pages = Vec::new();
    loop {
        let request = v1::ListAccountsRequest { page_size: 2, page_token, ..Default::default() };
        let page = api.accounts().list_accounts(request).await.expect("a page").into_inner();
        pages.push(page.accounts.iter().map(|account| account.account_id.clone()).collect::<String>());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, ["ab", "cd"]);
    let wrong = v1::ListAccountsRequest { page_size: 1_001, page_token: "x".into(), ..Default::default() };
    let fields = ["page_size", "page_token"];
    check_refused(api.accounts().list_accounts(wrong).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

fn update(etag: &str, password: &str, name: &str) -> v1::UpdateAccountRequest {
    let mut settings = v1::AccountSettings { display_name: name.into(), ..settings() };
    if let Some(v1::sign_in::Method::Password(method)) =
        settings.sign_in.as_mut().and_then(|sign_in| sign_in.method.as_mut())
    {
        method.password = password.into();
    }
    v1::UpdateAccountRequest { account_id: "sales".into(), settings: Some(settings), etag: etag.into() }
}

#[tokio::test]
async fn an_update_needs_the_etag_of_what_it_changes() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut accounts = api.accounts();
    let changed = accounts.update_account(update("1", "", "Sales")).await.expect("an update").into_inner();
    let changed = changed.account.expect("the account");
    assert_eq!((changed.etag.as_str(), changed.settings.map(|s| s.display_name)), ("2", Some("Sales".into())));
    check_refused(accounts.update_account(update("1", "", "Late")).await, Code::Aborted, "ETAG_STALE", &[]);
    let invalid = (Code::InvalidArgument, "INVALID_FIELDS");
    check_refused(accounts.update_account(update("", "", "")).await, invalid.0, invalid.1, &["etag"]);
    check_refused(accounts.update_account(update("x", "", "")).await, invalid.0, invalid.1, &["etag"]);
}

async fn park(api: &Api) {
    let parking = Parking {
        cause: ParkingCause::NeedsReauth,
        reason: "the sign-in is not accepted".into(),
        reply: None,
        since: Timestamp::from_millis(BEGIN_MS),
        until: None,
        strikes: 1,
    };
    let id = "sales".parse().expect("an id");
    api.storage.set_standing(&id, Standing::Parked(parking), Timestamp::from_millis(BEGIN_MS)).await.expect("parked");
}

fn state(account: Option<v1::Account>) -> Option<v1::AccountState> {
    account.and_then(|account| account.standing).map(|standing| standing.state())
}

#[tokio::test]
async fn new_credentials_end_needs_reauth() {
    let api = Api::start().await;
    api.create_account("sales").await;
    park(&api).await;
    let mut accounts = api.accounts();
    let same = accounts.update_account(update("1", "", "Sales")).await.expect("an update").into_inner();
    assert_eq!(state(same.account), Some(v1::AccountState::NeedsReauth));
    let new = accounts.update_account(update("2", "correct", "Sales")).await.expect("an update").into_inner();
    assert_eq!(state(new.account), Some(v1::AccountState::Active));
}

#[tokio::test]
async fn an_account_is_paused_and_resumed() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut accounts = api.accounts();
    let until = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
    let pause = v1::PauseAccountRequest { account_id: "sales".into(), until, reason: "holiday".into() };
    let paused = accounts.pause_account(pause.clone()).await.expect("a pause").into_inner().account.expect("it");
    let standing = paused.standing.expect("a standing");
    assert_eq!((standing.state(), standing.reason.as_str()), (v1::AccountState::Paused, "holiday"));
    assert_eq!(standing.until, until);
    let accepted = api.submit(draft("sales", "a@example.jp")).await.expect("accepted all the same");
    assert_eq!(accepted.warnings.len(), 1);
    let resume = v1::ResumeAccountRequest { account_id: "sales".into() };
    let resumed = accounts.resume_account(resume).await.expect("active again").into_inner();
    assert_eq!(state(resumed.account), Some(v1::AccountState::Active));
    let past = Some(prost_types::Timestamp { seconds: 5, nanos: 0 });
    let wrong = v1::PauseAccountRequest { until: past, reason: "x".repeat(501), ..pause };
    let fields = ["until", "reason"];
    check_refused(accounts.pause_account(wrong).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

#[tokio::test]
async fn an_account_with_open_jobs_is_deleted_by_force_only() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let open = api.submit(draft("sales", "a@example.jp")).await.expect("a job").job_id;
    let mut accounts = api.accounts();
    let delete = |etag: &str, force| v1::DeleteAccountRequest { account_id: "sales".into(), etag: etag.into(), force };
    let refused = accounts.delete_account(delete("", false)).await;
    check_refused(refused, Code::FailedPrecondition, "ACCOUNT_HAS_OPEN_JOBS", &[]);
    check_refused(accounts.delete_account(delete("7", true)).await, Code::Aborted, "ETAG_STALE", &[]);
    assert_eq!(api.job(&open).await.state(), v1::JobState::Queued);
    let deleted = accounts.delete_account(delete("1", true)).await.expect("deleted").into_inner();
    assert_eq!(deleted.cancelled_jobs, 1);
    assert_eq!(api.job(&open).await.state(), v1::JobState::Cancelled);
}

#[tokio::test]
async fn usage_names_each_quota_in_order() {
    let api = Api::start().await;
    let window = |seconds| Some(v1::quota::Window::Sliding(prost_types::Duration { seconds, nanos: 0 }));
    let quota = |limit, seconds| v1::Quota { limit, unit: v1::QuotaUnit::Messages.into(), window: window(seconds) };
    let limits = v1::Limits { quotas: vec![quota(20, 60), quota(7, 10)], ..v1::Limits::default() };
    let settings = v1::AccountSettings { limits: Some(limits), ..settings() };
    let request =
        v1::CreateAccountRequest { account_id: "sales".into(), settings: Some(settings), ..Default::default() };
    api.accounts().create_account(request).await.expect("an account");
    let usage = api.accounts().get_account_usage(v1::GetAccountUsageRequest { account_id: "sales".into() }).await;
    let quotas = usage.expect("a usage").into_inner().quotas;
    let told: Vec<_> = quotas.iter().map(|usage| (usage.used, usage.left, usage.resets_at)).collect();
    assert_eq!(told, [(0, 20, None), (0, 7, None)]);
}

#[tokio::test]
async fn an_account_that_waits_for_its_own_quota_says_so() {
    let api = Api::start().await;
    let window = Some(v1::quota::Window::Sliding(prost_types::Duration { seconds: 60, nanos: 0 }));
    let quota = v1::Quota { limit: 1, unit: v1::QuotaUnit::Messages.into(), window };
    let limits = v1::Limits { quotas: vec![quota], ..v1::Limits::default() };
    let settings = v1::AccountSettings { limits: Some(limits), ..settings() };
    let request =
        v1::CreateAccountRequest { account_id: "sales".into(), settings: Some(settings), ..Default::default() };
    api.accounts().create_account(request).await.expect("an account");
    api.submit(draft("sales", "a@example.jp")).await.expect("a job");
    let state = async || {
        let request = v1::GetAccountRequest { account_id: "sales".into() };
        let account = api.accounts().get_account(request).await.expect("an account").into_inner().account;
        account.and_then(|account| account.standing).map(|standing| (standing.state(), standing.until.is_some()))
    };
    assert_eq!(state().await, Some((v1::AccountState::Active, false)));

    let id = "sales".parse().expect("an id");
    let record = api.storage.account(&id).await.expect("an answer").expect("it is there");
    let now = record.account.created.at;
    let mut ledger = Ledger::new(&record.account.settings.limits, Vec::new(), now);
    let permit = ledger.permit(Need::message_to(1), Priority::Normal, now).expect("the quota is unused");
    let charges = ledger.settle(permit, now);
    let tenure = api.storage.take_tenure(&id).await.expect("a tenure");
    let job = JobId::new(now, [0; 10]);
    let settlement = Settlement { message: MessageKey::only(job), ..Settlement::of_charges(charges, now) };
    api.storage.settle(&tenure, vec![settlement]).await.expect("it is charged");
    assert_eq!(state().await, Some((v1::AccountState::QuotaExhausted, true)));
}
