//! To whom personal accounts and their jobs are there, over a real connection.

use tonic::Request;

use super::*;
use crate::service::api_keys::{ApiKeys, Role, new_key};

/// An API whose callers need keys, and the keys of an admin and of two members.
pub(super) struct Office {
    pub(super) api: Api,
    pub(super) boss: String,
    pub(super) taro: String,
    pub(super) jiro: String,
}

impl Office {
    pub(super) async fn open() -> Self {
        let key = |name: &str, role, seed| new_key(&name.parse().expect("a name"), role, &SeededEntropy::new(seed));
        let [boss, taro, jiro] =
            [key("boss", Role::Admin, 1), key("taro", Role::Member, 2), key("jiro", Role::Member, 3)];
        let file = format!("{}\n{}\n{}", boss.1, taro.1, jiro.1);
        let guard = Guard::Keys(ApiKeys::parse(&file).expect("a key file"));
        let bearer = |key: &crate::domain::secret::Secret<String>| format!("Bearer {}", key.expose());
        Self {
            api: Api::guarded(guard, MemoryStore::new()).await,
            boss: bearer(&boss.0),
            taro: bearer(&taro.0),
            jiro: bearer(&jiro.0),
        }
    }

    pub(super) async fn create(&self, by_whom: &str, id: &str, owner: &str) -> Result<v1::Account, Status> {
        let settings = v1::AccountSettings { owner: owner.into(), ..settings() };
        let request =
            v1::CreateAccountRequest { account_id: id.into(), settings: Some(settings), ..Default::default() };
        Ok(self.api.accounts().create_account(by(by_whom, request)).await?.into_inner().account.expect("it"))
    }

    async fn submit(&self, by_whom: &str, account: &str) -> Result<String, Status> {
        let job = Some(draft(account, "a@example.jp"));
        let request = v1::SubmitJobRequest { job, ..v1::SubmitJobRequest::default() };
        Ok(self.api.jobs().submit_job(by(by_whom, request)).await?.into_inner().job_id)
    }

