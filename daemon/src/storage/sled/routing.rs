//! The routing rules, on sled: one record, and a copy of it in memory.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use prost::Message as _;

use super::{
    SledStore,
    disk::{self, Disk, View},
    keys::Key,
    txn::Txn,
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        ids::{AccountId, Etag},
        routing::Routing,
    },
    storage::{ROUTING_BYTES_MAX, RoutingStore, SetRoutingError, StorageError, records::routing::RoutingRow},
};

/// The rules as the last commit left them; what is wrong with the record when it cannot be read.
#[derive(Clone, Debug)]
pub(super) struct KnownRouting(Arc<Mutex<Result<Arc<Routing>, String>>>);

impl KnownRouting {
    /// Reads them from a store that is being opened.
    pub(super) fn load(disk: &Disk) -> Result<Self, StorageError> {
        let read = match read(disk) {
            Ok(stored) => Ok(Arc::new(stored.map(|(routing, _)| routing).unwrap_or_default())),
            Err(StorageError::Damaged(why)) => {
                tracing::error!(reason = %why, "the routing rules are damaged: set them again");
                Err(why)
            }
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Mutex::new(read))))
    }

    fn get(&self) -> Result<Arc<Routing>, StorageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map_err(StorageError::Damaged)
    }

    /// Notes what a commit has made of them.
    pub(super) fn set(&self, routing: Arc<Routing>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Ok(routing);
    }
}

/// The stored rules with the number of their frames.
fn read(view: &impl View) -> Result<Option<(Routing, u16)>, StorageError> {
    let Some(stored) = disk::read_row::<RoutingRow>(view, |chunk| Key::Routing { chunk })? else { return Ok(None) };
    let frames = stored.frames;
    let routing = Routing::try_from(stored.value);
    routing.map(|routing| Some((routing, frames))).map_err(|error| StorageError::Damaged(format!("routing: {error}")))
}

/// Whether a record of the rules can be read.
pub(super) fn check(view: &impl View) -> Result<(), StorageError> {
    read(view).map(drop)
}

/// What names this account: a rule, or the default. Damaged rules name nothing.
pub(super) fn naming(txn: &Txn, account: &AccountId) -> Result<Option<String>, StorageError> {
    let stored = disk::readable(read(txn))?;
    Ok(stored.and_then(|(routing, _)| routing.names(account).map(str::to_owned)))
}

/// Puts rules as an import has them.
pub(super) fn put(txn: &mut Txn, row: &RoutingRow) -> Result<(), StorageError> {
    let routing = Routing::try_from(row.clone());
    let routing = routing.map_err(|error| StorageError::Unfinished(format!("import: {error}")))?;
    txn.put_row(|chunk| Key::Routing { chunk }, row, 0);
    txn.made.routing = Some(Arc::new(routing));
    Ok(())
}

/// Notes that unreadable rules were set aside.
pub(super) fn forgotten(txn: &mut Txn) {
    txn.made.routing = Some(Arc::default());
}

fn replace(
    txn: &mut Txn,
    routing: Routing,
    row: &RoutingRow,
    expected: Etag,
) -> Result<Result<(), SetRoutingError>, StorageError> {
    let old_frames = match read(txn) {
        Ok(stored) => {
            let (current, frames) = stored.map_or((Etag(0), 0), |(routing, frames)| (routing.etag, frames));
            if current != expected {
                return Ok(Err(SetRoutingError::Stale { current }));
            }
            frames
        }
        // New rules mend a damaged record; a frame that is left of it is found by verify.
        Err(StorageError::Damaged(_)) => 0,
        Err(error) => return Err(error),
    };
    if let Some(unknown) = routing.accounts().find(|account| !txn.accounts.contains_key(*account)) {
        return Ok(Err(SetRoutingError::UnknownAccount(unknown.clone())));
    }
    txn.put_row(|chunk| Key::Routing { chunk }, row, old_frames);
    txn.made.routing = Some(Arc::new(routing));
    Ok(Ok(()))
}

#[async_trait]
impl RoutingStore for SledStore {
    async fn routing(&self) -> Result<Arc<Routing>, StorageError> {
        self.disk.failure.check()?;
        self.routing.get()
    }

    async fn set_routing(&self, routing: Routing, expected: Etag) -> Result<(), SetRoutingError> {
        let row = RoutingRow::from(&routing);
        let bytes = row.encoded_len();
        if bytes > ROUTING_BYTES_MAX {
            return Err(SetRoutingError::TooLarge { bytes });
        }
        let weight = Weight { changes: 1, bytes };
        self.writer.commit(weight, Patience::Refuse, move |txn| replace(txn, routing, &row, expected)).await?
    }
}
