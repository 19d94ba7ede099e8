//! Whether suppressions, runs of bounces, recipients that are held back and counts can be read, and their indexes agree with them.

use ::sled::IVec;

use super::{
    disk::{self, View},
    held_keys::held_keys,
    jobs,
    keys::{Key, ListKey},
    suppressions::{end_of, ending_key, read_row, rebuilt},
    txn::Txn,
    wrong::{Wrong, unreadable},
};
use crate::{
    domain::{ids::MessageKey, suppression::SuppressionKey, time::Timestamp},
    storage::{
        StorageError,
        records::{
            statistics::CountsRow,
            suppression::{SoftRunRow, SuppressionKeyRow},
        },
    },
};

/// Whether a key is that of a record, not of something derived.
pub(super) const fn is_record(key: &ListKey) -> bool {
    !matches!(key, ListKey::Ending { .. } | ListKey::Held { .. })
}

/// What is wrong with an entry, if anything is.
pub(super) fn check(view: &impl View, key: &ListKey) -> Result<Option<Wrong>, StorageError> {
    let stored_key = Key::List(key.clone());
    match key {
        ListKey::Suppression { key } => match read_row(view, key) {
            Err(error) => unreadable(Err(error)),
            Ok(Some(row)) if row.key != *key => {
                Ok(Some(Wrong::Unreadable(format!("{key:?}: its record is another's"))))
            }
            Ok(row) => check_ending(view, row.and_then(|row| row.expires_at), &stored_key),
        },
        ListKey::SoftRun { .. } => match disk::read_row::<SoftRunRow>(view, |_| stored_key.clone()) {
            Err(error) => unreadable(Err(error)),
            Ok(row) => check_ending(view, row.map(|row| Timestamp::from_millis(row.value.ends_at)), &stored_key),
        },
        ListKey::Ending { at, of } => Ok((end_of(view, of)? != Some(*at)).then_some(Wrong::LeftOver)),
        ListKey::Held { key, message } => {
            let is_expected = held_by(view, *message)?.as_ref() == Some(key) || is_held(view, &stored_key, *message)?;
            Ok((!is_expected).then_some(Wrong::LeftOver))
        }
        ListKey::HeldBy { message } => check_held_by(view, *message),
        ListKey::Count { .. } => unreadable(disk::read_row::<CountsRow>(view, |_| stored_key.clone()).map(drop)),
    }
}

/// What a record leaves behind that is set aside: a suppression holds on, because somebody may have asked for it.
pub(super) fn restore(txn: &mut Txn, key: &ListKey) -> Result<(), StorageError> {
    if let ListKey::Suppression { key } = key
        && let Some(suppression) = rebuilt(key)
    {
        txn.suppress(&suppression)?;
    }
    Ok(())
}

fn check_ending(view: &impl View, end: Option<Timestamp>, of: &Key) -> Result<Option<Wrong>, StorageError> {
    let Some(ending) = end.map(|end| ending_key(end, of)) else { return Ok(None) };
    missing(view, &ending)
}

fn missing(view: &impl View, key: &Key) -> Result<Option<Wrong>, StorageError> {
    let bytes = key.to_bytes();
    let is_there = view.get(&bytes)?.is_some();
    Ok((!is_there).then(|| Wrong::Missing(IVec::from(bytes), IVec::default())))
}

fn check_held_by(view: &impl View, message: MessageKey) -> Result<Option<Wrong>, StorageError> {
    let job = message.job;
    let is_doomed = view.get(&Key::Doomed { job }.to_bytes())?.is_some();
    // A job that is damaged was not forgotten: what belongs to it stays until it is.
    let is_gone = matches!(jobs::load(view, job), Ok(None));
    if is_gone && !is_doomed {
        return Ok(Some(Wrong::LeftOver));
    }
    match read_held_by(view, message) {
        Err(error) => unreadable(Err(error)),
        Ok(Some(key)) => missing(view, &Key::List(ListKey::Held { key, message })),
        Ok(None) => Ok(None),
    }
}

/// By what a message of a merge job is held back, as far as that can be read.
fn held_by(view: &impl View, message: MessageKey) -> Result<Option<SuppressionKey>, StorageError> {
    disk::readable(read_held_by(view, message))
}

fn read_held_by(view: &impl View, message: MessageKey) -> Result<Option<SuppressionKey>, StorageError> {
    let row = disk::read_row::<SuppressionKeyRow>(view, |_| Key::List(ListKey::HeldBy { message }))?;
    let key = row.map(|row| SuppressionKey::try_from(&row.value)).transpose();
    key.map_err(|error| StorageError::Damaged(error.to_string()))
}

/// Whether an entry follows from a plain job.
fn is_held(view: &impl View, entry: &Key, message: MessageKey) -> Result<bool, StorageError> {
    let stored = disk::readable(jobs::load(view, message.job))?;
    Ok(stored.is_some_and(|stored| held_keys(&stored.job).contains(&entry.to_bytes())))
}
