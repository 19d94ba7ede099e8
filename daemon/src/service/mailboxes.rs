//! Who is asked how the accounts' mailboxes are doing, and to look into one now.

use std::fmt;

use async_trait::async_trait;

use crate::{
    domain::{ids::AccountId, time::Timestamp},
    inbound::status::{Mailboxes, NotReadNow},
};

/// Asks those who read the mailboxes.
#[async_trait]
pub trait MailboxDesk: Send + Sync + fmt::Debug {
    /// How the mailbox of an account is doing, as far as is known since the daemon started.
    async fn status(&self, account: &AccountId) -> MailboxStatus;

    /// Looks into the mailbox of an account now, and returns when it has been read: how many mails were new.
    ///
    /// # Errors
    /// When it could not be read, or nobody reads it.
    async fn read_now(&self, account: &AccountId) -> Result<u64, NotRead>;
}

/// How a mailbox is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// When it was last looked into.
    pub looked_at: Option<Timestamp>,
    /// When it will be looked into next.
    pub next_at: Option<Timestamp>,
    /// Whether it is being waited for news (IDLE).
    pub is_idling: bool,
    /// How many messages were in it then.
    pub messages: u64,
    /// Why it could not be read, with the server's words.
    pub error: Option<Box<str>>,
    /// Since when it cannot be read.
    pub failing_since: Option<Timestamp>,
    /// Mails that were read.
    pub read_mails: u64,
    /// Bounces and complaints among them.
    pub bounces: u64,
    /// Mails that were too large to be read.
    pub skipped_mails: u64,
}

/// Why a mailbox was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// Its server cannot be reached or does not let us in; with its words.
    #[error("the mailbox cannot be read: {0}")]
    Failed(Box<str>),
    /// Too many wait for it to be read.
    #[error("many callers wait for the mailbox to be read: repeat the call in a moment")]
    Busy,
    /// Nobody reads it at present: the daemon stops, or has only just heard of the account.
    #[error("nobody reads the mailbox at present")]
    Unattended,
}

#[async_trait]
impl MailboxDesk for Mailboxes {
    async fn status(&self, account: &AccountId) -> MailboxStatus {
        let known = Self::status(self, account).unwrap_or_default();
        MailboxStatus {
            looked_at: known.looked_at,
            next_at: known.next_at,
            is_idling: known.idling,
            messages: known.messages,
            error: known.error.map(Into::into),
            failing_since: known.failing_since,
            read_mails: known.read_mails,
            bounces: known.bounces,
            skipped_mails: known.skipped_mails,
        }
    }

    async fn read_now(&self, account: &AccountId) -> Result<u64, NotRead> {
        match Self::read_now(self, account).await {
            Ok(read) => Ok(read.read_mails),
            Err(NotReadNow::Failed(why)) => Err(NotRead::Failed(why.into())),
            Err(NotReadNow::Busy) => Err(NotRead::Busy),
            // Whether the account has a mailbox was asked before: its reader has not heard of it yet.
            Err(NotReadNow::NoMailbox | NotReadNow::Stopped) => Err(NotRead::Unattended),
        }
    }
}

/// Where no mailbox is read.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMailboxes;

#[cfg(test)]
#[async_trait]
impl MailboxDesk for NoMailboxes {
    async fn status(&self, _account: &AccountId) -> MailboxStatus {
        MailboxStatus::default()
    }

    async fn read_now(&self, _account: &AccountId) -> Result<u64, NotRead> {
        Err(NotRead::Unattended)
    }
}
