//! What happens in one look into a Sent folder: each message in doubt is looked for, and its doubt ended if that says enough.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::sent::{NoAnswer, SentCopy, SentFolder, SentFolders};
use crate::{
    compose::identity::Identity,
    domain::{account::Account, ids::MessageKey, job::Job},
    inbound::Context,
    policy::reconcile::Missing,
    storage::StorageError,
};

/// How long a look may take, in seconds. What was found out by then is kept.
const LOOK_SECONDS_MAX: u64 = 120;

/// A look into the Sent folder of an account.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) context: Context,
    pub(super) account: Arc<Account>,
    pub(super) folders: Arc<dyn SentFolders>,
    /// The messages to look for, each with what it means when its copy is not there.
    pub(super) messages: Vec<(MessageKey, Missing)>,
}

impl Look {
    /// Looks, and ends the doubts of which it knows enough. A folder that does not answer, which is the answer then, ends none.
    ///
    /// # Errors
    /// When the store has failed, so that only a restart can help.
    pub(super) async fn run(self) -> Result<bool, StorageError> {
        let limit = Duration::from_secs(LOOK_SECONDS_MAX);
        match timeout(limit, Box::pin(self.look())).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(NotLooked::Storage(error))) if error.is_fatal() => Err(error),
            Ok(Err(error)) => {
                tracing::warn!(account = %self.account.id, %error, "messages in doubt could not be looked for");
                Ok(false)
            }
            Err(_) => {
                tracing::warn!(account = %self.account.id, "looking for messages in doubt took too long");
                Ok(false)
            }
        }
    }

    async fn look(&self) -> Result<(), NotLooked> {
        let mut folder = self.folders.open(&self.account).await?;
        let looked = self.look_for_all(&mut *folder).await;
        folder.leave().await;
        looked
    }

    async fn look_for_all(&self, folder: &mut dyn SentFolder) -> Result<(), NotLooked> {
        for (message, missing) in &self.messages {
            let copy = match self.copy(*message).await {
                Ok(Some(copy)) => copy,
                // It was deleted meanwhile.
                Ok(None) => continue,
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%message, account = %self.account.id, %error, "a message in doubt cannot be looked for");
                    continue;
                }
            };
            let found = folder.holds(&copy).await?;
            if found || *missing == Missing::NotTaken {
                self.resolve(*message, found).await?;
            }
        }
        Ok(())
    }

    async fn resolve(&self, message: MessageKey, found: bool) -> Result<(), StorageError> {
        let now = self.context.clock.now();
        let account = &self.account.id;
        if self.context.storage.resolve_doubt(account, message, found, now).await? {
            let what = if found { "it was taken" } else { "it is sent again" };
            tracing::info!(%message, %account, found, "the Sent folder was asked for a message in doubt: {what}");
        }
        Ok(())
    }

    /// By what the copy of a message is known; nothing when its job is gone.
    async fn copy(&self, message: MessageKey) -> Result<Option<SentCopy>, StorageError> {
        let storage = &self.context.storage;
        let Some(job) = storage.job(message.job).await?.map(|record| record.job) else { return Ok(None) };
        if job.merge().is_none() {
            return Ok(Some(copy_of(&job)));
        }
        let Some(template) = storage.template(message.job).await? else { return Ok(None) };
        let proof = self.context.verp.proof_of(message);
        let identity = Identity::of_merge(message, proof, &template.draft.from.address, job.accepted_at);
        Ok(Some(SentCopy { mark: identity.mark(), message_id: identity.message_id }))
    }
}

fn copy_of(job: &Job) -> SentCopy {
    SentCopy { message_id: job.message.message_id.clone(), mark: job.id.to_string() }
}

/// Why a folder was not looked through.
#[derive(Debug, thiserror::Error)]
enum NotLooked {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error(transparent)]
    Storage(#[from] StorageError),
}
