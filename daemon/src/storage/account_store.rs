//! What a store does for accounts: their settings, and whether they may send.

use std::fmt;

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    account::Account,
    ids::{AccountId, Etag},
    parking::Standing,
    time::Timestamp,
    tokens::Tokens,
};

/// Accounts: their settings, and whether they may send.
#[async_trait]
pub trait AccountStore: Send + Sync + fmt::Debug {
    /// Stores a new account with [`Standing::Active`]. Refused when the id is taken.
    async fn create_account(&self, account: Account) -> Result<(), CreateAccountError>;

    /// One account, if there is such a one.
    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, StorageError>;

    /// Up to `limit` (at most [`PAGE_MAX`](super::PAGE_MAX)) accounts in the order of their ids, beginning after `after`.
    async fn accounts(&self, after: Option<&AccountId>, limit: usize) -> Result<Vec<AccountRecord>, StorageError>;

    /// Replaces an account's settings. `expected` is the etag that the caller has seen; `account` carries the new one.
    async fn update_account(&self, account: Account, expected: Etag) -> Result<(), UpdateAccountError>;

    /// Deletes an account, its ledger, its tokens, its standing and its suppressions, and ends its tenure. Its finished jobs stay
    /// until they are pruned. A long list of suppressions goes in several commits; what a crash leaves of it goes before an account
    /// of this name is made again. Refused while it has open jobs: cancel them first; and while a routing rule names it: change that first.
    async fn delete_account(
        &self,
        id: &AccountId,
        expected: Option<Etag>,
        now: Timestamp,
    ) -> Result<(), DeleteAccountError>;

    /// Parks an account or makes it active again, as an operator wishes, and writes the event that says so. Setting what
    /// is already set writes nothing, and neither does an account that does not exist.
    async fn set_standing(&self, id: &AccountId, standing: Standing, now: Timestamp) -> Result<(), StorageError>;

    /// What an account holds of its OAuth 2 issuer, if anything.
    async fn tokens(&self, id: &AccountId) -> Result<Option<Tokens>, StorageError>;

    /// Replaces what an account holds of its issuer. Does nothing when there is no such account. Tokens are kept sealed,
    /// and are not refused because clients submit much: a refresh token that is not stored is lost.
    async fn put_tokens(&self, id: &AccountId, tokens: Tokens) -> Result<(), StorageError>;
}

/// An account with what the store keeps beside its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The settings.
    pub account: Account,
    /// Whether it may send.
    pub standing: Standing,
    /// How many of its jobs have a recipient that is not final.
    pub open_jobs: u64,
}

/// Why an account was not created.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CreateAccountError {
    #[error("there is an account of this id already")]
    Exists,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UpdateAccountError {
    #[error("there is no such account")]
    Unknown,
    #[error("the account was changed by someone else: its etag is {current} now")]
    Stale { current: Etag },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an account was not deleted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DeleteAccountError {
    #[error("there is no such account")]
    Unknown,
    #[error("the account was changed by someone else: its etag is {current} now")]
    Stale { current: Etag },
    #[error("the account has {0} open jobs")]
    OpenJobs(u64),
    #[error("the routing rule {0} names the account")]
    Routed(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}
