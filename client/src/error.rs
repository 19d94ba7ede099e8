//! What can go wrong with a call, in a form that people can read and programs can branch on.

use std::{error::Error as _, fmt, io, path::PathBuf, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{endpoint::EndpointError, proto};

/// What is said of a request that the daemon does not read to its end.
const TOO_LARGE: &str = "the request is larger than the 64 MiB that hikyakud takes, attachments included";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint's text is wrong.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The API key cannot be used.
    #[error("{0}")]
    Access(String),
    /// Nobody answers at the endpoint.
    #[error("cannot reach hikyakud at {endpoint}")]
    Unreachable {
        /// Where it was sought.
        endpoint: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
    /// The connection broke while the call was under way; whether it was carried out is not known.
    #[error("the connection to hikyakud broke")]
    Broken(#[source] Box<Status>),
    /// The recipients of a merge job could not be read; nothing was stored.
    #[error("the recipients could not be read")]
    Recipients(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon refused the call.
    #[error(transparent)]
    Refused(Box<Refused>),
}

/// What the daemon said when it refused a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The gRPC status code.
    pub code: Code,
    /// The message for people.
    pub message: String,
    /// What is wrong with which field.
    pub violations: Vec<Violation>,
    /// A reason that does not change, from `google.rpc.ErrorInfo`; empty when none was given.
    pub reason: String,
    /// How long to wait before trying again, when the daemon said so.
    pub retry_after: Option<Duration>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, such as `job.to[3].address`.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub description: String,
}

impl Error {
    /// The status code; `Unavailable` when the daemon was not reached.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Endpoint(_) | Self::Access(_) | Self::Recipients(_) | Self::File { .. } => Code::InvalidArgument,
            Self::Unreachable { .. } | Self::Broken(_) => Code::Unavailable,
            Self::Refused(refused) => refused.code,
        }
    }

    /// What is wrong with which field; empty unless the daemon said so.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Refused(refused) => &refused.violations,
            _ => &[],
        }
    }

    /// Whether the same call may succeed later without a change. Repeat submissions with an idempotency key only.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.code(), Code::Unavailable | Code::ResourceExhausted | Code::Aborted)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        // A status that the daemon sent has no source; one that the transport made has.
        if status.source().is_some() {
            return Self::Broken(Box::new(status));
        }
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        Self::Refused(Box::new(Refused {
            code: status.code(),
            message: match status.code() {
                // The transport's own words, which speak of decoding.
                Code::OutOfRange if status.message().contains("message length too large") => TOO_LARGE.to_owned(),
                _ => status.message().to_owned(),
            },
            violations: violations
                .iter()
                .map(|one| Violation { field: one.field.clone(), description: one.description.clone() })
                .collect(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }))
    }
}

impl From<proto::Refusal> for Error {
    fn from(refusal: proto::Refusal) -> Self {
        let violations = refusal.violations.into_iter();
        Self::Refused(Box::new(Refused {
            code: Code::from_i32(refusal.code),
            message: refusal.message,
            violations: violations.map(|one| Violation { field: one.field, description: one.description }).collect(),
            reason: String::new(),
            retry_after: None,
        }))
    }
}

impl fmt::Display for Refused {
    /// The message, then each violation on a line of its own. Where the message begins with the first violation, that
    /// is said once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated =
            self.violations.first().is_some_and(|first| self.message.starts_with(&format!("{}: ", first.field)));
        match self.violations.as_slice() {
            [one] if repeated => write!(f, "{one}")?,
            several => {
                match self.message.as_str() {
                    _ if repeated => write!(f, "there are {} mistakes", several.len())?,
                    "" => f.write_str(self.code.description())?,
                    message => f.write_str(message)?,
                }
                several.iter().try_for_each(|violation| write!(f, "\n  {violation}"))?;
            }
        }
        if let Some(wait) = self.retry_after {
            write!(f, "\n  try again in {wait:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_shows_each_field_on_its_own_line() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("job.to[3].address", "has no @");
        details.add_bad_request_violation("job.account_id", "no account has this name");
        details.set_retry_info(Some(Duration::from_secs(2)));
        details.set_error_info("WRONG", "hikyaku", std::collections::HashMap::new());
        let error = Error::from(Status::with_error_details(Code::InvalidArgument, "the job is refused", details));
        assert_eq!(
            error.to_string(),
            "the job is refused\n  job.to[3].address: has no @\n  job.account_id: no account has this name\n  \
             try again in 2s"
        );
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.violations().len(), 2);
        let Error::Refused(refused) = error else { panic!("{error:?}") };
        assert_eq!(refused.reason, "WRONG");
    }

    #[test]
    fn a_mistake_that_the_message_names_is_shown_once() {
        let shown = |message: &str, fields: &[&str]| {
            let mut details = ErrorDetails::new();
            fields.iter().for_each(|field| {
                details.add_bad_request_violation(*field, "is bad");
            });
            Error::from(Status::with_error_details(Code::InvalidArgument, message, details)).to_string()
        };
        assert_eq!(shown("a: is bad", &["a"]), "a: is bad");
        assert_eq!(
            shown("a: is bad (and 1 more mistakes)", &["a", "b"]),
            "there are 2 mistakes\n  a: is bad\n  b: is bad"
        );
    }

    #[test]
    fn a_status_of_the_transport_is_a_broken_connection() {
        let error = Error::from(Status::from_error(Box::new(std::io::Error::other("reset"))));
        assert!(matches!(error, Error::Broken(_)), "{error:?}");
        assert!(error.is_passing());
    }

    #[test]
    fn a_refusal_within_a_stream_reads_like_a_status() {
        let violations = vec![proto::FieldViolation {
            field: "job.to[0].address".to_owned(),
            description: "has no @".to_owned(),
            recipient: Some(0),
        }];
        let error = Error::from(proto::Refusal { code: 3, message: "the job is refused".to_owned(), violations });
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.to_string(), "the job is refused\n  job.to[0].address: has no @");
    }
}
