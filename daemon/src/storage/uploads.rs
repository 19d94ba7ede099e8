//! Files that are being uploaded: each is a file that grows, named by what it is to become, so that it goes on after a crash.
//!
//! Nothing but these files knows of an upload that is not whole: its offset is the length of its file. The bytes are not
//! synced piece by piece. What a power cut takes from them or puts between them is found at the end, when all of the file
//! is read again and compared with the hash that was promised. Only then is it synced and renamed.
//!
//! Here is known as well which caller has uploaded what, and how much that is together: what the store has of it on disk
//! is read once, when it is opened.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use super::{
    blob_store::{BLOB_HOURS, Piece, UPLOAD_HOURS, Upload, UploadError, UploadId, UploadLimits, charge_of},
    blobs::{FileHash, Files, Pin, hash_of, sync_dir},
};
use crate::domain::{ids::Caller, time::Timestamp};

mod room;
use room::Held;

/// The uploads of all callers. Clones share them.
#[derive(Clone, Debug)]
pub struct Uploads {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    limits: UploadLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parts: HashMap<UploadId, Part>,
    /// What callers have uploaded, and when each used it last.
    claims: BTreeMap<(FileHash, Caller), Claim>,
    /// What the claims come to, by caller.
    claimed: HashMap<Caller, u64>,
    /// How many claims there are to files of which length.
    lengths: HashMap<u64, usize>,
}

/// That a caller has uploaded a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The file's length in bytes.
    pub bytes: u64,
    /// When the caller uploaded or used it last.
    pub used_at: Timestamp,
}

#[derive(Debug)]
struct Part {
    upload: Upload,
    touched_at: Timestamp,
    /// How much of it is there; nothing once its file has gone. Whoever writes holds it.
    offset: Arc<Mutex<Option<u64>>>,
}

/// How far a file has come.
#[derive(Debug)]
pub enum Step {
    /// So many bytes are there.
    Missing {
        /// How many.
        offset: u64,
    },
    /// All bytes are there and are what was promised; the file is durable, and nothing refers to it yet.
    Whole(Upload, Pin),
}

/// Why a step was not taken.
#[derive(Debug)]
pub enum StepError {
    /// For a reason that its caller is told.
    Refused(UploadError),
    /// The disk did not do it.
    Io(io::Error),
}

