//! How DKIM keys and rules are kept: of a key its private half sealed.

use serde::{Deserialize, Serialize};

use super::{BadRow, as_base64, parsed::parsed};
use crate::{
    domain::{
        account::Stamp,
        dkim::{DkimAlgorithm, DkimKey, DkimKeyId, DkimRule, DkimRules},
        ids::Etag,
        routing::AddressPattern,
        secret::Secret,
        time::Timestamp,
    },
    platform::sealing::Sealer,
};

/// A [`DkimKey`] with its private half.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DkimKeyRow {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The bits of an RSA key; 0 for Ed25519.
    #[prost(uint32, tag = "2")]
    pub rsa_bits: u32,
    /// The public half.
    #[prost(bytes = "vec", tag = "3")]
    #[serde(with = "as_base64")]
    pub public_key: Vec<u8>,
    /// The private half as PKCS #8, sealed for the key's name.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(with = "as_base64")]
    pub sealed: Vec<u8>,
    /// When it was made, in milliseconds since 1970.
    #[prost(uint64, tag = "5")]
    pub created_at: u64,
    /// By whom.
    #[prost(string, tag = "6")]
    pub created_by: String,
}

/// [`DkimRules`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the rules; times are in milliseconds since 1970")]
pub struct DkimRulesRow {
    #[prost(message, repeated, tag = "1")]
    pub rules: Vec<DkimRuleRow>,
    #[prost(string, repeated, tag = "2")]
    pub default_keys: Vec<String>,
    #[prost(bool, tag = "3")]
    pub sign_own_domains: bool,
    #[prost(uint64, tag = "4")]
    pub etag: u64,
    #[prost(uint64, optional, tag = "5")]
    pub updated_at: Option<u64>,
    #[prost(string, tag = "6")]
    pub updated_by: String,
    /// The rules could not be read and were set aside: there are none until they are set again.
    #[prost(bool, tag = "7")]
    pub set_aside: bool,
    /// A key could not be read and was set aside while keys signed their own domains: nobody knows which mail it would sign
    /// until the rules are set again.
    #[prost(bool, tag = "8")]
    pub key_set_aside: bool,
}

/// A [`DkimRule`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the rule; patterns are as people write them")]
pub struct DkimRuleRow {
    #[prost(string, repeated, tag = "1")]
    pub from: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub keys: Vec<String>,
}

impl DkimKeyRow {
    /// The row of a key.
    #[must_use]
    pub fn new(key: &DkimKey, private: &Secret<Vec<u8>>, sealer: &Sealer) -> Self {
        let rsa_bits = match key.algorithm {
            DkimAlgorithm::Rsa { bits } => bits.into(),
            DkimAlgorithm::Ed25519 => 0,
        };
        Self {
            id: key.id.to_string(),
            rsa_bits,
            public_key: key.public_key.clone(),
            sealed: sealer.seal(sealed_for(&key.id).as_bytes(), private.expose()),
            created_at: key.created.at.as_millis(),
            created_by: key.created.by.to_string(),
        }
    }

    /// The key, without its private half.
    ///
    /// # Errors
    /// When the row means nothing.
    pub fn to_key(&self) -> Result<DkimKey, BadRow> {
        let bits = u16::try_from(self.rsa_bits).map_err(|error| BadRow::new("rsa_bits", error))?;
        let created =
            Stamp { at: Timestamp::from_millis(self.created_at), by: parsed("created_by", &self.created_by)? };
        Ok(DkimKey {
            id: parsed("id", &self.id)?,
            algorithm: if bits == 0 { DkimAlgorithm::Ed25519 } else { DkimAlgorithm::Rsa { bits } },
            public_key: self.public_key.clone(),
            created,
        })
    }

