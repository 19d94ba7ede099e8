//! DKIM keys and rules, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use prost::Message as _;

use super::engine::MemoryStore;
use crate::{
    domain::{
        dkim::{DkimKey, DkimKeyId, DkimKeys, DkimRules},
        ids::Etag,
    },
    storage::{
        AddDkimKeyError, DKIM_RULES_BYTES_MAX, DeleteDkimKeyError, DkimStore, PrivateKey, SetDkimRulesError,
        StorageError, records::dkim::DkimRulesRow,
    },
};

#[async_trait]
impl DkimStore for MemoryStore {
    async fn dkim_keys(&self) -> Result<Arc<DkimKeys>, StorageError> {
        Ok(Arc::clone(&self.model().dkim.keys))
    }

    async fn lacks_dkim_keys(&self) -> Result<bool, StorageError> {
        Ok(false)
    }

    async fn dkim_private_key(&self, id: &DkimKeyId) -> Result<Option<PrivateKey>, StorageError> {
        Ok(self.model().dkim.private.get(id).cloned())
    }

    async fn add_dkim_key(&self, key: DkimKey, private: PrivateKey) -> Result<(), AddDkimKeyError> {
        self.change(|model| model.dkim.add(key, private))?
    }

    async fn delete_dkim_key(&self, id: &DkimKeyId) -> Result<(), DeleteDkimKeyError> {
        self.change(|model| model.dkim.delete(id))?
    }

    async fn dkim_rules(&self) -> Result<Arc<DkimRules>, StorageError> {
        Ok(Arc::clone(&self.model().dkim.rules))
    }

    async fn set_dkim_rules(&self, rules: DkimRules, expected: Etag) -> Result<(), SetDkimRulesError> {
        let bytes = DkimRulesRow::from(&rules).encoded_len();
        if bytes > DKIM_RULES_BYTES_MAX {
            return Err(SetDkimRulesError::TooLarge { bytes });
        }
        self.change(|model| model.dkim.set_rules(rules, expected))?
    }
}
