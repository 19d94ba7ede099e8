//! Where others ask an account's worker for what it alone may change: its quota ledger.
//!
//! Mail that leaves an account outside its queue (a test mail), and mail that was sent elsewhere, count in the same quotas. The
//! ledger has one owner, so both go through here: the supervisor takes the question to the account's worker, or begins one
//! for it. What is lent counts as used from before it is answered until it comes back, and durably so.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use crate::{
    domain::{ids::AccountId, time::Timestamp},
    policy::quota::permit::{Exhausted, Need},
};

/// Most questions that wait for the supervisor, over all accounts; beyond it those who ask wait.
const ASKS_WAITING_MAX: usize = 256;

/// Asks the workers. Each who asks has one.
#[derive(Clone, Debug)]
pub struct Desk {
    asks: mpsc::Sender<Ask>,
}

/// The questions, as the supervisor receives them.
#[derive(Debug)]
pub struct Asks(mpsc::Receiver<Ask>);

/// Why a worker did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// A quota has no room.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The account has no worker that could answer: it is gone, cannot be used, or has too many questions; or the daemon stops.
    #[error("the account's worker does not answer at present")]
    Unavailable,
}

/// Makes a desk and the other end of it, which [`supervisor::run`](super::supervisor::run) takes.
#[must_use]
pub fn open() -> (Desk, Asks) {
    let (asks, questions) = mpsc::channel(ASKS_WAITING_MAX);
    (Desk { asks }, Asks(questions))
}

impl Desk {
    /// Counts what others sent from the account at `at`, whatever its quotas allow. It is durable when this returns.
    ///
    /// # Errors
    /// When there is no worker to do it; then it is not known whether it was counted.
    pub async fn report_usage(&self, account: &AccountId, used: Need, at: Timestamp) -> Result<(), DeskError> {
        self.ask(account, |answer| Request::Report { used, at, answer }).await
    }

    /// Takes leave for one transaction outside the queue, as if it were of the most urgent class. It counts, durably, from
    /// before this returns.
    ///
    /// # Errors
    /// When a quota has no room, with the time when it has; or when there is no worker that could say.
    pub async fn take_units(&self, account: &AccountId, need: Need) -> Result<LentUnits, DeskError> {
        Ok(self.ask(account, |answer| Request::Take { need, answer }).await??)
    }

    async fn ask<T>(
        &self,
        account: &AccountId,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, DeskError> {
        let (answer, coming) = oneshot::channel();
        let ask = Ask { account: account.clone(), request: request(answer) };
        self.asks.send(ask).await.map_err(|_| DeskError::Unavailable)?;
        coming.await.map_err(|_| DeskError::Unavailable)
    }
}

impl Asks {
    /// The next question; nothing when nobody can ask any more.
    pub(super) async fn next(&mut self) -> Option<Ask> {
        self.0.recv().await
    }

    /// Turns away who asks from now on, and who has asked and was not heard.
    pub(super) fn close(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

/// A question to an account's worker.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) account: AccountId,
    pub(super) request: Request,
}

/// What a worker is asked. A question that is dropped is answered by that: nobody could do it.
#[derive(Debug)]
pub(super) enum Request {
    /// Count what others sent.
    Report { used: Need, at: Timestamp, answer: oneshot::Sender<()> },
    /// Lend leave for one transaction.
    Take { need: Need, answer: oneshot::Sender<Result<LentUnits, Exhausted>> },
}

/// Leave for one transaction outside the queue. Whoever holds it says in the end whether it was used; when it is only dropped,
/// it counts as used at that time.
#[must_use = "units that are dropped count as used"]
pub struct LentUnits {
    back: oneshot::Sender<Handback>,
}

/// What became of lent units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handback {
    /// The provider may have counted them, at this time or before.
    Used(Timestamp),
    /// The provider was never asked to take a message.
    Unused,
}

impl LentUnits {
    pub(super) fn new() -> (Self, oneshot::Receiver<Handback>) {
        let (back, coming) = oneshot::channel();
        (Self { back }, coming)
    }

    /// The provider may have counted the transaction; `at` is the time of its last reply, or of the moment when none was awaited
    /// any longer.
    pub fn settle(self, at: Timestamp) {
        // A worker that has gone has the units in the ledger, as used when they were lent.
        let _ = self.back.send(Handback::Used(at));
    }

    /// The transaction never reached the provider: nothing was used.
    pub fn give_back(self) {
        let _ = self.back.send(Handback::Unused);
    }
}

impl fmt::Debug for LentUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LentUnits(..)")
    }
}
