//! How fast mail flows in the long run, by each of an account's bounds.

use std::time::Duration;

use super::{Bound, Circumstances, Portion, Service};
use crate::{
    domain::{
        limits::{CalendarSpan, Limits, Quota, QuotaUnit, QuotaWindow},
        time::Timestamp,
    },
    policy::{
        quiet::QuietHours,
        quota::permit::{Need, QuotaStatus},
    },
};

/// Windows that are at least so long, in milliseconds, are filled whether or not some hours of the day are quiet.
const OVER_QUIET_HOURS_MS: f64 = 12.0 * 3_600_000.0;

/// What one message of a portion needs, on average.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    recipients: f64,
    bytes: f64,
}

impl Mean {
    pub(super) fn of(portion: &Portion) -> Self {
        let messages = real(portion.messages.max(1));
        Self { recipients: real(portion.recipients) / messages, bytes: real(portion.bytes) / messages }
    }

    pub(super) const fn units(&self, unit: QuotaUnit) -> f64 {
        match unit {
            QuotaUnit::Messages => 1.0,
            QuotaUnit::Recipients => self.recipients,
            QuotaUnit::Bytes => self.bytes,
        }
    }

    /// What one message needs.
    pub(super) fn one(&self) -> Need {
        Need { messages: 1, recipients: whole(self.recipients.ceil()) as u32, bytes: whole(self.bytes.ceil()) }
    }

    /// What so many messages need after others that went before them.
    pub(super) fn many(&self, before: u64, messages: u64) -> Need {
        let units = |mean: f64| whole((mean * real(before + messages)).floor() - (mean * real(before)).floor());
        Need {
            messages: u32::try_from(messages).unwrap_or(u32::MAX),
            recipients: u32::try_from(units(self.recipients)).unwrap_or(u32::MAX),
            bytes: units(self.bytes),
        }
    }
}

/// A steady flow.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// From one message to the next, in milliseconds.
    pub(super) gap_ms: f64,
    /// What makes it so long.
    pub(super) bound: Bound,
}

impl Flow {
    /// The slower one.
    pub(super) fn and(self, gap_ms: f64, bound: impl FnOnce() -> Bound) -> Self {
        if gap_ms > self.gap_ms { Self { gap_ms, bound: bound() } } else { self }
    }
}

/// How long a window is, in milliseconds: after so long, what was used in it may be used again.
pub(super) fn length_ms(window: &QuotaWindow) -> f64 {
    match window {
        // The ledger keeps 128 buckets, each of which counts until its end has left the window.
        QuotaWindow::Sliding(length) => millis(*length) * 129.0 / 128.0,
        QuotaWindow::Calendar { span: CalendarSpan::Minute, .. } => 60_000.0,
        QuotaWindow::Calendar { span: CalendarSpan::Hour, .. } => 3_600_000.0,
        QuotaWindow::Calendar { span: CalendarSpan::Day, .. } => 24.0 * 3_600_000.0,
        QuotaWindow::Calendar { span: CalendarSpan::Month, .. } => 365.2425 / 12.0 * 24.0 * 3_600_000.0,
    }
}

/// Units that messages of a portion may use of a quota; those that are larger than their share use all of it.
pub(super) fn room(limits: &Limits, quota: &Quota, portion: &Portion, mean: &Mean) -> u64 {
    let share = limits.reserves.share(quota.limit, portion.priority);
    if mean.units(quota.unit) > real(share) { quota.limit.get() } else { share }
}

/// How fast a portion goes by a quota alone, in milliseconds from one message to the next.
pub(super) fn quota_gap_ms(limits: &Limits, quota: &Quota, portion: &Portion) -> f64 {
    let mean = Mean::of(portion);
    // No more messages fit into a window than whole ones.
    let room = real(room(limits, quota, portion, &mean));
    let units = mean.units(quota.unit);
    let fitting = if units > 0.0 { (room / units).floor().max(1.0) } else { return 0.0 };
    length_ms(&quota.window) / fitting
}

