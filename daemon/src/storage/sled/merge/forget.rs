//! How a finished merge job goes: the job, its content and its recipients at once; what is known of its messages, which
//! may be tens of thousands of records, bit by bit.

use ::sled::IVec;

use crate::{
    domain::{
        ids::{JobId, MessageKey},
        suppression::SuppressionKey,
    },
    storage::{
        StorageError,
        records::{merge::PartRow, suppression::SuppressionKeyRow},
        sled::{
            SledStore, codec, disk,
            disk::View,
            jobs::StoredJob,
            keys::{Family, Key, ListKey},
            txn::Txn,
        },
    },
};

/// How many records of a doomed job go in one change.
const KEYS_PER_STEP: usize = 256;

/// Takes a merge job's parts away, and leaves word of what is yet to go.
pub(in crate::storage::sled) fn doom(txn: &mut Txn, stored: &StoredJob) -> Result<(), StorageError> {
    let job = stored.job.id;
    for key in txn.disk.keys_with(&Key::of_job(Family::Recipients, job))? {
        let first = match Key::parse(&key) {
            Some(Key::Recipients { first, chunk: 0, .. }) => Some(first),
            _ => None,
        };
        if let Some(first) = first
            && let Ok(Some(row)) = disk::read_row::<PartRow>(txn, |chunk| Key::Recipients { job, first, chunk })
            && let Ok(file) = row.value.file.as_slice().try_into()
        {
            txn.remove_key(&Key::FileEdge { file, job });
            txn.made.loose_files.insert(file);
        }
        txn.remove(key);
    }
    txn.forget_doubts(&stored.job.account, job)?;
    let (key, value) = codec::single(&Key::Doomed { job }, &[]);
    txn.put(key, value);
    Ok(())
}

/// Deletes records of a job that is gone, and says how many.
pub(in crate::storage::sled) fn delete_some(txn: &mut Txn, job: JobId) -> Result<u64, StorageError> {
    if txn.get(&Key::Doomed { job }.to_bytes())?.is_none() {
        return Ok(0);
    }
    let mut gone = 0;
    for family in [Family::Outcomes, Family::Retry] {
        let prefix = Key::of_job(family, job);
        let keys = txn.disk.tree.scan_prefix(prefix).keys().take(KEYS_PER_STEP);
        let keys: Vec<_> = keys.map(|key| txn.disk.checked(key)).collect::<Result<_, _>>()?;
        gone += keys.len() as u64;
        keys.into_iter().for_each(|key| txn.remove(key));
    }
    for key in held_back(txn, job)? {
        gone += 1;
        if let Some(Key::List(ListKey::HeldBy { message })) = Key::parse(&key)
            && let Some(row) = disk::readable(disk::read_row::<SuppressionKeyRow>(txn, |_| held_by(message)))?
            && let Ok(by) = SuppressionKey::try_from(&row.value)
        {
            txn.remove_held(message, &by);
        }
        txn.remove(key);
    }
    let names = txn.disk.tree.scan_prefix(Key::of_job(Family::NameOf, job)).keys().take(KEYS_PER_STEP);
    let names: Vec<_> = names.map(|key| txn.disk.checked(key)).collect::<Result<_, _>>()?;
    gone += names.len() as u64;
    names.iter().try_for_each(|key| txn.forget_name(key))?;
    if gone == 0 {
        txn.remove_key(&Key::Doomed { job });
        gone = 1;
    }
    Ok(gone)
}

fn held_back(txn: &Txn, job: JobId) -> Result<Vec<IVec>, StorageError> {
    let prefix = Key::of_job(Family::HeldBy, job);
    txn.disk.tree.scan_prefix(prefix).keys().take(KEYS_PER_STEP).map(|key| txn.disk.checked(key)).collect()
}

const fn held_by(message: MessageKey) -> Key {
    Key::List(ListKey::HeldBy { message })
}

impl SledStore {
    /// Jobs that are gone and whose records are yet to go.
    pub(in crate::storage::sled) fn find_doomed(&self, limit: usize) -> Result<Vec<JobId>, StorageError> {
        let mut found = Vec::new();
        for key in self.disk.tree.scan_prefix(Family::Doomed.prefix()).keys().take(limit) {
            if let Some(Key::Doomed { job }) = Key::parse(&self.disk.checked(key)?) {
                found.push(job);
            }
        }
        Ok(found)
    }
}
