//! What a store in memory knows of DKIM: keys and rules.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{
        dkim::{DKIM_KEYS_MAX, DkimKey, DkimKeyId, DkimKeys, DkimRules},
        ids::Etag,
    },
    storage::{AddDkimKeyError, DeleteDkimKeyError, PrivateKey, SetDkimRulesError},
};

/// All that a store knows of DKIM.
#[derive(Debug, Default)]
pub(super) struct DkimModel {
    pub(super) keys: Arc<DkimKeys>,
    pub(super) private: BTreeMap<DkimKeyId, PrivateKey>,
    pub(super) rules: Arc<DkimRules>,
}

impl DkimModel {
    pub(super) fn add(&mut self, key: DkimKey, private: PrivateKey) -> Result<(), AddDkimKeyError> {
        if self.keys.contains_key(&key.id) {
            return Err(AddDkimKeyError::Exists);
        }
        if self.keys.len() >= DKIM_KEYS_MAX {
            return Err(AddDkimKeyError::Full);
        }
        self.private.insert(key.id.clone(), private);
        Arc::make_mut(&mut self.keys).insert(key.id.clone(), key);
        Ok(())
    }

    pub(super) fn delete(&mut self, id: &DkimKeyId) -> Result<(), DeleteDkimKeyError> {
        if !self.keys.contains_key(id) {
            return Err(DeleteDkimKeyError::Unknown);
        }
        if let Some(what) = self.rules.naming(id) {
            return Err(DeleteDkimKeyError::Named(what));
        }
        self.private.remove(id);
        Arc::make_mut(&mut self.keys).remove(id);
        Ok(())
    }

    pub(super) fn set_rules(&mut self, rules: DkimRules, expected: Etag) -> Result<(), SetDkimRulesError> {
        let current = self.rules.etag;
        if current != expected {
            return Err(SetDkimRulesError::Stale { current });
        }
        if let Some(unknown) = rules.keys().find(|id| !self.keys.contains_key(*id)) {
            return Err(SetDkimRulesError::UnknownKey(unknown.clone()));
        }
        self.rules = Arc::new(rules);
        Ok(())
    }
}
