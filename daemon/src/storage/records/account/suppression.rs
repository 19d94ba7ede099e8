//! How it is kept when recipients are suppressed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{domain::account::SuppressionRules, storage::records::ledger::nanos};

/// [`SuppressionRules`]. Durations are in nanoseconds.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct SuppressionRulesRow {
    #[prost(bool, tag = "1")]
    pub off: bool,
    #[prost(uint32, tag = "2")]
    pub soft_bounces_max: u32,
    #[prost(uint64, tag = "3")]
    pub soft_bounces_within: u64,
    #[prost(uint64, optional, tag = "4")]
    pub hard_bounce_expiry: Option<u64>,
    #[prost(uint64, tag = "5")]
    pub soft_bounces_expiry: u64,
    #[prost(bool, tag = "6")]
    pub ignore_replies: bool,
}

impl From<&SuppressionRules> for SuppressionRulesRow {
    fn from(rules: &SuppressionRules) -> Self {
        Self {
            off: rules.off,
            soft_bounces_max: rules.soft_bounces_max,
            soft_bounces_within: nanos(rules.soft_bounces_within),
            hard_bounce_expiry: rules.hard_bounce_expiry.map(nanos),
            soft_bounces_expiry: nanos(rules.soft_bounces_expiry),
            ignore_replies: rules.ignore_replies,
        }
    }
}

impl From<SuppressionRulesRow> for SuppressionRules {
    fn from(row: SuppressionRulesRow) -> Self {
        Self {
            off: row.off,
            soft_bounces_max: row.soft_bounces_max,
            soft_bounces_within: Duration::from_nanos(row.soft_bounces_within),
            hard_bounce_expiry: row.hard_bounce_expiry.map(Duration::from_nanos),
            soft_bounces_expiry: Duration::from_nanos(row.soft_bounces_expiry),
            ignore_replies: row.ignore_replies,
        }
    }
}
