//! Suppressions, omissions and counts for tests.

use super::at;
use crate::{
    domain::{
        ids::MessageKey,
        statistics::{Counted, Counts, StatisticsGroup},
        suppression::{Suppression, SuppressionKey, SuppressionReason, SuppressionScope, SuppressionSource},
    },
    storage::settlement::Omission,
};

/// A suppression that somebody added at `at(0)` and that never ends.
#[must_use]
pub fn suppression(scope: SuppressionScope, address: &str) -> Suppression {
    let address = address.parse().expect("an address");
    Suppression {
        key: SuppressionKey::new(scope, &address),
        address,
        reason: SuppressionReason::Manual,
        source: SuppressionSource::Call,
        added_at: at(0),
        added_by: Some(super::caller()),
        expires_at: None,
        evidence: "he wrote a letter".into(),
        message: None,
    }
}

/// The key of an address that is suppressed everywhere.
#[must_use]
pub fn suppression_key(address: &str) -> SuppressionKey {
    SuppressionKey::new(SuppressionScope::Global, &address.parse().expect("an address"))
}

/// That recipients of a message are left out because their addresses are suppressed everywhere.
#[must_use]
pub fn omission(message: MessageKey, recipients: &[(u32, &str)], seconds: u64) -> Omission {
    let by = |(index, address): &(u32, &str)| (*index, suppression(SuppressionScope::Global, address));
    let counts = Counts { suppressed: recipients.len() as u64, ..Counts::default() };
    Omission {
        message,
        recipients: recipients.iter().map(by).collect(),
        counted: vec![Counted { group: StatisticsGroup::All, counts }],
        now: at(seconds),
    }
}

/// That so many recipients of a group were accepted.
#[must_use]
pub fn accepted(group: StatisticsGroup, accepted: u64) -> Counted {
    Counted { group, counts: Counts { accepted, ..Counts::default() } }
}

/// The group of a domain.
#[must_use]
pub fn domain(name: &str) -> StatisticsGroup {
    StatisticsGroup::Domain(name.into())
}
