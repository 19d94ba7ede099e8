//! What callers see when they upload files and attach them to jobs.

use hikyaku_proto::v1::blob_service_client::BlobServiceClient;
use tonic::Request;
use v1::{job_draft::Content, submit_merge_request::Part};

use super::*;
use crate::{
    domain::secret::Secret,
    service::api_keys::{ApiKeys, Role, new_key},
    storage::{JobStore, MergeStore},
};

/// Bytes that follow no pattern.
fn file(number: u64, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut content);
    content
}

fn blobs(api: &Api) -> BlobServiceClient<Channel> {
    BlobServiceClient::new(api.channel.clone())
}

fn beginning(content: &[u8]) -> v1::BeginUploadRequest {
    let blake3 = blake3::hash(content).to_hex().to_string();
    v1::BeginUploadRequest { blake3, size_bytes: content.len() as u64 }
}

async fn begin(api: &Api, content: &[u8]) -> v1::BeginUploadResponse {
    blobs(api).begin_upload(beginning(content)).await.expect("it begins").into_inner()
}

/// The requests of a stream that goes on with an upload.
fn pieces(begun: &v1::BeginUploadResponse, content: &[u8], end: usize) -> Vec<v1::UploadBlobRequest> {
    let start = usize::try_from(begun.offset_bytes).expect("a short file");
    let mut upload_id = begun.upload_id.clone();
    let mut offset_bytes = begun.offset_bytes;
    let request = |piece: &[u8]| {
        let content = piece.to_vec().into();
        let request = v1::UploadBlobRequest { upload_id: std::mem::take(&mut upload_id), offset_bytes, content };
        offset_bytes += piece.len() as u64;
        request
    };
    content[start..end].chunks(65_536).map(request).collect()
}

async fn send(api: &Api, requests: Vec<v1::UploadBlobRequest>) -> Result<v1::Blob, Status> {
    let answer = blobs(api).upload_blob(stream::iter(requests)).await?;
    Ok(answer.into_inner().blob.expect("the file"))
}

async fn upload(api: &Api, content: &[u8]) -> String {
    let begun = begin(api, content).await;
    send(api, pieces(&begun, content, content.len())).await.expect("it is taken").blob_id
}

fn with_attachments(attachments: Vec<v1::Attachment>) -> v1::JobDraft {
    let mut draft = draft("sales", "a@example.jp");
    if let Some(Content::Mail(mail)) = &mut draft.content {
        mail.attachments = attachments;
    }
    draft
}

fn attached(blob_id: &str) -> v1::Attachment {
    v1::Attachment { file_name: "a.bin".into(), blob_id: blob_id.into(), ..v1::Attachment::default() }
}

fn given(content: &[u8]) -> v1::Attachment {
    v1::Attachment { file_name: "a.bin".into(), content: content.to_vec().into(), ..v1::Attachment::default() }
}

/// That an upload was refused, and how many bytes it says are there.
#[track_caller]
fn check_offset(answer: Result<v1::Blob, Status>, code: Code, reason: &str, offset: &str) {
    let status = answer.expect_err(reason);
    let details = status.get_error_details();
    let info = details.error_info().expect("a reason");
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status}");
    assert_eq!(info.metadata.get("offset_bytes").map(String::as_str), Some(offset), "{status}");
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_is() {
    let api = Api::start().await;
    let content = file(1, 300_000);
    let begun = begin(&api, &content).await;
    assert_eq!((begun.offset_bytes, begun.blob_id.as_str()), (0, ""));
    let broken = send(&api, pieces(&begun, &content, 200_000)).await;
    check_offset(broken, Code::Aborted, "UPLOAD_UNFINISHED", "200000");
    let repeated = send(&api, pieces(&begun, &content, 300_000)).await;
    check_offset(repeated, Code::Aborted, "UPLOAD_OFFSET", "200000");
    let again = begin(&api, &content).await;
    assert_eq!((again.offset_bytes, &again.upload_id), (200_000, &begun.upload_id));
    let blob = send(&api, pieces(&again, &content, 300_000)).await.expect("the rest is taken");
    assert_eq!((blob.blob_id.clone(), blob.size_bytes), (blake3::hash(&content).to_hex().to_string(), 300_000));
    let there = begin(&api, &content).await;
    assert_eq!((there.blob_id.as_str(), there.upload_id.as_str()), (blob.blob_id.as_str(), ""));
    let request = v1::GetBlobRequest { blob_id: blob.blob_id.clone() };
    let known = blobs(&api).get_blob(request).await.expect("it is known").into_inner();
    assert_eq!(known.blob, Some(blob));
}

