//! How is a mailbox doing, and who wants it to be read at once? What readers tell, and what they are asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::domain::{
    ids::{AccountId, Etag},
    time::Timestamp,
};

/// Most questions that wait for the supervisor, over all accounts; beyond it those who ask wait.
const ASKS_WAITING_MAX: usize = 256;
/// Most callers that wait for one mailbox to be read.
const CALLERS_WAITING_MAX: usize = 16;

/// The mailboxes that are read. A copy is the same.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    boards: Arc<Mutex<HashMap<AccountId, Arc<Board>>>>,
    asks: mpsc::Sender<Ask>,
}

/// What is asked of the readers, as the supervisor receives it.
#[derive(Debug)]
pub struct Asks(mpsc::Receiver<Ask>);

/// How a mailbox is doing, since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// When it was last looked into.
    pub looked_at: Option<Timestamp>,
    /// When it will be looked into next.
    pub next_at: Option<Timestamp>,
    /// Whether the server is waited for to tell of news.
    pub idling: bool,
    /// How many messages were in it; for IMAP, in INBOX.
    pub messages: u64,
    /// Why it could not be read last.
    pub error: Option<String>,
    /// Since when it cannot be read.
    pub failing_since: Option<Timestamp>,
    /// Mails that were read.
    pub read_mails: u64,
    /// Bounces and complaints among them.
    pub bounces: u64,
    /// Mails that were not read: they are too large, or could not be read several times.
    pub skipped_mails: u64,
}

/// A mailbox that was read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadNow {
    /// How it is doing.
    pub status: MailboxStatus,
    /// Mails that were read just now.
    pub read_mails: u64,
}

/// Why a mailbox was not read at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReadNow {
    /// The account has no mailbox, or does not exist.
    #[error("the account has no mailbox")]
    NoMailbox,
    /// Too many wait for it.
    #[error("{CALLERS_WAITING_MAX} others wait for the mailbox to be read; try again in a moment")]
    Busy,
    /// It cannot be read; why, with the server's words.
    #[error("the mailbox cannot be read: {0}")]
    Failed(String),
    /// The daemon stops, or its store has failed.
    #[error("no mailbox is read at present")]
    Stopped,
}

pub(super) type Answer = oneshot::Sender<Result<ReadNow, NotReadNow>>;

/// Somebody wants the mailbox of an account to be read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) account: AccountId,
    pub(super) answer: Answer,
}

/// Makes the handle and its other end, which [`supervisor::run`](super::supervisor::run) takes.
#[must_use]
pub fn open() -> (Mailboxes, Asks) {
    let (asks, questions) = mpsc::channel(ASKS_WAITING_MAX);
    (Mailboxes { boards: Arc::default(), asks }, Asks(questions))
}

impl Mailboxes {
    /// How the mailbox of an account is doing; nothing when none is read.
    #[must_use]
    pub fn status(&self, account: &AccountId) -> Option<MailboxStatus> {
        self.boards().get(account).map(|board| board.status().clone())
    }

    /// Looks into the mailbox of an account now, and returns when all that is new was read.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or too many wait for it.
    pub async fn read_now(&self, account: &AccountId) -> Result<ReadNow, NotReadNow> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { account: account.clone(), answer };
        self.asks.send(ask).await.map_err(|_| NotReadNow::Stopped)?;
        answered.await.unwrap_or(Err(NotReadNow::Stopped))
    }

    /// The board of an account's reader, made if there is none.
    pub(super) fn board(&self, account: &AccountId) -> Arc<Board> {
        Arc::clone(self.boards().entry(account.clone()).or_default())
    }

    pub(super) fn forget(&self, account: &AccountId) {
        self.boards().remove(account);
    }

    fn boards(&self) -> MutexGuard<'_, HashMap<AccountId, Arc<Board>>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asks {
    /// The next question; nothing when there is nobody any more to ask.
    pub(super) async fn next(&mut self) -> Option<Ask> {
        self.0.recv().await
    }
}

/// What a reader and the others tell each other.
#[derive(Debug, Default)]
pub(super) struct Board {
    status: Mutex<MailboxStatus>,
    callers: Mutex<Vec<Answer>>,
    /// The settings that the reader goes by.
    etag: Mutex<Option<Etag>>,
    /// That the reader should look in, or that its account has changed.
    news: Notify,
}

impl Board {
    pub(super) fn status(&self) -> MutexGuard<'_, MailboxStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the reader look in.
    pub(super) fn nudge(&self) {
        self.news.notify_one();
    }

    /// The reader goes by these settings.
    pub(super) fn goes_by(&self, etag: Etag) {
        *self.etag() = Some(etag);
    }

    /// Has the reader look in if it goes by other settings than these, which are those of now.
    pub(super) fn changed_to(&self, etag: Etag) {
        if self.etag().is_some_and(|known| known != etag) {
            self.nudge();
        }
    }

    /// Has the reader look in for somebody.
    pub(super) fn ask(&self, answer: Answer) {
        let mut callers = self.callers();
        callers.retain(|caller| !caller.is_closed());
        if callers.len() == CALLERS_WAITING_MAX {
            // Whoever has gone meanwhile does not hear it.
            drop(answer.send(Err(NotReadNow::Busy)));
            return;
        }
        callers.push(answer);
        drop(callers);
        self.nudge();
    }

    /// Those who wait for a look that begins now.
    pub(super) fn take_callers(&self) -> Vec<Answer> {
        std::mem::take(&mut *self.callers())
    }

    /// Waits until the reader should look in.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    fn etag(&self) -> MutexGuard<'_, Option<Etag>> {
        self.etag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn callers(&self) -> MutexGuard<'_, Vec<Answer>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
