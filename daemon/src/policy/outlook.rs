//! When will mail go? An account's quotas, pace and quiet hours, played forward without looking at its messages.
//!
//! [`plan`] goes from stretch to stretch: so many messages at once as fit before a window of a quota, a quiet stretch or a
//! batch ends. What is short beside the whole is not walked through but taken as a rate, and what would still take too many
//! steps is drawn out from what was walked, so ten million messages are planned as fast as ten thousand.
//!
//! A plan is what happens if nothing else does: no other job comes, nothing is refused, nothing changes. Within a priority it
//! takes what was there before to go first; a lane of its own may go sooner.

mod flow;
mod walk;

use std::time::Duration;

use self::walk::Walk;
use crate::domain::{
    job::Priority,
    ledger::Usage,
    limits::{Limits, Quota},
    parking::{ParkingCause, Standing},
    quiet::QuietWindow,
    time::Timestamp,
};

/// What a plan starts from.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The time.
    pub now: Timestamp,
    /// What the account may send.
    pub limits: &'a Limits,
    /// When it had better not.
    pub quiet: &'a [QuietWindow],
    /// Whether it is parked. Without a known end it counts as resumed now.
    pub standing: &'a Standing,
    /// What it has used of its quotas.
    pub usage: &'a [Usage],
    /// How fast its server takes messages.
    pub service: Service,
}

/// How fast a server takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Connections that are used at once.
    pub connections: u32,
    /// How long one of them takes for a message.
    pub message: Duration,
}

impl Service {
    /// Messages a second over all connections.
    #[must_use]
    pub fn messages_per_second(&self) -> f64 {
        f64::from(self.connections.max(1)) / self.message.as_secs_f64().max(0.000_1)
    }
}

/// Messages that are much alike and go one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// How urgent they are.
    pub priority: Priority,
    /// How many.
    pub messages: u64,
    /// Their recipients, all together.
    pub recipients: u64,
    /// Their bytes, all together.
    pub bytes: u64,
    /// Since when they are due; those that come before them in the plan are waited for all the same.
    pub due: Timestamp,
}

/// When messages go.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// When each portion goes; nothing for one that is empty or never goes.
    pub times: Vec<Option<Times>>,
    /// What takes most of the time.
    pub bound: Bound,
}

/// When the first and the last of some messages have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the first one has.
    pub first_at: Timestamp,
    /// When the last one has.
    pub last_at: Timestamp,
}

/// What mail waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The server, which takes so many at once.
    Connections,
    /// The interval between two messages.
    Interval,
    /// The pause after each batch.
    Batch,
    /// The steady pace.
    Pace,
    /// A quota.
    Quota(Quota),
    /// Quiet windows.
    QuietWindow,
    /// The account's parking.
    Parked(ParkingCause),
    /// The time that its client chose.
    Due,
}

/// Plans portions that go one after the other.
#[must_use]
pub fn plan(circumstances: &Circumstances<'_>, portions: &[Portion]) -> Plan {
    let mut walk = Walk::new(circumstances, portions);
    let times = portions.iter().map(|portion| walk.go(portion)).collect();
    Plan { times, bound: walk.bound() }
}

#[cfg(test)]
mod tests;
