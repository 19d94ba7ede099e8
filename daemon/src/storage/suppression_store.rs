//! What a store does for suppressions: who must not be sent to.

use std::fmt;

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    address::Address,
    ids::{AccountId, Label},
    suppression::{Suppression, SuppressionKey, SuppressionReason, SuppressionScope},
    time::Timestamp,
};

/// Most suppressions that one call of [`SuppressionStore::list_suppressions`] looks at before it returns what it has found so far.
pub const SUPPRESSION_SCAN_MAX: usize = 20_000;

/// Suppressions.
#[async_trait]
pub trait SuppressionStore: Send + Sync + fmt::Debug {
    /// For each address, the suppression that decides, if one holds at `now`: that of all accounts before the account's, and that
    /// before those of the labels. Answers stand in the order of the addresses. While there are no suppressions nothing is read.
    async fn suppressed(
        &self,
        account: &AccountId,
        labels: &[Label],
        addresses: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError>;

    /// Whether there may be any suppression at all. Costs next to nothing.
    fn has_suppressions(&self) -> bool;

    /// The suppression of a key, whether or not it still holds.
    async fn suppression(&self, key: &SuppressionKey) -> Result<Option<Suppression>, StorageError>;

    /// Suppressions that match, in the order of scope and address, beginning after `page.after`. Those that have ended are left
    /// out.
    async fn list_suppressions(
        &self,
        filter: &SuppressionFilter,
        page: SuppressionPage,
    ) -> Result<Suppressions, StorageError>;

    /// Adds suppressions, each instead of the one of its key. Answers with whether each replaced one, in order. Very many may go
    /// in several commits, the first ones first.
    async fn suppress(&self, suppressions: Vec<Suppression>) -> Result<Vec<bool>, StorageError>;

    /// Adds suppressions but for those whose key has one that holds at `now`: that one stays, and is given back in the other's place.
    /// Answers stand in order. Very many may go in several commits, the first ones first.
    async fn suppress_new(
        &self,
        suppressions: Vec<Suppression>,
        now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError>;

    /// Takes a suppression away, and with `requeue` lets the recipients wait again that it held back: those of jobs that are kept,
    /// were not cancelled and have time left. They are due at once, or with those of their job that wait already, and are looked at
    /// again before they go. Each job gets an event, as of a retry. Very many may go in several commits, whether or not the caller
    /// waits; a crash between them leaves the rest held back, and another lift finds those: the suppression itself need not be there
    /// any more. Answers with nothing when there is none and nobody waits again.
    async fn lift(&self, key: &SuppressionKey, requeue: bool, now: Timestamp) -> Result<Option<Lifted>, StorageError>;
}

/// Which suppressions are meant. Every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuppressionFilter {
    /// Of one of these scopes; of any when empty.
    pub scopes: Vec<SuppressionScope>,
    /// For this reason.
    pub reason: Option<SuppressionReason>,
    /// Whose address contains this, in lower case.
    pub address_contains: Option<String>,
    /// Added at this time or later.
    pub added_from: Option<Timestamp>,
    /// Added before this time.
    pub added_before: Option<Timestamp>,
}

impl SuppressionFilter {
    /// Whether a suppression matches.
    #[must_use]
    pub fn is_met_by(&self, one: &Suppression) -> bool {
        (self.scopes.is_empty() || self.scopes.contains(&one.key.scope))
            && self.reason.is_none_or(|reason| one.reason == reason)
            && self.address_contains.as_ref().is_none_or(|part| one.key.mailbox.as_str().contains(part.as_str()))
            && self.added_from.is_none_or(|from| one.added_at >= from)
            && self.added_before.is_none_or(|end| one.added_at < end)
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionPage {
    /// The key of the last one of the page before.
    pub after: Option<SuppressionKey>,
    /// Most suppressions in this one; at most [`PAGE_MAX`](super::PAGE_MAX).
    pub limit: usize,
    /// The time at which they hold.
    pub now: Timestamp,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressions {
    /// The suppressions.
    pub suppressions: Vec<Suppression>,
    /// What the next page has as [`SuppressionPage::after`]; nothing when there are no more. A page may be short and still have a
    /// next one, because a call looks at [`SUPPRESSION_SCAN_MAX`] at most.
    pub next: Option<SuppressionKey>,
}

/// What a lift has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifted {
    /// The suppression as it was, if there was one.
    pub suppression: Option<Suppression>,
    /// Recipients that wait again.
    pub requeued: u32,
}
