//! What persists, spelt in one place: rows are what engines store, conversions join them to the domain.
//!
//! Rows are protobuf messages without a `.proto` file: a tag is never reused, and a field that is new has a default that
//! means what its absence meant. The same rows are what `export` writes as JSON lines.

pub mod account;
pub mod blob;
mod codes;
pub mod dkim;
pub mod event;
pub mod history;
pub mod idempotency;
pub mod inbound;
pub mod job;
pub mod ledger;
pub mod limits;
pub mod merge;
mod parsed;
pub mod recipients;
pub mod report;
pub mod routing;
pub mod standing;
mod state;
pub mod statistics;
pub mod suppression;
pub mod template;
#[cfg(test)]
mod tests;
pub mod tokens;

/// A row that cannot be turned into what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRow(pub String);

impl BadRow {
    pub(crate) fn new(what: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

/// Bytes as base64 in JSON.
mod as_base64 {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}