    /// The ids of the accounts that a caller is shown, page by page.
    async fn listed(&self, by_whom: &str, page_size: u32, filter: v1::AccountFilter) -> Vec<String> {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListAccountsRequest { page_size, page_token, filter: Some(filter.clone()) };
            let page = self.api.accounts().list_accounts(by(by_whom, request)).await.expect("a page").into_inner();
            assert!(page.accounts.len() <= page_size as usize);
            ids.extend(page.accounts.into_iter().map(|account| account.account_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    }

    async fn sees_job(&self, by_whom: &str, job_id: &str) -> bool {
        let request = v1::GetJobRequest { job_id: job_id.into() };
        let got = self.api.jobs().get_job(by(by_whom, request)).await;
        let request = v1::ListRecipientsRequest { job_id: job_id.into(), ..Default::default() };
        let recipients = self.api.jobs().list_recipients(by(by_whom, request)).await;
        let listed = self.api.jobs().list_jobs(by(by_whom, v1::ListJobsRequest::default())).await.expect("a list");
        let is_listed = listed.into_inner().jobs.iter().any(|job| job.job_id == job_id);
        assert_eq!((got.is_ok(), recipients.is_ok()), (is_listed, is_listed));
        for refused in [got.map(drop).err(), recipients.map(drop).err()].into_iter().flatten() {
            check_refused::<()>(Err(refused), Code::NotFound, "JOB_NOT_FOUND", &[]);
        }
        is_listed
    }
}

/// A request with the key of a caller.
pub(super) fn by<T>(bearer: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
    request
}

#[tokio::test]
async fn a_personal_account_is_there_for_its_owner_and_admins_only() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("his own");
    office.create(&office.jiro, "shared", "").await.expect("everybody's");
    office.create(&office.boss, "other", "jiro").await.expect("admins may");
    let all = v1::AccountFilter::default;
    assert_eq!(office.listed(&office.taro, 1, all()).await, ["own", "shared"]);
    assert_eq!(office.listed(&office.jiro, 1, all()).await, ["other", "shared"]);
    assert_eq!(office.listed(&office.boss, 1, all()).await, ["other", "own", "shared"]);
    let of_taro = v1::AccountFilter { owner: "taro".into(), ..all() };
    assert_eq!(office.listed(&office.jiro, 9, of_taro.clone()).await, [""; 0]);
    assert_eq!(office.listed(&office.boss, 9, of_taro).await, ["own"]);
}

#[tokio::test]
async fn no_call_tells_a_personal_account_of_another_from_none() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("his own");
    let (mut accounts, mut jobs) = (office.api.accounts(), office.api.jobs());
    for (account_id, is_there) in [("own", true), ("none", false)] {
        let id = || account_id.to_owned();
        for (who, sees) in [(&office.jiro, false), (&office.taro, is_there), (&office.boss, is_there)] {
            let mut answers = Vec::new();
            answers.push(accounts.get_account(by(who, v1::GetAccountRequest { account_id: id() })).await.err());
            let usage = v1::GetAccountUsageRequest { account_id: id() };
            answers.push(accounts.get_account_usage(by(who, usage)).await.err());
            let pause = v1::PauseAccountRequest { account_id: id(), ..Default::default() };
            answers.push(accounts.pause_account(by(who, pause)).await.err());
            answers.push(accounts.resume_account(by(who, v1::ResumeAccountRequest { account_id: id() })).await.err());
            if sees {
                assert!(answers.iter().all(Option::is_none), "{answers:?}");
                continue;
            }
            let update = v1::UpdateAccountRequest { account_id: id(), settings: Some(settings()), etag: "1".into() };
            answers.push(accounts.update_account(by(who, update)).await.err());
            let delete = v1::DeleteAccountRequest { account_id: id(), force: true, ..Default::default() };
            answers.push(accounts.delete_account(by(who, delete)).await.err());
            let report = v1::ReportUsageRequest { account_id: id(), messages: 1, ..Default::default() };
            answers.push(accounts.report_usage(by(who, report)).await.err());
            let test = v1::TestAccountRequest { account_id: id(), ..Default::default() };
            answers.push(accounts.test_account(by(who, test)).await.err());
            let consent = v1::BeginConsentRequest { account_id: id(), ..Default::default() };
            answers.push(accounts.begin_consent(by(who, consent)).await.err());
            let estimate = v1::EstimateCompletionRequest { account_id: id(), ..Default::default() };
            answers.push(jobs.estimate_completion(by(who, estimate)).await.err());
            for answer in answers {
                let refused = Err::<(), _>(answer.expect("a refusal"));
                check_refused(refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
            }
            let refused = office.submit(who, account_id).await;
            check_refused(refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &["job.account_id"]);
        }
    }
}

#[tokio::test]
async fn the_jobs_of_a_personal_account_are_there_with_it() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("his own");
    let job = office.submit(&office.taro, "own").await.expect("accepted");
    assert!(office.sees_job(&office.taro, &job).await);
    assert!(office.sees_job(&office.boss, &job).await);
    assert!(!office.sees_job(&office.jiro, &job).await);
    let mut jobs = office.api.jobs();
    for dry_run in [true, false] {
        let one = v1::job_selector::Selection::JobId(job.clone());
        let selector = Some(v1::JobSelector { selection: Some(one) });
        let refused = jobs.hold_jobs(by(&office.jiro, v1::HoldJobsRequest { selector, dry_run })).await;
        check_refused(refused, Code::NotFound, "JOB_NOT_FOUND", &[]);
        let filter = v1::JobFilter { account_id: "own".into(), ..v1::JobFilter::default() };
        let selector = Some(v1::JobSelector { selection: Some(v1::job_selector::Selection::Filter(filter)) });
        let matched = async |who: &str| {
            let request = v1::CancelJobsRequest { selector: selector.clone(), dry_run: true };
            let answer = office.api.jobs().cancel_jobs(by(who, request)).await.expect("an answer");
            answer.into_inner().summary.map(|summary| summary.matched)
        };
        assert_eq!((matched(&office.jiro).await, matched(&office.taro).await), (Some(0), Some(1)));
        let cancel = v1::CancelJobsRequest { selector: selector.clone(), dry_run };
        jobs.cancel_jobs(by(&office.jiro, cancel)).await.expect("nothing is matched");
    }
    let explain = v1::ExplainJobRequest { job_id: job.clone() };
    check_refused(jobs.explain_job(by(&office.jiro, explain)).await, Code::NotFound, "JOB_NOT_FOUND", &[]);
    let state = jobs.get_job(by(&office.taro, v1::GetJobRequest { job_id: job })).await.expect("it is there");
    assert_eq!(state.into_inner().job.map(|job| job.state()), Some(v1::JobState::Queued));
}

