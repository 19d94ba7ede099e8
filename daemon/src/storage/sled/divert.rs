//! How jobs go over to other accounts, on sled: found by an index, moved by the committer.

use super::{
    SledStore, disk,
    jobs::{self, Before, StoredJob, job_event},
    keys::{Family, Key},
    txn::Txn,
};
use crate::{
    domain::{
        backlog::Queued,
        event::JobChange,
        ids::{AccountId, JobId},
        job::Flight,
        time::Timestamp,
    },
    storage::{Divertible, PAGE_MAX, StorageError, Tenure, TenureError, settlement::Diversion},
};

impl SledStore {
    pub(super) fn find_divertible(
        &self,
        account: u32,
        after: Option<(Timestamp, JobId)>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Divertible, StorageError> {
        let prefix = Family::Divertible.of_account(account);
        let start = match after {
            Some((due, job)) => [Key::Divertible { account, due, job }.to_bytes(), vec![0]].concat(),
            None => prefix.to_vec(),
        };
        let mut found = Divertible::default();
        for entry in self.disk.tree.range(start..).keys() {
            let key = self.disk.checked(entry)?;
            let Some(Key::Divertible { account: owner, due, job }) = Key::parse(&key) else { break };
            if owner != account {
                break;
            }
            if due > now {
                found.next_due = Some(due);
                break;
            }
            if found.jobs.len() == limit.clamp(1, PAGE_MAX) {
                break;
            }
            found.jobs.extend(disk::readable(jobs::load(&self.disk, job))?.map(|stored| stored.job));
        }
        Ok(found)
    }
}

/// Moves jobs; the answers say which did.
pub(super) fn divert_all(
    txn: &mut Txn,
    tenure: &Tenure,
    moves: &[Diversion],
    open_jobs_max: u64,
) -> Result<Result<Vec<bool>, TenureError>, StorageError> {
    let account = match txn.admit(tenure) {
        Ok(account) => account,
        Err(lost) => return Ok(Err(lost)),
    };
    let done = moves.iter().map(|to| divert_one(txn, account, &tenure.account, to, open_jobs_max));
    done.collect::<Result<_, _>>().map(Ok)
}

fn divert_one(
    txn: &mut Txn,
    account: u32,
    from: &AccountId,
    to: &Diversion,
    open_jobs_max: u64,
) -> Result<bool, StorageError> {
    let stored = disk::readable(jobs::load(txn, to.job))?.filter(|stored| stored.job.account == *from);
    let Some(StoredJob { mut job, body, frames }) = stored else { return Ok(false) };
    let Some(entry) = txn.accounts.get(&to.to).filter(|entry| entry.open_jobs < open_jobs_max) else {
        return Ok(false);
    };
    let number = entry.number;
    let flight = jobs::flight_of(txn, account, &job)?;
    let before = Before::of(account, &job, flight);
    if !job.divert(&to.to, &to.sender, flight) {
        return Ok(false);
    }
    txn.count_open(from, before.is_open, false);
    txn.count_queued(from, job.priority, before.queued, Queued::default());
    let stored = StoredJob { job, body, frames };
    txn.replace_job(number, &stored, &Before { is_open: false, queued: Queued::default(), ..before }, Flight::Grounded);
    txn.move_names(to.job, number)?;
    txn.made.changed.insert(to.to.clone());
    let change = JobChange::Diverted { from: from.clone() };
    txn.event(job_event(&stored.job, change, Flight::Grounded, to.now));
    Ok(true)
}
