//! How it is kept who must not be sent to.

use serde::{Deserialize, Serialize};

use super::{BadRow, as_base64, codes::Code, parsed::parsed};
use crate::domain::{
    ids::{JobId, MessageKey},
    suppression::{EVIDENCE_BYTES_MAX, SuppressedBy, SuppressedMailbox, Suppression, SuppressionKey, SuppressionScope},
    time::Timestamp,
};

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

/// A [`Suppression`]. Times are in milliseconds since 1970.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SuppressionRow {
    /// Where and for whom.
    #[prost(message, optional, tag = "1")]
    pub key: Option<SuppressionKeyRow>,
    /// The address as it was written.
    #[prost(string, tag = "2")]
    pub address: String,
    /// Why.
    #[prost(uint32, tag = "3")]
    pub reason: u32,
    /// How it came into the list.
    #[prost(uint32, tag = "4")]
    pub source: u32,
    /// When it was added.
    #[prost(uint64, tag = "5")]
    pub added_at: u64,
    /// Who added it.
    #[prost(string, optional, tag = "6")]
    pub added_by: Option<String>,
    /// When it ends by itself.
    #[prost(uint64, optional, tag = "7")]
    pub expires_at: Option<u64>,
    /// What it rests on.
    #[prost(string, tag = "8")]
    pub evidence: String,
    /// The job whose message brought it, 16 bytes; empty for none.
    #[prost(bytes = "vec", tag = "9")]
    #[serde(with = "as_base64")]
    pub job: Vec<u8>,
    /// The message's number in its job.
    #[prost(uint32, tag = "10")]
    pub index: u32,
}

/// A [`SuppressionKey`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SuppressionKeyRow {
    /// As in [`SuppressedRow`].
    #[prost(uint32, tag = "1")]
    pub scope: u32,
    /// The account or the label.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The address in the form in which addresses are compared.
    #[prost(string, tag = "3")]
    pub mailbox: String,
}

/// A run of messages that came back from an address for reasons that may pass.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SoftRunRow {
    /// The suppression that follows when it is long enough.
    #[prost(message, optional, tag = "1")]
    pub key: Option<SuppressionKeyRow>,
    /// How many messages there were.
    #[prost(uint32, tag = "2")]
    pub count: u32,
    /// When the last one came back, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub last_at: u64,
    /// When the run is forgotten unless another one comes back.
    #[prost(uint64, tag = "4")]
    pub ends_at: u64,
}

impl From<&Suppression> for SuppressionRow {
    fn from(suppression: &Suppression) -> Self {
        let evidence = &suppression.evidence;
        Self {
            key: Some(SuppressionKeyRow::from(&suppression.key)),
            address: suppression.address.as_str().to_owned(),
            reason: suppression.reason.code(),
            source: suppression.source.code(),
            added_at: suppression.added_at.as_millis(),
            added_by: suppression.added_by.as_ref().map(|caller| caller.as_str().to_owned()),
            expires_at: suppression.expires_at.map(Timestamp::as_millis),
            evidence: evidence[..evidence.floor_char_boundary(EVIDENCE_BYTES_MAX)].to_owned(),
            job: suppression.message.map_or_else(Vec::new, |message| message.job.to_bytes().to_vec()),
            index: suppression.message.map_or(0, |message| message.index),
        }
    }
}

impl TryFrom<SuppressionRow> for Suppression {
    type Error = BadRow;

    fn try_from(row: SuppressionRow) -> Result<Self, BadRow> {
        let key = row.key.ok_or_else(|| BadRow::new("suppression", "has no key"))?;
        let message = match row.job.as_slice() {
            [] => None,
            job => {
                let job = job.try_into().map_err(|_| BadRow::new("suppression", "a job's id has 16 bytes"))?;
                Some(MessageKey { job: JobId::from_bytes(job), index: row.index })
            }
        };
        Ok(Self {
            key: SuppressionKey::try_from(&key)?,
            address: parsed("address", &row.address)?,
            reason: Code::from_code(row.reason)?,
            source: Code::from_code(row.source)?,
            added_at: Timestamp::from_millis(row.added_at),
            added_by: row.added_by.map(|caller| parsed("caller", &caller)).transpose()?,
            expires_at: row.expires_at.map(Timestamp::from_millis),
            evidence: row.evidence.into(),
            message,
        })
    }
}

impl From<&SuppressionKey> for SuppressionKeyRow {
    fn from(key: &SuppressionKey) -> Self {
        let (scope, name) = scope_parts(&key.scope);
        Self { scope, name, mailbox: key.mailbox.as_str().to_owned() }
    }
}

impl TryFrom<&SuppressionKeyRow> for SuppressionKey {
    type Error = BadRow;

    fn try_from(row: &SuppressionKeyRow) -> Result<Self, BadRow> {
        Ok(Self { scope: scope_of(row.scope, &row.name)?, mailbox: SuppressedMailbox::stored(&row.mailbox) })
    }
}

/// The number and the name of a scope.
pub(in crate::storage) fn scope_parts(scope: &SuppressionScope) -> (u32, String) {
    match scope {
        SuppressionScope::Global => (1, String::new()),
        SuppressionScope::Account(account) => (2, account.as_str().to_owned()),
        SuppressionScope::Label(label) => (3, label.as_str().to_owned()),
    }
}

/// The scope of a number and a name.
pub(in crate::storage) fn scope_of(number: u32, name: &str) -> Result<SuppressionScope, BadRow> {
    Ok(match number {
        1 => SuppressionScope::Global,
        2 => SuppressionScope::Account(parsed("account", name)?),
        3 => SuppressionScope::Label(parsed("label", name)?),
        other => return Err(BadRow::new("suppression scope", format_args!("unknown code {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::contract::samples::lists::{suppression, suppression_key};

    #[test]
    fn suppressions_survive_their_rows() {
        let plain = suppression(SuppressionScope::Global, "Taro@Example.com");
        let label = SuppressionScope::Label("spring 春".parse().unwrap());
        let unusual = Suppression {
            added_by: None,
            expires_at: Some(Timestamp::from_millis(7)),
            message: Some(MessageKey { job: JobId::from_bytes([3; 16]), index: 9 }),
            ..suppression(label, "\"a..b\"@docomo.ne.jp")
        };
        for given in [plain, unusual] {
            let row = SuppressionRow::from(&given);
            let row: SuppressionRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
            assert_eq!(Suppression::try_from(row), Ok(given));
        }
    }

    #[test]
    fn evidence_is_cut_at_a_character() {
        let long =
            Suppression { evidence: "あ".repeat(2_000).into(), ..suppression(SuppressionScope::Global, "a@b.jp") };
        assert_eq!(SuppressionRow::from(&long).evidence.len(), 2_046);
    }

    #[test]
    fn a_key_without_a_scope_is_refused() {
        let row = SuppressionKeyRow { scope: 9, ..SuppressionKeyRow::from(&suppression_key("a@b.jp")) };
        assert!(SuppressionKey::try_from(&row).is_err());
    }
}
