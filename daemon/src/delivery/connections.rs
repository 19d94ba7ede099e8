//! Who may open a connection, when accounts want more of them than there may be?
//!
//! A server that hangs shall hold up its own account and no other. Three rules see to that:
//!
//! - An account opens its first connection alone, and others only once that one is established. So a server that says
//!   nothing holds one slot, however many connections its account may have.
//! - An account that has connections takes another only while more slots are free than it has, and it never waits for one:
//!   its messages go over those that it has. So one account takes half of the slots at most, and the last slot is always
//!   left for an account that has none.
//! - Only accounts that have no connection wait, first come, first served. While one waits, a connection that has not
//!   come about within [`OPENING_PATIENCE`] gives way to it, and so does an idle one.
//!
//! So with S slots and H servers that hang, an account whose server works waits for its connection at most as long as the
//! patience, times H / S rounded up, and then as long as those before it take.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::domain::ids::AccountId;

/// How long a connection may take to come about, sign-in included, while an account without one waits.
pub const OPENING_PATIENCE: Duration = Duration::from_secs(10);

/// The connections that may be open at once, over all accounts.
#[derive(Debug)]
pub struct ConnectionSlots {
    state: Mutex<State>,
    way: Notify,
}

/// The account has connections, or opens its first one, and may not have another now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account may not have another connection now")]
pub struct NotNow;

/// A slot for a connection that is being opened. Dropping it frees the slot.
#[derive(Debug)]
#[must_use = "a slot is free again when it is dropped"]
pub struct OpeningSlot(Lease);

/// The slot of an established connection. Dropping it frees the slot.
#[derive(Debug)]
#[must_use = "a slot is free again when it is dropped"]
pub struct Slot(Lease);

impl ConnectionSlots {
    /// Room for so many connections; at least one.
    #[must_use]
    pub fn new(slots: usize) -> Arc<Self> {
        let state = State { free: slots.max(1), ..State::default() };
        Arc::new(Self { state: Mutex::new(state), way: Notify::new() })
    }

    /// A slot for a new connection of an account. One that has none waits for it; dropping the future ends the wait.
    ///
    /// # Errors
    /// When the account has connections, or is at its first one, and may not have another now. Its message is better sent
    /// over one of those.
    pub async fn open(self: &Arc<Self>, account: &AccountId) -> Result<OpeningSlot, NotNow> {
        let (grant, granted) = oneshot::channel();
        let ticket = self.state().ask(account, grant)?;
        let _place = Place { slots: self, ticket };
        self.serve();
        // The other end is kept until it is used.
        granted.await.map(OpeningSlot).map_err(|_| NotNow)
    }

    /// How many connections an account may have at present, with those that it has; at least 1.
    #[must_use]
    pub fn allowance(&self, account: &AccountId) -> usize {
        let state = self.state();
        match state.shares.get(account) {
            None => 1,
            Some(share) if share.established == 0 => share.held().max(1),
            // Each one that is taken leaves one less.
            Some(share) => share.held() + state.free.saturating_sub(share.held()).div_ceil(2),
        }
    }

    /// Whether an account without a connection waits for which nobody gives way yet: an idle connection should be closed
    /// rather than kept.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.state().are_wanted()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No caller can leave it half changed: each change is one call without a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>) {
        loop {
            let Some((account, grant)) = self.state().grant() else {
                break;
            };
            let (slots, since) = (Arc::clone(self), Instant::now());
            let lease = Lease { slots, account, since, is_established: false, gives_way: AtomicBool::new(false) };
            // Of one that has just gone, the slot comes back at once.
            drop(grant.send(lease));
        }
        if self.are_wanted() {
            self.way.notify_one();
        }
    }
}

impl OpeningSlot {
    /// Returns when the connection has taken too long and an account that has none waits. The connection must be given up
    /// then.
    pub async fn called_off(&self) {
        tokio::time::sleep_until(self.0.since + OPENING_PATIENCE).await;
        self.0.give_way().await;
    }

    /// Notes that the connection is ready for messages.
    pub fn established(mut self) -> Slot {
        self.0.establish();
        Slot(self.0)
    }
}

