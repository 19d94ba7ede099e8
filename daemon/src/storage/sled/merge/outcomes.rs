//! Pages of what is known of the messages of a merge job that were tried.

use std::collections::BTreeMap;

use crate::{
    domain::{ids::JobId, merge::progress::MergeOutcome},
    storage::{
        StorageError,
        records::merge::OutcomesRow,
        sled::{
            disk::{self, View},
            keys::Key,
        },
    },
};

/// How many messages a page is for. With usual replies a page then fits into one frame.
pub(in crate::storage::sled) const OUTCOMES_PER_PAGE: u32 = 32;

/// A page of outcomes as it was read.
#[derive(Debug, Default)]
pub(in crate::storage::sled) struct OutcomePage {
    /// What is known of the messages, by their places in the page.
    pub(in crate::storage::sled) outcomes: BTreeMap<u32, MergeOutcome>,
    /// How many frames it has.
    pub(in crate::storage::sled) frames: u16,
}

/// Reads a page; an empty one when there is none.
pub(in crate::storage::sled) fn load_page(
    view: &impl View,
    job: JobId,
    page: u32,
) -> Result<OutcomePage, StorageError> {
    let Some(stored) = disk::read_row::<OutcomesRow>(view, |chunk| Key::Outcomes { job, page, chunk })? else {
        return Ok(OutcomePage::default());
    };
    let damaged = |error| StorageError::Damaged(format!("outcomes {page} of job {job}: {error}"));
    Ok(OutcomePage { outcomes: stored.value.into_outcomes().map_err(damaged)?, frames: stored.frames })
}

/// The page of a message, and its place in that.
pub(in crate::storage::sled) const fn place_of(index: u32) -> (u32, u32) {
    (index / OUTCOMES_PER_PAGE, index % OUTCOMES_PER_PAGE)
}
