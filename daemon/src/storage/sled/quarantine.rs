//! Where records go that cannot be read, and what they leave behind.

use ::sled::IVec;

use super::{
    SledStore, attempts,
    blob_store::claim_set_aside,
    codec, disk,
    disk::View,
    dkim, jobs,
    keys::{Family, Key},
    list_check,
    record_keys::is_record,
    returns, routing,
    txn::Txn,
};
use crate::{
    domain::{ids::MessageKey, job::Flight},
    storage::{
        StorageError,
        records::{job::Location, ledger::MarkRow},
    },
};

/// Moves all frames of a value to quarantine, as they are.
pub(super) fn quarantine(txn: &mut Txn, key: &IVec) -> Result<(), StorageError> {
    let counts_frames = is_record(key)
        && !matches!(
            Family::of(key),
            Some(Family::Meta | Family::Idempotency | Family::Bucket | Family::FileEdge | Family::Blob)
                | Some(Family::Suppression | Family::SoftRun | Family::HeldBy | Family::Count)
        );
    let counts_frames = match Key::parse(key) {
        Some(Key::Return(key)) => returns::verify::counts_frames(&key),
        _ => counts_frames,
    };
    let keys = match Key::parse(key).filter(|_| counts_frames) {
        Some(parsed) => txn.keys_with(&parsed.stem())?,
        None => vec![key.clone()],
    };
    let taken = txn.keys_with(&Family::Quarantine.prefix())?;
    let numbers = taken.iter().filter_map(|key| match Key::parse(key) {
        Some(Key::Quarantine { number, .. }) => Some(number),
        _ => None,
    });
    let mut number = numbers.max().unwrap_or(0);
    for key in keys {
        let Some(value) = txn.get(&key)? else { continue };
        number += 1;
        let place = Key::Quarantine { number, original: key.to_vec() };
        txn.put(IVec::from(place.to_bytes()), value);
        txn.remove(key);
    }
    Ok(())
}

/// What quarantined records leave behind because others rely on it: a mark, without which its job would be sent again
/// unasked, and an edge, without which a message's file would be deleted.
pub(super) fn restore_derived(txn: &mut Txn, store: &SledStore, key: &IVec) -> Result<(), StorageError> {
    match Key::parse(key) {
        Some(Key::Mark { account, job, index, chunk: 0 }) => {
            if let Some(mark) = attempts::rebuilt_mark(txn, MessageKey { job, index })? {
                txn.put_row(|chunk| Key::Mark { account, job, index, chunk }, &MarkRow::from(&mark), 0);
            }
        }
        Some(Key::Return(key)) => returns::verify::restore(txn, key),
        Some(Key::Routing { .. }) => routing::forgotten(txn),
        Some(claim @ Key::Blob { .. }) => claim_set_aside(txn, &store.uploads, &claim),
        Some(Key::Dkim { hash, .. }) => dkim::forgotten_key(txn, hash)?,
        Some(Key::DkimRules { .. }) => dkim::forgotten_rules(txn),
        Some(Key::List(key)) => list_check::restore(txn, &key)?,
        Some(edge @ Key::FileEdge { file, job }) => {
            let stored = disk::readable(jobs::load(txn, job))?;
            let is_its = |stored: &jobs::StoredJob| {
                stored.body.location == Location::File(file) || stored.body.cuts.iter().any(|cut| cut.file == file)
            };
            if stored.is_some_and(|stored| is_its(&stored) || stored.job.merge().is_some()) {
                let (key, value) = codec::single(&edge, &[]);
                txn.put(key, value);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Takes a job's entry out of the ready index, if it has one.
pub(super) fn take_out_of_queue(txn: &mut Txn, key: &IVec) -> Result<(), StorageError> {
    let Some(Key::Job { job, .. }) = Key::parse(key) else { return Ok(()) };
    let Some(stored) = disk::readable(jobs::load(txn, job))? else { return Ok(()) };
    let account = txn.accounts.get(&stored.job.account).map(|entry| entry.number);
    if let Some(account) = account {
        let derived = [jobs::ready_key(account, &stored.job), jobs::divert_key(account, &stored.job, Flight::Grounded)];
        derived.iter().flatten().for_each(|key| txn.remove_key(key));
    }
    Ok(())
}
