//! With which code, word for programs and advice each refusal is told.

use std::time::Duration;

use tonic::Code;

use super::{NotResent, Refusal};
use crate::{domain::job::ControlRefusal, storage::UploadError};

/// When a refusal that passes soon may be tried again.
pub(super) const SOON: Duration = Duration::from_secs(1);
/// When one that passes later may be.
pub(super) const LATER: Duration = Duration::from_secs(60);

/// How a refusal is told.
#[derive(Clone)]
pub(super) struct Telling {
    pub(super) code: Code,
    /// A word that does not change, for programs.
    pub(super) reason: &'static str,
    pub(super) metadata: Vec<(&'static str, String)>,
    pub(super) retry_after: Option<Duration>,
}

impl Telling {
    pub(super) const fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason, metadata: Vec::new(), retry_after: None }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.metadata.push((name, value.to_string()));
        self
    }

    pub(super) const fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl Refusal {
    pub(super) fn telling(&self) -> Telling {
        match self {
            Self::Invalid(_) => Telling::new(Code::InvalidArgument, "INVALID_FIELDS"),
            Self::NoAccount { id, .. } => Telling::new(Code::NotFound, "ACCOUNT_NOT_FOUND").with("account_id", id),
            Self::NoJob(id) => Telling::new(Code::NotFound, "JOB_NOT_FOUND").with("job_id", id),
            Self::AccountExists(id) => Telling::new(Code::AlreadyExists, "ACCOUNT_EXISTS").with("account_id", id),
            Self::NotAllowed(_) => Telling::new(Code::PermissionDenied, "NOT_ALLOWED"),
            Self::StaleEtag(current) => Telling::new(Code::Aborted, "ETAG_STALE").with("etag", current),
            Self::OpenJobs(count) => {
                Telling::new(Code::FailedPrecondition, "ACCOUNT_HAS_OPEN_JOBS").with("open_jobs", count)
            }
            Self::AccountRouted(rule) => Telling::new(Code::FailedPrecondition, "ACCOUNT_IS_ROUTED").with("rule", rule),
            Self::NoDkimKey(id) => Telling::new(Code::NotFound, "DKIM_KEY_NOT_FOUND").with("dkim_key_id", id),
            Self::DkimKeyExists(id) => Telling::new(Code::AlreadyExists, "DKIM_KEY_EXISTS").with("dkim_key_id", id),
            Self::DkimKeyNamed(_) => Telling::new(Code::FailedPrecondition, "DKIM_KEY_IS_NAMED"),
            Self::DkimKeysFull => Telling::new(Code::ResourceExhausted, "TOO_MANY_DKIM_KEYS"),
            Self::NoRoute { .. } => Telling::new(Code::FailedPrecondition, "NO_ROUTE"),
            Self::TooManyRoutes(_) => Telling::new(Code::FailedPrecondition, "TOO_MANY_ROUTES"),
            Self::AccountBusy(count) => {
                Telling::new(Code::Aborted, "ACCOUNT_BUSY").with("open_jobs", count).retry(SOON)
            }
            Self::KeyReused(id) => Telling::new(Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED").with("job_id", id),
            Self::Control(refusal) => Telling::new(Code::FailedPrecondition, reason_of(refusal)),
            Self::NotResent(why) => Telling::new(Code::FailedPrecondition, reason_of_resending(why)),
            Self::QuietWindow(_) | Self::OverQuota { .. } => self.waiting_telling(),
            Self::Unscanned(why) => why.telling(),
            Self::Returned(why) => why.telling(),
            Self::WorkerAway => Telling::new(Code::Unavailable, "ACCOUNT_WORKER_AWAY").retry(SOON),
            Self::QueueFull => Telling::new(Code::ResourceExhausted, "QUEUE_FULL").retry(LATER),
            Self::EventsPruned => Telling::new(Code::OutOfRange, "EVENTS_PRUNED"),
            Self::NoConsent => Telling::new(Code::NotFound, "CONSENT_NOT_FOUND"),
            Self::ConsentRefused(_) => Telling::new(Code::FailedPrecondition, "CONSENT_REFUSED"),
            Self::IssuerUnreachable(_) => Telling::new(Code::Unavailable, "ISSUER_UNREACHABLE").retry(SOON),
            Self::TooMany(_) => Telling::new(Code::ResourceExhausted, "TOO_MANY_CALLS").retry(SOON),
            Self::TooSlow(_) => Telling::new(Code::DeadlineExceeded, "STREAM_TOO_SLOW"),
            Self::NoBlob | Self::Upload(_) | Self::UploadUnfinished(_) | Self::UploadTooSlow(_) => {
                self.upload_telling()
            }
            Self::ShuttingDown => Telling::new(Code::Unavailable, "SHUTTING_DOWN").retry(SOON),
            Self::Storage(error) => Telling::of_store(error),
            Self::Internal(_) => Telling::new(Code::Internal, "INTERNAL"),
        }
    }

    fn waiting_telling(&self) -> Telling {
        match self {
            Self::QuietWindow(until) => {
                let telling = Telling::new(Code::FailedPrecondition, "QUIET_WINDOW");
                until.map_or_else(|| telling.clone(), |until| telling.clone().with("ends_at", until))
            }
            Self::OverQuota { until, now } => {
                let telling = Telling::new(Code::ResourceExhausted, "QUOTA_EXHAUSTED");
                until.map_or_else(
                    || telling.clone(),
                    |until| telling.clone().with("room_at", until).retry(until.since(*now).max(SOON)),
                )
            }
            _ => Telling::new(Code::Internal, "INTERNAL"),
        }
    }

    fn upload_telling(&self) -> Telling {
        let unfinished = |reason, offset: &u64| Telling::new(Code::Aborted, reason).with("offset_bytes", offset);
        match self {
            Self::NoBlob => Telling::new(Code::NotFound, "BLOB_NOT_FOUND"),
            Self::UploadUnfinished(offset) => unfinished("UPLOAD_UNFINISHED", offset),
            Self::UploadTooSlow(offset) => unfinished("UPLOAD_TOO_SLOW", offset),
            Self::Upload(UploadError::Elsewhere { offset }) => unfinished("UPLOAD_OFFSET", offset),
            Self::Upload(UploadError::Unknown) => Telling::new(Code::NotFound, "UPLOAD_NOT_FOUND"),
            Self::Upload(UploadError::OtherContent { found }) => {
                let found = blake3::Hash::from(*found).to_hex();
                Telling::new(Code::InvalidArgument, "UPLOAD_HASH_MISMATCH").with("blake3", found)
            }
            Self::Upload(UploadError::TooMany(_)) => Telling::new(Code::ResourceExhausted, "UPLOADS_FULL").retry(LATER),
            // Others are told as fields, or as the store's.
            _ => Telling::new(Code::Internal, "INTERNAL"),
        }
    }
}

/// Why a job does not do what was asked, as a word for programs.
const fn reason_of(refusal: &ControlRefusal) -> &'static str {
    match refusal {
        ControlRefusal::NothingToDo => "NOTHING_TO_DO",
        ControlRefusal::IsHeld => "JOB_IS_HELD",
        ControlRefusal::AwaitsApproval => "JOB_AWAITS_APPROVAL",
        ControlRefusal::NoApprovalAwaited => "NO_APPROVAL_AWAITED",
        ControlRefusal::UnderWay => "ATTEMPT_UNDER_WAY",
        ControlRefusal::WasCancelled => "JOB_WAS_CANCELLED",
    }
}

const fn reason_of_resending(why: &NotResent) -> &'static str {
    match why {
        NotResent::Open => "JOB_IS_OPEN",
        NotResent::Merge => "JOB_IS_A_MERGE",
        NotResent::Forgotten => "MESSAGE_FORGOTTEN",
    }
}
