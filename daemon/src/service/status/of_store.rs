//! Which refusal says what the store would not do?

use tonic::Code;

use super::{
    Refusal,
    telling::{LATER, SOON, Telling},
};
use crate::{
    domain::ids::AccountId,
    storage::{
        CreateAccountError, DeleteAccountError, ROUTING_BYTES_MAX, SetRoutingError, StorageError, UpdateAccountError,
        UploadError,
    },
};

impl Telling {
    /// How an error of the store is told.
    pub(super) fn of_store(error: &StorageError) -> Self {
        match error {
            StorageError::Overloaded(_) => Self::new(Code::ResourceExhausted, "STORE_OVERLOADED").retry(SOON),
            StorageError::DiskNearlyFull { .. } => Self::new(Code::ResourceExhausted, "DISK_NEARLY_FULL").retry(LATER),
            StorageError::Damaged(_) => Self::new(Code::DataLoss, "RECORD_DAMAGED"),
            StorageError::Unfinished(_) => Self::new(Code::FailedPrecondition, "COPY_UNFINISHED"),
            StorageError::Failed(_) => Self::new(Code::Unavailable, "STORE_FAILED").retry(SOON),
        }
    }
}

impl Refusal {
    /// The refusal of new routing rules.
    pub(in crate::service) fn of_routing(error: SetRoutingError) -> Self {
        match error {
            SetRoutingError::Stale { current } => Self::StaleEtag(current),
            SetRoutingError::UnknownAccount(id) => Self::NoAccount { id, field: "routing.rules" },
            SetRoutingError::TooLarge { bytes } => {
                Self::field("routing.rules", format!("have {bytes} bytes, more than {ROUTING_BYTES_MAX}"))
            }
            SetRoutingError::Storage(error) => Self::Storage(error),
        }
    }

    /// The refusal of a creation.
    pub(in crate::service) fn of_creation(error: CreateAccountError, id: &AccountId) -> Self {
        match error {
            CreateAccountError::Exists => Self::AccountExists(id.clone()),
            CreateAccountError::Storage(error) => Self::Storage(error),
        }
    }

    /// The refusal of an update.
    pub(in crate::service) fn of_update(error: UpdateAccountError, id: &AccountId) -> Self {
        match error {
            UpdateAccountError::Unknown => Self::no_account(id.clone()),
            UpdateAccountError::Stale { current } => Self::StaleEtag(current),
            UpdateAccountError::Storage(error) => Self::Storage(error),
        }
    }

    /// The refusal of a deletion.
    pub(in crate::service) fn of_deletion(error: DeleteAccountError, id: &AccountId) -> Self {
        match error {
            DeleteAccountError::Unknown => Self::no_account(id.clone()),
            DeleteAccountError::Stale { current } => Self::StaleEtag(current),
            DeleteAccountError::OpenJobs(count) => Self::OpenJobs(count),
            DeleteAccountError::Routed(rule) => Self::AccountRouted(rule),
            DeleteAccountError::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Storage(error) => Self::Storage(error),
            UploadError::TooLong { .. } => Self::field("content", error.to_string()),
            UploadError::OtherLength { .. } => Self::field("size_bytes", error.to_string()),
            error => Self::Upload(error),
        }
    }
}
