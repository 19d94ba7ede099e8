//! Secrets that callers send: they go in and never come out, an empty one keeps what is stored, and none crosses an
//! unencrypted connection unasked.

use std::fmt::Display;

use super::{values::one_line, violations::Violations};
use crate::domain::{account::Encryption, secret::Secret};

/// Longest user name of a mail server, in bytes.
const USER_BYTES_MAX: usize = 320;
/// Longest password of a mail server, in bytes.
pub(super) const PASSWORD_BYTES_MAX: usize = 1_024;

/// A user name that a caller has to send.
pub(super) fn to_user(user: String, at: &str, violations: &mut Violations) -> Option<String> {
    if user.is_empty() {
        violations.add(format_args!("{at}.user"), "is required");
        return None;
    }
    one_line(user, USER_BYTES_MAX, format_args!("{at}.user"), violations)
}

/// A secret of one line, the `stored` one when none was given, or nothing when there is neither.
pub(super) fn to_secret(
    given: String,
    stored: Option<&Secret<String>>,
    bytes_max: usize,
    at: impl Display,
    violations: &mut Violations,
) -> Option<Option<Secret<String>>> {
    let given = Secret::new(given);
    let text = given.expose();
    if text.is_empty() {
        return Some(stored.cloned());
    }
    // RFC 4616 2 forbids NUL in PLAIN, and a line break can be typed nowhere.
    if text.len() > bytes_max || text.chars().any(char::is_control) {
        violations.add(at, format_args!("must be at most {bytes_max} bytes without control characters"));
        return None;
    }
    Some(Some(given))
}

/// A secret of one line that must be given or stored.
pub(super) fn required_secret(
    given: String,
    stored: Option<&Secret<String>>,
    bytes_max: usize,
    at: impl Display,
    violations: &mut Violations,
) -> Option<Secret<String>> {
    let secret = to_secret(given, stored, bytes_max, &at, violations)?;
    if secret.is_none() {
        violations.add(at, "is required: none is stored for this server");
    }
    secret
}

/// Notes a secret that would cross the network unencrypted although the message at `at` does not allow that.
pub(super) fn check_crossing(
    encryption: Option<Encryption>,
    allow_plaintext: bool,
    at: impl Display,
    violations: &mut Violations,
) {
    if encryption == Some(Encryption::None) && !allow_plaintext {
        violations.add(
            format_args!("{at}.allow_plaintext"),
            "must be set when the server's encryption is NONE: the secret would cross the network unencrypted",
        );
    }
}
