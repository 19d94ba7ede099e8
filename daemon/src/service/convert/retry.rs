//! How deferred mail is tried again, on the wire.

use std::{ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1;

use super::{
    values::{from_duration, to_duration},
    violations::Violations,
};
use crate::domain::account::Retry;

const FIRST_DELAY_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
const DELAY_MAX_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3_600);
const GIVE_UP_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3_600);
const MULTIPLIER_BOUNDS: RangeInclusive<f64> = 1.0..=10.0;
const JITTER_BOUNDS: RangeInclusive<f64> = 0.0..=1.0;

/// A retry schedule on the wire.
pub(super) fn from_retry(retry: &Retry) -> v1::Retry {
    v1::Retry {
        first_delay: Some(from_duration(retry.first_delay)),
        multiplier: retry.multiplier,
        delay_max: Some(from_duration(retry.delay_max)),
        jitter: Some(retry.jitter),
        give_up_after: Some(from_duration(retry.give_up_after)),
    }
}

/// A retry schedule that a caller sent.
pub(super) fn to_retry(wire: v1::Retry, violations: &mut Violations) -> Option<Retry> {
    let usual = Retry::default();
    let mut length = |given, default, bounds, field: &str| {
        to_duration(given, default, bounds, format_args!("settings.retry.{field}"), violations)
    };
    let first_delay = length(wire.first_delay, usual.first_delay, &FIRST_DELAY_BOUNDS, "first_delay");
    let delay_max =
        length(wire.delay_max, usual.delay_max.max(first_delay.unwrap_or_default()), &DELAY_MAX_BOUNDS, "delay_max");
    let give_up_after = length(wire.give_up_after, usual.give_up_after, &GIVE_UP_BOUNDS, "give_up_after");
    if let (Some(first), Some(longest)) = (first_delay, delay_max)
        && longest < first
    {
        violations.add("settings.retry.delay_max", "must not be shorter than first_delay");
    }
    let multiplier = if wire.multiplier == 0.0 { usual.multiplier } else { wire.multiplier };
    if !MULTIPLIER_BOUNDS.contains(&multiplier) {
        violations.add("settings.retry.multiplier", "must be from 1 to 10");
    }
    let jitter = wire.jitter.unwrap_or(usual.jitter);
    if !JITTER_BOUNDS.contains(&jitter) {
        violations.add("settings.retry.jitter", "must be from 0 to 1");
    }
    Some(Retry { first_delay: first_delay?, multiplier, delay_max: delay_max?, jitter, give_up_after: give_up_after? })
}
