//! How does a proxy connect us to a server: SOCKS5 (RFC 1928) or HTTP CONNECT (RFC 9110 9.3.6)?
//!
//! It is dialled like any other server and then asked for the one that is meant, whose name it resolves. What follows on
//! the stream, TLS included, is between us and that server.

use std::{io, net::IpAddr, num::NonZeroU16, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};
use tokio_socks::{Error as SocksError, tcp::Socks5Stream};
use zeroize::Zeroizing;

use super::{Dial, DialCause, DialError, DialPhase, LIMIT_SECONDS_MAX, Stream};
use crate::{
    domain::account::{Credentials, Host, Proxy, ProxyKind},
    wire::{
        steps::{self, Dialogue, StepName},
        tls::is_hang_up,
    },
};

/// Longest head of a response to CONNECT, in bytes.
const HEAD_BYTES_MAX: usize = 16_384;
/// Most bytes of a status line that are shown.
const STATUS_BYTES_MAX: usize = 200;

/// A server, and the way to it.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The server's name or IP address.
    pub host: &'a Host,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// The proxy in between.
    pub proxy: Option<&'a Proxy>,
    /// How long it may take until the stream is open, all told.
    pub limit: Duration,
}

/// Why a proxy did not connect us.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFailure {
    /// There is no way to the proxy itself.
    #[error("the proxy cannot be reached: {0}")]
    Unreachable(Box<DialError>),
    /// It does not accept our name and password, or wants some; its words.
    #[error("the proxy does not accept the sign-in: {0}")]
    SignInRefused(String),
    /// It cannot connect to the server, or may not; its words.
    #[error("the proxy does not connect to the server: {0}")]
    Refused(String),
    /// It did not answer in time.
    #[error("the proxy did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It closed the connection.
    #[error("the proxy closed the connection")]
    Closed,
    /// The system's word on the connection to it.
    #[error("the connection to the proxy failed: {0}")]
    Io(io::Error),
    /// It does not speak as a proxy of its kind; what it said, or what is wrong with that.
    #[error("the proxy does not speak {kind}: {said}")]
    Garbled {
        /// What it should speak.
        kind: &'static str,
        /// What it said.
        said: String,
    },
}

/// Opens a stream to a server, through its proxy if it has one.
///
/// # Errors
/// When the server or the proxy cannot be reached, or the proxy does not connect us, in time.
pub async fn reach(dial: &dyn Dial, route: Route<'_>) -> Result<Box<dyn Stream>, DialError> {
    let Route { host, port, proxy, limit } = route;
    let Some(proxy) = proxy else {
        return dial.dial(host, port, limit).await;
    };
    let failed = |failure| DialError { phase: DialPhase::Proxy, cause: DialCause::Proxy(failure) };
    let deadline = Instant::now() + limit.min(Duration::from_secs(LIMIT_SECONDS_MAX));
    let stream = dial.dial(&proxy.host, proxy.port, limit).await;
    let stream = stream.map_err(|error| failed(ProxyFailure::Unreachable(Box::new(error))))?;
    let through = async {
        match proxy.kind {
            ProxyKind::Socks5 => by_socks5(stream, proxy, host, port).await,
            ProxyKind::HttpConnect => by_connect(stream, proxy, host, port).await,
        }
    };
    let step = steps::begin(StepName::Proxy);
    let through = timeout_at(deadline, through).await.unwrap_or_else(|_| Err(ProxyFailure::TimedOut(limit)));
    step.end(Dialogue::default(), through.as_ref().map(|_| format!("by {}:{}", proxy.host, proxy.port)));
    through.map_err(failed)
}

async fn by_socks5(
    stream: Box<dyn Stream>,
    proxy: &Proxy,
    host: &Host,
    port: NonZeroU16,
) -> Result<Box<dyn Stream>, ProxyFailure> {
    let target = (host.as_str(), port.get());
    let connected = match &proxy.credentials {
        None => Socks5Stream::connect_with_socket(stream, target).await,
        Some(Credentials { user, password }) => {
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password.expose()).await
        }
    };
    match connected {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => Err(of_socks(error)),
    }
}

fn of_socks(error: SocksError) -> ProxyFailure {
    use SocksError as E;
    match error {
        E::Io(error) => of_io(error),
        E::PasswordAuthFailure(_) | E::NoAcceptableAuthMethods | E::AuthorizationRequired | E::InvalidAuthValues(_) => {
            ProxyFailure::SignInRefused(error.to_string())
        }
        E::GeneralSocksServerFailure
        | E::ConnectionNotAllowedByRuleset
        | E::NetworkUnreachable
        | E::HostUnreachable
        | E::ConnectionRefused
        | E::TtlExpired
        | E::CommandNotSupported
        | E::AddressTypeNotSupported
        | E::UnknownError => ProxyFailure::Refused(error.to_string()),
        other => ProxyFailure::Garbled { kind: "SOCKS5", said: other.to_string() },
    }
}

fn of_io(error: io::Error) -> ProxyFailure {
    if is_hang_up(error.kind()) { ProxyFailure::Closed } else { ProxyFailure::Io(error) }
}

async fn by_connect(
    mut stream: Box<dyn Stream>,
    proxy: &Proxy,
    host: &Host,
    port: NonZeroU16,
) -> Result<Box<dyn Stream>, ProxyFailure> {
    let request = Zeroizing::new(connect_request(proxy, host, port));
    stream.write_all(request.as_bytes()).await.map_err(of_io)?;
    stream.flush().await.map_err(of_io)?;
    let status = status_line(&head(&mut stream).await?)?;
    // RFC 9110 15: the second word is the code. RFC 9110 9.3.6: any 2xx means that the stream is the server's now.
    match status.split(' ').nth(1) {
        Some(code) if code.len() == 3 && code.starts_with('2') => Ok(stream),
        // RFC 9110 15.5.8 wants 407; some proxies answer as a server does.
        Some("401" | "407") => Err(ProxyFailure::SignInRefused(status)),
        _ => Err(ProxyFailure::Refused(status)),
    }
}

fn connect_request(proxy: &Proxy, host: &Host, port: NonZeroU16) -> String {
    let is_ipv6 = matches!(host.as_str().parse(), Ok(IpAddr::V6(_)));
    let authority = if is_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(Credentials { user, password }) = &proxy.credentials {
        // RFC 7617 2.
        let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&encoded);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}

/// The head of the response, and not a byte of what follows: that may be the server's greeting.
async fn head(stream: &mut Box<dyn Stream>) -> Result<Vec<u8>, ProxyFailure> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == HEAD_BYTES_MAX {
            let said = format!("a head of more than {HEAD_BYTES_MAX} bytes");
            return Err(ProxyFailure::Garbled { kind: "HTTP", said });
        }
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            // What it said without an end is worth more than that it left.
            Err(error) if head.is_empty() => return Err(of_io(error)),
            Err(_) => break,
        }
    }
    Ok(head)
}

fn status_line(head: &[u8]) -> Result<String, ProxyFailure> {
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = String::from_utf8_lossy(&line[..line.len().min(STATUS_BYTES_MAX)]).into_owned();
    if shown.starts_with("HTTP/1.") {
        Ok(shown)
    } else {
        Err(ProxyFailure::Garbled { kind: "HTTP", said: format!("{shown:?}") })
    }
}

#[cfg(test)]
mod tests;
