//! The walk through an account's future: what goes until something ends, and what is waited for.

use std::time::Duration;

use super::{
    Bound, Circumstances, Portion, Times,
    flow::{self, Flow, Mean, millis, real, whole},
};
use crate::{
    domain::{
        limits::{Limits, Quota, QuotaWindow},
        parking::Standing,
        time::Timestamp,
    },
    policy::{
        quiet::{QuietEnd, QuietHours},
        quota::ledger::Ledger,
    },
};

/// What is shorter than the whole by this is taken as a rate.
const RESOLUTION: f64 = 64.0;
/// Most steps of a walk; the rest is drawn out.
const STEPS_MAX: usize = 10_000;
/// Quiet windows come again each week.
const WEEK_MS: f64 = 7.0 * 24.0 * 3_600_000.0;
/// The longest that is planned, in milliseconds: some thousand years.
const LONGEST_MS: f64 = 1_000.0 * 365.0 * 24.0 * 3_600_000.0;

/// A walk. Times are milliseconds since its beginning.
pub(super) struct Walk<'a> {
    circumstances: &'a Circumstances<'a>,
    /// The quotas that are walked through.
    ledger: Ledger,
    stepped: Limits,
    hours: Option<QuietHours>,
    /// What share of the time is open, when quiet hours are not walked through.
    open: f64,
    /// What is shorter than this is taken as a rate.
    short_ms: f64,
    /// The longest stretch that goes at once.
    stretch_ms: f64,
    at_ms: f64,
    /// Messages that may go at once by the pace.
    tokens: f64,
    /// Messages that are left in the batch, when batches are walked through.
    batch_left: Option<u64>,
    done: u64,
    trail: Vec<(f64, u64)>,
    /// How fast the rest goes, once there were too many steps.
    drawn_out_gap_ms: Option<f64>,
    spent: Vec<(Bound, f64)>,
}

/// How many messages fit.
enum Room {
    Messages { count: u64, until_ms: f64 },
    Full { until_ms: f64, quota: Quota },
    Never,
}

impl<'a> Walk<'a> {
    pub(super) fn new(circumstances: &'a Circumstances<'a>, portions: &[Portion]) -> Self {
        let Circumstances { now, limits, quiet, usage, .. } = *circumstances;
        let mut ledger = Ledger::new(limits, usage.to_vec(), now);
        let statuses = ledger.usage(now);
        let short_ms = flow::least_ms(circumstances, portions, &statuses) / RESOLUTION;
        let quotas = limits.quotas.iter().filter(|quota| flow::length_ms(&quota.window) > short_ms);
        let stepped = Limits { quotas: quotas.cloned().collect(), ..limits.clone() };
        let sliding = stepped.quotas.iter().filter(|quota| matches!(quota.window, QuotaWindow::Sliding(_)));
        let shortest_ms = sliding.map(|quota| flow::length_ms(&quota.window)).fold(f64::INFINITY, f64::min);
        let batch_ms = limits.batch.map_or(0.0, |batch| {
            let gap_ms = flow::service(limits, circumstances.service, 0.0).gap_ms;
            f64::from(batch.messages.get()) * gap_ms + millis(batch.pause)
        });
        let mut walk = Self {
            circumstances,
            ledger,
            hours: (!quiet.is_empty()).then(|| QuietHours::new(quiet)),
            open: 1.0,
            short_ms,
            stretch_ms: shortest_ms / RESOLUTION,
            at_ms: 0.0,
            tokens: limits.pace.map_or(0.0, |pace| f64::from(pace.burst.get())),
            batch_left: limits.batch.filter(|_| batch_ms > short_ms).map(|batch| u64::from(batch.messages.get())),
            done: 0,
            trail: Vec::new(),
            drawn_out_gap_ms: None,
            spent: Vec::new(),
            stepped,
        };
        walk.begin(portions);
        walk
    }

    /// Waits for what holds the whole account, and leaves the short windows alone from then on.
    fn begin(&mut self, portions: &[Portion]) {
        let Circumstances { now, standing, usage, .. } = *self.circumstances;
        if let Standing::Parked(parking) = standing
            && let Some(until) = parking.until
        {
            self.wait_until(until, Bound::Parked(parking.cause));
        }
        let Some(first) = portions.iter().find(|portion| portion.messages > 0) else { return };
        if let Some(until) = self.quiet_until().and_then(QuietEnd::time) {
            self.wait_until(until, Bound::QuietWindow);
        }
        if self.stepped.quotas.len() < self.circumstances.limits.quotas.len() {
            let time = self.time().max(first.due);
            if let Some(full) = self.ledger.obstacle(Mean::of(first).one(), first.priority, time)
                && !full.is_for_ever()
                && first.due <= time
            {
                self.wait_until(full.until, self.bound_of(&full.key.window, full.key.unit));
            }
            let usage = usage.iter().filter(|usage| {
                let is_its = |quota: &Quota| quota.unit == usage.key.unit && quota.window == usage.key.window;
                self.stepped.quotas.iter().any(is_its)
            });
            self.ledger = Ledger::new(&self.stepped, usage.cloned().collect(), now);
        }
        if self.short_ms > WEEK_MS
            && let Some(mut hours) = self.hours.take()
        {
            self.open = flow::open_share(&mut hours, self.time());
        }
    }

