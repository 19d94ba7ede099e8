//! How a command ends: its exit code, and what it says on stderr.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use hikyaku_client::{Code, Error};
use serde::Serialize;

use super::escape::{escape_json, escape_lines};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The daemon refused, or something on this host failed.
    Other(anyhow::Error),
    /// The daemon could not be reached, or said no; the error tells which.
    Call(Error),
    /// Whoever read the output has left.
    PipeClosed,
}

/// Refused or failed.
pub(crate) const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_UNREACHABLE: u8 = 3;

/// Without a cause, a message that names the value and says what to do.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    Failure::Usage(message.into())
}

impl Failure {
    /// Says on stderr what went wrong and gives the exit code: 1 refused or failed, 2 usage, 3 cannot connect.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let code = self.code();
        if matches!(self, Self::PipeClosed) {
            return ExitCode::SUCCESS;
        }
        let text = if json { self.json() } else { self.text() };
        // There is nobody left to tell when stderr is closed too.
        let _ = writeln!(io::stderr().lock(), "{text}");
        ExitCode::from(code)
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Call(Error::Endpoint(_) | Error::Access(_)) => EXIT_USAGE,
            Self::Call(Error::Unreachable { .. } | Error::Broken(_)) => EXIT_UNREACHABLE,
            Self::Call(Error::Refused(_) | Error::Recipients(_) | Error::File { .. }) | Self::Other(_) => EXIT_FAILED,
            Self::PipeClosed => 0,
        }
    }

    /// Whether the next call may go well all the same: the daemon refused this one, or what it needs is not there.
    pub(crate) fn is_of_one_call(&self) -> bool {
        matches!(self, Self::Other(_) | Self::Call(Error::Refused(_)))
    }

    /// What went wrong, as it stands on stderr but not yet escaped.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Usage(message) => message.clone(),
            Self::Other(error) => format!("{error:#}"),
            Self::Call(error @ Error::Unreachable { .. }) => format!(
                "{}; is it running, and may you use it? Name another with --endpoint or HIKYAKU_ENDPOINT",
                with_causes(error)
            ),
            Self::Call(error) if error.code() == Code::Unauthenticated => {
                format!("{}; give the API key in --api-key-file or HIKYAKU_API_KEY", with_causes(error))
            }
            Self::Call(error) => with_causes(error),
            Self::PipeClosed => String::new(),
        }
    }

    fn text(&self) -> String {
        let message = self.message();
        let lines: Vec<_> = escape_lines(&message).collect();
        format!("hikyaku: {}", lines.join("\n"))
    }

    /// What went wrong, for JSON.
    pub(crate) fn view(&self) -> FailureView {
        match self {
            Self::Call(error) => FailureView::of(error),
            Self::Usage(message) => FailureView::bare("USAGE", message.clone()),
            _ => FailureView::bare("FAILED", self.message()),
        }
    }

    fn json(&self) -> String {
        let json = serde_json::to_string(&serde_json::json!({ "error": self.view() })).unwrap_or_default();
        escape_json(&json).into_owned()
    }
}

/// A refusal as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct FailureView {
    code: String,
    message: String,
    reason: Option<String>,
    violations: Vec<ViolationView>,
}

#[derive(Debug, Serialize)]
struct ViolationView {
    field: String,
    description: String,
}

impl FailureView {
    fn bare(code: &str, message: String) -> Self {
        Self { code: code.to_owned(), message, reason: None, violations: vec![] }
    }

    /// How a call's error looks as JSON.
    pub(crate) fn of(error: &Error) -> Self {
        let (message, reason) = match error {
            Error::Refused(refused) => {
                (refused.message.clone(), Some(refused.reason.clone()).filter(|reason| !reason.is_empty()))
            }
            other => (with_causes(other), None),
        };
        let violations = error.violations().iter();
        let violations = violations
            .map(|one| ViolationView { field: one.field.clone(), description: one.description.clone() })
            .collect();
        Self { code: code_name(error.code()).to_owned(), message, reason, violations }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<io::Error> for Failure {
    /// Only output is written through bare [`io::Error`]s; whoever reads a file adds its name.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::PipeClosed;
        }
        Self::Other(anyhow::Error::from(error).context("cannot write the output"))
    }
}

/// The message and those of its causes that add something.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !words.is_empty() && !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_left_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(failure, Failure::PipeClosed));
        assert!(matches!(Failure::from(io::Error::other("full")), Failure::Other(_)));
    }

    #[test]
    fn messages_cannot_steer_the_terminal() {
        assert_eq!(usage("bad \u{1b}[2J").text(), "hikyaku: bad \\u{1b}[2J");
    }

    #[test]
    fn failures_as_json_are_one_object() {
        let json: serde_json::Value = serde_json::from_str(&usage("bad").json()).unwrap();
        assert_eq!(json["error"]["message"], "bad");
        assert_eq!(json["error"]["code"], "USAGE");
    }
}
