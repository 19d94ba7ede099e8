//! What a store knows at its opening: its accounts, their tallies, and how far its events have come.

use std::collections::BTreeMap;

use super::{
    SledStore,
    codec::Frame,
    disk::{self, Disk, View},
    keys::{Family, Key},
    tally::{AccountEntry, read_tally},
    txn::{META_HEAD, META_NEXT_ACCOUNT, cursor},
};
use crate::{
    domain::{
        event::Cursor,
        ids::{AccountId, Etag},
    },
    storage::{
        StorageError,
        records::{account::AccountRow, event::EventsRow},
    },
};

/// A number that is kept as a fact.
pub(super) fn read_number(disk: &Disk, key: &Key) -> Result<Option<u32>, StorageError> {
    Ok(read_payload(disk, key)?.map(u32::from_be_bytes))
}

fn read_payload<const N: usize>(disk: &Disk, key: &Key) -> Result<Option<[u8; N]>, StorageError> {
    let bytes = key.to_bytes();
    let Some(value) = disk.get(&bytes)? else {
        return Ok(None);
    };
    let damaged = |why: String| StorageError::Damaged(format!("{key:?}: {why}"));
    let frame = Frame::parse(&bytes, value).map_err(|error| damaged(error.to_string()))?;
    frame.payload().try_into().map(Some).map_err(|_| damaged("is no number".into()))
}

/// All accounts, and the number that the next one gets.
pub(super) fn load_accounts(disk: &Disk) -> Result<(BTreeMap<AccountId, AccountEntry>, u32), StorageError> {
    let mut accounts = BTreeMap::new();
    let mut next = 1;
    for entry in disk.tree.scan_prefix(Family::Account.prefix()).keys() {
        let key = Key::parse(&disk.checked(entry)?);
        let Some(Key::Account { account: number, chunk: 0 }) = key else { continue };
        next = next.max(number.saturating_add(1));
        let id = disk::read_row::<AccountRow>(disk, |chunk| Key::Account { account: number, chunk }).and_then(|row| {
            let row = row.map(|stored| stored.value).unwrap_or_default();
            let id = row.id.parse().map_err(|error| StorageError::Damaged(format!("account {number}: {error}")))?;
            Ok((id, Etag(row.etag)))
        });
        match id {
            Ok((id, etag)) => {
                let (open_jobs, backlog) = read_tally(disk, number)?;
                accounts.insert(id, AccountEntry { number, etag, open_jobs, backlog });
            }
            Err(StorageError::Damaged(why)) => {
                tracing::error!(reason = %why, "a damaged account is left out: verify the store");
            }
            Err(error) => return Err(error),
        }
    }
    let stored = match read_number(disk, &META_NEXT_ACCOUNT) {
        Err(StorageError::Damaged(_)) => None,
        other => other?,
    };
    Ok((accounts, next.max(stored.unwrap_or(1))))
}

/// The head of the event log, and the number of the next commit with events.
pub(super) fn load_head(disk: &Disk) -> Result<(Cursor, u64), StorageError> {
    let kept = match read_payload::<8>(disk, &META_HEAD) {
        Err(StorageError::Damaged(_)) => None,
        other => other?,
    };
    let kept = Cursor(kept.map_or(0, u64::from_be_bytes));
    let Some(seq) = SledStore::newest_seq(disk)?.filter(|seq| *seq >= kept.0 >> 16) else {
        return Ok((kept, (kept.0 >> 16) + 1));
    };
    let events = disk::read_row::<EventsRow>(disk, |chunk| Key::Events { seq, chunk });
    let count = match events {
        Ok(row) => row.map_or(0, |stored| stored.value.events.len()),
        // Whoever follows the log is then past the damaged commit.
        Err(StorageError::Damaged(_)) => 0xffff,
        Err(error) => return Err(error),
    };
    Ok((cursor(seq, count), seq + 1))
}
