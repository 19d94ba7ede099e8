//! Did a provider take a message that is in doubt? The Sent folder of its account is asked, and then the doubt is ended.
//!
//! For accounts that want it ([`InDoubtPolicy::Reconcile`]) and have a mailbox that is read by IMAP. While the folder cannot be
//! read nothing is decided, and an operator may decide as with HOLD. Doubts are learnt of from the event log, and at the start
//! from the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};

use self::{
    looking::{Look, Looked},
    sent::{RealSentFolders, SentFolders},
};
use super::{
    Context,
    follow::{Changed, Follower},
};
use crate::{
    domain::{
        account::{Account, InDoubtPolicy, MailboxProtocol},
        event::{EventKind, JobChange},
        ids::AccountId,
        time::Timestamp,
    },
    policy::reconcile::Vigil,
    storage::{PAGE_MAX, StorageError, settlement::Doubt},
};

mod looking;
mod sent;
#[cfg(test)]
mod tests;

/// Most Sent folders that are looked into at once.
const LOOKS_MAX: usize = 8;
/// Most messages that are looked for in one look.
const DOUBTS_MAX: usize = 200;
/// The longest sleep, in seconds: after it the wall clock is read again, in case somebody has set it.
const SLEEP_SECONDS_MAX: u64 = 60;

