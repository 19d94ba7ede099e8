//! A connection that stays open between messages: whether it is used again, and when it is closed.

use std::time::Duration;

use tokio::time::Instant;

use super::connections::Slot;

use crate::{domain::limits::Limits, policy::assess::Connection, wire::smtp::Session};

/// How long a connection stays open without a message, in seconds. Providers close idle ones after some minutes; an open
/// one costs them and us memory.
const IDLE_SECONDS_MAX: u64 = 30;
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
    slot: Slot,
}

impl OpenSession {
    /// A connection that was just opened.
    pub(super) fn new(session: Session, slot: Slot) -> Self {
        let now = Instant::now();
        Self { session, opened: now, last_used: now, messages: 0, retired: false, slot }
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
    pub(super) fn closes_at(&self) -> Instant {
        (self.last_used + Duration::from_secs(IDLE_SECONDS_MAX)).min(self.worn_at())
    }

    /// Returns when an account that has no connection waits for this one's slot.
    pub(super) async fn wanted(&self) {
        self.slot.wanted().await;
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
