//! What callers see when too much is under way.

use super::*;

const BYTES_MAX: usize = 64 * 1_024;

fn draft_of(bytes: usize) -> v1::JobDraft {
    let mail = v1::MailContent { subject: "Hello".into(), text: "x".repeat(bytes), ..v1::MailContent::default() };
    v1::JobDraft { content: Some(v1::job_draft::Content::Mail(mail)), ..draft("sales", "a@example.com") }
}

#[tokio::test]
async fn a_request_for_which_there_is_no_room_is_refused_and_leaves_none_taken() {
    let load = Load::new(BYTES_MAX, 2);
    let api = Api::loaded(Guard::Local, MemoryStore::new(), load.clone()).await;
    api.create_account("sales").await;
    for _ in 0..3 {
        let refused = api.submit(draft_of(2 * BYTES_MAX)).await;
        check_refused(refused, Code::ResourceExhausted, "TOO_MANY_CALLS", &[]);
        api.submit(draft_of(BYTES_MAX / 2)).await.expect("there is room");
    }
    assert_eq!(load.free(), (BYTES_MAX, 2));
}

#[tokio::test]
async fn more_calls_than_allowed_are_refused_but_for_probes() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let api = Api::loaded(Guard::Local, MemoryStore::new(), Load::new(BYTES_MAX, 0)).await;
    let refused = api.submit(draft_of(1)).await;
    check_refused(refused, Code::ResourceExhausted, "TOO_MANY_CALLS", &[]);
    HealthClient::new(api.channel.clone()).check(HealthCheckRequest::default()).await.expect("an answer");
}

#[tokio::test(start_paused = true)]
async fn a_long_stream_holds_no_more_than_one_message() {
    let load = Load::new(BYTES_MAX, 2);
    let api = Api::loaded(Guard::Local, MemoryStore::new(), load.clone()).await;
    api.create_account("sales").await;
    let submission = || v1::SubmitJobRequest { job: Some(draft_of(BYTES_MAX / 4)), ..v1::SubmitJobRequest::default() };
    let requests = (0..20).map(move |sequence| v1::SubmitJobsRequest { sequence, submission: Some(submission()) });
    // What comes before the stream has begun counts in full, so the rest waits for a moment.
    let requests = stream::iter(requests).then(|request| async move {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        request
    });
    let mut answers = api.jobs().submit_jobs(requests).await.expect("a stream").into_inner();
    let mut accepted = 0;
    while let Some(answer) = answers.message().await.expect("no refusal") {
        accepted += u32::from(matches!(answer.result, Some(v1::submit_jobs_response::Result::Accepted(_))));
    }
    assert_eq!((accepted, load.free()), (20, (BYTES_MAX, 2)));
}
