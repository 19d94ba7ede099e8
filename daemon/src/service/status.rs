//! What a caller is told when something is not done: the one place that makes a gRPC status of an error.

mod of_store;
mod returned;
mod telling;
mod unscanned;

use std::{collections::HashMap, time::Duration};

use hikyaku_proto::v1;
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use self::telling::Telling;
pub(super) use self::{returned::Returned, unscanned::Unscanned};
use super::convert::violations::Violation;
use crate::{
    domain::{
        dkim::{DKIM_KEYS_MAX, DkimKeyId},
        ids::{AccountId, Etag, JobId},
        job::ControlRefusal,
        time::Timestamp,
    },
    policy::routing::{NoRoute, RuleVerdict},
    storage::{StorageError, UploadError},
};

/// The domain of the reasons in ErrorInfo.
const DOMAIN: &str = "hikyaku";
/// Most bytes of violations in a status. It travels in the trailers, of which common clients take 8 KiB, in base64.
const VIOLATION_BYTES_MAX: usize = 3_000;
/// Longest message of a status, in bytes.
const MESSAGE_BYTES_MAX: usize = 500;

/// Why a call is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// What the caller sent is wrong.
    #[error("the request has {} wrong fields", .0.len())]
    Invalid(Vec<Violation>),
    /// There is no such account; `field` names where a submission says otherwise.
    #[error("there is no account {id}")]
    NoAccount {
        /// The account.
        id: AccountId,
        /// The field of the request that names it.
        field: &'static str,
    },
    /// There is no such job.
    #[error("there is no job {0}")]
    NoJob(JobId),
    /// The id is taken.
    #[error("there is an account {0} already")]
    AccountExists(AccountId),
    /// The caller's role does not reach that far.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// Someone else was faster.
    #[error("it was changed by someone else: its etag is {0} now")]
    StaleEtag(Etag),
    /// The account wants files scanned, and one was not.
    #[error("{0}")]
    Unscanned(#[from] Unscanned),
    /// What came back, a mailbox or a suppression is not as it would have to be.
    #[error("{0}")]
    Returned(#[from] Returned),
    /// The account still has work.
    #[error("the account has {0} open jobs: cancel them first, or force the deletion")]
    OpenJobs(u64),
    /// A routing rule names the account.
    #[error("the routing rule {0} names the account: change the rules first")]
    AccountRouted(String),
    /// There is no such key.
    #[error("there is no DKIM key {0}")]
    NoDkimKey(DkimKeyId),
    /// The key's name is taken.
    #[error("there is a DKIM key {0} already")]
    DkimKeyExists(DkimKeyId),
    /// A rule names the key.
    #[error("{0} names the key: change the DKIM rules first")]
    DkimKeyNamed(String),
    /// There are as many keys as there may be.
    #[error("there are {DKIM_KEYS_MAX} DKIM keys already: delete those that are no longer used")]
    DkimKeysFull,
    /// The rules give a job no account.
    #[error("{why}{told}")]
    NoRoute {
        /// Why not.
        why: NoRoute,
        /// What each rule says, for people.
        told: String,
    },
    /// The rules leave too many accounts open for a merge job.
    #[error("the routing rules leave {0} accounts open for the merge job: name the account")]
    TooManyRoutes(usize),
    /// The account's jobs are cancelled but for some that are being sent.
    #[error("{0} open jobs of the account are being sent or came meanwhile: repeat the call")]
    AccountBusy(u64),
    /// The idempotency key stands for another submission.
    #[error("the idempotency key was used for another submission, which is job {0}")]
    KeyReused(JobId),
    /// The job does not do what was asked.
    #[error("{0}")]
    Control(#[from] ControlRefusal),
    /// The job is not sent again.
    #[error("{0}")]
    NotResent(#[from] NotResent),
    /// The job would be sent in a quiet window that refuses such jobs.
    #[error("the job would be sent in a quiet window that refuses jobs{}", ends(.0.as_ref()))]
    QuietWindow(Option<Timestamp>),
    /// The quotas, with what waits already, do not let the job go at once, and the account takes no others.
    #[error("the account's quotas do not let the job go at once{}", room(.until.as_ref()))]
    OverQuota {
        /// When there is room, if nothing else is submitted; nothing when there never is.
        until: Option<Timestamp>,
        /// When that was looked up.
        now: Timestamp,
    },
    /// Nobody answers for the account at present.
    #[error("the account's worker does not answer: what was asked may or may not be done")]
    WorkerAway,
    /// The account has as many open jobs as the store allows.
    #[error("the account has as many open jobs as are allowed: repeat the call when some have ended")]
    QueueFull,
    /// Events after the cursor were removed with the jobs they speak of.
    #[error(
        "events after this cursor are no longer kept: list the jobs to see their states, and watch on from an empty cursor, \
         or from \"0\" for all events that are kept"
    )]
    EventsPruned,
    /// There is no such consent, or it has lapsed, or another caller began it.
    #[error("there is no such consent, or it has lapsed: begin it anew")]
    NoConsent,
    /// The issuer of access tokens, or the person, did not consent; in the issuer's words.
    #[error("{0}")]
    ConsentRefused(String),
    /// The issuer of access tokens does not answer.
    #[error("{0}")]
    IssuerUnreachable(String),
    /// Too many calls of this kind are under way.
    #[error("too many {0} are under way: repeat the call later")]
    TooMany(&'static str),
    /// A stream did not end in its time.
    #[error("the stream has not ended within {} s: nothing was stored", .0.as_secs())]
    TooSlow(Duration),
    /// The caller has uploaded no such file, or not lately.
    #[error("you have uploaded no such file, or it was forgotten: upload it")]
    NoBlob,
    /// An upload does not go on as it was meant to.
    #[error("{0}")]
    Upload(UploadError),
    /// The stream of an upload ended before the file did.
    #[error("the stream has ended, and {0} bytes of the file are there: go on from them")]
    UploadUnfinished(u64),
    /// The stream of an upload did not go on in its time.
    #[error("the stream was too slow, and {0} bytes of the file are there: go on from them")]
    UploadTooSlow(u64),
    /// The daemon stops.
    #[error("the daemon is shutting down: go on after its restart")]
    ShuttingDown,
    /// The store did not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A bug.
    #[error("{0}: please report this")]
    Internal(&'static str),
}

/// Why a job is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotResent {
    /// It is not finished.
    #[error("the job is not finished: cancel it, or wait until it is")]
    Open,
    /// It is a merge job.
    #[error("the job is a merge job: submit it anew, for those who are to get it")]
    Merge,
    /// Its message is gone.
    #[error("the job's message is no longer kept: submit it anew")]
    Forgotten,
}

impl From<Vec<Violation>> for Refusal {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Invalid(violations)
    }
}

fn ends(until: Option<&Timestamp>) -> String {
    until.map_or_else(|| String::from(", and which never ends"), |until| format!(": it ends at {until}"))
}

fn room(until: Option<&Timestamp>) -> String {
    until.map_or_else(
        || String::from(": it is larger than what they ever have left"),
        |until| format!(": there is room at {until}"),
    )
}

impl Refusal {
    /// A mistake in one field.
    pub(super) fn field(field: &str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { field: field.to_owned(), description: description.into(), recipient: None }])
    }

    /// The refusal of a request for an account that is not there.
    pub(super) const fn no_account(id: AccountId) -> Self {
        Self::NoAccount { id, field: "account_id" }
    }

    /// The refusal of a job that has no route, with what the rules say.
    pub(super) fn no_route(why: NoRoute, verdicts: &[RuleVerdict]) -> Self {
        let told = verdicts.iter().map(|verdict| format!("; {}: {}", verdict.name, verdict.reason)).collect();
        Self::NoRoute { why, told }
    }

    /// The same with what the rules say, when it is about a route.
    pub(super) fn explained(self, verdicts: &[RuleVerdict]) -> Self {
        match self {
            Self::NoRoute { why, .. } => Self::no_route(why, verdicts),
            other => other,
        }
    }

    /// The violations, those of an account that is not there included.
    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::NoAccount { id, field } => vec![Violation {
                field: (*field).to_owned(),
                description: format!("there is no account {id}"),
                recipient: None,
            }],
            _ => Vec::new(),
        }
    }

    /// The message for people: the first violation in full, so that a client that reads no details says enough.
    pub(super) fn message(&self) -> String {
        let mut message = match self {
            Self::Invalid(violations) => match violations.as_slice() {
                [] => self.to_string(),
                [one] => format!("{}: {}", one.field, one.description),
                [first, others @ ..] => {
                    format!("{}: {} (and {} more mistakes)", first.field, first.description, others.len())
                }
            },
            _ => self.to_string(),
        };
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message
    }

    /// The refusal as an entry of a stream of answers.
    pub(super) fn into_wire(self) -> v1::Refusal {
        let violations = self.violations().into_iter().map(|violation| v1::FieldViolation {
            field: violation.field,
            description: violation.description,
            recipient: violation.recipient,
        });
        v1::Refusal { code: self.telling().code as i32, message: self.message(), violations: violations.collect() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let Telling { code, reason, metadata, retry_after } = refusal.telling();
        let metadata: HashMap<String, String> =
            metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        let violations = refusal.violations();
        if !violations.is_empty() {
            details.set_bad_request(wire_violations(violations));
        }
        if retry_after.is_some() {
            details.set_retry_info(retry_after);
        }
        match &refusal {
            Refusal::NoAccount { id, .. } | Refusal::AccountExists(id) => {
                details.set_resource_info("hikyaku.v1.Account", id.as_str(), "", "");
            }
            Refusal::NoJob(id) | Refusal::KeyReused(id) => {
                details.set_resource_info("hikyaku.v1.Job", id.to_string(), "", "");
            }
            _ => {}
        }
        Self::with_error_details(code, refusal.message(), details)
    }
}

