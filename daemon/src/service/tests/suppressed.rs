//! What callers are told of recipients that must not be sent to, over a real connection.

use v1::RecipientState as State;

use super::{
    merges::{head, recipients, templates},
    resending::{again, finished, resend},
    suppressions::{add, entry, global, lists, of_account, of_label},
    visibility::{Office, by},
    *,
};
use crate::{
    domain::{
        attempt::Fate,
        statistics::{Counts, StatisticsGroup},
    },
    storage::{Groups, Period, StatisticsQuery, StatisticsStore as _},
};

async fn suppress(api: &Api, address: &str) {
    let scope = of_account("sales");
    add(api, v1::Suppression { reason: v1::SuppressionReason::HardBounce.into(), ..entry(scope, address) }).await;
}

async fn states(api: &Api, job_id: &str) -> Vec<State> {
    api.job(job_id).await.recipients.iter().map(v1::Recipient::state).collect()
}

fn to_three() -> v1::JobDraft {
    let (cc, bcc) = (vec![mailbox("b@example.jp")], vec![mailbox("c@example.jp")]);
    v1::JobDraft { cc, bcc, ..draft("sales", "a@example.jp") }
}

#[tokio::test]
async fn suppressed_recipients_are_left_out_with_a_warning_of_each() {
    let api = Api::start().await;
    api.create_account("sales").await;
    suppress(&api, "B@example.jp").await;
    let answer = api.submit(to_three()).await.expect("a job");
    assert_eq!(states(&api, &answer.job_id).await, [State::Queued, State::Suppressed, State::Queued]);
    assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    for word in ["B@example.jp", "for account sales", "hard-bounce", "since 2023-11-14"] {
        assert!(answer.warnings[0].contains(word), "{word}: {}", answer.warnings[0]);
    }
    let job = api.job(&answer.job_id).await;
    assert_eq!(job.state(), v1::JobState::Queued);
    assert_eq!(job.tally.map(|tally| (tally.waiting, tally.suppressed)), Some((2, 1)));
    let by = job.recipients[1].suppressed_by.clone().expect("why");
    assert_eq!(
        (by.reason(), by.scope.and_then(|scope| scope.scope)),
        (v1::SuppressionReason::HardBounce, Some(of_account("sales")))
    );
    let preview = v1::PreviewJobRequest {
        what: Some(v1::preview_job_request::What::Draft(to_three())),
        ..v1::PreviewJobRequest::default()
    };
    let preview = api.jobs().preview_job(preview).await.expect("a preview").into_inner();
    assert_eq!(preview.recipients, ["a@example.jp", "c@example.jp"]);
    assert_eq!(preview.warnings.len(), 1);
    let text = String::from_utf8(preview.message.to_vec()).expect("text");
    assert!(text.contains("Cc: b@example.jp"), "the header stays as it was asked for: {text}");
}

#[tokio::test]
async fn a_job_of_suppressed_recipients_only_is_finished() {
    let api = Api::start().await;
    api.create_account("sales").await;
    add(&api, entry(global(), "a@example.jp")).await;
    let answer = api.submit(draft("sales", "a@example.jp")).await.expect("a job");
    assert!(answer.warnings.iter().any(|warning| warning.contains("nothing is sent")), "{:?}", answer.warnings);
    assert_eq!(answer.planned, None);
    let job = api.job(&answer.job_id).await;
    assert_eq!((job.state(), job.recipients[0].state()), (v1::JobState::Suppressed, State::Suppressed));
    let filter = v1::JobFilter { states: vec![v1::JobState::Suppressed.into()], ..v1::JobFilter::default() };
    let list = v1::ListJobsRequest { filter: Some(filter), ..v1::ListJobsRequest::default() };
    let found = api.jobs().list_jobs(list).await.expect("a list").into_inner().jobs;
    assert_eq!(found.iter().map(|job| job.job_id.as_str()).collect::<Vec<_>>(), [answer.job_id.as_str()]);
    let list = v1::ListRecipientsRequest {
        job_id: answer.job_id.clone(),
        states: vec![State::Suppressed.into()],
        ..v1::ListRecipientsRequest::default()
    };
    assert_eq!(api.jobs().list_recipients(list).await.expect("a list").into_inner().recipients.len(), 1);
    assert_eq!(causes(&api, &answer.job_id).await, ["SUPPRESSED"]);

    let scope = Some(v1::SuppressionScope { scope: Some(global()) });
    let removal = v1::RemoveSuppressionRequest { scope, address: "a@example.jp".into(), requeue: true };
    let removed = lists(&api).remove_suppression(removal).await.expect("removed").into_inner();
    assert_eq!(removed.requeued_recipients, 1);
    assert_eq!(states(&api, &answer.job_id).await, [State::Queued]);
}

