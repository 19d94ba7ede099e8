//! Which messages may or may not have been taken, and wait for somebody to find out.
//!
//! An entry of the index stands for each message of which a recipient is in doubt and which bears no mark. When a merge job is
//! withdrawn, or ended, so are its doubts; their entries stay until it goes, and are passed over.

use std::collections::{BTreeMap, HashMap};

use ::sled::{Batch, IVec};

use crate::{
    domain::{
        event::JobChange,
        ids::{AccountId, JobId, MessageKey},
        merge::progress::MergeOutcome,
        time::Timestamp,
    },
    storage::{
        PAGE_MAX, StorageError,
        settlement::Doubt,
        sled::{
            SledStore, codec,
            disk::{self, Disk, View},
            jobs::{self, Before, StoredJob, doubt_key, job_event},
            keys::{Family, Key, ReturnKey},
            merge::{
                book::Opened,
                outcomes::{OUTCOMES_PER_PAGE, load_page, place_of},
            },
            tally::AccountEntry,
            txn::Txn,
        },
    },
};

/// That a store has the index.
const META_DOUBTS: Key = Key::Meta { fact: 5 };

impl Txn {
    /// Brings the entry of a message of a merge job up to date.
    pub(in crate::storage::sled) fn move_doubt(
        &mut self,
        account: u32,
        message: MessageKey,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
    ) {
        if before == after {
            return;
        }
        if let Some(since) = before {
            self.remove_key(&ReturnKey::Doubt { account, since, message }.into());
        }
        if let Some(since) = after {
            let key = Key::from(ReturnKey::Doubt { account, since, message });
            self.put(key.to_bytes().into(), IVec::default());
        }
    }

    /// Takes the entries of a merge job away that goes.
    pub(in crate::storage::sled) fn forget_doubts(
        &mut self,
        account: &AccountId,
        job: JobId,
    ) -> Result<(), StorageError> {
        let Some(entry) = self.accounts.get(account) else { return Ok(()) };
        for key in self.keys_with(&Family::Doubt.of_account(entry.number))? {
            let is_its = |key: &Key| matches!(key, Key::Return(ReturnKey::Doubt { message, .. }) if message.job == job);
            if Key::parse(&key).as_ref().is_some_and(is_its) {
                self.remove(key);
            }
        }
        Ok(())
    }
}

/// Ends the doubt about a message; false when there is none since that time, or no copy of it could tell.
pub(in crate::storage::sled) fn resolve(
    txn: &mut Txn,
    account: &AccountId,
    doubt: Doubt,
    found: bool,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let message = doubt.message;
    let Some(number) = txn.accounts.get(account).map(|entry| entry.number) else { return Ok(false) };
    let resolved = match txn.open_job(message.job, number, account)? {
        None => false,
        Some(Opened::Merge(mut merge)) => {
            let uncounted = merge.job().uncounted();
            let resolved = merge.resolve_doubt(txn, doubt, found, now);
            txn.count(number, &merge.job().counted_since(&uncounted, None), now);
            txn.close_merge(merge);
            resolved?
        }
        Some(Opened::Plain(stored)) if message.index == 0 => {
            resolve_plain(txn, (number, doubt.since), stored, found, now)?
        }
        Some(Opened::Plain(_)) => false,
    };
    if resolved {
        txn.made.changed.insert(account.clone());
    }
    Ok(resolved)
}

fn resolve_plain(
    txn: &mut Txn,
    (account, since): (u32, Timestamp),
    mut stored: StoredJob,
    found: bool,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let flight = jobs::flight_of(txn, account, &stored.job)?;
    let before = Before::of(account, &stored.job, flight);
    let uncounted = stored.job.uncounted();
    let is_it = stored.job.doubtful_since(flight) == Some(since) && stored.job.is_told_by_copy();
    if !is_it || !stored.job.resolve_doubt(found, flight, now) {
        return Ok(false);
    }
    txn.replace_job(account, &stored, &before, flight);
    txn.count(account, &stored.job.counted_since(&uncounted, None), now);
    txn.event(job_event(&stored.job, JobChange::Reconciled { message: 0, found }, flight, now));
    Ok(true)
}

