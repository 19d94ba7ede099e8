//! What a transaction needs of the quotas, its leave to use it, and what is said when there is none.

use std::time::Duration;

use super::history::release_jitter_max;
use crate::domain::{
    ledger::{Charge, QuotaKey},
    limits::{Quota, QuotaUnit},
    time::Timestamp,
};

/// When something fits that is larger than a whole quota.
pub const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

/// What a transaction uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// SMTP transactions.
    pub messages: u32,
    /// Recipients.
    pub recipients: u32,
    /// Bytes of the message.
    pub bytes: u64,
}

impl Need {
    /// One message to so many recipients.
    #[must_use]
    pub const fn message_to(recipients: u32) -> Self {
        Self { messages: 1, recipients, bytes: 0 }
    }

    /// The same, with so many bytes.
    #[must_use]
    pub const fn of_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    pub(super) const fn of(self, unit: QuotaUnit) -> u64 {
        match unit {
            QuotaUnit::Messages => self.messages as u64,
            QuotaUnit::Recipients => self.recipients as u64,
            QuotaUnit::Bytes => self.bytes,
        }
    }

    /// Both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            recipients: self.recipients.saturating_add(other.recipients),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            recipients: self.recipients.saturating_sub(other.recipients),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// Leave for one transaction. It counts in every window until it is settled or given back; one that is dropped counts for
/// ever, which [`permits`](super::ledger::Ledger::permits) shows.
#[must_use = "a permit counts as in flight until it is settled or given back"]
#[derive(Debug)]
pub struct Permit {
    pub(super) need: Need,
    pub(super) marked: Vec<Charge>,
}

/// Charges of one transaction whose message turned out to have so many bytes.
#[must_use]
pub fn measured(mut charges: Vec<Charge>, bytes: u64) -> Vec<Charge> {
    for charge in charges.iter_mut().filter(|charge| charge.key.unit == QuotaUnit::Bytes) {
        charge.amount = i64::try_from(bytes).unwrap_or(i64::MAX);
    }
    charges
}

/// A quota has no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quota is used up until {until}")]
pub struct Exhausted {
    /// The quota that has no room for longest.
    pub key: QuotaKey,
    /// When there is room, if nothing else is sent and what is in flight ended now; [`NEVER`] when more is needed than the
    /// limit.
    pub until: Timestamp,
}

impl Exhausted {
    /// Whether the transaction is larger than the whole quota.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        self.until == NEVER
    }

    /// When to try again: at `until` or, after the boundary of a calendar, a little later by `chance` (from 0 up to 1), so
    /// that the accounts of one provider do not all wake in one instant.
    #[must_use]
    pub fn release_at(&self, chance: f64) -> Timestamp {
        let jitter = release_jitter_max(&self.key.window).as_secs_f64() * chance.clamp(0.0, 1.0);
        // A chance that is no number makes no jitter.
        self.until.after(Duration::try_from_secs_f64(jitter).unwrap_or(Duration::ZERO))
    }
}

/// What a quota has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaStatus {
    /// The quota.
    pub quota: Quota,
    /// Units used in the window that ends now, with what is in flight.
    pub used: u64,
    /// Units that the daemon may use at once for its most urgent mail: what is reserved for people is taken away.
    pub left: u64,
    /// When all of `used` will have left the window, if nothing else is sent.
    pub resets_at: Timestamp,
}