async fn causes(api: &Api, job_id: &str) -> Vec<String> {
    let request = v1::ExplainJobRequest { job_id: job_id.into() };
    let answer = api.jobs().explain_job(request).await.expect("an answer").into_inner();
    answer.hindrances.into_iter().map(|one| one.cause).collect()
}

#[tokio::test]
async fn suppression_is_named_among_what_holds_a_job() {
    let api = Api::start().await;
    api.create_account("sales").await;
    suppress(&api, "b@example.jp").await;
    let job = api.submit(to_three()).await.expect("a job").job_id;
    assert!(causes(&api, &job).await.contains(&"SUPPRESSED".to_owned()));
    let other = api.submit(draft("sales", "d@example.jp")).await.expect("a job").job_id;
    assert!(!causes(&api, &other).await.contains(&"SUPPRESSED".to_owned()));
    suppress(&api, "d@example.jp").await;
    assert!(causes(&api, &other).await.contains(&"SUPPRESSED".to_owned()), "it will be when its turn comes");
}

#[tokio::test]
async fn labels_suppress_jobs_that_bear_them() {
    let api = Api::start().await;
    api.create_account("sales").await;
    add(&api, entry(of_label("news"), "a@example.jp")).await;
    let plain = api.submit(draft("sales", "a@example.jp")).await.expect("a job");
    assert_eq!(states(&api, &plain.job_id).await, [State::Queued]);
    let labels = vec!["other".into(), "news".into()];
    let news = api.submit(v1::JobDraft { labels, ..draft("sales", "a@example.jp") }).await.expect("a job");
    assert_eq!(states(&api, &news.job_id).await, [State::Suppressed]);
}

#[tokio::test]
async fn only_admins_override() {
    let office = Office::open().await;
    office.create(&office.boss, "sales", "").await.expect("an account");
    let suppression = v1::AddSuppressionRequest { suppression: Some(entry(global(), "a@example.jp")) };
    lists(&office.api).add_suppression(by(&office.boss, suppression)).await.expect("it is added");
    let request = || {
        let job = v1::JobDraft { override_suppression: true, ..draft("sales", "a@example.jp") };
        v1::SubmitJobRequest { job: Some(job), ..v1::SubmitJobRequest::default() }
    };
    let refused = office.api.jobs().submit_job(by(&office.taro, request())).await;
    check_refused(refused, Code::PermissionDenied, "NOT_ALLOWED", &[]);
    let merge = v1::JobDraft { override_suppression: true, ..templates() };
    let stream = stream::iter(vec![head(merge, ""), recipients(0..1)]);
    let refused = office.api.jobs().submit_merge(by(&office.taro, stream)).await;
    check_refused(refused, Code::PermissionDenied, "NOT_ALLOWED", &[]);
    let answer = office.api.jobs().submit_job(by(&office.boss, request())).await.expect("an admin").into_inner();
    assert_eq!(answer.warnings, [""; 0]);
    let get = v1::GetJobRequest { job_id: answer.job_id };
    let job = office.api.jobs().get_job(by(&office.boss, get)).await.expect("a job").into_inner().job.expect("it");
    assert_eq!(job.recipients[0].state(), State::Queued);
}

#[tokio::test]
async fn suppressed_recipients_of_a_merge_are_counted() {
    let api = Api::start().await;
    api.create_account("sales").await;
    suppress(&api, "R1@example.jp").await;
    add(&api, entry(of_label("news"), "r3@example.jp")).await;
    let parts = vec![head(templates(), ""), recipients(0..2), recipients(2..5)];
    let answer = super::merges::submit(&api, parts).await.expect("a job");
    let told: Vec<_> = answer.warnings.iter().filter(|warning| warning.contains("suppressed")).collect();
    assert_eq!(told, ["2 of the recipients are suppressed and will be left out"]);
    let counts = counted(&api, Groups::All).await;
    assert_eq!(counts.accepted, 5);
}

