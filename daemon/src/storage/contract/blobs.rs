//! What a store promises of files that are uploaded, and of messages that carry them.

use std::time::Duration;

use bytes::Bytes;

use super::samples::{self, at, job_id, merge_submission, sample_job, sample_merge};
use crate::{
    compose::cuts,
    domain::{ids::Caller, mail::Message, time::Timestamp},
    storage::{
        Acceptance, Appended, Begun, Blob, MergeSubmission, Piece, SharedStorage, Submission, Upload, UploadError,
        UploadId, UploadLimits, blobs::FileHash,
    },
};

/// A day after the sample time `seconds`, when what was not used since is forgotten.
fn a_day_after(seconds: u64) -> Timestamp {
    at(seconds).after(Duration::from_secs(24 * 3_600))
}

fn caller(name: &str) -> Caller {
    name.parse().expect("a caller")
}

/// The file of this number: so many bytes that follow no pattern.
pub(in crate::storage) fn file(number: u64, bytes: usize) -> Bytes {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut content);
    content.into()
}

pub(in crate::storage) fn hash(content: &[u8]) -> FileHash {
    *blake3::hash(content).as_bytes()
}

pub(in crate::storage) fn upload(by: &str, content: &[u8]) -> Upload {
    Upload { caller: caller(by), hash: hash(content), bytes: content.len() as u64 }
}

pub(in crate::storage) async fn begin(store: &SharedStorage, upload: &Upload, now: Timestamp) -> (UploadId, u64) {
    match store.begin_upload(upload.clone(), now).await.expect("it begins") {
        Begun::Missing { id, offset } => (id, offset),
        begun => panic!("{begun:?}"),
    }
}

pub(in crate::storage) async fn append(
    store: &SharedStorage,
    upload: &Upload,
    offset: u64,
    content: &[u8],
    now: Timestamp,
) -> Result<Appended, UploadError> {
    let piece = Piece { offset, content: Bytes::copy_from_slice(content) };
    store.append_upload(&upload.caller, upload.id(), piece, now).await
}

/// Uploads a file in two pieces.
pub(in crate::storage) async fn upload_all(store: &SharedStorage, by: &str, content: &[u8], now: Timestamp) -> Blob {
    let upload = upload(by, content);
    assert_eq!(begin(store, &upload, now).await, (upload.id(), 0));
    let (first, rest) = content.split_at(content.len() / 2);
    let offset = first.len() as u64;
    assert_eq!(append(store, &upload, 0, first, now).await.expect("taken"), Appended::Missing { offset });
    match append(store, &upload, offset, rest, now).await.expect("taken") {
        Appended::There(blob) => blob,
        appended => panic!("{appended:?}"),
    }
}

/// A message that carries these files in base64.
pub(in crate::storage) fn message_with(files: &[Bytes]) -> Message {
    let mut rest = b"Subject: files\r\n\r\n".to_vec();
    let mut places = Vec::new();
    let mut added = 0;
    for file in files {
        rest.extend_from_slice(b"--part\r\n\r\n");
        places.push((rest.len() + added, file.clone()));
        added += usize::try_from(cuts::encoded_bytes(file.len() as u64)).expect("a short file");
        rest.extend_from_slice(b"\r\n");
    }
    rest.extend_from_slice(b"--part--\r\n");
    Message { bytes: cuts::put_back(&rest, &places).expect("places in order").into(), is_eight_bit: false }
}

/// The submission of a sample job whose message carries these files.
pub(in crate::storage) fn submission_with(number: u32, files: &[Bytes]) -> Submission {
    Submission { message: message_with(files), ..samples::submission(sample_job("sales", number)) }
}

/// The submission of a sample merge job that carries this file.
pub(in crate::storage) fn merge_with(number: u32, messages: u32, file: &Bytes) -> MergeSubmission {
    let mut given = merge_submission(sample_merge("sales", number, messages));
    let mut attachment = given.template.draft.attachments[0].clone();
    attachment.content = file.clone();
    given.template.draft.attachments.push(attachment);
    given
}

