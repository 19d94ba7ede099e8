//! What callers see when they steer jobs.

use v1::job_selector::Selection;

use super::*;

const UNKNOWN: &str = "018bcfe5-6800-7000-8000-000000000000";

pub(super) fn one(job_id: &str) -> Option<v1::JobSelector> {
    Some(v1::JobSelector { selection: Some(Selection::JobId(job_id.into())) })
}

fn labelled(label: &str) -> Option<v1::JobSelector> {
    let filter = v1::JobFilter { label: label.into(), ..v1::JobFilter::default() };
    Some(v1::JobSelector { selection: Some(Selection::Filter(filter)) })
}

pub(super) fn summary(matched: u64, changed: u64, refused: u64) -> Option<v1::ControlSummary> {
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

/// Asks for something of all jobs that match a filter.
async fn steer(api: &Api, control: v1::JobControl, filter: v1::JobFilter, dry_run: bool) -> Option<v1::ControlSummary> {
    let selector = Some(v1::JobSelector { selection: Some(Selection::Filter(filter)) });
    let mut jobs = api.jobs();
    macro_rules! call {
        ($call:ident, $request:ident) => {
            jobs.$call(v1::$request { selector, dry_run }).await.expect("an answer").into_inner().summary
        };
    }
    match control {
        v1::JobControl::Unspecified => None,
        v1::JobControl::Cancel => call!(cancel_jobs, CancelJobsRequest),
        v1::JobControl::Hold => call!(hold_jobs, HoldJobsRequest),
        v1::JobControl::Release => call!(release_jobs, ReleaseJobsRequest),
        v1::JobControl::Retry => call!(retry_jobs, RetryJobsRequest),
        v1::JobControl::Approve => call!(approve_jobs, ApproveJobsRequest),
        v1::JobControl::Expire => call!(expire_jobs, ExpireJobsRequest),
    }
}

#[tokio::test]
async fn each_part_of_a_filter_selects() {
    let api = Api::start().await;
    api.create_account("sales").await;
    api.create_account("orders").await;
    for (account, to, label, hold) in
        [("sales", "a", "news", true), ("sales", "b", "bills", false), ("orders", "a", "news", false)]
    {
        let labels = vec![label.to_owned()];
        let job = v1::JobDraft { labels, hold, ..draft(account, &format!("{to}@example.jp")) };
        api.submit(job).await.expect("a job");
    }
    let merge = vec![super::merges::head(v1::JobDraft { labels: Vec::new(), ..super::merges::templates() }, "")];
    let merge = merge.into_iter().chain([super::merges::recipients(0..70)]).collect();
    super::merges::submit(&api, merge).await.expect("a merge job");
    let all = v1::JobFilter::default;
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    for (filter, expected) in [
        (v1::JobFilter { account_id: "sales".into(), ..all() }, 3),
        (v1::JobFilter { label: "news".into(), ..all() }, 2),
        (v1::JobFilter { label: "news".into(), account_id: "orders".into(), ..all() }, 1),
        (v1::JobFilter { states: vec![v1::JobState::Held.into()], ..all() }, 1),
        (v1::JobFilter { states: vec![v1::JobState::Queued.into()], ..all() }, 3),
        (v1::JobFilter { recipient: "A@EXAMPLE.JP".into(), ..all() }, 2),
        (v1::JobFilter { recipient: "r69@example.jp".into(), ..all() }, 1),
        (v1::JobFilter { accepted_from: time(1_700_000_000), ..all() }, 4),
        (v1::JobFilter { accepted_before: time(1_700_000_000), ..all() }, 0),
    ] {
        let counted = steer(&api, v1::JobControl::Expire, filter.clone(), true).await;
        assert_eq!(counted, summary(expected, expected, 0), "{filter:?}");
    }
}

#[tokio::test]
async fn a_dry_run_counts_what_each_call_then_does() {
    let api = Api::start().await;
    api.create_account("sales").await;
    for (hold, approval_required) in [(false, false), (true, false), (false, true), (true, true)] {
        let labels = vec!["news".into()];
        let job = v1::JobDraft { hold, approval_required, labels, ..draft("sales", "a@example.jp") };
        api.submit(job).await.expect("a job");
    }
    let news = || v1::JobFilter { label: "news".into(), ..v1::JobFilter::default() };
    for (control, changed) in [
        // One is held, one unapproved, one both.
        (v1::JobControl::Retry, 1),
        (v1::JobControl::Release, 2),
        (v1::JobControl::Hold, 4),
        (v1::JobControl::Approve, 2),
        (v1::JobControl::Retry, 0),
        (v1::JobControl::Release, 4),
        (v1::JobControl::Retry, 4),
        (v1::JobControl::Expire, 4),
        (v1::JobControl::Expire, 0),
        (v1::JobControl::Retry, 4),
        (v1::JobControl::Cancel, 4),
    ] {
        for dry_run in [true, false] {
            let told = steer(&api, control, news(), dry_run).await;
            assert_eq!(told, summary(4, changed, 4 - changed), "{control:?}");
        }
    }
}

#[tokio::test]
async fn an_empty_selection_is_refused() {
    let api = Api::start().await;
    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    check_refused(cancel(&api, None, false).await, code, reason, &["selector"]);
    check_refused(cancel(&api, labelled(""), true).await, code, reason, &["selector.filter"]);
    check_refused(cancel(&api, one("x"), false).await, code, reason, &["selector.job_id"]);
}
