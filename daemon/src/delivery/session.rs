//! A connection that stays open between messages: whether it is used again, and when it is closed.

use std::time::Duration;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{domain::limits::Limits, policy::assess::Connection, wire::smtp::Session};

/// How long a connection stays open without a message, in seconds. Providers close idle ones after some minutes; an open
/// one costs them and us memory.
const IDLE_SECONDS_MAX: u64 = 30;
/// The same when all connections that may be open are taken.
const CROWDED_IDLE: Duration = Duration::from_millis(100);
/// How long a connection is used at most, in seconds.
const AGE_SECONDS_MAX: u64 = 600;

/// When one who waits from now on has waited for as long as a connection may be idle.
pub(super) fn idle_from_now() -> Instant {
    Instant::now() + Duration::from_secs(IDLE_SECONDS_MAX)
}

/// A connection with what its reuse depends on.
#[derive(Debug)]
pub(super) struct OpenSession {
    /// The connection.
    pub(super) session: Session,
    opened: Instant,
    last_used: Instant,
    messages: u32,
    retired: bool,
    _slot: OwnedSemaphorePermit,
}

impl OpenSession {
    /// A connection that was just opened.
    pub(super) fn new(session: Session, slot: OwnedSemaphorePermit) -> Self {
        let now = Instant::now();
        Self { session, opened: now, last_used: now, messages: 0, retired: false, _slot: slot }
    }

    /// Whether it has carried a message.
    pub(super) const fn connection(&self) -> Connection {
        if self.messages == 0 { Connection::Fresh } else { Connection::Used }
    }

    /// Notes that it has carried one more.
    pub(super) fn carried(&mut self) {
        self.messages = self.messages.saturating_add(1);
        self.last_used = Instant::now();
    }

    /// Notes that the next message must not go over it.
    pub(super) const fn retire(&mut self) {
        self.retired = true;
    }

    /// When it is closed if no message comes before.
    pub(super) fn closes_at(&self, slots: &Semaphore) -> Instant {
        // When all connections are taken, an idle one is worth more to those who wait for one.
        let idle = if slots.available_permits() == 0 { CROWDED_IDLE } else { Duration::from_secs(IDLE_SECONDS_MAX) };
        (self.last_used + idle).min(self.worn_at())
    }

    /// Whether it may carry another message.
    pub(super) fn is_usable(&self, limits: &Limits) -> bool {
        let is_new = self.messages < limits.messages_per_connection_max.get();
        !self.retired && is_new && self.worn_at() > Instant::now()
    }

    fn worn_at(&self) -> Instant {
        self.opened + Duration::from_secs(AGE_SECONDS_MAX)
    }
}
