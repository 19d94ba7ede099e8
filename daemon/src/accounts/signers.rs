//! The DKIM keys that sign a message, opened and ready for use.
//!
//! Opening a key takes as long as signing some messages, so keys that were used stay open. The store tells cheaply which
//! keys and rules there are, so nothing here is ever older than that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    compose::dkim::SigningKey,
    domain::{
        address::Address,
        dkim::{DkimKey, DkimKeyId, DkimKeys},
        merge::MergeTemplate,
    },
    policy::dkim::{signing_keys, wants_own_keys},
    storage::{PrivateKey, SharedStorage, StorageError},
};

/// How often the rules are read again when a key that they name has just gone.
const READINGS_MAX: usize = 3;
const LACKING: &str = "a DKIM key is damaged, and keys sign their own domains: verify the store, make the key anew, and set \
                       the DKIM rules again";

/// Finds the keys that sign. Clones share what is open.
#[derive(Clone, Debug)]
pub struct Signers {
    storage: SharedStorage,
    open: Arc<Mutex<HashMap<DkimKeyId, Open>>>,
}

#[derive(Clone, Debug)]
struct Open {
    /// What the store knew of the key when it was opened: another one may have its name now.
    known: DkimKey,
    key: Arc<SigningKey>,
}

impl Signers {
    /// Those of a store.
    #[must_use]
    pub fn new(storage: &SharedStorage) -> Self {
        Self { storage: Arc::clone(storage), open: Arc::default() }
    }

    /// The keys that sign a message from this address, in the order of the signatures; none when it is not to be signed.
    ///
    /// # Errors
    /// When the store fails, or rules or a key that they name cannot be read: what should be signed is never sent unsigned.
    pub async fn of(&self, from: &Address) -> Result<Vec<Arc<SigningKey>>, StorageError> {
        let mut reading = 1;
        loop {
            let keys = self.storage.dkim_keys().await?;
            let rules = self.storage.dkim_rules().await?;
            if wants_own_keys(&rules, from) && self.storage.lacks_dkim_keys().await? {
                return Err(StorageError::Damaged(LACKING.to_owned()));
            }
            let wanted = signing_keys(&rules, &keys, from);
            match self.all(&keys, &wanted).await {
                // A key may have been replaced between two lines.
                Err(StorageError::Damaged(_)) if reading < READINGS_MAX => reading += 1,
                found => return found,
            }
        }
    }

    /// The keys that sign the messages of a merge job; none when its route forbids that.
    ///
    /// # Errors
    /// As [`Signers::of`].
    pub async fn of_template(&self, template: &MergeTemplate) -> Result<Vec<Arc<SigningKey>>, StorageError> {
        if template.forbid_dkim { Ok(Vec::new()) } else { self.of(&template.draft.from.address).await }
    }

    async fn all(&self, keys: &DkimKeys, wanted: &[DkimKeyId]) -> Result<Vec<Arc<SigningKey>>, StorageError> {
        let mut found = Vec::with_capacity(wanted.len());
        for id in wanted {
            let known = keys.get(id).ok_or_else(|| unusable(id, "is not there"))?;
            found.push(match self.opened(known) {
                Some(key) => key,
                None => self.open(keys, known).await?,
            });
        }
        Ok(found)
    }

    fn opened(&self, known: &DkimKey) -> Option<Arc<SigningKey>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&known.id).filter(|open| open.known == *known).map(|open| Arc::clone(&open.key))
    }

    async fn open(&self, keys: &DkimKeys, known: &DkimKey) -> Result<Arc<SigningKey>, StorageError> {
        let id = &known.id;
        let private = self.storage.dkim_private_key(id).await?.ok_or_else(|| unusable(id, "is not there"))?;
        let key = open_aside(id.clone(), private).await?;
        if key.public_key() != known.public_key {
            return Err(unusable(id, "has two halves that do not belong together"));
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|id, _| keys.contains_key(id));
        open.insert(id.clone(), Open { known: known.clone(), key: Arc::clone(&key) });
        Ok(key)
    }
}

/// Opens a key on a thread that may compute.
async fn open_aside(id: DkimKeyId, private: PrivateKey) -> Result<Arc<SigningKey>, StorageError> {
    let opening = tokio::task::spawn_blocking(move || {
        let key = SigningKey::open(id.clone(), private.expose());
        key.map(Arc::new).map_err(|why| unusable(&id, &why.to_string()))
    });
    opening.await.map_err(|_| StorageError::Damaged("a DKIM key cannot be opened".to_owned()))?
}

fn unusable(id: &DkimKeyId, why: &str) -> StorageError {
    StorageError::Damaged(format!("the DKIM key {id}, which the rules name, {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compose::dkim::pkcs8_of_ed25519,
        domain::{account::Stamp, dkim::DkimRules, ids::Etag, secret::Secret, time::Timestamp},
        storage::memory::MemoryStore,
    };

    fn key(seed: u8) -> (DkimKey, PrivateKey) {
        let private = pkcs8_of_ed25519(&[seed; 32]);
        let id = DkimKeyId::new("s1", "example.jp").expect("a name");
        let opened = SigningKey::open(id.clone(), &private).expect("a key");
        let created = Stamp { at: Timestamp::EPOCH, by: "boss".parse().expect("a name") };
        let (algorithm, public_key) = (opened.algorithm(), opened.public_key());
        (DkimKey { id, algorithm, public_key, created }, Secret::new(private.to_vec()))
    }

    async fn add(storage: &SharedStorage, (key, private): (DkimKey, PrivateKey)) {
        storage.add_dkim_key(key, private).await.expect("it is new");
    }

    #[tokio::test]
    async fn keys_are_opened_once_and_again_when_they_were_replaced() {
        let storage: SharedStorage = MemoryStore::new();
        let signers = Signers::new(&storage);
        let from: Address = "shop@example.jp".parse().expect("an address");
        assert!(signers.of(&from).await.expect("an answer").is_empty());
        add(&storage, key(1)).await;
        let rules = DkimRules { sign_own_domains: true, etag: Etag(1), ..DkimRules::default() };
        storage.set_dkim_rules(rules, Etag(0)).await.expect("nobody set any");
        let first = signers.of(&from).await.expect("an answer").swap_remove(0);
        let again = signers.clone().of(&from).await.expect("an answer").swap_remove(0);
        assert!(Arc::ptr_eq(&first, &again));
        storage.delete_dkim_key(first.id()).await.expect("nothing names it");
        assert!(signers.of(&from).await.expect("an answer").is_empty());
        add(&storage, key(2)).await;
        let other = signers.of(&from).await.expect("an answer").swap_remove(0);
        assert_ne!(other.public_key(), first.public_key());
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_used_is_told() {
        let storage: SharedStorage = MemoryStore::new();
        let (known, _) = key(1);
        let (_, private) = key(2);
        let id = known.id.clone();
        add(&storage, (known, private)).await;
        let rules = DkimRules { default_keys: vec![id], etag: Etag(1), ..DkimRules::default() };
        storage.set_dkim_rules(rules, Etag(0)).await.expect("nobody set any");
        let error =
            Signers::new(&storage).of(&"a@b.example".parse().expect("an address")).await.expect_err("two halves");
        assert!(error.to_string().contains("s1._domainkey.example.jp"), "{error}");
    }
}