impl Slot {
    /// Returns when an account that has no connection waits for a slot. An idle connection must be closed then.
    pub async fn wanted(&self) {
        self.0.give_way().await;
    }
}

#[derive(Debug, Default)]
struct State {
    free: usize,
    /// Accounts that hold a slot or wait for one.
    shares: HashMap<AccountId, Share>,
    /// Accounts without a connection, in the order in which they came.
    queue: BTreeMap<u64, (AccountId, oneshot::Sender<Lease>)>,
    last_ticket: u64,
    /// Slots whose holders were told to give way and have not done it yet.
    giving_way: usize,
}

#[derive(Debug, Default)]
struct Share {
    waiting: usize,
    opening: usize,
    established: usize,
}

impl Share {
    const fn held(&self) -> usize {
        self.opening + self.established
    }
}

impl State {
    /// Puts an account into the queue, from which it is served at once when it may be.
    fn ask(&mut self, account: &AccountId, grant: oneshot::Sender<Lease>) -> Result<u64, NotNow> {
        let share = self.shares.entry(account.clone()).or_default();
        let is_first = share.held() == 0 && share.waiting == 0;
        if !is_first && (share.established == 0 || share.held() >= self.free) {
            return Err(NotNow);
        }
        share.waiting += 1;
        self.last_ticket += 1;
        self.queue.insert(self.last_ticket, (account.clone(), grant));
        Ok(self.last_ticket)
    }

    fn grant(&mut self) -> Option<(AccountId, oneshot::Sender<Lease>)> {
        self.free = self.free.checked_sub(1)?;
        let Some((_, (account, grant))) = self.queue.pop_first() else {
            self.free += 1;
            return None;
        };
        let share = self.shares.entry(account.clone()).or_default();
        share.waiting -= 1;
        share.opening += 1;
        Some((account, grant))
    }

    fn leave(&mut self, ticket: u64) {
        if let Some((account, _)) = self.queue.remove(&ticket) {
            self.change(&account, |share| share.waiting -= 1);
        }
    }

    /// Changes what an account has, and forgets it when it has nothing.
    fn change(&mut self, account: &AccountId, change: impl FnOnce(&mut Share)) {
        let Some(share) = self.shares.get_mut(account) else {
            return;
        };
        change(share);
        if share.held() == 0 && share.waiting == 0 {
            self.shares.remove(account);
        }
    }

    fn are_wanted(&self) -> bool {
        self.queue.len() > self.giving_way
    }
}

/// A place in the queue, which is left when nobody waits there any more.
struct Place<'a> {
    slots: &'a ConnectionSlots,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.slots.state().leave(self.ticket);
    }
}

/// One slot, until it is dropped.
#[derive(Debug)]
struct Lease {
    slots: Arc<ConnectionSlots>,
    account: AccountId,
    since: Instant,
    is_established: bool,
    gives_way: AtomicBool,
}

impl Lease {
    /// Returns when somebody waits for whom nobody else gives way. Until this lease is dropped, it counts as giving way.
    async fn give_way(&self) {
        loop {
            {
                let mut state = self.slots.state();
                if state.are_wanted() || self.gives_way.load(Ordering::SeqCst) {
                    if !self.gives_way.swap(true, Ordering::SeqCst) {
                        state.giving_way += 1;
                    }
                    break;
                }
            }
            self.slots.way.notified().await;
        }
        if self.slots.are_wanted() {
            self.slots.way.notify_one();
        }
    }

    fn establish(&mut self) {
        let mut state = self.slots.state();
        state.change(&self.account, |share| {
            share.opening -= 1;
            share.established += 1;
        });
        // It has come about after all: another one has to give way.
        if self.gives_way.swap(false, Ordering::SeqCst) {
            state.giving_way -= 1;
        }
        drop(state);
        self.is_established = true;
        self.slots.serve();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        let is_established = self.is_established;
        state.change(&self.account, |share| {
            *(if is_established { &mut share.established } else { &mut share.opening }) -= 1;
        });
        state.free += 1;
        if self.gives_way.load(Ordering::SeqCst) {
            state.giving_way -= 1;
        }
        drop(state);
        self.slots.serve();
    }
}

#[cfg(test)]
mod tests;
