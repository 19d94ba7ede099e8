//! How is a stream to a server opened? The one place that a simulator replaces.

use std::{
    fmt::{self, Debug},
    io,
    net::SocketAddr,
    num::NonZeroU16,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::steps::{self, Dialogue, StepName};
use crate::domain::account::Host;

mod proxy;

pub use self::proxy::{ProxyFailure, Route, reach};
pub use super::stream::Stream;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;
/// The longest limit that is honoured: a day.
const LIMIT_SECONDS_MAX: u64 = 86_400;

/// Opens streams to servers; [`reach`] goes through proxies by means of it.
#[async_trait]
pub trait Dial: Send + Sync + Debug {
    /// Opens a stream to a server within `limit`, all told.
    ///
    /// # Errors
    /// When the name has no address, or none of its addresses takes the connection in time.
    async fn dial(&self, host: &Host, port: NonZeroU16, limit: Duration) -> Result<Box<dyn Stream>, DialError>;
}

/// Why no stream was opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot {phase}: {cause}")]
pub struct DialError {
    /// How far it came.
    pub phase: DialPhase,
    /// What was met.
    pub cause: DialCause,
}

/// The steps of opening a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialPhase {
    /// Finding the server's addresses.
    Resolve,
    /// Connecting to one of them.
    Connect,
    /// Being connected by the proxy, if there is one.
    Proxy,
}

/// What kept a stream from being opened.
#[derive(Debug, thiserror::Error)]
pub enum DialCause {
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The name exists and has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The system's word for it; of the last address when several were tried.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What was met at the proxy.
    #[error(transparent)]
    Proxy(ProxyFailure),
}

impl fmt::Display for DialPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Proxy => "get through the proxy",
        })
    }
}

/// Opens TCP connections through the system's resolver, with Nagle's algorithm off.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDialer;

#[async_trait]
impl Dial for TcpDialer {
    async fn dial(&self, host: &Host, port: NonZeroU16, limit: Duration) -> Result<Box<dyn Stream>, DialError> {
        let deadline = Instant::now() + limit.min(Duration::from_secs(LIMIT_SECONDS_MAX));
        let failed = |phase, cause| DialError { phase, cause };

        let step = steps::begin(StepName::Resolve);
        let found = match timeout_at(deadline, lookup_host((host.as_str(), port.get()))).await {
            Ok(Ok(found)) => Ok(found.take(ADDRESSES_MAX).collect::<Vec<_>>()),
            Ok(Err(error)) => Err(failed(DialPhase::Resolve, error.into())),
            Err(_) => Err(failed(DialPhase::Resolve, DialCause::TimedOut(limit))),
        };
        step.end(Dialogue::default(), found.as_ref().map(|addresses| Shown(addresses)));
        let addresses = found?;

        let mut last = failed(DialPhase::Resolve, DialCause::NoAddress);
        if addresses.is_empty() {
            return Err(last);
        }
        let step = steps::begin(StepName::Connect);
        for (tried, address) in addresses.iter().enumerate() {
            // An address that swallows packets gets its share of the time, and not that of the others.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(|e| failed(DialPhase::Connect, e.into()))?;
                    step.end(Dialogue::default(), Ok::<_, &str>(address));
                    return Ok(Box::new(stream));
                }
                Ok(Err(error)) => last = failed(DialPhase::Connect, error.into()),
                Err(_) => last = failed(DialPhase::Connect, DialCause::TimedOut(limit)),
            }
        }
        step.end(Dialogue::default(), Err::<&str, _>(&last.cause));
        Err(last)
    }
}

/// The addresses of a name, for people.
struct Shown<'a>(&'a [SocketAddr]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", address.ip())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_listening_port_is_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = NonZeroU16::new(listener.local_addr().expect("bound").port()).expect("not zero");
        let host = "127.0.0.1".parse().expect("a host");
        let (dialled, accepted) = tokio::join!(TcpDialer.dial(&host, port, LIMIT), listener.accept());
        assert!(dialled.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn a_closed_port_fails_to_connect() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = NonZeroU16::new(listener.local_addr().expect("bound").port()).expect("not zero");
        drop(listener);
        let error = TcpDialer.dial(&"127.0.0.1".parse().expect("a host"), port, LIMIT).await.expect_err("refused");
        assert_eq!(error.phase, DialPhase::Connect);
        assert!(error.to_string().starts_with("cannot connect: "), "{error}");
    }
}