    /// The private half, opened.
    ///
    /// # Errors
    /// When it was sealed with another key or for another name.
    pub fn private_key(&self, sealer: &Sealer) -> Result<Secret<Vec<u8>>, BadRow> {
        let id: DkimKeyId = parsed("id", &self.id)?;
        let opened = sealer.open(sealed_for(&id).as_bytes(), &self.sealed);
        opened.map(|plain| Secret::new(plain.to_vec())).map_err(|error| BadRow::new("private key", error))
    }
}

/// What the seal is bound to. No id of an account holds a `#`, so it is none of an account's secrets.
fn sealed_for(id: &DkimKeyId) -> String {
    format!("{id}#dkim")
}

impl From<&DkimRules> for DkimRulesRow {
    fn from(rules: &DkimRules) -> Self {
        Self {
            rules: rules.rules.iter().map(DkimRuleRow::from).collect(),
            default_keys: rules.default_keys.iter().map(ToString::to_string).collect(),
            sign_own_domains: rules.sign_own_domains,
            etag: rules.etag.0,
            updated_at: rules.updated.as_ref().map(|(at, _)| at.as_millis()),
            updated_by: rules.updated.as_ref().map(|(_, by)| by.to_string()).unwrap_or_default(),
            set_aside: false,
            key_set_aside: false,
        }
    }
}

impl TryFrom<DkimRulesRow> for DkimRules {
    type Error = BadRow;

    fn try_from(row: DkimRulesRow) -> Result<Self, BadRow> {
        let updated = match row.updated_at {
            Some(at) => Some((Timestamp::from_millis(at), parsed("updated_by", &row.updated_by)?)),
            None => None,
        };
        let rules = row.rules.into_iter().map(DkimRule::try_from);
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            default_keys: ids(&row.default_keys)?,
            sign_own_domains: row.sign_own_domains,
            etag: Etag(row.etag),
            updated,
        })
    }
}

impl From<&DkimRule> for DkimRuleRow {
    fn from(rule: &DkimRule) -> Self {
        Self {
            from: rule.from.iter().map(ToString::to_string).collect(),
            keys: rule.keys.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<DkimRuleRow> for DkimRule {
    type Error = BadRow;

    fn try_from(row: DkimRuleRow) -> Result<Self, BadRow> {
        let from = row.from.iter().map(|text| parsed::<AddressPattern>("pattern", text));
        Ok(Self { from: from.collect::<Result<_, _>>()?, keys: ids(&row.keys)? })
    }
}

fn ids(texts: &[String]) -> Result<Vec<DkimKeyId>, BadRow> {
    texts.iter().map(|text| parsed("key", text)).collect()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::{platform::sealing::KEY_BYTES, storage::contract::samples};

    #[test]
    fn keys_survive_their_rows_and_are_not_shown() {
        let sealer = Sealer::from_key([7; KEY_BYTES]);
        let (key, private) = samples::dkim_key("s1", "example.jp");
        let row = DkimKeyRow::new(&key, &private, &sealer);
        let text = serde_json::to_string(&row).expect("JSON");
        let row: DkimKeyRow = serde_json::from_str(&text).expect("JSON");
        let row = DkimKeyRow::decode(row.encode_to_vec().as_slice()).expect("a row");
        assert_eq!(row.to_key(), Ok(key));
        assert_eq!(row.private_key(&sealer), Ok(private.clone()));
        assert!(!row.encode_to_vec().windows(private.expose().len()).any(|window| window == private.expose()));
        let moved = DkimKeyRow { id: "s2._domainkey.example.jp".to_owned(), ..row };
        assert!(moved.private_key(&sealer).is_err(), "it is sealed for its name");
    }

    #[test]
    fn rules_survive_their_row() {
        let rules = samples::dkim_rules(&["s1._domainkey.example.jp"], 3);
        let text = serde_json::to_string(&DkimRulesRow::from(&rules)).expect("JSON");
        let row: DkimRulesRow = serde_json::from_str(&text).expect("JSON");
        let row = DkimRulesRow::decode(row.encode_to_vec().as_slice()).expect("a row");
        assert_eq!(DkimRules::try_from(row), Ok(rules));
    }
}
