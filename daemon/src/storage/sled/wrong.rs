//! What may be wrong with an entry of the store?

use ::sled::IVec;

use crate::storage::StorageError;

/// What is wrong with an entry.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It cannot be read: its frames go to quarantine.
    Unreadable(String),
    /// A job whose message cannot be read. It leaves the queue, where it would be met again and again.
    Mute(String),
    /// It is derived and should not be there.
    LeftOver,
    /// This derived entry should be there.
    Missing(IVec, IVec),
}

/// What a read says of an entry: that it cannot be read, or nothing.
pub(super) fn unreadable(read: Result<(), StorageError>) -> Result<Option<Wrong>, StorageError> {
    match read {
        Ok(()) => Ok(None),
        Err(StorageError::Damaged(why)) => Ok(Some(Wrong::Unreadable(why))),
        Err(error) => Err(error),
    }
}
