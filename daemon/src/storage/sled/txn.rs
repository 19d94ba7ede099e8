//! One commit in the making: what its changes see and what they leave, before any of it is on disk.
//!
//! A change first reads and decides all it needs and only then writes, so that a change that fails leaves nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use ::sled::{Batch, IVec};
use prost::Message;

use super::{
    codec,
    count_book::CountBook,
    disk::{self, Disk, Stored, View},
    journal::{Journal, Journals},
    keys::{Family, Key},
    merge::open::MergeBook,
    referred::Referred,
    scope_kind::ScopeKind,
    tally::{AccountEntry, tally_bytes},
};
use crate::{
    domain::{
        backlog::Queued,
        dkim::{DkimKey, DkimRules},
        event::{Cursor, Event},
        ids::{AccountId, Caller},
        job::Priority,
        ledger::{Charge, ObservedLimit, QuotaKey},
        routing::Routing,
    },
    storage::{
        StorageError, Tenure, TenureError,
        records::{
            event::EventsRow,
            ledger::{OBSERVED_BUCKET, QuotaKeyRow, UsageRow},
        },
        spool::SpoolWriter,
        uploads::Claim,
    },
};

/// Most events of one commit; the low 16 bits of a cursor count them.
pub(super) const EVENTS_PER_COMMIT_MAX: usize = 60_000;

/// Facts in the meta family.
pub(super) const META_FORMAT: Key = Key::Meta { fact: 0 };
/// The number that the next account gets.
pub(super) const META_NEXT_ACCOUNT: Key = Key::Meta { fact: 1 };

/// The head of the event log when all events were pruned: it must not fall back.
pub(super) const META_HEAD: Key = Key::Meta { fact: 2 };

/// What proves that a sealing key is the store's own.
pub(super) const META_SEAL: Key = Key::Meta { fact: 3 };
/// The cursor after the newest event that was pruned.
pub(super) const META_PRUNED: Key = Key::Meta { fact: 4 };

/// The committer's memory, and the commit in the making.
#[derive(Debug)]
pub(super) struct Txn {
    pub(super) disk: Disk,
    /// All accounts.
    pub(super) accounts: BTreeMap<AccountId, AccountEntry>,
    /// The number that the next account gets.
    pub(super) next_account: u32,
    /// The number that the next commit with events gets.
    pub(super) next_seq: u64,
    tenures: HashMap<AccountId, u64>,
    last_epoch: u64,
    pub(super) overlay: HashMap<IVec, Option<IVec>>,
    /// The totals of the buckets that this commit has changed.
    buckets: HashMap<(u32, QuotaKey, u64), u64>,
    events: Vec<Event>,
    pub(super) made: Made,
    /// Where messages are written.
    pub(super) spool: SpoolWriter,
    /// What is referred to of the segments that this commit has changed.
    pub(super) segments: HashMap<u32, Referred>,
    /// The merge jobs that this commit changes.
    pub(super) merges: MergeBook,
    /// What this commit counts.
    pub(super) counts: CountBook,
    journals: Journals,
}

/// What a commit has to tell when it is durable.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Accounts whose entry changed or went.
    pub(super) entries: HashSet<AccountId>,
    /// Accounts whose settings or standing changed.
    pub(super) rewritten: HashSet<AccountId>,
    /// The routing rules, if they changed.
    pub(super) routing: Option<Arc<Routing>>,
    /// What became of DKIM keys and rules, in this order.
    pub(super) dkim: Vec<DkimNews>,
    /// Accounts whose queue, settings or standing changed.
    pub(super) changed: HashSet<AccountId>,
    /// Kinds of scopes of which a suppression came or went.
    pub(super) scopes: HashSet<ScopeKind>,
    /// Segments of the spool to which nothing refers any more.
    pub(super) empty_segments: Vec<u32>,
    /// Files that have lost a reference.
    pub(super) loose_files: HashSet<[u8; 32]>,
    /// Who has uploaded which file since, or is not known to have any more.
    pub(super) claims: Vec<(Caller, [u8; 32], Option<Claim>)>,
    /// The head of the event log, if it grew.
    pub(super) head: Option<Cursor>,
}

/// What a commit has made of a DKIM key or of the rules.
#[derive(Debug)]
pub(super) enum DkimNews {
    /// It is new.
    Key(Box<DkimKey>),
    /// The key whose name has this hash is gone.
    Gone([u8; 16]),
    /// A key that may have signed its own domain is gone, and nobody wanted that.
    KeyLost,
    /// The rules are these now, or there are none that can be used.
    Rules(Result<Arc<DkimRules>, String>),
}

