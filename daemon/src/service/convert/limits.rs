//! What an account may send, and how it is tried again, on the wire.

use std::{num::NonZeroU32, ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1::{self, quota::Window};

use super::{
    job::{from_priority, to_priority},
    values::{at_least_one, at_least_one_of, from_duration, to_duration, to_number, to_zone},
    violations::Violations,
};
use crate::domain::{
    job::Priority,
    limits::{
        BatchPause, CalendarSpan, Limits, OverQuota, Pace, QUOTA_WINDOW_MAX, QUOTA_WINDOW_MIN, QUOTAS_MAX, Quota,
        QuotaUnit, QuotaWindow,
    },
    reserves::{RESERVES_PERCENT_BELOW, Reserves, ReservesError},
};

const INTERVAL_BOUNDS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3_600);
const PAUSE_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
const WINDOW_BOUNDS: RangeInclusive<Duration> = QUOTA_WINDOW_MIN..=QUOTA_WINDOW_MAX;
const CONNECTIONS_MAX: u32 = 100;
const MESSAGES_PER_CONNECTION_MAX: u32 = 100_000;
/// Most recipients of one job, whatever its account allows.
pub(in crate::service) const RECIPIENTS_PER_JOB_MAX: u32 = 1_000;
/// Largest composed message, whatever its account allows, in bytes.
pub(in crate::service) const MESSAGE_BYTES_MAX: u64 = 64 * 1_024 * 1_024;
/// Smallest bound for a composed message, in bytes: its headers alone may take that much.
const MESSAGE_BYTES_MIN: u64 = 1_024;

/// Limits on the wire.
pub(in crate::service) fn from_limits(limits: &Limits) -> v1::Limits {
    v1::Limits {
        quotas: limits.quotas.iter().map(from_quota).collect(),
        interval: Some(from_duration(limits.interval)),
        pace: limits
            .pace
            .map(|pace| v1::Pace { messages_per_minute: pace.messages_per_minute.get(), burst: pace.burst.get() }),
        batch: limits
            .batch
            .map(|batch| v1::BatchPause { messages: batch.messages.get(), pause: Some(from_duration(batch.pause)) }),
        connections_max: limits.connections_max.get(),
        messages_per_connection_max: limits.messages_per_connection_max.get(),
        recipients_per_job_max: limits.recipients_per_job_max.get(),
        message_bytes_max: limits.message_bytes_max,
        reserve_for_humans: limits.reserves.humans(),
        reserves: limits.reserves.classes().map(from_reserve).collect(),
        over_quota: match limits.over_quota {
            OverQuota::Queue => v1::OverQuota::Queue,
            OverQuota::Reject => v1::OverQuota::Reject,
        }
        .into(),
    }
}

fn from_reserve((priority, percent): (Priority, u32)) -> v1::Reserve {
    v1::Reserve { priority: from_priority(priority).into(), percent }
}

/// A quota on the wire.
pub(in crate::service) fn from_quota(quota: &Quota) -> v1::Quota {
    let window = match &quota.window {
        QuotaWindow::Sliding(length) => Window::Sliding(from_duration(*length)),
        QuotaWindow::Calendar { span, zone } => {
            let span = match span {
                CalendarSpan::Minute => v1::CalendarSpan::Minute,
                CalendarSpan::Hour => v1::CalendarSpan::Hour,
                CalendarSpan::Day => v1::CalendarSpan::Day,
                CalendarSpan::Month => v1::CalendarSpan::Month,
            };
            Window::Calendar(v1::CalendarWindow { span: span.into(), zone: zone.clone() })
        }
    };
    let unit = match quota.unit {
        QuotaUnit::Messages => v1::QuotaUnit::Messages,
        QuotaUnit::Recipients => v1::QuotaUnit::Recipients,
        QuotaUnit::Bytes => v1::QuotaUnit::Bytes,
    };
    v1::Quota { limit: quota.limit.get(), unit: unit.into(), window: Some(window) }
}

