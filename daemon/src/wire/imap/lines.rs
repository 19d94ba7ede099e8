//! What of an IMAP answer are lines, and what is content? So that content is not kept, and nothing unbounded is read.
//!
//! async-imap sets memory aside for a literal as soon as it is announced, and reads a line again from its beginning
//! whenever more of it has come. So each announcement is looked at before it is read, and lines have a limit.

use std::io;

/// Longest line that is read, without the literals in it.
const LINE_BYTES_MAX: usize = 65_536;
/// Most bytes of a line that are shown.
const SHOWN_BYTES_MAX: usize = 1_024;
/// Words that begin an untagged reply in which text stands and no data (RFC 3501 7.1).
const STATUS_WORDS: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];

/// Follows an answer.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// Bytes of a literal that are still to come.
    literal_left: usize,
    /// Whether the line goes on after a literal, and how many parentheses are open there.
    open: Option<usize>,
}

/// What is too much, or out of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    /// An answer.
    #[error("the server said more than {0} bytes")]
    Answer(usize),
    /// A line.
    #[error("the server said a line of more than {0} bytes")]
    Line(usize),
    /// A literal or a parenthesis where none belongs.
    #[error("the server said a line that no IMAP server says")]
    Malformed,
}

impl From<Excess> for io::Error {
    fn from(excess: Excess) -> Self {
        Self::other(excess)
    }
}

impl Lines {
    /// Follows `bytes` and shows what may be kept of them: the lines that begin an answer, but those of messages. At most
    /// `literal_bytes_max` may be announced.
    pub(super) fn follow(
        &mut self,
        mut bytes: &[u8],
        literal_bytes_max: usize,
        mut show: impl FnMut(&[u8]),
    ) -> Result<(), Excess> {
        while !bytes.is_empty() {
            let skipped = self.literal_left.min(bytes.len());
            self.literal_left -= skipped;
            bytes = &bytes[skipped..];
            let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
            let (piece, rest) = bytes.split_at(end);
            self.line.extend_from_slice(piece);
            bytes = rest;
            if self.line.len() > LINE_BYTES_MAX {
                return Err(Excess::Line(LINE_BYTES_MAX));
            }
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.end(line.trim_ascii_end(), literal_bytes_max, &mut show)?;
                self.line = line;
                self.line.clear();
            }
        }
        Ok(())
    }

    /// Looks at a whole line, or at the piece of one that ends with the announcement of a literal.
    fn end(&mut self, line: &[u8], literal_bytes_max: usize, show: &mut impl FnMut(&[u8])) -> Result<(), Excess> {
        let begins = self.open.is_none();
        if begins && may_be_shown(line) {
            show(&line[..line.len().min(SHOWN_BYTES_MAX)]);
        }
        let is_data = !begins || is_data(line);
        let (depth, is_quoted) = if is_data { nesting(line, self.open.take().unwrap_or(0)) } else { (0, false) };
        self.open = None;
        let Some(announced) = announced(line) else {
            // What is still open here goes on nowhere; async-imap might take the next line for a part of it.
            return if depth == 0 && !is_quoted { Ok(()) } else { Err(Excess::Malformed) };
        };
        // A literal elsewhere is one for async-imap or for us, and not for both.
        if !is_data || depth > 1 || is_quoted || !announced.follows_a_blank {
            return Err(Excess::Malformed);
        }
        if announced.bytes > literal_bytes_max {
            return Err(Excess::Answer(literal_bytes_max));
        }
        (self.literal_left, self.open) = (announced.bytes, Some(depth));
        Ok(())
    }
}

/// A literal (RFC 3501 4.3) that comes after the line.
struct Announced {
    bytes: usize,
    follows_a_blank: bool,
}

