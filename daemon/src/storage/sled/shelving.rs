//! How messages are put on their shelves and taken from them: large files are cut out, kept once for all messages that carry
//! them, and put back.
//!
//! A message that fits into the spool is cut only where that costs no file of its own: its files were uploaded before. Any
//! other would be a file as a whole; each large file in it becomes one instead, and what is left goes to the spool. A file is durable before the job that refers to it, which a
//! [`KeptFile`] sees to; the job's edge to it keeps it as long as the job is kept.
//!
//! What is read back is the message byte for byte, or an error: the files are compared with their hashes, what is left with
//! its check sum, and the whole with its own.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    SledStore,
    disk::Disk,
    jobs::{SPOOLED_BYTES_MAX, Shelves, StoredJob, load_body, unreadable_message},
    kept_file::KeptFile,
};
use crate::{
    compose::cuts::{self, Stretch},
    domain::mail::{Draft, Message},
    storage::{
        StorageError,
        blobs::{FileHash, Files, Pin},
        records::{
            job::{Body, Cut, Location},
            template::TemplateRow,
        },
    },
};

/// Files of at least so many bytes are kept by themselves.
pub(super) const CUT_BYTES_MIN: usize = 16 * 1_024;
/// Files of at least so many bytes are cut out when they are there already.
const KNOWN_CUT_BYTES_MIN: usize = 4 * 1_024;

/// Most files that are cut out of a message, the largest of it: each costs the reader a file and the job an edge.
const CUTS_MAX: usize = 32;

/// A message on its shelves, but for what goes with the commit.
#[derive(Debug)]
pub(super) struct Shelved {
    /// What goes to the spool; nothing when it is in a file.
    pub(super) spooled: Option<Bytes>,
    pub(super) body: Body,
    /// Files that are durable and kept until the commit is.
    pub(super) files: Vec<KeptFile>,
}

/// What is cut out of a message: where it stands, what is noted of it, and its files.
type Taken = (Vec<Stretch>, Vec<Cut>, Vec<KeptFile>);

impl SledStore {
    /// Puts a message on its shelves.
    pub(super) async fn shelve(&self, message: Message) -> Result<Shelved, StorageError> {
        let is_large = message.bytes.len() > SPOOLED_BYTES_MAX;
        // Most messages end here: nothing of them was uploaded before, which their files' lengths tell, so nothing is hashed.
        let lengths = || {
            let stretches = cuts::find(&message.bytes, KNOWN_CUT_BYTES_MIN);
            stretches.iter().map(|stretch| stretch.content_bytes(&message.bytes)).collect()
        };
        if !is_large && !self.uploads.has_length(lengths) {
            let body = Body { is_eight_bit: message.is_eight_bit, ..Body::default() };
            return Ok(Shelved { spooled: Some(message.bytes), body, files: Vec::new() });
        }
        self.in_background(move |store| store.shelve_parts(&message)).await
    }

    /// Blocks.
    pub(super) fn shelve_parts(&self, message: &Message) -> Result<Shelved, StorageError> {
        let whole = &message.bytes;
        let (stretches, cuts, mut files) = self.cut(whole)?;
        let rest = if cuts.is_empty() { whole.clone() } else { cuts::take_out(whole, &stretches).into() };
        let whole_sum = if cuts.is_empty() { 0 } else { crc32c::crc32c(whole) };
        let mut body = Body { location: Location::Beside, is_eight_bit: message.is_eight_bit, cuts, whole_sum };
        if rest.len() <= SPOOLED_BYTES_MAX {
            return Ok(Shelved { spooled: Some(rest), body, files });
        }
        let file = KeptFile::new(self.store_file(&rest)?, &self.disk, &self.shelves.files);
        body.location = Location::File(*file.hash());
        files.push(file);
        Ok(Shelved { spooled: None, body, files })
    }

