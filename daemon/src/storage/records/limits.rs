//! How an account's limits are kept.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    BadRow,
    codes::Code,
    ledger::{QuotaKeyRow, nanos},
};
use crate::domain::{
    job::Priority,
    ledger::QuotaKey,
    limits::{BatchPause, Limits, Pace, Quota},
    reserves::Reserves,
};

/// A [`Limits`]. Durations are in nanoseconds.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the limits")]
pub struct LimitsRow {
    #[prost(message, repeated, tag = "1")]
    pub quotas: Vec<QuotaRow>,
    #[prost(uint64, tag = "2")]
    pub interval: u64,
    /// 0 for no pace.
    #[prost(uint32, tag = "3")]
    pub pace_messages_per_minute: u32,
    #[prost(uint32, tag = "4")]
    pub pace_burst: u32,
    /// 0 for no pause.
    #[prost(uint32, tag = "5")]
    pub batch_messages: u32,
    #[prost(uint64, tag = "6")]
    pub batch_pause: u64,
    #[prost(uint32, tag = "7")]
    pub connections_max: u32,
    #[prost(uint32, tag = "8")]
    pub messages_per_connection_max: u32,
    #[prost(uint32, tag = "9")]
    pub recipients_per_job_max: u32,
    #[prost(uint64, tag = "10")]
    pub message_bytes_max: u64,
    /// In percent.
    #[prost(uint32, tag = "11")]
    pub reserve_for_humans: u32,
    #[prost(message, repeated, tag = "12")]
    pub reserves: Vec<ReserveRow>,
    #[prost(uint32, tag = "13")]
    pub over_quota: u32,
}

/// What is kept for a priority.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the reserve")]
pub struct ReserveRow {
    #[prost(uint32, tag = "1")]
    pub priority: u32,
    #[prost(uint32, tag = "2")]
    pub percent: u32,
}

/// A [`Quota`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the quota")]
pub struct QuotaRow {
    #[prost(uint64, tag = "1")]
    pub limit: u64,
    #[prost(message, optional, tag = "2")]
    pub key: Option<QuotaKeyRow>,
}

impl From<&Limits> for LimitsRow {
    fn from(limits: &Limits) -> Self {
        let quota = |quota: &Quota| {
            let key = QuotaKey { unit: quota.unit, window: quota.window.clone() };
            QuotaRow { limit: quota.limit.get(), key: Some((&key).into()) }
        };
        let reserve = |(priority, percent): (Priority, u32)| ReserveRow { priority: priority.code(), percent };
        Self {
            quotas: limits.quotas.iter().map(quota).collect(),
            interval: nanos(limits.interval),
            pace_messages_per_minute: limits.pace.map_or(0, |pace| pace.messages_per_minute.get()),
            pace_burst: limits.pace.map_or(0, |pace| pace.burst.get()),
            batch_messages: limits.batch.map_or(0, |batch| batch.messages.get()),
            batch_pause: limits.batch.map_or(0, |batch| nanos(batch.pause)),
            connections_max: limits.connections_max.get(),
            messages_per_connection_max: limits.messages_per_connection_max.get(),
            recipients_per_job_max: limits.recipients_per_job_max.get(),
            message_bytes_max: limits.message_bytes_max,
            reserve_for_humans: limits.reserves.humans(),
            reserves: limits.reserves.classes().map(reserve).collect(),
            over_quota: limits.over_quota.code(),
        }
    }
}

impl TryFrom<LimitsRow> for Limits {
    type Error = BadRow;

    fn try_from(row: LimitsRow) -> Result<Self, BadRow> {
        let pace = NonZeroU32::new(row.pace_messages_per_minute);
        let batch = NonZeroU32::new(row.batch_messages);
        let burst = || NonZeroU32::new(row.pace_burst).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            quotas: row.quotas.into_iter().map(Quota::try_from).collect::<Result<_, _>>()?,
            interval: Duration::from_nanos(row.interval),
            pace: pace.map(|messages_per_minute| Pace { messages_per_minute, burst: burst() }),
            batch: batch.map(|messages| BatchPause { messages, pause: Duration::from_nanos(row.batch_pause) }),
            connections_max: non_zero(row.connections_max)?,
            messages_per_connection_max: non_zero(row.messages_per_connection_max)?,
            recipients_per_job_max: non_zero(row.recipients_per_job_max)?,
            message_bytes_max: row.message_bytes_max,
            over_quota: Code::from_code(row.over_quota)?,
            reserves: reserves(row.reserve_for_humans, &row.reserves)?,
        })
    }
}

impl TryFrom<QuotaRow> for Quota {
    type Error = BadRow;

    fn try_from(row: QuotaRow) -> Result<Self, BadRow> {
        let key: QuotaKey = row.key.ok_or_else(|| BadRow::new("quota", "has no key"))?.try_into()?;
        Ok(Self {
            limit: NonZeroU64::new(row.limit).ok_or_else(|| BadRow::new("limits", "a quota is zero"))?,
            unit: key.unit,
            window: key.window,
        })
    }
}

fn reserves(humans: u32, rows: &[ReserveRow]) -> Result<Reserves, BadRow> {
    let class = |row: &ReserveRow| Ok((Priority::from_code(row.priority)?, row.percent));
    let classes = rows.iter().map(class).collect::<Result<Vec<_>, BadRow>>()?;
    Reserves::new(humans, &classes).map_err(|error| BadRow::new("reserves", error))
}

fn non_zero(number: u32) -> Result<NonZeroU32, BadRow> {
    NonZeroU32::new(number).ok_or_else(|| BadRow::new("limits", "a limit is zero"))
}
