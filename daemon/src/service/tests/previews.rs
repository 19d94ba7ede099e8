//! What callers see when they preview jobs.

use v1::preview_job_request::What;

use super::{
    merges::{head, recipient, recipients, templates},
    visibility::{Office, by},
    *,
};
use crate::storage::JobStore as _;

async fn preview(api: &Api, what: What, recipient: u32) -> Result<v1::PreviewJobResponse, Status> {
    Ok(api.jobs().preview_job(v1::PreviewJobRequest { what: Some(what), recipient }).await?.into_inner())
}

fn text(preview: &v1::PreviewJobResponse) -> String {
    String::from_utf8(preview.message.to_vec()).expect("text")
}

#[tokio::test]
async fn a_draft_is_shown_as_it_would_be_sent_and_not_stored() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let bcc = vec![mailbox("secret@example.jp")];
    let job = v1::JobDraft { bcc, hold: true, ..draft("sales", "a@example.jp") };
    let shown = preview(&api, What::Draft(job.clone()), 0).await.expect("a preview");
    assert_eq!(shown.sender, "sales@example.jp");
    assert_eq!(shown.recipients, ["a@example.jp", "secret@example.jp"]);
    assert_eq!(shown.warnings, ["the job is held: it goes when somebody releases it"]);
    let list = api.jobs().list_jobs(v1::ListJobsRequest::default()).await.expect("a list").into_inner();
    assert_eq!(list.jobs, []);
    let stored = api.submit(job).await.expect("a job");
    let message = api.storage.message(stored.job_id.parse().expect("an id")).await.expect("read").expect("a message");
    assert_eq!(text(&shown).len(), message.bytes.len());
    assert!(text(&shown).contains("Subject: Hello\r\n") && !text(&shown).contains("secret"));

    let same = preview(&api, What::JobId(stored.job_id), 0).await.expect("a preview");
    assert_eq!((same.message, &same.sender), (message.bytes, &shown.sender));
    assert_eq!(same.recipients, shown.recipients);
}

#[tokio::test]
async fn one_message_of_a_merge_is_shown() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let merge = v1::MergePreview { job: Some(templates()), recipient: Some(recipient(7)) };
    let shown = preview(&api, What::Merge(merge), 0).await.expect("a preview");
    assert!(
        text(&shown).contains("Your code is 7") && text(&shown).contains("Subject: For R 7\r\n"),
        "{}",
        text(&shown)
    );
    assert_eq!((shown.sender.as_str(), shown.recipients), ("sales@example.jp", vec!["r7@example.jp".to_owned()]));

    let requests = vec![head(templates(), ""), recipients(0..90)];
    let id = merges::submit(&api, requests).await.expect("a job").job_id;
    for index in [0, 64, 89] {
        let shown = preview(&api, What::JobId(id.clone()), index).await.expect("a preview");
        assert_eq!(shown.recipients, [format!("r{index}@example.jp")]);
        let shown = text(&shown);
        assert!(shown.contains(&format!("Your code is {index}")), "{shown}");
        assert!(shown.contains(&format!("Message-ID: <{id}.{index}@example.jp>")), "{shown}");
    }
    let beyond = preview(&api, What::JobId(id), 90).await;
    check_refused(beyond, Code::InvalidArgument, "INVALID_FIELDS", &["recipient"]);
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_words_of_the_preview() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    let bad = What::Draft(draft("sales", "nobody"));
    check_refused(preview(&api, bad, 0).await, code, reason, &["draft.to[0].address"]);
    let mut unset = recipient(1);
    unset.variables.clear();
    let merge = v1::MergePreview { job: Some(templates()), recipient: Some(unset) };
    let fields = ["merge.recipient.variables.code"];
    check_refused(preview(&api, What::Merge(merge), 0).await, code, reason, &fields);
    let merge = v1::MergePreview { job: Some(draft("sales", "a@example.jp")), recipient: None };
    check_refused(preview(&api, What::Merge(merge), 0).await, code, reason, &["merge.job.to"]);
    let nothing = v1::PreviewJobRequest::default();
    check_refused(api.jobs().preview_job(nothing).await, code, reason, &["what"]);
}

#[tokio::test]
async fn only_who_sees_a_job_sees_its_message() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("his own");
    let request = v1::SubmitJobRequest { job: Some(draft("own", "a@example.jp")), ..Default::default() };
    let id = office.api.jobs().submit_job(by(&office.taro, request)).await.expect("a job").into_inner().job_id;
    let request = || v1::PreviewJobRequest { what: Some(What::JobId(id.clone())), recipient: 0 };
    for who in [&office.taro, &office.boss] {
        office.api.jobs().preview_job(by(who, request())).await.expect("a preview");
    }
    let stranger = office.api.jobs().preview_job(by(&office.jiro, request())).await;
    check_refused(stranger, Code::NotFound, "JOB_NOT_FOUND", &[]);
    let draft = v1::PreviewJobRequest { what: Some(What::Draft(draft("own", "a@example.jp"))), recipient: 0 };
    let stranger = office.api.jobs().preview_job(by(&office.jiro, draft)).await;
    check_refused(stranger, Code::NotFound, "ACCOUNT_NOT_FOUND", &["job.account_id"]);
}
