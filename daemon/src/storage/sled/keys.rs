//! Which key stands for what: the one place where keys are spelt. Big-endian, fixed width, one prefix byte a family.

use crate::domain::{ids::JobId, job::Priority, time::Timestamp};

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
    /// Jobs.
    Job = 0x10,
    /// In-doubt marks.
    Mark = 0x12,
    /// Messages that are kept in the store itself.
    Body = 0x15,
    /// Waiting jobs in the order in which they go. Derived.
    Ready = 0x20,
    /// Jobs with pending recipients whose client set a time limit, by that time. Derived.
    Expiry = 0x21,
    /// Idempotency keys.
    Idempotency = 0x30,
    /// Idempotency keys by the day of their acceptance. Derived.
    IdempotencyDay = 0x31,
    /// Buckets of the quota ledgers.
    Bucket = 0x50,
    /// Events, those of one commit together.
    Events = 0x60,
    /// How much of a segment of the spool is referred to.
    Segment = 0x70,
    /// Which job's message is in which file.
    FileEdge = 0x71,
    /// Records that could not be read, as they were.
    Quarantine = 0x7f,
}

/// A key. `chunk` counts the pieces of a value that is longer than one; the first one is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Meta { fact: u8 },
    Account { account: u32, chunk: u16 },
    Standing { account: u32, chunk: u16 },
    Tally { account: u32 },
    Job { job: JobId, chunk: u16 },
    Mark { account: u32, job: JobId, chunk: u16 },
    Body { job: JobId, chunk: u16 },
    Ready { account: u32, priority: Priority, lane: u32, due: Timestamp, job: JobId },
    Expiry { at: Timestamp, job: JobId },
    Idempotency { hash: [u8; 16] },
    IdempotencyDay { day: u32, hash: [u8; 16] },
    Bucket { account: u32, quota: [u8; 8], bucket: u64 },
    Events { seq: u64, chunk: u16 },
    Segment { number: u32 },
    FileEdge { file: [u8; 32], job: JobId },
    Quarantine { number: u32, original: Vec<u8> },
}

