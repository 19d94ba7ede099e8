//! Names of hosts: those that are dialled, and the one we give of ourselves.

use std::{fmt, str::FromStr};

/// A host name or IP address that is safe to resolve and to put into a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(String);

/// The name we give in EHLO: a domain name or an address literal (RFC 5321 4.1.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EhloName(String);

/// A text that is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a host name (labels of 1 to 63 letters, digits and inner hyphens, at most 253 bytes) or an IP address"
)]
pub struct BadHost;

impl Host {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EhloName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let valid = text.parse::<std::net::IpAddr>().is_ok() || is_host_name(text);
        valid.then(|| Self(text.to_owned())).ok_or(BadHost)
    }
}

impl FromStr for EhloName {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_literal = literal.is_some_and(|inner| {
            let address = inner.strip_prefix("IPv6:").unwrap_or(inner);
            address.parse::<std::net::IpAddr>().is_ok()
        });
        (is_literal || is_host_name(text)).then(|| Self(text.to_owned())).ok_or(BadHost)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_ip_addresses() {
        for good in ["smtp.example.jp", "localhost", "127.0.0.1", "::1", "my_host"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "-x", "x\r\n", "a..b", "[::1]", "smtp.example.jp:25"] {
            assert!(bad.parse::<Host>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ehlo_names_may_be_address_literals() {
        for good in ["client.example.jp", "[192.0.2.1]", "[IPv6:::1]"] {
            assert!(good.parse::<EhloName>().is_ok(), "{good}");
        }
        for bad in ["", "[x]", "a b", "a\r\nMAIL"] {
            assert!(bad.parse::<EhloName>().is_err(), "{bad:?}");
        }
    }
}