/// Limits that a caller sent.
pub(in crate::service) fn to_limits(
    limits: Option<v1::Limits>,
    at: &str,
    violations: &mut Violations,
) -> Option<Limits> {
    let wire = limits.unwrap_or_default();
    let usual = Limits::default();
    let quotas = to_quotas(wire.quotas, at, violations);
    let reserves = to_reserves(wire.reserve_for_humans, &wire.reserves, at, violations);
    let interval =
        to_duration(wire.interval, Duration::ZERO, &INTERVAL_BOUNDS, format_args!("{at}.interval"), violations);
    let pace = wire.pace.map_or(Some(None), |pace| to_pace(pace, at, violations).map(Some));
    let batch = wire.batch.map_or(Some(None), |batch| to_batch(batch, at, violations).map(Some));
    let mut bounded =
        |given, default, most, field: &str| to_number(given, default, most, format_args!("{at}.{field}"), violations);
    let connections_max = bounded(wire.connections_max, usual.connections_max, CONNECTIONS_MAX, "connections_max");
    let messages_per_connection_max = bounded(
        wire.messages_per_connection_max,
        usual.messages_per_connection_max,
        MESSAGES_PER_CONNECTION_MAX,
        "messages_per_connection_max",
    );
    let recipients_per_job_max = bounded(
        wire.recipients_per_job_max,
        usual.recipients_per_job_max,
        RECIPIENTS_PER_JOB_MAX,
        "recipients_per_job_max",
    );
    let message_bytes_max = to_message_bytes(wire.message_bytes_max, usual.message_bytes_max, at, violations);
    let over_quota = to_over_quota(wire.over_quota, at, violations);
    Some(Limits {
        quotas: quotas?,
        reserves: reserves?,
        interval: interval?,
        pace: pace?,
        batch: batch?,
        connections_max: connections_max?,
        messages_per_connection_max: messages_per_connection_max?,
        recipients_per_job_max: recipients_per_job_max?,
        message_bytes_max: message_bytes_max?,
        over_quota: over_quota?,
    })
}

fn to_message_bytes(given: u64, usual: u64, at: &str, violations: &mut Violations) -> Option<u64> {
    match given {
        0 => Some(usual),
        given if (MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&given) => Some(given),
        _ => {
            let bounds = format_args!("must be from {MESSAGE_BYTES_MIN} to {MESSAGE_BYTES_MAX}");
            violations.add(format_args!("{at}.message_bytes_max"), bounds);
            None
        }
    }
}

fn to_over_quota(wire: i32, at: &str, violations: &mut Violations) -> Option<OverQuota> {
    match v1::OverQuota::try_from(wire) {
        Ok(v1::OverQuota::Unspecified | v1::OverQuota::Queue) => Some(OverQuota::Queue),
        Ok(v1::OverQuota::Reject) => Some(OverQuota::Reject),
        Err(_) => {
            violations.add(format_args!("{at}.over_quota"), "must be QUEUE or REJECT");
            None
        }
    }
}

fn to_quotas(wire: Vec<v1::Quota>, at: &str, violations: &mut Violations) -> Option<Vec<Quota>> {
    if wire.len() > QUOTAS_MAX {
        violations.add(format_args!("{at}.quotas"), format_args!("has more than {QUOTAS_MAX} entries"));
        return None;
    }
    let count = wire.len();
    let mut quotas: Vec<Quota> = Vec::with_capacity(count);
    for (index, quota) in wire.into_iter().enumerate() {
        let at = format!("{at}.quotas[{index}]");
        let Some(quota) = to_quota(quota, &at, violations) else {
            continue;
        };
        let twin = quotas.iter().any(|other| other.unit == quota.unit && other.window == quota.window);
        if twin {
            violations.add(format_args!("{at}.window"), "has the unit and the window of an earlier quota");
        }
        quotas.push(quota);
    }
    Some(quotas).filter(|quotas| quotas.len() == count)
}

