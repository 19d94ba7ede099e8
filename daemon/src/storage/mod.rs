//! What a store must do, in the words of the domain. Engines are below; `contract` holds the rules as callable checks.
//!
//! # What every engine promises
//!
//! - **Durable, then answered.** A method that changes something returns once the change survives `kill -9` and a power
//!   cut. Callers at the same time may share one commit.
//! - **All or nothing.** Each change below is atomic: a crash leaves all of it or none of it. Several changes sent in
//!   one call are each atomic, and take effect in the order given.
//! - **One line of events.** Changes take effect one after the other. Where two disagree (a cancel and an in-doubt mark
//!   of the same job), the first wins, and the second is told so.
//! - **Bounded.** Lists are paged; a call that would have to grow memory beyond the engine's bounds is refused with
//!   [`StorageError::Overloaded`]; nothing was stored then.
//! - **Fail-stop.** After [`StorageError::Failed`] the engine changes nothing any more, and the daemon ends: only a
//!   restart tells what reached the disk.

use std::sync::Arc;

mod account_store;
mod blob_store;
pub mod blobs;
mod care;
#[cfg(test)]
pub mod contract;
mod dkim_store;
mod event_log;
mod inbound_store;
mod job_store;
pub mod memory;
mod merge_store;
mod queue;
pub mod records;
mod routing_store;
pub mod settlement;
pub mod sled;
pub mod spool;
mod statistics_store;
mod suppression_store;
pub mod uploads;

pub use self::{
    account_store::{AccountRecord, AccountStore, CreateAccountError, DeleteAccountError, UpdateAccountError},
    blob_store::{
        Appended, BLOB_BYTES_MAX, BLOB_HOURS, BadUploadId, Begun, Blob, BlobStore, PIECE_BYTES_MAX, Piece,
        UPLOAD_HOURS, USE_NOTED_EVERY, Upload, UploadError, UploadId, UploadLimits, charge_of,
    },
    care::{Findings, Progress, StoreCare},
    dkim_store::{AddDkimKeyError, DKIM_RULES_BYTES_MAX, DeleteDkimKeyError, DkimStore, PrivateKey, SetDkimRulesError},
    event_log::EventLog,
    inbound_store::{
        Consequence, FINGERPRINT_DAYS, INBOUND_PAGE_BYTES_MAX, INBOUND_SCAN_MAX, InboundFilter, InboundPage,
        InboundStore, Ingested, Ingestion,
    },
    job_store::{Acceptance, Controlled, Idempotency, JobFilter, JobPage, JobRecord, JobStore, Page, Submission},
    merge_store::{
        MERGE_SCAN_RECIPIENTS_MAX, MergeMessage, MergeMessages, MergeStore, MergeSubmission, RecipientPage,
        STAGED_HOURS, STAGED_JOBS_MAX,
    },
    queue::{Consignment, Content, Divertible, Queue, Ready, ReadyMessage, Tenure, TenureError, lane_of},
    routing_store::{ROUTING_BYTES_MAX, RoutingStore, SetRoutingError},
    statistics_store::{DAYS_KEPT_DAYS, Groups, HOURS_KEPT_DAYS, Period, Statistics, StatisticsQuery, StatisticsStore},
    suppression_store::{
        Lifted, SUPPRESSION_SCAN_MAX, SuppressionFilter, SuppressionPage, SuppressionStore, Suppressions,
    },
};

/// Most accounts, jobs or events that one page holds.
pub const PAGE_MAX: usize = 1_000;
/// Most jobs that one call of [`JobStore::list`] looks at before it returns what it has found so far.
pub const LIST_SCAN_JOBS_MAX: usize = 20_000;
/// Most jobs of a priority that one call of [`Queue::backlog_after`] looks at.
pub const LATER_SCAN_JOBS_MAX: usize = 5_000;
/// How long an idempotency key is remembered, in days.
pub const IDEMPOTENCY_DAYS: u64 = 7;

/// A whole store: what `app::wiring` makes, and what the layers above share.
pub trait Storage:
    AccountStore
    + RoutingStore
    + DkimStore
    + JobStore
    + MergeStore
    + BlobStore
    + SuppressionStore
    + InboundStore
    + StatisticsStore
    + Queue
    + EventLog
    + StoreCare
{
}

impl<T> Storage for T where
    T: AccountStore
        + RoutingStore
        + DkimStore
        + JobStore
        + MergeStore
        + BlobStore
        + SuppressionStore
        + InboundStore
        + StatisticsStore
        + Queue
        + EventLog
        + StoreCare
{
}

/// A store that several tasks share.
pub type SharedStorage = Arc<dyn Storage>;

/// Why a store did not do what it was asked, whatever that was.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Too much is waiting to be written. Nothing was stored; try again later.
    #[error("the store is overloaded: {0}")]
    Overloaded(&'static str),
    /// The disk is nearly full. Nothing was stored; intake opens again when there is room.
    #[error("the store's disk is nearly full: {free_bytes} bytes left, {needed_bytes} needed to accept jobs")]
    DiskNearlyFull {
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that must be free before intake opens again.
        needed_bytes: u64,
    },
    /// A stored record cannot be read. It is quarantined when the store is next verified.
    #[error("a stored record is damaged: {0}")]
    Damaged(String),
    /// A backup, an export or an import did not come to its end. The store itself is well.
    #[error("{0}")]
    Unfinished(String),
    /// The engine has stopped. Whether this change is durable is not known.
    #[error("the store has stopped: {0}")]
    Failed(String),
}

impl StorageError {
    /// Whether the same call may well succeed in a moment: nothing is wrong with what was asked for.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Overloaded(_) | Self::DiskNearlyFull { .. })
    }

    /// Whether only a restart can help. Everything else concerns one call or one record.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}
