//! Jobs whose client's time has run out while nobody sends from their account: held ones, and those of parked accounts.

use super::{
    SledStore, attempts,
    disk::{self, View},
    jobs::{self, StoredJob},
    keys::{Family, Key},
    txn::Txn,
    writer::{CHANGES_PER_COMMIT_MAX, Patience, Weight},
};
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        job::Schedule,
        time::Timestamp,
    },
    storage::StorageError,
};

/// About how many bytes the end of a job takes.
const END_BYTES: usize = 1_024;

impl SledStore {
    pub(super) async fn expire_some(&self, now: Timestamp, limit: usize) -> Result<u64, StorageError> {
        let found = self.in_background(move |store| store.find_overdue(now, limit)).await?;
        let mut ended = 0;
        for part in found.chunks(CHANGES_PER_COMMIT_MAX) {
            let part = part.to_vec();
            let weight = Weight { changes: part.len(), bytes: part.len() * END_BYTES };
            let expire = move |txn: &mut Txn| {
                let mut ended = 0;
                txn.flush_merges()?;
                for id in part {
                    ended += expire_one(txn, id, now)?;
                }
                Ok(ended)
            };
            ended += self.writer.commit(weight, Patience::Wait, expire).await?;
        }
        Ok(ended)
    }

    /// Those that may be ended; the committer looks again.
    fn find_overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<JobId>, StorageError> {
        let mut found = Vec::new();
        for entry in self.disk.tree.scan_prefix(Family::Expiry.prefix()).keys() {
            let Some(Key::Expiry { at, job }) = Key::parse(&self.disk.checked(entry)?) else { continue };
            if at > now || found.len() >= limit {
                break;
            }
            let is_overdue = match self.with_account(&self.disk, job)? {
                Some((account, stored)) => is_overdue(&self.disk, account, &stored, now)?,
                None => false,
            };
            if is_overdue {
                found.push(job);
            }
        }
        Ok(found)
    }

    fn with_account(&self, view: &impl View, id: JobId) -> Result<Option<(u32, StoredJob)>, StorageError> {
        let stored = disk::readable(jobs::load(view, id))?;
        Ok(stored.and_then(|stored| self.number_of(&stored.job.account).map(|number| (number, stored))))
    }
}

fn is_overdue(view: &impl View, account: u32, stored: &StoredJob, now: Timestamp) -> Result<bool, StorageError> {
    if stored.job.schedule == Schedule::Idle || !stored.job.has_expired(now) {
        return Ok(false);
    }
    Ok(match stored.job.merge() {
        Some(progress) => progress.tally.waiting > progress.underway,
        None => !jobs::is_marked(view, account, MessageKey::only(stored.job.id))?,
    })
}

fn expire_one(txn: &mut Txn, id: JobId, now: Timestamp) -> Result<u64, StorageError> {
    let Some(mut stored) = disk::readable(jobs::load(txn, id))? else { return Ok(0) };
    let account = txn.accounts.get(&stored.job.account).map(|entry| entry.number);
    let Some(account) = account else { return Ok(0) };
    if !is_overdue(txn, account, &stored, now)? {
        return Ok(0);
    }
    Ok(u64::from(attempts::expire_job(txn, account, &mut stored, now)?))
}
