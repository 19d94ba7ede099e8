//! The provider's words, verbatim and bounded.

use std::fmt;

/// Most bytes of a reply's text that are kept.
pub const REPLY_TEXT_BYTES_MAX: usize = 2_048;

/// An SMTP reply (RFC 5321 4.2) as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: Box<str>,
}

impl Reply {
    /// Takes a reply from its lines as they were received, each with its code and without its line end.
    ///
    /// Returns nothing when the first line does not begin with a code from 200 to 599.
    #[must_use]
    pub fn from_lines(lines: &str) -> Option<Self> {
        let digits = lines.get(..3)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let code: u16 = digits.parse().ok()?;
        if !(200..600).contains(&code) {
            return None;
        }
        let enhanced = lines.get(4..).and_then(EnhancedCode::leading);
        Some(Self { code, enhanced, text: keep(lines).into() })
    }

    /// The three-digit code.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code (RFC 3463) of the first line, if it has one.
    #[must_use]
    pub const fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// All lines as received, codes included, joined by a line feed; at most [`REPLY_TEXT_BYTES_MAX`] bytes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the code is 2xx.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether the code is 4xx.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// Whether the code is 5xx.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", self.text)
    }
}

impl fmt::Display for Reply {
    /// On one line and without control characters, for logs and error texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c {
                '\n' => f.write_str(" / ")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Cuts a reply's text at [`REPLY_TEXT_BYTES_MAX`] bytes, on a character boundary.
#[must_use]
pub fn keep(text: &str) -> &str {
    let mut end = text.len().min(REPLY_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// An enhanced mail system status code (RFC 3463), as in `5.1.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedCode {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// What the status is about: 1 addressing, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// The detail within the subject.
    pub detail: u16,
}

impl EnhancedCode {
    /// The code that `text` begins with, if it does.
    #[must_use]
    pub fn leading(text: &str) -> Option<Self> {
        let word = text.split(|c: char| c.is_whitespace() || c == ':').next()?;
        word.parse().ok()
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl std::str::FromStr for EnhancedCode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut number = |digits_max: usize| {
            let part = parts.next()?;
            let digits = !part.is_empty() && part.len() <= digits_max && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let code = (number(1), number(3), number(3));
        let (Some(class @ (2 | 4 | 5)), Some(subject), Some(detail)) = code else {
            return Err(());
        };
        if parts.next().is_some() {
            return Err(());
        }
        Ok(Self { class: class as u8, subject, detail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &str, code: u16, enhanced: Option<&str>) {
        let reply = Reply::from_lines(lines).expect(lines);
        assert_eq!(reply.code(), code, "{lines}");
        assert_eq!(reply.enhanced().map(|e| e.to_string()).as_deref(), enhanced, "{lines}");
        assert_eq!(reply.text(), lines);
    }

    #[test]
    fn replies_keep_their_words() {
        check("250 2.1.5 Ok", 250, Some("2.1.5"));
        check("250", 250, None);
        check("550-5.1.1 The account\n550 5.1.1 does not exist", 550, Some("5.1.1"));
        check("535-5.7.8 Username and Password not accepted", 535, Some("5.7.8"));
        check("452 4.2.2: over quota", 452, Some("4.2.2"));
        check("550 5.7.509 denied", 550, Some("5.7.509"));
        check("421 1.2.3.4 is listed", 421, None);
        check("554 9.1.1 odd class", 554, None);
    }

    #[test]
    fn what_is_no_reply_is_none() {
        for text in ["", "25", "hello", "99 x", "199 x", "600 x", "2x0 y", "２５０"] {
            assert_eq!(Reply::from_lines(text), None, "{text:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = format!("250 {}", "飛".repeat(1_000));
        let reply = Reply::from_lines(&long).expect("a reply");
        assert!(reply.text().len() <= REPLY_TEXT_BYTES_MAX);
        assert!(long.starts_with(reply.text()));
    }

    #[test]
    fn control_characters_do_not_reach_a_log_line() {
        let reply = Reply::from_lines("550 \u{1b}[31mred\u{7}\nERROR").expect("a reply");
        assert_eq!(reply.to_string(), "550 \\u{1b}[31mred\\u{7} / ERROR");
    }
}
