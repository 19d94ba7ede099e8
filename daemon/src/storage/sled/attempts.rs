//! What attempts do to jobs, executed by the committer on the job as it is then: marks, settlements, expiries.

use super::{
    jobs::{self, Before, job_event},
    keys::Key,
    txn::Txn,
};
use crate::{
    domain::{
        attempt::{Attempt, Fate},
        event::JobChange,
        ids::JobId,
        job::{Control, Flight, Schedule, Wish},
    },
    storage::{
        StorageError, Tenure, TenureError,
        records::ledger::MarkRow,
        settlement::{Expiry, Mark, MarkOutcome, Settlement},
    },
};

/// Sets marks.
pub(super) fn mark_all(
    txn: &mut Txn,
    tenure: &Tenure,
    marks: &[Mark],
) -> Result<Result<Vec<MarkOutcome>, TenureError>, StorageError> {
    let Some(account) = admitted(txn, tenure) else {
        return Ok(Err(TenureError::Lost(tenure.account.clone())));
    };
    marks.iter().map(|mark| mark_one(txn, account, tenure, mark)).collect::<Result<_, _>>().map(Ok)
}

fn mark_one(txn: &mut Txn, account: u32, tenure: &Tenure, mark: &Mark) -> Result<MarkOutcome, StorageError> {
    let job = mark.job;
    let stored = readable(jobs::load(txn, job))?.filter(|stored| stored.job.account == tenure.account);
    let is_waiting = |stored: &jobs::StoredJob| matches!(stored.job.schedule, Schedule::Waiting { .. });
    if !stored.is_some_and(|stored| is_waiting(&stored)) {
        return Ok(MarkOutcome::Withdrawn);
    }
    let key = |chunk| Key::Mark { account, job, chunk };
    let old_frames = readable(txn.row::<MarkRow>(key))?.map_or(0, |stored| stored.frames);
    txn.put_row(key, &MarkRow::from(mark), old_frames);
    for charge in &mark.charges {
        txn.charge(account, charge);
    }
    Ok(MarkOutcome::Marked)
}

/// Records what attempts met.
pub(super) fn settle_all(
    txn: &mut Txn,
    tenure: &Tenure,
    settlements: Vec<Settlement>,
) -> Result<Result<(), TenureError>, StorageError> {
    let Some(account) = admitted(txn, tenure) else {
        return Ok(Err(TenureError::Lost(tenure.account.clone())));
    };
    for settlement in settlements {
        settle_one(txn, account, tenure, settlement)?;
    }
    Ok(Ok(()))
}

fn settle_one(txn: &mut Txn, account: u32, tenure: &Tenure, settlement: Settlement) -> Result<(), StorageError> {
    let Settlement { job: id, attempt, retry_at, charges, now } = settlement;
    let stored = readable(jobs::load(txn, id))?.filter(|stored| stored.job.account == tenure.account);
    remove_mark(txn, account, id)?;
    for charge in &charges {
        txn.charge(account, charge);
    }
    let Some(mut stored) = stored else {
        return Ok(());
    };
    let before = Before::of(account, &stored.job);
    match attempt {
        Some(attempt) => {
            let change = summary(&attempt);
            stored.job.settle(attempt, retry_at);
            txn.event(job_event(&stored.job, change, Flight::Grounded, now));
        }
        None => {
            // A wish that was noted during an attempt that does not count must come true all the same.
            let Some(wish) = stored.job.wish.take() else {
                txn.made.changed.insert(tenure.account.clone());
                return Ok(());
            };
            let control = match wish {
                Wish::Cancel => Control::Cancel,
                Wish::Hold => Control::Hold,
            };
            if stored.job.control(control, Flight::Grounded, now).is_ok() {
                txn.event(job_event(&stored.job, JobChange::Controlled(control), Flight::Grounded, now));
            }
        }
    }
    txn.replace_job(account, &stored, &before);
    Ok(())
}

fn remove_mark(txn: &mut Txn, account: u32, job: JobId) -> Result<(), StorageError> {
    let key = |chunk| Key::Mark { account, job, chunk };
    match txn.row::<MarkRow>(key) {
        Ok(stored) => txn.remove_frames(key, 0..stored.map_or(0, |stored| stored.frames)),
        // The first frame is what makes a mark; what may be left of others is found by verify.
        Err(StorageError::Damaged(why)) => {
            tracing::error!(%job, reason = %why, "a damaged in-doubt mark is removed");
            txn.remove_key(&key(0));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Ends jobs whose time has run out.
pub(super) fn expire_all(
    txn: &mut Txn,
    tenure: &Tenure,
    expiries: &[Expiry],
) -> Result<Result<(), TenureError>, StorageError> {
    let Some(account) = admitted(txn, tenure) else {
        return Ok(Err(TenureError::Lost(tenure.account.clone())));
    };
    for expiry in expiries {
        let stored = readable(jobs::load(txn, expiry.job))?.filter(|stored| stored.job.account == tenure.account);
        let Some(mut stored) = stored else { continue };
        let is_waiting = matches!(stored.job.schedule, Schedule::Waiting { .. });
        if !is_waiting || jobs::is_marked(txn, account, expiry.job)? {
            continue;
        }
        let before = Before::of(account, &stored.job);
        stored.job.expire(expiry.now);
        txn.replace_job(account, &stored, &before);
        txn.event(job_event(&stored.job, JobChange::Expired, Flight::Grounded, expiry.now));
    }
    Ok(Ok(()))
}

/// The number of the tenure's account, if the tenure holds.
fn admitted(txn: &Txn, tenure: &Tenure) -> Option<u32> {
    txn.check_tenure(tenure).ok()?;
    txn.accounts.get(&tenure.account).map(|entry| entry.number)
}

/// A record that cannot be read must not stop the others: it counts as gone until the store is verified.
fn readable<T>(read: Result<Option<T>, StorageError>) -> Result<Option<T>, StorageError> {
    match read {
        Err(StorageError::Damaged(why)) => {
            tracing::error!(reason = %why, "a damaged record is left alone until the store is verified");
            Ok(None)
        }
        other => other,
    }
}

fn summary(attempt: &Attempt) -> JobChange {
    let count = |wanted: &[Fate]| {
        let met = attempt.outcomes.iter().filter(|outcome| wanted.contains(&outcome.fate));
        met.map(|outcome| u32::try_from(outcome.recipients.len()).unwrap_or(u32::MAX)).sum()
    };
    JobChange::Attempted {
        attempt: attempt.number,
        submitted: count(&[Fate::Submitted]),
        deferred: count(&[Fate::Deferred]),
        failed: count(&[Fate::Failed, Fate::GivenUp]),
        in_doubt: count(&[Fate::LeftInDoubt]),
    }
}
