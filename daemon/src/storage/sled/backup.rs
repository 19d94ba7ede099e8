//! Copies of a whole store: made while it is in use, and put back.
//!
//! The tree is copied while it changes; the committer notes every key that it writes meanwhile. Those are copied again
//! until few are left, and the last of them by the committer itself, between two commits: the copy is the store as it
//! was at that moment.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use ::sled::{Batch, IVec};

use super::{
    SledSettings, SledStore,
    disk::{Disk, Failure},
    jobs::{self, Shelves},
    journal::Journal,
    keys::{Family, Key},
    open,
    shelving::SoundFiles,
    txn::Txn,
    writer::{Patience, Weight},
};
use crate::{
    domain::ids::JobId,
    storage::{
        Progress, StorageError,
        blobs::{Files, sync_dir},
        records::job::Location,
        spool::Spool,
    },
};

/// How many entries are copied before progress is told.
const ENTRIES_PER_PART: usize = 1_000;
/// The committer copies the rest once this many keys or fewer were written during a round.
const LAST_KEYS_MAX: usize = 2_000;
/// After so many rounds the committer copies the rest whatever it is.
const ROUNDS_MAX: usize = 10;
/// The file of a backup that says what it comes to.
const SUMMARY_FILE: &str = "backup";
const LIGHT: Weight = Weight { changes: 1, bytes: 1_024 };

/// Why a backup was not put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something already.
    #[error("{0} is not empty: a backup is restored into a new directory only")]
    NotEmpty(PathBuf),
    /// It is no backup, or a damaged one.
    #[error("the backup {path} cannot be used: {why}")]
    Unusable {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file or directory cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Checks a backup and puts a copy of it into the new or empty directory `into`, where [`SledStore::open`] finds it.
/// Returns how many entries it has. Blocks.
///
/// # Errors
/// When `into` is not empty, the backup does not open, or copying fails; nothing is at `into` then.
pub fn restore(backup: &Path, into: &Path) -> Result<u64, RestoreError> {
    let broken = |source| RestoreError::Io { path: into.to_owned(), source };
    let is_taken = into.exists() && fs::read_dir(into).map_err(broken)?.next().is_some();
    if is_taken {
        return Err(RestoreError::NotEmpty(into.to_owned()));
    }
    let unusable = |why: String| RestoreError::Unusable { path: backup.to_owned(), why };
    if !backup.join("db").join("db").is_file() {
        return Err(unusable("it has no file db/db".into()));
    }
    let parent = into.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = into.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    let copy = parent.join(name);
    if copy.exists() {
        fs::remove_dir_all(&copy).map_err(broken)?;
    }
    fs::create_dir_all(parent).map_err(broken)?;
    let counted = copy_dir(backup, &copy).map_err(|error| error.to_string()).and_then(|()| check_copy(&copy));
    match counted {
        Ok(entries) => {
            fs::remove_file(copy.join(SUMMARY_FILE)).map_err(broken)?;
            fs::rename(&copy, into).map_err(broken)?;
            sync_dir(parent).map_err(broken)?;
            Ok(entries)
        }
        Err(why) => {
            fs::remove_dir_all(&copy).map_err(broken)?;
            Err(unusable(why))
        }
    }
}

/// What a whole backup comes to. sled takes a damaged log for a shorter one: only this tells that something is missing.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    entries: u64,
    hash: blake3::Hash,
}

impl Summary {
    /// Of all entries of a tree, each of which `look` sees.
    fn of(db: &::sled::Db, mut look: impl FnMut(&IVec, IVec) -> Result<(), String>) -> Result<Self, String> {
        let (mut entries, mut hasher) = (0, blake3::Hasher::new());
        for entry in db.iter() {
            let (key, value) = entry.map_err(|error| error.to_string())?;
            entries += 1;
            for part in [&key, &value] {
                hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(part);
            }
            look(&key, value)?;
        }
        Ok(Self { entries, hash: hasher.finalize() })
    }

    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("it is not complete: its file `{SUMMARY_FILE}` cannot be read ({error})"))?;
        let parts = text.trim().split_once(' ');
        let summary = parts.and_then(|(entries, hash)| Some((entries.parse().ok()?, hash.parse().ok()?)));
        let (entries, hash) = summary.ok_or_else(|| format!("its file `{SUMMARY_FILE}` is damaged"))?;
        Ok(Self { entries, hash })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, format!("{} {}\n", self.entries, self.hash))
    }
}

