//! Which accounts have a reader: one for each with a mailbox, and none for the others.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    task::{Id, JoinError, JoinSet},
    time::timeout,
};

use super::{
    Context,
    assay::Assayer,
    follow::{Changed, Follower},
    opening::{Opener, RealOpener},
    reader::{Reader, Shared},
    reconcile::{self, ReconcileError},
    status::{Ask, Asks, Board, Mailboxes, NotReadNow},
};
use crate::{
    domain::{event::EventKind, ids::AccountId},
    storage::{PAGE_MAX, StorageError},
};

/// Most mailboxes whose servers are waited for at once (IDLE): each is a connection. The others are looked into now and then.
const WAITS_MAX: usize = 500;
/// When the daemon starts, the readers begin one after the other, this long apart, so that thousands are no stampede.
const BEGINNINGS_APART: Duration = Duration::from_millis(50);
/// Within this time all readers have begun.
const BEGINNINGS_WITHIN: Duration = Duration::from_secs(300);
/// How long readers may take to finish the mail that they are at.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// Why no mailbox is read any more although nobody asked for that. Only a restart helps.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// The store failed.
    #[error("mailboxes cannot be read any more: the store failed")]
    Storage(#[from] StorageError),
    /// A reader panicked.
    #[error("mailboxes cannot be read any more: a reader broke down")]
    Reader(#[from] JoinError),
    /// Messages in doubt are not looked for any more.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
}

/// Reads the mailboxes of all accounts until the daemon stops, and tells of them through `mailboxes`. What is being taken in then
/// is finished; mail that was not is read at the next start. Beside that, messages in doubt are looked for in Sent folders.
///
/// # Errors
/// When the store fails or a reader breaks down; nothing is lost by that.
pub async fn run(context: Context, mailboxes: Mailboxes, asks: Asks) -> Result<(), InboundError> {
    let opener = Arc::new(RealOpener(context.clone()));
    let reconciling = async { Ok(reconcile::run(context.clone()).await?) };
    let reading = run_with(context.clone(), opener, mailboxes, asks);
    tokio::try_join!(Box::pin(reading), Box::pin(reconciling)).map(drop)
}

/// As [`run`], with mailboxes that are opened so.
pub(super) async fn run_with(
    context: Context,
    opener: Arc<dyn Opener>,
    mailboxes: Mailboxes,
    mut asks: Asks,
) -> Result<(), InboundError> {
    let shared = Shared {
        assayer: Assayer::new(Arc::clone(&context.rules)),
        turns: Arc::new(Semaphore::new(context.reading_max)),
        waits: Arc::new(Semaphore::new(WAITS_MAX)),
        opener,
        context,
    };
    let mut supervisor =
        Supervisor { shared, mailboxes, readers: JoinSet::new(), boards: HashMap::new(), tasks: HashMap::new() };
    let result = supervisor.supervise(&mut asks).await;
    let drained = supervisor.drain().await;
    result.and(drained)
}

/// Whether after this event an account may have a mailbox, or another one.
const fn is_of_account(event: &EventKind) -> bool {
    matches!(event, EventKind::AccountCreated | EventKind::AccountUpdated | EventKind::AccountDeleted)
}

struct Supervisor {
    shared: Shared,
    mailboxes: Mailboxes,
    readers: JoinSet<Result<(), StorageError>>,
    boards: HashMap<AccountId, Arc<Board>>,
    tasks: HashMap<Id, AccountId>,
}

impl Supervisor {
    async fn supervise(&mut self, asks: &mut Asks) -> Result<(), InboundError> {
        let stopping = self.shared.context.stopping.clone();
        // First the place in the log, then the accounts: what changes between is met twice.
        let mut follower = Follower::new(&self.shared.context.storage, is_of_account);
        self.look_at_all().await?;
        loop {
            let changed = tokio::select! {
                biased;
                () = stopping.cancelled() => return Ok(()),
                Some(ended) = self.readers.join_next_with_id() => {
                    self.ended(ended).await?;
                    continue;
                }
                Some(ask) = asks.next() => {
                    self.ask(ask).await?;
                    continue;
                }
                changed = follower.changed() => changed?,
            };
            match changed {
                Changed::Accounts(accounts) => {
                    for account in accounts {
                        self.look_at(&account).await?;
                    }
                }
                Changed::Any => self.look_at_all().await?,
            }
        }
    }

    /// Begins the readers of all accounts with a mailbox that have none.
    async fn look_at_all(&mut self) -> Result<(), StorageError> {
        let storage = Arc::clone(&self.shared.context.storage);
        let (mut after, mut begun) = (None, 0);
        loop {
            let records = storage.accounts(after.as_ref(), PAGE_MAX).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = Some(last.account.id.clone());
            for account in records.into_iter().map(|record| record.account) {
                match self.boards.get(&account.id) {
                    Some(board) => board.changed_to(account.etag),
                    None if account.settings.mailbox.is_some() => {
                        self.begin(&account.id, (BEGINNINGS_APART * begun).min(BEGINNINGS_WITHIN));
                        begun += 1;
                    }
                    None => {}
                }
            }
        }
    }

    /// Begins the reader of an account if it needs one, or has it look in.
    async fn look_at(&mut self, id: &AccountId) -> Result<bool, StorageError> {
        if let Some(board) = self.boards.get(id) {
            board.nudge();
            return Ok(true);
        }
        let has_mailbox = match self.shared.context.storage.account(id).await {
            Ok(record) => record.is_some_and(|record| record.account.settings.mailbox.is_some()),
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!(account = %id, %error, "the account cannot be read");
                false
            }
        };
        if has_mailbox {
            self.begin(id, Duration::ZERO);
        }
        Ok(has_mailbox)
    }

    fn begin(&mut self, id: &AccountId, first: Duration) {
        let board = self.mailboxes.board(id);
        let reader = Reader::new(self.shared.clone(), id.clone(), Arc::clone(&board));
        let handle = self.readers.spawn(reader.run(first));
        self.tasks.insert(handle.id(), id.clone());
        self.boards.insert(id.clone(), board);
    }

    async fn ask(&mut self, Ask { account, answer }: Ask) -> Result<(), StorageError> {
        let has_reader = self.look_at(&account).await?;
        match self.boards.get(&account).filter(|_| has_reader) {
            Some(board) => board.ask(answer),
            // Whoever has gone meanwhile does not hear it.
            None => drop(answer.send(Err(NotReadNow::NoMailbox))),
        }
        Ok(())
    }

    async fn ended(&mut self, ended: Result<(Id, Result<(), StorageError>), JoinError>) -> Result<(), InboundError> {
        let (task, result) = ended?;
        result?;
        let Some(account) = self.tasks.remove(&task) else { return Ok(()) };
        self.boards.remove(&account);
        self.mailboxes.forget(&account);
        if !self.shared.context.stopping.is_cancelled() {
            // It may have got a mailbox again while its reader left.
            self.look_at(&account).await?;
        }
        Ok(())
    }

    /// Waits for the readers to finish the mail that they are at. The first that broke down is told.
    async fn drain(&mut self) -> Result<(), InboundError> {
        self.shared.context.stopping.cancel();
        let mut result = Ok(());
        let finish = async {
            while let Some(ended) = self.readers.join_next().await {
                let ended = ended.map_err(InboundError::from).and_then(|ended| Ok(ended?));
                result = std::mem::replace(&mut result, Ok(())).and(ended);
            }
        };
        if timeout(FINISH_MAX, finish).await.is_err() {
            tracing::debug!(readers = self.readers.len(), "some mailboxes were being read");
            self.readers.shutdown().await;
        }
        result
    }
}
