//! Uploads to the made-up daemon. The first one breaks the connection on its way.

use hikyaku_client::proto::*;
use tonic::{Request, Response, Status, Streaming};

use super::{Answer, Fake, time};

/// From here on, the first upload has no connection any more.
const BROKEN_FROM_BYTES: usize = 300_000;

#[tonic::async_trait]
impl blob_service_server::BlobService for Fake {
    async fn begin_upload(&self, request: Request<BeginUploadRequest>) -> Answer<BeginUploadResponse> {
        let BeginUploadRequest { blake3, size_bytes } = request.into_inner();
        if size_bytes == 0 {
            return Err(Status::invalid_argument("size_bytes: is 0"));
        }
        let mut state = self.state();
        if state.blobs.contains_key(&blake3) {
            return Ok(Response::new(BeginUploadResponse { blob_id: blake3, ..BeginUploadResponse::default() }));
        }
        let here = state.uploads.entry(blake3.clone()).or_default();
        let offset_bytes = here.len() as u64;
        Ok(Response::new(BeginUploadResponse { blob_id: String::new(), upload_id: blake3, offset_bytes }))
    }

    async fn upload_blob(&self, request: Request<Streaming<UploadBlobRequest>>) -> Answer<UploadBlobResponse> {
        let mut requests = request.into_inner();
        let mut upload_id = String::new();
        while let Some(UploadBlobRequest { upload_id: first, offset_bytes, content }) = requests.message().await? {
            assert_eq!(first.is_empty(), !upload_id.is_empty(), "only the first request names the upload");
            upload_id.push_str(&first);
            let mut state = self.state();
            let here = state.uploads.get_mut(&upload_id).ok_or_else(|| Status::not_found("there is no such upload"))?;
            if here.len() as u64 != offset_bytes {
                return Err(Status::out_of_range(format!("{} bytes are there", here.len())));
            }
            here.extend_from_slice(&content);
            if here.len() >= BROKEN_FROM_BYTES && !std::mem::replace(&mut state.has_broken, true) {
                self.breaks.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let mut state = self.state();
        let content = state.uploads.remove(&upload_id).unwrap_or_default();
        if blake3::hash(&content).to_hex().as_str() != upload_id {
            return Err(Status::data_loss("the bytes have another hash"));
        }
        let blob =
            Blob { blob_id: upload_id.clone(), size_bytes: content.len() as u64, expires_at: Some(time(86_400)) };
        state.blobs.insert(upload_id, blob.clone());
        Ok(Response::new(UploadBlobResponse { blob: Some(blob) }))
    }

    async fn get_blob(&self, request: Request<GetBlobRequest>) -> Answer<GetBlobResponse> {
        let blob = self.state().blobs.get(&request.into_inner().blob_id).cloned();
        let blob = blob.ok_or_else(|| Status::not_found("there is no such file"))?;
        Ok(Response::new(GetBlobResponse { blob: Some(blob) }))
    }
}
