//! The host's clock, and one for tests that follows tokio's paused time.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::domain::time::{Clock, Timestamp};

/// The host's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the host for the time")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A wall clock that begins at a given time and follows tokio's, so that tests with paused time can move it.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    begin: Timestamp,
    origin: Instant,
}

impl VirtualClock {
    /// A clock that shows `begin` now. Must be called within a tokio runtime.
    #[must_use]
    pub fn starting_at(begin: Timestamp) -> Self {
        Self { begin, origin: Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.begin.after(self.origin.elapsed())
    }
}
