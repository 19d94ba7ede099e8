//! How the routing rules are kept.

use serde::{Deserialize, Serialize};

use super::{BadRow, parsed::parsed};
use crate::domain::{
    ids::{AccountId, Etag},
    routing::{AddressPattern, Routing, RoutingRule},
    time::Timestamp,
};

/// A [`Routing`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the rules; times are in milliseconds since 1970")]
pub struct RoutingRow {
    #[prost(message, repeated, tag = "1")]
    pub rules: Vec<RuleRow>,
    #[prost(string, optional, tag = "2")]
    pub default_account: Option<String>,
    #[prost(uint64, tag = "3")]
    pub etag: u64,
    #[prost(uint64, optional, tag = "4")]
    pub updated_at: Option<u64>,
    #[prost(string, tag = "5")]
    pub updated_by: String,
}

/// A [`RoutingRule`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the rule; patterns are as people write them")]
pub struct RuleRow {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub from: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub recipients: Vec<String>,
    #[prost(string, tag = "4")]
    pub account: String,
    #[prost(string, repeated, tag = "5")]
    pub fallbacks: Vec<String>,
    #[prost(bool, tag = "6")]
    pub forbid_merge: bool,
    #[prost(bool, tag = "7")]
    pub forbid_dkim: bool,
}

impl From<&Routing> for RoutingRow {
    fn from(routing: &Routing) -> Self {
        Self {
            rules: routing.rules.iter().map(RuleRow::from).collect(),
            default_account: routing.default_account.as_ref().map(ToString::to_string),
            etag: routing.etag.0,
            updated_at: routing.updated.as_ref().map(|(at, _)| at.as_millis()),
            updated_by: routing.updated.as_ref().map(|(_, by)| by.to_string()).unwrap_or_default(),
        }
    }
}

impl TryFrom<RoutingRow> for Routing {
    type Error = BadRow;

    fn try_from(row: RoutingRow) -> Result<Self, BadRow> {
        let rules = row.rules.into_iter().map(RoutingRule::try_from);
        let updated = match row.updated_at {
            Some(at) => Some((Timestamp::from_millis(at), parsed("updated_by", &row.updated_by)?)),
            None => None,
        };
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            default_account: row.default_account.map(|id| parsed("default_account", &id)).transpose()?,
            etag: Etag(row.etag),
            updated,
        })
    }
}

impl From<&RoutingRule> for RuleRow {
    fn from(rule: &RoutingRule) -> Self {
        let texts = |patterns: &[AddressPattern]| patterns.iter().map(ToString::to_string).collect();
        Self {
            name: rule.name.to_string(),
            from: texts(&rule.from),
            recipients: texts(&rule.recipients),
            account: rule.account.to_string(),
            fallbacks: rule.fallbacks.iter().map(ToString::to_string).collect(),
            forbid_merge: rule.forbid_merge,
            forbid_dkim: rule.forbid_dkim,
        }
    }
}

impl TryFrom<RuleRow> for RoutingRule {
    type Error = BadRow;

    fn try_from(row: RuleRow) -> Result<Self, BadRow> {
        let patterns = |texts: &[String]| {
            texts.iter().map(|text| parsed::<AddressPattern>("pattern", text)).collect::<Result<Vec<_>, _>>()
        };
        let fallbacks = row.fallbacks.iter().map(|id| parsed::<AccountId>("fallback", id));
        Ok(Self {
            name: parsed("rule", &row.name)?,
            from: patterns(&row.from)?,
            recipients: patterns(&row.recipients)?,
            account: parsed("account", &row.account)?,
            fallbacks: fallbacks.collect::<Result<_, _>>()?,
            forbid_merge: row.forbid_merge,
            forbid_dkim: row.forbid_dkim,
        })
    }
}
