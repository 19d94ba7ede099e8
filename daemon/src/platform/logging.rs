//! Where log lines go, and in which form.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Which lines are written, by level and module: the syntax of `tracing_subscriber`'s filters, such as
/// `info,hikyaku_daemon::delivery=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self(String::from("info"))
    }
}

impl std::str::FromStr for LogFilter {
    type Err = tracing_subscriber::filter::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::builder().parse(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Begins to write log lines to standard error. Later calls in the same process change nothing.
pub fn start(format: LogFormat, filter: &LogFilter) {
    let mut filter = EnvFilter::builder().parse_lossy(filter.as_str());
    // At its finest this library writes what it sends, passwords included.
    if let Ok(directive) = "async_imap=info".parse() {
        filter = filter.add_directive(directive);
    }
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Pretty => {
            let is_terminal = std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_ansi(is_terminal).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
    };
    // A second start within one process (tests) keeps the first subscriber.
    if started.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// A panic is a log line like any other. Those of sled on a damaged store are caught, and what follows is told there.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    tracing::error!(at, reason = panic.payload_as_str(), "panicked");
}
