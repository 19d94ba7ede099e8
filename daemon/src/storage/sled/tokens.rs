//! Tokens of accounts, on sled.

use super::{SledStore, disk, keys::Key, txn::Txn};
use crate::{
    domain::{ids::AccountId, tokens::Tokens},
    storage::{StorageError, records::tokens::TokensRow},
};

/// Replaces the tokens of an account, if there is such a one.
pub(super) fn put(txn: &mut Txn, id: &AccountId, row: &TokensRow) -> Result<(), StorageError> {
    let Some(account) = txn.accounts.get(id).map(|entry| entry.number) else {
        return Ok(());
    };
    let key = |chunk| Key::Tokens { account, chunk };
    let old_frames = match txn.row::<TokensRow>(key) {
        Ok(stored) => stored.map_or(0, |stored| stored.frames),
        // New tokens mend a damaged row.
        Err(StorageError::Damaged(_)) => 0,
        Err(error) => return Err(error),
    };
    txn.put_row(key, row, old_frames);
    Ok(())
}

impl SledStore {
    pub(super) fn read_tokens(&self, id: &AccountId) -> Result<Option<Tokens>, StorageError> {
        let Some(account) = self.number_of(id) else {
            return Ok(None);
        };
        let Some(row) = disk::read_row::<TokensRow>(&self.disk, |chunk| Key::Tokens { account, chunk })? else {
            return Ok(None);
        };
        let tokens = row.value.into_tokens(id, &self.sealer);
        tokens.map(Some).map_err(|error| StorageError::Damaged(format!("account {id}: {error}")))
    }
}
