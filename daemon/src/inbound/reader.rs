//! The reader of one account: when does it look in, what does it tell of that, and how does it wait?

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};

use super::{
    Context,
    assay::Assayer,
    ingest::Intake,
    look::{Ended, Look, Memory, Tally},
    mailbox::{Mailbox, id_of},
    notice::{self, NotNoticed, Notice},
    opening::{NotRead, Opener},
    status::{Answer, Board, NotReadNow, ReadNow},
    trouble::Trouble,
};
use crate::{
    accounts::mailbox::user,
    domain::{
        account::{Account, IncomingMailbox, SignIn},
        ids::AccountId,
        inbound::MailboxChange,
    },
    policy::retry_schedule::probe_after,
    storage::{AccountRecord, StorageError},
};

/// How long a look may take, in seconds. What was read by then is taken in.
const LOOK_SECONDS_MAX: u64 = 900;
/// How long after a wait for news broke off the mailbox is opened again, in seconds.
const BROKEN_WAIT_SECONDS: u64 = 10;
/// A wait that breaks off within this time, in seconds, is no use: each such pause is twice as long as the one before.
const WAIT_SECONDS_MIN: u64 = 60;
/// After so many waits in a row that were no use, the server is not waited for any more, until the settings change.
const USELESS_WAITS_MAX: u32 = 3;
/// By how much an interval differs at random, as a share of it, so that accounts of one provider do not come together.
const INTERVAL_JITTER: f64 = 0.1;

/// What the readers of all accounts share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) opener: Arc<dyn Opener>,
    pub(super) assayer: Assayer,
    /// One permit for each mailbox that may be read at once.
    pub(super) turns: Arc<Semaphore>,
    /// One permit for each mailbox whose server may be waited for.
    pub(super) waits: Arc<Semaphore>,
}

/// Reads the mailbox of one account.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Shared,
    id: AccountId,
    board: Arc<Board>,
    session: Option<Session>,
    /// Under which settings it looked in last.
    settings: Option<(IncomingMailbox, SignIn)>,
    /// How many waits for news broke off soon, in a row.
    useless_waits: u32,
    memory: Memory,
    trouble: Trouble,
    tally: Tally,
}

/// A mailbox that is open, under the settings of the last look.
#[derive(Debug)]
struct Session {
    mailbox: Box<dyn Mailbox>,
    /// Leave to wait for the server.
    wait: Option<OwnedSemaphorePermit>,
}

/// When the reader looks in next.
enum Next {
    AtOnce,
    In(Duration),
}

impl Reader {
    pub(super) fn new(shared: Shared, id: AccountId, board: Arc<Board>) -> Self {
        let (memory, trouble, tally) = (Memory::default(), Trouble::default(), Tally::default());
        Self { shared, id, board, session: None, settings: None, useless_waits: 0, memory, trouble, tally }
    }

    /// Reads, from `first` on, until the daemon stops or the account has no mailbox any more.
    ///
    /// # Errors
    /// When the store has failed, so that only a restart can help.
    pub(super) async fn run(mut self, first: Duration) -> Result<(), StorageError> {
        self.wait(first).await;
        let (mut callers, mut read_for_callers) = (Vec::new(), 0);
        while !self.is_stopping() {
            let Some(record) = self.load().await? else { break };
            self.board.goes_by(record.account.etag);
            if callers.is_empty() {
                (callers, read_for_callers) = (self.board.take_callers(), self.tally.read);
            }
            let next = match self.look(&record).await {
                Ok(Ended::Done) => {
                    self.worked(&record).await;
                    let interval = self.interval(&record);
                    self.show_next(interval);
                    self.answer(&mut callers, read_for_callers);
                    Next::In(interval)
                }
                Ok(Ended::Cut | Ended::Broken) => Next::AtOnce,
                Err(NotRead::Storage(error)) if error.is_fatal() => return Err(error),
                Err(error) => {
                    let pause = self.failed(&record, &error).await;
                    self.show_next(pause);
                    refuse(&mut callers, &error.to_string());
                    Next::In(pause)
                }
            };
            if let Next::In(pause) = next {
                self.wait(pause).await;
            }
        }
        self.close().await;
        Ok(())
    }

