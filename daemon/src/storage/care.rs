//! What a store does for itself: health, pruning, checks and copies.

use std::{fmt, path::Path};

use async_trait::async_trait;

use super::StorageError;
use crate::domain::time::Timestamp;

/// Looking after the store itself.
#[async_trait]
pub trait StoreCare: Send + Sync + fmt::Debug {
    /// Whether the store can take jobs at present, and if not, why: the disk is nearly full, or the engine has stopped.
    async fn health(&self) -> Result<(), StorageError>;

    /// Deletes up to `limit` records: jobs that were accepted and finished before `finished_before`, events from before
    /// it, mail that came before it, idempotency keys older than [`IDEMPOTENCY_DAYS`](super::IDEMPOTENCY_DAYS) at `now`,
    /// fingerprints of mail older than [`FINGERPRINT_DAYS`](super::FINGERPRINT_DAYS), suppressions that have ended, and
    /// counts; these go a day of an account at a time, and old hours are summed up in their day before they go. Returns how many
    /// went; call again until it is zero. Writes no events.
    async fn prune(&self, finished_before: Timestamp, limit: usize, now: Timestamp) -> Result<u64, StorageError>;

    /// Ends up to `limit` jobs whose client's time has run out at `now`, whether they wait or are held and whether or not
    /// their account may send, in the order of that time and their ids; those that bear an in-doubt mark are left as
    /// they are. Returns how many ended, each with its event; call again until it is zero.
    async fn expire_overdue(&self, now: Timestamp, limit: usize) -> Result<u64, StorageError>;

    /// Reads every record and checks it, counts what should agree, rebuilds what is derived, and moves what is
    /// unreadable to quarantine. A job whose in-doubt mark is unreadable stays in doubt; one whose message is unreadable
    /// leaves the queue.
    async fn verify(&self, progress: &dyn Progress) -> Result<Findings, StorageError>;

    /// Writes a consistent copy of the whole store below the new directory `target`, while the store is in use.
    async fn backup(&self, target: &Path, progress: &dyn Progress) -> Result<u64, StorageError>;

    /// Writes all records as JSON lines; secrets stay sealed. Returns how many. Damaged ones are left out, counted in
    /// the last line and logged.
    async fn export(&self, out: &mut (dyn std::io::Write + Send), progress: &dyn Progress)
    -> Result<u64, StorageError>;

    /// Reads what `export` wrote into a store that holds no account and no job. Returns how many records.
    async fn import(
        &self,
        from: &mut (dyn std::io::BufRead + Send),
        progress: &dyn Progress,
    ) -> Result<u64, StorageError>;

    /// Stops taking changes, makes everything durable and closes the files. Changes are refused afterwards.
    async fn close(&self) -> Result<(), StorageError>;
}

/// Told how far a long task has come.
pub trait Progress: Send + Sync {
    /// `done` records of about `total` (0 when not known) are done.
    fn report(&self, done: u64, total: u64);
}

/// What a check of the whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Records that were read.
    pub records: u64,
    /// Unreadable records that were moved to quarantine, each as its family and what is wrong, and jobs that left the
    /// queue because their message is unreadable; the first 100.
    pub quarantined: Vec<String>,
    /// How many there are of those.
    pub quarantined_count: u64,
    /// Derived entries (ready index, tallies) that were missing, wrong or left over, and were mended.
    pub mended: u64,
}