#[tokio::test]
async fn what_is_accepted_and_left_out_is_counted() {
    let api = Api::start().await;
    api.create_account("sales").await;
    suppress(&api, "b@example.jp").await;
    api.submit(to_three()).await.expect("a job");
    let counts = counted(&api, Groups::All).await;
    assert_eq!((counts.accepted, counts.suppressed), (3, 1));
    let dry = v1::SubmitJobRequest { job: Some(to_three()), dry_run: true, ..v1::SubmitJobRequest::default() };
    let answer = api.jobs().submit_job(dry).await.expect("it is good").into_inner();
    assert_eq!(answer.warnings.len(), 1);
    assert_eq!(counted(&api, Groups::All).await, counts);
}

/// What was counted of all of the account.
async fn counted(api: &Api, groups: Groups) -> Counts {
    let now = api.clock.now();
    let query = StatisticsQuery { from: now, to: now, period: Period::Day, groups };
    let found = api.storage.statistics(&"sales".parse().expect("an id"), query).await.expect("statistics");
    let all = found.into_iter().filter(|((_, group), _)| *group == StatisticsGroup::All);
    all.fold(Counts::default(), |mut sum, (_, counts)| {
        sum.add(&counts);
        sum
    })
}

#[tokio::test]
async fn quotas_count_those_who_are_sent_to() {
    let api = Api::start().await;
    let window = v1::quota::Window::Sliding(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let quota = v1::Quota { limit: 4, unit: v1::QuotaUnit::Recipients.into(), window: Some(window) };
    let over_quota = v1::OverQuota::Reject.into();
    let limits = v1::Limits { quotas: vec![quota], over_quota, ..v1::Limits::default() };
    let settings = v1::AccountSettings { limits: Some(limits), ..settings() };
    let request =
        v1::CreateAccountRequest { account_id: "sales".into(), settings: Some(settings), ..Default::default() };
    api.accounts().create_account(request).await.expect("a good account");
    suppress(&api, "b@example.jp").await;
    api.submit(to_three()).await.expect("two of three");
    api.submit(to_three()).await.expect("two more");
    let refused = api.submit(to_three()).await;
    check_refused(refused, Code::ResourceExhausted, "QUOTA_EXHAUSTED", &[]);
}

#[tokio::test]
async fn what_is_sent_again_leaves_them_out_too() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let first = finished(&api, draft("sales", "a@example.jp"), &[Fate::Submitted, Fate::Failed]).await;
    suppress(&api, "b@example.jp").await;
    let answer = resend(&api, again(&first)).await.expect("a job");
    assert_eq!(states(&api, &answer.job_id).await, [State::Queued, State::Suppressed]);
    assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    let only = v1::ResendJobRequest { states: vec![State::Bounced.into(), State::Suppressed.into()], ..again(&first) };
    check_refused(resend(&api, only).await, Code::InvalidArgument, "INVALID_FIELDS", &["states"]);
}

#[tokio::test]
async fn a_preview_of_a_merge_says_that_its_recipient_is_left_out() {
    let api = Api::start().await;
    api.create_account("sales").await;
    suppress(&api, "r1@example.jp").await;
    let preview = |index| {
        let merge = v1::MergePreview { job: Some(templates()), recipient: Some(super::merges::recipient(index)) };
        let what = Some(v1::preview_job_request::What::Merge(merge));
        v1::PreviewJobRequest { what, ..v1::PreviewJobRequest::default() }
    };
    let sound = api.jobs().preview_job(preview(0)).await.expect("a preview").into_inner();
    assert_eq!(sound.warnings, [""; 0]);
    let suppressed = api.jobs().preview_job(preview(1)).await.expect("a preview").into_inner();
    assert_eq!(suppressed.warnings, ["1 of the recipients is suppressed and will be left out: nothing is sent"]);
}