    fn bound_of(&self, window: &QuotaWindow, unit: crate::domain::limits::QuotaUnit) -> Bound {
        let quotas = &self.circumstances.limits.quotas;
        let its = quotas.iter().filter(|quota| quota.unit == unit && quota.window == *window);
        its.min_by_key(|quota| quota.limit).map_or(Bound::Connections, |quota| Bound::Quota(quota.clone()))
    }

    /// Lets a portion go, and says when; nothing when there is nothing in it or it never goes.
    pub(super) fn go(&mut self, portion: &Portion) -> Option<Times> {
        if portion.messages == 0 || self.open <= 0.0 {
            return None;
        }
        self.wait_until(portion.due, Bound::Due);
        let mean = Mean::of(portion);
        let stepped = &self.stepped.quotas;
        let is_flow = |quota: &Quota| !stepped.contains(quota);
        let flow = flow::of_portion(self.circumstances, portion, self.open, self.short_ms, is_flow);
        let message_ms = millis(self.circumstances.service.message);
        let (mut sent, mut first_ms, mut last_ms) = (0, None, 0.0);
        while sent < portion.messages {
            let left = portion.messages - sent;
            if let Some(gap_ms) = self.drawn_out(message_ms) {
                first_ms.get_or_insert(self.at_ms + message_ms);
                self.at_ms += real(left) * gap_ms;
                last_ms = self.at_ms;
                break;
            }
            if let Some(quiet) = self.quiet_until() {
                self.wait_until(quiet.time()?, Bound::QuietWindow);
                continue;
            }
            let (count, until_ms) = match self.room(portion, &mean) {
                Room::Never => return None,
                Room::Full { until_ms, quota } => {
                    self.pass(until_ms - self.at_ms, Bound::Quota(quota));
                    continue;
                }
                Room::Messages { count, until_ms } => (count.min(left), until_ms),
            };
            let (count, flow) = self.paced(count, flow.clone());
            let count = count.min(self.batch_left.unwrap_or(u64::MAX)).min(self.fitting(until_ms, flow.gap_ms));
            if !self.charge(portion, &mean, sent, count, flow.gap_ms) {
                continue;
            }
            first_ms.get_or_insert(self.at_ms + message_ms);
            last_ms = self.at_ms + real(count - 1) * flow.gap_ms + message_ms;
            self.tokens -= real(count);
            self.pass(real(count) * flow.gap_ms, flow.bound);
            self.end_batch(count);
            sent += count;
            self.done += count;
        }
        let time = |ms: f64| self.circumstances.now.after(Duration::from_millis(whole(ms.min(LONGEST_MS).round())));
        Some(Times { first_at: time(first_ms?), last_at: time(last_ms) })
    }

    /// What took most of the time.
    pub(super) fn bound(&self) -> Bound {
        let most = self.spent.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        most.map_or(Bound::Connections, |(bound, _)| bound.clone())
    }

    /// How many messages of a portion the quotas take now, and how long that holds.
    fn room(&mut self, portion: &Portion, mean: &Mean) -> Room {
        let now = self.time();
        let mut until_ms = f64::INFINITY;
        let mut count = u64::MAX;
        for status in self.ledger.usage(now) {
            let units = mean.units(status.quota.unit);
            if units > real(status.quota.limit.get()) {
                return Room::Never;
            }
            if let QuotaWindow::Calendar { .. } = status.quota.window {
                until_ms = until_ms.min(self.ms_of(status.resets_at));
            }
            let room = flow::room(&self.stepped, &status.quota, portion, mean).saturating_sub(status.used);
            if units > 0.0 {
                count = count.min(whole(real(room) / units));
            }
        }
        if count > 0 {
            return Room::Messages { count, until_ms };
        }
        match self.ledger.obstacle(mean.one(), portion.priority, now) {
            // Averages are not whole: one more goes.
            None => Room::Messages { count: 1, until_ms },
            Some(full) if full.is_for_ever() => Room::Never,
            Some(full) => {
                let until_ms = self.ms_of(full.release_at(0.5)).max(self.at_ms + 1.0);
                match self.bound_of(&full.key.window, full.key.unit) {
                    Bound::Quota(quota) => Room::Full { until_ms, quota },
                    _ => Room::Never,
                }
            }
        }
    }

