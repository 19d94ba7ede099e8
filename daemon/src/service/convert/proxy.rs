//! The proxy of a server on the wire. Its password goes in and never comes out.

use std::num::NonZeroU16;

use hikyaku_proto::v1;

use super::{
    secrets::{required_secret, to_secret},
    values::{one_line, parse, to_port},
    violations::Violations,
};
use crate::domain::account::{Credentials, Host, Proxy, ProxyKind};

/// Longest name and longest password, in bytes (RFC 1929 2).
const CREDENTIAL_BYTES_MAX: usize = 255;
const PORT_SOCKS: u16 = 1_080;
const PORT_HTTP: u16 = 3_128;

/// A proxy on the wire, without its password.
pub(super) fn from_proxy(proxy: &Proxy) -> v1::Proxy {
    let kind = match proxy.kind {
        ProxyKind::Socks5 => v1::ProxyKind::Socks5,
        ProxyKind::HttpConnect => v1::ProxyKind::HttpConnect,
    };
    v1::Proxy {
        kind: kind.into(),
        host: proxy.host.as_str().to_owned(),
        port: proxy.port.get().into(),
        user: proxy.credentials.as_ref().map(|credentials| credentials.user.clone()).unwrap_or_default(),
        password: String::new(),
    }
}

/// The proxy of the server at `at` that a caller sent; an empty password is the `stored` one.
pub(super) fn to_proxy(
    wire: v1::Proxy,
    stored: Option<&Proxy>,
    at: &str,
    violations: &mut Violations,
) -> Option<Proxy> {
    let at = format!("{at}.proxy");
    let kind = match v1::ProxyKind::try_from(wire.kind) {
        Ok(v1::ProxyKind::Socks5) => Some(ProxyKind::Socks5),
        Ok(v1::ProxyKind::HttpConnect) => Some(ProxyKind::HttpConnect),
        Ok(v1::ProxyKind::Unspecified) | Err(_) => {
            violations.add(format_args!("{at}.kind"), "must be SOCKS5 or HTTP_CONNECT");
            None
        }
    };
    let host = parse::<Host>(&wire.host, format_args!("{at}.host"), violations);
    let port = to_port(wire.port, &at, violations);
    if kind == Some(ProxyKind::HttpConnect) && wire.user.contains(':') {
        // RFC 7617 2.
        violations.add(format_args!("{at}.user"), "cannot hold a colon");
    }
    let is_same = |old: &&Proxy| host.as_ref().is_none_or(|host| old.host.as_str().eq_ignore_ascii_case(host.as_str()));
    let old = stored.filter(is_same).and_then(|proxy| proxy.credentials.as_ref());
    let credentials = to_credentials(wire.user, wire.password, old, &at, violations);
    let usual = match kind? {
        ProxyKind::Socks5 => PORT_SOCKS,
        ProxyKind::HttpConnect => PORT_HTTP,
    };
    Some(Proxy { kind: kind?, host: host?, port: port?.or(NonZeroU16::new(usual))?, credentials: credentials? })
}

fn to_credentials(
    user: String,
    password: String,
    stored: Option<&Credentials>,
    at: &str,
    violations: &mut Violations,
) -> Option<Option<Credentials>> {
    let field = format!("{at}.password");
    if user.is_empty() {
        let password = to_secret(password, None, CREDENTIAL_BYTES_MAX, &field, violations)?;
        if password.is_some() {
            violations.add(format_args!("{at}.user"), "is required with a password");
            return None;
        }
        return Some(None);
    }
    let old = stored.map(|credentials| &credentials.password);
    let password = required_secret(password, old, CREDENTIAL_BYTES_MAX, field, violations);
    let user = one_line(user, CREDENTIAL_BYTES_MAX, format_args!("{at}.user"), violations);
    Some(Some(Credentials { user: user?, password: password? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    fn wire(kind: v1::ProxyKind, user: &str, password: &str) -> v1::Proxy {
        v1::Proxy { kind: kind.into(), host: "proxy".into(), port: 0, user: user.into(), password: password.into() }
    }

    #[track_caller]
    fn check(wire: v1::Proxy, stored: Option<&Proxy>, expected: Result<(u16, Option<&str>), &[&str]>) {
        let mut violations = Violations::default();
        let read = to_proxy(wire, stored, "s", &mut violations);
        let read = violations.finish(read).map(|proxy| {
            (proxy.port.get(), proxy.credentials.map(|credentials| credentials.password.expose().clone()))
        });
        let read = read.map_err(|found| found.into_iter().map(|one| one.field).collect::<Vec<_>>());
        let expected = expected.map(|(port, password)| (port, password.map(str::to_owned)));
        assert_eq!(read, expected.map_err(|fields| fields.iter().map(|field| format!("s.proxy.{field}")).collect()));
    }

    #[test]
    fn each_mistake_of_a_proxy_is_told_and_an_empty_password_kept() {
        use v1::ProxyKind::{HttpConnect, Socks5, Unspecified};
        let stored = Proxy {
            kind: ProxyKind::Socks5,
            host: "proxy".parse().expect("a host"),
            port: NonZeroU16::MIN,
            credentials: Some(Credentials { user: "u".into(), password: Secret::new("old".into()) }),
        };
        check(wire(Socks5, "", ""), None, Ok((1_080, None)));
        check(wire(HttpConnect, "", ""), Some(&stored), Ok((3_128, None)));
        check(wire(HttpConnect, "u", "new"), Some(&stored), Ok((3_128, Some("new"))));
        check(wire(Socks5, "u", ""), Some(&stored), Ok((1_080, Some("old"))));
        check(wire(Socks5, "u", ""), None, Err(&["password"]));
        check(wire(Socks5, "", "p"), None, Err(&["user"]));
        check(wire(Socks5, "u:v", "p"), None, Ok((1_080, Some("p"))));
        check(wire(HttpConnect, "u:v", "p"), None, Err(&["user"]));
        check(wire(Unspecified, "u", "p"), None, Err(&["kind"]));
        check(wire(Socks5, "u", &"p".repeat(256)), None, Err(&["password"]));
        check(wire(Socks5, &"u".repeat(256), "p"), None, Err(&["user"]));
        check(v1::Proxy { port: 65_536, ..wire(Socks5, "u", "p") }, None, Err(&["port"]));
        check(v1::Proxy { host: "a b".into(), ..wire(Socks5, "u", "p") }, None, Err(&["host"]));
    }
}
