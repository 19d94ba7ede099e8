//! What an account has used of its quotas, in the form in which it is stored.

use super::limits::{QuotaUnit, QuotaWindow};

/// Which history a quota reads: what it counts, over which window. The limit is no part of it, so that changing a limit
/// keeps the history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaKey {
    /// What is counted.
    pub unit: QuotaUnit,
    /// Over which window.
    pub window: QuotaWindow,
}

/// A change of one bucket of the ledger. Changes add up, so the order of their commits does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Which history.
    pub key: QuotaKey,
    /// When the bucket begins, in milliseconds since 1970.
    pub bucket: u64,
    /// How many units more, or fewer when negative.
    pub amount: i64,
}

/// The total of one bucket of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Which history.
    pub key: QuotaKey,
    /// When the bucket begins, in milliseconds since 1970.
    pub bucket: u64,
    /// How many units.
    pub amount: u64,
}
