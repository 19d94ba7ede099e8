//! The bytes of messages, one after the other in files that only grow: what a tree is bad at keeping.
//!
//! A segment is a file that takes messages until it is full. Each message lies in it behind a header: its length, a
//! CRC-32C over job and bytes, and its job. Every start begins a new segment, so a torn end is never written on. Which
//! messages still count is known to the store, which says when a segment can go.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::blobs::sync_dir;
use crate::domain::ids::JobId;

/// When a segment is as long as this, in bytes, the next commit begins a new one.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Most segments that are kept open for reading.
const OPEN_SEGMENTS_MAX: usize = 64;
/// Longest message that belongs into a spool, in bytes; longer ones have files of their own.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1_024;
/// Up to so many bytes a commit carries the messages itself: one sync is then enough.
const CARRIED_BYTES_MAX: usize = 8_192;
/// After so many such commits the spool is synced, so that few have to be restored at a start.
const CARRIED_WRITES_MAX: usize = 256;
/// Length, check sum and job before each message.
pub const HEADER_BYTES: usize = 4 + 4 + 16;

/// Where a message lies: the segment's number and the place of its header in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The segment.
    pub segment: u32,
    /// The byte at which the header begins.
    pub offset: u32,
}

impl Place {
    /// The place as one number.
    #[must_use]
    pub fn to_number(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.offset)
    }

    /// The place that a number stands for.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self { segment: (number >> 32) as u32, offset: (number & 0xffff_ffff) as u32 }
    }
}

/// Segments as they are read. Clones share what is open.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<u32, Arc<File>>,
    /// How many want all segments to stay.
    holds: usize,
    /// Segments that go when nobody holds them any more.
    leaving: Vec<u32>,
}

/// Keeps all segments from going for as long as it lives.
#[derive(Debug)]
pub struct Hold(Spool);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.holds -= 1;
        if state.holds == 0 {
            let leaving = std::mem::take(&mut state.leaving);
            drop(state);
            leaving.into_iter().for_each(|segment| self.0.remove(segment));
        }
    }
}

impl Spool {
    /// Opens the directory, which is made when it is not there.
    ///
    /// # Errors
    /// When the directory cannot be made, read or synced.
    pub fn open(root: &Path) -> io::Result<(Self, SpoolWriter)> {
        fs::create_dir_all(root)?;
        sync_dir(root)?;
        let spool = Self { shared: Arc::new(Shared { root: root.to_owned(), state: Mutex::default() }) };
        let next = spool.segments()?.last().map_or(1, |last| last.saturating_add(1));
        let writer =
            SpoolWriter { spool: spool.clone(), current: None, next, pending: Vec::new(), unsynced: Vec::new() };
        Ok((spool, writer))
    }

    /// The segments that are there, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn segments(&self) -> io::Result<Vec<u32>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.shared.root)? {
            segments.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// The message of a job that lies at a place, and which is probably `about` bytes long: then one read is enough.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when something else or something damaged lies there, and whatever reading meets.
    pub fn read(&self, place: Place, job: JobId, about: u64) -> io::Result<Bytes> {
        let segment = self.segment(place.segment)?;
        let about = usize::try_from(about).unwrap_or(0).min(MESSAGE_BYTES_MAX);
        let mut bytes = vec![0; HEADER_BYTES + about];
        // The message may be shorter, and the last one of its segment.
        let mut read = 0;
        while read < bytes.len() {
            match segment.read_at(&mut bytes[read..], u64::from(place.offset) + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        let header = Header::parse(&bytes).ok_or_else(|| invalid("its segment ends before it"))?;
        let whole = HEADER_BYTES + header.length as usize;
        if header.job != job || whole > HEADER_BYTES + MESSAGE_BYTES_MAX {
            return Err(invalid("another message lies in its place"));
        }
        if whole > bytes.len() {
            bytes.resize(whole, 0);
            segment.read_exact_at(&mut bytes[read..], u64::from(place.offset) + read as u64).map_err(|error| {
                if error.kind() == io::ErrorKind::UnexpectedEof { invalid("its segment ends before it") } else { error }
            })?;
        }
        let message = Bytes::from(bytes).slice(HEADER_BYTES..whole);
        if header.sum == check_sum(job, &message) { Ok(message) } else { Err(invalid("the check sum is wrong")) }
    }

    /// Puts bytes back that a commit carried, and syncs them.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn restore(&self, place: Place, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(place.segment);
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(bytes, place.offset.into())?;
        file.sync_data()
    }

    /// Lets a segment go to which nothing refers; at once, or when nobody holds it any more.
    pub fn retire(&self, segment: u32) {
        let mut state = self.state();
        if state.holds > 0 {
            state.leaving.push(segment);
            return;
        }
        drop(state);
        self.remove(segment);
    }

    /// Keeps all segments for as long as the answer lives.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.state().holds += 1;
        Hold(self.clone())
    }

    /// The file of a segment.
    #[must_use]
    pub fn path(&self, segment: u32) -> PathBuf {
        self.shared.root.join(format!("{segment:08}"))
    }