#[tokio::test]
async fn wrong_uploads_are_refused_with_their_reason() {
    let api = Api::start().await;
    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    for (letter, size_bytes, fields) in
        [("", 0, &["blake3", "size_bytes"][..]), ("g", 1, &["blake3"]), ("a", 104_857_601, &["size_bytes"])]
    {
        let request = v1::BeginUploadRequest { blake3: letter.repeat(64), size_bytes };
        check_refused(blobs(&api).begin_upload(request).await, code, reason, fields);
    }
    let content = file(1, 3_000);
    let begun = begin(&api, &content).await;
    let request = |upload_id: &str, content: &[u8]| {
        vec![v1::UploadBlobRequest { upload_id: upload_id.into(), offset_bytes: 0, content: content.to_vec().into() }]
    };
    check_refused(send(&api, Vec::new()).await, code, reason, &["upload_id"]);
    check_refused(send(&api, request("", &content)).await, code, reason, &["upload_id"]);
    check_refused(send(&api, request("x", &content)).await, code, reason, &["upload_id"]);
    check_refused(send(&api, request(&begun.upload_id, &[])).await, code, reason, &["content"]);
    let too_long = request(&begun.upload_id, &vec![0; 1_048_577]);
    check_refused(send(&api, too_long).await, code, reason, &["content"]);
    check_refused(send(&api, request(&begun.upload_id, &file(1, 3_001))).await, code, reason, &["content"]);
    let unknown = request(&"0".repeat(32), &content);
    check_refused(send(&api, unknown).await, Code::NotFound, "UPLOAD_NOT_FOUND", &[]);
    let other = request(&begun.upload_id, &file(2, 3_000));
    check_refused(send(&api, other).await, code, "UPLOAD_HASH_MISMATCH", &[]);
    assert_eq!(begin(&api, &content).await.offset_bytes, 0);
    let unknown = v1::GetBlobRequest { blob_id: "a".repeat(64) };
    check_refused(blobs(&api).get_blob(unknown).await, Code::NotFound, "BLOB_NOT_FOUND", &[]);
}

#[tokio::test]
async fn an_uploaded_file_is_attached_as_if_it_were_given() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let content = file(1, 100_000);
    let blob_id = upload(&api, &content).await;
    let by_id = api.submit(with_attachments(vec![attached(&blob_id)])).await.expect("a good job");
    let whole = api.submit(with_attachments(vec![given(&content)])).await.expect("a good job");
    let mut messages = Vec::new();
    for job_id in [&by_id.job_id, &whole.job_id] {
        let message = api.storage.message(job_id.parse().expect("an id")).await.expect("read").expect("a message");
        messages.push(String::from_utf8_lossy(&message.bytes).replace(job_id.as_str(), "ID"));
    }
    let body = |message: &str| message.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    assert!(body(&messages[0]) == body(&messages[1]), "the bodies differ");
    assert_eq!(by_id.message_bytes, whole.message_bytes);
}

fn signed<T>(message: T, key: &Secret<String>) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", key.expose());
    request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
    request
}

#[tokio::test]
async fn only_own_files_can_be_attached() {
    let key = |name: &str, seed| new_key(&name.parse().expect("a name"), Role::Member, &SeededEntropy::new(seed));
    let (taro, jiro) = (key("taro", 1), key("jiro", 2));
    let guard = Guard::Keys(ApiKeys::parse(&format!("{}\n{}", taro.1, jiro.1)).expect("a key file"));
    let api = Api::guarded(guard, MemoryStore::new()).await;
    let account = v1::CreateAccountRequest {
        account_id: "sales".into(),
        settings: Some(settings()),
        ..v1::CreateAccountRequest::default()
    };
    api.accounts().create_account(signed(account, &taro.0)).await.expect("an account");
    let content = file(1, 1_000);
    let begun = blobs(&api).begin_upload(signed(beginning(&content), &taro.0)).await.expect("begun").into_inner();
    let requests = || stream::iter(pieces(&begun, &content, content.len()));
    let stranger = blobs(&api).upload_blob(signed(requests(), &jiro.0)).await;
    check_refused(stranger, Code::NotFound, "UPLOAD_NOT_FOUND", &[]);
    let blob = blobs(&api).upload_blob(signed(requests(), &taro.0)).await.expect("taken").into_inner().blob;
    let blob_id = blob.expect("the file").blob_id;
    let request = v1::GetBlobRequest { blob_id: blob_id.clone() };
    let hidden = blobs(&api).get_blob(signed(request, &jiro.0)).await;
    check_refused(hidden, Code::NotFound, "BLOB_NOT_FOUND", &[]);
    let job = Some(with_attachments(vec![given(b"x"), attached(&blob_id)]));
    let job = v1::SubmitJobRequest { job, ..v1::SubmitJobRequest::default() };
    let refused = api.jobs().submit_job(signed(job.clone(), &jiro.0)).await;
    let fields = ["job.mail.attachments[1].blob_id"];
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    api.jobs().submit_job(signed(job, &taro.0)).await.expect("a good job");
}

