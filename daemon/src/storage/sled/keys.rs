//! Which key stands for what: the one place where keys are spelt. Big-endian, fixed width, one prefix byte a family.

mod lists;
mod ready;
mod rest;
mod returns;

pub(super) use self::{
    lists::{ListKey, runs_prefix, scope_prefix},
    ready::{ready_lane_end, ready_lane_start, ready_priority},
    returns::ReturnKey,
};
use self::{
    ready::{priority_of_rank, priority_rank},
    rest::Rest,
};
use crate::{
    domain::{ids::JobId, job::Priority, time::Timestamp},
    storage::spool::Place,
};

/// A family of records: the first byte of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Family {
    /// Facts about the store itself.
    Meta = 0x00,
    /// Accounts' settings.
    Account = 0x01,
    /// Accounts' standings; none for an active one.
    Standing = 0x02,
    /// How many open jobs an account has. Derived.
    Tally = 0x03,
    /// What accounts hold of their OAuth 2 issuers.
    Tokens = 0x04,
    /// The routing rules.
    Routing = 0x08,
    /// DKIM keys, by a hash of their names.
    DkimKey = 0x09,
    /// The DKIM rules.
    DkimRules = 0x0a,
    /// Jobs.
    Job = 0x10,
    /// Recipients of merge jobs, in parts.
    Recipients = 0x11,
    /// In-doubt marks.
    Mark = 0x12,
    /// What is known of the messages of merge jobs, by page.
    Outcomes = 0x13,
    /// Messages, and contents of merge jobs, that are kept in the store itself.
    Body = 0x15,
    /// Merge jobs that are gone, and whose messages are yet to go.
    Doomed = 0x16,
    /// Waiting jobs in the order in which they go. Derived.
    Ready = 0x20,
    /// Messages of merge jobs that wait and were tried before, by the time they are due. Derived.
    Retry = 0x22,
    /// Jobs with pending recipients whose client set a time limit, by that time. Derived.
    Expiry = 0x21,
    /// Waiting jobs that another account may take over, by the time they are due. Derived.
    Divertible = 0x24,
    /// Idempotency keys.
    Idempotency = 0x30,
    /// Idempotency keys by the day of their acceptance. Derived.
    IdempotencyDay = 0x31,
    /// Messages in doubt that bear no mark, by the time since when they are. Derived.
    Doubt = 0x40,
    /// Messages by account and a hash of their names. Derived.
    Name = 0x41,
    /// The names of messages, by job.
    NameOf = 0x42,
    /// Messages of POP3 mailboxes that were read.
    Read = 0x43,
    /// Up to where folders of IMAP mailboxes were read.
    ReadUpTo = 0x44,
    /// By what mail is known that comes twice.
    Fingerprint = 0x45,
    /// The same by the day of its arrival. Derived.
    FingerprintDay = 0x46,
    /// Mail that came.
    Inbound = 0x47,
    /// What is in it.
    InboundContent = 0x48,
    /// Buckets of the quota ledgers.
    Bucket = 0x50,
    /// Events, those of one commit together.
    Events = 0x60,
    /// How much of a segment of the spool is referred to.
    Segment = 0x70,
    /// Bytes of the spool that are not synced there.
    Tail = 0x72,
    /// Which job's message is in which file, or has it as a part.
    FileEdge = 0x71,
    /// Which caller has uploaded which file.
    Blob = 0x73,
    /// Records that could not be read, as they were.
    Quarantine = 0x7f,
    /// Suppressions, in the order of scope and address.
    Suppression = 0x80,
    /// Runs of messages that came back from an address for reasons that may pass.
    SoftRun = 0x81,
    /// Suppressions and runs that end by themselves, by the time at which they do. Derived.
    Ending = 0x82,
    /// Recipients that a suppression holds back, by its key. Derived.
    Held = 0x83,
    /// By which suppression a message of a merge job is held back.
    HeldBy = 0x84,
    /// What was counted of an account in an hour or a day.
    Count = 0x88,
}

