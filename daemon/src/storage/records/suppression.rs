//! How it is kept who must not be sent to.

use serde::{Deserialize, Serialize};

use super::{BadRow, codes::Code, job::parsed};
use crate::domain::suppression::{SuppressedBy, SuppressionScope};

/// A [`SuppressedBy`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SuppressedRow {
    /// 1 everywhere, 2 for an account, 3 for a label.
    #[prost(uint32, tag = "1")]
    pub scope: u32,
    /// The account or the label.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Why.
    #[prost(uint32, tag = "3")]
    pub reason: u32,
}

impl From<&SuppressedBy> for SuppressedRow {
    fn from(by: &SuppressedBy) -> Self {
        let (scope, name) = scope_parts(&by.scope);
        Self { scope, name, reason: by.reason.code() }
    }
}

impl TryFrom<&SuppressedRow> for SuppressedBy {
    type Error = BadRow;

    fn try_from(row: &SuppressedRow) -> Result<Self, BadRow> {
        Ok(Self { scope: scope_of(row.scope, &row.name)?, reason: Code::from_code(row.reason)? })
    }
}

/// The number and the name of a scope.
pub(super) fn scope_parts(scope: &SuppressionScope) -> (u32, String) {
    match scope {
        SuppressionScope::Global => (1, String::new()),
        SuppressionScope::Account(account) => (2, account.as_str().to_owned()),
        SuppressionScope::Label(label) => (3, label.as_str().to_owned()),
    }
}

/// The scope of a number and a name.
pub(super) fn scope_of(number: u32, name: &str) -> Result<SuppressionScope, BadRow> {
    Ok(match number {
        1 => SuppressionScope::Global,
        2 => SuppressionScope::Account(parsed("account", name)?),
        3 => SuppressionScope::Label(parsed("label", name)?),
        other => return Err(BadRow::new("suppression scope", format_args!("unknown code {other}"))),
    })
}
