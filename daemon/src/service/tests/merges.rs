//! What callers see when they submit merge jobs and list recipients.

use futures_util::{FutureExt, future};
use v1::{job_draft::Content, submit_merge_request::Part};

use super::*;
use crate::storage::{JobFilter, JobStore, MergeStore, Page};

pub(super) fn head(job: v1::JobDraft, key: &str) -> v1::SubmitMergeRequest {
    let head = v1::MergeHead { job: Some(job), idempotency_key: key.into(), dry_run: false };
    v1::SubmitMergeRequest { part: Some(Part::Head(head)) }
}

/// A job whose text has one variable.
pub(super) fn templates() -> v1::JobDraft {
    let mail = v1::MailContent {
        subject: "For {{ name }}".into(),
        text: "Your code is {{ code }}".into(),
        ..v1::MailContent::default()
    };
    v1::JobDraft {
        account_id: "sales".into(),
        content: Some(Content::Mail(mail)),
        labels: vec!["news".into()],
        ..v1::JobDraft::default()
    }
}

pub(super) fn recipient(index: u32) -> v1::MergeRecipient {
    let variables = [("code".to_owned(), index.to_string())].into();
    v1::MergeRecipient { address: format!("r{index}@example.jp"), name: format!("R {index}"), variables }
}

pub(super) fn recipients(indexes: std::ops::Range<u32>) -> v1::SubmitMergeRequest {
    let recipients = indexes.map(recipient).collect();
    v1::SubmitMergeRequest { part: Some(Part::Recipients(v1::MergeRecipients { recipients })) }
}

pub(super) async fn submit(
    api: &Api,
    requests: Vec<v1::SubmitMergeRequest>,
) -> Result<v1::SubmitMergeResponse, Status> {
    Ok(api.jobs().submit_merge(stream::iter(requests)).await?.into_inner())
}

async fn check_nothing_stored(api: &Api) {
    let list = api.jobs().list_jobs(v1::ListJobsRequest::default()).await.expect("a list").into_inner();
    assert_eq!(list.jobs, []);
}

/// All recipients of a job in these states, page by page.
async fn list(api: &Api, job_id: &str, states: &[v1::RecipientState], page_size: u32) -> Vec<v1::ListedRecipient> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let states = states.iter().map(|state| (*state).into()).collect();
        let request = v1::ListRecipientsRequest { job_id: job_id.into(), states, page_size, page_token };
        let page = api.jobs().list_recipients(request).await.expect("a page").into_inner();
        all.extend(page.recipients);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

#[tokio::test]
async fn a_merge_job_is_stored_whole() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let answer = submit(&api, vec![head(templates(), ""), recipients(0..2), recipients(2..3)]).await.expect("a job");
    assert_eq!((answer.recipients, answer.existing, answer.warnings.len()), (3, false, 0));
    assert!(answer.message_bytes > 200);
    let job = api.job(&answer.job_id).await;
    let tally = v1::RecipientTally { waiting: 3, ..v1::RecipientTally::default() };
    assert_eq!((job.merge, job.state(), job.tally), (true, v1::JobState::Queued, Some(tally)));
    assert_eq!((job.subject.as_str(), job.recipients.len(), job.message_id.as_str()), ("For {{ name }}", 0, ""));
    assert_eq!(job.message_bytes, answer.message_bytes);
    let template =
        api.storage.template(answer.job_id.parse().expect("an id")).await.expect("read").expect("a template");
    assert_eq!(template.variables, ["name", "code"]);

    let listed = list(&api, &answer.job_id, &[], 2).await;
    let told: Vec<_> = listed.iter().map(|one| (one.index, one.recipient.clone().expect("a recipient"))).collect();
    assert_eq!(told.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2]);
    let last = &told[2].1;
    assert_eq!((last.address.as_str(), last.state()), ("r2@example.jp", v1::RecipientState::Queued));
    assert_eq!(list(&api, &answer.job_id, &[v1::RecipientState::Failed], 2).await, []);
    assert_eq!(list(&api, &answer.job_id, &[v1::RecipientState::Queued], 2).await.len(), 3);
}

