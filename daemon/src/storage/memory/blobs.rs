//! Uploads in the model: the bytes of each, and who has uploaded what.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    MemoryStore,
    model::Model,
    uploaded::{Part, Whole},
};
use crate::{
    domain::{ids::Caller, time::Timestamp},
    storage::{
        Appended, BLOB_HOURS, Begun, Blob, BlobStore, Piece, StorageError, UPLOAD_HOURS, Upload, UploadError, UploadId,
        UploadLimits, blobs::FileHash, charge_of,
    },
};

#[async_trait]
impl BlobStore for MemoryStore {
    async fn begin_upload(&self, upload: Upload, now: Timestamp) -> Result<Begun, UploadError> {
        self.change(|model| model.begin_upload(upload, now))?
    }

    async fn append_upload(
        &self,
        caller: &Caller,
        id: UploadId,
        piece: Piece,
        now: Timestamp,
    ) -> Result<Appended, UploadError> {
        self.change(|model| model.append_upload(caller, id, &piece, now))?
    }

    async fn blob(&self, caller: &Caller, hash: &FileHash) -> Result<Option<Blob>, StorageError> {
        Ok(self.model().blob(caller, hash))
    }

    async fn read_blob(&self, caller: &Caller, hash: &FileHash, now: Timestamp) -> Result<Option<Bytes>, StorageError> {
        self.change(|model| model.read_blob(caller, hash, now))
    }
}

impl Model {
    pub(super) fn begin_upload(&mut self, upload: Upload, now: Timestamp) -> Result<Begun, UploadError> {
        let key = (upload.hash, upload.caller.clone());
        if let Some(whole) = self.blobs.get_mut(&key) {
            let bytes = whole.content.len() as u64;
            if bytes != upload.bytes {
                return Err(UploadError::OtherLength { bytes });
            }
            whole.use_now(now);
            return Ok(Begun::There(whole.blob(&upload.hash)));
        }
        let id = upload.id();
        let place = match self.place_of(&upload.caller, id) {
            Some(place) => place,
            None => {
                self.check_uploads(&upload)?;
                self.uploads.push(Part { upload, content: Vec::new(), touched_at: now });
                self.uploads.len() - 1
            }
        };
        let part = &mut self.uploads[place];
        part.touched_at = now;
        Ok(Begun::Missing { id, offset: part.content.len() as u64 })
    }

    pub(super) fn append_upload(
        &mut self,
        caller: &Caller,
        id: UploadId,
        piece: &Piece,
        now: Timestamp,
    ) -> Result<Appended, UploadError> {
        let place = self.place_of(caller, id).ok_or(UploadError::Unknown)?;
        let part = &mut self.uploads[place];
        part.touched_at = now;
        let (offset, bytes) = (part.content.len() as u64, part.upload.bytes);
        if piece.offset != offset {
            return Err(UploadError::Elsewhere { offset });
        }
        if offset + piece.content.len() as u64 > bytes {
            return Err(UploadError::TooLong { bytes });
        }
        part.content.extend_from_slice(&piece.content);
        let offset = part.content.len() as u64;
        if offset < bytes {
            return Ok(Appended::Missing { offset });
        }
        let Part { upload, content, .. } = self.uploads.remove(place);
        let found = *blake3::hash(&content).as_bytes();
        if found != upload.hash {
            return Err(UploadError::OtherContent { found });
        }
        let whole = Whole { content: content.into(), used_at: now };
        let blob = whole.blob(&found);
        self.blobs.insert((found, upload.caller), whole);
        Ok(Appended::There(blob))
    }

    pub(super) fn blob(&self, caller: &Caller, hash: &FileHash) -> Option<Blob> {
        self.blobs.get(&(*hash, caller.clone())).map(|whole| whole.blob(hash))
    }

    pub(super) fn read_blob(&mut self, caller: &Caller, hash: &FileHash, now: Timestamp) -> Option<Bytes> {
        let whole = self.blobs.get_mut(&(*hash, caller.clone()))?;
        whole.use_now(now);
        Some(whole.content.clone())
    }

    /// Forgets uploads and files that were not touched for long, as `may_go` allows.
    pub(super) fn prune_blobs(&mut self, now: Timestamp, mut may_go: impl FnMut(bool) -> bool) {
        let is_old = |since: Timestamp, hours: u64| now.since(since) >= Duration::from_secs(hours * 3_600);
        self.uploads.retain(|part| !may_go(is_old(part.touched_at, UPLOAD_HOURS)));
        self.blobs.retain(|_, whole| !may_go(is_old(whole.used_at, BLOB_HOURS)));
    }

    fn place_of(&self, caller: &Caller, id: UploadId) -> Option<usize> {
        self.uploads.iter().position(|part| part.upload.caller == *caller && part.upload.id() == id)
    }

    fn check_uploads(&self, upload: &Upload) -> Result<(), UploadError> {
        let limits = UploadLimits::default();
        let all: Vec<_> = self.uploads.iter().map(|part| (&part.upload.caller, 1, part.upload.bytes)).collect();
        let whole = self.blobs.iter().map(|((_, caller), whole)| (caller, 0, whole.content.len() as u64));
        let all: Vec<_> = all.into_iter().chain(whole).collect();
        let sum = |is_counted: &dyn Fn(&Caller) -> bool| {
            let counted = all.iter().filter(|(caller, ..)| is_counted(caller));
            counted.fold((0, 0), |(uploads, bytes), (_, more, length)| (uploads + more, bytes + charge_of(*length)))
        };
        let (own_uploads, own_bytes) = sum(&|caller| *caller == upload.caller);
        let (all_uploads, all_bytes) = sum(&|_| true);
        let bytes = charge_of(upload.bytes);
        if own_uploads >= limits.uploads_per_caller_max {
            return Err(UploadError::TooMany("uploads of this caller"));
        }
        if all_uploads >= limits.uploads_max {
            return Err(UploadError::TooMany("uploads"));
        }
        if own_bytes + bytes > limits.bytes_per_caller_max {
            return Err(UploadError::TooMany("bytes that this caller has uploaded"));
        }
        if all_bytes + bytes > limits.bytes_max {
            return Err(UploadError::TooMany("bytes that were uploaded"));
        }
        Ok(())
    }
}
