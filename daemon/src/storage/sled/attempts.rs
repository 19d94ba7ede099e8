//! What attempts do to jobs, executed by the committer on the job as it is then: marks, settlements, expiries.

use super::{
    disk::{self, View},
    jobs::{self, Before, StoredJob, job_event},
    keys::Key,
    merge::{
        book::Opened,
        outcomes::{load_page, place_of},
    },
    txn::Txn,
};
use crate::{
    domain::{event::JobChange, ids::MessageKey, job::Flight, time::Timestamp},
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
    let MessageKey { job, index } = mark.message;
    let is_free = match txn.open_job(job, account, &tenure.account)? {
        None => false,
        Some(Opened::Merge(mut merge)) => {
            let begun = merge.begin(txn, index);
            txn.close_merge(merge);
            disk::readable(begun.map(Some))?.unwrap_or(false)
        }
        Some(Opened::Plain(stored)) => {
            let ready = jobs::ready_key(account, &stored.job).filter(|_| index == 0);
            let is_free = ready.is_some() && !jobs::is_marked(txn, account, mark.message)?;
            if let Some(ready) = ready.filter(|_| is_free) {
                txn.remove_key(&ready);
                let divert = jobs::divert_key(account, &stored.job, Flight::Grounded);
                let doubt = jobs::doubt_key(account, &stored.job, Flight::Grounded);
                [divert, doubt].iter().flatten().for_each(|key| txn.remove_key(key));
            }
            is_free
        }
    };
    if !is_free {
        return Ok(MarkOutcome::Withdrawn);
    }
    for charge in &mark.charges {
        txn.charge(account, charge)?;
    }
    txn.put_row(|chunk| Key::Mark { account, job, index, chunk }, &MarkRow::from(mark), 0);
    Ok(MarkOutcome::Marked)
}

/// A mark that is set. One that cannot be read is replaced by one for all pending recipients, so that its message is
/// settled as one in doubt and never sent again unasked; the charges of the lost one are in the ledger.
pub(super) fn read_mark(view: &impl View, account: u32, message: MessageKey) -> Result<Option<Mark>, StorageError> {
    let read = disk::read_row::<MarkRow>(view, |chunk| mark_key(account, message, chunk)).and_then(|row| {
        let mark = row.map(|row| row.value.into_mark(message)).transpose();
        mark.map_err(|error| StorageError::Damaged(error.to_string()))
    });
    match read {
        Err(StorageError::Damaged(why)) => {
            tracing::error!(%message, reason = %why, "a damaged in-doubt mark counts for all pending recipients");
            rebuilt_mark(view, message)
        }
        other => other,
    }
}

/// The mark that a message has instead of one that cannot be read; nothing when its job is gone or damaged too.
pub(super) fn rebuilt_mark(view: &impl View, message: MessageKey) -> Result<Option<Mark>, StorageError> {
    let Some(StoredJob { job, .. }) = disk::readable(jobs::load(view, message.job))? else {
        return Ok(None);
    };
    // The mark is younger than this: a time that is too early makes nothing be sent sooner.
    let since = job.due().unwrap_or(job.accepted_at);
    let (made, recipients) = match job.merge() {
        None => (job.attempts_made, job.pending()),
        Some(_) => {
            let (page, place) = place_of(message.index);
            let page = disk::readable(load_page(view, job.id, page).map(Some))?.unwrap_or_default();
            (page.outcomes.get(&place).map_or(0, |known| known.attempts_made), vec![message.index])
        }
    };
    Ok(Some(Mark { message, attempt: made + 1, recipients, started: since, since, charges: Vec::new() }))
}

