//! Whether what is known of the messages of merge jobs can be read, and their retry index agrees with it.

use ::sled::IVec;

use super::outcomes::{OUTCOMES_PER_PAGE, load_page, place_of};
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        time::Timestamp,
    },
    storage::{
        StorageError,
        sled::{
            SledStore,
            disk::{self, View},
            jobs,
            keys::Key,
            returns::doubts::expected_of,
            wrong::{Wrong, unreadable},
        },
    },
};

/// What is wrong with a page of outcomes.
pub(in crate::storage::sled) fn check_outcomes(
    view: &impl View,
    store: &SledStore,
    job: JobId,
    page: u32,
) -> Result<Option<Wrong>, StorageError> {
    let read = match load_page(view, job, page) {
        Ok(read) => read,
        Err(error) => return unreadable(Err(error)),
    };
    let Some(stored) = disk::readable(jobs::load(view, job))? else {
        let is_doomed = view.get(&Key::Doomed { job }.to_bytes())?.is_some();
        return Ok((!is_doomed).then_some(Wrong::LeftOver));
    };
    let account = store.number_of(&stored.job.account);
    for (place, known) in &read.outcomes {
        let message = MessageKey { job, index: page * OUTCOMES_PER_PAGE + place };
        let doubt = account.and_then(|account| expected_of(account, message, known));
        if let Some(key) = doubt.map(|key| IVec::from(key.to_bytes()))
            && view.get(&key)?.is_none()
        {
            return Ok(Some(Wrong::Missing(key, IVec::default())));
        }
        if !known.state.is_pending() || is_marked(view, store, &stored, message)? {
            continue;
        }
        let key = Key::Retry { job, due: known.due, index: message.index }.to_bytes();
        if view.get(&key)?.is_none() {
            return Ok(Some(Wrong::Missing(IVec::from(key), IVec::default())));
        }
    }
    Ok(None)
}

/// What is wrong with an entry of the retry index.
pub(in crate::storage::sled) fn check_retry(
    view: &impl View,
    store: &SledStore,
    message: MessageKey,
    due: Timestamp,
) -> Result<Option<Wrong>, StorageError> {
    let job = message.job;
    let Some(stored) = disk::readable(jobs::load(view, job))? else {
        let is_doomed = view.get(&Key::Doomed { job }.to_bytes())?.is_some();
        return Ok((!is_doomed).then_some(Wrong::LeftOver));
    };
    let (page, place) = place_of(message.index);
    let page = disk::readable(load_page(view, job, page).map(Some))?.unwrap_or_default();
    let is_known = page.outcomes.get(&place).is_some_and(|known| known.state.is_pending() && known.due == due);
    let is_expected = is_known && !is_marked(view, store, &stored, message)?;
    Ok((!is_expected).then_some(Wrong::LeftOver))
}

fn is_marked(
    view: &impl View,
    store: &SledStore,
    stored: &jobs::StoredJob,
    message: MessageKey,
) -> Result<bool, StorageError> {
    match store.number_of(&stored.job.account) {
        Some(account) => jobs::is_marked(view, account, message),
        None => Ok(false),
    }
}