/// How fast connections, interval and, when they are so short, batches let mail go.
pub(super) fn service(limits: &Limits, service: Service, batches_below_ms: f64) -> Flow {
    let message_ms = millis(service.message).max(0.1);
    let interval_ms = millis(limits.interval);
    let is_serial = interval_ms > 0.0 || limits.batch.is_some();
    let flow = if is_serial {
        let bound = if interval_ms > message_ms { Bound::Interval } else { Bound::Connections };
        Flow { gap_ms: message_ms + interval_ms, bound }
    } else {
        Flow { gap_ms: message_ms / f64::from(service.connections.max(1)), bound: Bound::Connections }
    };
    let Some(batch) = limits.batch else { return flow };
    let messages = f64::from(batch.messages.get());
    let extra_ms = (millis(batch.pause) - interval_ms).max(0.0);
    let whole_ms = messages * flow.gap_ms + extra_ms;
    if whole_ms > batches_below_ms {
        return flow;
    }
    let is_most = extra_ms > whole_ms / 2.0;
    Flow { gap_ms: whole_ms / messages, bound: if is_most { Bound::Batch } else { flow.bound } }
}

/// The pace, in milliseconds from one message to the next.
pub(super) fn pace_gap_ms(limits: &Limits) -> f64 {
    limits.pace.map_or(0.0, |pace| 60_000.0 / f64::from(pace.messages_per_minute.get()))
}

/// The least time that all portions take, in milliseconds.
pub(super) fn least_ms(circumstances: &Circumstances<'_>, portions: &[Portion], statuses: &[QuotaStatus]) -> f64 {
    let limits = circumstances.limits;
    let messages: f64 = portions.iter().map(|portion| real(portion.messages)).sum();
    let burst = limits.pace.map_or(0.0, |pace| f64::from(pace.burst.get()));
    let served_ms = messages * service(limits, circumstances.service, f64::INFINITY).gap_ms;
    let paced_ms = (messages - burst).max(0.0) * pace_gap_ms(limits);
    let by_quota = statuses.iter().map(|status| {
        let gap_ms = |portion: &Portion| quota_gap_ms(limits, &status.quota, portion);
        let all_ms: f64 = portions.iter().map(|portion| real(portion.messages) * gap_ms(portion)).sum();
        let limit = real(status.quota.limit.get());
        all_ms - (limit - real(status.used)).max(0.0) / limit * length_ms(&status.quota.window)
    });
    by_quota.fold(served_ms.max(paced_ms), f64::max)
}

/// A portion's flow by all that is not walked through: `is_flow` says which quotas those are, `open` which share of the time
/// is not quiet.
pub(super) fn of_portion(
    circumstances: &Circumstances<'_>,
    portion: &Portion,
    open: f64,
    short_ms: f64,
    is_flow: impl Fn(&Quota) -> bool,
) -> Flow {
    let limits = circumstances.limits;
    let mut flow = service(limits, circumstances.service, short_ms);
    let (short, long): (Vec<_>, Vec<_>) = limits
        .quotas
        .iter()
        .filter(|quota| is_flow(quota))
        .partition(|quota| length_ms(&quota.window) < OVER_QUIET_HOURS_MS);
    for quota in short {
        flow = flow.and(quota_gap_ms(limits, quota, portion), || Bound::Quota(quota.clone()));
    }
    if open < 1.0 {
        flow.gap_ms /= open.max(0.000_1);
    }
    for quota in long {
        flow = flow.and(quota_gap_ms(limits, quota, portion), || Bound::Quota(quota.clone()));
    }
    flow
}

/// Which share of a week is not quiet.
pub(super) fn open_share(hours: &mut QuietHours, from: Timestamp) -> f64 {
    const WEEK: Duration = Duration::from_hours(7 * 24);
    let end = from.after(WEEK);
    let (mut at, mut open) = (from, Duration::ZERO);
    while at < end {
        let stretch = hours.stretch(at);
        let until = stretch.until.map_or(end, |until| until.min(end));
        if !stretch.is_quiet {
            open += until.since(at);
        }
        at = until;
    }
    open.as_secs_f64() / WEEK.as_secs_f64()
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "plans are not exact")]
pub(super) const fn real(number: u64) -> f64 {
    number as f64
}

/// Rounded down; what is less than nothing is nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, which is meant")]
pub(super) const fn whole(number: f64) -> u64 {
    number as u64
}
