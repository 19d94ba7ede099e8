//! Why a store does not open, in words that say what to do.

use std::{io, path::PathBuf};

use crate::storage::StorageError;

/// The format that this version writes.
pub(super) const FORMAT: u32 = 3;
/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or directory cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the store {0} is in use by another process")]
    InUse(PathBuf),
    /// sled cannot read its files, not even a copy without snapshots.
    #[error(
        "the store {path} is damaged and does not open: {why}. Restore the last backup with \
         `hikyakud store restore`, or import the last export into an empty directory with `hikyakud store import`"
    )]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// What sled said.
        why: String,
    },
    /// It opens, but sled has dropped the end of its damaged log.
    #[error(
        "the store {path} is damaged and has lost its newest records: {lost} commits that were acknowledged are missing. \
         Restore the last backup with `hikyakud store restore`; or, to go on without them, delete the \
         file `tip` in it: mail of that time is then lost or sent again"
    )]
    Behind {
        /// Which one.
        path: PathBuf,
        /// How many commits with events are missing.
        lost: u64,
    },
    /// It was written by another version.
    #[error("the store {path} has format {found}; this version reads format {FORMAT}")]
    Format {
        /// Which one.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Its secrets were sealed with another key.
    #[error(
        "the store {0} was made with another sealing key: put its own key file back (`seal.key_file`), or no password in \
         it can be read"
    )]
    OtherKey(PathBuf),
    /// It opened, but cannot be read.
    #[error("the store opened, but cannot be used")]
    Storage(#[from] StorageError),
}