fn announced(line: &[u8]) -> Option<Announced> {
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let brace = inner.iter().rposition(|&byte| byte == b'{')?;
    let digits = &inner[brace + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let bytes = digits.iter().fold(0_usize, |sum, digit| sum.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some(Announced { bytes, follows_a_blank: inner[..brace].ends_with(b" ") })
}

/// How many parentheses are open at the end, and whether a quoted string is.
fn nesting(line: &[u8], mut depth: usize) -> (usize, bool) {
    let (mut is_quoted, mut is_escaped, mut previous) = (false, false, b' ');
    for &byte in line {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' if is_quoted => is_quoted = false,
            _ if is_quoted => {}
            b'"' if matches!(previous, b' ' | b'(') => is_quoted = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        previous = byte;
    }
    (depth, is_quoted)
}

/// Whether an untagged line carries data, and not text for people.
fn is_data(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"* ") else { return false };
    let word = rest.split(|&byte| byte == b' ').next().unwrap_or_default();
    !STATUS_WORDS.iter().any(|status| word.eq_ignore_ascii_case(status))
}

/// Whether the line looks like an answer, but not like one in which a message stands.
fn may_be_shown(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == b' ');
    match words.next() {
        Some(b"*") => !words.nth(1).is_some_and(|word| word.eq_ignore_ascii_case(b"FETCH")),
        Some(b"+") => true,
        // The tags of async-imap.
        Some([b'A', digits @ ..]) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Result<&[&str], Excess>) {
        for at_once in [answer.len(), 1, 7] {
            let (mut lines, mut shown) = (Lines::default(), Vec::new());
            let mut pieces = answer.as_bytes().chunks(at_once.max(1));
            let followed = pieces.try_for_each(|piece| {
                lines.follow(piece, 100, |line| shown.push(String::from_utf8_lossy(line).into_owned()))
            });
            let shown: Vec<_> = shown.iter().map(String::as_str).collect();
            assert_eq!(followed.map(|()| shown.as_slice()), expected, "{answer}, {at_once} bytes at once");
        }
    }

    #[test]
    fn content_is_not_shown() {
        check(
            "* 2 EXISTS\r\n* 1 FETCH (UID 7 BODY[]<0> {22}\r\nA1 OK\r\n* NO {9999}\r\n\r\n FLAGS (\\Seen))\r\n+ go on\r\nA12 OK done\r\n",
            Ok(&["* 2 EXISTS", "+ go on", "A12 OK done"]),
        );
        check("* 1 FETCH (UID 7 BODY[] \"secret\")\r\nsecret\r\nAsecret\r\nA1 OK {x}\r\n", Ok(&["A1 OK {x}"]));
        check("* LIST () \"/\" {5}\r\na\r\nbc\r\nA1 OK\r\n", Ok(&["* LIST () \"/\" {5}", "A1 OK"]));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_comes() {
        check("* 1 FETCH (BODY[] {101}\r\n", Err(Excess::Answer(100)));
        check("* 1 FETCH (BODY[] {99999999999999999999}\r\n", Err(Excess::Answer(100)));
        let long = format!("* SEARCH{}\r\n", " 1".repeat(LINE_BYTES_MAX / 2));
        check(&long, Err(Excess::Line(LINE_BYTES_MAX)));
    }

    #[test]
    fn a_literal_must_be_one_for_every_reader() {
        for line in [
            "* OK [BADCHARSET ( {9}\r\n",
            "A1 OK fine {9}\r\n",
            "* 1 FETCH (FOO (BODY[] {9}\r\n",
            "* 1 FETCH (FOO a{9}\r\n",
            "* 1 FETCH (FOO \"a {9}\r\n",
            "* 1 FETCH (FOO a\" BAR (\" {9}\r\n",
            "* 1 FETCH (FOO a\r\n",
            "* 1 FETCH (BODY[] {2}\r\nxx FOO (bar\r\n",
        ] {
            check(line, Err(Excess::Malformed));
        }
        check("* 1 FETCH (FOO \"(\\\"(\" BODY[] {2}\r\nxx)\r\n", Ok(&[]));
    }
}
