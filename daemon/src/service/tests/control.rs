//! What callers see when they steer jobs.

use v1::job_selector::Selection;

use super::*;

const UNKNOWN: &str = "018bcfe5-6800-7000-8000-000000000000";

fn one(job_id: &str) -> Option<v1::JobSelector> {
    Some(v1::JobSelector { selection: Some(Selection::JobId(job_id.into())) })
}

fn labelled(label: &str) -> Option<v1::JobSelector> {
    let filter = v1::JobFilter { label: label.into(), ..v1::JobFilter::default() };
    Some(v1::JobSelector { selection: Some(Selection::Filter(filter)) })
}

fn summary(matched: u64, changed: u64, refused: u64) -> Option<v1::ControlSummary> {
    Some(v1::ControlSummary { matched, changed, refused })
}

async fn cancel(
    api: &Api,
    selector: Option<v1::JobSelector>,
    dry_run: bool,
) -> Result<Option<v1::ControlSummary>, Status> {
    Ok(api.jobs().cancel_jobs(v1::CancelJobsRequest { selector, dry_run }).await?.into_inner().summary)
}

#[tokio::test]
async fn one_job_is_held_released_cancelled() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let id = api.submit(draft("sales", "a@example.jp")).await.expect("a job").job_id;
    let mut jobs = api.jobs();
    let held = jobs.hold_jobs(v1::HoldJobsRequest { selector: one(&id), dry_run: false }).await.expect("held");
    assert_eq!(held.into_inner().summary, summary(1, 1, 0));
    assert_eq!(api.job(&id).await.state(), v1::JobState::Held);
    let retried = jobs.retry_jobs(v1::RetryJobsRequest { selector: one(&id), dry_run: false }).await;
    check_refused(retried, Code::FailedPrecondition, "JOB_IS_HELD", &[]);
    let released = jobs.release_jobs(v1::ReleaseJobsRequest { selector: one(&id), dry_run: false }).await;
    assert_eq!(released.expect("released").into_inner().summary, summary(1, 1, 0));
    assert_eq!(api.job(&id).await.state(), v1::JobState::Queued);
    let retried = jobs.retry_jobs(v1::RetryJobsRequest { selector: one(&id), dry_run: false }).await;
    assert_eq!(retried.expect("tried now").into_inner().summary, summary(1, 1, 0));
    assert_eq!(cancel(&api, one(&id), false).await.expect("cancelled"), summary(1, 1, 0));
    let job = api.job(&id).await;
    assert_eq!(job.state(), v1::JobState::Cancelled);
    assert_eq!(job.recipients[0].state(), v1::RecipientState::Cancelled);
    check_refused(cancel(&api, one(&id), false).await, Code::FailedPrecondition, "NOTHING_TO_DO", &[]);
    check_refused(cancel(&api, one(&id), true).await, Code::FailedPrecondition, "NOTHING_TO_DO", &[]);
    check_refused(cancel(&api, one(UNKNOWN), false).await, Code::NotFound, "JOB_NOT_FOUND", &[]);
    check_refused(cancel(&api, one(UNKNOWN), true).await, Code::NotFound, "JOB_NOT_FOUND", &[]);
}

#[tokio::test]
async fn a_filter_steers_all_that_match_over_pages() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let draft = v1::JobDraft { labels: vec!["news".into()], ..draft("sales", "a@example.jp") };
    let submission = v1::SubmitJobRequest { job: Some(draft), ..v1::SubmitJobRequest::default() };
    let requests =
        (0..1_100).map(move |sequence| v1::SubmitJobsRequest { sequence, submission: Some(submission.clone()) });
    let answers = api.jobs().submit_jobs(stream::iter(requests)).await.expect("a stream").into_inner();
    let first = answers.collect::<Vec<_>>().await.swap_remove(0).expect("an answer").result;
    let Some(v1::submit_jobs_response::Result::Accepted(first)) = first else {
        panic!("the first is accepted");
    };
    assert_eq!(cancel(&api, one(&first.job_id), false).await.expect("cancelled"), summary(1, 1, 0));
    assert_eq!(cancel(&api, labelled("news"), true).await.expect("counted"), summary(1_100, 1_099, 1));
    assert_eq!(cancel(&api, labelled("news"), false).await.expect("cancelled"), summary(1_100, 1_099, 1));
    assert_eq!(cancel(&api, labelled("news"), false).await.expect("nothing left"), summary(1_100, 0, 1_100));
    assert_eq!(cancel(&api, labelled("other"), false).await.expect("none"), summary(0, 0, 0));
}

#[tokio::test]
async fn an_empty_selection_is_refused() {
    let api = Api::start().await;
    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    check_refused(cancel(&api, None, false).await, code, reason, &["selector"]);
    check_refused(cancel(&api, labelled(""), true).await, code, reason, &["selector.filter"]);
    check_refused(cancel(&api, one("x"), false).await, code, reason, &["selector.job_id"]);
}