impl Family {
    /// All families.
    pub(super) const ALL: [Self; 16] = [
        Self::Meta,
        Self::Account,
        Self::Standing,
        Self::Tally,
        Self::Job,
        Self::Mark,
        Self::Body,
        Self::Ready,
        Self::Expiry,
        Self::Idempotency,
        Self::IdempotencyDay,
        Self::Bucket,
        Self::Events,
        Self::Segment,
        Self::FileEdge,
        Self::Quarantine,
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
            Self::Job { .. } => Family::Job,
            Self::Mark { .. } => Family::Mark,
            Self::Body { .. } => Family::Body,
            Self::Ready { .. } => Family::Ready,
            Self::Expiry { .. } => Family::Expiry,
            Self::Idempotency { .. } => Family::Idempotency,
            Self::IdempotencyDay { .. } => Family::IdempotencyDay,
            Self::Bucket { .. } => Family::Bucket,
            Self::Events { .. } => Family::Events,
            Self::Segment { .. } => Family::Segment,
            Self::FileEdge { .. } => Family::FileEdge,
            Self::Quarantine { .. } => Family::Quarantine,
        }
    }

    /// The key as it is stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(36);
        bytes.push(self.family() as u8);
        let put = |part: &[u8], bytes: &mut Vec<u8>| bytes.extend_from_slice(part);
        match self {
            Self::Meta { fact } => put(&[*fact], &mut bytes),
            Self::Account { account, chunk } | Self::Standing { account, chunk } => {
                put(&account.to_be_bytes(), &mut bytes);
                put(&chunk.to_be_bytes(), &mut bytes);
            }
            Self::Tally { account: number } | Self::Segment { number } => put(&number.to_be_bytes(), &mut bytes),
            Self::Job { job, chunk } | Self::Body { job, chunk } => {
                put(&job.to_bytes(), &mut bytes);
                put(&chunk.to_be_bytes(), &mut bytes);
            }
            Self::Mark { account, job, chunk } => {
                put(&account.to_be_bytes(), &mut bytes);
                put(&job.to_bytes(), &mut bytes);
                put(&chunk.to_be_bytes(), &mut bytes);
            }
            Self::Ready { account, priority, lane, due, job } => {
                put(&account.to_be_bytes(), &mut bytes);
                bytes.push(priority_rank(*priority));
                put(&lane.to_be_bytes(), &mut bytes);
                put(&due.as_millis().to_be_bytes(), &mut bytes);
                put(&job.to_bytes(), &mut bytes);
            }
            Self::Expiry { at, job } => {
                put(&at.as_millis().to_be_bytes(), &mut bytes);
                put(&job.to_bytes(), &mut bytes);
            }
            Self::Idempotency { hash } => put(hash, &mut bytes),
            Self::IdempotencyDay { day, hash } => {
                put(&day.to_be_bytes(), &mut bytes);
                put(hash, &mut bytes);
            }
            Self::Bucket { account, quota, bucket } => {
                put(&account.to_be_bytes(), &mut bytes);
                put(quota, &mut bytes);
                put(&bucket.to_be_bytes(), &mut bytes);
            }
            Self::Events { seq, chunk } => {
                put(&seq.to_be_bytes(), &mut bytes);
                put(&chunk.to_be_bytes(), &mut bytes);
            }
            Self::FileEdge { file, job } => {
                put(file, &mut bytes);
                put(&job.to_bytes(), &mut bytes);
            }
            Self::Quarantine { number, original } => {
                put(&number.to_be_bytes(), &mut bytes);
                put(original, &mut bytes);
            }
        }
        bytes
    }

    /// What the keys of all frames of a value begin with, in the families that count frames.
    pub(super) fn stem(&self) -> Vec<u8> {
        let mut bytes = self.to_bytes();
        bytes.truncate(bytes.len() - 2);
        bytes
    }

    /// The key that is stored as these bytes, if it is one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let family = Family::of(bytes)?;
        let mut rest = Rest(bytes.get(1..)?);
        let key = match family {
            Family::Meta => Self::Meta { fact: rest.u8()? },
            Family::Account => Self::Account { account: rest.u32()?, chunk: rest.u16()? },
            Family::Standing => Self::Standing { account: rest.u32()?, chunk: rest.u16()? },
            Family::Tally => Self::Tally { account: rest.u32()? },
            Family::Job => Self::Job { job: rest.job()?, chunk: rest.u16()? },
            Family::Mark => Self::Mark { account: rest.u32()?, job: rest.job()?, chunk: rest.u16()? },
            Family::Body => Self::Body { job: rest.job()?, chunk: rest.u16()? },
            Family::Ready => Self::Ready {
                account: rest.u32()?,
                priority: priority_of_rank(rest.u8()?)?,
                lane: rest.u32()?,
                due: Timestamp::from_millis(rest.u64()?),
                job: rest.job()?,
            },
            Family::Expiry => Self::Expiry { at: Timestamp::from_millis(rest.u64()?), job: rest.job()? },
            Family::Idempotency => Self::Idempotency { hash: rest.take()? },
            Family::IdempotencyDay => Self::IdempotencyDay { day: rest.u32()?, hash: rest.take()? },
            Family::Bucket => Self::Bucket { account: rest.u32()?, quota: rest.take()?, bucket: rest.u64()? },
            Family::Events => Self::Events { seq: rest.u64()?, chunk: rest.u16()? },
            Family::Segment => Self::Segment { number: rest.u32()? },
            Family::FileEdge => Self::FileEdge { file: rest.take()?, job: rest.job()? },
            Family::Quarantine => {
                let number = rest.u32()?;
                Self::Quarantine { number, original: std::mem::take(&mut rest.0).to_vec() }
            }
        };
        rest.0.is_empty().then_some(key)
    }
}

/// The end of an account's keys of one priority and lane in the ready index: `bytes` that sort after all of them.
pub(super) fn ready_lane_end(account: u32, priority: Priority, lane: u32) -> Vec<u8> {
    let mut bytes = ready_lane_start(account, priority, lane);
    bytes.extend_from_slice(&[0xff; 25]);
    bytes
}

/// The beginning of an account's keys of one priority and lane in the ready index.
pub(super) fn ready_lane_start(account: u32, priority: Priority, lane: u32) -> Vec<u8> {
    let mut bytes = ready_priority(account, priority);
    bytes.extend_from_slice(&lane.to_be_bytes());
    bytes
}

/// What an account's keys of one priority in the ready index begin with.
pub(super) fn ready_priority(account: u32, priority: Priority) -> Vec<u8> {
    let mut bytes = Family::Ready.of_account(account).to_vec();
    bytes.push(priority_rank(priority));
    bytes
}

