//! How does a reader get into the mailbox of its account, and in words for people, why does it not?

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Context,
    mailbox::{ImapMailbox, Mailbox, Pop3Mailbox},
};
use crate::{
    accounts::mailbox::{MailboxNotOpened, MailboxSession, open},
    domain::{account::Account, reply::keep},
    storage::StorageError,
    wire::mailbox::MailboxFailure,
};

/// Opens mailboxes.
#[async_trait]
pub(super) trait Opener: fmt::Debug + Send + Sync {
    /// Opens the mailbox of an account.
    async fn open(&self, account: &Arc<Account>) -> Result<Box<dyn Mailbox>, NotRead>;
}

/// Opens the mailboxes that are meant.
#[derive(Debug)]
pub(super) struct RealOpener(pub(super) Context);

#[async_trait]
impl Opener for RealOpener {
    async fn open(&self, account: &Arc<Account>) -> Result<Box<dyn Mailbox>, NotRead> {
        let Some(settings) = &account.settings.mailbox else {
            return Err(MailboxNotOpened::NoMailbox.into());
        };
        Ok(match open(account, &self.0.tokens, &*self.0.dial).await? {
            MailboxSession::Pop3(session) => Box::new(Pop3Mailbox::new(session, settings)),
            MailboxSession::Imap(session) => Box::new(ImapMailbox::new(*session, settings)),
        })
    }
}

/// Why a mailbox was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRead {
    /// It cannot be opened.
    #[error("{}", of_opening(.0))]
    NotOpened(#[from] MailboxNotOpened),
    /// Its server fails, or the way to it.
    #[error("{}", keep(&.0.to_string()))]
    Failure(#[from] MailboxFailure),
    /// A folder of this host cannot be written.
    #[error("{0}")]
    Folder(#[from] super::folder::FolderError),
    /// It takes too long.
    #[error("a look into it takes more than {} minutes", .0.as_secs() / 60)]
    TooSlow(Duration),
    /// The store failed. That says nothing of the mailbox.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<StorageError> for NotRead {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

fn of_opening(error: &MailboxNotOpened) -> String {
    keep(&error.to_string()).to_owned()
}
