//! How jobs come in: encoded by their caller, checked and stored by the committer.

use std::io;

use ::sled::IVec;
use bytes::Bytes;
use prost::Message as _;

use super::{
    SledStore, codec,
    held_keys::held_keys,
    jobs::{SPOOLED_BYTES_MAX, divert_key, expiry_key, job_event, ready_entry},
    kept_file::KeptFile,
    keys::Key,
    returns::names::own_name_hash,
    shelving::Shelved,
    txn::Txn,
    writer::{BYTES_PER_COMMIT_MAX, CHANGES_PER_COMMIT_MAX, Patience, Weight},
};
use crate::{
    domain::{
        backlog::Queued,
        event::{Event, JobChange},
        ids::{AccountId, JobId, MessageKey},
        job::{Flight, Job, Priority},
        statistics::Counted,
        time::Timestamp,
    },
    storage::{
        Acceptance, Idempotency, StorageError, Submission,
        blobs::Pin,
        records::{
            idempotency::IdempotencyRow,
            job::{Body, JobRow},
        },
    },
};

/// A submission as it will be stored.
#[derive(Debug)]
pub(super) struct Prepared {
    account: AccountId,
    /// The account's number; nothing when there is no such account.
    number: Option<u32>,
    is_open: bool,
    priority: Priority,
    queued: Queued,
    id: JobId,
    /// The job's row, but for the place of its message.
    row: Vec<u8>,
    /// The message, unless it has a file.
    message: Option<Bytes>,
    entries: Vec<(IVec, IVec)>,
    /// The hash of a name of its own by which it is found.
    name: Option<[u8; 16]>,
    key: Option<PreparedKey>,
    event: Event,
    /// What is counted when it is accepted.
    pub(super) counted: Vec<Counted>,
    bytes: usize,
    /// Whether its account had too many open jobs already, so that its message was not even written.
    is_full: bool,
    /// Keeps its files until the commit is durable.
    _files: Vec<KeptFile>,
}

#[derive(Debug)]
struct PreparedKey {
    hash: [u8; 16],
    row: IdempotencyRow,
}

impl SledStore {
    /// Asks the committer, so that what it answers is durable.
    pub(super) async fn find_submission(&self, idempotency: &Idempotency) -> Result<Option<Acceptance>, StorageError> {
        let (hash, payload_hash) = (key_hash(idempotency), idempotency.payload_hash);
        let weight = Weight { changes: 1, bytes: 0 };
        self.writer.commit(weight, Patience::Refuse, move |txn| submitted(txn, hash, &payload_hash)).await
    }

    pub(super) async fn accept_jobs(&self, submissions: Vec<Submission>) -> Result<Vec<Acceptance>, StorageError> {
        self.disk.failure.check()?;
        self.space.check()?;
        let total = submissions.len();
        let mut prepared = Vec::with_capacity(total);
        for submission in submissions {
            prepared.push(self.prepare(submission).await?);
        }
        let calls = into_calls(prepared);
        // Room for all is taken before anything is sent, so that a refusal means that nothing was stored.
        let mut rooms = Vec::with_capacity(calls.len());
        for call in &calls {
            rooms.push(self.writer.room(weight(call), Patience::Refuse).await?);
        }
        let open_jobs_max = self.settings.open_jobs_per_account_max;
        let mut sent = Vec::with_capacity(calls.len());
        for (call, room) in calls.into_iter().zip(rooms) {
            let weight = weight(&call);
            sent.push(self.writer.send(weight, room, move |txn| accept_all(txn, call, open_jobs_max))?);
        }
        let mut answers = Vec::with_capacity(total);
        for answer in sent {
            answers.extend(answer.wait().await?.0);
        }
        Ok(answers)
    }

    async fn prepare(&self, submission: Submission) -> Result<Prepared, StorageError> {
        let Submission { job, message, idempotency, counted } = submission;
        let entry = self.entry_of(&job.account);
        let is_full = self.is_full(&job.account);
        // The committer refuses what comes without its account's number or is full, so no file is written for it.
        let is_large = message.bytes.len() > SPOOLED_BYTES_MAX;
        let shelved = if is_large && (entry.is_none() || is_full) {
            Shelved { spooled: None, body: Body::default(), files: Vec::new() }
        } else {
            self.shelve(message).await?
        };
        let Shelved { spooled, body, files } = shelved;
        let edge = |file: &KeptFile| codec::single(&Key::FileEdge { file: *file.hash(), job: job.id }, &[]);
        let entries = files.iter().map(edge).collect();
        let mut prepared = self.prepared(&job, &body, entries, files, idempotency);
        prepared.is_full = is_full && is_large;
        prepared.counted = counted;
        if let Some(spooled) = spooled {
            prepared.bytes += spooled.len();
            prepared.message = Some(spooled);
        }
        Ok(prepared)
    }

