//! How in-doubt marks and quota ledgers are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BadRow, codes::Code};
use crate::{
    domain::{
        ids::MessageKey,
        ledger::{Charge, ObservedLimit, QuotaKey, Usage},
        limits::QuotaWindow,
        time::Timestamp,
    },
    storage::settlement::Mark,
};

/// A [`Mark`] without its job, which is its key.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the mark; times are in milliseconds since 1970")]
pub struct MarkRow {
    #[prost(uint32, tag = "1")]
    pub attempt: u32,
    #[prost(uint32, repeated, tag = "2")]
    pub recipients: Vec<u32>,
    #[prost(uint64, tag = "3")]
    pub started: u64,
    #[prost(uint64, tag = "4")]
    pub since: u64,
    #[prost(message, repeated, tag = "5")]
    pub charges: Vec<ChargeRow>,
}

/// A [`Charge`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the charge")]
pub struct ChargeRow {
    #[prost(message, optional, tag = "1")]
    pub key: Option<QuotaKeyRow>,
    #[prost(uint64, tag = "2")]
    pub bucket: u64,
    #[prost(sint64, tag = "3")]
    pub amount: i64,
}

/// A [`QuotaKey`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaKeyRow {
    /// What is counted.
    #[prost(uint32, tag = "1")]
    pub unit: u32,
    /// The length of a sliding window in nanoseconds.
    #[prost(uint64, tag = "2")]
    pub sliding_nanos: u64,
    /// The unit of the calendar; 0 for a sliding window.
    #[prost(uint32, tag = "3")]
    pub span: u32,
    /// The calendar's zone.
    #[prost(string, tag = "4")]
    pub zone: String,
}

/// The total of one bucket, whose beginning is in its key.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageRow {
    /// Which history.
    #[prost(message, optional, tag = "1")]
    pub key: Option<QuotaKeyRow>,
    /// How many units.
    #[prost(uint64, tag = "2")]
    pub amount: u64,
    /// In the bucket [`OBSERVED_BUCKET`] alone: how many units the provider was seen to allow.
    #[prost(uint64, tag = "3")]
    pub observed_limit: u64,
    /// When that was, in milliseconds since 1970.
    #[prost(uint64, tag = "4")]
    pub observed_at: u64,
}

/// The bucket of a history that holds no units, but what was observed of its limit. No time has it.
pub const OBSERVED_BUCKET: u64 = u64::MAX;

impl From<&Mark> for MarkRow {
    fn from(mark: &Mark) -> Self {
        Self {
            attempt: mark.attempt,
            recipients: mark.recipients.clone(),
            started: mark.started.as_millis(),
            since: mark.since.as_millis(),
            charges: mark.charges.iter().map(ChargeRow::from).collect(),
        }
    }
}

impl MarkRow {
    /// The mark that is kept for this job.
    ///
    /// # Errors
    /// When a part of the row means nothing.
    pub fn into_mark(self, message: MessageKey) -> Result<Mark, BadRow> {
        Ok(Mark {
            message,
            attempt: self.attempt,
            recipients: self.recipients,
            started: Timestamp::from_millis(self.started),
            since: Timestamp::from_millis(self.since),
            charges: self.charges.into_iter().map(Charge::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Charge> for ChargeRow {
    fn from(charge: &Charge) -> Self {
        Self { key: Some(QuotaKeyRow::from(&charge.key)), bucket: charge.bucket, amount: charge.amount }
    }
}

impl TryFrom<ChargeRow> for Charge {
    type Error = BadRow;

    fn try_from(row: ChargeRow) -> Result<Self, BadRow> {
        let key = row.key.ok_or_else(|| BadRow::new("charge", "has no quota key"))?.try_into()?;
        Ok(Self { key, bucket: row.bucket, amount: row.amount })
    }
}

impl From<&QuotaKey> for QuotaKeyRow {
    fn from(key: &QuotaKey) -> Self {
        let unit = key.unit.code();
        match &key.window {
            QuotaWindow::Sliding(length) => Self { unit, sliding_nanos: nanos(*length), span: 0, zone: String::new() },
            QuotaWindow::Calendar { span, zone } => {
                Self { unit, sliding_nanos: 0, span: span.code(), zone: zone.clone() }
            }
        }
    }
}

impl TryFrom<QuotaKeyRow> for QuotaKey {
    type Error = BadRow;

    fn try_from(row: QuotaKeyRow) -> Result<Self, BadRow> {
        let window = match row.span {
            0 => QuotaWindow::Sliding(Duration::from_nanos(row.sliding_nanos)),
            span => QuotaWindow::Calendar { span: Code::from_code(span)?, zone: row.zone },
        };
        Ok(Self { unit: Code::from_code(row.unit)?, window })
    }
}

impl From<&ObservedLimit> for UsageRow {
    fn from(observed: &ObservedLimit) -> Self {
        let ObservedLimit { key, limit, at } = observed;
        let key = Some(QuotaKeyRow::from(key));
        Self { key, amount: 0, observed_limit: *limit, observed_at: at.as_millis() }
    }
}

impl UsageRow {
    /// What was observed, of the row of [`OBSERVED_BUCKET`].
    ///
    /// # Errors
    /// When a part of the row means nothing.
    pub fn into_observed(self) -> Result<ObservedLimit, BadRow> {
        let key = self.key.ok_or_else(|| BadRow::new("usage", "has no quota key"))?.try_into()?;
        Ok(ObservedLimit { key, limit: self.observed_limit, at: Timestamp::from_millis(self.observed_at) })
    }

    /// The usage of the bucket that begins then.
    ///
    /// # Errors
    /// When a part of the row means nothing.
    pub fn into_usage(self, bucket: u64) -> Result<Usage, BadRow> {
        let key = self.key.ok_or_else(|| BadRow::new("usage", "has no quota key"))?.try_into()?;
        Ok(Usage { key, bucket, amount: self.amount })
    }
}

/// A duration in whole nanoseconds; at most 584 years.
pub(super) fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
