//! When something that failed is tried again: deferred mail, and accounts that cannot be reached.

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff};

use crate::domain::{account::Retry, time::Timestamp};

/// Longest wait that a schedule is computed with.
const DELAY_MAX: Duration = Duration::from_secs(31 * 24 * 3_600);
/// Exponent beyond which no schedule grows: 2 to this power exceeds every longest delay.
const EXPONENT_MAX: u32 = 64;

/// What follows after an attempt was deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextTry {
    /// Another attempt, not before this time.
    Again(Timestamp),
    /// None: the mail is too old.
    GiveUp,
}

/// When to try again after the attempt that was just deferred at `now`.
///
/// The nth wait is `first_delay × multiplier^(n-1)`, changed at random by up to `jitter` of it, and at most
/// `delay_max`; a server's own hint is honoured as a minimum. `chance` is a random number from 0 to 1. The last attempt
/// is made when the give-up age is reached, unless that moment is nearer than the first delay or the server asked to
/// wait beyond it.
#[must_use]
pub fn after_failure(
    retry: &Retry,
    attempts_made: u32,
    first_attempt: Timestamp,
    now: Timestamp,
    hint: Option<Duration>,
    chance: f64,
) -> NextTry {
    let hint = hint.unwrap_or_default();
    let curve = Curve {
        first: retry.first_delay,
        multiplier: retry.multiplier,
        longest: retry.delay_max,
        jitter: retry.jitter,
    };
    let wait = curve.wait(attempts_made.saturating_sub(1), chance).max(hint);
    let deadline = first_attempt.after(retry.give_up_after);
    let due = now.after(wait);
    if due <= deadline {
        return NextTry::Again(due);
    }
    let last_wait = hint.max(retry.first_delay).max(Duration::from_millis(1));
    if now.after(last_wait) <= deadline { NextTry::Again(deadline) } else { NextTry::GiveUp }
}

/// How long after its `strikes`th failure in a row an unreachable server is probed: 30 s, doubling to 15 min, with 20 %
/// jitter. `chance` is a random number from 0 to 1.
#[must_use]
pub fn probe_after(strikes: u32, chance: f64) -> Duration {
    const PROBES: Curve =
        Curve { first: Duration::from_secs(30), multiplier: 2.0, longest: Duration::from_secs(15 * 60), jitter: 0.2 };
    PROBES.wait(strikes.saturating_sub(1), chance)
}

/// How long an account rests after its provider asked it to slow down `strikes` times in a row without saying for how
/// long: 1 min, doubling to 1 h, with 20 % jitter. `chance` is a random number from 0 to 1.
#[must_use]
pub fn throttle_after(strikes: u32, chance: f64) -> Duration {
    const RESTS: Curve =
        Curve { first: Duration::from_secs(60), multiplier: 2.0, longest: Duration::from_secs(3_600), jitter: 0.2 };
    RESTS.wait(strikes.saturating_sub(1), chance)
}

/// An exponential curve of waits.
#[derive(Clone, Copy, Debug)]
struct Curve {
    first: Duration,
    multiplier: f64,
    longest: Duration,
    jitter: f64,
}

impl Curve {
    /// The wait after `steps` earlier ones.
    fn wait(self, steps: u32, chance: f64) -> Duration {
        let longest = self.longest.min(DELAY_MAX);
        let plain = self.plain(steps, longest);
        let swing = self.jitter.clamp(0.0, 1.0) * (2.0 * unit(chance) - 1.0);
        // The cap comes after the jitter, so that no wait is longer than the longest.
        plain.mul_f64((1.0 + swing).max(0.0)).min(longest)
    }

