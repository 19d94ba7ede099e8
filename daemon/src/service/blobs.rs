//! BlobService: files that are uploaded before the jobs that use them.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use hikyaku_proto::v1::{self, blob_service_server::BlobService};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, Streaming};

use super::{
    convert::{
        values::{from_time, parse, to_blob_id},
        violations::{Violation, Violations},
    },
    guard::caller_of,
    parts::Parts,
    status::Refusal,
};
use crate::{
    domain::{ids::Caller, time::Clock},
    storage::{Appended, BLOB_BYTES_MAX, Begun, Blob, PIECE_BYTES_MAX, Piece, SharedStorage, Upload, UploadId},
};

/// Most streams of uploads at once, over all callers.
const STREAMS_MAX: usize = 64;
/// Longest time in which a stream has to end. Less than a call may take, so that the caller is told how far it has come.
const STREAM_DURATION_MAX: Duration = Duration::from_secs(570);
/// Longest time between two requests of a stream.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The service.
#[derive(Debug)]
pub(super) struct Blobs {
    desk: Desk,
    shutdown: CancellationToken,
    streams_room: Arc<Semaphore>,
    /// The streams under way. Each has a task of its own, so that a file whose last byte has come is kept even when its
    /// caller has left.
    streams: TaskTracker,
}

/// What a stream needs.
#[derive(Clone, Debug)]
struct Desk {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
}

impl Blobs {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            desk: Desk { storage: Arc::clone(&parts.storage), clock: Arc::clone(&parts.clock) },
            shutdown: parts.shutdown.clone(),
            streams_room: Arc::new(Semaphore::new(STREAMS_MAX)),
            streams: TaskTracker::new(),
        }
    }
}

impl Desk {
    async fn begin(&self, request: v1::BeginUploadRequest, caller: Caller) -> Result<v1::BeginUploadResponse, Refusal> {
        let mut violations = Violations::default();
        let hash = to_blob_id(&request.blake3, "blake3", &mut violations);
        let bytes = request.size_bytes;
        if !(1..=BLOB_BYTES_MAX).contains(&bytes) {
            violations.add("size_bytes", format_args!("must be 1 to {BLOB_BYTES_MAX}"));
        }
        let upload = violations.finish(hash.map(|hash| Upload { caller, hash, bytes }))?;
        Ok(match self.storage.begin_upload(upload, self.clock.now()).await? {
            Begun::There(blob) => v1::BeginUploadResponse {
                blob_id: from_blob(&blob).blob_id,
                upload_id: String::new(),
                offset_bytes: blob.bytes,
            },
            Begun::Missing { id, offset } => {
                v1::BeginUploadResponse { blob_id: String::new(), upload_id: id.to_string(), offset_bytes: offset }
            }
        })
    }

    async fn get(&self, request: v1::GetBlobRequest, caller: Caller) -> Result<v1::Blob, Refusal> {
        let mut violations = Violations::default();
        let hash = to_blob_id(&request.blob_id, "blob_id", &mut violations);
        let hash = violations.finish(hash)?;
        let blob = self.storage.blob(&caller, &hash).await?.ok_or(Refusal::NoBlob)?;
        Ok(from_blob(&blob))
    }

    /// Takes the bytes of an upload until all are there. What was taken stays, however the stream ends.
    async fn take(
        &self,
        mut requests: impl Stream<Item = Result<v1::UploadBlobRequest, Status>> + Send + Unpin,
        caller: &Caller,
        shutdown: &CancellationToken,
    ) -> Result<Blob, Status> {
        let end = Instant::now() + STREAM_DURATION_MAX;
        let mut upload: Option<UploadId> = None;
        let mut there = 0;
        loop {
            let next = timeout_at(end.min(Instant::now() + SILENCE_MAX), requests.next());
            let request = tokio::select! {
                () = shutdown.cancelled() => return Err(Refusal::ShuttingDown.into()),
                request = next => request,
            };
            let request = match request {
                Err(_) => return Err(Refusal::UploadTooSlow(there).into()),
                Ok(None) if upload.is_none() => return Err(required("upload_id").into()),
                Ok(None) => return Err(Refusal::UploadUnfinished(there).into()),
                Ok(Some(request)) => request?,
            };
            let (id, piece) = read_request(request, upload).map_err(Refusal::from)?;
            upload = Some(id);
            match self.append(caller, id, piece).await? {
                Appended::There(blob) => return Ok(blob),
                Appended::Missing { offset } => there = offset,
            }
        }
    }

