//! Suppressions on the wire.

use hikyaku_proto::v1;

use crate::domain::suppression::{SuppressedBy, SuppressionReason, SuppressionScope};

/// What kept a recipient out, on the wire.
pub(in crate::service) fn from_suppressed_by(by: &SuppressedBy) -> v1::SuppressedBy {
    v1::SuppressedBy { scope: Some(from_scope(&by.scope)), reason: from_reason(by.reason).into() }
}

/// A scope on the wire.
pub(in crate::service) fn from_scope(scope: &SuppressionScope) -> v1::SuppressionScope {
    use v1::suppression_scope::Scope;
    let scope = match scope {
        SuppressionScope::Global => Scope::Global(true),
        SuppressionScope::Account(account) => Scope::AccountId(account.to_string()),
        SuppressionScope::Label(label) => Scope::Label(label.to_string()),
    };
    v1::SuppressionScope { scope: Some(scope) }
}

/// A reason on the wire.
pub(in crate::service) const fn from_reason(reason: SuppressionReason) -> v1::SuppressionReason {
    match reason {
        SuppressionReason::HardBounce => v1::SuppressionReason::HardBounce,
        SuppressionReason::SoftBounces => v1::SuppressionReason::SoftBounces,
        SuppressionReason::Complaint => v1::SuppressionReason::Complaint,
        SuppressionReason::Unsubscribed => v1::SuppressionReason::Unsubscribed,
        SuppressionReason::Manual => v1::SuppressionReason::Manual,
    }
}
