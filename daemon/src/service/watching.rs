//! How a caller is told from the durable log what happens, for as long as it listens: one that comes back with its last cursor
//! misses nothing.

use std::collections::VecDeque;

use async_trait::async_trait;
use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    convert::violations::Violations,
    status::Refusal,
    visibility::{View, Visitor},
};
use crate::{
    domain::{
        event::{Cursor, Event},
        ids::AccountId,
    },
    storage::{SharedStorage, StorageError},
};

/// Events that are read at once.
const READ_EVENTS: usize = 500;

/// Which events a caller wants, and how they are told.
#[async_trait]
pub(super) trait Interest: Send + Sync + 'static {
    /// An event on the wire.
    type Told: Send + 'static;

    /// Whether an event is told: it is wanted, and the caller sees what it is about.
    async fn wants(&self, event: &Event, view: &mut View<'_>) -> Result<bool, StorageError>;

    /// A wanted event on the wire; nothing when there is nothing left to tell.
    async fn tell(
        &self,
        cursor: Cursor,
        event: &Event,
        storage: &SharedStorage,
    ) -> Result<Option<Self::Told>, StorageError>;
}

/// Where a watch begins: after a cursor that the caller has, or, when it has none, with what comes from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start(Option<Cursor>);

impl Start {
    /// Where a caller wants to begin; `head` is the cursor after the last event.
    pub(super) fn read(cursor: &str, head: Cursor, violations: &mut Violations) -> Option<Self> {
        if cursor.is_empty() {
            return Some(Self(None));
        }
        match cursor.parse().map(Cursor) {
            Ok(cursor) if cursor <= head => Some(Self(Some(cursor))),
            Ok(_) => {
                violations.add(
                    "cursor",
                    "lies beyond the last event: it is of another store, or of a later state of this one",
                );
                None
            }
            Err(_) => {
                violations.add("cursor", "is none that an earlier event carried");
                None
            }
        }
    }

    /// Refuses to begin before events that are gone, which the caller would miss: it goes on from a place before the newest one
    /// that was pruned. Whoever begins at 0 wants what is kept.
    pub(super) async fn check(self, storage: &SharedStorage) -> Result<(), Refusal> {
        let pruned = storage.pruned().await?;
        let misses = self.0.is_some_and(|from| from > Cursor(0) && from < pruned);
        if misses { Err(Refusal::EventsPruned) } else { Ok(()) }
    }
}

/// Refuses to watch an account that is not there for the caller: nothing would ever be told.
pub(super) async fn check_account(
    account: Option<&AccountId>,
    visitor: &Visitor,
    storage: &SharedStorage,
) -> Result<(), Refusal> {
    let Some(account) = account else { return Ok(()) };
    let is_there = View::new(visitor, storage).finds_account(account).await?;
    if is_there { Ok(()) } else { Err(Refusal::no_account(account.clone())) }
}

/// Who watches, and how long.
pub(super) struct Watcher {
    pub(super) storage: SharedStorage,
    pub(super) visitor: Visitor,
    pub(super) shutdown: CancellationToken,
    /// Held as long as the watch.
    pub(super) place: OwnedSemaphorePermit,
}

/// The events that a caller wants and sees, from where it wants them.
pub(super) fn events<I: Interest>(
    watcher: Watcher,
    start: Start,
    interest: I,
) -> impl Stream<Item = Result<I::Told, Status>> + Send + 'static {
    let Watcher { storage, visitor, shutdown, place } = watcher;
    let head = storage.head();
    let cursor = start.0.unwrap_or(*head.borrow());
    let read = VecDeque::new();
    let watch = Watch { storage, visitor, shutdown, interest, cursor, read, head, _place: place };
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(event) => Some((Ok(event), Some(watch))),
            Err(refusal) => Some((Err(refusal.into()), None)),
        }
    })
}

/// One watch under way.
struct Watch<I> {
    storage: SharedStorage,
    visitor: Visitor,
    shutdown: CancellationToken,
    interest: I,
    cursor: Cursor,
    /// What was read and is wanted. It is told one by one, as an event may be long on the wire.
    read: VecDeque<(Cursor, Event)>,
    head: watch::Receiver<Cursor>,
    _place: OwnedSemaphorePermit,
}

impl<I: Interest> Watch<I> {
    async fn next(&mut self) -> Result<I::Told, Refusal> {
        // Whether we have just seen that there is no more: then nothing was pruned of what comes.
        let mut is_abreast = false;
        loop {
            while let Some((cursor, event)) = self.read.pop_front() {
                if let Some(told) = self.interest.tell(cursor, &event, &self.storage).await? {
                    return Ok(told);
                }
            }
            // What comes after this look at the head wakes us below.
            let is_behind = *self.head.borrow_and_update() > self.cursor;
            let from = Start(Some(self.cursor));
            let has_read = self.read_more().await?;
            // The caller was so slow, perhaps, that it would miss something without knowing.
            if is_behind && !is_abreast && !self.shutdown.is_cancelled() {
                from.check(&self.storage).await?;
            }
            if has_read {
                continue;
            }
            is_abreast = true;
            tokio::select! {
                () = self.shutdown.cancelled() => return Err(Refusal::ShuttingDown),
                changed = self.head.changed() => changed.map_err(|_| Refusal::ShuttingDown)?,
            }
        }
    }

    /// Reads on in the log, and says whether there was anything.
    async fn read_more(&mut self) -> Result<bool, StorageError> {
        if self.shutdown.is_cancelled() {
            return Ok(false);
        }
        let events = self.storage.events(self.cursor, READ_EVENTS).await?;
        let Some((last, _)) = events.last() else {
            return Ok(false);
        };
        self.cursor = *last;
        // An account may have got an owner meanwhile.
        let mut view = View::new(&self.visitor, &self.storage);
        for (cursor, event) in events {
            if self.interest.wants(&event, &mut view).await? {
                self.read.push_back((cursor, event));
            }
        }
        Ok(true)
    }
}