    async fn append(&self, caller: &Caller, id: UploadId, piece: Piece) -> Result<Appended, Refusal> {
        Ok(self.storage.append_upload(caller, id, piece, self.clock.now()).await?)
    }
}

/// The upload and the bytes of one request. `known` is the upload of the requests before.
fn read_request(request: v1::UploadBlobRequest, known: Option<UploadId>) -> Result<(UploadId, Piece), Vec<Violation>> {
    let v1::UploadBlobRequest { upload_id, offset_bytes: offset, content } = request;
    let mut violations = Violations::default();
    let id = match (upload_id.as_str(), known) {
        ("", Some(known)) => Some(known),
        ("", None) => {
            violations.add("upload_id", "is required in the first request of a stream");
            None
        }
        (given, known) => {
            let given = parse::<UploadId>(given, "upload_id", &mut violations);
            if known.is_some() && given.is_some() && known != given {
                violations.add("upload_id", "is another one than in the first request: a stream has one upload");
            }
            given
        }
    };
    if !(1..=PIECE_BYTES_MAX).contains(&content.len()) {
        violations.add("content", format_args!("must have 1 to {PIECE_BYTES_MAX} bytes"));
    }
    violations.finish(id.map(|id| (id, Piece { offset, content })))
}

fn required(field: &str) -> Refusal {
    Refusal::field(field, "is required in the first request of a stream")
}

fn from_blob(blob: &Blob) -> v1::Blob {
    v1::Blob {
        blob_id: blake3::Hash::from(blob.hash).to_hex().to_string(),
        size_bytes: blob.bytes,
        expires_at: Some(from_time(blob.expires_at)),
    }
}

#[tonic::async_trait]
impl BlobService for Blobs {
    async fn begin_upload(
        &self,
        request: Request<v1::BeginUploadRequest>,
    ) -> Result<Response<v1::BeginUploadResponse>, Status> {
        let caller = caller_of(&request)?;
        Ok(Response::new(self.desk.begin(request.into_inner(), caller).await?))
    }

    async fn upload_blob(
        &self,
        request: Request<Streaming<v1::UploadBlobRequest>>,
    ) -> Result<Response<v1::UploadBlobResponse>, Status> {
        let caller = caller_of(&request)?;
        if self.shutdown.is_cancelled() {
            return Err(Refusal::ShuttingDown.into());
        }
        let place = Arc::clone(&self.streams_room).try_acquire_owned().map_err(|_| Refusal::TooMany("uploads"))?;
        let (desk, shutdown) = (self.desk.clone(), self.shutdown.clone());
        let stream = self.streams.spawn(async move {
            let taken = Box::pin(desk.take(request.into_inner(), &caller, &shutdown)).await;
            drop(place);
            match &taken {
                Ok(blob) => tracing::debug!(%caller, bytes = blob.bytes, "file uploaded"),
                Err(status) => {
                    tracing::debug!(%caller, code = ?status.code(), reason = status.message(), "upload ended early");
                }
            }
            taken
        });
        let blob = stream.await.map_err(|_| Refusal::Internal("the stream met a bug"))??;
        Ok(Response::new(v1::UploadBlobResponse { blob: Some(from_blob(&blob)) }))
    }

    async fn get_blob(&self, request: Request<v1::GetBlobRequest>) -> Result<Response<v1::GetBlobResponse>, Status> {
        let caller = caller_of(&request)?;
        let blob = self.desk.get(request.into_inner(), caller).await?;
        Ok(Response::new(v1::GetBlobResponse { blob: Some(blob) }))
    }
}