/// As many violations as a status can carry; the last says how many are left out.
fn wire_violations(violations: Vec<Violation>) -> Vec<FieldViolation> {
    let count = violations.len();
    let mut bytes = 0;
    let mut kept: Vec<FieldViolation> = Vec::new();
    for violation in violations {
        let description = match violation.recipient {
            Some(index) => format!("{} (recipient {index})", violation.description),
            None => violation.description,
        };
        bytes += violation.field.len() + description.len();
        if bytes > VIOLATION_BYTES_MAX && !kept.is_empty() {
            break;
        }
        kept.push(FieldViolation::new(violation.field, description));
    }
    let left_out = count - kept.len();
    if left_out > 0
        && let Some(last) = kept.last_mut()
    {
        last.description = format!("{}; {left_out} more mistakes are not listed", last.description);
    }
    kept
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[track_caller]
    fn check(refusal: Refusal, code: Code, reason: &str, can_retry: bool) {
        let status = Status::from(refusal);
        let details = status.get_error_details();
        assert_eq!(status.code(), code, "{reason}");
        assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some(reason));
        assert_eq!(details.retry_info().is_some(), can_retry, "{reason}");
    }

    #[test]
    fn each_refusal_has_a_code_and_a_reason() {
        let id: AccountId = "sales".parse().expect("an id");
        let full = StorageError::DiskNearlyFull { free_bytes: 1, needed_bytes: 2 };
        check(Refusal::field("x", "is wrong"), Code::InvalidArgument, "INVALID_FIELDS", false);
        check(Refusal::no_account(id), Code::NotFound, "ACCOUNT_NOT_FOUND", false);
        check(Refusal::NotAllowed("x"), Code::PermissionDenied, "NOT_ALLOWED", false);
        check(Refusal::StaleEtag(Etag(2)), Code::Aborted, "ETAG_STALE", false);
        check(Refusal::OpenJobs(2), Code::FailedPrecondition, "ACCOUNT_HAS_OPEN_JOBS", false);
        check(Refusal::AccountBusy(2), Code::Aborted, "ACCOUNT_BUSY", true);
        check(ControlRefusal::IsHeld.into(), Code::FailedPrecondition, "JOB_IS_HELD", false);
        check(ControlRefusal::AwaitsApproval.into(), Code::FailedPrecondition, "JOB_AWAITS_APPROVAL", false);
        check(NotResent::Open.into(), Code::FailedPrecondition, "JOB_IS_OPEN", false);
        check(Refusal::NoConsent, Code::NotFound, "CONSENT_NOT_FOUND", false);
        check(Refusal::ConsentRefused("x".into()), Code::FailedPrecondition, "CONSENT_REFUSED", false);
        check(Refusal::IssuerUnreachable("x".into()), Code::Unavailable, "ISSUER_UNREACHABLE", true);
        let (now, later) = (Timestamp::EPOCH, Timestamp::from_millis(90_000));
        check(Refusal::QuietWindow(Some(later)), Code::FailedPrecondition, "QUIET_WINDOW", false);
        check(Refusal::OverQuota { until: Some(later), now }, Code::ResourceExhausted, "QUOTA_EXHAUSTED", true);
        check(Refusal::OverQuota { until: None, now }, Code::ResourceExhausted, "QUOTA_EXHAUSTED", false);
        check(Unscanned::NoScanner.into(), Code::FailedPrecondition, "NO_VIRUS_SCANNER", false);
        check(Unscanned::Away("x".into()).into(), Code::Unavailable, "VIRUS_SCANNER_AWAY", true);
        check(Unscanned::Busy("x".into()).into(), Code::ResourceExhausted, "VIRUS_SCANNER_BUSY", true);
        check(Unscanned::TooLarge.into(), Code::FailedPrecondition, "TOO_LARGE_TO_SCAN", false);
        check(Refusal::WorkerAway, Code::Unavailable, "ACCOUNT_WORKER_AWAY", true);
        check(Refusal::QueueFull, Code::ResourceExhausted, "QUEUE_FULL", true);
        check(full.into(), Code::ResourceExhausted, "DISK_NEARLY_FULL", true);
        check(Refusal::NoBlob, Code::NotFound, "BLOB_NOT_FOUND", false);
        check(UploadError::Unknown.into(), Code::NotFound, "UPLOAD_NOT_FOUND", false);
        check(UploadError::Elsewhere { offset: 7 }.into(), Code::Aborted, "UPLOAD_OFFSET", false);
        check(
            UploadError::OtherContent { found: [7; 32] }.into(),
            Code::InvalidArgument,
            "UPLOAD_HASH_MISMATCH",
            false,
        );
        check(UploadError::TooMany("x").into(), Code::ResourceExhausted, "UPLOADS_FULL", true);
        check(UploadError::TooLong { bytes: 7 }.into(), Code::InvalidArgument, "INVALID_FIELDS", false);
        check(Refusal::UploadUnfinished(7), Code::Aborted, "UPLOAD_UNFINISHED", false);
        check(Refusal::UploadTooSlow(7), Code::Aborted, "UPLOAD_TOO_SLOW", false);
        check(StorageError::Overloaded("x").into(), Code::ResourceExhausted, "STORE_OVERLOADED", true);
        check(StorageError::Failed("x".into()).into(), Code::Unavailable, "STORE_FAILED", true);
        check(StorageError::Damaged("x".into()).into(), Code::DataLoss, "RECORD_DAMAGED", false);
        check(StorageError::Unfinished("x".into()).into(), Code::FailedPrecondition, "COPY_UNFINISHED", false);
    }

    #[test]
    fn a_status_with_many_violations_fits_into_the_trailers() {
        let violation = |index: u32| Violation {
            field: format!("job.to[{index}].address"),
            description: "x".repeat(400),
            recipient: Some(index),
        };
        let status = Status::from(Refusal::Invalid((0..50).map(violation).collect()));
        assert!(status.details().len() < 4_096, "{} bytes", status.details().len());
        let details = status.get_error_details();
        let told = &details.bad_request().expect("violations").field_violations;
        assert_eq!(told[0].field, "job.to[0].address");
        assert!(told[0].description.ends_with("(recipient 0)"));
        assert!(told[told.len() - 1].description.ends_with("more mistakes are not listed"));
    }

    #[test]
    fn a_stream_tells_the_same_as_a_status() {
        let id: AccountId = "sales".parse().expect("an id");
        let wire = Refusal::NoAccount { id, field: "job.account_id" }.into_wire();
        assert_eq!((wire.code, wire.message.as_str()), (Code::NotFound as i32, "there is no account sales"));
        assert_eq!(wire.violations[0].field, "job.account_id");
    }
}
