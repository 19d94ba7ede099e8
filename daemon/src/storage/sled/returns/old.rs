//! What goes of what came back: mail that is old, fingerprints, and what was read of mailboxes whose accounts are gone.

use std::time::Duration;

use ::sled::IVec;

use crate::{
    domain::{inbound::InboundId, time::Timestamp},
    storage::{
        FINGERPRINT_DAYS, StorageError,
        sled::{
            SledStore,
            accept::day_of,
            disk::{self, View},
            keys::{Family, Key, ReturnKey},
            txn::Txn,
        },
    },
};

/// Families whose keys begin with the number of an account, and that nobody deletes with it.
const STRAYING: [Family; 3] = [Family::Doubt, Family::Read, Family::ReadUpTo];

/// A record that may go.
#[derive(Clone, Debug)]
pub(in crate::storage::sled) enum OldReturn {
    Mail(InboundId),
    Fingerprint {
        day: u32,
        account: u32,
        hash: [u8; 16],
    },
    /// It was an account's that is gone.
    Stray(IVec),
}

impl SledStore {
    /// Up to `limit` records that may go.
    pub(in crate::storage::sled) fn find_old_returns(
        &self,
        before: Timestamp,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<OldReturn>, StorageError> {
        let mut found = Vec::new();
        self.find_old_mails(before, limit, &mut found)?;
        self.find_old_fingerprints(now, limit, &mut found)?;
        for family in STRAYING {
            self.find_strays(family, limit, &mut found)?;
        }
        Ok(found)
    }

    fn find_old_mails(&self, before: Timestamp, limit: usize, found: &mut Vec<OldReturn>) -> Result<(), StorageError> {
        let oldest = InboundId::first_at(before);
        for entry in self.disk.tree.scan_prefix(Family::Inbound.prefix()).keys() {
            let Some(Key::Return(ReturnKey::Mail { id, chunk })) = Key::parse(&self.disk.checked(entry)?) else {
                continue;
            };
            if found.len() >= limit || id >= oldest {
                break;
            }
            found.extend((chunk == 0).then_some(OldReturn::Mail(id)));
        }
        Ok(())
    }

    fn find_old_fingerprints(
        &self,
        now: Timestamp,
        limit: usize,
        found: &mut Vec<OldReturn>,
    ) -> Result<(), StorageError> {
        let remembered = Duration::from_secs(FINGERPRINT_DAYS * 24 * 3_600);
        let last_day = day_of(now.before(remembered));
        for entry in self.disk.tree.scan_prefix(Family::FingerprintDay.prefix()).keys() {
            let key = Key::parse(&self.disk.checked(entry)?);
            let Some(Key::Return(ReturnKey::FingerprintDay { day, account, hash })) = key else { continue };
            if found.len() >= limit || day > last_day {
                break;
            }
            let at = disk::readable(fingerprint_at(&self.disk, account, hash))?.unwrap_or(Timestamp::EPOCH);
            if now.since(at) > remembered {
                found.push(OldReturn::Fingerprint { day, account, hash });
            }
        }
        Ok(())
    }

    /// Looks at one key of each account that is there, and at those of the others.
    fn find_strays(&self, family: Family, limit: usize, found: &mut Vec<OldReturn>) -> Result<(), StorageError> {
        let alive: std::collections::HashSet<u32> = self.all_entries().iter().map(|(_, entry)| entry.number).collect();
        let mut start = family.prefix().to_vec();
        while found.len() < limit {
            let Some(key) = self.disk.seek(&start, &family.prefix())? else { break };
            let Some(account) = account_of(&key) else { break };
            if alive.contains(&account) {
                let Some(next) = account.checked_add(1) else { break };
                start = family.of_account(next).to_vec();
            } else {
                start = [&key[..], &[0]].concat();
                found.push(OldReturn::Stray(key));
            }
        }
        Ok(())
    }
}

/// When a mail came.
pub(super) fn fingerprint_at(
    view: &impl View,
    account: u32,
    hash: [u8; 16],
) -> Result<Option<Timestamp>, StorageError> {
    let key = ReturnKey::Fingerprint { account, hash };
    let Some(read) = disk::read(view, |_| key.clone().into())? else { return Ok(None) };
    let bytes = read.value.try_into().map_err(|_| StorageError::Damaged(format!("{key:?}: does not have 8 bytes")))?;
    Ok(Some(Timestamp::from_millis(u64::from_be_bytes(bytes))))
}

fn account_of(key: &[u8]) -> Option<u32> {
    match Key::parse(key)? {
        Key::Return(ReturnKey::Doubt { account, .. })
        | Key::Return(ReturnKey::Read { account, .. } | ReturnKey::ReadUpTo { account, .. }) => Some(account),
        _ => None,
    }
}

/// Deletes a record and says how many went.
pub(in crate::storage::sled) fn forget(txn: &mut Txn, old: OldReturn) -> Result<u64, StorageError> {
    match old {
        OldReturn::Mail(id) => {
            for key in [ReturnKey::Mail { id, chunk: 0 }, ReturnKey::Content { id, chunk: 0 }].map(Key::from) {
                txn.keys_with(&key.stem())?.into_iter().for_each(|key| txn.remove(key));
            }
        }
        OldReturn::Fingerprint { day, account, hash } => {
            txn.remove_key(&ReturnKey::FingerprintDay { day, account, hash }.into());
            // A younger one of the same hash has a day of its own.
            let at = disk::readable(fingerprint_at(txn, account, hash))?;
            if at.is_none_or(|at| day_of(at) == day) {
                txn.remove_key(&ReturnKey::Fingerprint { account, hash }.into());
            }
        }
        OldReturn::Stray(key) => {
            // The committer knows accounts that are younger than the look.
            let is_alive = account_of(&key).is_some_and(|number| txn.accounts.values().any(|one| one.number == number));
            if is_alive {
                return Ok(0);
            }
            txn.remove(key);
        }
    }
    Ok(1)
}
