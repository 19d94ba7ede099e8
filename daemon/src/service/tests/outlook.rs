//! What callers are told of the time when their mail goes.

use super::*;

async fn create(api: &Api, account_id: &str, limits: v1::Limits) {
    let settings = v1::AccountSettings { limits: Some(limits), ..settings() };
    let account_id = account_id.into();
    let request = v1::CreateAccountRequest { account_id, settings: Some(settings), ..Default::default() };
    api.accounts().create_account(request).await.expect("a good account");
}

fn hourly(limit: u64) -> v1::Limits {
    let window = v1::quota::Window::Sliding(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let quota = v1::Quota { limit, unit: v1::QuotaUnit::Messages.into(), window: Some(window) };
    v1::Limits { quotas: vec![quota], ..Default::default() }
}

/// Seconds from the beginning to the first and the last message.
fn seconds(planned: Option<v1::PlannedTimes>) -> Option<(i64, i64)> {
    let begin = i64::try_from(BEGIN_MS / 1_000).expect("small");
    let seconds = |at: Option<prost_types::Timestamp>| at.expect("a time").seconds - begin;
    planned.map(|planned| (seconds(planned.first_at), seconds(planned.last_at)))
}

async fn explain(api: &Api, job_id: &str) -> v1::ExplainJobResponse {
    let request = v1::ExplainJobRequest { job_id: job_id.into() };
    api.jobs().explain_job(request).await.expect("an answer").into_inner()
}

async fn causes(api: &Api, job_id: &str) -> Vec<String> {
    explain(api, job_id).await.hindrances.into_iter().map(|one| one.cause).collect()
}

#[tokio::test]
async fn each_submission_is_told_when_it_goes() {
    let api = Api::start().await;
    create(&api, "free", v1::Limits::default()).await;
    create(&api, "bound", hourly(2)).await;
    let free = api.submit(draft("free", "a@example.jp")).await.expect("a job");
    assert_eq!(seconds(free.planned), Some((0, 0)));
    let mut hours = Vec::new();
    for _ in 0..5 {
        let answer = api.submit(draft("bound", "a@example.jp")).await.expect("a job");
        hours.push(seconds(answer.planned).expect("it goes").1 / 3_600);
    }
    assert_eq!(hours, [0, 0, 1, 1, 2]);
    let urgent = v1::JobDraft { priority: v1::Priority::High.into(), ..draft("bound", "a@example.jp") };
    let request = v1::SubmitJobRequest { job: Some(urgent), dry_run: true, ..Default::default() };
    let answer = api.jobs().submit_job(request).await.expect("a good job").into_inner();
    assert_eq!(seconds(answer.planned).expect("it goes").1, 0);

    let held = v1::JobDraft { hold: true, ..draft("free", "a@example.jp") };
    assert_eq!(api.submit(held).await.expect("a job").planned, None);
    let send_at = Some(prost_types::Timestamp { seconds: 1_700_086_400, nanos: 0 });
    let later = v1::JobDraft { send_at, ..draft("free", "a@example.jp") };
    assert_eq!(seconds(api.submit(later).await.expect("a job").planned), Some((86_400, 86_400)));
}

#[tokio::test]
async fn a_job_is_told_what_holds_it_in_order() {
    let api = Api::start().await;
    create(&api, "bound", hourly(1)).await;
    create(&api, "free", v1::Limits::default()).await;
    let first = api.submit(draft("free", "a@example.jp")).await.expect("a job").job_id;
    assert_eq!(causes(&api, &first).await, ["CONNECTION"]);
    let second = api.submit(draft("free", "b@example.jp")).await.expect("a job").job_id;
    assert_eq!(causes(&api, &second).await, ["BACKLOG"]);
    let send_at = Some(prost_types::Timestamp { seconds: 1_700_086_400, nanos: 0 });
    let held = v1::JobDraft { hold: true, send_at, ..draft("bound", "a@example.jp") };
    let held = api.submit(held).await.expect("a job").job_id;
    let pause = v1::PauseAccountRequest { account_id: "bound".into(), reason: "a test.".into(), until: None };
    api.accounts().pause_account(pause).await.expect("it is paused");
    let answer = explain(&api, &held).await;
    let told: Vec<_> = answer.hindrances.iter().map(|one| (one.cause.as_str(), one.until.is_some())).collect();
    assert_eq!(told, [("HELD", false), ("SEND_AT", true), ("ACCOUNT", false)]);
    assert_eq!((answer.state(), answer.planned), (v1::JobState::Held, None));
    assert!(answer.hindrances[2].explanation.ends_with("a test."), "{:?}", answer.hindrances[2]);
    let unknown = v1::ExplainJobRequest { job_id: "01890000-0000-7000-8000-000000000000".into() };
    check_refused(api.jobs().explain_job(unknown).await, Code::NotFound, "JOB_NOT_FOUND", &[]);
}

#[tokio::test]
async fn an_estimate_says_when_all_has_gone_and_what_bounds_it() {
    let api = Api::start().await;
    create(&api, "bound", hourly(10)).await;
    let estimate = async |messages: u64, priority: v1::Priority| {
        let priority = priority.into();
        let account_id = "bound".into();
        let request = v1::EstimateCompletionRequest { account_id, messages, priority, message_bytes: 0 };
        Ok::<_, Status>(api.jobs().estimate_completion(request).await?.into_inner())
    };
    assert_eq!(estimate(0, v1::Priority::Normal).await.expect("an answer").planned, None);
    for _ in 0..15 {
        api.submit(draft("bound", "a@example.jp")).await.expect("a job");
    }
    let all = estimate(0, v1::Priority::Normal).await.expect("an answer");
    assert_eq!((all.queued_messages, seconds(all.planned).expect("it goes").1 / 3_600), (15, 1));
    assert!(all.bound.starts_with("The quota of 10 messages in any 3600 s bounds it most."), "{}", all.bound);
    let (first, last) = seconds(estimate(95, v1::Priority::Low).await.expect("an answer").planned).expect("it goes");
    assert_eq!((first / 3_600, last / 3_600), (1, 10));
    let urgent = estimate(5, v1::Priority::High).await.expect("an answer");
    assert_eq!(seconds(urgent.planned).expect("it goes").1 / 3_600, 0);
    let too_many = estimate(10_000_001, v1::Priority::Normal).await;
    check_refused(too_many, Code::InvalidArgument, "INVALID_FIELDS", &["messages"]);
}
