//! What a store does for files that are uploaded before the jobs that use them.

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::{StorageError, blobs::FileHash};
use crate::domain::{ids::Caller, time::Timestamp};

/// Largest file that is taken, in bytes.
pub const BLOB_BYTES_MAX: u64 = 100 * 1_024 * 1_024;
/// Most bytes of a file that are taken at once.
pub const PIECE_BYTES_MAX: usize = 1_024 * 1_024;
/// How long a file is remembered after its caller's last upload or use of it, in hours.
pub const BLOB_HOURS: u64 = 24;
/// How long a part of a file waits for the rest, in hours.
pub const UPLOAD_HOURS: u64 = 24;
/// So many bytes a file counts at least against its caller's bound, so that small ones are bounded in number too.
const BLOB_CHARGE_BYTES_MIN: u64 = 64 * 1_024;
/// A use is noted when the last one that was noted is so long ago: not each of many jobs that use a file is one more
/// change of the store.
pub const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// Files that callers upload, in pieces, before the jobs that use them.
///
/// The content of a file is kept once, whoever uploads it. But each caller has to prove that it has the content, by
/// uploading all of it, and sees what it uploaded itself and nothing else: a hash alone opens nothing, and nobody learns
/// from an answer what others have uploaded.
#[async_trait]
pub trait BlobStore: Send + Sync + fmt::Debug {
    /// Begins an upload, or tells how far it has come: after a crash too, and then what the file on disk has is what
    /// counts. A file that this caller has uploaded before needs no upload; asking for it is a use.
    async fn begin_upload(&self, upload: Upload, now: Timestamp) -> Result<Begun, UploadError>;

    /// Takes the next bytes of an upload, 1 to [`PIECE_BYTES_MAX`]. With the last of them the content is compared with
    /// the hash that was promised, made durable, and noted as this caller's. What has another hash is forgotten.
    async fn append_upload(
        &self,
        caller: &Caller,
        id: UploadId,
        piece: Piece,
        now: Timestamp,
    ) -> Result<Appended, UploadError>;

    /// What is known of a file that this caller has uploaded. Asking is no use.
    async fn blob(&self, caller: &Caller, hash: &FileHash) -> Result<Option<Blob>, StorageError>;

    /// The content of a file that this caller has uploaded, which is a use of it.
    ///
    /// # Errors
    /// With [`StorageError::Damaged`] when the content is not that of its hash any more: upload it again.
    async fn read_blob(&self, caller: &Caller, hash: &FileHash, now: Timestamp) -> Result<Option<Bytes>, StorageError>;
}

/// What is to be uploaded, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// By whom.
    pub caller: Caller,
    /// The hash of the content.
    pub hash: FileHash,
    /// Its length in bytes, 1 to [`BLOB_BYTES_MAX`].
    pub bytes: u64,
}

impl Upload {
    /// The upload's name: the same for the same caller and file, whenever it is begun.
    #[must_use]
    pub fn id(&self) -> UploadId {
        let mut hasher = blake3::Hasher::new();
        // The parts before the caller's name have fixed lengths.
        hasher.update(b"upload").update(&self.hash).update(&self.bytes.to_be_bytes());
        hasher.update(self.caller.as_str().as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        UploadId(id)
    }
}

/// What a file of so many bytes counts against its caller's bound.
#[must_use]
pub fn charge_of(bytes: u64) -> u64 {
    bytes.max(BLOB_CHARGE_BYTES_MIN)
}

/// The name of an upload. It is of no use to anybody but the caller that began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId([u8; 16]);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that names no upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no name of an upload: BeginUpload gives it")]
pub struct BadUploadId;

impl FromStr for UploadId {
    type Err = BadUploadId;

    fn from_str(text: &str) -> Result<Self, BadUploadId> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or(BadUploadId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where they stand in the file: as many must be there.
    pub offset: u64,
    /// The bytes.
    pub content: Bytes,
}

/// A file that a caller has uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The hash of its content, which is its name.
    pub hash: FileHash,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it is forgotten, unless its caller uploads or uses it before.
    pub expires_at: Timestamp,
}

impl Blob {
    /// A file that was used last at this time.
    #[must_use]
    pub fn new(hash: FileHash, bytes: u64, used_at: Timestamp) -> Self {
        Self { hash, bytes, expires_at: used_at.after(Duration::from_secs(BLOB_HOURS * 3_600)) }
    }
}

/// How far an upload has come when it is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// All of it is there.
    There(Blob),
    /// Bytes are missing.
    Missing {
        /// The upload.
        id: UploadId,
        /// How many bytes are there.
        offset: u64,
    },
}

/// How far an upload has come with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// All of it is there, durably and as it was promised.
    There(Blob),
    /// So many bytes are there.
    Missing {
        /// How many.
        offset: u64,
    },
}

/// How much callers may upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Most files of one caller of which a part is there.
    pub uploads_per_caller_max: usize,
    /// The same over all callers.
    pub uploads_max: usize,
    /// Most bytes of one caller's files, whole or not, that are remembered. What jobs use does not count.
    pub bytes_per_caller_max: u64,
    /// The same over all callers.
    pub bytes_max: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { uploads_per_caller_max: 16, uploads_max: 256, bytes_per_caller_max: 4 << 30, bytes_max: 16 << 30 }
    }
}

/// Why an upload was not begun or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// This caller has begun no such upload, or it was forgotten.
    #[error("there is no such upload, or it was forgotten: begin it anew")]
    Unknown,
    /// The bytes do not follow those that are there.
    #[error("{offset} bytes are there: go on from them")]
    Elsewhere {
        /// How many are there.
        offset: u64,
    },
    /// More bytes than were promised.
    #[error("has more bytes than the file, which has {bytes}")]
    TooLong {
        /// How many were promised.
        bytes: u64,
    },
    /// The file of this hash, which is there, has another length.
    #[error("is not the length of this file, which has {bytes} bytes")]
    OtherLength {
        /// How many it has.
        bytes: u64,
    },
    /// What was uploaded is something else than was promised, and is forgotten.
    #[error("what was uploaded has the BLAKE3 hash {}, not the one that was promised: begin it anew", blake3::Hash::from(*.found).to_hex())]
    OtherContent {
        /// Its hash.
        found: FileHash,
    },
    /// A bound is reached.
    #[error("too many {0}: finish what was begun, or repeat the call when files have been forgotten")]
    TooMany(&'static str),
    /// The store did not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_known_by_its_caller_and_file() {
        let upload = Upload { caller: "shop".parse().expect("a caller"), hash: [7; 32], bytes: 5 };
        let id = upload.id();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(upload.clone().id(), id);
        assert_ne!(Upload { caller: "shop2".parse().expect("a caller"), ..upload.clone() }.id(), id);
        assert_ne!(Upload { bytes: 6, ..upload.clone() }.id(), id);
        assert_ne!(Upload { hash: [8; 32], ..upload }.id(), id);
        for wrong in ["", "x", "+0000000000000000000000000000000", &"0".repeat(31), &"g".repeat(32)] {
            assert_eq!(wrong.parse::<UploadId>(), Err(BadUploadId), "{wrong}");
        }
    }
}