#[tokio::test]
async fn many_recipients_come_in_many_requests() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let batches = (0..25).map(|batch| recipients(batch * 100..(batch + 1) * 100));
    let job = v1::JobDraft { hold: true, ..templates() };
    let answer = submit(&api, [head(job, "")].into_iter().chain(batches).collect()).await.expect("a job");
    assert_eq!(answer.recipients, 2_500);
    let listed = list(&api, &answer.job_id, &[v1::RecipientState::Held], 1_000).await;
    assert_eq!(listed.iter().map(|one| one.index).collect::<Vec<_>>(), (0..2_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mistake_stores_nothing_and_names_its_recipient() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let code = Code::InvalidArgument;
    let mut bad = recipient(0);
    bad.variables.clear();
    let bad = v1::MergeRecipients { recipients: vec![recipient(2), bad] };
    let bad = v1::SubmitMergeRequest { part: Some(Part::Recipients(bad)) };
    let requests = vec![head(templates(), "k"), recipients(0..2), bad, recipients(4..5)];
    check_refused(submit(&api, requests).await, code, "INVALID_FIELDS", &["recipients[3].variables.code"]);
    check_nothing_stored(&api).await;
    // The key is free still.
    assert!(!submit(&api, vec![head(templates(), "k"), recipients(0..1)]).await.expect("a job").existing);
}

#[tokio::test]
async fn a_template_answers_for_what_was_not_given_or_names_who_cannot_have_it() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let with_text = |text: &str| {
        let mut job = templates();
        if let Some(Content::Mail(mail)) = &mut job.content {
            mail.text = text.into();
        }
        job
    };
    let kind = with_text("{{ plan|default('none') }}{% if code|int > 2 %}, {{ 12 // (code|int - 3) }}{% endif %}");
    let answer = submit(&api, vec![head(kind.clone(), ""), recipients(0..3)]).await.expect("a job");
    let id = answer.job_id.parse().expect("an id");
    let template = api.storage.template(id).await.expect("read").expect("a template");
    assert_eq!(template.variables, ["name", "plan", "code"]);
    let refused = submit(&api, vec![head(kind, ""), recipients(0..2), recipients(2..5)]).await;
    let message = refused.as_ref().expect_err("a division").message().to_owned();
    assert!(message.contains("line 1, column 53 of the text cannot be filled in: "), "{message}");
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["recipients[3].variables"]);
    let broken = submit(&api, vec![head(with_text("a\n{% if code %}"), ""), recipients(0..1)]).await;
    assert!(
        broken.as_ref().expect_err("no endif").message().contains("job.mail.text: line 2, column 12: unexpected end")
    );
    check_refused(broken, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.text"]);
}

#[tokio::test]
async fn the_head_comes_first_and_once_and_is_right() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    let some = || recipients(0..1);
    check_refused(submit(&api, vec![]).await, code, reason, &["head"]);
    check_refused(submit(&api, vec![some()]).await, code, reason, &["head"]);
    check_refused(submit(&api, vec![head(templates(), ""), head(templates(), "")]).await, code, reason, &["head"]);
    check_refused(submit(&api, vec![head(templates(), "")]).await, code, reason, &["recipients"]);
    let empty = v1::SubmitMergeRequest { part: None };
    check_refused(submit(&api, vec![head(templates(), ""), empty]).await, code, reason, &["part"]);

    let to = v1::JobDraft { to: vec![mailbox("a@example.jp")], ..templates() };
    check_refused(submit(&api, vec![head(to, ""), some()]).await, code, reason, &["job.to"]);
    let raw = v1::JobDraft { content: Some(Content::Raw("From: a@b\n\n".into())), ..templates() };
    check_refused(submit(&api, vec![head(raw, ""), some()]).await, code, reason, &["job.raw"]);
    let mut broken = templates();
    if let Some(Content::Mail(mail)) = &mut broken.content {
        mail.html = "<p>{{ name </p>".into();
    }
    check_refused(submit(&api, vec![head(broken, ""), some()]).await, code, reason, &["job.mail.html"]);
    let from = v1::JobDraft { from: Some(mailbox("other@example.jp")), ..templates() };
    check_refused(submit(&api, vec![head(from, ""), some()]).await, code, reason, &["job.from.address"]);
    let unknown = v1::JobDraft { account_id: "nobody".into(), ..templates() };
    let refused = submit(&api, vec![head(unknown, ""), some()]).await;
    check_refused(refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &["job.account_id"]);
    check_nothing_stored(&api).await;
}

#[tokio::test]
async fn a_repeated_stream_is_known_again_however_it_is_cut() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let first = submit(&api, vec![head(templates(), "k"), recipients(0..9)]).await.expect("a job");
    let again = vec![head(templates(), "k"), recipients(0..4), recipients(4..9)];
    let second = submit(&api, again).await.expect("the same job");
    assert_eq!((second.existing, second.job_id, second.recipients), (true, first.job_id, 9));
    let (code, reason) = (Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
    check_refused(submit(&api, vec![head(templates(), "k"), recipients(0..8)]).await, code, reason, &[]);
    let other = v1::JobDraft { labels: Vec::new(), ..templates() };
    check_refused(submit(&api, vec![head(other, "k"), recipients(0..9)]).await, code, reason, &[]);
}

