//! How fast an account may send: the interval between two messages, the pause after a batch, and a steady pace.
//!
//! Interval and pause run from the end of one send to the start of the next, so with either of them sends are serial.
//! The pace is governor's GCRA on a clock that only moves when it is told the time. It smooths; what a provider counts is
//! the ledger's business. Nothing here is stored: after a start an account waits one interval first, as it cannot know
//! when it sent last.

use std::{fmt, time::Duration};

use governor::{
    RateLimiter,
    clock::{Clock, FakeRelativeClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};

use crate::domain::{
    limits::{BatchPause, Limits, Pace},
    time::Timestamp,
};

/// The pacing of one account. Its worker owns it, and tells it when a send begins and when it has ended.
#[derive(Debug)]
pub struct Pacing {
    interval: Duration,
    batch: Option<BatchPause>,
    metre: Option<Metre>,
    sent_in_batch: u32,
    /// When interval and pause are over.
    rested_at: Timestamp,
    /// When all is as if nothing had been sent: batch and burst are whole again.
    forgotten_at: Timestamp,
}

impl Pacing {
    /// The pacing of an account that may have sent until just now.
    #[must_use]
    pub fn new(limits: &Limits, now: Timestamp) -> Self {
        Self {
            interval: limits.interval,
            batch: limits.batch,
            metre: limits.pace.map(|pace| Metre::new(pace, now)),
            sent_in_batch: 0,
            rested_at: now.after(limits.interval),
            forgotten_at: now,
        }
    }

    /// Whether the next send has to wait until the last one has ended.
    #[must_use]
    pub fn is_serial(&self) -> bool {
        self.interval > Duration::ZERO || self.batch.is_some()
    }

    /// When the next send may begin; not later than `now` when it may at once.
    pub fn ready_at(&mut self, now: Timestamp) -> Timestamp {
        // No wait is longer than its own length, though the clock was set back.
        let pause = self.batch.map_or(Duration::ZERO, |batch| batch.pause);
        self.rested_at = self.rested_at.min(now.after(self.interval.max(pause)));
        let metered = self.metre.as_mut().map_or(now, |metre| metre.ready_at(now));
        self.rested_at.max(metered)
    }

    /// When a new [`Pacing`] would allow no more than this one, so that this one may be forgotten.
    #[must_use]
    pub const fn forgotten_at(&self) -> Timestamp {
        self.forgotten_at
    }

    /// Takes note that a send begins.
    pub fn begin(&mut self, now: Timestamp) {
        if let Some(metre) = &mut self.metre {
            metre.take(now);
            self.forgotten_at = self.forgotten_at.max(now.after(metre.refill));
        }
    }

    /// Takes note that a message was sent or refused: its transaction has ended.
    pub fn sent(&mut self, now: Timestamp) {
        self.sent_in_batch += 1;
        let pause = match self.batch {
            Some(batch) if self.sent_in_batch >= batch.messages.get() => {
                self.sent_in_batch = 0;
                batch.pause
            }
            _ => Duration::ZERO,
        };
        self.rested_at = now.after(self.interval.max(pause));
        let whole_batch = self.batch.map_or(Duration::ZERO, |batch| batch.pause);
        self.forgotten_at = self.forgotten_at.max(now.after(self.interval.max(whole_batch)));
    }
}

type Gcra = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, StateInformationMiddleware>;

/// A steady pace.
struct Metre {
    gcra: Gcra,
    clock: FakeRelativeClock,
    /// The time that `clock` was told last.
    told: Timestamp,
    /// One message's share of time.
    share: Duration,
    /// How long a spent burst takes to be whole again.
    refill: Duration,
    ready_at: Timestamp,
}

impl Metre {
    fn new(pace: Pace, now: Timestamp) -> Self {
        let clock = FakeRelativeClock::default();
        let quota = governor::Quota::per_minute(pace.messages_per_minute).allow_burst(pace.burst);
        let gcra = RateLimiter::direct_with_clock(quota, clock.clone()).with_middleware();
        let share = quota.replenish_interval();
        Self { gcra, clock, told: now, share, refill: share.saturating_mul(pace.burst.get()), ready_at: now }
    }

    fn ready_at(&mut self, now: Timestamp) -> Timestamp {
        self.ready_at = self.ready_at.min(now.after(rounded_up(self.share)));
        self.ready_at
    }

    fn take(&mut self, now: Timestamp) {
        self.clock.advance(now.since(self.told));
        self.told = now;
        self.ready_at = now;
        if self.gcra.check().is_ok_and(|taken| taken.remaining_burst_capacity() > 0) {
            return;
        }
        // When nothing is left, asking once more takes nothing and tells when there is.
        if let Err(not_until) = self.gcra.check() {
            self.ready_at = now.after(rounded_up(not_until.wait_time_from(self.clock.now())));
        }
    }
}

impl fmt::Debug for Metre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metre").field("ready_at", &self.ready_at).finish_non_exhaustive()
    }
}

