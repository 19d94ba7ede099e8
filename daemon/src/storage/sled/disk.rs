//! Reading the tree, and what follows when it cannot be read: the first error of the engine stops the store.

use std::sync::Arc;

use ::sled::{IVec, Tree};
use prost::Message;
use tokio::sync::watch;

use super::{codec::Frame, keys::Key};
use crate::storage::StorageError;

/// How often a value of several frames is read again when it was rewritten meanwhile.
const TORN_READS_MAX: usize = 8;

/// Why the store has stopped, if it has. All parts of a store share one.
#[derive(Clone, Debug)]
pub(super) struct Failure(watch::Sender<Option<Arc<str>>>);

impl Failure {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Stops the store; the first reason is kept.
    pub(super) fn record(&self, why: impl std::fmt::Display) -> StorageError {
        let why: Arc<str> = why.to_string().into();
        self.0.send_if_modified(|state| {
            let is_first = state.is_none();
            if is_first {
                tracing::error!(reason = %why, "the store has stopped");
                *state = Some(Arc::clone(&why));
            }
            is_first
        });
        StorageError::Failed(why.to_string())
    }

    /// Refuses everything once the store has stopped.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        match &*self.0.borrow() {
            None => Ok(()),
            Some(why) => Err(StorageError::Failed(why.to_string())),
        }
    }

    /// Waits until the store stops, and says why.
    pub(super) async fn wait(&self) -> String {
        let mut news = self.0.subscribe();
        match news.wait_for(Option::is_some).await {
            Ok(state) => state.as_deref().unwrap_or_default().to_owned(),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Something that values can be read from: the tree, or the tree as a commit under way will leave it.
pub(super) trait View {
    /// The bytes stored under a key.
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, StorageError>;
}

/// A value with the number of its frames.
#[derive(Debug)]
pub(super) struct Stored<T> {
    /// The value.
    pub(super) value: T,
    /// How many frames it has, so that a shorter one can take the others away.
    pub(super) frames: u16,
}

/// The tree, guarded by the failure switch.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) tree: Tree,
    pub(super) failure: Failure,
}

impl Disk {
    /// An entry of the engine, or the end of the store.
    pub(super) fn checked<T>(&self, result: ::sled::Result<T>) -> Result<T, StorageError> {
        result.map_err(|error| self.failure.record(error))
    }

    /// The first key at `start` or after it that begins with `prefix`.
    pub(super) fn seek(&self, start: &[u8], prefix: &[u8]) -> Result<Option<IVec>, StorageError> {
        Ok(self.seek_entry(start, prefix)?.map(|(key, _)| key))
    }

    /// The first entry whose key is `start` or after it and begins with `prefix`.
    pub(super) fn seek_entry(&self, start: &[u8], prefix: &[u8]) -> Result<Option<(IVec, IVec)>, StorageError> {
        let found = self.tree.range(start..).next().map(|entry| self.checked(entry)).transpose()?;
        Ok(found.filter(|(key, _)| key.starts_with(prefix)))
    }

    /// All keys that begin with `prefix`. For prefixes that few keys have.
    pub(super) fn keys_with(&self, prefix: &[u8]) -> Result<Vec<IVec>, StorageError> {
        self.tree.scan_prefix(prefix).keys().map(|key| self.checked(key)).collect()
    }

    /// The last key that begins with `prefix`.
    pub(super) fn last(&self, prefix: &[u8]) -> Result<Option<IVec>, StorageError> {
        let found = self.tree.scan_prefix(prefix).next_back().map(|entry| self.checked(entry)).transpose()?;
        Ok(found.map(|(key, _)| key))
    }
}

impl View for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, StorageError> {
        self.failure.check()?;
        self.checked(self.tree.get(key))
    }
}

/// Reads a value of one or several frames.
pub(super) fn read(view: &impl View, key_of: impl Fn(u16) -> Key) -> Result<Option<Stored<Vec<u8>>>, StorageError> {
    read_with(view, key_of, |payload| Ok(payload.to_vec()))
}

/// Reads a row of one or several frames.
pub(super) fn read_row<T: Message + Default>(
    view: &impl View,
    key_of: impl Fn(u16) -> Key,
) -> Result<Option<Stored<T>>, StorageError> {
    read_with(view, key_of, |payload| T::decode(payload).map_err(|error| error.to_string()))
}

fn read_with<T>(
    view: &impl View,
    key_of: impl Fn(u16) -> Key,
    decode: impl Fn(&[u8]) -> Result<T, String>,
) -> Result<Option<Stored<T>>, StorageError> {
    let mut problem = String::new();
    for _ in 0..TORN_READS_MAX {
        let key = key_of(0);
        let Some(first) = read_frame(view, &key)? else {
            return Ok(None);
        };
        let frames = first.frames;
        let whole = if frames == 1 {
            decode(first.payload())
        } else {
            match join(view, &key_of, &first)? {
                Some(whole) => decode(&whole),
                None => Err("its parts do not belong together".to_owned()),
            }
        };
        match whole {
            Ok(value) => return Ok(Some(Stored { value, frames })),
            Err(why) => problem = format!("{:?}: {why}", key),
        }
        if frames == 1 {
            break;
        }
    }
    Err(StorageError::Damaged(problem))
}

fn read_frame(view: &impl View, key: &Key) -> Result<Option<Frame>, StorageError> {
    let bytes = key.to_bytes();
    let Some(value) = view.get(&bytes)? else {
        return Ok(None);
    };
    let frame = Frame::parse(&bytes, value);
    frame.map(Some).map_err(|error| StorageError::Damaged(format!("{key:?}: {error}")))
}

fn join(view: &impl View, key_of: &impl Fn(u16) -> Key, first: &Frame) -> Result<Option<Vec<u8>>, StorageError> {
    let mut whole = first.payload().to_vec();
    for chunk in 1..first.frames {
        match read_frame(view, &key_of(chunk))? {
            Some(frame) if frame.tag == first.tag && frame.frames == 0 => whole.extend_from_slice(frame.payload()),
            _ => return Ok(None),
        }
    }
    Ok((first.frames > 0).then_some(whole))
}

/// A record that cannot be read must not stop the others: it counts as gone until the store is verified.
pub(super) fn readable<T>(read: Result<Option<T>, StorageError>) -> Result<Option<T>, StorageError> {
    match read {
        Err(StorageError::Damaged(why)) => {
            tracing::error!(reason = %why, "a damaged record is left alone until the store is verified");
            Ok(None)
        }
        other => other,
    }
}
