//! What an account has used of its quotas, as it is stored.

use super::{
    limits::{QuotaUnit, QuotaWindow},
    time::Timestamp,
};

/// What a history of use belongs to. The limit is no part of it: whoever changes a limit keeps the history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaKey {
    /// What is counted.
    pub unit: QuotaUnit,
    /// The stretch of time in which it is counted.
    pub window: QuotaWindow,
}

/// A change of one total. Charges are differences, so they may be stored in any order.
///
/// Who stores them adds them up per key and bucket, lets no total fall below zero, and may drop a total that is zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Charge {
    /// The history it belongs to.
    pub key: QuotaKey,
    /// The start of the stretch of time it belongs to, in milliseconds since 1970.
    pub bucket: u64,
    /// By how many units the total grows.
    pub amount: i64,
}

/// The sum of all charges of one bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usage {
    /// The history it belongs to.
    pub key: QuotaKey,
    /// The start of the stretch of time it belongs to, in milliseconds since 1970.
    pub bucket: u64,
    /// How many units were used in it.
    pub amount: u64,
}

/// What a provider was seen to allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedLimit {
    /// Of which quota.
    pub key: QuotaKey,
    /// How many units had been used in its window when the provider refused more.
    pub limit: u64,
    /// When that was.
    pub at: Timestamp,
}

/// Sums charges up by history and bucket; what cancels out is left out.
#[must_use]
pub fn sum(mut charges: Vec<Charge>) -> Vec<Charge> {
    charges.sort_unstable();
    charges.dedup_by(|later, sum| {
        let same = later.key == sum.key && later.bucket == sum.bucket;
        if same {
            sum.amount = sum.amount.saturating_add(later.amount);
        }
        same
    });
    charges.retain(|charge| charge.amount != 0);
    charges
}