    /// How many may go at which flow, in view of the pace.
    fn paced(&self, count: u64, flow: Flow) -> (u64, Flow) {
        let pace_ms = flow::pace_gap_ms(self.circumstances.limits);
        if flow.gap_ms >= pace_ms {
            return (count, flow);
        }
        if self.tokens >= 2.0 {
            return (count.min(whole(self.tokens / (1.0 - flow.gap_ms / pace_ms))), flow);
        }
        (count, Flow { gap_ms: pace_ms, bound: Bound::Pace })
    }

    /// How many messages go before something may change, at least one.
    fn fitting(&mut self, until_ms: f64, gap_ms: f64) -> u64 {
        let now = self.time();
        let quiet = self.hours.as_mut().and_then(|hours| hours.stretch(now).until);
        let quiet_ms = quiet.map_or(f64::INFINITY, |at| self.ms_of(at));
        let end_ms = until_ms.min(quiet_ms).min(self.at_ms + self.stretch_ms);
        whole((end_ms - self.at_ms) / gap_ms).max(1)
    }

    /// Counts messages in the ledger; false when it has no room for them after all, which was waited for then.
    fn charge(&mut self, portion: &Portion, mean: &Mean, before: u64, count: u64, gap_ms: f64) -> bool {
        if self.stepped.quotas.is_empty() {
            return true;
        }
        let now = self.time();
        // The ledger counts a message when its reply has come.
        let half_ms = real(count - 1) * gap_ms / 2.0 + millis(self.circumstances.service.message);
        match self.ledger.permit(mean.many(before, count), portion.priority, now) {
            Ok(permit) => {
                let _ = self.ledger.settle(permit, now.after(Duration::from_millis(whole(half_ms))));
                true
            }
            Err(full) => {
                let until_ms = if full.is_for_ever() { self.at_ms + 1.0 } else { self.ms_of(full.until) };
                self.pass((until_ms - self.at_ms).max(1.0), self.bound_of(&full.key.window, full.key.unit));
                false
            }
        }
    }

    fn end_batch(&mut self, count: u64) {
        let Some((left, batch)) = self.batch_left.zip(self.circumstances.limits.batch) else { return };
        self.batch_left = Some(left - count);
        if left == count {
            self.batch_left = Some(u64::from(batch.messages.get()));
            let pause_ms = millis(batch.pause) - millis(self.circumstances.limits.interval);
            self.pass(pause_ms.max(0.0), Bound::Batch);
        }
    }

    /// How far apart the messages are from now on, once there were too many steps: as they were on the way here.
    fn drawn_out(&mut self, message_ms: f64) -> Option<f64> {
        if self.drawn_out_gap_ms.is_some() {
            return self.drawn_out_gap_ms;
        }
        self.trail.push((self.at_ms, self.done));
        if self.trail.len() < STEPS_MAX {
            return None;
        }
        let windows = self.stepped.quotas.iter().map(|quota| flow::length_ms(&quota.window));
        let quiet_ms = if self.hours.is_some() { WEEK_MS } else { 0.0 };
        let period_ms = windows.fold(quiet_ms, f64::max);
        // Whole periods, and not the first one, in which a part was used up already.
        let periods = (self.at_ms / period_ms.max(1.0)).floor() - 1.0;
        let from_ms = if periods >= 1.0 { self.at_ms - periods * period_ms } else { 0.0 };
        let from = self.trail.partition_point(|(at_ms, _)| *at_ms < from_ms);
        let (from_ms, before) = self.trail.get(from).copied().unwrap_or((0.0, 0));
        let gap_ms = (self.at_ms - from_ms) / real(self.done - before).max(1.0);
        self.drawn_out_gap_ms = Some(gap_ms.max(message_ms / 1_000.0));
        self.drawn_out_gap_ms
    }

    fn quiet_until(&mut self) -> Option<QuietEnd> {
        let now = self.time();
        self.hours.as_mut()?.until(now)
    }

    fn wait_until(&mut self, until: Timestamp, bound: Bound) {
        self.pass(self.ms_of(until) - self.at_ms, bound);
    }

    /// Lets time pass.
    fn pass(&mut self, ms: f64, bound: Bound) {
        if ms <= 0.0 {
            return;
        }
        self.at_ms += ms;
        let limits = self.circumstances.limits;
        if let Some(pace) = limits.pace {
            self.tokens = (self.tokens + ms / flow::pace_gap_ms(limits)).min(f64::from(pace.burst.get()));
        }
        match self.spent.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, spent)) => *spent += ms,
            None => self.spent.push((bound, ms)),
        }
    }

    fn time(&self) -> Timestamp {
        self.circumstances.now.after(Duration::from_millis(whole(self.at_ms.ceil())))
    }

    fn ms_of(&self, time: Timestamp) -> f64 {
        millis(time.since(self.circumstances.now))
    }
}
