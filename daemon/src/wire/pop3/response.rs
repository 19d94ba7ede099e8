//! Where does a response of many lines end, and what does it hold (RFC 1939 3)? No socket: bytes in, content out.
//!
//! Read generously: a line may have any length and any bytes, and may end in a bare LF, also the one that ends the
//! response. A CR alone ends nothing.

/// Reads one response from pieces of any size. What it holds goes through it and is not kept.
#[derive(Debug, Default)]
pub(super) struct ResponseReader {
    at: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    LineStart,
    /// After a dot that began a line: it ends the response, or it was put before what the line begins with.
    Dot,
    /// After such a dot and a CR.
    DotCr,
    Line,
    End,
}

impl ResponseReader {
    /// Takes bytes off the front of `input` until the response ends or nothing is left, and hands over what they hold.
    /// What follows the end is left.
    pub(super) fn read(&mut self, input: &mut &[u8], mut take: impl FnMut(&[u8])) {
        while let Some((&first, rest)) = input.split_first() {
            match (self.at, first) {
                (Place::LineStart, b'.') => (self.at, *input) = (Place::Dot, rest),
                (Place::LineStart | Place::Line, _) => {
                    let end = input.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
                    let (line, rest) = input.split_at(end.unwrap_or(input.len()));
                    take(line);
                    *input = rest;
                    self.at = if end.is_some() { Place::LineStart } else { Place::Line };
                }
                (Place::Dot, b'\r') => (self.at, *input) = (Place::DotCr, rest),
                (Place::Dot | Place::DotCr, b'\n') => (self.at, *input) = (Place::End, rest),
                (Place::Dot, _) => self.at = Place::Line,
                (Place::DotCr, _) => {
                    take(b"\r");
                    self.at = Place::Line;
                }
                (Place::End, _) => return,
            }
        }
    }

    /// Whether the response has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.at == Place::End
    }
}

/// One response as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// What it holds: its lines with their ends, without the dots that were put before some.
    pub content: Vec<u8>,
    /// What came after it; nothing when it has not ended.
    pub after: Option<Vec<u8>>,
}

/// The response in bytes that come in these pieces. For tests from outside: a session bounds what it reads.
pub fn read_response<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Response {
    let (mut reader, mut response) = (ResponseReader::default(), Response::default());
    for mut piece in pieces {
        reader.read(&mut piece, |content| response.content.extend_from_slice(content));
        if reader.has_ended() {
            response.after.get_or_insert_default().extend_from_slice(piece);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As RFC 1939 3 has a server send a mail; one whose last line has no end is given one.
    fn stuff(content: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut content = content.to_vec();
        if content.last().is_some_and(|&last| last != b'\n') {
            content.extend_from_slice(b"\r\n");
        }
        let mut wire = Vec::new();
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            if line.starts_with(b".") {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
        }
        wire.extend_from_slice(b".\r\n");
        (content, wire)
    }

    #[track_caller]
    fn check(wire: &str, content: &str, after: Option<&str>) {
        let expected = Response { content: content.into(), after: after.map(Into::into) };
        assert_eq!(read_response([wire.as_bytes()]), expected, "{wire:?}");
        assert_eq!(read_response(wire.as_bytes().chunks(1)), expected, "{wire:?} byte by byte");
    }

    #[test]
    fn a_response_ends_at_a_line_of_one_dot() {
        check("a\r\nb\r\n.\r\n", "a\r\nb\r\n", Some(""));
        check("a\r\n.\r\n+OK next\r\n", "a\r\n", Some("+OK next\r\n"));
        check(".\r\n", "", Some(""));
        check("\r\n.\r\n", "\r\n", Some(""));
        check("a\r\n. \r\n", "a\r\n \r\n", None);
        check("a.\r\n", "a.\r\n", None);
        check("a\r\n.", "a\r\n", None);
        check("a\r\n.\r", "a\r\n", None);
        check("", "", None);
    }

    #[test]
    fn a_dot_that_was_put_before_a_line_is_taken_away() {
        check("..\r\n.\r\n", ".\r\n", Some(""));
        check("...\r\n..\r\n.\r\n", "..\r\n.\r\n", Some(""));
        check("..a\r\n.b\r\na..\r\n.\r\n", ".a\r\nb\r\na..\r\n", Some(""));
    }

    #[test]
    fn lines_that_no_server_should_send_are_read() {
        check("a\nb\r\n.\n+OK", "a\nb\r\n", Some("+OK"));
        check("a\r.\r\n.\r\n", "a\r.\r\n", Some(""));
        check(".\r\r\n.\r\n", "\r\r\n", Some(""));
        check(".\rx\r\n.\r\n", "\rx\r\n", Some(""));
        check("飛\0\r\n.\r\n", "飛\0\r\n", Some(""));
    }

    proptest! {
        #[test]
        fn any_mail_comes_out_as_it_went_in_whatever_the_pieces(
            mail in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(1_usize..20, 1..40),
        ) {
            let (content, mut wire) = stuff(&mail);
            wire.extend_from_slice(b"+OK");
            let mut pieces = Vec::new();
            let mut left = &wire[..];
            for cut in cuts.iter().cycle() {
                let (piece, rest) = left.split_at(left.len().min(*cut));
                pieces.push(piece);
                left = rest;
                if left.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read_response(pieces), Response { content, after: Some(b"+OK".to_vec()) });
        }
    }
}
