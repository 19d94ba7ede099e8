//! Who is asked how the accounts' mailboxes are doing, and to look into one now.

use std::fmt;

use async_trait::async_trait;

use crate::domain::{ids::AccountId, time::Timestamp};

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
    /// Nobody reads it at present: the daemon stops, or has only just heard of the account.
    #[error("nobody reads the mailbox at present")]
    Unattended,
}

/// Where no mailbox is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMailboxes;

#[async_trait]
impl MailboxDesk for NoMailboxes {
    async fn status(&self, _account: &AccountId) -> MailboxStatus {
        MailboxStatus::default()
    }

    async fn read_now(&self, _account: &AccountId) -> Result<u64, NotRead> {
        Err(NotRead::Unattended)
    }
}