/// Why no doubt is ended any more although nobody asked for that. Only a restart helps.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The store failed.
    #[error("messages in doubt cannot be looked for any more: the store failed")]
    Storage(#[from] StorageError),
    /// A look panicked.
    #[error("messages in doubt cannot be looked for any more: a look broke down")]
    Look(#[from] JoinError),
}

/// Ends the doubts of all accounts until the daemon stops.
///
/// # Errors
/// When the store fails or a look breaks down; nothing is lost by that.
pub async fn run(context: Context) -> Result<(), ReconcileError> {
    let folders = Arc::new(RealSentFolders(context.clone()));
    run_with(context, folders).await
}

/// As [`run`], with folders that are opened so.
async fn run_with(context: Context, folders: Arc<dyn SentFolders>) -> Result<(), ReconcileError> {
    let mut reconciler = Reconciler { context, folders, wards: HashMap::new(), looks: JoinSet::new() };
    reconciler.supervise().await
}

struct Reconciler {
    context: Context,
    folders: Arc<dyn SentFolders>,
    /// The accounts with messages in doubt.
    wards: HashMap<AccountId, Ward>,
    /// The looks under way. They end with this.
    looks: JoinSet<(AccountId, Result<Looked, StorageError>)>,
}

/// An account with messages in doubt.
struct Ward {
    account: Arc<Account>,
    vigil: Vigil,
    /// Those of which no folder can tell: an operator decides.
    untold: Vec<Doubt>,
    is_looked_at: bool,
}

impl Reconciler {
    async fn supervise(&mut self) -> Result<(), ReconcileError> {
        let stopping = self.context.stopping.clone();
        // First the place in the log, then the accounts: what happens between is met twice.
        let mut follower = Follower::new(&self.context.storage, may_raise_doubt);
        self.see_all().await?;
        loop {
            self.begin_looks();
            let pause = self.pause();
            tokio::select! {
                biased;
                () = stopping.cancelled() => return Ok(()),
                Some(ended) = self.looks.join_next() => {
                    let (account, result) = ended?;
                    let looked = result?;
                    if let Some(ward) = self.wards.get_mut(&account) {
                        ward.is_looked_at = false;
                        ward.vigil.answered(looked.is_answered);
                        ward.untold.extend(looked.untold);
                    }
                    self.see(&account).await?;
                }
                changed = follower.changed() => match changed? {
                    Changed::Accounts(accounts) => {
                        for account in accounts {
                            self.see(&account).await?;
                        }
                    }
                    Changed::Any => self.see_all().await?,
                },
                () = sleep(pause) => {}
            }
        }
    }

    /// Looks which accounts have messages in doubt.
    async fn see_all(&mut self) -> Result<(), StorageError> {
        let mut after = None;
        loop {
            let records = self.context.storage.accounts(after.as_ref(), PAGE_MAX).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = Some(last.account.id.clone());
            for record in records {
                self.see_account(record.account).await?;
            }
        }
    }

    async fn see(&mut self, id: &AccountId) -> Result<(), StorageError> {
        match self.context.storage.account(id).await {
            Ok(Some(record)) => self.see_account(record.account).await,
            Ok(None) => {
                self.wards.remove(id);
                Ok(())
            }
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                tracing::error!(account = %id, %error, "what is in doubt of the account is left to an operator");
                Ok(())
            }
        }
    }

    /// Looks which messages of an account are in doubt, if that is ours to look after.
    async fn see_account(&mut self, account: Account) -> Result<(), StorageError> {
        // Those that are left to an operator take nobody's place.
        let untold_count = self.wards.get(&account.id).map_or(0, |ward| ward.untold.len());
        let doubts = match is_reconciled(&account) {
            true => self.context.storage.doubts(&account.id, DOUBTS_MAX + untold_count).await?,
            false => Vec::new(),
        };
        if doubts.is_empty() {
            self.wards.remove(&account.id);
            return Ok(());
        }
        let account = Arc::new(account);
        let ward = self.wards.entry(account.id.clone()).or_insert_with(|| Ward {
            account: Arc::clone(&account),
            vigil: Vigil::default(),
            untold: Vec::new(),
            is_looked_at: false,
        });
        ward.account = account;
        ward.untold.retain(|doubt| doubts.contains(doubt));
        let told = doubts.into_iter().filter(|doubt| !ward.untold.contains(doubt)).take(DOUBTS_MAX);
        ward.vigil.see(told.map(|doubt| (doubt.message, doubt.since)), self.context.clock.now());
        Ok(())
    }

    /// Begins the looks whose time has come, as far as there is room.
    fn begin_looks(&mut self) {
        let now = self.context.clock.now();
        let room = LOOKS_MAX.saturating_sub(self.looks.len());
        let mut due: Vec<_> = self.wards.values_mut().filter(|ward| is_due(ward, now)).collect();
        due.sort_unstable_by_key(|ward| ward.vigil.next_look());
        for ward in due.into_iter().take(room) {
            ward.is_looked_at = true;
            let due = ward.vigil.due(now).into_iter();
            let doubts = due.map(|(message, since)| (Doubt { message, since }, ward.vigil.missing(message, now)));
            let look = Look {
                context: self.context.clone(),
                account: Arc::clone(&ward.account),
                folders: Arc::clone(&self.folders),
                doubts: doubts.collect(),
            };
            ward.vigil.look(now);
            let id = ward.account.id.clone();
            self.looks.spawn(async move { (id, look.run().await) });
        }
    }

    /// How long nothing is to be done.
    fn pause(&self) -> Duration {
        let longest = Duration::from_secs(SLEEP_SECONDS_MAX);
        if self.looks.len() >= LOOKS_MAX {
            return longest;
        }
        let free = self.wards.values().filter(|ward| !ward.is_looked_at);
        let next = free.filter_map(|ward| ward.vigil.next_look()).min();
        next.map_or(longest, |next| next.since(self.context.clock.now()).min(longest))
    }
}

fn is_due(ward: &Ward, now: Timestamp) -> bool {
    !ward.is_looked_at && ward.vigil.next_look().is_some_and(|next| next <= now)
}

/// Whether the doubts of an account are ended by its Sent folder.
fn is_reconciled(account: &Account) -> bool {
    let mailbox = account.settings.mailbox.as_ref();
    account.settings.in_doubt == InDoubtPolicy::Reconcile
        && mailbox.is_some_and(|mailbox| mailbox.protocol == MailboxProtocol::Imap)
}

/// Whether after this event there may be doubts to look after, or none any more.
fn may_raise_doubt(event: &EventKind) -> bool {
    match event {
        EventKind::Job { change: JobChange::Attempted { in_doubt, .. }, .. } => *in_doubt > 0,
        EventKind::AccountCreated | EventKind::AccountUpdated | EventKind::AccountDeleted => true,
        _ => false,
    }
}
