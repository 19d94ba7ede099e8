//! What was used within one window of time, and when it leaves that window.
//!
//! A sliding window keeps its use in buckets of a 128th of its length; a bucket counts until its end has left the window,
//! so nothing leaves too early and at most one bucket's length too late. A calendar window keeps it in one bucket, named
//! by the window's start.
//!
//! **The clock.** Nothing can have been used in the future, so when the clock was set back, what stands later than now
//! counts as used now. It keeps its place all the same, as the clock may be set forward again; but no place is further ahead
//! than one window, so a clock that was wrong by years blocks an account for two windows and not for years.
//!
//! A clock that was set forward cannot be told from waiting, but by the host's steady clock: `Ledger::leapt` is told of
//! it while the process runs, and what counts then counts on as long as it would have. Over a restart the wall clock is
//! all there is: what is sent while it is ahead follows it, and the provider may then see up to twice the limit in one of
//! its windows. But a bucket that has left the window is kept for one window more, here and in the store. So a clock that
//! went ahead by no more than one window and came back over a restart finds again all that it had left behind. After a
//! longer leap that is lost.

use std::{collections::BTreeMap, iter, num::NonZeroU64, time::Duration};

use super::span::{Calendar, Span};
use crate::domain::{
    ledger::{Charge, QuotaKey},
    limits::QuotaWindow,
    time::Timestamp,
};

/// Buckets in the length of a sliding window: less than 1 % of a window is lost.
const BUCKETS_PER_WINDOW: u64 = 128;

/// The use of one key. `used`, `fits_at` and `resets_at` speak of the time that `observe` was told last.
#[derive(Debug)]
pub(super) struct History {
    key: QuotaKey,
    /// Nothing for a key that is no longer configured: its use is kept until it has left the window.
    pub(super) limit: Option<NonZeroU64>,
    cut: Cut,
    /// Units by bucket: those that count, and before them those that left the window less than one window ago.
    buckets: BTreeMap<u64, u64>,
    /// The first bucket that counts.
    counts_from: u64,
    used: u64,
    /// Changes made by time alone, to be stored with the next charges.
    unsaved: BTreeMap<u64, i64>,
}

/// How time is cut into buckets.
#[derive(Debug)]
enum Cut {
    Sliding { length_ms: u64, width_ms: u64 },
    Calendar { calendar: Calendar, current: Span, previous: Span },
}

impl History {
    pub(super) fn new(key: QuotaKey, now: Timestamp) -> Self {
        let cut = match &key.window {
            QuotaWindow::Sliding(length) => {
                let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
                Cut::Sliding { length_ms, width_ms: length_ms.div_ceil(BUCKETS_PER_WINDOW) }
            }
            QuotaWindow::Calendar { span, zone } => {
                let calendar = Calendar::new(*span, zone);
                let (previous, current) = spans_until(&calendar, now);
                Cut::Calendar { calendar, current, previous }
            }
        };
        let (buckets, unsaved) = (BTreeMap::new(), BTreeMap::new());
        let mut history = Self { key, limit: None, cut, buckets, counts_from: 0, used: 0, unsaved };
        history.observe(now);
        history
    }

    pub(super) const fn key(&self) -> &QuotaKey {
        &self.key
    }

    /// Units that count in the window which ends now.
    pub(super) const fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn is_idle(&self) -> bool {
        self.buckets.is_empty() && self.unsaved.is_empty()
    }

    /// Lets time pass: what has left the window does not count, what left it a window ago is forgotten, and what a clock put
    /// into the far future is brought back.
    pub(super) fn observe(&mut self, now: Timestamp) {
        if let Cut::Calendar { calendar, current, previous } = &mut self.cut
            && !current.contains(now)
        {
            (*previous, *current) = spans_until(calendar, now);
        }
        let (kept_from, counts_from, latest) = match &self.cut {
            Cut::Sliding { length_ms, width_ms } => {
                // A bucket leaves when its end is one length ago.
                let first_within = |length_ms: u64| {
                    now.as_millis().saturating_add(1).saturating_sub(width_ms.saturating_add(length_ms))
                };
                let latest = self.bucket_of(now.after(Duration::from_millis(*length_ms)));
                (first_within(length_ms.saturating_mul(2)), first_within(*length_ms), latest)
            }
            Cut::Calendar { current, previous, .. } => {
                (previous.start.as_millis(), current.start.as_millis(), current.end.as_millis())
            }
        };
        while let Some((&bucket, &amount)) = self.buckets.first_key_value()
            && bucket < kept_from
        {
            self.note(bucket, amount, -1);
            self.take(bucket, amount);
        }
        if counts_from != self.counts_from {
            self.counts_from = counts_from;
            self.used = self.buckets.range(counts_from..).map(|(_, amount)| amount).sum();
        }
        while let Some((&bucket, &amount)) = self.buckets.last_key_value()
            && bucket > latest
        {
            self.note(bucket, amount, -1);
            self.take(bucket, amount);
            self.note(latest, amount, 1);
            self.add(latest, amount);
        }
    }

