//! Mail addresses that are safe to put on the wire.

use std::{fmt, str::FromStr, sync::Arc};

/// Longest local part, in octets (RFC 5321 4.5.3.1.1).
pub const LOCAL_PART_BYTES_MAX: usize = 64;
/// Longest domain, in octets (RFC 5321 4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Longest address, in octets: a path of 256 less its angle brackets (RFC 5321 4.5.3.1.3).
pub const ADDRESS_BYTES_MAX: usize = 254;

/// An address in the strict syntax of RFC 5321 4.1.2 with the UTF-8 of RFC 6531: a dot-string or a quoted string, `@`,
/// and a domain name or an address literal. It holds no control character, so it cannot inject a line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: Arc<str>,
    at: u8,
}

impl Address {
    /// The address as it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// Whether it needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_internationalized(&self) -> bool {
        !self.text.is_ascii()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// There is no `@`.
    #[error("has no @")]
    NoAt,
    /// The whole is longer than [`ADDRESS_BYTES_MAX`].
    #[error("is longer than 254 bytes")]
    TooLong,
    /// The local part is empty, too long, or has a character or a dot where none may stand.
    #[error(
        "has a bad local part: 1 to 64 bytes of letters, digits and !#$%&'*+-/=?^_`{{|}}~, with single dots between"
    )]
    LocalPart,
    /// The domain is empty, too long, or not made of labels of letters, digits and inner hyphens.
    #[error("has a bad domain: labels of 1 to 63 letters, digits and inner hyphens, joined by dots")]
    Domain,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(BadAddress::NoAt)?;
        if local.len() > LOCAL_PART_BYTES_MAX || !(is_dot_string(local) || is_quoted_string(local)) {
            return Err(BadAddress::LocalPart);
        }
        if domain.len() > DOMAIN_BYTES_MAX || !(is_domain(domain) || is_address_literal(domain)) {
            return Err(BadAddress::Domain);
        }
        let at = u8::try_from(local.len()).map_err(|_| BadAddress::LocalPart)?;
        Ok(Self { text: text.into(), at })
    }
}

/// Dot-string = Atom *("." Atom).
fn is_dot_string(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5322 atext, widened by RFC 6531 to all printable characters beyond ASCII.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_printable_beyond_ascii(c)
}

fn is_printable_beyond_ascii(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace()
}

/// Quoted-string = DQUOTE *(qtext / quoted-pair) DQUOTE.
fn is_quoted_string(local: &str) -> bool {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return false;
    };
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let valid = match c {
            '\\' => chars.next().is_some_and(|next| matches!(next, ' '..='~')),
            '"' => false,
            c => matches!(c, ' '..='~') || is_printable_beyond_ascii(c),
        };
        if !valid {
            return false;
        }
    }
    true
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || is_printable_beyond_ascii(c))
    })
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3).
fn is_address_literal(domain: &str) -> bool {
    let Some(inner) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return false;
    };
    match inner.strip_prefix("IPv6:") {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => inner.parse::<std::net::Ipv4Addr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), BadAddress>) {
        let parsed = text.parse::<Address>();
        let parts = parsed.as_ref().map(|a| (a.local_part(), a.domain())).map_err(|e| *e);
        assert_eq!(parts, expected, "{text:?}");
    }

    #[test]
    fn ordinary_addresses_are_kept_as_written() {
        check("taro@example.jp", Ok(("taro", "example.jp")));
        check("Taro+tag@Example.JP", Ok(("Taro+tag", "Example.JP")));
        check("o'brien/x@mail.example", Ok(("o'brien/x", "mail.example")));
        check("root@localhost", Ok(("root", "localhost")));
        check("太郎@例え.jp", Ok(("太郎", "例え.jp")));
        check("\"a b\"@example.jp", Ok(("\"a b\"", "example.jp")));
        check("\"a@b\"@example.jp", Ok(("\"a@b\"", "example.jp")));
        check("\"a\\\"b\"@example.jp", Ok(("\"a\\\"b\"", "example.jp")));
        check("x@[192.0.2.1]", Ok(("x", "[192.0.2.1]")));
        check("x@[IPv6:2001:db8::1]", Ok(("x", "[IPv6:2001:db8::1]")));
    }

    #[test]
    fn what_could_break_the_dialogue_is_refused() {
        check("nobody", Err(BadAddress::NoAt));
        check("", Err(BadAddress::NoAt));
        check("@example.jp", Err(BadAddress::LocalPart));
        check("a..b@example.jp", Err(BadAddress::LocalPart));
        check(".a@example.jp", Err(BadAddress::LocalPart));
        check("a b@example.jp", Err(BadAddress::LocalPart));
        check("a\r\nDATA@example.jp", Err(BadAddress::LocalPart));
        check("\"a\r\nb\"@example.jp", Err(BadAddress::LocalPart));
        check("\"a\0b\"@example.jp", Err(BadAddress::LocalPart));
        check("a>b@example.jp", Err(BadAddress::LocalPart));
        check("a@", Err(BadAddress::Domain));
        check("a@-x.jp", Err(BadAddress::Domain));
        check("a@x..jp", Err(BadAddress::Domain));
        check("a@x.jp\r\n", Err(BadAddress::Domain));
        check("a@x.jp>", Err(BadAddress::Domain));
        check("a@[999.0.0.1]", Err(BadAddress::Domain));
        check(&format!("{}@x.jp", "a".repeat(65)), Err(BadAddress::LocalPart));
        check(&format!("a@{}", "x".repeat(300)), Err(BadAddress::TooLong));
    }
}