const fn priority_rank(priority: Priority) -> u8 {
    match priority {
        Priority::High => 0x10,
        Priority::Normal => 0x20,
        Priority::Low => 0x30,
        Priority::Bulk => 0x40,
    }
}

fn priority_of_rank(rank: u8) -> Option<Priority> {
    Priority::ALL.into_iter().find(|priority| priority_rank(*priority) == rank)
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn job(&mut self) -> Option<JobId> {
        self.take().map(JobId::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = Key> {
        let job = any::<[u8; 16]>().prop_map(JobId::from_bytes);
        let priority = prop::sample::select(Priority::ALL.to_vec());
        prop_oneof![
            any::<u8>().prop_map(|fact| Key::Meta { fact }),
            any::<(u32, u16)>().prop_map(|(account, chunk)| Key::Account { account, chunk }),
            any::<(u32, u16)>().prop_map(|(account, chunk)| Key::Standing { account, chunk }),
            any::<u32>().prop_map(|account| Key::Tally { account }),
            (job.clone(), any::<u16>()).prop_map(|(job, chunk)| Key::Job { job, chunk }),
            (job.clone(), any::<u16>()).prop_map(|(job, chunk)| Key::Body { job, chunk }),
            (any::<u32>(), job.clone(), any::<u16>()).prop_map(|(account, job, chunk)| Key::Mark {
                account,
                job,
                chunk
            }),
            (any::<u32>(), priority, any::<u32>(), any::<u64>(), job.clone()).prop_map(
                |(account, priority, lane, due, job)| Key::Ready {
                    account,
                    priority,
                    lane,
                    due: Timestamp::from_millis(due),
                    job
                }
            ),
            (any::<u64>(), job.clone()).prop_map(|(at, job)| Key::Expiry { at: Timestamp::from_millis(at), job }),
            any::<[u8; 16]>().prop_map(|hash| Key::Idempotency { hash }),
            any::<(u32, [u8; 16])>().prop_map(|(day, hash)| Key::IdempotencyDay { day, hash }),
            any::<(u32, [u8; 8], u64)>().prop_map(|(account, quota, bucket)| Key::Bucket { account, quota, bucket }),
            any::<(u64, u16)>().prop_map(|(seq, chunk)| Key::Events { seq, chunk }),
            any::<u32>().prop_map(|number| Key::Segment { number }),
            (any::<[u8; 32]>(), job).prop_map(|(file, job)| Key::FileEdge { file, job }),
            (any::<u32>(), prop::collection::vec(any::<u8>(), 0..60))
                .prop_map(|(number, original)| Key::Quarantine { number, original }),
        ]
    }

    proptest! {
        #[test]
        fn keys_survive_their_bytes(key in any_key()) {
            let bytes = key.to_bytes();
            prop_assert!(bytes.len() <= 5 + 60);
            prop_assert_eq!(Key::parse(&bytes), Some(key));
        }

        #[test]
        fn ready_keys_sort_by_account_priority_lane_due_and_job(
            a in any::<(u32, u8, u32, u64, [u8; 16])>(), b in any::<(u32, u8, u32, u64, [u8; 16])>(),
        ) {
            let key = |(account, rank, lane, due, job): (u32, u8, u32, u64, [u8; 16])| {
                let priority = Priority::ALL[usize::from(rank % 4)];
                let due = Timestamp::from_millis(due);
                let job = JobId::from_bytes(job);
                ((account, priority, lane, due, job), Key::Ready { account, priority, lane, due, job }.to_bytes())
            };
            let (a, b) = (key(a), key(b));
            prop_assert_eq!(a.0.cmp(&b.0), a.1.cmp(&b.1));
        }
    }

    #[test]
    fn a_lane_ends_where_the_next_begins() {
        let job = JobId::from_bytes([0xff; 16]);
        let last =
            Key::Ready { account: 1, priority: Priority::High, lane: 7, due: Timestamp::from_millis(u64::MAX), job };
        let end = ready_lane_end(1, Priority::High, 7);
        assert!(last.to_bytes() < end);
        assert!(end < ready_lane_start(1, Priority::High, 8));
        assert!(ready_lane_start(1, Priority::High, 7) < last.to_bytes());
    }

    #[test]
    fn what_is_no_key_is_none() {
        for bytes in [&[][..], &[0xee, 1], &[0x10, 1], &[0x00], &[0x00, 1, 2]] {
            assert_eq!(Key::parse(bytes), None, "{bytes:?}");
        }
    }
}
