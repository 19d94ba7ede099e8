//! Which kinds of scopes are there?

use super::keys::Family;
use crate::domain::suppression::SuppressionScope;

/// A kind of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ScopeKind {
    Global,
    Account,
    Label,
}

impl ScopeKind {
    /// All kinds.
    pub(super) const ALL: [Self; 3] = [Self::Global, Self::Account, Self::Label];

    /// The kind of a scope.
    pub(super) const fn of(scope: &SuppressionScope) -> Self {
        match scope {
            SuppressionScope::Global => Self::Global,
            SuppressionScope::Account(_) => Self::Account,
            SuppressionScope::Label(_) => Self::Label,
        }
    }

    /// What the keys of all suppressions of this kind begin with.
    pub(super) const fn prefix(self) -> [u8; 2] {
        [Family::Suppression as u8, self as u8 + 1]
    }
}
