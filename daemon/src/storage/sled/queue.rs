//! The queue as workers see it, on sled.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

use super::{
    SledStore, account_store, attempts, disk, divert, holding,
    jobs::{self, StoredJob},
    keys::{Family, Key},
    returns::doubts,
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        backlog::Backlog,
        ids::{AccountId, JobId, MessageKey},
        ledger::{ObservedLimit, QuotaKey, Usage},
        parking::Standing,
        time::Timestamp,
    },
    storage::{
        Consignment, Divertible, Queue, Ready, StorageError, Tenure, TenureError,
        records::ledger::{OBSERVED_BUCKET, UsageRow},
        settlement::{Diversion, Doubt, Expiry, Mark, MarkOutcome, Omission, Settlement},
    },
};

/// About how many bytes a change of an attempt takes.
const ATTEMPT_BYTES: usize = 1_024;
/// When workers ask again while the disk is so full that nothing may be sent.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(5);

#[async_trait]
impl Queue for SledStore {
    async fn take_tenure(&self, account: &AccountId) -> Result<Tenure, StorageError> {
        let account = account.clone();
        self.writer.commit(weight(1), Patience::Wait, move |txn| Ok(txn.take_tenure(&account))).await
    }

    async fn accounts_with_work(&self) -> Result<Vec<AccountId>, StorageError> {
        self.in_background(Self::find_accounts_with_work).await
    }

    async fn changed(&self) -> BTreeSet<AccountId> {
        self.changed.take().await.into_iter().collect()
    }

