//! Where the daemon listens: the text form of an endpoint, checked.

use std::{fmt, path::PathBuf, str::FromStr};

use tonic::transport::Uri;

/// Where a daemon listens.
///
/// Its text is `unix:/run/hikyaku/hikyaku.sock`, `http://127.0.0.1:7725` or `https://mail.example.jp:7725`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket on this host.
    Unix(PathBuf),
    /// TCP in the clear; meant for loopback.
    Http(Uri),
    /// TCP with TLS.
    Https(Uri),
}

impl Endpoint {
    /// Where a daemon that runs as a service has its socket.
    pub const SERVICE_SOCKET: &str = "/run/hikyaku/hikyaku.sock";

    /// The socket of this host's daemon: the service's if it is there, else that of a daemon which the person whose
    /// environment this is started without a configuration. `variable` looks an environment variable up.
    #[must_use]
    pub fn of_this_host(variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let service = PathBuf::from(Self::SERVICE_SOCKET);
        if service.exists() {
            return Self::Unix(service);
        }
        let folder = |name: &str| variable(name).filter(|path| path.is_absolute());
        let own = folder("XDG_RUNTIME_DIR")
            .or_else(|| folder("XDG_STATE_HOME"))
            .or_else(|| folder("HOME").map(|home| home.join(".local/state")));
        Self::Unix(own.map_or(service, |own| own.join("hikyaku/hikyaku.sock")))
    }

    /// Whether what is sent there stays on this host or is encrypted, so that a key may go with it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Https(_) => true,
            Self::Http(uri) => uri.host().is_some_and(is_loopback),
        }
    }
}

/// [`Endpoint::of_this_host`] in this process's environment.
impl Default for Endpoint {
    fn default() -> Self {
        Self::of_this_host(|name| std::env::var_os(name).map(PathBuf::from))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(uri) | Self::Https(uri) => f.write_str(uri.to_string().trim_end_matches('/')),
        }
    }
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not an endpoint: {wrong}; write unix:/path/to/socket, http://127.0.0.1:PORT or https://HOST:PORT"
)]
pub struct EndpointError {
    text: String,
    wrong: &'static str,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let error = |wrong| EndpointError { text: text.to_owned(), wrong };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') {
                Ok(Self::Unix(PathBuf::from(path)))
            } else {
                Err(error("the socket's path is not absolute"))
            };
        }
        let uri: Uri = text.parse().map_err(|_| error("it is not a URL"))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(error("it names no host"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(error("it has a path"));
        }
        match uri.scheme_str() {
            Some("http") => Ok(Self::Http(uri)),
            Some("https") => Ok(Self::Https(uri)),
            _ => Err(error("it begins with neither unix:, http:// nor https://")),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (text.parse::<Endpoint>(), expected) {
            (Ok(endpoint), Ok(shown)) => assert_eq!(endpoint.to_string(), shown),
            (Err(error), Err(wrong)) => assert_eq!(error.wrong, wrong),
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    #[test]
    fn a_persons_own_daemon_is_found_where_it_listens() {
        let at = |variables: &'static [(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, path)| PathBuf::from(path));
            Endpoint::of_this_host(find).to_string()
        };
        if PathBuf::from(Endpoint::SERVICE_SOCKET).exists() {
            return;
        }
        assert_eq!(at(&[]), "unix:/run/hikyaku/hikyaku.sock");
        assert_eq!(at(&[("HOME", "/home/a")]), "unix:/home/a/.local/state/hikyaku/hikyaku.sock");
        let both = at(&[("HOME", "/home/a"), ("XDG_RUNTIME_DIR", "/run/user/1")]);
        assert_eq!(both, "unix:/run/user/1/hikyaku/hikyaku.sock");
    }

    #[test]
    fn endpoints_are_sockets_or_urls_without_a_path() {
        check("unix:/run/hikyaku/hikyaku.sock", Ok("unix:/run/hikyaku/hikyaku.sock"));
        check("unix:///tmp/h.sock", Ok("unix:/tmp/h.sock"));
        check("http://127.0.0.1:7725", Ok("http://127.0.0.1:7725"));
        check("https://mail.example.jp:7725/", Ok("https://mail.example.jp:7725"));
        check("unix:h.sock", Err("the socket's path is not absolute"));
        check("http://127.0.0.1:7725/v1", Err("it has a path"));
        check("ftp://example.jp", Err("it begins with neither unix:, http:// nor https://"));
        check("127.0.0.1:7725", Err("it begins with neither unix:, http:// nor https://"));
        check("", Err("it is not a URL"));
    }

    #[test]
    fn only_sockets_loopback_and_tls_are_private() {
        let private = |text: &str| text.parse::<Endpoint>().unwrap().is_private();
        assert!(private("unix:/tmp/h.sock"));
        assert!(private("http://127.0.0.1:1"));
        assert!(private("http://[::1]:1"));
        assert!(private("http://localhost:1"));
        assert!(private("https://mail.example.jp"));
        assert!(!private("http://mail.example.jp"));
        assert!(!private("http://10.0.0.1:7725"));
    }
}
