//! How a proxy is written: `socks5://user@host:1080` or `http://host:3128`.

use hikyaku_client::proto::{Proxy, ProxyKind};

/// Reads a proxy; its password never stands in it.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_proxy(text: &str) -> Result<Proxy, String> {
    // The text is not repeated: people write passwords into it.
    let wrong = |what: &str| format!("{what}; write socks5://[USER@]HOST[:PORT] or http://[USER@]HOST[:PORT]");
    let (kind, rest) = text.split_once("://").ok_or_else(|| wrong("a proxy begins with socks5:// or http://"))?;
    let kind = match kind {
        "socks5" => ProxyKind::Socks5,
        "http" => ProxyKind::HttpConnect,
        _ => return Err(wrong("a proxy begins with socks5:// or http://")),
    };
    let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    if user.contains(':') {
        return Err(wrong("the password of a proxy comes from --proxy-password-file"));
    }
    let place = place.trim_end_matches('/');
    // A colon within brackets belongs to an IPv6 address.
    let (host, port) = match place.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        None => (place, 0),
        Some((host, port)) => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0);
            (host, port.ok_or_else(|| wrong("its port is from 1 to 65535"))?)
        }
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    let (user, host) = (user.to_owned(), host.to_owned());
    Ok(Proxy { kind: kind.into(), host, port: port.into(), user, password: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_a_kind_and_a_place() {
        for (text, expected) in [
            ("socks5://p", Some((ProxyKind::Socks5, "", "p", 0))),
            ("http://u@p:8080/", Some((ProxyKind::HttpConnect, "u", "p", 8_080))),
            ("socks5://[::1]:9", Some((ProxyKind::Socks5, "", "::1", 9))),
            ("socks5://[::1]", Some((ProxyKind::Socks5, "", "::1", 0))),
            ("socks5://u:hunter2@p", None),
            ("socks4://p", None),
            ("p:1080", None),
            ("http://", None),
            ("http://p:0", None),
        ] {
            let proxy = parse_proxy(text);
            let read =
                proxy.as_ref().ok().map(|proxy| (proxy.kind(), proxy.user.as_str(), proxy.host.as_str(), proxy.port));
            assert_eq!(read, expected, "{text}");
            assert!(!format!("{proxy:?}").contains("hunter2"));
        }
    }
}
