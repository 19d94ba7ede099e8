//! What callers see of jobs that need approval.

use v1::job_selector::Selection;

use super::{
    control::{one, summary},
    visibility::{Office, by},
    *,
};

async fn submit(office: &Office, by_whom: &str) -> v1::SubmitJobResponse {
    let job = v1::JobDraft { approval_required: true, ..draft("shared", "a@example.jp") };
    let request = v1::SubmitJobRequest { job: Some(job), ..v1::SubmitJobRequest::default() };
    office.api.jobs().submit_job(by(by_whom, request)).await.expect("a job").into_inner()
}

async fn approve(
    office: &Office,
    by_whom: &str,
    selector: Option<v1::JobSelector>,
    dry_run: bool,
) -> Result<Option<v1::ControlSummary>, Status> {
    let request = v1::ApproveJobsRequest { selector, dry_run };
    Ok(office.api.jobs().approve_jobs(by(by_whom, request)).await?.into_inner().summary)
}

async fn job(office: &Office, job_id: &str) -> v1::Job {
    let request = v1::GetJobRequest { job_id: job_id.into() };
    office.api.jobs().get_job(by(&office.boss, request)).await.expect("a job").into_inner().job.expect("the job")
}

#[tokio::test]
async fn a_job_is_approved_by_somebody_else_than_its_submitter() {
    let office = Office::open().await;
    office.create(&office.boss, "shared", "").await.expect("an account");
    let answer = submit(&office, &office.taro).await;
    assert_eq!(answer.planned, None);
    assert_eq!(answer.warnings, ["the job awaits approval: it goes when somebody approves it"]);
    let id = answer.job_id;
    let waiting = job(&office, &id).await;
    assert_eq!((waiting.state(), waiting.approval), (v1::JobState::Held, Some(v1::Approval::default())));
    assert_eq!(waiting.recipients[0].state(), v1::RecipientState::Held);
    let request = v1::ExplainJobRequest { job_id: id.clone() };
    let explained = office.api.jobs().explain_job(by(&office.taro, request)).await.expect("an answer").into_inner();
    assert_eq!(explained.hindrances[0].cause, "AWAITS_APPROVAL");
    assert_eq!(explained.planned, None);

    for dry_run in [true, false] {
        let own = approve(&office, &office.taro, one(&id), dry_run).await;
        check_refused(own, Code::PermissionDenied, "NOT_ALLOWED", &[]);
    }
    assert_eq!(approve(&office, &office.jiro, one(&id), true).await.expect("counted"), summary(1, 1, 0));
    assert_eq!(job(&office, &id).await.state(), v1::JobState::Held);
    assert_eq!(approve(&office, &office.jiro, one(&id), false).await.expect("approved"), summary(1, 1, 0));
    let approved = job(&office, &id).await;
    let approval = approved.approval.clone().expect("it needed one");
    assert_eq!((approved.state(), approval.approved_by.as_str()), (v1::JobState::Queued, "jiro"));
    assert!(approval.approved_at.is_some());
    let again = approve(&office, &office.jiro, one(&id), false).await;
    check_refused(again, Code::FailedPrecondition, "NO_APPROVAL_AWAITED", &[]);
}

#[tokio::test]
async fn a_filter_leaves_own_jobs_unapproved_but_for_admins() {
    let office = Office::open().await;
    office.create(&office.boss, "shared", "").await.expect("an account");
    for by_whom in [&office.taro, &office.jiro, &office.boss] {
        submit(&office, by_whom).await;
    }
    let filter = v1::JobFilter { account_id: "shared".into(), ..v1::JobFilter::default() };
    let all = || Some(v1::JobSelector { selection: Some(Selection::Filter(filter.clone())) });
    for dry_run in [true, false] {
        assert_eq!(approve(&office, &office.jiro, all(), dry_run).await.expect("counted"), summary(3, 2, 1));
    }
    assert_eq!(approve(&office, &office.boss, all(), false).await.expect("counted"), summary(3, 1, 2));
    submit(&office, &office.boss).await;
    assert_eq!(approve(&office, &office.boss, all(), false).await.expect("counted"), summary(4, 1, 3));
}

#[tokio::test]
async fn an_approval_is_told_to_watchers() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let job = v1::JobDraft { approval_required: true, ..draft("sales", "a@example.jp") };
    let id = api.submit(job).await.expect("a job").job_id;
    let request = v1::WatchJobsRequest { cursor: "0".into(), ..v1::WatchJobsRequest::default() };
    let mut events = api.jobs().watch_jobs(request).await.expect("a stream").into_inner();
    let accepted = events.message().await.expect("an event").expect("the first");
    assert_eq!(accepted.state(), v1::JobState::Held);
    let request = v1::ApproveJobsRequest { selector: one(&id), dry_run: false };
    api.jobs().approve_jobs(request).await.expect("an admin may");
    let told = events.message().await.expect("an event").expect("the second");
    let control = v1::JobControl::Approve.into();
    assert_eq!(told.state(), v1::JobState::Queued);
    assert_eq!(told.change, Some(v1::watch_jobs_response::Change::Controlled(v1::JobControlled { control })));
}