#[tokio::test]
async fn a_dry_run_of_a_merge_job_stores_nothing() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let dry = v1::MergeHead { job: Some(templates()), idempotency_key: "k".into(), dry_run: true };
    let dry = v1::SubmitMergeRequest { part: Some(Part::Head(dry)) };
    let answer = submit(&api, vec![dry, recipients(0..5), recipients(4..5)]).await.expect("a good job");
    assert_eq!((answer.job_id.as_str(), answer.recipients), ("", 6));
    assert_eq!(answer.warnings.len(), 1, "one address comes twice");
    check_nothing_stored(&api).await;
}

/// Sends a stream that does not end, until the server must have read all of it.
async fn begin(jobs: &mut JobServiceClient<Channel>) {
    let requests = stream::iter([head(templates(), ""), recipients(0..9)]).chain(stream::pending());
    let mut call = jobs.submit_merge(requests).boxed();
    for _ in 0..200 {
        assert!(future::poll_immediate(&mut call).await.is_none(), "it is not answered before the stream ends");
        tokio::task::yield_now().await;
    }
}

async fn check_store_stays_empty(storage: &MemoryStore) {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    let page = Page { after: None, limit: 9, now: Timestamp::EPOCH };
    assert_eq!(storage.list(&JobFilter::default(), page).await.expect("a list").jobs, []);
}

#[tokio::test]
async fn a_stream_whose_caller_leaves_leaves_nothing() {
    let api = Api::start().await;
    api.create_account("sales").await;
    begin(&mut api.jobs()).await;
    check_store_stays_empty(&api.storage).await;
    check_nothing_stored(&api).await;
}

#[tokio::test]
async fn a_stream_whose_connection_breaks_leaves_nothing() {
    let api = Api::start().await;
    api.create_account("sales").await;
    begin(&mut api.jobs()).await;
    let Api { channel, storage, _server, .. } = api;
    drop(channel);
    check_store_stays_empty(&storage).await;
}

#[tokio::test]
async fn a_merge_job_ends_with_an_error_when_the_daemon_stops() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let requests = stream::iter([head(templates(), ""), recipients(0..9)]).chain(stream::pending());
    let mut jobs = api.jobs();
    let call = jobs.submit_merge(requests);
    let (answer, ()) = future::join(call, async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        api.shutdown.cancel();
    })
    .await;
    check_refused(answer, Code::Unavailable, "SHUTTING_DOWN", &[]);
}

#[tokio::test]
async fn a_long_stream_holds_no_more_room_than_a_request() {
    let api = Api::loaded(Guard::Local, MemoryStore::new(), Load::new(40_000, 10)).await;
    api.create_account("sales").await;
    let batches = (0..100).map(|batch| recipients(batch * 100..(batch + 1) * 100));
    let requests: Vec<_> = [head(templates(), "")].into_iter().chain(batches).collect();
    assert!(requests.iter().map(prost::Message::encoded_len).sum::<usize>() > 200_000);
    assert_eq!(submit(&api, requests).await.expect("a job").recipients, 10_000);
}

#[tokio::test]
async fn recipients_of_plain_jobs_are_listed_too() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let mut draft = draft("sales", "a@example.jp");
    draft.bcc = vec![mailbox("b@example.jp"), mailbox("c@example.jp")];
    let id = api.submit(draft).await.expect("a job").job_id;
    let job = api.job(&id).await;
    let listed = list(&api, &id, &[], 2).await;
    assert_eq!(listed.iter().map(|one| one.recipient.clone().expect("one")).collect::<Vec<_>>(), job.recipients);
    assert_eq!((job.merge, job.tally.expect("a tally").waiting), (false, 3));
    assert_eq!(list(&api, &id, &[v1::RecipientState::Submitted], 2).await, []);

    let token = |page_token: &str, states| v1::ListRecipientsRequest {
        job_id: id.clone(),
        states,
        page_size: 1,
        page_token: page_token.into(),
    };
    let first = api.jobs().list_recipients(token("", vec![])).await.expect("a page").into_inner();
    let stolen = api.jobs().list_recipients(token(&first.next_page_token, vec![3])).await;
    check_refused(stolen, Code::InvalidArgument, "INVALID_FIELDS", &["page_token"]);
    let bad = api.jobs().list_recipients(token("", vec![99])).await;
    check_refused(bad, Code::InvalidArgument, "INVALID_FIELDS", &["states[0]"]);
    let unknown = v1::ListRecipientsRequest {
        job_id: "018bcfe5-6800-7000-8000-000000000000".into(),
        ..v1::ListRecipientsRequest::default()
    };
    check_refused(api.jobs().list_recipients(unknown).await, Code::NotFound, "JOB_NOT_FOUND", &[]);
}