#[tokio::test]
async fn a_watch_tells_only_of_jobs_that_are_there_for_the_caller() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("his own");
    office.create(&office.boss, "shared", "").await.expect("everybody's");
    let own = office.submit(&office.taro, "own").await.expect("accepted");
    let shared = office.submit(&office.taro, "shared").await.expect("accepted");
    let first = async |who: &str| {
        let request = v1::WatchJobsRequest { cursor: "0".into(), ..v1::WatchJobsRequest::default() };
        let mut events = office.api.jobs().watch_jobs(by(who, request)).await.expect("a stream").into_inner();
        events.message().await.expect("no error").expect("an event").job_id
    };
    assert_eq!(first(&office.taro).await, own);
    assert_eq!(first(&office.boss).await, own);
    assert_eq!(first(&office.jiro).await, shared);
}

#[tokio::test]
async fn the_jobs_of_a_deleted_account_are_left_to_who_submitted_them() {
    let office = Office::open().await;
    office.create(&office.boss, "own", "taro").await.expect("admins may");
    let job = office.submit(&office.taro, "own").await.expect("accepted");
    let delete = v1::DeleteAccountRequest { account_id: "own".into(), force: true, ..Default::default() };
    office.api.accounts().delete_account(by(&office.taro, delete)).await.expect("his own");
    assert!(office.sees_job(&office.taro, &job).await);
    assert!(office.sees_job(&office.boss, &job).await);
    assert!(!office.sees_job(&office.jiro, &job).await);
    office.create(&office.jiro, "own", "").await.expect("the name is free");
    assert!(!office.sees_job(&office.jiro, &job).await, "it is another account");
    assert!(office.sees_job(&office.taro, &job).await);
}

#[tokio::test]
async fn only_admins_name_another_owner_than_themselves() {
    let office = Office::open().await;
    let not_allowed = (Code::PermissionDenied, "NOT_ALLOWED");
    check_refused(office.create(&office.taro, "own", "jiro").await, not_allowed.0, not_allowed.1, &[]);
    office.create(&office.taro, "own", "taro").await.expect("his own");
    let mut accounts = office.api.accounts();
    let give = |owner: &str, etag: &str| v1::UpdateAccountRequest {
        account_id: "own".into(),
        settings: Some(v1::AccountSettings { owner: owner.into(), ..settings() }),
        etag: etag.into(),
    };
    let refused = accounts.update_account(by(&office.taro, give("jiro", "1"))).await;
    check_refused(refused, not_allowed.0, not_allowed.1, &[]);
    accounts.update_account(by(&office.boss, give("jiro", "1"))).await.expect("admins may");
    accounts.update_account(by(&office.jiro, give("", "2"))).await.expect("everybody's now");
    assert_eq!(office.listed(&office.taro, 5, v1::AccountFilter::default()).await, ["own"]);
}

#[tokio::test]
async fn accounts_are_found_by_what_they_are() {
    let office = Office::open().await;
    for id in ["a", "b", "c"] {
        office.create(&office.boss, id, "").await.expect("a good account");
    }
    let settings = v1::AccountSettings {
        labels: vec!["tokyo".into()],
        unlisted: true,
        may_send_as: vec!["@shop.example".into()],
        ..settings()
    };
    let request = v1::UpdateAccountRequest { account_id: "b".into(), settings: Some(settings), etag: "1".into() };
    office.api.accounts().update_account(by(&office.taro, request)).await.expect("it is everybody's");
    let pause = v1::PauseAccountRequest { account_id: "c".into(), ..Default::default() };
    office.api.accounts().pause_account(by(&office.taro, pause)).await.expect("it is everybody's");
    let usual = v1::AccountFilter::default;
    let found = async |filter| office.listed(&office.taro, 1, filter).await.concat();
    assert_eq!(found(v1::AccountFilter { text: "SALES@".into(), ..usual() }).await, "abc");
    assert_eq!(found(v1::AccountFilter { label: "tokyo".into(), ..usual() }).await, "b");
    assert_eq!(found(v1::AccountFilter { sends_as: "x@shop.example".into(), ..usual() }).await, "b");
    assert_eq!(found(v1::AccountFilter { listed_only: true, ..usual() }).await, "ac");
    let states = |state: v1::AccountState| v1::AccountFilter { states: vec![state.into()], ..usual() };
    assert_eq!(found(states(v1::AccountState::Active)).await, "ab");
    assert_eq!(found(states(v1::AccountState::Paused)).await, "c");
    let wrong = v1::AccountFilter { states: vec![0], text: "a\nb".into(), ..usual() };
    let wrong = v1::ListAccountsRequest { filter: Some(wrong), ..Default::default() };
    let refused = office.api.accounts().list_accounts(by(&office.taro, wrong)).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["filter.text", "filter.states[0]"]);
}