pub(super) async fn a_file_is_uploaded_in_pieces(store: SharedStorage) {
    let content = file(1, 200_000);
    let blob = upload_all(&store, "shop", &content, at(1)).await;
    assert_eq!(blob, Blob { hash: hash(&content), bytes: 200_000, expires_at: a_day_after(1) });
    assert_eq!(store.blob(&caller("shop"), &blob.hash).await.expect("an answer"), Some(blob));
    let read = store.read_blob(&caller("shop"), &blob.hash, at(2)).await.expect("an answer");
    assert_eq!(read, Some(content.clone()));
    let again = store.begin_upload(upload("shop", &content), at(3)).await.expect("an answer");
    assert_eq!(again, Begun::There(blob), "it needs no upload");
    let other = Upload { bytes: 7, ..upload("shop", &content) };
    let refused = store.begin_upload(other, at(3)).await;
    assert!(matches!(refused, Err(UploadError::OtherLength { bytes: 200_000 })), "{refused:?}");
}

pub(super) async fn an_upload_goes_on_where_it_is(store: SharedStorage) {
    let content = file(1, 1_000);
    let upload = upload("shop", &content);
    begin(&store, &upload, at(1)).await;
    append(&store, &upload, 0, &content[..400], at(1)).await.expect("taken");
    assert_eq!(begin(&store, &upload, at(2)).await, (upload.id(), 400));
    for offset in [0, 399, 401, u64::MAX] {
        let refused = append(&store, &upload, offset, b"x", at(2)).await;
        assert!(matches!(refused, Err(UploadError::Elsewhere { offset: 400 })), "{refused:?}");
    }
    let refused = append(&store, &upload, 400, &content[..601], at(2)).await;
    assert!(matches!(refused, Err(UploadError::TooLong { bytes: 1_000 })), "{refused:?}");
    let whole = append(&store, &upload, 400, &content[400..], at(2)).await.expect("taken");
    assert!(matches!(whole, Appended::There(_)), "{whole:?}");
    let over = append(&store, &upload, 1_000, b"x", at(2)).await;
    assert!(matches!(over, Err(UploadError::Unknown)), "{over:?}");
}

pub(super) async fn what_was_not_promised_is_forgotten(store: SharedStorage) {
    let promised = file(1, 1_000);
    let upload = upload("shop", &promised);
    begin(&store, &upload, at(1)).await;
    let refused = append(&store, &upload, 0, &file(2, 1_000), at(1)).await;
    let found = hash(&file(2, 1_000));
    assert!(matches!(refused, Err(UploadError::OtherContent { found: told }) if told == found), "{refused:?}");
    assert_eq!(store.blob(&upload.caller, &upload.hash).await.expect("an answer"), None);
    assert_eq!(store.blob(&upload.caller, &found).await.expect("an answer"), None);
    assert_eq!(begin(&store, &upload, at(2)).await.1, 0, "it begins anew");
}

pub(super) async fn a_hash_alone_opens_nothing(store: SharedStorage) {
    let content = file(1, 1_000);
    let blob = upload_all(&store, "shop", &content, at(1)).await;
    let other = upload("news", &content);
    assert_eq!(store.blob(&other.caller, &blob.hash).await.expect("an answer"), None);
    assert_eq!(store.read_blob(&other.caller, &blob.hash, at(1)).await.expect("an answer"), None);
    // The other caller learns nothing of what is there, and has to bring all of it.
    assert_eq!(begin(&store, &other, at(1)).await.1, 0);
    let piece = Piece { offset: 0, content: content.clone() };
    let stranger = store.append_upload(&caller("shop"), other.id(), piece, at(1)).await;
    assert!(matches!(stranger, Err(UploadError::Unknown)), "an upload is its caller's own: {stranger:?}");
    let whole = append(&store, &other, 0, &content, at(1)).await.expect("taken");
    assert!(matches!(whole, Appended::There(_)), "{whole:?}");
    assert!(store.blob(&other.caller, &blob.hash).await.expect("an answer").is_some());
}

