//! A connection that stays open between messages: whether it is used again, and when it is closed.

use std::time::Duration;

use tokio::time::Instant;

use super::connections::Slot;
use crate::{
    accounts::{opening::Opened, pop_gate::PopPass},
    domain::limits::Limits,
    policy::assess::Connection,
    wire::smtp::Session,
};

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
    /// How much it was used.
    pub(super) wear: Wear,
    /// The POP3 sign-in by which it was let in.
    pub(super) pass: Option<PopPass>,
    slot: Slot,
}

/// How much a connection was used.
#[derive(Debug)]
pub(super) struct Wear {
    /// When it is too old, or the token has ended by which it was let in.
    ends_at: Instant,
    last_used: Instant,
    messages: u32,
    retired: bool,
}

impl OpenSession {
    /// A connection that was just opened.
    pub(super) fn new(opened: Opened, slot: Slot) -> Self {
        let now = Instant::now();
        let ends_at = now + Duration::from_secs(AGE_SECONDS_MAX).min(opened.good_for);
        let wear = Wear { ends_at, last_used: now, messages: 0, retired: false };
        Self { session: opened.session, wear, pass: opened.pass, slot }
    }

    /// When it is closed if no message comes before.
    pub(super) fn closes_at(&self) -> Instant {
        (self.wear.last_used + Duration::from_secs(IDLE_SECONDS_MAX)).min(self.wear.ends_at)
    }

    /// Returns when an account that has no connection waits for this one's slot.
    pub(super) async fn wanted(&self) {
        self.slot.wanted().await;
    }
}

impl Wear {
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

    /// How many more messages it may carry.
    pub(super) fn left(&self, limits: &Limits) -> u32 {
        let is_over = self.retired || self.ends_at <= Instant::now();
        if is_over { 0 } else { limits.messages_per_connection_max.get().saturating_sub(self.messages) }
    }
}