impl View for Txn {
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, StorageError> {
        match self.overlay.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.disk.get(key),
        }
    }
}

impl Txn {
    pub(super) fn new(
        disk: Disk,
        accounts: BTreeMap<AccountId, AccountEntry>,
        next_account: u32,
        next_seq: u64,
        spool: SpoolWriter,
    ) -> Self {
        Self {
            disk,
            accounts,
            next_account,
            next_seq,
            tenures: HashMap::new(),
            last_epoch: 0,
            overlay: HashMap::new(),
            buckets: HashMap::new(),
            events: Vec::new(),
            made: Made::default(),
            spool,
            segments: HashMap::new(),
            merges: MergeBook::default(),
            counts: CountBook::default(),
            journals: Journals::default(),
        }
    }

    /// Begins to note which keys are written, this commit's included.
    pub(super) fn journal(&mut self) -> Journal {
        self.journals.begin()
    }

    /// How many journals are kept.
    #[cfg(test)]
    pub(super) fn journals_count(&self) -> usize {
        self.journals.count()
    }

    /// Stores an entry as it is.
    pub(super) fn put(&mut self, key: IVec, value: IVec) {
        self.overlay.insert(key, Some(value));
    }

    /// Takes an entry away.
    pub(super) fn remove(&mut self, key: IVec) {
        self.overlay.insert(key, None);
    }

    /// Takes an entry away.
    pub(super) fn remove_key(&mut self, key: &Key) {
        self.remove(IVec::from(key.to_bytes()));
    }

    /// Reads a row.
    pub(super) fn row<T: Message + Default>(
        &self,
        key_of: impl Fn(u16) -> Key,
    ) -> Result<Option<Stored<T>>, StorageError> {
        disk::read_row(self, key_of)
    }

    /// Stores a row; `old_frames` is how many frames it had before.
    pub(super) fn put_row(&mut self, key_of: impl Fn(u16) -> Key, row: &impl Message, old_frames: u16) {
        let frames = codec::frames(&key_of, &row.encode_to_vec());
        let count = u16::try_from(frames.len()).expect("frames are counted by 16 bits");
        self.overlay.extend(frames.into_iter().map(|(key, value)| (key, Some(value))));
        self.remove_frames(key_of, count..old_frames);
    }

    /// Takes frames of a value away.
    pub(super) fn remove_frames(&mut self, key_of: impl Fn(u16) -> Key, frames: std::ops::Range<u16>) {
        for chunk in frames {
            self.remove_key(&key_of(chunk));
        }
    }

    /// All keys that begin with `prefix`, as this commit will leave them. For families that are small.
    pub(super) fn keys_with(&self, prefix: &[u8]) -> Result<Vec<IVec>, StorageError> {
        let mut keys = self.disk.keys_with(prefix)?;
        keys.retain(|key| !self.overlay.contains_key(key));
        let new = self.overlay.iter().filter(|(key, value)| value.is_some() && key.starts_with(prefix));
        keys.extend(new.map(|(key, _)| key.clone()));
        Ok(keys)
    }

    /// Whether an entry that is in the tree stays.
    pub(super) fn will_have(&self, key: &[u8]) -> bool {
        !matches!(self.overlay.get(key), Some(None))
    }

    /// Notes an event.
    pub(super) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Changes an account's number of open jobs.
    pub(super) fn count_open(&mut self, account: &AccountId, was_open: bool, is_open: bool) {
        if was_open == is_open {
            return;
        }
        if let Some(entry) = self.accounts.get_mut(account) {
            entry.open_jobs = if is_open { entry.open_jobs + 1 } else { entry.open_jobs.saturating_sub(1) };
            self.made.entries.insert(account.clone());
        }
    }

    /// Changes what waits of an account.
    pub(super) fn count_queued(&mut self, account: &AccountId, priority: Priority, before: Queued, after: Queued) {
        if before == after {
            return;
        }
        if let Some(entry) = self.accounts.get_mut(account) {
            let queued = entry.backlog.of_mut(priority);
            *queued = queued.plus(after).minus(before);
            self.made.entries.insert(account.clone());
        }
    }

    /// Adds to a bucket of the ledger, or takes away; it never falls below zero.
    pub(super) fn charge(&mut self, account: u32, charge: &Charge) -> Result<(), StorageError> {
        let place = (account, charge.key.clone(), charge.bucket);
        let before = match self.buckets.get(&place) {
            Some(total) => *total,
            None => self.stored_total(account, charge)?,
        };
        self.buckets.insert(place, before.saturating_add_signed(charge.amount));
        Ok(())
    }