    fn cut(&self, whole: &[u8]) -> Result<Taken, StorageError> {
        let is_large = whole.len() > SPOOLED_BYTES_MAX;
        let (mut stretches, mut cuts, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for stretch in cuts::largest(cuts::find(whole, KNOWN_CUT_BYTES_MIN), CUTS_MAX) {
            let Some(content) = cuts::decode(whole, stretch) else { continue };
            if let Some(pin) = self.keep_file(&content, is_large)? {
                cuts.push(Cut { at: stretch.at as u64, file: pin.hash, bytes: content.len() as u64 });
                files.push(KeptFile::new(pin, &self.disk, &self.shelves.files));
                stretches.push(stretch);
            }
        }
        Ok((stretches, cuts, files))
    }

    /// Keeps a file by itself if that is worth it, or if it is there already. One that is there and damaged is mended, for
    /// all jobs that have it.
    fn keep_file(&self, content: &[u8], may_be_new: bool) -> Result<Option<Pin>, StorageError> {
        let files = &self.shelves.files;
        let hash = *blake3::hash(content).as_bytes();
        let known = files.pin_known(hash).map_err(|error| self.file_error(&error, 0))?;
        let is_wanted = || may_be_new && content.len() >= CUT_BYTES_MIN || files.path(&hash).exists();
        if known.is_some() || !is_wanted() {
            return Ok(known);
        }
        self.store_file(content).map(Some)
    }

    /// Takes the large attachments out of the content of a merge job. Blocks.
    pub(super) fn shelve_attachments(
        &self,
        draft: &Draft,
        row: &mut TemplateRow,
    ) -> Result<(Vec<Cut>, Vec<KeptFile>), StorageError> {
        let (mut cuts, mut files) = (Vec::new(), Vec::new());
        for (index, (attachment, kept)) in draft.attachments.iter().zip(&mut row.attachments).enumerate() {
            let content = &attachment.content;
            if content.len() < KNOWN_CUT_BYTES_MIN {
                continue;
            }
            if let Some(pin) = self.keep_file(content, true)? {
                cuts.push(Cut { at: index as u64, file: pin.hash, bytes: content.len() as u64 });
                files.push(KeptFile::new(pin, &self.disk, &self.shelves.files));
                kept.content = Bytes::new();
            }
        }
        Ok((cuts, files))
    }

    /// Gives the attachments back that were taken out of the content of a merge job. Blocks.
    pub(super) fn attach(&self, stored: &StoredJob, row: &mut TemplateRow) -> Result<(), StorageError> {
        let id = stored.job.id;
        for cut in &stored.body.cuts {
            let place = usize::try_from(cut.at).ok().and_then(|at| row.attachments.get_mut(at));
            let place =
                place.ok_or_else(|| StorageError::Damaged(format!("content of {id}: has no such attachment")))?;
            let read = self.shelves.files.read(&cut.file);
            place.content = read.map(Bytes::from).map_err(|error| unreadable_message(id, &error))?;
        }
        Ok(())
    }

    /// Checks what a message consists of without putting it together. Blocks.
    pub(super) fn check_parts(&self, stored: &StoredJob) -> Result<(), StorageError> {
        load_body(&self.disk, &self.shelves, stored)?;
        self.check_cuts(stored)
    }

    /// Checks the files that were cut out of a message or a content, each once in a check of the store. Blocks.
    pub(super) fn check_cuts(&self, stored: &StoredJob) -> Result<(), StorageError> {
        for cut in &stored.body.cuts {
            let checked = self.sound.check(&self.shelves.files, &cut.file);
            checked.map_err(|error| unreadable_message(stored.job.id, &error))?;
        }
        Ok(())
    }
}

/// Reads a job's message and puts its files back. May block for long.
pub(super) fn load_message(disk: &Disk, shelves: &Shelves, stored: &StoredJob) -> Result<Message, StorageError> {
    let rest = load_body(disk, shelves, stored)?;
    let Body { cuts, whole_sum, is_eight_bit, .. } = &stored.body;
    if cuts.is_empty() {
        return Ok(Message { bytes: rest, is_eight_bit: *is_eight_bit });
    }
    let id = stored.job.id;
    let mut files = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let content = shelves.files.read(&cut.file).map_err(|error| unreadable_message(id, &error))?;
        files.push((usize::try_from(cut.at).unwrap_or(usize::MAX), content));
    }
    let whole = cuts::put_back(&rest, &files).filter(|whole| crc32c::crc32c(whole) == *whole_sum);
    let whole =
        whole.ok_or_else(|| StorageError::Damaged(format!("message of {id}: its parts do not belong together")))?;
    Ok(Message { bytes: whole.into(), is_eight_bit: *is_eight_bit })
}

/// The files that were found to be sound lately: in a check of the whole store, a file is read once and not once for each job
/// that has it.
#[derive(Clone, Debug, Default)]
pub(super) struct SoundFiles(Arc<Mutex<HashSet<FileHash>>>);

impl SoundFiles {
    /// Checks a file unless that was done since all were forgotten. Blocks.
    pub(super) fn check(&self, files: &Files, hash: &FileHash) -> io::Result<()> {
        if self.lock().contains(hash) {
            return Ok(());
        }
        files.check(hash)?;
        self.lock().insert(*hash);
        Ok(())
    }

    /// Forgets what was found.
    pub(super) fn forget_all(&self) {
        *self.lock() = HashSet::new();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<FileHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