/// To whole milliseconds, which is what a [`Timestamp`] counts.
fn rounded_up(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn number(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    /// Sends as fast as it may, each send taking `send_ms`, and checks when each one begins.
    #[track_caller]
    fn check(limits: &Limits, send_ms: u64, begins_ms: &[u64]) {
        let mut pacing = Pacing::new(limits, at(0));
        let mut now = at(0);
        let mut begun = Vec::new();
        for _ in begins_ms {
            now = now.max(pacing.ready_at(now));
            begun.push(now.since(at(0)).as_millis() as u64);
            pacing.begin(now);
            now = now.after(Duration::from_millis(send_ms));
            pacing.sent(now);
        }
        assert_eq!(begun, begins_ms);
    }

    #[test]
    fn without_limits_nothing_waits() {
        check(&Limits::default(), 0, &[0, 0, 0]);
    }

    #[test]
    fn the_interval_runs_from_the_end_of_one_send_to_the_start_of_the_next() {
        let limits = Limits { interval: Duration::from_secs(1), ..Limits::default() };
        check(&limits, 200, &[1_000, 2_200, 3_400]);
    }

    #[test]
    fn ten_sends_in_batches_of_four_pause_twice() {
        let batch = BatchPause { messages: number(4), pause: Duration::from_secs(60) };
        let limits = Limits { interval: Duration::from_secs(1), batch: Some(batch), ..Limits::default() };
        let begins = [1, 2, 3, 4, 64, 65, 66, 67, 127, 128].map(|seconds| seconds * 1_000);
        check(&limits, 0, &begins);
    }

    #[test]
    fn the_pace_spreads_what_is_more_than_a_burst() {
        let pace = Pace { messages_per_minute: number(60), burst: number(3) };
        let limits = Limits { pace: Some(pace), ..Limits::default() };
        check(&limits, 0, &[0, 0, 0, 1_000, 2_000, 3_000]);
        let pace = Pace { messages_per_minute: number(7), burst: number(1) };
        check(&Limits { pace: Some(pace), ..Limits::default() }, 0, &[0, 8_572, 17_144]);
    }

    #[test]
    fn sends_are_serial_only_where_their_end_matters() {
        let pace = Some(Pace { messages_per_minute: number(1), burst: number(1) });
        assert!(!Pacing::new(&Limits { pace, ..Limits::default() }, at(0)).is_serial());
        let interval = Duration::from_millis(1);
        assert!(Pacing::new(&Limits { interval, ..Limits::default() }, at(0)).is_serial());
    }

    #[test]
    fn a_clock_set_back_makes_no_wait_longer_than_it_is() {
        let pace = Some(Pace { messages_per_minute: number(60), burst: number(1) });
        let limits = Limits { interval: Duration::from_millis(300), pace, ..Limits::default() };
        let mut pacing = Pacing::new(&limits, at(3_600_000));
        pacing.begin(at(3_600_300));
        pacing.sent(at(3_600_400));
        assert_eq!(pacing.ready_at(at(0)), at(1_000));
        assert_eq!(pacing.ready_at(at(1_000)), at(1_000));
    }
}