/// A key. `chunk` counts the pieces of a value that is longer than one; the first one is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Meta { fact: u8 },
    Account { account: u32, chunk: u16 },
    Standing { account: u32, chunk: u16 },
    Tally { account: u32 },
    Tokens { account: u32, chunk: u16 },
    Routing { chunk: u16 },
    Dkim { hash: [u8; 16], chunk: u16 },
    DkimRules { chunk: u16 },
    Job { job: JobId, chunk: u16 },
    Recipients { job: JobId, first: u32, chunk: u16 },
    Mark { account: u32, job: JobId, index: u32, chunk: u16 },
    Outcomes { job: JobId, page: u32, chunk: u16 },
    Doomed { job: JobId },
    Retry { job: JobId, due: Timestamp, index: u32 },
    Body { job: JobId, chunk: u16 },
    Ready { account: u32, priority: Priority, lane: u32, due: Timestamp, job: JobId },
    Expiry { at: Timestamp, job: JobId },
    Divertible { account: u32, due: Timestamp, job: JobId },
    Idempotency { hash: [u8; 16] },
    IdempotencyDay { day: u32, hash: [u8; 16] },
    Return(ReturnKey),
    Bucket { account: u32, quota: [u8; 8], bucket: u64 },
    Events { seq: u64, chunk: u16 },
    Segment { number: u32 },
    FileEdge { file: [u8; 32], job: JobId },
    Blob { file: [u8; 32], caller: [u8; 16] },
    Tail { place: Place, chunk: u16 },
    Quarantine { number: u32, original: Vec<u8> },
    List(ListKey),
}

impl Family {
    /// All families.
    pub(super) const ALL: [Self; 42] = [
        Self::Meta,
        Self::Account,
        Self::Standing,
        Self::Tally,
        Self::Tokens,
        Self::Routing,
        Self::DkimKey,
        Self::DkimRules,
        Self::Job,
        Self::Recipients,
        Self::Mark,
        Self::Outcomes,
        Self::Body,
        Self::Doomed,
        Self::Ready,
        Self::Retry,
        Self::Expiry,
        Self::Divertible,
        Self::Idempotency,
        Self::IdempotencyDay,
        Self::Doubt,
        Self::Name,
        Self::NameOf,
        Self::Read,
        Self::ReadUpTo,
        Self::Fingerprint,
        Self::FingerprintDay,
        Self::Inbound,
        Self::InboundContent,
        Self::Bucket,
        Self::Events,
        Self::Segment,
        Self::FileEdge,
        Self::Blob,
        Self::Tail,
        Self::Quarantine,
        Self::Suppression,
        Self::SoftRun,
        Self::Ending,
        Self::Held,
        Self::HeldBy,
        Self::Count,
    ];

    /// What all its keys begin with.
    pub(super) const fn prefix(self) -> [u8; 1] {
        [self as u8]
    }

    /// What the keys of one account begin with, in the families that sort by account.
    pub(super) fn of_account(self, account: u32) -> [u8; 5] {
        let [a, b, c, d] = account.to_be_bytes();
        [self as u8, a, b, c, d]
    }

    /// The family of a key.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        let first = key.first()?;
        Self::ALL.into_iter().find(|family| *family as u8 == *first)
    }
}

impl Key {
    /// The key's family.
    pub(super) const fn family(&self) -> Family {
        match self {
            Self::Meta { .. } => Family::Meta,
            Self::Account { .. } => Family::Account,
            Self::Standing { .. } => Family::Standing,
            Self::Tally { .. } => Family::Tally,
            Self::Tokens { .. } => Family::Tokens,
            Self::Routing { .. } => Family::Routing,
            Self::Dkim { .. } => Family::DkimKey,
            Self::DkimRules { .. } => Family::DkimRules,
            Self::Job { .. } => Family::Job,
            Self::Recipients { .. } => Family::Recipients,
            Self::Mark { .. } => Family::Mark,
            Self::Outcomes { .. } => Family::Outcomes,
            Self::Doomed { .. } => Family::Doomed,
            Self::Retry { .. } => Family::Retry,
            Self::Body { .. } => Family::Body,
            Self::Ready { .. } => Family::Ready,
            Self::Expiry { .. } => Family::Expiry,
            Self::Divertible { .. } => Family::Divertible,
            Self::Idempotency { .. } => Family::Idempotency,
            Self::IdempotencyDay { .. } => Family::IdempotencyDay,
            Self::Return(key) => key.family(),
            Self::Bucket { .. } => Family::Bucket,
            Self::Events { .. } => Family::Events,
            Self::Segment { .. } => Family::Segment,
            Self::FileEdge { .. } => Family::FileEdge,
            Self::Blob { .. } => Family::Blob,
            Self::Tail { .. } => Family::Tail,
            Self::Quarantine { .. } => Family::Quarantine,
            Self::List(key) => key.family(),
        }
    }