#[tokio::test]
async fn wrong_attachments_are_refused_field_by_field() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let blob_id = upload(&api, &file(1, 1_000)).await;
    let both = v1::Attachment { content: b"x".to_vec().into(), ..attached(&blob_id) };
    let draft = with_attachments(vec![attached(&blob_id), both, attached("x"), attached(&"a".repeat(64))]);
    let fields = [1, 2, 3].map(|index| format!("job.mail.attachments[{index}].blob_id"));
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    check_refused(api.submit(draft).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

#[tokio::test]
async fn attachments_too_large_for_the_account_are_refused_by_their_size() {
    let api = Api::start().await;
    api.create_account("sales").await;
    // 25 MiB are allowed: as it is this file fits, in base64 it does not.
    let content = vec![7; 20 << 20];
    let blob_id = upload(&api, &content).await;
    let fields = ["job.mail.attachments"];
    let refused = api.submit(with_attachments(vec![attached(&blob_id)])).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    let refused = api.submit(with_attachments(vec![given(&content)])).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    let merge = merge_of(with_attachments(vec![attached(&blob_id)]));
    check_refused(submit_merge(&api, merge).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

fn merge_of(job: v1::JobDraft) -> Vec<v1::SubmitMergeRequest> {
    let job = v1::JobDraft { to: Vec::new(), ..job };
    let head = v1::MergeHead { job: Some(job), ..v1::MergeHead::default() };
    let recipient = v1::MergeRecipient { address: "a@example.jp".into(), ..v1::MergeRecipient::default() };
    let recipients = v1::MergeRecipients { recipients: vec![recipient] };
    [Part::Head(head), Part::Recipients(recipients)].map(|part| v1::SubmitMergeRequest { part: Some(part) }).into()
}

async fn submit_merge(api: &Api, requests: Vec<v1::SubmitMergeRequest>) -> Result<v1::SubmitMergeResponse, Status> {
    Ok(api.jobs().submit_merge(stream::iter(requests)).await?.into_inner())
}

#[tokio::test]
async fn a_merge_job_takes_uploaded_files() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let content = file(1, 100_000);
    let blob_id = upload(&api, &content).await;
    let answer = submit_merge(&api, merge_of(with_attachments(vec![attached(&blob_id)]))).await.expect("a good job");
    let template = api.storage.template(answer.job_id.parse().expect("an id")).await.expect("read").expect("it");
    assert!(template.draft.attachments[0].content == content);
    let unknown = submit_merge(&api, merge_of(with_attachments(vec![attached(&"a".repeat(64))]))).await;
    check_refused(unknown, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.attachments[0].blob_id"]);
}

#[tokio::test]
async fn a_repeated_submission_is_known_when_its_file_is_forgotten() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let blob_id = upload(&api, &file(1, 1_000)).await;
    let job = Some(with_attachments(vec![attached(&blob_id)]));
    let request = v1::SubmitJobRequest { job, idempotency_key: "k".into(), ..v1::SubmitJobRequest::default() };
    let first = api.jobs().submit_job(request.clone()).await.expect("a good job").into_inner();
    let later = Timestamp::from_millis(BEGIN_MS + 25 * 3_600_000);
    while crate::storage::StoreCare::prune(&*api.storage, Timestamp::EPOCH, 100, later).await.expect("an answer") > 0 {}
    let again = api.jobs().submit_job(request).await.expect("the same job").into_inner();
    assert_eq!((again.existing, again.job_id), (true, first.job_id));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_goes_silent_ends() {
    let api = Api::start().await;
    let content = file(1, 2_000);
    let begun = begin(&api, &content).await;
    let first = stream::iter(pieces(&begun, &content, 1_000));
    let answer = blobs(&api).upload_blob(first.chain(stream::pending())).await;
    let answer = answer.map(|answer| answer.into_inner().blob.expect("the file"));
    check_offset(answer, Code::Aborted, "UPLOAD_TOO_SLOW", "1000");
}

#[tokio::test]
async fn the_preview_of_a_merge_job_shows_uploaded_files() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let content = file(1, 3_000);
    let blob_id = upload(&api, &content).await;
    let preview = |job: v1::JobDraft| {
        let job = Some(v1::JobDraft { to: Vec::new(), ..job });
        let recipient = v1::MergeRecipient { address: "a@example.jp".into(), ..v1::MergeRecipient::default() };
        let merge = v1::MergePreview { job, recipient: Some(recipient) };
        let what = Some(v1::preview_job_request::What::Merge(merge));
        async { api.jobs().preview_job(v1::PreviewJobRequest { what, recipient: 0 }).await }
    };
    let by_id = preview(with_attachments(vec![attached(&blob_id)])).await.expect("a preview").into_inner();
    let whole = preview(with_attachments(vec![given(&content)])).await.expect("a preview").into_inner();
    assert!(by_id.message.len() > 4_000, "the file is in it");
    assert_eq!(by_id.message.len(), whole.message.len());
    let unknown = preview(with_attachments(vec![attached(&"a".repeat(64))])).await;
    check_refused(unknown, Code::InvalidArgument, "INVALID_FIELDS", &["merge.job.mail.attachments[0].blob_id"]);
}
