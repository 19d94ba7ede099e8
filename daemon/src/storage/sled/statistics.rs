//! How the committer counts. What a commit counts is added up in memory and written with it, each row once.

use std::collections::BTreeMap;

use ::sled::IVec;

use super::{
    count_book::Hour,
    disk,
    keys::{Key, ListKey},
    txn::Txn,
};
use crate::{
    domain::{
        statistics::{Counted, Counts, GROUPS_PER_PERIOD_MAX, StatisticsGroup, bounded},
        time::Timestamp,
    },
    storage::{
        Period, StorageError,
        records::statistics::{CountsRow, group_parts},
    },
};

/// Of how many hours of accounts it is remembered how many groups they name; beyond it all are forgotten and counted again.
const HOURS_REMEMBERED_MAX: usize = 16_384;

fn count_key(account: u32, period: Period, start: Timestamp, group: &StatisticsGroup) -> Key {
    Key::List(ListKey::Count { account, period, start, group: group.clone() })
}

impl Txn {
    /// Adds to what is counted of the account with this number, in the hour of `now`. It is written when the commit is made.
    pub(super) fn count(&mut self, account: u32, counted: &[Counted], now: Timestamp) {
        if counted.is_empty() {
            return;
        }
        let sums = self.counts.hours.entry((account, Period::Hour.start_of(now))).or_default();
        counted.iter().for_each(|counted| sums.add(counted));
    }

    /// Adds what this commit counts to the rows of its hours.
    pub(super) fn flush_counts(&mut self) -> Result<(), StorageError> {
        for (hour, sums) in std::mem::take(&mut self.counts.hours) {
            for (group, counts) in sums.sums {
                self.add_count(hour, &group.bounded(), &counts)?;
            }
        }
        Ok(())
    }

    fn add_count(&mut self, hour: Hour, group: &StatisticsGroup, counts: &Counts) -> Result<(), StorageError> {
        let (account, start) = hour;
        let mut key = count_key(account, Period::Hour, start, group);
        let mut sum = self.counts_of(&key)?;
        if sum.is_none()
            && let Some(shared) = group.shared()
            && !self.take_name(hour, group)?
        {
            key = count_key(account, Period::Hour, start, &shared);
            sum = self.counts_of(&key)?;
        }
        let mut sum = sum.unwrap_or_default();
        sum.add(counts);
        self.put_counts(&key, &sum);
        Ok(())
    }

    /// Whether an hour may name one group more, which it then does.
    fn take_name(&mut self, hour: Hour, group: &StatisticsGroup) -> Result<bool, StorageError> {
        let (kind, _) = group_parts(group);
        if self.counts.named.get(&hour).is_none_or(|named| !named.contains_key(&kind)) {
            let mut prefix = ListKey::counts_in(hour.0, Period::Hour, hour.1);
            prefix.push(kind);
            // What this commit adds is counted as it is added, and an hour is flushed whole before the next one.
            let there = self.stored_counts(&prefix, GROUPS_PER_PERIOD_MAX)?.len();
            if self.counts.named.len() >= HOURS_REMEMBERED_MAX {
                self.counts.named.retain(|known, _| *known == hour);
            }
            self.counts.named.entry(hour).or_default().insert(kind, there);
        }
        let named = self.counts.named.entry(hour).or_default().entry(kind).or_default();
        let has_room = *named < GROUPS_PER_PERIOD_MAX;
        *named += usize::from(has_room);
        Ok(has_room)
    }

    /// What a row holds; a damaged one begins anew.
    fn counts_of(&self, key: &Key) -> Result<Option<Counts>, StorageError> {
        let row = disk::readable(self.row::<CountsRow>(|_| key.clone()))?;
        Ok(row.map(|stored| Counts::from(stored.value)))
    }

    fn put_counts(&mut self, key: &Key, counts: &Counts) {
        self.put_row(|_| key.clone(), &CountsRow::from(counts), 0);
    }

    /// Sums the hours of a day up in the day's row, and says how many rows went. What this commit has counted itself is not
    /// written yet: it stays for the next time.
    pub(super) fn roll_up(&mut self, account: u32, day: Timestamp) -> Result<u64, StorageError> {
        let starts = (day.as_millis()..).step_by(3_600_000).take(24).map(Timestamp::from_millis);
        let mut hours = Vec::new();
        for start in starts {
            hours.extend(self.stored_counts(&ListKey::counts_in(account, Period::Hour, start), usize::MAX)?);
            self.counts.named.remove(&(account, start));
        }
        let days = self.stored_counts(&ListKey::counts_in(account, Period::Day, day), usize::MAX)?;
        let mut groups: BTreeMap<StatisticsGroup, Counts> = BTreeMap::new();
        for key in days.iter().chain(&hours) {
            let Some(parsed @ Key::List(ListKey::Count { .. })) = Key::parse(key) else { continue };
            let counts = self.counts_of(&parsed)?.unwrap_or_default();
            if let Key::List(ListKey::Count { group, .. }) = parsed {
                groups.entry(group).or_default().add(&counts);
            }
        }
        let gone = hours.len() as u64;
        days.into_iter().chain(hours).for_each(|key| self.remove(key));
        for (group, counts) in bounded(groups) {
            self.put_counts(&count_key(account, Period::Day, day, &group), &counts);
        }
        Ok(gone)
    }

    /// Up to `most` counts that were there before this commit and that it leaves. The whole of what a commit writes is not looked
    /// through for them.
    pub(super) fn stored_counts(&self, prefix: &[u8], most: usize) -> Result<Vec<IVec>, StorageError> {
        let keys = self.disk.tree.scan_prefix(prefix).keys().map(|key| self.disk.checked(key));
        keys.filter(|key| key.as_ref().map_or(true, |key| self.will_have(key))).take(most).collect()
    }

    /// Deletes counts whose keys are these, and says how many.
    pub(super) fn forget_counts(&mut self, keys: Vec<IVec>) -> u64 {
        let gone = keys.len() as u64;
        keys.into_iter().for_each(|key| self.remove(key));
        gone
    }
}
