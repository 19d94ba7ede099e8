//! Files that callers upload, on sled.
//!
//! In this order, so that a crash leaves nothing wrong between two steps: the bytes come into a file of the uploads; all of
//! them are read again and compared with the promised hash; the file is synced, renamed to its hash, and the new name is
//! synced; then the commit says that its caller has it; then the caller is answered. A crash before the renaming leaves a
//! part, which goes on; one after it leaves a file to which nothing refers, which the next start removes: the caller
//! uploads it again. Whoever deletes files asks first whether a job or a caller has them, and a pin keeps this one
//! until the commit is durable.

use std::io::ErrorKind;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    SledStore,
    disk::{self, View},
    kept_file::KeptFile,
    keys::{Family, Key},
    txn::Txn,
    writer::{Patience, Weight},
};
use crate::{
    domain::{ids::Caller, time::Timestamp},
    storage::{
        Appended, Begun, Blob, BlobStore, Piece, StorageError, USE_NOTED_EVERY, Upload, UploadError, UploadId,
        blobs::FileHash,
        records::blob::BlobRow,
        uploads::{Claim, Step, StepError, Uploads, has_lapsed},
    },
};

/// How heavy the note of a claim is for the committer.
const CLAIM_WEIGHT: Weight = Weight { changes: 1, bytes: 256 };

#[async_trait]
impl BlobStore for SledStore {
    async fn begin_upload(&self, upload: Upload, now: Timestamp) -> Result<Begun, UploadError> {
        if let Some(claim) = self.uploads.claim(&upload.caller, &upload.hash) {
            if claim.bytes != upload.bytes {
                return Err(UploadError::OtherLength { bytes: claim.bytes });
            }
            let hash = upload.hash;
            // One that is damaged, has gone from the disk, or was forgotten this moment is taken again.
            let is_sound = self.in_background(move |store| Ok(store.shelves.files.is_sound(&hash))).await?;
            if is_sound && let Some(used_at) = self.use_claim(&upload.caller, &hash, claim, now).await? {
                return Ok(Begun::There(Blob::new(hash, claim.bytes, used_at)));
            }
        }
        self.space.check()?;
        let id = upload.id();
        let step = move |store: &Self| Ok(store.uploads.begin(&upload, &store.shelves.files, now));
        match self.step(step, now).await? {
            Appended::There(blob) => Ok(Begun::There(blob)),
            Appended::Missing { offset } => Ok(Begun::Missing { id, offset }),
        }
    }

    async fn append_upload(
        &self,
        caller: &Caller,
        id: UploadId,
        piece: Piece,
        now: Timestamp,
    ) -> Result<Appended, UploadError> {
        self.space.check()?;
        let caller = caller.clone();
        let step = move |store: &Self| Ok(store.uploads.append(&caller, id, &piece, &store.shelves.files, now));
        self.step(step, now).await
    }

    async fn blob(&self, caller: &Caller, hash: &FileHash) -> Result<Option<Blob>, StorageError> {
        self.disk.failure.check()?;
        let claim = self.uploads.claim(caller, hash);
        Ok(claim.map(|claim| Blob::new(*hash, claim.bytes, claim.used_at)))
    }

    async fn read_blob(&self, caller: &Caller, hash: &FileHash, now: Timestamp) -> Result<Option<Bytes>, StorageError> {
        let Some(claim) = self.uploads.claim(caller, hash) else { return Ok(None) };
        let wanted = *hash;
        let read = move |store: &Self| {
            store.shelves.files.read(&wanted).map(Bytes::from).map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::InvalidData => {
                    StorageError::Damaged(format!("an uploaded file: {error}"))
                }
                _ => {
                    tracing::warn!(%error, "an uploaded file cannot be read at present");
                    StorageError::Overloaded("an uploaded file cannot be read at present")
                }
            })
        };
        let content = self.in_background(read).await?;
        self.use_claim(caller, hash, claim, now).await?;
        Ok(Some(content))
    }
}

/// How far a file has come; one that is whole goes again unless something refers to it in the end.
#[derive(Debug)]
enum Come {
    Missing { offset: u64 },
    Whole(Upload, KeptFile),
}

impl SledStore {
    /// Takes a step of an upload; the last one is not taken before its commit is durable.
    async fn step(
        &self,
        take: impl FnOnce(&Self) -> Result<Result<Step, StepError>, StorageError> + Send + 'static,
        now: Timestamp,
    ) -> Result<Appended, UploadError> {
        // Its file is kept from the first moment on: whoever waits for the answer may go.
        let kept = |store: &Self, step| match step {
            Step::Missing { offset } => Come::Missing { offset },
            Step::Whole(upload, pin) => Come::Whole(upload, KeptFile::new(pin, &store.disk, &store.shelves.files)),
        };
        let come = self.in_background(move |store| Ok(take(store)?.map(|step| kept(store, step)))).await?;
        match come {
            Ok(Come::Missing { offset }) => Ok(Appended::Missing { offset }),
            Ok(Come::Whole(upload, kept)) => {
                let Upload { caller, hash, bytes } = upload;
                let claim = Claim { bytes, used_at: now };
                let note = move |txn: &mut Txn| {
                    put_claim(txn, caller, hash, claim);
                    Ok(kept)
                };
                self.writer.commit(CLAIM_WEIGHT, Patience::Wait, note).await?;
                Ok(Appended::There(Blob::new(hash, bytes, now)))
            }
            Err(StepError::Refused(refusal)) => Err(refusal),
            Err(StepError::Io(error)) => Err(self.file_error(&error, 0).into()),
        }
    }