const fn mark_key(account: u32, message: MessageKey, chunk: u16) -> Key {
    Key::Mark { account, job: message.job, index: message.index, chunk }
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
    for charge in &settlement.charges {
        txn.charge(account, charge)?;
    }
    let id = settlement.message.job;
    let opened = txn.open_job(id, account, &tenure.account)?;
    let was_marked = remove_mark(txn, account, settlement.message)?;
    let flight = if was_marked { Flight::UnderWay } else { Flight::Grounded };
    match opened {
        None => Ok(()),
        Some(Opened::Plain(stored)) if settlement.message.index == 0 => {
            settle_plain(txn, account, stored, &settlement, flight);
            txn.follow(account, &settlement)
        }
        Some(Opened::Plain(_)) => Ok(()),
        Some(Opened::Merge(mut merge)) => {
            let uncounted = merge.job().uncounted();
            let settled = merge.settle(txn, &settlement, flight);
            let counted = merge.job().counted_since(&uncounted, settlement.attempt.as_ref());
            txn.count(account, &counted, settlement.now);
            let has_message = merge.has_message(settlement.message.index);
            txn.close_merge(merge);
            settled?;
            if has_message { txn.follow(account, &settlement) } else { Ok(()) }
        }
    }
}

fn settle_plain(txn: &mut Txn, account: u32, mut stored: StoredJob, settlement: &Settlement, flight: Flight) {
    let Settlement { attempt, retry_at, now, handed_over, .. } = settlement;
    let before = Before::of(account, &stored.job, flight);
    // Without a wish, all that ends is counted with the attempt.
    let uncounted = stored.job.wish.map(|_| stored.job.uncounted());
    if *handed_over {
        stored.job.fallbacks = None;
    }
    let change = match attempt {
        Some(attempt) => {
            stored.job.settle(attempt.clone(), *retry_at);
            Some(JobChange::attempted(0, attempt))
        }
        None => stored.job.fulfil_wish(*now).map(JobChange::Controlled),
    };
    txn.replace_job(account, &stored, &before, Flight::Grounded);
    if let Some(uncounted) = uncounted {
        txn.count(account, &stored.job.counted_since(&uncounted, attempt.as_ref()), *now);
    }
    if let Some(change) = change {
        txn.event(job_event(&stored.job, change, Flight::Grounded, *now));
    }
}

/// Takes a mark away, and says whether there was one.
fn remove_mark(txn: &mut Txn, account: u32, message: MessageKey) -> Result<bool, StorageError> {
    let key = |chunk| mark_key(account, message, chunk);
    match txn.row::<MarkRow>(key) {
        Ok(None) => Ok(false),
        Ok(Some(stored)) => {
            txn.remove_frames(key, 0..stored.frames);
            Ok(true)
        }
        // The first frame is what makes a mark; what may be left of others is found by verify.
        Err(StorageError::Damaged(why)) => {
            tracing::error!(%message, reason = %why, "a damaged in-doubt mark is removed");
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
    txn.flush_merges()?;
    for expiry in expiries {
        let stored = disk::readable(jobs::load(txn, expiry.job))?.filter(|stored| stored.job.account == tenure.account);
        let Some(mut stored) = stored else { continue };
        let is_meant = stored.job.due().is_some() && stored.job.has_expired(expiry.now);
        if is_meant {
            expire_job(txn, account, &mut stored, expiry.now)?;
        }
    }
    Ok(Ok(()))
}

/// Ends a job whose time has run out, but for what is under way of it; false when that is all.
pub(super) fn expire_job(
    txn: &mut Txn,
    account: u32,
    stored: &mut StoredJob,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let flight = jobs::flight_of(txn, account, &stored.job)?;
    let before = Before::of(account, &stored.job, flight);
    let uncounted = stored.job.uncounted();
    let may_end = flight == Flight::Grounded || stored.job.merge().is_some();
    if !may_end || !stored.job.expire(now) {
        return Ok(false);
    }
    txn.replace_job(account, stored, &before, flight);
    txn.count(account, &stored.job.counted_since(&uncounted, None), now);
    txn.made.changed.insert(stored.job.account.clone());
    txn.event(job_event(&stored.job, JobChange::Expired, flight, now));
    Ok(true)
}