    fn remove(&self, segment: u32) {
        self.state().open.remove(&segment);
        match fs::remove_file(self.path(segment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(segment, %error, "a segment of messages cannot be removed: the next start tries again");
            }
            _ => {}
        }
    }

    fn segment(&self, number: u32) -> io::Result<Arc<File>> {
        if let Some(file) = self.state().open.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.path(number))?);
        let mut state = self.state();
        if state.open.len() >= OPEN_SEGMENTS_MAX {
            // The oldest one is the least likely to be read again.
            state.open.pop_first();
        }
        state.open.insert(number, Arc::clone(&file));
        Ok(file)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes messages. There is one, and it belongs to whoever commits.
#[derive(Debug)]
pub struct SpoolWriter {
    spool: Spool,
    current: Option<Current>,
    /// The number of the next segment.
    next: u32,
    /// What was appended and not written yet.
    pending: Vec<u8>,
    /// What was written and not synced since: where, and how many bytes.
    unsynced: Vec<(Place, usize)>,
}

/// What a commit has to do for the spool's sake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes that the commit must carry, because they were written and not synced.
    pub carried: Option<Carried>,
    /// What earlier commits carry and need not any more: where, and how many bytes.
    pub synced: Vec<(Place, usize)>,
}

/// Bytes of the spool that are durable only with the commit that carries them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Where they belong.
    pub place: Place,
    /// The bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
struct Current {
    number: u32,
    file: File,
    /// How much of it is written.
    written: u64,
}

impl SpoolWriter {
    /// The segment that the next message of this commit goes to.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.current.as_ref().filter(|current| !self.is_full(current)).map_or(self.next, |current| current.number)
    }

    /// Takes a message; it is on disk after the next [`SpoolWriter::write`].
    pub fn append(&mut self, job: JobId, message: &[u8]) -> Place {
        let segment = self.current();
        let written = self.current.as_ref().filter(|current| current.number == segment).map_or(0, |now| now.written);
        let offset = written + self.pending.len() as u64;
        let offset = u32::try_from(offset).expect("a segment ends with the commit in which it becomes full");
        debug_assert!(message.len() <= MESSAGE_BYTES_MAX, "a longer message has a file of its own");
        let length = u32::try_from(message.len()).expect("longer messages have files of their own");
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(&check_sum(job, message).to_be_bytes());
        self.pending.extend_from_slice(&job.to_bytes());
        self.pending.extend_from_slice(message);
        Place { segment, offset }
    }

    /// Writes what was appended, and syncs it, unless it is so little that it is sooner made durable by the commit
    /// itself, which must then carry it.
    ///
    /// # Errors
    /// When the disk fails or is full. What was appended is then nowhere, and nothing may refer to it.
    pub fn write(&mut self) -> io::Result<Written> {
        let mut written = Written::default();
        if self.pending.is_empty() {
            return Ok(written);
        }
        let number = self.current();
        if let Some(left) = self.current.as_ref().filter(|current| current.number != number)
            && !self.unsynced.is_empty()
        {
            left.file.sync_data()?;
            written.synced.append(&mut self.unsynced);
        }
        let is_begun = self.current.as_ref().is_some_and(|current| current.number == number);
        let current = match &mut self.current {
            Some(current) if current.number == number => current,
            other => {
                let path = self.spool.path(number);
                let file = File::options().write(true).create_new(true).open(&path)?;
                sync_dir(&self.spool.shared.root)?;
                self.next = number.saturating_add(1);
                other.insert(Current { number, file, written: 0 })
            }
        };
        current.file.write_all_at(&self.pending, current.written)?;
        let length = self.pending.len();
        let offset = u32::try_from(current.written).expect("a segment ends with the commit in which it becomes full");
        current.written += length as u64;
        if is_begun && length <= CARRIED_BYTES_MAX && self.unsynced.len() < CARRIED_WRITES_MAX {
            let place = Place { segment: number, offset };
            self.unsynced.push((place, length));
            written.carried = Some(Carried { place, bytes: self.pending.clone() });
        } else {
            current.file.sync_data()?;
            written.synced.append(&mut self.unsynced);
        }
        self.pending.clear();
        // One large commit must not keep its memory.
        self.pending.shrink_to(SPARE_BYTES);
        Ok(written)
    }

    fn is_full(&self, current: &Current) -> bool {
        current.written >= SEGMENT_BYTES
    }
}

/// How much room is kept for the next commit, in bytes.
const SPARE_BYTES: usize = 1 << 20;

/// What stands before each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message's length in bytes.
    pub length: u32,
    /// The CRC-32C over job and message.
    sum: u32,
    /// The job.
    pub job: JobId,
}

impl Header {
    /// The header at the beginning of `bytes`; nothing when they are too short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let (job, _) = rest.split_first_chunk::<16>()?;
        let (length, sum) = (u32::from_be_bytes(*length), u32::from_be_bytes(*sum));
        Some(Self { length, sum, job: JobId::from_bytes(*job) })
    }
}

fn check_sum(job: JobId, message: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&job.to_bytes()), message)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests;
