//! Which accounts does what happens concern? The event log tells, unless so much has happened that it is quicker to look at all.

use std::{collections::BTreeSet, time::Duration};

use tokio::{sync::watch, time::sleep};

use crate::{
    domain::{
        event::{Cursor, EventKind},
        ids::AccountId,
    },
    storage::{PAGE_MAX, SharedStorage, StorageError},
};

/// How often the log is looked into, at most.
const ROUND: Duration = Duration::from_secs(1);
/// Most pages of events that are read in a round; when there are more, all accounts are looked at.
const PAGES_READ_MAX: usize = 5;
/// Between two looks at all accounts.
const ALL_ROUND: Duration = Duration::from_secs(15);

/// Follows the accounts of a store.
#[derive(Debug)]
pub(super) struct Follower {
    storage: SharedStorage,
    head: watch::Receiver<Cursor>,
    after: Cursor,
    /// Which events are of interest.
    concerns: fn(&EventKind) -> bool,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// These accounts.
    Accounts(BTreeSet<AccountId>),
    /// Nobody knows: any.
    Any,
}

impl Follower {
    /// Follows what happens from now on, as far as it is of interest.
    pub(super) fn new(storage: &SharedStorage, concerns: fn(&EventKind) -> bool) -> Self {
        let head = storage.head();
        let after = *head.borrow();
        Self { storage: SharedStorage::clone(storage), head, after, concerns }
    }

    /// Waits for something of interest. Nothing is lost when it is cut off.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn changed(&mut self) -> Result<Changed, StorageError> {
        loop {
            // Not only for what comes from now on: an earlier wait may have been cut off after it had heard of something.
            let after = self.after;
            if self.head.wait_for(|head| *head > after).await.is_err() {
                // The store is closing: nothing will change any more.
                std::future::pending::<()>().await;
            }
            sleep(ROUND).await;
            let head = *self.head.borrow();
            let Some(accounts) = self.read_up_to(head).await? else {
                sleep(ALL_ROUND).await;
                self.after = *self.head.borrow();
                return Ok(Changed::Any);
            };
            if !accounts.is_empty() {
                return Ok(Changed::Accounts(accounts));
            }
        }
    }

    /// Whom what happened up to `head` concerns; nothing when that was very much.
    async fn read_up_to(&mut self, head: Cursor) -> Result<Option<BTreeSet<AccountId>>, StorageError> {
        let mut accounts = BTreeSet::new();
        let mut after = self.after;
        for _ in 0..PAGES_READ_MAX {
            let events = self.storage.events(after, PAGE_MAX).await?;
            after = events.last().map_or(head, |(last, _)| *last);
            let concerning = events.into_iter().filter(|(_, event)| (self.concerns)(&event.kind));
            accounts.extend(concerning.map(|(_, event)| event.account));
            if after >= head {
                self.after = after;
                return Ok(Some(accounts));
            }
        }
        Ok(None)
    }
}