    /// The account, while it has a mailbox.
    async fn load(&mut self) -> Result<Option<AccountRecord>, StorageError> {
        match self.shared.context.storage.account(&self.id).await {
            Ok(record) => Ok(record.filter(|record| record.account.settings.mailbox.is_some())),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                tracing::error!(account = %self.id, %error, "the mailbox is not read until the account changes");
                Ok(None)
            }
        }
    }

    async fn look(&mut self, record: &AccountRecord) -> Result<Ended, NotRead> {
        let stopping = self.shared.context.stopping.clone();
        let _turn = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(Ended::Done),
            turn = Arc::clone(&self.shared.turns).acquire_owned() => turn,
        };
        let account = Arc::new(record.account.clone());
        let (Some(settings), Some(user)) = (&account.settings.mailbox, user(&account.settings)) else {
            return Err(crate::accounts::mailbox::MailboxNotOpened::NoSignIn.into());
        };
        let mut session = self.session_of(&account, settings).await?;
        let mailbox = id_of(settings, &user);
        let intake = Intake { context: &self.shared.context, account: &account, settings, mailbox, user: Some(&user) };
        let (memory, tally) = (&mut self.memory, &mut self.tally);
        let mut look = Look { intake: &intake, assayer: &self.shared.assayer, memory, tally };
        let limit = Duration::from_secs(LOOK_SECONDS_MAX);
        let looked = timeout(limit, Box::pin(look.look(&mut *session.mailbox))).await;
        match looked {
            Ok(Ok(Ended::Broken)) => Ok(Ended::Broken),
            Ok(Ok(ended)) => self.keep_or_close(session, settings, ended).await,
            Ok(Err(error)) => {
                session.mailbox.leave().await;
                Err(error)
            }
            Err(_) => Err(NotRead::TooSlow(limit)),
        }
    }

    /// The session that is open, or a new one when there is none of these settings.
    async fn session_of(&mut self, account: &Arc<Account>, settings: &IncomingMailbox) -> Result<Session, NotRead> {
        let current = (settings.clone(), account.settings.sign_in.clone());
        let is_other = self.settings.as_ref() != Some(&current);
        if is_other {
            // What was owed to other settings, or to another mailbox, is not done any more.
            self.memory = Memory::default();
            self.trouble.settings_changed();
            self.useless_waits = 0;
            self.settings = Some(current);
        }
        match self.session.take() {
            Some(session) if !is_other => return Ok(session),
            Some(session) => session.mailbox.leave().await,
            None => {}
        }
        let mailbox = self.shared.opener.open(account).await?;
        Ok(Session { mailbox, wait: None })
    }

    /// Keeps the session when its server tells of news by itself, or when there is more to read at once.
    async fn keep_or_close(
        &mut self,
        mut session: Session,
        settings: &IncomingMailbox,
        ended: Ended,
    ) -> Result<Ended, NotRead> {
        if session.mailbox.deletes_at_once() && !self.is_stopping() {
            if ended == Ended::Cut {
                self.session = Some(session);
                return Ok(ended);
            }
            let may_wait = !settings.no_idle && self.useless_waits < USELESS_WAITS_MAX;
            if session.wait.is_none() && may_wait && session.mailbox.tells_news().await? {
                session.wait = Arc::clone(&self.shared.waits).try_acquire_owned().ok();
            }
            if session.wait.is_some() {
                self.session = Some(session);
                return Ok(ended);
            }
        }
        session.mailbox.close().await?;
        self.memory.closed();
        Ok(ended)
    }

    /// Waits for the next look: for so long, for news of the server, or for somebody who wants it.
    async fn wait(&mut self, pause: Duration) {
        let stopping = self.shared.context.stopping.clone();
        let board = Arc::clone(&self.board);
        let wished = async {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = board.news() => {}
            }
        };
        let Some(mut session) = self.session.take().filter(|session| session.wait.is_some()) else {
            tokio::select! {
                biased;
                () = wished => {}
                () = sleep(pause) => {}
            }
            return;
        };
        self.board.status().idling = true;
        let begun = Instant::now();
        let waited = session.mailbox.wait(pause, Box::pin(wished)).await;
        self.board.status().idling = false;
        let is_long = begun.elapsed() >= Duration::from_secs(WAIT_SECONDS_MIN);
        if is_long {
            self.useless_waits = 0;
        }
        match waited {
            Ok(()) => self.session = Some(session),
            Err(error) => {
                // Servers and routers end quiet connections: that is no failure of the mailbox.
                tracing::debug!(account = %self.id, %error, "a wait for news broke off");
                let again = Duration::from_secs(BROKEN_WAIT_SECONDS << self.useless_waits.min(USELESS_WAITS_MAX));
                self.useless_waits = self.useless_waits.saturating_add(u32::from(!is_long));
                if self.useless_waits == USELESS_WAITS_MAX {
                    tracing::info!(account = %self.id, "waits for news break off: the mailbox is looked into now and then");
                }
                tokio::select! {
                    () = self.shared.context.stopping.cancelled() => {}
                    () = self.board.news() => {}
                    () = sleep(again.min(pause)) => {}
                }
            }
        }
    }

    async fn worked(&mut self, record: &AccountRecord) {
        let messages = self.tally.messages.unwrap_or_default();
        let mailbox = record.account.settings.mailbox.as_ref();
        let warn = mailbox.map_or(u32::MAX, |mailbox| mailbox.warn_messages);
        let changes = [self.trouble.worked(), self.trouble.holds(messages, warn)];
        {
            let mut status = self.board.status();
            status.looked_at = Some(self.shared.context.clock.now());
            (status.messages, status.error, status.failing_since) = (messages, None, None);
            (status.read_mails, status.bounces) = (self.tally.read, self.tally.bounces);
            status.skipped_mails = self.tally.skipped;
        }
        for change in changes.into_iter().flatten() {
            if let MailboxChange::Crowded { messages } = change {
                tracing::warn!(account = %self.id, messages, "the mailbox holds very many messages");
                self.notice(record, Notice::Crowded { messages }).await;
            } else {
                tracing::info!(account = %self.id, "the mailbox can be read again");
            }
            self.tell(change).await;
        }
        if let Some((bytes, place)) = self.tally.last_skipped.take() {
            let bytes_max = mailbox.map_or(0, |mailbox| mailbox.message_bytes_max);
            self.notice(record, Notice::Skipped { bytes, bytes_max, folder: place.shown }).await;
        }
    }

    /// Tells that the mailbox could not be read; returns how long to wait before the next try.
    async fn failed(&mut self, record: &AccountRecord, error: &NotRead) -> Duration {
        let now = self.shared.context.clock.now();
        let words = error.to_string();
        let change = match error {
            // Not the mailbox's fault: nobody but the log is told.
            NotRead::Storage(_) => None,
            _ => self.trouble.failed(&words, now),
        };
        {
            let mut status = self.board.status();
            status.looked_at = Some(now);
            (status.read_mails, status.bounces) = (self.tally.read, self.tally.bounces);
            (status.error, status.failing_since) = (Some(words.clone()), self.trouble.failing_since());
        }
        match change {
            Some(change) => {
                tracing::warn!(account = %self.id, error = words, "the mailbox cannot be read");
                self.tell(change).await;
            }
            None => tracing::debug!(account = %self.id, error = words, "the mailbox cannot be read"),
        }
        if let (true, Some(since)) = (self.trouble.is_lasting(now), self.trouble.failing_since()) {
            self.notice(record, Notice::Failing { since, words }).await;
        }
        probe_after(self.trouble.strikes().max(1), self.shared.context.entropy.chance())
    }

    async fn tell(&mut self, change: MailboxChange) {
        let Context { storage, clock, .. } = &self.shared.context;
        if let Err(error) = storage.note_mailbox(&self.id, change, clock.now()).await {
            tracing::warn!(account = %self.id, %error, "what happened to the mailbox could not be noted");
        }
    }

    async fn notice(&mut self, record: &AccountRecord, notice: Notice) {
        match notice::submit(&self.shared.context, record, &notice).await {
            Ok(_) => {}
            Err(NotNoticed::Storage(error)) => {
                tracing::warn!(account = %self.id, %error, "a notice of the mailbox could not be submitted");
            }
            Err(error) => tracing::error!(account = %self.id, %error, "a notice of the mailbox could not be made"),
        }
    }

    fn interval(&self, record: &AccountRecord) -> Duration {
        let mailbox = record.account.settings.mailbox.as_ref();
        let plain = mailbox.map_or(Duration::MAX, |mailbox| mailbox.interval);
        let swing = INTERVAL_JITTER * (2.0 * self.shared.context.entropy.chance() - 1.0);
        plain.mul_f64(1.0 + swing)
    }

    fn show_next(&self, pause: Duration) {
        self.board.status().next_at = Some(self.shared.context.clock.now().after(pause));
    }

    fn answer(&self, callers: &mut Vec<Answer>, read_before: u64) {
        let status = self.board.status().clone();
        let read_mails = self.tally.read - read_before;
        for caller in callers.drain(..) {
            // Whoever has gone meanwhile does not hear it.
            drop(caller.send(Ok(ReadNow { status: status.clone(), read_mails })));
        }
    }

    async fn close(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.mailbox.close().await
        {
            tracing::debug!(account = %self.id, %error, "the mailbox was not closed well");
        }
        refuse_all(self.board.take_callers(), &NotReadNow::Stopped);
    }

    fn is_stopping(&self) -> bool {
        self.shared.context.stopping.is_cancelled()
    }
}

fn refuse(callers: &mut Vec<Answer>, words: &str) {
    refuse_all(std::mem::take(callers), &NotReadNow::Failed(words.to_owned()));
}

fn refuse_all(callers: Vec<Answer>, why: &NotReadNow) {
    for caller in callers {
        drop(caller.send(Err(why.clone())));
    }
}
