//! How jobs are read and rewritten together with what is derived from them.

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind},
};

use ::sled::IVec;
use bytes::Bytes;
use prost::Message as _;

use super::{
    codec,
    disk::{self, Disk, View},
    held_keys::held_keys,
    keys::{Key, ReturnKey},
};
use crate::{
    compose::cuts,
    domain::{
        backlog::Queued,
        event::{Event, EventKind, JobChange},
        ids::{JobId, MessageKey},
        job::{Flight, Job, Schedule},
        time::Timestamp,
    },
    storage::{
        StorageError,
        blobs::Files,
        lane_of,
        records::job::{Body, JobRow, Location},
        spool::{self, Spool},
    },
};

/// Longest message that is kept in the spool, in bytes; a longer one becomes a file.
pub(super) const SPOOLED_BYTES_MAX: usize = spool::MESSAGE_BYTES_MAX;

/// A job as it was read.
#[derive(Debug)]
pub(super) struct StoredJob {
    /// The job.
    pub(super) job: Job,
    /// Where its message is.
    pub(super) body: Body,
    /// How many frames its row has.
    pub(super) frames: u16,
}

/// Reads a job.
pub(super) fn load(view: &impl View, id: JobId) -> Result<Option<StoredJob>, StorageError> {
    let Some(stored) = disk::read_row::<JobRow>(view, |chunk| Key::Job { job: id, chunk })? else {
        return Ok(None);
    };
    let frames = stored.frames;
    let damaged = |error| StorageError::Damaged(format!("job {id}: {error}"));
    let body = stored.value.body().map_err(damaged)?;
    let job = stored.value.into_job(id).map_err(damaged)?;
    Ok(Some(StoredJob { job, body, frames }))
}

/// Where messages are kept.
#[derive(Clone, Debug)]
pub(super) struct Shelves {
    /// Those of usual size.
    pub(super) spool: Spool,
    /// Large ones.
    pub(super) files: Files,
}

/// Reads the bytes of a job's message, or of a merge job's content, without the files that were cut out of them. May block
/// for long when they are a file.
pub(super) fn load_body(disk: &Disk, shelves: &Shelves, stored: &StoredJob) -> Result<Bytes, StorageError> {
    let id = stored.job.id;
    let read = match stored.body.location {
        Location::Spool(place) => shelves.spool.read(place, id, rest_bytes(stored)),
        Location::File(hash) => shelves.files.read(&hash).map(Bytes::from),
        Location::Beside => {
            let read = disk::read(disk, |chunk| Key::Body { job: id, chunk })?;
            let missing = || StorageError::Damaged(format!("message of {id}: it is missing"));
            Ok(Bytes::from(read.ok_or_else(missing)?.value))
        }
    };
    read.map_err(|error| unreadable_message(id, &error))
}

/// How long what is left of a message is without its files, in bytes.
fn rest_bytes(stored: &StoredJob) -> u64 {
    let cut: u64 = stored.body.cuts.iter().map(|cut| cuts::encoded_bytes(cut.bytes)).sum();
    stored.job.message.bytes.saturating_sub(cut)
}

/// What it means that a part of a job's message cannot be read.
pub(super) fn unreadable_message(id: JobId, error: &io::Error) -> StorageError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidData => StorageError::Damaged(format!("message of {id}: {error}")),
        // Too many open files, say: the message may be as good as ever.
        _ => {
            tracing::warn!(job = %id, %error, "a message cannot be read at present");
            StorageError::Overloaded("a message cannot be read at present")
        }
    }
}

/// The frames of a job's row.
pub(super) fn job_frames(job: &Job, body: &Body) -> Vec<(IVec, IVec)> {
    let id = job.id;
    codec::frames(|chunk| Key::Job { job: id, chunk }, &JobRow::new(job, body).encode_to_vec())
}

/// The entry of the ready index that a plain job has while it waits and bears no mark, and a merge job while any message
/// of it does.
pub(super) fn ready_key(account: u32, job: &Job) -> Option<Key> {
    let due = job.due()?;
    if job.merge().is_some_and(|progress| progress.tally.waiting <= progress.underway) {
        return None;
    }
    Some(Key::Ready { account, priority: job.priority, lane: lane_of(&job.labels), due, job: job.id })
}

/// The entry of the expiry index that a job has while it waits or is held and its client set a time limit.
pub(super) fn expiry_key(job: &Job) -> Option<Key> {
    let at = job.expires_at.filter(|_| job.schedule != Schedule::Idle)?;
    Some(Key::Expiry { at, job: job.id })
}