impl From<UploadError> for StepError {
    fn from(error: UploadError) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for StepError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Uploads {
    /// Opens the directory, which is made when it is not there, and finds what was begun. Files that are no uploads go.
    ///
    /// # Errors
    /// When the directory cannot be made, read or synced.
    pub fn open(root: &Path, limits: UploadLimits) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let mut state = State::default();
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            let facts = entry.metadata()?;
            let upload = entry.file_name().to_str().and_then(upload_of).filter(|upload| facts.len() <= upload.bytes);
            if !facts.is_file() {
                continue;
            }
            let Some(upload) = upload else {
                tracing::warn!(file = %entry.path().display(), "a file among the uploads is none of them: it is removed");
                fs::remove_file(entry.path())?;
                continue;
            };
            let age = facts.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let part = Part {
                touched_at: Timestamp::EPOCH.after(age),
                offset: Arc::new(Mutex::new(Some(facts.len()))),
                upload,
            };
            state.parts.insert(part.upload.id(), part);
        }
        sync_dir(root)?;
        Ok(Self { shared: Arc::new(Shared { root: root.to_owned(), limits, state: Mutex::new(state) }) })
    }

    /// That a caller has uploaded a file, if it has.
    #[must_use]
    pub fn claim(&self, caller: &Caller, hash: &FileHash) -> Option<Claim> {
        self.state().claims.get(&(*hash, caller.clone())).copied()
    }

    /// The callers that have uploaded a file.
    #[must_use]
    pub fn claimants(&self, hash: &FileHash) -> Vec<Caller> {
        let state = self.state();
        let of_file = state.claims.keys().filter(|(file, _)| file == hash);
        of_file.map(|(_, caller)| caller.clone()).collect()
    }

    /// Notes what a commit has made of a claim; nothing when it is gone.
    pub fn note(&self, caller: Caller, hash: FileHash, claim: Option<Claim>) {
        let mut state = self.state();
        let key = (hash, caller.clone());
        let before = match claim {
            Some(claim) => state.claims.insert(key, claim),
            None => state.claims.remove(&key),
        };
        let charge = |claim: Option<Claim>| claim.map_or(0, |claim| charge_of(claim.bytes));
        let claimed = state.claimed.entry(caller.clone()).or_default();
        *claimed = claimed.saturating_add(charge(claim)).saturating_sub(charge(before));
        if *claimed == 0 {
            state.claimed.remove(&caller);
        }
        if let Some(claim) = claim {
            *state.lengths.entry(claim.bytes).or_default() += 1;
        }
        if let Some(Claim { bytes, .. }) = before
            && let Some(count) = state.lengths.get_mut(&bytes)
        {
            *count -= 1;
            if *count == 0 {
                state.lengths.remove(&bytes);
            }
        }
    }

    /// Whether one of these is the length of a file that some caller has uploaded. Looks at none when nobody has.
    #[must_use]
    pub fn has_length(&self, lengths: impl FnOnce() -> Vec<u64>) -> bool {
        if self.state().lengths.is_empty() {
            return false;
        }
        let wanted = lengths();
        let state = self.state();
        wanted.iter().any(|length| state.lengths.contains_key(length))
    }

    /// Up to `limit` claims that were last used too long ago.
    #[must_use]
    pub fn old_claims(&self, now: Timestamp, limit: usize) -> Vec<(FileHash, Caller)> {
        let state = self.state();
        let old = state.claims.iter().filter(|(_, claim)| has_lapsed(claim, now));
        old.take(limit).map(|(key, _)| key.clone()).collect()
    }

    /// Begins an upload or goes on with it. Blocks.
    ///
    /// # Errors
    /// When a bound is reached, or its file cannot be made.
    pub fn begin(&self, upload: &Upload, files: &Files, now: Timestamp) -> Result<Step, StepError> {
        let new = Arc::new(Mutex::new(Some(0)));
        let known = {
            let mut state = self.state();
            if let Some(part) = state.parts.get_mut(&upload.id()) {
                part.touched_at = now;
                Ok(Arc::clone(&part.offset))
            } else {
                state.check_room(upload, &self.shared.limits)?;
                // Nobody else knows of it yet. Who finds it waits until its file is there, and holds nothing up.
                let writing = lock(&new);
                let part = Part { upload: upload.clone(), touched_at: now, offset: Arc::clone(&new) };
                state.parts.insert(upload.id(), part);
                Err(writing)
            }
        };
        let offset = match known {
            Ok(offset) => offset,
            Err(mut writing) => {
                let made = File::options().write(true).create(true).truncate(true).open(self.path(upload));
                return match made {
                    Ok(_) => Ok(Step::Missing { offset: 0 }),
                    Err(error) => {
                        self.drop_part(upload, &mut writing);
                        Err(error.into())
                    }
                };
            }
        };
        let mut offset = lock(&offset);
        match *offset {
            // A crash came between its last byte and its name.
            Some(there) if there == upload.bytes => match self.finish(upload, files, &mut offset) {
                Err(StepError::Refused(UploadError::OtherContent { .. })) => {
                    drop(offset);
                    self.begin(upload, files, now)
                }
                finished => finished,
            },
            Some(there) => Ok(Step::Missing { offset: there }),
            None => Err(UploadError::Unknown.into()),
        }
    }

    /// Takes bytes of an upload. Blocks.
    ///
    /// # Errors
    /// When the caller has begun no such upload, the bytes do not follow those that are there, or the whole is not what
    /// was promised; when its file cannot be written.
    pub fn append(
        &self,
        caller: &Caller,
        id: UploadId,
        piece: &Piece,
        files: &Files,
        now: Timestamp,
    ) -> Result<Step, StepError> {
        let (upload, offset) = {
            let mut state = self.state();
            let part = state.parts.get_mut(&id).filter(|part| part.upload.caller == *caller);
            let part = part.ok_or(UploadError::Unknown)?;
            part.touched_at = now;
            (part.upload.clone(), Arc::clone(&part.offset))
        };
        let mut offset = lock(&offset);
        let there = offset.ok_or(UploadError::Unknown)?;
        if piece.offset != there {
            return Err(UploadError::Elsewhere { offset: there }.into());
        }
        let end = there.saturating_add(piece.content.len() as u64);
        if end > upload.bytes {
            return Err(UploadError::TooLong { bytes: upload.bytes }.into());
        }
        let file = File::options().write(true).open(self.path(&upload));
        let file = file.map_err(|error| self.without_file(error, &upload, &mut offset))?;
        if let Err(error) = file.write_all_at(&piece.content, there) {
            // What was written of the piece does not count; if it stays, a restart finds a longer file, which is as good.
            let _ = file.set_len(there);
            return Err(error.into());
        }
        *offset = Some(end);
        if end < upload.bytes {
            return Ok(Step::Missing { offset: end });
        }
        self.finish(&upload, files, &mut offset)
    }

    /// Compares what is there with what was promised, and gives it its name.
    fn finish(&self, upload: &Upload, files: &Files, offset: &mut Option<u64>) -> Result<Step, StepError> {
        let path = self.path(upload);
        // What the disk has is read, not what was sent: bytes of before a crash are among it.
        let found = hash_of(&path).map_err(|error| self.without_file(error, upload, offset))?;
        let finished = if found == upload.hash {
            files.adopt(&path, found).map(|pin| Step::Whole(upload.clone(), pin)).map_err(StepError::Io)
        } else {
            fs::remove_file(&path)?;
            Err(UploadError::OtherContent { found }.into())
        };
        if !matches!(finished, Err(StepError::Io(_))) {
            self.drop_part(upload, offset);
        }
        finished
    }

    /// What is said when a part's file cannot be used: one that has gone can only be begun anew.
    fn without_file(&self, error: io::Error, upload: &Upload, offset: &mut Option<u64>) -> StepError {
        if error.kind() != io::ErrorKind::NotFound {
            return error.into();
        }
        tracing::warn!("the file of an upload has gone: the upload is forgotten");
        self.drop_part(upload, offset);
        UploadError::Unknown.into()
    }

    /// Forgets a part whose file has gone. Its lock is held: nobody begins it anew before that.
    fn drop_part(&self, upload: &Upload, offset: &mut Option<u64>) {
        *offset = None;
        self.state().parts.remove(&upload.id());
    }

    /// Forgets uploads to which nothing was added for long, and says how many. Blocks.
    #[must_use]
    pub fn forget_old(&self, now: Timestamp) -> u64 {
        let kept = Duration::from_secs(UPLOAD_HOURS * 3_600);
        let is_old = |part: &&Part| now.since(part.touched_at) >= kept;
        let old: Vec<_> = {
            let state = self.state();
            let old = state.parts.values().filter(is_old);
            old.map(|part| (part.upload.clone(), Arc::clone(&part.offset))).collect()
        };
        let mut count = 0;
        for (upload, offset) in &old {
            let mut offset = lock(offset);
            // Somebody may have gone on with it or finished it meanwhile.
            if offset.is_none() || self.state().parts.get(&upload.id()).filter(is_old).is_none() {
                continue;
            }
            match fs::remove_file(self.path(upload)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "a forgotten upload cannot be removed: the next start finds it again");
                }
                _ => {}
            }
            // Only now may it be begun anew: its file would go with the old one.
            self.drop_part(upload, &mut offset);
            count += 1;
        }
        count
    }

    fn path(&self, upload: &Upload) -> PathBuf {
        let hash = blake3::Hash::from(upload.hash).to_hex();
        self.shared.root.join(format!("{hash} {} {}", upload.bytes, upload.caller))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_room(&self, upload: &Upload, limits: &UploadLimits) -> Result<(), UploadError> {
        let parts = self.parts.values().map(|part| (1, &part.upload.caller, charge_of(part.upload.bytes)));
        let claims = self.claimed.iter().map(|(caller, bytes)| (0, caller, *bytes));
        let (mut own, mut all) = (Held::default(), Held::default());
        for (uploads, caller, bytes) in parts.chain(claims) {
            all.add(uploads, bytes);
            if *caller == upload.caller {
                own.add(uploads, bytes);
            }
        }
        own.check_room(&all, charge_of(upload.bytes), limits)
    }
}

/// The upload whose file has this name.
fn upload_of(name: &str) -> Option<Upload> {
    let mut parts = name.split(' ');
    let hash = blake3::Hash::from_hex(parts.next()?).ok()?;
    let bytes = parts.next()?.parse().ok()?;
    let caller = parts.next()?.parse().ok()?;
    parts.next().is_none().then(|| Upload { caller, hash: *hash.as_bytes(), bytes })
}

fn lock(offset: &Mutex<Option<u64>>) -> MutexGuard<'_, Option<u64>> {
    offset.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a claim is so old that it goes.
#[must_use]
pub fn has_lapsed(claim: &Claim, now: Timestamp) -> bool {
    now.since(claim.used_at) >= Duration::from_secs(BLOB_HOURS * 3_600)
}