pub(super) async fn files_and_uploads_are_forgotten_in_time(store: SharedStorage) {
    let (used, unused, part) = (file(1, 1_000), file(2, 1_000), file(3, 1_000));
    let blobs = [upload_all(&store, "shop", &used, at(0)).await, upload_all(&store, "shop", &unused, at(0)).await];
    let upload = upload("shop", &part);
    begin(&store, &upload, at(0)).await;
    append(&store, &upload, 0, b"x", at(100)).await.expect("taken");
    store.read_blob(&caller("shop"), &blobs[0].hash, at(59)).await.expect("an answer");
    let seen = store.blob(&caller("shop"), &blobs[0].hash).await.expect("an answer").expect("it is there");
    assert_eq!(seen.expires_at, a_day_after(0), "a use is noted once a minute");
    store.read_blob(&caller("shop"), &blobs[0].hash, at(60)).await.expect("an answer");
    let seen = store.blob(&caller("shop"), &blobs[0].hash).await.expect("an answer").expect("it is there");
    assert_eq!(seen.expires_at, a_day_after(60));
    let sweep = async |now: Timestamp| {
        while store.prune(Timestamp::EPOCH, 100, now).await.expect("an answer") > 0 {}
        let mut left = Vec::new();
        for blob in &blobs {
            left.push(store.blob(&caller("shop"), &blob.hash).await.expect("an answer").is_some());
        }
        left
    };
    assert_eq!(sweep(a_day_after(0).before(Duration::from_millis(1))).await, [true, true]);
    assert_eq!(sweep(a_day_after(0)).await, [true, false]);
    assert_eq!(begin(&store, &upload, at(100)).await.1, 1, "something was added to it later");
    assert_eq!(sweep(a_day_after(60)).await, [false, false]);
    assert_eq!(sweep(a_day_after(100)).await, [false, false]);
    let refused = append(&store, &upload, 1, b"x", a_day_after(100)).await;
    assert!(matches!(refused, Err(UploadError::Unknown)), "{refused:?}");
}

pub(super) async fn uploads_are_bounded_by_caller_and_in_all(store: SharedStorage) {
    let limits = UploadLimits::default();
    let large = |by: &str, number: u8, bytes: u64| Upload { caller: caller(by), hash: [number; 32], bytes };
    for number in 0..limits.uploads_per_caller_max {
        begin(&store, &large("shop", u8::try_from(number).expect("few"), 1), at(1)).await;
    }
    let refused = store.begin_upload(large("shop", 99, 1), at(1)).await;
    assert!(matches!(refused, Err(UploadError::TooMany(_))), "{refused:?}");
    begin(&store, &large("shop", 0, 1), at(1)).await;
    begin(&store, &large("news", 0, limits.bytes_per_caller_max), at(1)).await;
    let refused = store.begin_upload(large("news", 1, 1), at(1)).await;
    assert!(matches!(refused, Err(UploadError::TooMany(_))), "{refused:?}");
    for number in 1..4 {
        let by = format!("n{number}");
        let most = if number < 3 { limits.bytes_per_caller_max } else { limits.bytes_per_caller_max - (2 << 20) };
        begin(&store, &large(&by, 0, most), at(1)).await;
    }
    let refused = store.begin_upload(large("late", 1, 1 << 30), at(1)).await;
    assert!(matches!(refused, Err(UploadError::TooMany(_))), "{refused:?}");
}

pub(super) async fn messages_with_files_come_back_whole(store: SharedStorage) {
    store.create_account(samples::sample_account("sales")).await.expect("a new account");
    let (large, small, known) = (file(1, 300_000), file(2, 5_000), file(3, 5_001));
    upload_all(&store, "shop", &known, at(1)).await;
    let given = [
        vec![large.clone()],
        vec![small.clone()],
        vec![known.clone()],
        vec![large.clone(), small, known, large.clone(), file(4, 100_000)],
        vec![large.clone()],
    ];
    for (number, files) in (1..).zip(&given) {
        let answer = store.accept(vec![submission_with(number, files)]).await.expect("an answer");
        assert_eq!(answer, [Acceptance::Accepted]);
    }
    for (number, files) in (1..).zip(&given) {
        let message = store.message(job_id(number)).await.expect("readable").expect("a message");
        assert!(message == message_with(files), "the message of job {number} has changed");
    }
    store.stage(job_id(9), 0, vec![samples::merge_recipient(0)]).await.expect("staged");
    let given = merge_with(9, 1, &large);
    let template = given.template.clone();
    assert_eq!(store.accept_merge(given).await.expect("an answer"), Acceptance::Accepted);
    let read = store.template(job_id(9)).await.expect("readable").expect("a template");
    assert!(*read == template, "the content has changed");
}
