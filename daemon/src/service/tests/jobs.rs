//! What callers see when they submit jobs and ask about them.

use v1::{job_draft::Content, submit_jobs_response::Result as Answer};

use super::*;
use crate::storage::JobStore;

fn keyed(draft: v1::JobDraft, key: &str) -> v1::SubmitJobRequest {
    v1::SubmitJobRequest { job: Some(draft), idempotency_key: key.into(), dry_run: false }
}

#[tokio::test]
async fn a_submitted_job_is_stored_with_its_message() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut draft = draft("sales", "a@example.jp");
    draft.bcc = vec![mailbox("secret@example.jp")];
    draft.labels = vec!["news".into()];
    draft.priority = v1::Priority::High.into();
    let answer = api.submit(draft).await.expect("a good job");
    let job = api.job(&answer.job_id).await;
    assert_eq!(
        (job.state(), job.priority(), job.accepted_by.as_str()),
        (v1::JobState::Queued, v1::Priority::High, "local")
    );
    assert_eq!((job.subject.as_str(), job.sender.as_str()), ("Hello", "sales@example.jp"));
    assert_eq!(job.message_id, format!("<{}@example.jp>", answer.job_id));
    assert_eq!(job.message_bytes, answer.message_bytes);
    let fields: Vec<_> = job.recipients.iter().map(|r| (r.address.as_str(), r.field())).collect();
    assert_eq!(fields, [("a@example.jp", v1::RecipientField::To), ("secret@example.jp", v1::RecipientField::Bcc),]);
    let message = api.storage.message(answer.job_id.parse().expect("an id")).await.expect("read").expect("a message");
    assert!(!String::from_utf8_lossy(&message.bytes).contains("secret"));
}

#[tokio::test]
async fn a_raw_message_is_adopted() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let raw = "From: sales@example.jp\nSubject: Raw\nMessage-ID: <own@example.jp>\n\nHello\n";
    let mut draft = draft("sales", "a@example.jp");
    draft.content = Some(Content::Raw(raw.into()));
    let answer = api.submit(draft.clone()).await.expect("a good job");
    let job = api.job(&answer.job_id).await;
    assert_eq!((job.subject.as_str(), job.message_id.as_str()), ("Raw", "<own@example.jp>"));
    draft.content = Some(Content::Raw("From: other@example.jp\n\nHello\n".into()));
    check_refused(api.submit(draft.clone()).await, Code::InvalidArgument, "INVALID_FIELDS", &["job.raw"]);
    draft.from = Some(mailbox("other@example.jp"));
    let fields = ["job.from.address", "job.raw"];
    check_refused(api.submit(draft).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_field_and_recipient() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut wrong = draft("sales", "a@example.jp");
    wrong.cc = vec![mailbox("b@example.jp"), mailbox("nobody")];
    let status = api.submit(wrong).await.expect_err("a bad address");
    let details = status.get_error_details();
    let violation = &details.bad_request().expect("violations").field_violations[0];
    assert_eq!(violation.field, "job.cc[1].address");
    assert!(violation.description.ends_with("(recipient 2)"), "{}", violation.description);

    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    let mut other_from = draft("sales", "a@example.jp");
    other_from.from = Some(mailbox("other@example.jp"));
    check_refused(api.submit(other_from).await, code, reason, &["job.from.address"]);
    let mut header = draft("sales", "a@example.jp");
    if let Some(Content::Mail(mail)) = &mut header.content {
        mail.headers = vec![v1::Header { name: "Bcc".into(), value: "x@example.jp".into() }];
    }
    check_refused(api.submit(header).await, code, reason, &["job.mail.headers[0].name"]);
    let mut late = draft("sales", "a@example.jp");
    late.expires_at = Some(prost_types::Timestamp { seconds: 5, nanos: 0 });
    check_refused(api.submit(late).await, code, reason, &["job.expires_at"]);
    let unknown = draft("nobody", "a@example.jp");
    check_refused(api.submit(unknown).await, Code::NotFound, "ACCOUNT_NOT_FOUND", &["job.account_id"]);
}

#[tokio::test]
async fn a_repeated_submission_is_known_again() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut jobs = api.jobs();
    let request = keyed(draft("sales", "a@example.jp"), "order-1");
    let first = jobs.submit_job(request.clone()).await.expect("a job").into_inner();
    let second = jobs.submit_job(request).await.expect("the same job").into_inner();
    assert_eq!((first.existing, second.existing), (false, true));
    assert_eq!(first.job_id, second.job_id);
    let other = keyed(draft("sales", "b@example.jp"), "order-1");
    check_refused(jobs.submit_job(other).await, Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED", &[]);
}

#[tokio::test]
async fn a_repeated_submission_is_known_even_when_it_could_not_be_accepted_again() {
    let api = Api::start().await;
    let account = api.create_account("sales").await;
    let request = keyed(draft("sales", "a@example.jp"), "order-1");
    let first = api.jobs().submit_job(request.clone()).await.expect("a job").into_inner();
    let selector = v1::JobSelector { selection: Some(v1::job_selector::Selection::JobId(first.job_id.clone())) };
    let cancel = v1::CancelJobsRequest { selector: Some(selector), dry_run: false };
    api.jobs().cancel_jobs(cancel).await.expect("it is withdrawn");
    let delete = v1::DeleteAccountRequest { account_id: "sales".into(), etag: account.etag, force: false };
    api.accounts().delete_account(delete).await.expect("nothing is open");
    let second = api.jobs().submit_job(request).await.expect("the same job").into_inner();
    assert_eq!((second.existing, second.job_id), (true, first.job_id));
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let request = v1::SubmitJobRequest { dry_run: true, ..keyed(draft("sales", "a@example.jp"), "k") };
    let answer = api.jobs().submit_job(request).await.expect("a good job").into_inner();
    assert!(answer.job_id.is_empty() && answer.message_bytes > 0);
    let list = api.jobs().list_jobs(v1::ListJobsRequest::default()).await.expect("a list").into_inner();
    assert!(list.jobs.is_empty());
}