    /// The clock was set forward to `now`, by so much, and no time has passed: what counted counts on as long as it would
    /// have. What stood in the calendar's span of before the leap stands in that of after it.
    pub(super) fn leap(&mut self, by: Duration, now: Timestamp) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let moves: Vec<(u64, u64)> = match &self.cut {
            Cut::Sliding { width_ms, .. } => {
                // Rounded up: nothing may leave sooner.
                let moved = |bucket: u64| bucket.saturating_add(by_ms).div_ceil(*width_ms).saturating_mul(*width_ms);
                self.buckets.keys().map(|bucket| (*bucket, moved(*bucket))).collect()
            }
            Cut::Calendar { current, .. } if current.contains(now) => Vec::new(),
            Cut::Calendar { calendar, current, .. } => {
                let target = calendar.around(now).start.as_millis();
                self.buckets.range(current.start.as_millis()..).map(|(bucket, _)| (*bucket, target)).collect()
            }
        };
        // The latest first, so that none is met twice.
        for (bucket, target) in moves.into_iter().rev().filter(|(bucket, target)| bucket < target) {
            let amount = self.take(bucket, u64::MAX);
            self.note(bucket, amount, -1);
            self.note(target, amount, 1);
            self.add(target, amount);
        }
        self.observe(now);
    }

    pub(super) fn add(&mut self, bucket: u64, amount: u64) {
        if amount > 0 {
            *self.buckets.entry(bucket).or_default() += amount;
            self.used += if bucket >= self.counts_from { amount } else { 0 };
        }
    }

    /// Removes up to `amount` units from a bucket and says how many there were.
    pub(super) fn take(&mut self, bucket: u64, amount: u64) -> u64 {
        let Some(total) = self.buckets.get_mut(&bucket) else {
            return 0;
        };
        let taken = amount.min(*total);
        *total -= taken;
        self.used -= if bucket >= self.counts_from { taken } else { 0 };
        if *total == 0 {
            self.buckets.remove(&bucket);
        }
        taken
    }

    /// The name of the bucket in which `time` lies.
    pub(super) fn bucket_of(&self, time: Timestamp) -> u64 {
        match &self.cut {
            Cut::Sliding { width_ms, .. } => time.as_millis() - time.as_millis() % width_ms,
            Cut::Calendar { current, .. } if current.contains(time) => current.start.as_millis(),
            Cut::Calendar { calendar, .. } => calendar.around(time).start.as_millis(),
        }
    }

    /// A charge of this key at `time`; it is not added.
    pub(super) fn charge_at(&self, time: Timestamp, amount: i64) -> Charge {
        Charge { key: self.key.clone(), bucket: self.bucket_of(time), amount }
    }

    /// When `need` more units fit and no more than `room` are used then, if what is in flight ended now: `now` when they
    /// fit at once, nothing when they never will.
    pub(super) fn fits_at(&self, need: u64, in_flight: u64, room: u64, now: Timestamp) -> Option<Timestamp> {
        if need > room {
            return None;
        }
        let excess = (self.used + in_flight + need).saturating_sub(room);
        if excess == 0 || need == 0 {
            return Some(now);
        }
        let here = self.bucket_of(now);
        let past = self.buckets.range(self.counts_from.min(here)..=here).map(|(&bucket, &amount)| (bucket, amount));
        let ahead = self.buckets.range(here + 1..).map(|(&bucket, &amount)| (bucket, amount));
        let mut left = 0;
        let enough = past.chain(iter::once((here, in_flight))).chain(ahead).find(|&(_, amount)| {
            left += amount;
            left >= excess
        });
        Some(self.leaves_at(enough.map_or(here, |(bucket, _)| bucket)))
    }

    /// When everything that counts now will have left the window, if what is in flight ended now.
    pub(super) fn resets_at(&self, in_flight: u64, now: Timestamp) -> Timestamp {
        let newest = self.buckets.range(self.counts_from..).next_back().map(|(&bucket, _)| bucket);
        let here = self.bucket_of(now);
        match (newest, &self.cut) {
            (None, Cut::Sliding { .. }) if in_flight == 0 => now,
            (Some(bucket), Cut::Sliding { .. }) if in_flight == 0 => self.leaves_at(bucket),
            (newest, _) => self.leaves_at(newest.map_or(here, |bucket| bucket.max(here))),
        }
    }

    /// Hands out what time has changed since the last call.
    pub(super) fn drain_unsaved(&mut self) -> impl Iterator<Item = Charge> {
        let unsaved = std::mem::take(&mut self.unsaved);
        let key = self.key.clone();
        let changed = unsaved.into_iter().filter(|&(_, amount)| amount != 0);
        changed.map(move |(bucket, amount)| Charge { key: key.clone(), bucket, amount })
    }

    fn note(&mut self, bucket: u64, amount: u64, sign: i64) {
        *self.unsaved.entry(bucket).or_default() += sign * i64::try_from(amount).unwrap_or(i64::MAX);
    }

    fn leaves_at(&self, bucket: u64) -> Timestamp {
        match &self.cut {
            Cut::Sliding { length_ms, width_ms } => {
                Timestamp::from_millis(bucket.saturating_add(*width_ms).saturating_add(*length_ms))
            }
            Cut::Calendar { current, .. } if bucket == current.start.as_millis() => current.end,
            Cut::Calendar { calendar, .. } => calendar.around(Timestamp::from_millis(bucket)).end,
        }
    }
}

/// The span in which `now` lies, and the one before it.
fn spans_until(calendar: &Calendar, now: Timestamp) -> (Span, Span) {
    let current = calendar.around(now);
    (calendar.around(current.start.before(Duration::from_millis(1))), current)
}

/// How late a release may be after the reset of `window`, so that accounts with one boundary do not wake in one instant:
/// a hundredth of the window, and two seconds at most. Sliding windows share no boundary.
pub(super) fn release_jitter_max(window: &QuotaWindow) -> Duration {
    const JITTER_MAX: Duration = Duration::from_secs(2);
    match window {
        QuotaWindow::Sliding(_) => Duration::ZERO,
        QuotaWindow::Calendar { span, zone } => {
            let length = Duration::from_millis(Calendar::new(*span, zone).longest_ms());
            (length / 100).min(JITTER_MAX)
        }
    }
}
