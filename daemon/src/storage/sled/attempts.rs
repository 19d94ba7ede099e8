//! What attempts do to jobs, executed by the committer on the job as it is then: marks, settlements, expiries.

use super::{
    disk::{self, View},
    jobs::{self, Before, StoredJob, job_event},
    keys::Key,
    txn::Txn,
};
use crate::{
    domain::{
        event::JobChange,
        ids::{JobId, MessageKey},
        job::Flight,
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
    let account = match txn.admit(tenure) {
        Ok(account) => account,
        Err(lost) => return Ok(Err(lost)),
    };
    marks.iter().map(|mark| mark_one(txn, account, tenure, mark)).collect::<Result<_, _>>().map(Ok)
}

fn mark_one(txn: &mut Txn, account: u32, tenure: &Tenure, mark: &Mark) -> Result<MarkOutcome, StorageError> {
    let job = mark.message.job;
    let mark_is_set = jobs::is_marked(txn, account, job)?;
    let stored = readable(jobs::load(txn, job))?.filter(|stored| stored.job.account == tenure.account);
    let ready = stored.and_then(|stored| jobs::ready_key(account, &stored.job));
    let Some(ready) = ready.filter(|_| !mark_is_set) else {
        return Ok(MarkOutcome::Withdrawn);
    };
    for charge in &mark.charges {
        txn.charge(account, charge)?;
    }
    txn.remove_key(&ready);
    txn.put_row(|chunk| Key::Mark { account, job, chunk }, &MarkRow::from(mark), 0);
    Ok(MarkOutcome::Marked)
}

/// A mark that is set. One that cannot be read is replaced by one for all pending recipients, so that its job is
/// settled as a job in doubt and never sent again unasked; the charges of the lost one are in the ledger.
pub(super) fn read_mark(view: &impl View, account: u32, job: JobId) -> Result<Option<Mark>, StorageError> {
    let read = disk::read_row::<MarkRow>(view, |chunk| Key::Mark { account, job, chunk }).and_then(|row| {
        let mark = row.map(|row| row.value.into_mark(MessageKey::only(job))).transpose();
        mark.map_err(|error| StorageError::Damaged(error.to_string()))
    });
    match read {
        Err(StorageError::Damaged(why)) => {
            tracing::error!(%job, reason = %why, "a damaged in-doubt mark counts for all pending recipients");
            rebuilt_mark(view, job)
        }
        other => other,
    }
}

/// The mark that a job has instead of one that cannot be read; nothing when the job is gone or damaged too.
pub(super) fn rebuilt_mark(view: &impl View, job: JobId) -> Result<Option<Mark>, StorageError> {
    let stored = readable(jobs::load(view, job))?;
    Ok(stored.map(|StoredJob { job, .. }| {
        // The mark is younger than this: a time that is too early makes nothing be sent sooner.
        let since = job.due().unwrap_or(job.accepted_at);
        let attempt = job.attempts_made + 1;
        Mark {
            message: MessageKey::only(job.id),
            attempt,
            recipients: job.pending(),
            started: since,
            since,
            charges: Vec::new(),
        }
    }))
}

/// Records what attempts met.
pub(super) fn settle_all(
    txn: &mut Txn,
    tenure: &Tenure,
    settlements: Vec<Settlement>,
) -> Result<Result<(), TenureError>, StorageError> {
    let account = match txn.admit(tenure) {
        Ok(account) => account,
        Err(lost) => return Ok(Err(lost)),
    };
    for settlement in settlements {
        settle_one(txn, account, tenure, settlement)?;
    }
    Ok(Ok(()))
}

fn settle_one(txn: &mut Txn, account: u32, tenure: &Tenure, settlement: Settlement) -> Result<(), StorageError> {
    let Settlement { message, attempt, retry_at, charges, now } = settlement;
    for charge in &charges {
        txn.charge(account, charge)?;
    }
    let id = message.job;
    let stored = readable(jobs::load(txn, id))?.filter(|stored| stored.job.account == tenure.account);
    let was_marked = remove_mark(txn, account, id)?;
    let Some(mut stored) = stored else {
        return Ok(());
    };
    let before = Before::of(account, &stored.job, if was_marked { Flight::UnderWay } else { Flight::Grounded });
    let change = match attempt {
        Some(attempt) => {
            let change = JobChange::attempted(&attempt);
            stored.job.settle(attempt, retry_at);
            Some(change)
        }
        None => stored.job.fulfil_wish(now).map(JobChange::Controlled),
    };
    txn.replace_job(account, &stored, &before, Flight::Grounded);
    if let Some(change) = change {
        txn.event(job_event(&stored.job, change, Flight::Grounded, now));
    }
    Ok(())
}

/// Takes a mark away, and says whether there was one.
fn remove_mark(txn: &mut Txn, account: u32, job: JobId) -> Result<bool, StorageError> {
    let key = |chunk| Key::Mark { account, job, chunk };
    match txn.row::<MarkRow>(key) {
        Ok(None) => Ok(false),
        Ok(Some(stored)) => {
            txn.remove_frames(key, 0..stored.frames);
            Ok(true)
        }
        // The first frame is what makes a mark; what may be left of others is found by verify.
        Err(StorageError::Damaged(why)) => {
            tracing::error!(%job, reason = %why, "a damaged in-doubt mark is removed");
            txn.remove_key(&key(0));
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Ends jobs whose time has run out.
pub(super) fn expire_all(
    txn: &mut Txn,
    tenure: &Tenure,
    expiries: &[Expiry],
) -> Result<Result<(), TenureError>, StorageError> {
    let account = match txn.admit(tenure) {
        Ok(account) => account,
        Err(lost) => return Ok(Err(lost)),
    };
    for expiry in expiries {
        let stored = readable(jobs::load(txn, expiry.job))?.filter(|stored| stored.job.account == tenure.account);
        let Some(mut stored) = stored else { continue };
        let is_meant = stored.job.due().is_some() && stored.job.has_expired(expiry.now);
        if !is_meant || jobs::is_marked(txn, account, expiry.job)? {
            continue;
        }
        let before = Before::of(account, &stored.job, Flight::Grounded);
        stored.job.expire(expiry.now);
        txn.replace_job(account, &stored, &before, Flight::Grounded);
        txn.event(job_event(&stored.job, JobChange::Expired, Flight::Grounded, expiry.now));
    }
    Ok(Ok(()))
}

/// A record that cannot be read must not stop the others: it counts as gone until the store is verified.
pub(super) fn readable<T>(read: Result<Option<T>, StorageError>) -> Result<Option<T>, StorageError> {
    match read {
        Err(StorageError::Damaged(why)) => {
            tracing::error!(reason = %why, "a damaged record is left alone until the store is verified");
            Ok(None)
        }
        other => other,
    }
}
