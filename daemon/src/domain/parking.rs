//! Whether an account may send at present, and if not, why and until when.

use super::{reply::Reply, time::Timestamp};

/// An account's standing. Parking never fails a job and never uses up an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It sends.
    #[default]
    Active,
    /// It waits.
    Parked(Parking),
}

/// Why an account waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parking {
    /// The kind of obstacle.
    pub cause: ParkingCause,
    /// One sentence for people.
    pub reason: String,
    /// The provider's words, when it said any.
    pub reply: Option<Reply>,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself, or for [`ParkingCause::Unreachable`] when the next probe is due; nothing when only a
    /// person can end it.
    pub until: Option<Timestamp>,
    /// How often in a row an obstacle of this cause was met: the exponent of its backoff.
    pub strikes: u32,
}

impl Parking {
    /// Whether an operator's pause is in force: no worker's word ends or replaces it.
    #[must_use]
    pub fn is_paused_at(&self, now: Timestamp) -> bool {
        self.cause == ParkingCause::Paused && self.until.is_none_or(|until| until > now)
    }
}

/// The kinds of obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParkingCause {
    /// An operator stopped it.
    Paused,
    /// The provider does not accept the sign-in; new credentials are needed.
    NeedsReauth,
    /// The provider said that its quota is used up.
    QuotaExhausted,
    /// The provider asked to slow down.
    Throttled,
    /// The provider has suspended the account.
    SuspendedByProvider,
    /// The server cannot be reached or does not get as far as MAIL; one probe is sent when `until` comes.
    Unreachable,
}

impl ParkingCause {
    /// Whether only `ResumeAccount` (or new settings) can end it.
    #[must_use]
    pub const fn needs_a_person(self) -> bool {
        matches!(self, Self::NeedsReauth | Self::SuspendedByProvider)
    }
}