#[tokio::test]
async fn scheduled_and_held_jobs_wait() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let send_at = Some(prost_types::Timestamp { seconds: 1_700_003_600, nanos: 0 });
    let scheduled = v1::JobDraft { send_at, ..draft("sales", "a@example.jp") };
    let held = v1::JobDraft { hold: true, ..scheduled.clone() };
    for (draft, expected) in [(scheduled, v1::JobState::Scheduled), (held, v1::JobState::Held)] {
        let id = api.submit(draft).await.expect("a job").job_id;
        let job = api.job(&id).await;
        assert_eq!((job.state(), job.due_at), (expected, send_at));
    }
}

#[tokio::test]
async fn a_full_queue_is_told_with_a_time_to_come_back() {
    let api = Api::guarded(Guard::Local, MemoryStore::with_open_jobs_max(1)).await;
    api.create_account("sales").await;
    api.submit(draft("sales", "a@example.jp")).await.expect("the first");
    let refused = api.submit(draft("sales", "b@example.jp")).await;
    let retry = refused.as_ref().err().and_then(|status| status.get_details_retry_info());
    assert!(retry.is_some());
    check_refused(refused, Code::ResourceExhausted, "QUEUE_FULL", &[]);
}

#[tokio::test]
async fn many_submissions_are_answered_in_order_and_refusals_do_not_end_the_stream() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let request = |sequence: u64| {
        let to = if sequence % 10 == 3 { "nobody".to_owned() } else { format!("r{sequence}@example.jp") };
        let submission = (sequence != 7).then(|| keyed(draft("sales", &to), ""));
        v1::SubmitJobsRequest { sequence, submission }
    };
    let answers = api.jobs().submit_jobs(stream::iter((0..600).map(request))).await.expect("a stream").into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.expect("an answer")).collect().await;
    let sequences: Vec<_> = answers.iter().map(|answer| answer.sequence).collect();
    assert_eq!(sequences, (0..600).collect::<Vec<_>>());
    for answer in answers {
        match answer.result.expect("a result") {
            Answer::Accepted(accepted) => assert!(!accepted.job_id.is_empty()),
            Answer::Refused(refusal) if answer.sequence == 7 => assert_eq!(refusal.violations[0].field, "submission"),
            Answer::Refused(refusal) => {
                assert_eq!((answer.sequence % 10, refusal.code), (3, Code::InvalidArgument as i32));
                assert_eq!(refusal.violations[0].field, "job.to[0].address");
                assert_eq!(refusal.violations[0].recipient, Some(0));
            }
        }
    }
}

#[tokio::test]
async fn a_stream_of_submissions_ends_with_an_error_when_the_daemon_stops() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let first = v1::SubmitJobsRequest { sequence: 1, submission: Some(keyed(draft("sales", "a@example.jp"), "")) };
    let requests = stream::iter([first]).chain(stream::pending());
    let mut answers = api.jobs().submit_jobs(requests).await.expect("a stream").into_inner();
    assert_eq!(answers.message().await.expect("an answer").map(|answer| answer.sequence), Some(1));
    api.shutdown.cancel();
    check_refused(answers.message().await, Code::Unavailable, "SHUTTING_DOWN", &[]);
    check_refused(api.submit(draft("sales", "a@example.jp")).await, Code::Unavailable, "SHUTTING_DOWN", &[]);
}

#[tokio::test]
async fn jobs_are_listed_the_youngest_first_in_pages_of_one_filter() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut ids = Vec::new();
    for index in 0..5 {
        let labels = vec![if index == 2 { "other".into() } else { "news".into() }];
        let draft = v1::JobDraft { labels, ..draft("sales", "a@example.jp") };
        ids.push(api.submit(draft).await.expect("a job").job_id);
    }
    let filter = v1::JobFilter { label: "news".into(), ..v1::JobFilter::default() };
    let request = |page_token: &str| v1::ListJobsRequest {
        filter: Some(filter.clone()),
        page_size: 2,
        page_token: page_token.into(),
    };
    let first = api.jobs().list_jobs(request("")).await.expect("a page").into_inner();
    let second = api.jobs().list_jobs(request(&first.next_page_token)).await.expect("a page").into_inner();
    let listed: Vec<_> = first.jobs.iter().chain(&second.jobs).map(|job| job.job_id.clone()).collect();
    assert_eq!(listed, [&ids[4], &ids[3], &ids[1], &ids[0]].map(Clone::clone));
    let stolen = v1::ListJobsRequest { filter: None, ..request(&first.next_page_token) };
    check_refused(api.jobs().list_jobs(stolen).await, Code::InvalidArgument, "INVALID_FIELDS", &["page_token"]);
}

#[tokio::test]
async fn jobs_that_are_not_there_are_not_found() {
    let api = Api::start().await;
    let unknown = v1::GetJobRequest { job_id: "018bcfe5-6800-7000-8000-000000000000".into() };
    check_refused(api.jobs().get_job(unknown).await, Code::NotFound, "JOB_NOT_FOUND", &[]);
    let nameless = v1::GetJobRequest { job_id: "x".into() };
    check_refused(api.jobs().get_job(nameless).await, Code::InvalidArgument, "INVALID_FIELDS", &["job_id"]);
}
