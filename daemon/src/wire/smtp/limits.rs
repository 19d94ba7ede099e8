//! How long may each step take (RFC 5321 4.5.3.2)?

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{account::Timeouts, verdict::Phase};

/// The longest limit that is honoured: a day.
const LIMIT_SECONDS_MAX: u64 = 86_400;

/// For the server to take a block of what we write.
pub(super) const fn to_write(timeouts: &Timeouts, phase: Phase) -> Duration {
    match phase {
        Phase::EndOfData => timeouts.data,
        _ => timeouts.command,
    }
}

/// For the server to reply, from when all is written.
pub(super) const fn to_reply(timeouts: &Timeouts, phase: Phase) -> Duration {
    match phase {
        Phase::Greeting => timeouts.greeting,
        Phase::Data => timeouts.data,
        Phase::EndOfData => timeouts.end_of_data,
        _ => timeouts.command,
    }
}

/// When a limit that begins now ends.
pub(super) fn end(now: Instant, limit: Duration) -> Instant {
    now + limit.min(Duration::from_secs(LIMIT_SECONDS_MAX))
}
