//! Where the records of an import go, with all that is derived from them.

use super::bad_line;
use crate::{
    domain::{
        backlog::Queued,
        ids::{AccountId, Etag, JobId, MessageKey},
        job::Flight,
    },
    storage::{
        StorageError,
        blobs::Pin,
        records::{
            BadRow,
            account::AccountRow,
            job::{Body, JobRow, Location},
            ledger::MarkRow,
            merge::{OutcomesRow, PartRow},
            standing::StandingRow,
            tokens::TokensRow,
        },
        sled::{
            codec,
            held_keys::held_keys,
            jobs,
            keys::Key,
            merge::outcomes::{OUTCOMES_PER_PAGE, load_page, place_of},
            shelving::Shelved,
            tally::AccountEntry,
            txn::{META_NEXT_ACCOUNT, Txn},
        },
    },
};

/// Puts an account with what stands beside it.
pub(super) fn put_account(
    txn: &mut Txn,
    number: u32,
    row: &AccountRow,
    standing: Option<StandingRow>,
    tokens: Option<TokensRow>,
) -> Result<(), StorageError> {
    let id: AccountId = row.id.parse().map_err(|error| bad_line(0, error))?;
    txn.next_account = txn.next_account.max(number.saturating_add(1));
    let (key, value) = codec::single(&META_NEXT_ACCOUNT, &txn.next_account.to_be_bytes());
    txn.put(key, value);
    txn.put_row(|chunk| Key::Account { account: number, chunk }, row, 0);
    if let Some(standing) = standing {
        txn.put_row(|chunk| Key::Standing { account: number, chunk }, &standing, 0);
    }
    if let Some(tokens) = tokens {
        txn.put_row(|chunk| Key::Tokens { account: number, chunk }, &tokens, 0);
    }
    txn.accounts.insert(id.clone(), AccountEntry::new(number, Etag(row.etag)));
    txn.made.entries.insert(id.clone());
    txn.made.rewritten.insert(id.clone());
    txn.made.changed.insert(id);
    Ok(())
}

pub(super) fn put_mark(txn: &mut Txn, account: u32, message: MessageKey, row: &MarkRow) -> Result<(), StorageError> {
    let MessageKey { job, index } = message;
    let stored = jobs::load(txn, job)?;
    match stored.as_ref().filter(|stored| stored.job.merge().is_some()) {
        Some(_) => {
            let (page, place) = place_of(index);
            if let Some(known) = load_page(txn, job, page)?.outcomes.get(&place) {
                txn.remove_retry(message, known.due);
            }
        }
        None => {
            if let Some(stored) = stored {
                let (job, flight) = (&stored.job, Flight::Grounded);
                let (divert, doubt) = (jobs::divert_key(account, job, flight), jobs::doubt_key(account, job, flight));
                let derived = [jobs::ready_key(account, job), divert, doubt];
                derived.iter().flatten().for_each(|key| txn.remove_key(key));
            }
        }
    }
    txn.put_row(|chunk| Key::Mark { account, job, index, chunk }, row, 0);
    Ok(())
}

pub(super) fn put_part(txn: &mut Txn, job: JobId, first: u32, row: PartRow, pin: Option<&Pin>) {
    let row = match pin {
        Some(pin) => {
            let (key, value) = codec::single(&Key::FileEdge { file: pin.hash, job }, &[]);
            txn.put(key, value);
            PartRow { file: pin.hash.to_vec(), pages: Vec::new(), ..row }
        }
        None => row,
    };
    txn.put_row(|chunk| Key::Recipients { job, first, chunk }, &row, 0);
}

/// Puts a page of outcomes with its entries of the retry index; a mark that comes later takes its own away.
pub(super) fn put_outcomes(txn: &mut Txn, job: JobId, page: u32, row: OutcomesRow) -> Result<(), BadRow> {
    txn.put_row(|chunk| Key::Outcomes { job, page, chunk }, &row, 0);
    let outcomes = row.into_outcomes()?;
    let is_doubtful = outcomes.values().any(|known| known.state.doubtful_since().is_some());
    let account = is_doubtful.then(|| jobs::load(txn, job).ok().flatten()).flatten();
    let account = account.and_then(|stored| txn.accounts.get(&stored.job.account)).map(|entry| entry.number);
    for (place, known) in outcomes {
        let message = MessageKey { job, index: page.saturating_mul(OUTCOMES_PER_PAGE).saturating_add(place) };
        txn.put_retry(message, known.state.is_pending().then_some(known.due));
        if let Some(account) = account {
            txn.move_doubt(account, message, None, known.state.doubtful_since());
        }
    }
    Ok(())
}

/// Puts a job with its message and all that is derived from it.
pub(super) fn put_job(txn: &mut Txn, id: &str, row: JobRow, shelved: &Shelved) -> Result<(), StorageError> {
    let bad = |error: &dyn std::fmt::Display| bad_line(0, error);
    let id: JobId = id.parse().map_err(|error| bad(&error))?;
    let location = match &shelved.spooled {
        None => shelved.body.location,
        // The content of a merge job stands beside its row.
        Some(content) if row.merge.is_some() => {
            let frames = codec::frames(|chunk| Key::Body { job: id, chunk }, content);
            frames.into_iter().for_each(|(key, value)| txn.put(key, value));
            Location::Beside
        }
        Some(message) => Location::Spool(txn.spool(id, message)?),
    };
    let body = Body { location, ..shelved.body.clone() };
    let job = row.into_job(id).map_err(|error| bad(&error))?;
    for (key, value) in jobs::job_frames(&job, &body) {
        txn.put(key, value);
    }
    let files = body.cuts.iter().map(|cut| cut.file);
    for file in files.chain(shelved.files.iter().map(|file| *file.hash())) {
        let (key, value) = codec::single(&Key::FileEdge { file, job: id }, &[]);
        txn.put(key, value);
    }
    let account = txn.accounts.get(&job.account).map(|entry| entry.number);
    if let Some((key, value)) = account.and_then(|account| jobs::ready_entry(account, &job)) {
        txn.put(key, value);
    }
    let bare = account.map(|account| {
        [jobs::divert_key(account, &job, Flight::Grounded), jobs::doubt_key(account, &job, Flight::Grounded)]
    });
    for key in bare.into_iter().flatten().flatten() {
        txn.put(key.to_bytes().into(), ::sled::IVec::default());
    }
    if let Some(expiry) = jobs::expiry_key(&job) {
        txn.put(expiry.to_bytes().into(), ::sled::IVec::default());
    }
    held_keys(&job).into_iter().for_each(|key| txn.put(key.into(), ::sled::IVec::default()));
    txn.count_open(&job.account, false, job.is_open());
    txn.count_queued(&job.account, job.priority, Queued::default(), Queued::of_job(&job));
    Ok(())
}
