//! What was counted, by account and time, and how old counts go.

use async_trait::async_trait;

use super::{
    SledStore,
    disk::{self, readable},
    keys::{Family, Key, ListKey},
    txn::Txn,
};
use crate::{
    domain::{ids::AccountId, statistics::Counts, time::Timestamp},
    storage::{
        Groups, Period, Statistics, StatisticsQuery, StatisticsStore, StorageError, records::statistics::CountsRow,
    },
};

/// How many counts of an account that is gone go in one change.
const KEYS_PER_STEP: usize = 256;

/// Counts that may go.
#[derive(Clone, Debug)]
pub(super) enum OldCounts {
    /// The hours of a day of an account, which its day is to hold.
    Hours { account: u32, day: Timestamp },
    /// A day of an account.
    Day { account: u32, day: Timestamp },
    /// Some of an account that was deleted.
    Orphans { account: u32 },
}

#[async_trait]
impl StatisticsStore for SledStore {
    async fn statistics(&self, account: &AccountId, query: StatisticsQuery) -> Result<Statistics, StorageError> {
        let Some(number) = self.number_of(account) else {
            return Ok(Statistics::new());
        };
        self.in_background(move |store| store.find_statistics(number, &query)).await
    }
}

/// The groups of one kind stand together: what their keys begin with behind the time, and end before.
const fn kinds_of(groups: Groups) -> (u8, u8) {
    match groups {
        Groups::All => (1, 2),
        Groups::Domains => (2, 4),
        Groups::Labels => (4, 6),
    }
}

impl SledStore {
    fn find_statistics(&self, account: u32, query: &StatisticsQuery) -> Result<Statistics, StorageError> {
        // Days before hours: hours that are summed up meanwhile may be missing, but are not counted twice.
        let days = match query.period {
            Period::Hour => Statistics::new(),
            Period::Day => self.find_counts(account, Period::Day, query)?,
        };
        Ok(query.answer(self.find_counts(account, Period::Hour, query)?, days))
    }

    fn find_counts(&self, account: u32, period: Period, query: &StatisticsQuery) -> Result<Statistics, StorageError> {
        let mut found = Statistics::new();
        let of_period = ListKey::counts_of(account, period);
        let (mut start, last) = query.range_of(period);
        let (first_kind, end_kind) = kinds_of(query.groups);
        let at_kind = |start: Timestamp, kind: u8| {
            let mut bytes = ListKey::counts_in(account, period, start);
            bytes.push(kind);
            bytes
        };
        // Periods without counts, and groups that are not wanted, are leapt over.
        while let Some(next) = self.disk.seek(&at_kind(start, first_kind), &of_period)? {
            let Some(Key::List(ListKey::Count { start: at, .. })) = Key::parse(&next) else { break };
            if at > last {
                break;
            }
            for entry in self.disk.tree.range(at_kind(at, first_kind)..at_kind(at, end_kind)).keys() {
                let Some(key) = Key::parse(&self.disk.checked(entry)?) else { continue };
                let row = readable(disk::read_row::<CountsRow>(&self.disk, |_| key.clone()))?;
                if let (Key::List(ListKey::Count { start, group, .. }), Some(row)) = (key, row) {
                    found.insert((start, group), Counts::from(row.value));
                }
            }
            start = Timestamp::from_millis(at.as_millis().saturating_add(period.millis()));
        }
        Ok(found)
    }

    /// Counts that may go, of each account those of one day.
    pub(super) fn find_old_counts(&self, now: Timestamp, limit: usize) -> Result<Vec<OldCounts>, StorageError> {
        let accounts: std::collections::HashSet<_> =
            self.all_entries().into_iter().map(|(_, entry)| entry.number).collect();
        let mut found = Vec::new();
        let mut start = Family::Count.prefix().to_vec();
        while found.len() < limit
            && let Some(key) = self.disk.seek(&start, &Family::Count.prefix())?
        {
            let Some(number) = key.get(1..5).and_then(|bytes| bytes.try_into().ok()) else { break };
            let account = u32::from_be_bytes(number);
            if accounts.contains(&account) {
                let oldest =
                    |period| Ok(self.oldest(account, period)?.filter(|at| *at < Period::kept_from(period, now)));
                let (hour, day): (Option<Timestamp>, _) = (oldest(Period::Hour)?, oldest(Period::Day)?);
                found.extend(hour.map(|at| OldCounts::Hours { account, day: Period::Day.start_of(at) }));
                found.extend(day.map(|day| OldCounts::Day { account, day }));
            } else {
                found.push(OldCounts::Orphans { account });
            }
            let Some(next) = account.checked_add(1) else { break };
            start = Family::Count.of_account(next).to_vec();
        }
        Ok(found)
    }

    /// When the oldest period of this length begins of which something was counted.
    fn oldest(&self, account: u32, period: Period) -> Result<Option<Timestamp>, StorageError> {
        let prefix = ListKey::counts_of(account, period);
        let key = self.disk.seek(&prefix, &prefix)?;
        Ok(key.and_then(|key| match Key::parse(&key) {
            Some(Key::List(ListKey::Count { start, .. })) => Some(start),
            _ => None,
        }))
    }
}

/// Deletes old counts, and says how many.
pub(super) fn forget_old_counts(txn: &mut Txn, old: &OldCounts) -> Result<u64, StorageError> {
    match *old {
        OldCounts::Hours { account, day } => txn.roll_up(account, day),
        OldCounts::Day { account, day } => {
            let keys = txn.stored_counts(&ListKey::counts_in(account, Period::Day, day), usize::MAX)?;
            Ok(txn.forget_counts(keys))
        }
        // The account may be new: then it was not known when its counts were found.
        OldCounts::Orphans { account } if txn.accounts.values().any(|entry| entry.number == account) => Ok(0),
        OldCounts::Orphans { account } => {
            let keys = txn.stored_counts(&Family::Count.of_account(account), KEYS_PER_STEP)?;
            Ok(txn.forget_counts(keys))
        }
    }
}
