//! What a store does for statistics. They are written with what they count, in one commit: see
//! [`Submission`](super::Submission), [`Settlement`](super::settlement::Settlement) and [`Ingestion`](super::Ingestion).

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    ids::AccountId,
    statistics::{Counts, StatisticsGroup},
    time::Timestamp,
};

/// How long hours are kept, in days; after that only their day is.
pub const HOURS_KEPT_DAYS: u64 = 14;
/// How long days are kept, in days.
pub const DAYS_KEPT_DAYS: u64 = 400;

/// Statistics.
#[async_trait]
pub trait StatisticsStore: Send + Sync + fmt::Debug {
    /// What was counted of an account in the periods that begin in `from..=to`, by the beginning of the period and by group. Those
    /// of an account that was deleted are gone. The day of hours that are kept is summed up from them.
    async fn statistics(
        &self,
        account: &AccountId,
        query: StatisticsQuery,
    ) -> Result<BTreeMap<(Timestamp, StatisticsGroup), Counts>, StorageError>;
}

/// Which statistics of an account are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticsQuery {
    /// The first period is the one of this time.
    pub from: Timestamp,
    /// The last period is the one of this time.
    pub to: Timestamp,
    /// How long a period is.
    pub period: Period,
    /// Which groups.
    pub groups: Groups,
}

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl Period {
    /// The beginning of the period of a time.
    #[must_use]
    pub const fn start_of(self, time: Timestamp) -> Timestamp {
        let millis = match self {
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        };
        Timestamp::from_millis(time.as_millis() / millis * millis)
    }
}

/// Which groups are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Only [`StatisticsGroup::All`].
    All,
    /// Domains.
    Domains,
    /// Labels.
    Labels,
}
