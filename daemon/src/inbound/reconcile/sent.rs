//! How is the Sent folder of an account opened and asked?

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    accounts::mailbox::{MailboxNotOpened, MailboxSession, open},
    domain::account::Account,
    inbound::Context,
    policy::sent_folder::sent_folder,
    wire::{
        imap::{ImapSession, Mark},
        mailbox::MailboxFailure,
    },
};

/// Opens folders with copies of what accounts have sent.
#[async_trait]
pub(super) trait SentFolders: fmt::Debug + Send + Sync {
    /// Opens the folder of an account.
    async fn open(&self, account: &Arc<Account>) -> Result<Box<dyn SentFolder>, NoAnswer>;
}

/// An open folder with copies of what an account has sent.
#[async_trait]
pub(super) trait SentFolder: Send {
    /// Whether this copy is in it.
    async fn holds(&mut self, copy: &SentCopy) -> Result<bool, NoAnswer>;

    /// Closes it.
    async fn leave(self: Box<Self>);
}

/// By what the copy of a message is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentCopy {
    /// Its Message-ID with its angle brackets. Some providers write one of their own.
    pub(super) message_id: String,
    /// The value of its X-Hikyaku-Job, which no other message has.
    pub(super) mark: String,
}

/// Why nothing is known of what is in the folder.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// The mailbox is not open.
    #[error(transparent)]
    NotOpened(#[from] MailboxNotOpened),
    /// Its server fails, or the way to it.
    #[error(transparent)]
    Failure(#[from] MailboxFailure),
    /// There is no folder to look into.
    #[error("the mailbox has no folder that is known to hold what was sent")]
    NoFolder,
}

/// Opens the folders that are meant.
#[derive(Debug)]
pub(super) struct RealSentFolders(pub(super) Context);

#[async_trait]
impl SentFolders for RealSentFolders {
    async fn open(&self, account: &Arc<Account>) -> Result<Box<dyn SentFolder>, NoAnswer> {
        let mut session = match open(account, &self.0.tokens, &*self.0.dial).await? {
            MailboxSession::Imap(session) => session,
            MailboxSession::Pop3(_) => return Err(NoAnswer::NoFolder),
        };
        let folders = session.folders().await?;
        match sent_folder(&folders) {
            Some(folder) => Ok(Box::new(ImapSentFolder { name: folder.name.clone(), session })),
            None => {
                session.logout().await;
                Err(NoAnswer::NoFolder)
            }
        }
    }
}

/// A folder of an IMAP mailbox.
struct ImapSentFolder {
    session: Box<ImapSession>,
    /// Its name as the server writes it.
    name: String,
}

#[async_trait]
impl SentFolder for ImapSentFolder {
    async fn holds(&mut self, copy: &SentCopy) -> Result<bool, NoAnswer> {
        let mark = Mark { name: "X-Hikyaku-Job", value: &copy.mark };
        let found = self.session.find_sent(&self.name, &copy.message_id, Some(mark)).await?;
        Ok(!found.is_empty())
    }

    async fn leave(self: Box<Self>) {
        self.session.logout().await;
    }
}
