//! What happens in one look into a Sent folder: each message in doubt is looked for, and its doubt ended if that says enough.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::sent::{NoAnswer, SentCopy, SentFolder, SentFolders};
use crate::{
    compose::identity::Identity,
    domain::{account::Account, ids::MessageKey, job::Job},
    inbound::Context,
    policy::reconcile::Missing,
    storage::{StorageError, settlement::Doubt},
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
    pub(super) doubts: Vec<(Doubt, Missing)>,
}

/// What came of a look.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Whether the folder answered.
    pub(super) is_answered: bool,
    /// Doubts of which no folder can tell.
    pub(super) untold: Vec<Doubt>,
}

/// What is known of a doubt before the folder is asked.
enum Known {
    /// The copy to look for.
    Copy(SentCopy),
    /// A copy says nothing: another attempt may have left it.
    Untold,
    /// The job was deleted meanwhile.
    Gone,
}

impl Look {
    /// Looks, and ends the doubts of which it knows enough. A folder that does not answer, which is told then, ends none.
    ///
    /// # Errors
    /// When the store has failed, so that only a restart can help.
    pub(super) async fn run(self) -> Result<Looked, StorageError> {
        let limit = Duration::from_secs(LOOK_SECONDS_MAX);
        let mut looked = Looked::default();
        match timeout(limit, Box::pin(self.look(&mut looked.untold))).await {
            Ok(Ok(())) => looked.is_answered = true,
            Ok(Err(NotLooked::Storage(error))) if error.is_fatal() => return Err(error),
            Ok(Err(error)) => {
                tracing::warn!(account = %self.account.id, %error, "messages in doubt could not be looked for");
            }
            Err(_) => tracing::warn!(account = %self.account.id, "looking for messages in doubt took too long"),
        }
        Ok(looked)
    }

    async fn look(&self, untold: &mut Vec<Doubt>) -> Result<(), NotLooked> {
        let mut copies = Vec::with_capacity(self.doubts.len());
        for (doubt, missing) in &self.doubts {
            let message = doubt.message;
            match self.known(message).await {
                Ok(Known::Copy(copy)) => copies.push((*doubt, *missing, copy)),
                Ok(Known::Untold) => {
                    let words = "a copy in the Sent folder would not tell whether a message in doubt was taken, as other \
                                 attempts may have left it: an operator decides";
                    tracing::warn!(%message, account = %self.account.id, "{words}");
                    untold.push(*doubt);
                }
                Ok(Known::Gone) => {}
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%message, account = %self.account.id, %error, "a message in doubt cannot be looked for");
                }
            }
        }
        if copies.is_empty() {
            return Ok(());
        }
        let mut folder = self.folders.open(&self.account).await?;
        let looked = self.look_for_all(&mut *folder, &copies).await;
        folder.leave().await;
        looked
    }

    async fn look_for_all(
        &self,
        folder: &mut dyn SentFolder,
        copies: &[(Doubt, Missing, SentCopy)],
    ) -> Result<(), NotLooked> {
        for (doubt, missing, copy) in copies {
            let found = folder.holds(copy).await?;
            if found || *missing == Missing::NotTaken {
                self.resolve(*doubt, found).await?;
            }
        }
        Ok(())
    }

    async fn resolve(&self, doubt: Doubt, found: bool) -> Result<(), StorageError> {
        let now = self.context.clock.now();
        let (account, message) = (&self.account.id, doubt.message);
        if self.context.storage.resolve_doubt(account, doubt, found, now).await? {
            let what = if found { "it was taken" } else { "it is sent again" };
            tracing::info!(%message, %account, found, "the Sent folder was asked for a message in doubt: {what}");
        }
        Ok(())
    }

    /// By what the copy of a message is known.
    async fn known(&self, message: MessageKey) -> Result<Known, StorageError> {
        let storage = &self.context.storage;
        let Some(job) = storage.job(message.job).await?.map(|record| record.job) else { return Ok(Known::Gone) };
        if job.merge().is_none() {
            return Ok(if job.is_told_by_copy() { Known::Copy(copy_of(&job)) } else { Known::Untold });
        }
        let Some(template) = storage.template(message.job).await? else { return Ok(Known::Gone) };
        let proof = self.context.verp.proof_of(message);
        let identity = Identity::of_merge(message, proof, &template.draft.from.address, job.accepted_at);
        Ok(Known::Copy(SentCopy { mark: identity.mark(), message_id: identity.message_id }))
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