impl SledStore {
    pub(in crate::storage::sled) fn find_doubts(&self, account: u32, limit: usize) -> Result<Vec<Doubt>, StorageError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut found = Vec::new();
        // Entries stand by time, so those of two jobs may take turns.
        let mut seen: HashMap<JobId, bool> = HashMap::new();
        for entry in self.disk.tree.scan_prefix(Family::Doubt.of_account(account)).keys() {
            let key = Key::parse(&self.disk.checked(entry)?);
            let Some(Key::Return(ReturnKey::Doubt { since, message, .. })) = key else { continue };
            let is_open = match seen.get(&message.job) {
                Some(is_open) => *is_open,
                None => {
                    let stored = disk::readable(jobs::load(&self.disk, message.job))?;
                    stored.is_some_and(|stored| stored.job.merge().is_none_or(|progress| progress.keeps_doubts()))
                }
            };
            seen.insert(message.job, is_open);
            found.extend(is_open.then_some(Doubt { message, since }));
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }
}

/// Makes the index of a store that was written before there was one.
pub(in crate::storage::sled) fn build(
    disk: &Disk,
    accounts: &BTreeMap<AccountId, AccountEntry>,
) -> Result<(), StorageError> {
    if disk.get(&META_DOUBTS.to_bytes())?.is_some() {
        return Ok(());
    }
    let mut batch = Batch::default();
    // Only open jobs have doubts.
    if accounts.values().any(|entry| entry.open_jobs > 0) {
        for entry in disk.tree.scan_prefix(Family::Job.prefix()).keys() {
            let Some(Key::Job { job, chunk: 0 }) = Key::parse(&disk.checked(entry)?) else { continue };
            let Some(stored) = disk::readable(jobs::load(disk, job))? else { continue };
            let Some(account) = accounts.get(&stored.job.account).map(|entry| entry.number) else { continue };
            for key in doubts_of(disk, account, &stored)? {
                batch.insert(key.to_bytes(), IVec::default());
            }
        }
    }
    let (key, value) = codec::single(&META_DOUBTS, &1_u32.to_be_bytes());
    batch.insert(key, value);
    disk.checked(disk.tree.apply_batch(batch))?;
    disk.checked(disk.tree.flush()).map(drop)
}

/// The entries that a job should have.
fn doubts_of(disk: &Disk, account: u32, stored: &StoredJob) -> Result<Vec<Key>, StorageError> {
    let job = stored.job.id;
    let Some(progress) = stored.job.merge() else {
        let flight = jobs::flight_of(disk, account, &stored.job)?;
        return Ok(doubt_key(account, &stored.job, flight).into_iter().collect());
    };
    let mut found = Vec::new();
    if progress.tally.in_doubt == 0 && progress.keeps_doubts() {
        return Ok(found);
    }
    for entry in disk.tree.scan_prefix(Key::of_job(Family::Outcomes, job)).keys() {
        let Some(Key::Outcomes { page, chunk: 0, .. }) = Key::parse(&disk.checked(entry)?) else { continue };
        let read = disk::readable(load_page(disk, job, page).map(Some))?.unwrap_or_default();
        for (place, known) in &read.outcomes {
            let message = MessageKey { job, index: page * OUTCOMES_PER_PAGE + place };
            let since = known.state.doubtful_since();
            found.extend(since.map(|since| ReturnKey::Doubt { account, since, message }.into()));
        }
    }
    Ok(found)
}

/// Whether an entry of the index should be there.
pub(super) fn is_expected(
    view: &impl View,
    account: u32,
    since: Timestamp,
    message: MessageKey,
) -> Result<bool, StorageError> {
    let Some(stored) = disk::readable(jobs::load(view, message.job))? else { return Ok(false) };
    if stored.job.merge().is_none() {
        let flight = jobs::flight_of(view, account, &stored.job)?;
        let expected = doubt_key(account, &stored.job, flight);
        return Ok(expected == Some(ReturnKey::Doubt { account, since, message }.into()));
    }
    let (page, place) = place_of(message.index);
    let page = disk::readable(load_page(view, message.job, page).map(Some))?.unwrap_or_default();
    Ok(page.outcomes.get(&place).is_some_and(|known| known.state.doubtful_since() == Some(since)))
}

/// The entry that a message of a merge job should have.
pub(in crate::storage::sled) fn expected_of(account: u32, message: MessageKey, known: &MergeOutcome) -> Option<Key> {
    known.state.doubtful_since().map(|since| ReturnKey::Doubt { account, since, message }.into())
}