    fn is_full(&self, account: &AccountId) -> bool {
        let entry = self.entry_of(account);
        entry.is_some_and(|entry| entry.open_jobs >= self.settings.open_jobs_per_account_max)
    }

    /// A job as it will be stored, with what is derived from it. `entries` are those of its content.
    pub(super) fn prepared(
        &self,
        job: &Job,
        body: &Body,
        mut entries: Vec<(IVec, IVec)>,
        files: Vec<KeptFile>,
        idempotency: Option<Idempotency>,
    ) -> Prepared {
        let number = self.number_of(&job.account);
        let row = JobRow::new(job, body).encode_to_vec();
        entries.extend(number.and_then(|number| ready_entry(number, job)));
        let divert = number.and_then(|number| divert_key(number, job, Flight::Grounded));
        entries.extend(divert.map(|key| (IVec::from(key.to_bytes()), IVec::default())));
        entries.extend(expiry_key(job).map(|key| (IVec::from(key.to_bytes()), IVec::default())));
        entries.extend(held_keys(job).into_iter().map(|key| (IVec::from(key), IVec::default())));
        let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        Prepared {
            account: job.account.clone(),
            number,
            is_open: job.is_open(),
            priority: job.priority,
            queued: Queued::of_job(job),
            id: job.id,
            bytes: bytes + row.len(),
            row,
            message: None,
            entries,
            name: own_name_hash(job),
            key: idempotency.map(|idempotency| prepare_key(&idempotency, job.id, job.accepted_at)),
            event: job_event(job, JobChange::Accepted, Flight::Grounded, job.accepted_at),
            counted: Vec::new(),
            is_full: false,
            _files: files,
        }
    }

    /// Stores what was prepared, all or nothing.
    pub(super) async fn accept_prepared(&self, prepared: Prepared) -> Result<Acceptance, StorageError> {
        let call = vec![prepared];
        let weight = weight(&call);
        let open_jobs_max = self.settings.open_jobs_per_account_max;
        let accept = move |txn: &mut Txn| accept_all(txn, call, open_jobs_max);
        let (answers, _call) = self.writer.commit(weight, Patience::Refuse, accept).await?;
        Ok(answers[0])
    }

    pub(super) fn store_file(&self, content: &[u8]) -> Result<Pin, StorageError> {
        self.shelves.files.store_bytes(content).map_err(|error| self.file_error(&error, content.len() as u64))
    }

    /// What it means that a file of so many bytes cannot be written.
    pub(super) fn file_error(&self, error: &io::Error, bytes: u64) -> StorageError {
        self.space.look();
        match (cause_of(error), self.space.check()) {
            (Cause::BrokenDisk, _) => {
                self.disk.failure.record(format_args!("cannot write a file of a message: {error}"))
            }
            (Cause::FullDisk, Err(refusal)) => refusal,
            (Cause::FullDisk, Ok(())) => StorageError::DiskNearlyFull { free_bytes: 0, needed_bytes: bytes },
            (Cause::Passing, _) => {
                tracing::warn!(%error, "a file of a message cannot be written: it is refused");
                StorageError::Overloaded("a file of a message cannot be written at present")
            }
        }
    }
}

/// Why a message's file was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The disk itself fails: what it took before may be lost too, so the store stops.
    BrokenDisk,
    /// There is no room, or no more is allowed. Only this submission is refused.
    FullDisk,
    /// Anything else, such as too many open files, says nothing about the store's own log. Only this submission is
    /// refused: nothing of it was acknowledged.
    Passing,
}

fn cause_of(error: &io::Error) -> Cause {
    /// EIO, ENXIO and ENODEV, which have these numbers on every Unix and no kind of their own.
    const BROKEN: [i32; 3] = [5, 6, 19];
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Cause::BrokenDisk,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Cause::FullDisk,
        _ if error.raw_os_error().is_some_and(|number| BROKEN.contains(&number)) => Cause::BrokenDisk,
        _ => Cause::Passing,
    }
}

/// The hash under which an idempotency key is kept: keys of different callers never meet.
fn key_hash(idempotency: &Idempotency) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    // A caller's name holds no NUL, so the two parts cannot run into each other.
    hasher.update(idempotency.caller.as_str().as_bytes()).update(&[0]).update(idempotency.key.as_str().as_bytes());
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    hash
}

fn prepare_key(idempotency: &Idempotency, job: JobId, at: Timestamp) -> PreparedKey {
    let row = IdempotencyRow {
        job: job.to_bytes().to_vec(),
        payload_hash: idempotency.payload_hash.to_vec(),
        at: at.as_millis(),
    };
    PreparedKey { hash: key_hash(idempotency), row }
}

/// The day of a time, counted from 1970-01-01 in UTC.
pub(super) fn day_of(time: Timestamp) -> u32 {
    u32::try_from(time.as_millis() / 86_400_000).unwrap_or(u32::MAX)
}

