//! Connections that stay open between messages: which one is used again, and when it is closed.

use std::time::Duration;

use tokio::time::Instant;

use super::connections::Slot;
use crate::{
    domain::{ids::Etag, limits::Limits},
    policy::assess::Connection,
    wire::smtp::Session,
};

/// How long a connection stays open without a message, in seconds. Providers close idle ones after some minutes; an open
/// one costs them and us memory.
const IDLE_SECONDS_MAX: u64 = 30;
/// How long a connection is used at most, in seconds.
const AGE_SECONDS_MAX: u64 = 600;

/// A connection with what its reuse depends on.
#[derive(Debug)]
pub(super) struct OpenSession {
    /// The connection.
    pub(super) session: Session,
    /// The version of the account's settings with which it was opened.
    pub(super) etag: Etag,
    opened: Instant,
    last_used: Instant,
    messages: u32,
    retired: bool,
    slot: Slot,
}

impl OpenSession {
    /// A connection that was just opened.
    pub(super) fn new(session: Session, etag: Etag, slot: Slot) -> Self {
        let now = Instant::now();
        Self { session, etag, opened: now, last_used: now, messages: 0, retired: false, slot }
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

    fn closes_at(&self) -> Instant {
        let idle = self.last_used + Duration::from_secs(IDLE_SECONDS_MAX);
        idle.min(self.opened + Duration::from_secs(AGE_SECONDS_MAX))
    }

    fn is_usable(&self, etag: Etag, limits: &Limits, now: Instant) -> bool {
        !self.retired
            && self.etag == etag
            && self.messages < limits.messages_per_connection_max.get()
            && self.closes_at() > now
    }
}

/// An account's idle connections, the one used last on top.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    idle: Vec<OpenSession>,
}

impl Sessions {
    /// How many there are.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// The connection that was used last.
    pub(super) fn take(&mut self) -> Option<OpenSession> {
        self.idle.pop()
    }

    /// Keeps a connection for the next message, or gives it back to be closed.
    pub(super) fn keep(&mut self, session: OpenSession, etag: Etag, limits: &Limits) -> Option<OpenSession> {
        if session.is_usable(etag, limits, Instant::now()) {
            self.idle.push(session);
            return None;
        }
        Some(session)
    }

    /// Takes out the connections that have been idle or open for too long, or were opened with older settings.
    pub(super) fn take_stale(&mut self, etag: Etag, limits: &Limits) -> Vec<OpenSession> {
        let now = Instant::now();
        self.idle.extract_if(.., |session| !session.is_usable(etag, limits, now)).collect()
    }

    /// Takes out the connection that has been idle longest, when an account that has none waits for its slot.
    pub(super) async fn wanted(&mut self) -> OpenSession {
        match self.idle.first() {
            Some(open) => open.slot.wanted().await,
            None => std::future::pending().await,
        }
        self.idle.remove(0)
    }

    /// Takes out all connections.
    pub(super) fn take_all(&mut self) -> Vec<OpenSession> {
        std::mem::take(&mut self.idle)
    }

    /// When the next connection has been idle or open for too long.
    pub(super) fn next_close(&self) -> Option<Instant> {
        self.idle.iter().map(OpenSession::closes_at).min()
    }
}