    /// The key as it is stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        bytes.push(self.family() as u8);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
        match self {
            Self::Meta { fact } => put(&[&[*fact]]),
            Self::Account { account, chunk } | Self::Standing { account, chunk } | Self::Tokens { account, chunk } => {
                put(&[&account.to_be_bytes(), &chunk.to_be_bytes()]);
            }
            Self::Tally { account: number } | Self::Segment { number } => put(&[&number.to_be_bytes()]),
            Self::Job { job, chunk } | Self::Body { job, chunk } => put(&[&job.to_bytes(), &chunk.to_be_bytes()]),
            Self::Recipients { job, first: number, chunk } | Self::Outcomes { job, page: number, chunk } => {
                put(&[&job.to_bytes(), &number.to_be_bytes(), &chunk.to_be_bytes()]);
            }
            Self::Mark { account, job, index, chunk } => {
                put(&[&account.to_be_bytes(), &job.to_bytes(), &index.to_be_bytes(), &chunk.to_be_bytes()]);
            }
            Self::Doomed { job } => put(&[&job.to_bytes()]),
            Self::Retry { job, due, index } => {
                put(&[&job.to_bytes(), &due.as_millis().to_be_bytes(), &index.to_be_bytes()]);
            }
            Self::Ready { account, priority, lane, due, job } => {
                put(&[&account.to_be_bytes(), &[priority_rank(*priority)], &lane.to_be_bytes()]);
                put(&[&due.as_millis().to_be_bytes(), &job.to_bytes()]);
            }
            Self::Expiry { at, job } => put(&[&at.as_millis().to_be_bytes(), &job.to_bytes()]),
            Self::Divertible { account, due, job } => {
                put(&[&account.to_be_bytes(), &due.as_millis().to_be_bytes(), &job.to_bytes()]);
            }
            Self::Routing { chunk } | Self::DkimRules { chunk } => put(&[&chunk.to_be_bytes()]),
            Self::Dkim { hash, chunk } => put(&[hash, &chunk.to_be_bytes()]),
            Self::Idempotency { hash } => put(&[hash]),
            Self::IdempotencyDay { day, hash } => put(&[&day.to_be_bytes(), hash]),
            Self::Return(key) => put(&[&key.to_bytes()]),
            Self::Bucket { account, quota, bucket } => {
                put(&[&account.to_be_bytes(), quota, &bucket.to_be_bytes()]);
            }
            Self::Events { seq, chunk } => put(&[&seq.to_be_bytes(), &chunk.to_be_bytes()]),
            Self::Tail { place, chunk } => put(&[&place.to_number().to_be_bytes(), &chunk.to_be_bytes()]),
            Self::FileEdge { file, job } => put(&[file, &job.to_bytes()]),
            Self::Blob { file, caller } => put(&[file, caller]),
            Self::Quarantine { number, original } => put(&[&number.to_be_bytes(), original]),
            Self::List(key) => key.put(&mut bytes),
        }
        bytes
    }

    /// What the keys of all frames of a value begin with, in the families that count frames.
    pub(super) fn stem(&self) -> Vec<u8> {
        let mut bytes = self.to_bytes();
        bytes.truncate(bytes.len() - 2);
        bytes
    }

    /// What all keys about one file begin with, in the families that sort by file.
    pub(super) fn of_file(family: Family, file: &[u8; 32]) -> [u8; 33] {
        let mut bytes = [family as u8; 33];
        bytes[1..].copy_from_slice(file);
        bytes
    }

    /// What all keys of one job begin with, in the families that sort by job.
    pub(super) fn of_job(family: Family, job: JobId) -> [u8; 17] {
        let mut bytes = [family as u8; 17];
        bytes[1..].copy_from_slice(&job.to_bytes());
        bytes
    }

    /// The key that is stored as these bytes, if it is one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let family = Family::of(bytes)?;
        let mut rest = Rest::new(bytes.get(1..)?);
        let key = match family {
            Family::Meta => Self::Meta { fact: rest.u8()? },
            Family::Account => Self::Account { account: rest.u32()?, chunk: rest.u16()? },
            Family::Standing => Self::Standing { account: rest.u32()?, chunk: rest.u16()? },
            Family::Tally => Self::Tally { account: rest.u32()? },
            Family::Tokens => Self::Tokens { account: rest.u32()?, chunk: rest.u16()? },
            Family::Job => Self::Job { job: rest.job()?, chunk: rest.u16()? },
            Family::Recipients => Self::Recipients { job: rest.job()?, first: rest.u32()?, chunk: rest.u16()? },
            Family::Mark => {
                Self::Mark { account: rest.u32()?, job: rest.job()?, index: rest.u32()?, chunk: rest.u16()? }
            }
            Family::Outcomes => Self::Outcomes { job: rest.job()?, page: rest.u32()?, chunk: rest.u16()? },
            Family::Doomed => Self::Doomed { job: rest.job()? },
            Family::Retry => {
                Self::Retry { job: rest.job()?, due: Timestamp::from_millis(rest.u64()?), index: rest.u32()? }
            }
            Family::Body => Self::Body { job: rest.job()?, chunk: rest.u16()? },
            Family::Ready => Self::Ready {
                account: rest.u32()?,
                priority: priority_of_rank(rest.u8()?)?,
                lane: rest.u32()?,
                due: Timestamp::from_millis(rest.u64()?),
                job: rest.job()?,
            },
            Family::Expiry => Self::Expiry { at: Timestamp::from_millis(rest.u64()?), job: rest.job()? },
            Family::Divertible => {
                Self::Divertible { account: rest.u32()?, due: Timestamp::from_millis(rest.u64()?), job: rest.job()? }
            }
            Family::Routing => Self::Routing { chunk: rest.u16()? },
            Family::DkimKey => Self::Dkim { hash: rest.take()?, chunk: rest.u16()? },
            Family::DkimRules => Self::DkimRules { chunk: rest.u16()? },
            Family::Idempotency => Self::Idempotency { hash: rest.take()? },
            Family::IdempotencyDay => Self::IdempotencyDay { day: rest.u32()?, hash: rest.take()? },
            Family::Bucket => Self::Bucket { account: rest.u32()?, quota: rest.take()?, bucket: rest.u64()? },
            Family::Events => Self::Events { seq: rest.u64()?, chunk: rest.u16()? },
            Family::Segment => Self::Segment { number: rest.u32()? },
            Family::Tail => Self::Tail { place: Place::from_number(rest.u64()?), chunk: rest.u16()? },
            Family::FileEdge => Self::FileEdge { file: rest.take()?, job: rest.job()? },
            Family::Blob => Self::Blob { file: rest.take()?, caller: rest.take()? },
            Family::Quarantine => {
                let number = rest.u32()?;
                Self::Quarantine { number, original: rest.all().to_vec() }
            }
            Family::Suppression | Family::SoftRun | Family::Ending | Family::Held | Family::HeldBy | Family::Count => {
                Self::List(ListKey::parse(family, &mut rest)?)
            }
            family => Self::Return(ReturnKey::parse(family, &mut rest)?),
        };
        rest.is_empty().then_some(key)
    }
}

#[cfg(test)]
mod tests;
