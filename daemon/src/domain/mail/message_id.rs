//! How messages are named, so that others can answer them.

use std::{fmt, str::FromStr};

/// Longest Message-ID, in bytes without its angle brackets: with them and its field's name it fits on a line.
pub const MESSAGE_ID_BYTES_MAX: usize = 900;

/// A Message-ID (RFC 5322 3.6.4), as others wrote it: what real programs put there is wider than the standard, and an
/// answer has to name it as it is. It holds no space and no angle bracket, so it cannot leave its field.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// The id without its angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With angle brackets, as it stands in a header.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no Message-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a Message-ID such as <id@example.jp>: 3 to 900 printable ASCII characters with an @ and without spaces"
)]
pub struct BadMessageId;

/// With or without angle brackets.
impl FromStr for MessageId {
    type Err = BadMessageId;

    fn from_str(text: &str) -> Result<Self, BadMessageId> {
        let inner = match text.strip_prefix('<') {
            Some(rest) => rest.strip_suffix('>').ok_or(BadMessageId)?,
            None => text,
        };
        let has_sides = inner.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
        let is_safe = inner.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
        if inner.len() > MESSAGE_ID_BYTES_MAX || !has_sides || !is_safe {
            return Err(BadMessageId);
        }
        Ok(Self(inner.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, written: Option<&str>) {
        let read = text.parse::<MessageId>().ok().map(|id| id.to_string());
        assert_eq!(read.as_deref(), written, "{text:?}");
    }

    #[test]
    fn ids_are_kept_as_their_writers_spelt_them() {
        check("<a@example.jp>", Some("<a@example.jp>"));
        check("a@example.jp", Some("<a@example.jp>"));
        check("<CA+x=y_z..1$@mail.gmail.com>", Some("<CA+x=y_z..1$@mail.gmail.com>"));
        check("<a@b@[192.0.2.1]>", Some("<a@b@[192.0.2.1]>"));
        check(&format!("<{}@x>", "a".repeat(898)), Some(&*format!("<{}@x>", "a".repeat(898))));
    }

    #[test]
    fn what_could_leave_its_field_is_refused() {
        for bad in ["", "<>", "a", "@", "a@", "@b", "<a@b", "a@b>", "<a@b><c@d>", "a b@c", "a@b\r\nBcc: c@d", "é@b"] {
            check(bad, None);
        }
        check(&format!("{}@x", "a".repeat(899)), None);
    }
}
