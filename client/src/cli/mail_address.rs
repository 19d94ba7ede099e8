//! Is a text an address, as far as that can be said without the account? The daemon has the last word.

/// Longest address, in bytes (RFC 5321 4.5.3.1.3).
const ADDRESS_BYTES_MAX: usize = 254;
/// Longest local part, in bytes (RFC 5321 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;
/// Longest label of a domain, in bytes (RFC 1035 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Checks the syntax of RFC 5321 4.1.2 with the letters of RFC 6531. Dots may stand anywhere in the local part: some accounts
/// send to addresses such as `a..b@docomo.ne.jp`, and whether this one does is for the daemon to say.
///
/// # Errors
/// What is wrong, as the end of a sentence that began with the address.
pub(crate) fn check_address(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > ADDRESS_BYTES_MAX {
        return Err("is longer than 254 bytes");
    }
    if text.chars().any(|letter| letter.is_control()) {
        return Err("has a control character");
    }
    if text.contains(['<', '>']) && !text.starts_with('"') {
        return Err("has angle brackets: the name has a column of its own");
    }
    let (local, domain) = text.rsplit_once('@').ok_or("has no @")?;
    if local.is_empty() || local.len() > LOCAL_BYTES_MAX {
        return Err("has no local part of 1 to 64 bytes before its @");
    }
    let is_quoted = local.starts_with('"');
    if !(is_quoted && is_quoted_string(local)
        || !is_quoted && local.chars().all(|letter| letter == '.' || is_atext(letter)))
    {
        return Err("has a character before its @ that may not stand there");
    }
    if is_domain(domain) || is_literal(domain) {
        Ok(())
    } else {
        Err("has no domain after its @: letters, digits and inner hyphens, with single dots between")
    }
}

fn is_atext(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter) || is_beyond_ascii(letter)
}

fn is_beyond_ascii(letter: char) -> bool {
    !letter.is_ascii() && !letter.is_control() && !letter.is_whitespace() && letter != char::REPLACEMENT_CHARACTER
}

fn is_quoted_string(local: &str) -> bool {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        let good = match letter {
            '"' => false,
            '\\' => letters.next().is_some_and(|quoted| matches!(quoted, ' '..='~')),
            other => matches!(other, ' '..='~') || is_beyond_ascii(other),
        };
        if !good {
            return false;
        }
    }
    true
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || is_beyond_ascii(letter))
    })
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
fn is_literal(domain: &str) -> bool {
    let Some(inner) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    match inner.strip_prefix("IPv6:") {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => inner.parse::<std::net::Ipv4Addr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_some_account_may_reach_pass() {
        for text in [
            "taro@example.jp",
            "Taro+tag@Example.JP",
            "o'brien/x@mail.example",
            "root@localhost",
            "太郎@例え.jp",
            "\"a b\"@example.jp",
            "\"a@<b>\"@example.jp",
            "\"a\\\"b\"@example.jp",
            "a..b@docomo.ne.jp",
            ".abc.@ezweb.ne.jp",
            "x@[192.0.2.1]",
            "x@[IPv6:2001:db8::1]",
        ] {
            assert_eq!(check_address(text), Ok(()), "{text}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = check_address(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn addresses_that_no_account_can_reach_are_told() {
        check("", "is empty");
        check("nobody", "no @");
        check("@example.jp", "no local part");
        check(&format!("{}@example.jp", "a".repeat(65)), "no local part");
        check(&format!("a@{}", "x.".repeat(200)), "longer than 254");
        check("Taro <taro@example.jp>", "angle brackets");
        check("a b@example.jp", "may not stand");
        check("a,b@example.jp", "may not stand");
        check("\"a\"b@example.jp", "may not stand");
        check("\"a\"b\"@example.jp", "may not stand");
        check("\"a@example.jp", "may not stand");
        check("a\r\nRCPT TO:<b@example.jp", "control character");
        check("a@", "no domain");
        check("a@-x.jp", "no domain");
        check("a@x..jp", "no domain");
        check("a@x.jp.", "no domain");
        check("a@x_y.jp", "no domain");
        check("a@b c.jp", "no domain");
        check("a@b.jp;c@d.jp", "may not stand");
        check("\u{fffd}@example.jp", "may not stand");
        check("a@[999.0.0.1]", "no domain");
        check("a@例　え.jp", "no domain");
    }
}
