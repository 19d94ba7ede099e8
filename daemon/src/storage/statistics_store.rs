//! What a store does for statistics. They are written with what they count, in one commit: see
//! [`Submission`](super::Submission), [`Settlement`](super::settlement::Settlement) and [`Ingestion`](super::Ingestion).

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    ids::AccountId,
    statistics::{Counts, StatisticsGroup, bounded},
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
    async fn statistics(&self, account: &AccountId, query: StatisticsQuery) -> Result<Statistics, StorageError>;
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
    /// How long it is, in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        match self {
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// The beginning of the period of a time.
    #[must_use]
    pub const fn start_of(self, time: Timestamp) -> Timestamp {
        Timestamp::from_millis(time.as_millis() / self.millis() * self.millis())
    }

    /// The beginning of the first day whose periods of this length are kept at `now`. Before it, hours are in their days only,
    /// and days are gone.
    #[must_use]
    pub fn kept_from(self, now: Timestamp) -> Timestamp {
        let days = match self {
            Self::Hour => HOURS_KEPT_DAYS,
            Self::Day => DAYS_KEPT_DAYS,
        };
        Self::Day.start_of(now.before(Duration::from_millis(days * Self::Day.millis())))
    }
}

/// Statistics by the beginning of their period and by group.
pub type Statistics = BTreeMap<(Timestamp, StatisticsGroup), Counts>;

impl StatisticsQuery {
    /// The periods of this length that are wanted: the beginnings of the first and of the last one.
    #[must_use]
    pub fn range_of(&self, period: Period) -> (Timestamp, Timestamp) {
        let last = self.period.start_of(self.to).as_millis();
        // The last hour of a day that is wanted.
        let last = last.saturating_add(self.period.millis() - period.millis().min(self.period.millis()));
        (period.start_of(self.period.start_of(self.from)), period.start_of(Timestamp::from_millis(last)))
    }

    /// The answer, made of the rows of hours and days that are wanted: a day is what is kept of it and of its hours.
    #[must_use]
    pub fn answer(&self, hours: Statistics, days: Statistics) -> Statistics {
        if self.period == Period::Hour {
            return hours;
        }
        let mut by_day: BTreeMap<Timestamp, BTreeMap<StatisticsGroup, Counts>> = BTreeMap::new();
        for ((start, group), counts) in days.into_iter().chain(hours) {
            let day = by_day.entry(Period::Day.start_of(start)).or_default();
            day.entry(group).or_default().add(&counts);
        }
        let bounded = by_day.into_iter().map(|(day, groups)| (day, bounded(groups)));
        bounded.flat_map(|(day, groups)| groups.into_iter().map(move |(group, sum)| ((day, group), sum))).collect()
    }
}

impl Groups {
    /// Whether a group is one of them.
    #[must_use]
    pub const fn hold(self, group: &StatisticsGroup) -> bool {
        match group {
            StatisticsGroup::All => matches!(self, Self::All),
            StatisticsGroup::Domain(_) | StatisticsGroup::OtherDomains => matches!(self, Self::Domains),
            StatisticsGroup::Label(_) | StatisticsGroup::OtherLabels => matches!(self, Self::Labels),
        }
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
