//! What an account may send: quotas, pace and connections.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use super::reserves::Reserves;

/// Most quotas of one account.
pub const QUOTAS_MAX: usize = 16;
/// Shortest window of a quota.
pub const QUOTA_WINDOW_MIN: Duration = Duration::from_secs(1);
/// Longest window of a sliding quota.
pub const QUOTA_WINDOW_MAX: Duration = Duration::from_secs(31 * 24 * 3_600);

/// At most `limit` units in any window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many units fit into one window.
    pub limit: NonZeroU64,
    /// What is counted.
    pub unit: QuotaUnit,
    /// The stretch of time in which it is counted.
    pub window: QuotaWindow,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaUnit {
    /// SMTP transactions.
    Messages,
    /// Accepted RCPT TO commands.
    Recipients,
    /// Bytes of messages, once for each transaction.
    Bytes,
}

/// The stretch of time in which a quota counts. Two quotas with equal unit and window share their history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaWindow {
    /// Any stretch of this length, wherever it begins.
    Sliding(Duration),
    /// A unit of the calendar, in an IANA time zone: the count starts again at its boundary.
    Calendar {
        /// The unit.
        span: CalendarSpan,
        /// The zone's name in the IANA database, such as `Asia/Tokyo`; known to exist.
        zone: String,
    },
}

/// Units of the calendar at which a provider may reset a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarSpan {
    /// From second 0 to the next second 0.
    Minute,
    /// From minute 0 to the next minute 0.
    Hour,
    /// From the start of a local day to the start of the next: 23 to 25 hours where clocks change.
    Day,
    /// From the start of a local month to the start of the next.
    Month,
}

/// Everything that bounds an account's sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Quotas that all hold at once; at most [`QUOTAS_MAX`].
    pub quotas: Vec<Quota>,
    /// What is kept back of every quota.
    pub reserves: Reserves,
    /// What becomes of a job that must wait for a quota.
    pub over_quota: OverQuota,
    /// Shortest time between the ends of two sends; zero for none.
    pub interval: Duration,
    /// A steady pace that the account keeps besides its quotas.
    pub pace: Option<Pace>,
    /// A pause after each so many messages.
    pub batch: Option<BatchPause>,
    /// Most connections open at once.
    pub connections_max: NonZeroU32,
    /// Messages after which a connection is closed.
    pub messages_per_connection_max: NonZeroU32,
    /// Most recipients of one job.
    pub recipients_per_job_max: NonZeroU32,
    /// Largest composed message, in bytes.
    pub message_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            quotas: Vec::new(),
            reserves: Reserves::default(),
            over_quota: OverQuota::Queue,
            interval: Duration::ZERO,
            pace: None,
            batch: None,
            connections_max: number(2),
            messages_per_connection_max: number(100),
            // RFC 5321 4.5.3.1.8: a server must take at least 100 recipients.
            recipients_per_job_max: number(100),
            message_bytes_max: 25 * 1_024 * 1_024,
        }
    }
}

/// What becomes of a job that the quotas do not let go at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverQuota {
    /// It is accepted and waits.
    #[default]
    Queue,
    /// It is refused.
    Reject,
}

/// Messages spread evenly, as a leaky bucket (GCRA) meters them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Messages a minute in the long run.
    pub messages_per_minute: NonZeroU32,
    /// Messages that may go at once after a rest.
    pub burst: NonZeroU32,
}

/// A pause after each batch of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPause {
    /// Messages in a batch.
    pub messages: NonZeroU32,
    /// The pause that follows.
    pub pause: Duration,
}