/// Opens a copy and looks at every frame and every file that it should have. What is only a caller's upload may be uploaded
/// again.
fn check_copy(copy: &Path) -> Result<u64, String> {
    let expected = Summary::read(&copy.join(SUMMARY_FILE))?;
    let db = open::open_guarded(&copy.join("db"), &SledSettings::default())?;
    let files = Files::open(&copy.join("files")).map_err(|error| error.to_string())?;
    let (spool, _) = Spool::open(&copy.join("spool")).map_err(|error| error.to_string())?;
    let disk = Disk { tree: (*db).clone(), failure: Failure::new() };
    let shelves = Shelves { spool, files: files.clone() };
    let sound = SoundFiles::default();
    let found = Summary::of(&db, |key, value| {
        match Key::parse(key) {
            Some(Key::FileEdge { file, job }) => {
                sound.check(&files, &file).map_err(|error| format!("the message of job {job}: {error}"))?;
            }
            Some(Key::Blob { file, .. }) => {
                if let Err(error) = sound.check(&files, &file) {
                    tracing::warn!(%error, "an uploaded file is missing from the backup: it has to be uploaded again");
                }
            }
            Some(Key::Job { job, chunk: 0 }) => check_message(&disk, &shelves, job)?,
            _ => {}
        }
        let has_frame = !matches!(
            Family::of(key),
            Some(Family::Ready | Family::Retry | Family::Expiry | Family::Divertible | Family::IdempotencyDay)
                | Some(Family::Quarantine | Family::Doubt | Family::FingerprintDay)
        );
        if has_frame {
            super::codec::Frame::parse(key, value).map_err(|error| format!("{:?}: {error}", Key::parse(key)))?;
        }
        Ok(())
    })?;
    if found != expected {
        return Err(format!("it is damaged: {} entries can be read, and it had {}", found.entries, expected.entries));
    }
    Ok(found.entries)
}