/// The entry of a job that another account may take over; few jobs have one.
pub(super) fn divert_key(account: u32, job: &Job, flight: Flight) -> Option<Key> {
    job.divertible_since(flight).map(|due| Key::Divertible { account, due, job: job.id })
}

/// The entry of a plain job with recipients in doubt. Those of merge jobs stand beside what is known of their messages.
pub(super) fn doubt_key(account: u32, job: &Job, flight: Flight) -> Option<Key> {
    let since = job.doubtful_since(flight)?;
    Some(ReturnKey::Doubt { account, since, message: MessageKey::only(job.id) }.into())
}

/// The key and value that a waiting job has in the ready index.
pub(super) fn ready_entry(account: u32, job: &Job) -> Option<(IVec, IVec)> {
    Some((IVec::from(ready_key(account, job)?.to_bytes()), ready_value(job)))
}

/// What the ready index keeps beside the key: the recipients of the next attempt, or 0 for a merge job; the expiry
/// in milliseconds, 0 for none; and the bytes of its message at most. It has no check sum: a wrong value only makes a job wait for a look at its row.
pub(super) fn ready_value(job: &Job) -> IVec {
    let recipients = u32::try_from(job.pending().len()).unwrap_or(u32::MAX);
    let expires_at = job.expires_at.map_or(0, Timestamp::as_millis);
    let mut value = [0; 20];
    value[..4].copy_from_slice(&recipients.to_be_bytes());
    value[4..12].copy_from_slice(&expires_at.to_be_bytes());
    value[12..].copy_from_slice(&job.message_bytes_max().to_be_bytes());
    IVec::from(&value)
}

/// Reads the value of an entry of the ready index: recipients, expiry and bytes.
pub(super) fn parse_ready_value(value: &[u8]) -> Option<(u32, Option<Timestamp>, u64)> {
    let (recipients, rest) = value.split_first_chunk::<4>()?;
    let (expires_at, bytes) = rest.split_first_chunk::<8>()?;
    let expires_at = u64::from_be_bytes(*expires_at);
    let expires_at = (expires_at > 0).then(|| Timestamp::from_millis(expires_at));
    // An entry of a version that had no quotas of bytes does not say how many there are.
    let bytes = if bytes.is_empty() { 0 } else { u64::from_be_bytes(bytes.try_into().ok()?) };
    Some((u32::from_be_bytes(*recipients), expires_at, bytes))
}

/// Whether the in-doubt mark of a message is set.
pub(super) fn is_marked(view: &impl View, account: u32, message: MessageKey) -> Result<bool, StorageError> {
    let MessageKey { job, index } = message;
    Ok(view.get(&Key::Mark { account, job, index, chunk: 0 }.to_bytes())?.is_some())
}

/// Whether an attempt of a job is past its in-doubt mark.
pub(super) fn flight_of(view: &impl View, account: u32, job: &Job) -> Result<Flight, StorageError> {
    match job.merge() {
        Some(progress) => Ok(progress.flight()),
        None if is_marked(view, account, MessageKey::only(job.id))? => Ok(Flight::UnderWay),
        None => Ok(Flight::Grounded),
    }
}

/// The entry of the ready index that a job has now. A plain job under way has none.
pub(super) fn ready_now(account: u32, job: &Job, flight: Flight) -> Option<Key> {
    ready_key(account, job).filter(|_| flight == Flight::Grounded || job.merge().is_some())
}

/// An event about a job, as it is afterwards.
pub(super) fn job_event(job: &Job, change: JobChange, flight: Flight, now: Timestamp) -> Event {
    let state = job.state(flight, now);
    Event { at: now, account: job.account.clone(), kind: EventKind::Job { id: job.id, change, state } }
}

/// What was derived from a job before it changed.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) ready: Option<Key>,
    pub(super) expiry: Option<Key>,
    pub(super) divert: Option<Key>,
    pub(super) held: BTreeSet<Vec<u8>>,
    pub(super) doubt: Option<Key>,
    pub(super) is_open: bool,
    pub(super) queued: Queued,
}

impl Before {
    /// Taken before a job is changed.
    pub(super) fn of(account: u32, job: &Job, flight: Flight) -> Self {
        let ready = ready_now(account, job, flight);
        let divert = divert_key(account, job, flight);
        let (is_open, queued) = (job.is_open(), Queued::of_job(job));
        let (held, doubt) = (held_keys(job), doubt_key(account, job, flight));
        Self { ready, expiry: expiry_key(job), divert, held, doubt, is_open, queued }
    }
}