    async fn ready(
        &self,
        account: &AccountId,
        skip: &HashSet<MessageKey>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Ready, StorageError> {
        self.disk.failure.check()?;
        if !self.space.can_work() {
            let next_due = Some(now.after(FULL_DISK_PAUSE));
            return Ok(Ready { next_due, ..Ready::default() });
        }
        self.number_of(account).map_or_else(|| Ok(Ready::default()), |number| self.find_ready(number, skip, limit, now))
    }

    async fn consign(&self, keys: &[MessageKey]) -> Result<Vec<Consignment>, StorageError> {
        let mut consignments = Vec::with_capacity(keys.len());
        let mut last: Option<Arc<StoredJob>> = None;
        for key in keys {
            // The messages of a merge job come together: its row is read once for all of them.
            let known = last.take().filter(|stored| stored.job.id == key.job && stored.job.merge().is_some());
            let stored = match known {
                Some(stored) => stored,
                None => match jobs::load(&self.disk, key.job)? {
                    Some(stored) => Arc::new(stored),
                    None => continue,
                },
            };
            if stored.job.merge().is_some() {
                consignments.extend(self.consign_merge(&stored, key.index).await?);
            } else if key.index == 0 {
                consignments.extend(Consignment::of(&stored.job, self.message_of(&stored).await?));
            }
            last = Some(stored);
        }
        Ok(consignments)
    }

    async fn mark_in_doubt(&self, tenure: &Tenure, marks: Vec<Mark>) -> Result<Vec<MarkOutcome>, TenureError> {
        let tenure = tenure.clone();
        let weight = weight(marks.len());
        self.writer.commit(weight, Patience::Wait, move |txn| attempts::mark_all(txn, &tenure, &marks)).await?
    }

    async fn settle(&self, tenure: &Tenure, settlements: Vec<Settlement>) -> Result<(), TenureError> {
        let tenure = tenure.clone();
        let weight = weight(settlements.len());
        self.writer.commit(weight, Patience::Wait, move |txn| attempts::settle_all(txn, &tenure, settlements)).await?
    }

    async fn expire(&self, tenure: &Tenure, expiries: Vec<Expiry>) -> Result<(), TenureError> {
        let tenure = tenure.clone();
        let weight = weight(expiries.len());
        self.writer.commit(weight, Patience::Wait, move |txn| attempts::expire_all(txn, &tenure, &expiries)).await?
    }

    async fn report_standing(
        &self,
        tenure: &Tenure,
        standing: Standing,
        now: Timestamp,
    ) -> Result<Standing, TenureError> {
        let tenure = tenure.clone();
        let report = move |txn: &mut super::txn::Txn| account_store::report(txn, &tenure, standing, now);
        self.writer.commit(weight(1), Patience::Wait, report).await?
    }

    async fn divertible(
        &self,
        account: &AccountId,
        after: Option<(Timestamp, JobId)>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Divertible, StorageError> {
        let Some(number) = self.number_of(account) else {
            return Ok(Divertible::default());
        };
        self.in_background(move |store| store.find_divertible(number, after, limit, now)).await
    }

    async fn divert(&self, tenure: &Tenure, moves: Vec<Diversion>) -> Result<Vec<bool>, TenureError> {
        let tenure = tenure.clone();
        let (weight, most) = (weight(moves.len()), self.settings.open_jobs_per_account_max);
        self.writer.commit(weight, Patience::Wait, move |txn| divert::divert_all(txn, &tenure, &moves, most)).await?
    }

    async fn leave_out(&self, tenure: &Tenure, omissions: Vec<Omission>) -> Result<Vec<bool>, TenureError> {
        let tenure = tenure.clone();
        let weight = weight(omissions.len());
        self.writer.commit(weight, Patience::Wait, move |txn| holding::leave_out_all(txn, &tenure, omissions)).await?
    }

    async fn doubts(&self, account: &AccountId, limit: usize) -> Result<Vec<Doubt>, StorageError> {
        let Some(number) = self.number_of(account) else {
            return Ok(Vec::new());
        };
        self.in_background(move |store| store.find_doubts(number, limit)).await
    }

    async fn resolve_doubt(
        &self,
        account: &AccountId,
        doubt: Doubt,
        found: bool,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let account = account.clone();
        let resolve = move |txn: &mut super::txn::Txn| doubts::resolve(txn, &account, doubt, found, now);
        self.writer.commit(weight(1), Patience::Wait, resolve).await
    }

    async fn in_doubt(&self, account: &AccountId) -> Result<Vec<Mark>, StorageError> {
        let Some(number) = self.number_of(account) else {
            return Ok(Vec::new());
        };
        self.in_background(move |store| store.find_marks(number)).await
    }

    async fn backlog(&self, account: &AccountId) -> Result<Backlog, StorageError> {
        self.disk.failure.check()?;
        Ok(self.entry_of(account).map(|entry| entry.backlog).unwrap_or_default())
    }

    async fn backlog_after(&self, account: &AccountId, at: Timestamp) -> Result<Backlog, StorageError> {
        let Some(number) = self.number_of(account) else {
            return Ok(Backlog::default());
        };
        self.in_background(move |store| store.find_later(number, at)).await
    }

    async fn observe_limit(&self, tenure: &Tenure, observed: ObservedLimit) -> Result<(), TenureError> {
        let tenure = tenure.clone();
        let observe =
            move |txn: &mut super::txn::Txn| Ok(txn.admit(&tenure).map(|number| txn.put_observed(number, &observed)));
        self.writer.commit(weight(1), Patience::Wait, observe).await?
    }

    async fn observed_limits(&self, account: &AccountId) -> Result<Vec<ObservedLimit>, StorageError> {
        let Some(number) = self.number_of(account) else {
            return Ok(Vec::new());
        };
        self.in_background(move |store| store.find_observed(number)).await
    }

    async fn usage(&self, account: &AccountId) -> Result<Vec<Usage>, StorageError> {
        let Some(number) = self.number_of(account) else {
            return Ok(Vec::new());
        };
        self.in_background(move |store| store.find_usage(number)).await
    }

    async fn forget_usage(&self, tenure: &Tenure, buckets: Vec<(QuotaKey, u64)>) -> Result<(), TenureError> {
        let tenure = tenure.clone();
        let forget = move |txn: &mut super::txn::Txn| {
            Ok(txn.admit(&tenure).map(|number| {
                buckets.iter().for_each(|(key, bucket)| txn.forget_bucket(number, key, *bucket));
            }))
        };
        self.writer.commit(weight(1), Patience::Wait, forget).await?
    }
}

const fn weight(changes: usize) -> Weight {
    Weight { changes, bytes: changes * ATTEMPT_BYTES }
}

impl SledStore {
    fn find_marks(&self, account: u32) -> Result<Vec<Mark>, StorageError> {
        let prefix = Family::Mark.of_account(account);
        let mut marks = Vec::new();
        for entry in self.disk.tree.scan_prefix(prefix).keys() {
            let key = Key::parse(&self.disk.checked(entry)?);
            let Some(Key::Mark { job, index, chunk: 0, .. }) = key else { continue };
            marks.extend(attempts::read_mark(&self.disk, account, MessageKey { job, index })?);
        }
        Ok(marks)
    }

    fn find_observed(&self, account: u32) -> Result<Vec<ObservedLimit>, StorageError> {
        let mut found = Vec::new();
        for entry in self.disk.tree.scan_prefix(Family::Bucket.of_account(account)).keys() {
            let Some(key @ Key::Bucket { bucket: OBSERVED_BUCKET, .. }) = Key::parse(&self.disk.checked(entry)?) else {
                continue;
            };
            let row = disk::readable(disk::read_row::<UsageRow>(&self.disk, |_| key.clone()))?;
            // One that cannot be read is left out: it is shown and not enforced.
            found.extend(row.and_then(|row| row.value.into_observed().ok()));
        }
        Ok(found)
    }

    fn find_usage(&self, account: u32) -> Result<Vec<Usage>, StorageError> {
        let prefix = Family::Bucket.of_account(account);
        let mut usages = Vec::new();
        for entry in self.disk.tree.scan_prefix(prefix).keys() {
            let key = Key::parse(&self.disk.checked(entry)?);
            let Some(Key::Bucket { quota, bucket, .. }) = key else { continue };
            if bucket == OBSERVED_BUCKET {
                continue;
            }
            let row = disk::read_row::<UsageRow>(&self.disk, |_| Key::Bucket { account, quota, bucket });
            let usage = row.and_then(|row| {
                let usage = row.map(|row| row.value.into_usage(bucket)).transpose();
                usage.map_err(|error| StorageError::Damaged(error.to_string()))
            });
            match usage {
                Ok(usage) => usages.extend(usage),
                Err(StorageError::Damaged(why)) => {
                    tracing::error!(account, reason = %why, "a damaged bucket of a quota ledger is left out");
                }
                Err(error) => return Err(error),
            }
        }
        usages.retain(|usage| usage.amount > 0);
        Ok(usages)
    }

    fn find_accounts_with_work(&self) -> Result<Vec<AccountId>, StorageError> {
        let mut found = Vec::new();
        for (id, entry) in self.all_entries() {
            let mut has_work = false;
            for family in [Family::Ready, Family::Mark] {
                let prefix = family.of_account(entry.number);
                has_work = has_work || self.disk.seek(&prefix, &prefix)?.is_some();
            }
            if has_work {
                found.push(id);
            }
        }
        Ok(found)
    }
}