fn check_message(disk: &Disk, shelves: &Shelves, job: JobId) -> Result<(), String> {
    let stored = jobs::load(disk, job).map_err(|error| error.to_string())?;
    match stored.filter(|stored| matches!(stored.body.location, Location::Spool(_))) {
        Some(stored) => jobs::load_body(disk, shelves, &stored).map(drop).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

impl SledStore {
    pub(super) async fn backup_to(&self, target: &Path, progress: &dyn Progress) -> Result<u64, StorageError> {
        let target = target.to_owned();
        let _held = (self.shelves.files.hold(), self.shelves.spool.hold());
        let journal = self.writer.commit(LIGHT, Patience::Wait, |txn: &mut Txn| Ok(txn.journal())).await?;
        let copy = self.copy_tree(target.clone(), journal, progress).await?;
        self.in_background(move |store| store.finish_backup(&target, copy)).await
    }

    async fn copy_tree(
        &self,
        target: PathBuf,
        journal: Journal,
        progress: &dyn Progress,
    ) -> Result<::sled::Db, StorageError> {
        let copy = self
            .in_background(move |_| {
                fs::create_dir(&target)
                    .and_then(|()| fs::create_dir(target.join("db")))
                    .map_err(|error| target_error(&error))?;
                open::open_guarded(&target.join("db"), &SledSettings::default()).map_err(|why| target_error(&why))
            })
            .await?;
        let total = u64::try_from(self.in_background(|store| Ok(store.disk.tree.len())).await?).unwrap_or(u64::MAX);
        let (mut done, mut start) = (0, Vec::new());
        loop {
            let (from, to) = (start.clone(), copy.clone());
            let (count, last) = self.in_background(move |store| store.copy_part(&from, &to)).await?;
            done += count;
            progress.report(done, total.max(done));
            let Some(last) = last else { break };
            start = [last.as_ref(), &[0]].concat();
        }
        for round in 1.. {
            let (to, journal) = (copy.clone(), journal.clone());
            let next = move |txn: &mut Txn| {
                let keys = journal.take();
                if keys.len() > LAST_KEYS_MAX && round < ROUNDS_MAX {
                    return Ok(Some(keys));
                }
                // What this commit has changed so far is not in the tree yet, and not in the journal either.
                copy_keys(&txn.disk.tree, keys, &to).map(|()| None)
            };
            let Some(keys) = self.writer.commit(LIGHT, Patience::Wait, next).await? else { break };
            let to = copy.clone();
            self.in_background(move |store| copy_keys(&store.disk.tree, keys, &to)).await?;
        }
        Ok(copy)
    }

    fn copy_part(&self, start: &[u8], to: &::sled::Db) -> Result<(u64, Option<IVec>), StorageError> {
        let mut batch = Batch::default();
        let (mut count, mut last) = (0, None);
        for entry in self.disk.tree.range(start..).take(ENTRIES_PER_PART) {
            let (key, value) = self.disk.checked(entry)?;
            last = Some(key.clone());
            batch.insert(key, value);
            count += 1;
        }
        to.apply_batch(batch).map_err(|error| target_error(&error))?;
        Ok((count, last))
    }

    fn finish_backup(&self, target: &Path, copy: ::sled::Db) -> Result<u64, StorageError> {
        copy.flush().map_err(|error| target_error(&error))?;
        let summary = Summary::of(&copy, |_, _| Ok(())).map_err(|why| target_error(&why))?;
        let finish = || -> io::Result<()> {
            let files = Files::open(&target.join("files"))?;
            self.copy_files(&copy, &files)?;
            let spool = target.join("spool");
            fs::create_dir(&spool)?;
            for key in copy.scan_prefix(Family::Segment.prefix()).keys() {
                let key = key.map_err(io::Error::other)?;
                if let Some(Key::Segment { number }) = Key::parse(&key) {
                    self.copy_segment(number, &spool)?;
                }
            }
            drop(copy);
            sync_tree(target)?;
            // What has this file is complete and on disk.
            summary.write(&target.join(SUMMARY_FILE))?;
            sync_tree(target)?;
            sync_dir(target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        };
        finish().map_err(|error| target_error(&error))?;
        Ok(summary.entries)
    }

    /// Copies the files of jobs, and those that callers have uploaded as far as they are there.
    fn copy_files(&self, copy: &::sled::Db, to: &Files) -> io::Result<()> {
        let families = [Family::FileEdge, Family::Blob];
        for key in families.iter().flat_map(|family| copy.scan_prefix(family.prefix()).keys()) {
            let key = Key::parse(&key.map_err(io::Error::other)?);
            let Some(Key::FileEdge { file, .. } | Key::Blob { file, .. }) = key else { continue };
            match copy_file(&self.shelves.files.path(&file), &to.path(&file)) {
                // A job that needs it was looked at before.
                Err(error) if error.kind() == io::ErrorKind::NotFound && matches!(key, Some(Key::Blob { .. })) => {
                    tracing::warn!("an uploaded file is missing: it is left out of the backup");
                }
                copied => copied?,
            }
        }
        Ok(())
    }

    /// A segment may still grow, so it is copied; what came after the tree is not referred to by it.
    fn copy_segment(&self, number: u32, into: &Path) -> io::Result<()> {
        let from = self.shelves.spool.path(number);
        let Some(name) = from.file_name() else { return Ok(()) };
        match fs::copy(&from, into.join(name)) {
            // One to which nothing is written yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            copied => copied.map(drop),
        }
    }
}

/// Brings the entries of `keys` in the copy to what they are in the tree.
fn copy_keys(from: &::sled::Tree, keys: impl IntoIterator<Item = IVec>, to: &::sled::Db) -> Result<(), StorageError> {
    let mut batch = Batch::default();
    for key in keys {
        match from.get(&key).map_err(|error| StorageError::Failed(error.to_string()))? {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    to.apply_batch(batch).map_err(|error| target_error(&error))
}

/// The backup failed; the store itself is well.
fn target_error(error: &dyn std::fmt::Display) -> StorageError {
    StorageError::Unfinished(format!("the backup cannot be written: {error}"))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    // A file never changes, so both stores may share it.
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else if entry.file_name() != "lock" && entry.file_name() != "ballast" {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    sync_dir(to)
}

fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_dir(path)
}