    fn stored_total(&self, account: u32, charge: &Charge) -> Result<u64, StorageError> {
        let key = Key::Bucket { account, quota: quota_hash(&charge.key), bucket: charge.bucket };
        match self.row::<UsageRow>(|_| key.clone()) {
            Ok(row) => Ok(row.map_or(0, |stored| stored.value.amount)),
            Err(StorageError::Damaged(why)) => {
                tracing::error!(reason = %why, "a damaged bucket of a quota ledger begins anew");
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers an observed limit beside the ledger.
    pub(super) fn put_observed(&mut self, account: u32, observed: &ObservedLimit) {
        let quota = quota_hash(&observed.key);
        self.put_row(|_| Key::Bucket { account, quota, bucket: OBSERVED_BUCKET }, &UsageRow::from(observed), 0);
    }

    /// Forgets a bucket of the ledger.
    pub(super) fn forget_bucket(&mut self, account: u32, key: &QuotaKey, bucket: u64) {
        self.buckets.remove(&(account, key.clone(), bucket));
        self.remove_key(&Key::Bucket { account, quota: quota_hash(key), bucket });
    }

    /// Forgets a whole ledger.
    pub(super) fn forget_ledger(&mut self, account: u32) -> Result<(), StorageError> {
        let keys = self.keys_with(&Family::Bucket.of_account(account))?;
        self.buckets.retain(|(owner, _, _), _| *owner != account);
        keys.into_iter().for_each(|key| self.remove(key));
        Ok(())
    }

    /// Gives an account's tenure to a new worker.
    pub(super) fn take_tenure(&mut self, account: &AccountId) -> Tenure {
        self.last_epoch += 1;
        self.tenures.insert(account.clone(), self.last_epoch);
        Tenure { account: account.clone(), epoch: self.last_epoch }
    }

    /// The number of a tenure's account, if the tenure is the last one and the account exists.
    pub(super) fn admit(&self, tenure: &Tenure) -> Result<u32, TenureError> {
        let is_last = self.tenures.get(&tenure.account) == Some(&tenure.epoch);
        let entry = self.accounts.get(&tenure.account).filter(|_| is_last);
        entry.map(|entry| entry.number).ok_or_else(|| TenureError::Lost(tenure.account.clone()))
    }

    /// Ends the tenure of an account that goes.
    pub(super) fn end_tenure(&mut self, account: &AccountId) {
        self.tenures.remove(account);
    }

    /// Whether the next change could make too many events.
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_PER_COMMIT_MAX / 4
    }

    /// Everything to be written, and what is to be told once it is. [`Txn::flush_merges`] and [`Txn::flush_counts`] come first.
    pub(super) fn finish(&mut self) -> (Batch, Made) {
        self.write_buckets();
        self.write_tallies();
        self.write_segments();
        self.write_events();
        self.merges.forget();
        self.journals.note(self.overlay.keys());
        let mut batch = Batch::default();
        for (key, value) in self.overlay.drain() {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        (batch, std::mem::take(&mut self.made))
    }

    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.overlay.is_empty()
            && self.buckets.is_empty()
            && self.segments.is_empty()
            && self.events.is_empty()
            && self.made.entries.is_empty()
    }

    fn write_buckets(&mut self) {
        for ((account, key, bucket), amount) in std::mem::take(&mut self.buckets) {
            let stored_key = Key::Bucket { account, quota: quota_hash(&key), bucket };
            let row = UsageRow { key: Some(QuotaKeyRow::from(&key)), amount, ..UsageRow::default() };
            if amount == 0 { self.remove_key(&stored_key) } else { self.put_row(|_| stored_key.clone(), &row, 0) }
        }
    }

    fn write_tallies(&mut self) {
        let entries: Vec<_> = self.made.entries.iter().filter_map(|id| self.accounts.get(id)).copied().collect();
        for entry in entries {
            let key = Key::Tally { account: entry.number };
            let (key, value) = codec::single(&key, &tally_bytes(&entry));
            self.put(key, value);
        }
    }

    fn write_events(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        let seq = self.next_seq;
        self.next_seq += 1;
        self.put_row(|chunk| Key::Events { seq, chunk }, &EventsRow::new(&events), 0);
        self.made.head = Some(cursor(seq, events.len()));
    }
}

/// The cursor after `count` events of a commit.
pub(super) fn cursor(seq: u64, count: usize) -> Cursor {
    Cursor(seq << 16 | u64::try_from(count).unwrap_or(u64::MAX) & 0xffff)
}

/// What stands for a quota key in keys.
pub(super) fn quota_hash(key: &QuotaKey) -> [u8; 8] {
    let hash = blake3::hash(&QuotaKeyRow::from(key).encode_to_vec());
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    [a, b, c, d, e, f, g, h]
}
