//! What a store does for DKIM: keys and rules.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    dkim::{DKIM_KEYS_MAX, DkimKey, DkimKeyId, DkimKeys, DkimRules},
    ids::Etag,
    secret::Secret,
};

/// Longest stored form of the rules, in bytes: they are one record, written as a whole and kept in memory.
pub const DKIM_RULES_BYTES_MAX: usize = 1_024 * 1_024;

/// A private key as PKCS #8 in DER.
pub type PrivateKey = Secret<Vec<u8>>;

/// DKIM keys, and the rules that say what they sign.
#[async_trait]
pub trait DkimStore: Send + Sync + fmt::Debug {
    /// All keys but those that cannot be read, without their private halves. Cheap: they are kept in memory.
    async fn dkim_keys(&self) -> Result<Arc<DkimKeys>, StorageError>;

    /// Whether a key cannot be read or was set aside as damaged, so that what signs its own domains may lack it. Cheap, too.
    async fn lacks_dkim_keys(&self) -> Result<bool, StorageError>;

    /// The private half of a key, which is kept sealed; nothing when there is no such key.
    async fn dkim_private_key(&self, id: &DkimKeyId) -> Result<Option<PrivateKey>, StorageError>;

    /// Stores a new key.
    async fn add_dkim_key(&self, key: DkimKey, private: PrivateKey) -> Result<(), AddDkimKeyError>;

    /// Forgets a key that no rule names.
    async fn delete_dkim_key(&self, id: &DkimKeyId) -> Result<(), DeleteDkimKeyError>;

    /// The rules; none with etag 0 when they were never set. Cheap: they are kept in memory.
    ///
    /// # Errors
    /// With [`StorageError::Damaged`] when they cannot be read, and after they were set aside until they are set again:
    /// nothing goes unsigned for that.
    async fn dkim_rules(&self) -> Result<Arc<DkimRules>, StorageError>;

    /// Replaces the rules. `expected` is the etag that the caller has seen; `rules` carries the new one. Damaged rules are
    /// replaced whatever the caller has seen.
    async fn set_dkim_rules(&self, rules: DkimRules, expected: Etag) -> Result<(), SetDkimRulesError>;
}

/// Why a key was not stored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AddDkimKeyError {
    #[error("there is a key of this name already")]
    Exists,
    #[error("there are {DKIM_KEYS_MAX} keys already")]
    Full,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a key was not forgotten.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DeleteDkimKeyError {
    #[error("there is no such key")]
    Unknown,
    #[error("{0} names the key")]
    Named(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why the rules were not replaced.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SetDkimRulesError {
    #[error("the rules were changed by someone else: their etag is {current} now")]
    Stale { current: Etag },
    #[error("there is no key {0}")]
    UnknownKey(DkimKeyId),
    #[error("the rules have {bytes} bytes, more than {DKIM_RULES_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error(transparent)]
    Storage(#[from] StorageError),
}
