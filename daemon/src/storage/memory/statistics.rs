//! How the model counts.

use std::collections::BTreeSet;

use super::model::Model;
use crate::{
    domain::{
        ids::AccountId,
        statistics::{Counted, GROUPS_PER_PERIOD_MAX, StatisticsGroup, bounded},
        time::Timestamp,
    },
    storage::{Period, Statistics, StatisticsQuery},
};

impl Model {
    /// Adds to what is counted of an account, in the hour of `now`.
    pub(super) fn count(&mut self, account: &AccountId, counted: &[Counted], now: Timestamp) {
        for Counted { group, counts } in counted {
            let place = (account.clone(), Period::Hour, Period::Hour.start_of(now), group.bounded());
            let place = match place.3.shared().filter(|_| !self.counts.contains_key(&place)) {
                Some(shared) if self.names(&place.0, place.2, &shared) >= GROUPS_PER_PERIOD_MAX => {
                    (place.0, place.1, place.2, shared)
                }
                _ => place,
            };
            self.counts.entry(place).or_default().add(counts);
        }
    }

    /// How many groups an hour names that would share this one.
    fn names(&self, account: &AccountId, hour: Timestamp, shared: &StatisticsGroup) -> usize {
        let of_hour = self
            .counts
            .keys()
            .filter(|(owner, period, start, _)| owner == account && *period == Period::Hour && *start == hour);
        of_hour.filter(|(.., group)| group.shared().as_ref() == Some(shared)).count()
    }

    pub(super) fn statistics(&self, account: &AccountId, query: &StatisticsQuery) -> Statistics {
        let rows = |wanted: Period| {
            let (first, last) = query.range_of(wanted);
            let rows = self.counts.iter().filter(|((owner, period, start, group), _)| {
                owner == account && *period == wanted && (first..=last).contains(start) && query.groups.hold(group)
            });
            rows.map(|((_, _, start, group), counts)| ((*start, group.clone()), counts.clone())).collect()
        };
        let days = if query.period == Period::Day { rows(Period::Day) } else { Statistics::new() };
        query.answer(rows(Period::Hour), days)
    }

    /// Sums old hours up in their days, forgets old days, and says how many rows went.
    pub(super) fn prune_counts(&mut self, now: Timestamp) -> usize {
        let (hours_from, days_from) = (Period::Hour.kept_from(now), Period::Day.kept_from(now));
        let old: Vec<_> = self
            .counts
            .extract_if(.., |(_, period, start, _), _| *period == Period::Hour && *start < hours_from)
            .collect();
        let mut gone = old.len();
        let mut days: BTreeSet<(AccountId, Timestamp)> = BTreeSet::new();
        for ((account, _, start, group), counts) in old {
            let day = Period::Day.start_of(start);
            self.counts.entry((account.clone(), Period::Day, day, group)).or_default().add(&counts);
            days.insert((account, day));
        }
        for (account, day) in days {
            let of_day = |key: &(AccountId, Period, Timestamp, StatisticsGroup)| {
                key.0 == account && key.1 == Period::Day && key.2 == day
            };
            let rows: Vec<_> = self.counts.extract_if(.., |key, _| of_day(key)).collect();
            let groups = rows.into_iter().map(|((.., group), counts)| (group, counts)).collect();
            for (group, counts) in bounded(groups) {
                self.counts.insert((account.clone(), Period::Day, day, group), counts);
            }
        }
        let before = self.counts.len();
        self.counts.retain(|(_, period, start, _), _| *period == Period::Hour || *start >= days_from);
        gone += before - self.counts.len();
        gone
    }
}
