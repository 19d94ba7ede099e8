//! How far has the wall clock been set forward since this process began, and who knows of it already?
//!
//! A wall clock that is set forward looks like time that has passed. For due times that is right; for quotas it is not:
//! what was sent a second ago would leave its window at once. The host's steady clock tells the two apart while the
//! process runs. Whoever keeps a ledger has a clock of its own here, which holds a leap back until its owner asks for it
//! and has told the ledger. A clock that is set back is followed at once.
//!
//! Time in which the host was suspended is no steady time, and so it is a leap too: quotas are then free again up to one
//! window later than they could be, never sooner. Over a restart of the process the wall clock is all there is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::{
    ids::AccountId,
    time::{Clock, Timestamp},
};

/// Differences up to this are no leap: the two clocks are read one after the other.
const TOLERANCE: Duration = Duration::from_millis(20);

/// The leaps of the wall clock in this process.
#[derive(Debug)]
pub struct Leaps {
    wall: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// A reading of the wall clock, and the steady time of it.
    anchor: (Timestamp, Instant),
    /// The sum of all leaps ahead.
    sum: Duration,
    /// Up to which sum each account has been told. Empty as long as there was no leap.
    told: HashMap<AccountId, Duration>,
}

impl Leaps {
    /// Watches this wall clock from now on. Must be called within a tokio runtime.
    #[must_use]
    pub fn of(wall: Arc<dyn Clock>) -> Arc<Self> {
        let anchor = (wall.now(), Instant::now());
        Arc::new(Self { wall, state: Mutex::new(State { anchor, sum: Duration::ZERO, told: HashMap::new() }) })
    }

    /// The clock of an account. It knows the leaps that an earlier clock of the same account was asked for.
    #[must_use]
    pub fn clock_of(self: &Arc<Self>, account: &AccountId) -> LeapingClock {
        LeapingClock { leaps: Arc::clone(self), account: account.clone() }
    }

    /// The wall clock's time, which is never ahead of what the steady clock and all leaps so far make it.
    fn read(&self, state: &mut State) -> Timestamp {
        let (wall, steady) = (self.wall.now(), Instant::now());
        let expected = state.anchor.0.after(steady.saturating_duration_since(state.anchor.1));
        let ahead = wall.since(expected);
        if ahead > TOLERANCE {
            tracing::warn!(ahead_ms = ahead.as_millis(), "the wall clock was set forward, or the host was suspended");
            state.sum += ahead;
            state.anchor = (wall, steady);
        } else if expected.since(wall) > TOLERANCE {
            let back_ms = expected.since(wall).as_millis();
            tracing::warn!(back_ms, "the wall clock was set back");
            state.anchor = (wall, steady);
        }
        wall.min(state.anchor.0.after(steady.saturating_duration_since(state.anchor.1)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wall clock as one account sees it: leaps ahead are held back until it is asked for them.
#[derive(Clone, Debug)]
pub struct LeapingClock {
    leaps: Arc<Leaps>,
    account: AccountId,
}

impl LeapingClock {
    /// By how much the wall clock has been set forward since this was asked last. From now on this clock shows it: tell
    /// the ledger first of all.
    #[must_use = "a ledger that is not told takes the leap for time that has passed"]
    pub fn leap(&self) -> Option<Duration> {
        let state = &mut *self.leaps.state();
        self.leaps.read(state);
        let told = state.told.get(&self.account).copied().unwrap_or_default();
        let by = state.sum.saturating_sub(told);
        if by.is_zero() {
            return None;
        }
        state.told.insert(self.account.clone(), state.sum);
        Some(by)
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        let state = &mut *self.leaps.state();
        let now = self.leaps.read(state);
        let told = state.told.get(&self.account).copied().unwrap_or_default();
        now.before(state.sum.saturating_sub(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wall clock that follows tokio's time and can be set.
    #[derive(Debug)]
    struct Settable(Mutex<(Timestamp, Instant)>);

    impl Settable {
        fn set(&self, at: Timestamp) {
            *self.0.lock().unwrap() = (at, Instant::now());
        }
    }

    impl Clock for Settable {
        fn now(&self) -> Timestamp {
            let (at, since) = *self.0.lock().unwrap();
            at.after(since.elapsed())
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
    }

    fn account(id: &str) -> AccountId {
        id.parse().unwrap()
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_leap_ahead_is_held_back_until_it_is_asked_for() {
        let wall = Arc::new(Settable(Mutex::new((at(0), Instant::now()))));
        let leaps = Leaps::of(wall.clone());
        let clock = leaps.clock_of(&account("sales"));
        pass(10).await;
        assert_eq!((clock.leap(), clock.now()), (None, at(10)));
        wall.set(at(3_610));
        pass(5).await;
        assert_eq!(clock.now(), at(15));
        assert_eq!(clock.leap(), Some(Duration::from_secs(3_600)));
        assert_eq!((clock.leap(), clock.now()), (None, at(3_615)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_without_a_clock_is_told_when_it_has_one_again() {
        let wall = Arc::new(Settable(Mutex::new((at(0), Instant::now()))));
        let leaps = Leaps::of(wall.clone());
        let early = leaps.clock_of(&account("early"));
        wall.set(at(60));
        assert_eq!(early.leap(), Some(Duration::from_secs(60)));
        drop(early);
        let late = leaps.clock_of(&account("late"));
        assert_eq!((late.now(), late.leap()), (at(0), Some(Duration::from_secs(60))));
        assert_eq!(leaps.clock_of(&account("early")).leap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_is_followed_and_every_leap_is_told() {
        let wall = Arc::new(Settable(Mutex::new((at(0), Instant::now()))));
        let clock = Leaps::of(wall.clone()).clock_of(&account("sales"));
        wall.set(at(100));
        assert_eq!(clock.leap(), Some(Duration::from_secs(100)));
        wall.set(at(0));
        assert_eq!((clock.leap(), clock.now()), (None, at(0)));
        wall.set(at(100));
        assert_eq!((clock.now(), clock.leap()), (at(0), Some(Duration::from_secs(100))));
    }
}
