//! Merge jobs on sled: one row for the job, a few parts for its recipients, a page of outcomes for each few messages
//! that were tried. Nothing is written for a message that was not tried yet.

use async_trait::async_trait;

use super::SledStore;
use crate::{
    domain::{
        ids::JobId,
        merge::{MergeRecipient, MergeTemplate},
    },
    storage::{Acceptance, MergeMessages, MergeStore, MergeSubmission, RecipientPage, StorageError},
};

pub(super) mod accept;
pub(super) mod again;
pub(super) mod book;
pub(super) mod forget;
#[cfg(test)]
mod measure;
mod omission;
pub(super) mod open;
pub(super) mod outcomes;
pub(super) mod read;
pub(super) mod ready;
pub(super) mod recent;
mod returns;
mod search;
pub(super) mod staging;
#[cfg(test)]
mod tests;
pub(super) mod verify;

#[async_trait]
impl MergeStore for SledStore {
    async fn stage(&self, job: JobId, first: u32, recipients: Vec<MergeRecipient>) -> Result<(), StorageError> {
        self.space.check()?;
        self.in_background(move |store| store.stage_recipients(job, first, recipients)).await
    }

    async fn accept_merge(&self, submission: MergeSubmission) -> Result<Acceptance, StorageError> {
        self.accept_staged(submission).await
    }

    async fn discard(&self, job: JobId) -> Result<(), StorageError> {
        self.in_background(move |store| {
            drop(store.staging.take(job));
            Ok(())
        })
        .await
    }

    async fn template(&self, job: JobId) -> Result<Option<std::sync::Arc<MergeTemplate>>, StorageError> {
        self.in_background(move |store| store.read_template(job)).await
    }

    async fn merge_recipients(&self, job: JobId, page: RecipientPage) -> Result<Option<MergeMessages>, StorageError> {
        self.in_background(move |store| store.read_messages(job, &page)).await
    }
}