    /// The wait before jitter. The crate would draw its jitter from its own randomness, so it is given none; nor is it
    /// given an age, so that its clock decides nothing.
    fn plain(self, steps: u32, longest: Duration) -> Duration {
        let exponent = i32::try_from(steps.min(EXPONENT_MAX)).expect("EXPONENT_MAX fits");
        let multiplier = if self.multiplier.is_finite() { self.multiplier.clamp(1.0, 10.0) } else { 1.0 };
        let seconds = self.first.min(longest).as_secs_f64() * multiplier.powi(exponent);
        let current_interval = Duration::from_secs_f64(seconds.min(longest.as_secs_f64()));
        let mut backoff = ExponentialBackoff {
            current_interval,
            initial_interval: self.first,
            randomization_factor: 0.0,
            multiplier,
            max_interval: longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let wait = backoff.next_backoff().unwrap_or(longest);
        // Even without jitter the crate adds less than a nanosecond before it rounds.
        Duration::from_millis(u64::try_from((wait.as_nanos() + 500_000) / 1_000_000).unwrap_or(u64::MAX))
    }
}

/// A chance as it should be: from 0 to 1.
fn unit(chance: f64) -> f64 {
    if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MIDDLE: f64 = 0.5;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[track_caller]
    fn check(retry: &Retry, attempts: u32, chance: f64, hint: Option<u64>, expected: u64) {
        let next = after_failure(retry, attempts, START, START, hint.map(seconds), chance);
        assert_eq!(next, NextTry::Again(START.after(seconds(expected))), "attempt {attempts}, chance {chance}");
    }

    #[test]
    fn waits_grow_to_the_longest() {
        let retry = Retry::default();
        check(&retry, 1, MIDDLE, None, 60);
        check(&retry, 2, MIDDLE, None, 120);
        check(&retry, 5, MIDDLE, None, 960);
        check(&retry, 7, MIDDLE, None, 3_600);
        check(&retry, u32::MAX, MIDDLE, None, 3_600);
        check(&retry, 0, MIDDLE, None, 60);
    }

    #[test]
    fn jitter_stays_in_its_share_and_under_the_longest() {
        let retry = Retry::default();
        check(&retry, 1, 0.0, None, 48);
        check(&retry, 1, 1.0, None, 72);
        check(&retry, 7, 1.0, None, 3_600);
        check(&retry, 1, f64::NAN, None, 60);
        check(&retry, 1, 7.0, None, 72);
    }

    #[test]
    fn hints_are_a_minimum() {
        let retry = Retry::default();
        check(&retry, 1, MIDDLE, Some(300), 300);
        check(&retry, 5, MIDDLE, Some(300), 960);
        check(&retry, 1, MIDDLE, Some(7_200), 7_200);
    }

    #[test]
    fn odd_settings_do_no_harm() {
        let retry = Retry { multiplier: f64::INFINITY, jitter: f64::NAN, ..Retry::default() };
        assert!(matches!(after_failure(&retry, 3, START, START, None, MIDDLE), NextTry::Again(_)));
        let retry = Retry { first_delay: Duration::MAX, delay_max: Duration::MAX, ..Retry::default() };
        assert_eq!(after_failure(&retry, 3, START, START, None, 1.0), NextTry::GiveUp);
    }

    #[test]
    fn old_mail_gets_a_last_try_and_is_then_given_up() {
        let retry = Retry { give_up_after: seconds(10_000), ..Retry::default() };
        let deadline = START.after(seconds(10_000));
        let at = |now: u64, hint| after_failure(&retry, 9, START, START.after(seconds(now)), hint, MIDDLE);
        assert_eq!(at(6_000, None), NextTry::Again(START.after(seconds(9_600))));
        assert_eq!(at(7_000, None), NextTry::Again(deadline));
        assert_eq!(at(9_939, None), NextTry::Again(deadline));
        assert_eq!(at(9_941, None), NextTry::GiveUp);
        assert_eq!(at(10_000, None), NextTry::GiveUp);
        assert_eq!(at(7_000, Some(seconds(4_000))), NextTry::GiveUp);
    }

    #[test]
    fn probes_and_rests_double_to_their_longest() {
        let probes: Vec<u64> = (0..8).map(|strikes| probe_after(strikes, MIDDLE).as_secs()).collect();
        assert_eq!(probes, [30, 30, 60, 120, 240, 480, 900, 900]);
        let rests: Vec<u64> = (1..9).map(|strikes| throttle_after(strikes, MIDDLE).as_secs()).collect();
        assert_eq!(rests, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!(probe_after(u32::MAX, 1.0), seconds(900));
    }
}