    /// Notes that a caller uses a file, unless that was noted a moment ago. Returns since when it counts; nothing when the
    /// claim was forgotten meanwhile, and perhaps its file with it.
    async fn use_claim(
        &self,
        caller: &Caller,
        hash: &FileHash,
        claim: Claim,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        if now.since(claim.used_at) < USE_NOTED_EVERY {
            return Ok(Some(claim.used_at));
        }
        let (caller, hash) = (caller.clone(), *hash);
        let note = move |txn: &mut Txn| {
            let is_there = disk::readable(txn.row::<BlobRow>(|_| claim_key(&caller, hash)))?.is_some();
            if is_there {
                put_claim(txn, caller, hash, Claim { used_at: now, ..claim });
            }
            Ok(is_there.then_some(now))
        };
        self.writer.commit(CLAIM_WEIGHT, Patience::Wait, note).await
    }
}

/// The key of a caller's claim to a file.
pub(super) fn claim_key(caller: &Caller, file: FileHash) -> Key {
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(caller.as_str().as_bytes()).as_bytes()[..16]);
    Key::Blob { file, caller: hash }
}

/// Notes that a caller has uploaded a file, which is there.
pub(super) fn put_claim(txn: &mut Txn, caller: Caller, file: FileHash, claim: Claim) {
    let key = claim_key(&caller, file);
    let row = BlobRow { caller: caller.as_str().to_owned(), bytes: claim.bytes, used_at: claim.used_at.as_millis() };
    txn.put_row(|_| key.clone(), &row, 1);
    txn.made.claims.push((caller, file, Some(claim)));
}

/// Forgets that a caller has uploaded a file, if it has not used it for long, and says how many claims went.
pub(super) fn forget_claim(txn: &mut Txn, caller: Caller, file: FileHash, now: Timestamp) -> Result<u64, StorageError> {
    let key = claim_key(&caller, file);
    let row = disk::readable(txn.row::<BlobRow>(|_| key.clone()))?;
    let is_used =
        row.is_some_and(|row| !has_lapsed(&Claim { bytes: row.value.bytes, used_at: row.value.used_at() }, now));
    if is_used {
        return Ok(0);
    }
    txn.remove_key(&key);
    txn.made.claims.push((caller, file, None));
    txn.made.loose_files.insert(file);
    Ok(1)
}

/// Forgets the claim of a record that is set aside because it or its file cannot be read.
pub(super) fn claim_set_aside(txn: &mut Txn, uploads: &Uploads, key: &Key) {
    let Key::Blob { file, .. } = key else { return };
    let of_this = |caller: &Caller| claim_key(caller, *file) == *key;
    for caller in uploads.claimants(file).into_iter().filter(of_this) {
        txn.made.claims.push((caller, *file, None));
    }
    txn.made.loose_files.insert(*file);
}

/// Whether a caller's claim to a file can be read, and its file is what it says.
pub(super) fn check_claim(view: &impl View, store: &SledStore, key: &Key, file: &FileHash) -> Result<(), StorageError> {
    let damaged = |error: &dyn std::fmt::Display| StorageError::Damaged(format!("{key:?}: {error}"));
    let row = disk::read_row::<BlobRow>(view, |_| key.clone())?;
    row.map(|row| row.value.caller()).transpose().map_err(|error| damaged(&error))?;
    store.sound.check(&store.shelves.files, file).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidData => damaged(&error),
        _ => StorageError::Overloaded("an uploaded file cannot be read at present"),
    })
}

/// Reads who has uploaded what from a store that is being opened. A claim that cannot be read is none until the store is
/// verified.
pub(super) fn load_claims(disk: &disk::Disk, uploads: &Uploads) -> Result<(), StorageError> {
    for entry in disk.tree.scan_prefix(Family::Blob.prefix()).keys() {
        let Some(key @ Key::Blob { file, .. }) = Key::parse(&disk.checked(entry)?) else { continue };
        let Some(row) = disk::readable(disk::read_row::<BlobRow>(disk, |_| key.clone()))? else { continue };
        match row.value.caller() {
            Ok(caller) => {
                uploads.note(caller, file, Some(Claim { bytes: row.value.bytes, used_at: row.value.used_at() }));
            }
            Err(error) => tracing::error!(%error, "a claim to an uploaded file is left out: verify the store"),
        }
    }
    Ok(())
}