/// Cuts submissions into calls that each fit into a commit.
fn into_calls(prepared: Vec<Prepared>) -> Vec<Vec<Prepared>> {
    let mut calls: Vec<Vec<Prepared>> = Vec::new();
    let mut bytes = 0;
    for one in prepared {
        let fits = |call: &&mut Vec<Prepared>| {
            call.len() < CHANGES_PER_COMMIT_MAX && bytes + one.bytes <= BYTES_PER_COMMIT_MAX
        };
        match calls.last_mut().filter(|call| fits(call)) {
            Some(call) => {
                bytes += one.bytes;
                call.push(one);
            }
            None => {
                bytes = one.bytes;
                calls.push(vec![one]);
            }
        }
    }
    calls
}

fn weight(call: &[Prepared]) -> Weight {
    Weight { changes: call.len(), bytes: call.iter().map(|one| one.bytes).sum() }
}

type Accepted = (Vec<Acceptance>, Vec<Prepared>);

fn accept_all(txn: &mut Txn, call: Vec<Prepared>, open_jobs_max: u64) -> Result<Accepted, StorageError> {
    let mut answers = Vec::with_capacity(call.len());
    let mut call = call;
    // Read all before the first is stored: a damaged row refuses the call, which then has stored nothing.
    for PreparedKey { hash, row } in call.iter().filter_map(|one| one.key.as_ref()) {
        submitted(txn, *hash, &row.payload_hash)?;
    }
    for one in &mut call {
        answers.push(accept_one(txn, one, open_jobs_max)?);
    }
    // What was prepared goes back with the answer: its pins are held until the commit is durable.
    Ok((answers, call))
}

/// What was submitted under an idempotency key before.
fn submitted(txn: &Txn, hash: [u8; 16], payload_hash: &[u8]) -> Result<Option<Acceptance>, StorageError> {
    let Some(known) = txn.row::<IdempotencyRow>(|_| Key::Idempotency { hash })? else {
        return Ok(None);
    };
    let job = known.value.job_id().map_err(|error| StorageError::Damaged(error.to_string()))?;
    let is_same = known.value.payload_hash == payload_hash;
    Ok(Some(if is_same { Acceptance::Existing(job) } else { Acceptance::KeyReused(job) }))
}

fn accept_one(txn: &mut Txn, one: &mut Prepared, open_jobs_max: u64) -> Result<Acceptance, StorageError> {
    if let Some(PreparedKey { hash, row }) = &one.key
        && let Some(known) = submitted(txn, *hash, &row.payload_hash)?
    {
        return Ok(known);
    }
    let entry = txn.accounts.get(&one.account);
    let Some(entry) = entry.filter(|entry| Some(entry.number) == one.number).copied() else {
        return Ok(Acceptance::UnknownAccount);
    };
    if one.is_full || entry.open_jobs >= open_jobs_max {
        return Ok(Acceptance::QueueFull);
    }
    if let Some(PreparedKey { hash, row }) = one.key.take() {
        let day_key = Key::IdempotencyDay { day: day_of(Timestamp::from_millis(row.at)), hash };
        txn.put(IVec::from(day_key.to_bytes()), IVec::default());
        txn.put_row(|_| Key::Idempotency { hash }, &row, 1);
    }
    if let Some(message) = one.message.take() {
        JobRow::add_place(&mut one.row, txn.spool(one.id, &message)?);
    }
    let job = one.id;
    if let (Some(account), Some(name)) = (one.number, one.name) {
        txn.put_name(account, name, MessageKey::only(job))?;
    }
    let frames = codec::frames(|chunk| Key::Job { job, chunk }, &one.row);
    for (key, value) in frames.into_iter().chain(one.entries.drain(..)) {
        txn.put(key, value);
    }
    txn.count_open(&one.account, false, one.is_open);
    txn.count_queued(&one.account, one.priority, Queued::default(), one.queued);
    txn.count(entry.number, &one.counted, one.event.at);
    txn.made.changed.insert(one.account.clone());
    txn.event(one.event.clone());
    Ok(Acceptance::Accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_cause(error: io::Error, expected: Cause) {
        assert_eq!(cause_of(&error), expected, "{error:?}");
    }

    #[test]
    fn only_a_broken_disk_stops_the_store() {
        check_cause(io::Error::from_raw_os_error(5), Cause::BrokenDisk);
        check_cause(io::ErrorKind::ReadOnlyFilesystem.into(), Cause::BrokenDisk);
        check_cause(io::ErrorKind::StorageFull.into(), Cause::FullDisk);
        check_cause(io::ErrorKind::QuotaExceeded.into(), Cause::FullDisk);
        // EMFILE, ENFILE and ENOMEM.
        check_cause(io::Error::from_raw_os_error(24), Cause::Passing);
        check_cause(io::Error::from_raw_os_error(23), Cause::Passing);
        check_cause(io::Error::from_raw_os_error(12), Cause::Passing);
        check_cause(io::ErrorKind::PermissionDenied.into(), Cause::Passing);
    }
}