fn to_quota(wire: v1::Quota, at: &str, violations: &mut Violations) -> Option<Quota> {
    let limit = at_least_one_of(wire.limit, format_args!("{at}.limit"), violations);
    let unit = match v1::QuotaUnit::try_from(wire.unit) {
        Ok(v1::QuotaUnit::Messages) => Some(QuotaUnit::Messages),
        Ok(v1::QuotaUnit::Recipients) => Some(QuotaUnit::Recipients),
        Ok(v1::QuotaUnit::Bytes) => Some(QuotaUnit::Bytes),
        Ok(v1::QuotaUnit::Unspecified) | Err(_) => {
            violations.add(format_args!("{at}.unit"), "must be MESSAGES, RECIPIENTS or BYTES");
            None
        }
    };
    let window = match wire.window {
        Some(Window::Sliding(length)) => {
            to_duration(Some(length), Duration::ZERO, &WINDOW_BOUNDS, format_args!("{at}.sliding"), violations)
                .map(QuotaWindow::Sliding)
        }
        Some(Window::Calendar(calendar)) => to_calendar(calendar, at, violations),
        None => {
            violations.add(format_args!("{at}.window"), "must be sliding or calendar");
            None
        }
    };
    Some(Quota { limit: limit?, unit: unit?, window: window? })
}

fn to_calendar(wire: v1::CalendarWindow, at: &str, violations: &mut Violations) -> Option<QuotaWindow> {
    let span = match v1::CalendarSpan::try_from(wire.span) {
        Ok(v1::CalendarSpan::Minute) => Some(CalendarSpan::Minute),
        Ok(v1::CalendarSpan::Hour) => Some(CalendarSpan::Hour),
        Ok(v1::CalendarSpan::Day) => Some(CalendarSpan::Day),
        Ok(v1::CalendarSpan::Month) => Some(CalendarSpan::Month),
        Ok(v1::CalendarSpan::Unspecified) | Err(_) => {
            violations.add(format_args!("{at}.calendar.span"), "must be MINUTE, HOUR, DAY or MONTH");
            None
        }
    };
    let zone = to_zone(&wire.zone, format_args!("{at}.calendar.zone"), violations);
    Some(QuotaWindow::Calendar { span: span?, zone: zone? })
}

fn to_reserves(humans: u32, wire: &[v1::Reserve], at: &str, violations: &mut Violations) -> Option<Reserves> {
    let mut classes: Vec<(Priority, u32)> = Vec::with_capacity(Priority::ALL.len());
    for (index, reserve) in wire.iter().take(Priority::ALL.len() + 1).enumerate() {
        let at = format!("{at}.reserves[{index}]");
        match to_priority(reserve.priority).filter(|_| reserve.priority != v1::Priority::Unspecified as i32) {
            None | Some(Priority::Bulk) => {
                violations.add(format_args!("{at}.priority"), "must be HIGH, NORMAL or LOW");
            }
            Some(class) if classes.iter().any(|(other, _)| *other == class) => {
                violations.add(format_args!("{at}.priority"), "is that of an earlier reserve");
            }
            Some(class) => classes.push((class, reserve.percent)),
        }
        if !(1..RESERVES_PERCENT_BELOW).contains(&reserve.percent) {
            let bounds = format_args!("must be from 1 to {}", RESERVES_PERCENT_BELOW - 1);
            violations.add(format_args!("{at}.percent"), bounds);
            return None;
        }
    }
    if classes.len() < wire.len() {
        return None;
    }
    let field = if classes.is_empty() { "reserve_for_humans" } else { "reserves" };
    let refuse = |error: ReservesError| violations.add(format_args!("{at}.{field}"), error);
    Reserves::new(humans, &classes).map_err(refuse).ok()
}

fn to_pace(wire: v1::Pace, at: &str, violations: &mut Violations) -> Option<Pace> {
    let field = format_args!("{at}.pace.messages_per_minute");
    let messages_per_minute = at_least_one(wire.messages_per_minute, field, violations)?;
    Some(Pace { messages_per_minute, burst: NonZeroU32::new(wire.burst).unwrap_or(NonZeroU32::MIN) })
}

fn to_batch(wire: v1::BatchPause, at: &str, violations: &mut Violations) -> Option<BatchPause> {
    let messages = at_least_one(wire.messages, format_args!("{at}.batch.messages"), violations);
    let given = Some(wire.pause.unwrap_or_default());
    let pause = to_duration(given, Duration::ZERO, &PAUSE_BOUNDS, format_args!("{at}.batch.pause"), violations);
    Some(BatchPause { messages: messages?, pause: pause? })
}

#[cfg(test)]
mod tests;
