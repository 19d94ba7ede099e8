//! The names by which messages are found when something comes back: those that their providers gave them, and those that
//! their submitters chose.
//!
//! Each name is kept twice, by job so that it goes with its job, and by account and hash. Within an account a name means one
//! message, the last one that got it.

use crate::{
    domain::{
        ids::{AccountId, JobId, MessageKey},
        job::Job,
    },
    storage::{
        StorageError,
        inbound_store::bare_name,
        sled::{
            SledStore, codec,
            disk::{self, View},
            keys::{Family, Key, ReturnKey},
            txn::Txn,
        },
    },
};

/// What stands for a name in keys.
pub(in crate::storage::sled) fn name_hash(bare: &str) -> [u8; 16] {
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(bare.as_bytes()).as_bytes()[..16]);
    hash
}

/// The message that has a name.
pub(super) fn named(view: &impl View, account: u32, hash: [u8; 16]) -> Result<Option<MessageKey>, StorageError> {
    let read = disk::readable(disk::read(view, |_| ReturnKey::Name { account, hash }.into()))?;
    Ok(read.and_then(|read| ReturnKey::message_of(&read.value)))
}

impl Txn {
    /// Gives a message of the account with this number a name, which another one may have had before.
    pub(in crate::storage::sled) fn put_name(
        &mut self,
        account: u32,
        hash: [u8; 16],
        message: MessageKey,
    ) -> Result<(), StorageError> {
        if let Some(old) = named(self, account, hash)?.filter(|old| *old != message) {
            self.remove_key(&ReturnKey::NameOf { message: old, account, hash }.into());
        }
        let value = ReturnKey::message_bytes(message);
        for (key, value) in [
            codec::single(&ReturnKey::Name { account, hash }.into(), &value),
            codec::single(&ReturnKey::NameOf { message, account, hash }.into(), &[]),
        ] {
            self.put(key, value);
        }
        Ok(())
    }

    /// Takes a name away that is stored under this key of [`Family::NameOf`].
    pub(in crate::storage::sled) fn forget_name(&mut self, key: &[u8]) -> Result<(), StorageError> {
        let Some(Key::Return(ReturnKey::NameOf { message, account, hash })) = Key::parse(key) else { return Ok(()) };
        if named(self, account, hash)? == Some(message) {
            self.remove_key(&ReturnKey::Name { account, hash }.into());
        }
        self.remove(key.into());
        Ok(())
    }

    /// Takes the names of a plain job away.
    pub(in crate::storage::sled) fn forget_names(&mut self, job: JobId) -> Result<(), StorageError> {
        let keys = self.keys_with(&Key::of_job(Family::NameOf, job))?;
        keys.iter().try_for_each(|key| self.forget_name(key))
    }

    /// Gives the names of a plain job to another account.
    pub(in crate::storage::sled) fn move_names(&mut self, job: JobId, to: u32) -> Result<(), StorageError> {
        for key in self.keys_with(&Key::of_job(Family::NameOf, job))? {
            if let Some(Key::Return(ReturnKey::NameOf { message, hash, .. })) = Key::parse(&key) {
                self.forget_name(&key)?;
                self.put_name(to, hash, message)?;
            }
        }
        Ok(())
    }
}

impl SledStore {
    pub(in crate::storage::sled) fn find_named(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Option<MessageKey>, StorageError> {
        let (Some(account), Some(name)) = (self.number_of(account), bare_name(name)) else { return Ok(None) };
        let found = named(&self.disk, account, name_hash(name))?;
        // The names of a merge job that is gone go bit by bit.
        let is_there = |message: &MessageKey| {
            let key = Key::Job { job: message.job, chunk: 0 };
            self.disk.get(&key.to_bytes()).map(|row| row.is_some())
        };
        match found {
            Some(message) if is_there(&message)? => Ok(Some(message)),
            _ => Ok(None),
        }
    }
}

/// The hash of the name by which a job has to be remembered, if it has one.
pub(in crate::storage::sled) fn own_name_hash(job: &Job) -> Option<[u8; 16]> {
    crate::storage::inbound_store::own_name(job).map(name_hash)
}
