//! Where does a reply end, and what does it say (RFC 5321 4.2)? No socket: bytes in, replies out.
//!
//! Read generously, as servers in the wild need it: lines may end in a bare LF, a code may stand alone, text may be no
//! UTF-8, long lines are cut. What decides is the line whose code is followed by a space or by nothing; RFC 5321 4.2.1
//! lets a client ignore the lines before it, so a reply that changes its code half-way has the code of its last line.
//! Lines of such a reply that carry another code are left out of the [`Reply`]; the transcript has them all.

use super::failure::Fault;
use crate::domain::reply::Reply;

/// Longest line of which all bytes are kept; RFC 5321 4.5.3.1.5 allows 512.
pub(super) const LINE_BYTES_MAX: usize = 2_048;
/// Longest reply in bytes, cut ones included; a longer one breaks the connection.
pub(super) const REPLY_BYTES_MAX: usize = 65_536;
/// Most bytes of an unreadable line that are shown.
const UNREADABLE_BYTES_MAX: usize = 200;

/// Puts replies together from pieces of any size.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    /// The line that has not ended yet, cut.
    line: Vec<u8>,
    /// The lines of this reply that have ended.
    lines: Vec<String>,
    /// Bytes of this reply so far, cut ones included.
    bytes: usize,
}

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WholeReply {
    /// What it says.
    pub(super) reply: Reply,
    /// All its lines, where the reply does not hold them all.
    all: Option<String>,
}

impl WholeReply {
    /// A reply and all lines that were received of it.
    pub(super) fn new(reply: Reply, lines: &str) -> Self {
        let all = (reply.text() != lines).then(|| lines.to_owned());
        Self { reply, all }
    }

    /// Its lines with their codes, joined by line feeds; at most [`REPLY_BYTES_MAX`] bytes, more when made readable.
    pub(super) fn lines(&self) -> &str {
        self.all.as_deref().unwrap_or_else(|| self.reply.text())
    }
}

impl ReplyReader {
    /// Takes bytes from the front of `input` until a reply is whole; the rest is left for the next one.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Option<Result<WholeReply, Fault>> {
        if self.line.is_empty()
            && self.lines.is_empty()
            && let Some(whole) = read_one_line(input)
        {
            return Some(Ok(whole));
        }
        while !input.is_empty() {
            let end = input.iter().position(|&b| b == b'\n');
            let (taken, rest) = input.split_at(end.map_or(input.len(), |at| at + 1));
            *input = rest;
            self.bytes += taken.len();
            if self.bytes > REPLY_BYTES_MAX {
                return Some(Err(Fault::ReplyTooLong(REPLY_BYTES_MAX)));
            }
            let room = LINE_BYTES_MAX - self.line.len();
            let text = taken.strip_suffix(b"\n").unwrap_or(taken);
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if end.is_some()
                && let Some(whole) = self.end_line()
            {
                return Some(whole);
            }
        }
        None
    }

    fn end_line(&mut self) -> Option<Result<WholeReply, Fault>> {
        while self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let kind = kind(&line);
        // A line without a code is no reply, but within one it is only odd.
        if kind == LineKind::Other && self.lines.is_empty() {
            return Some(Err(unreadable(&line)));
        }
        self.lines.push(line);
        (kind == LineKind::Last).then(|| self.end_reply())
    }

    fn end_reply(&mut self) -> Result<WholeReply, Fault> {
        let lines = std::mem::take(&mut self.lines);
        self.bytes = 0;
        let last = lines.last().map(String::as_str).unwrap_or_default();
        let code = last.get(..3).unwrap_or_default();
        let is_foreign = |line: &&String| kind(line) != LineKind::Other && !line.starts_with(code);
        let mixed = lines.iter().any(|line| is_foreign(&line));
        let all = lines.join("\n");
        let reply = if mixed {
            let kept: Vec<_> = lines.iter().filter(|line| line.starts_with(code)).map(String::as_str).collect();
            Reply::from_lines(&kept.join("\n"))
        } else {
            Reply::from_lines(&all)
        };
        let reply = reply.ok_or_else(|| unreadable(last))?;
        Ok(WholeReply::new(reply, &all))
    }
}

/// The replies in bytes that come in these pieces, up to the first that cannot be read, and why it cannot. For tests from
/// outside: a session reads its replies one by one.
pub fn read_replies<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<Fault>) {
    let mut reader = ReplyReader::default();
    let mut replies = Vec::new();
    for mut piece in pieces {
        while let Some(read) = reader.read(&mut piece) {
            match read {
                Ok(whole) => replies.push(whole.reply),
                Err(fault) => return (replies, Some(fault)),
            }
        }
    }
    (replies, None)
}

/// The short way for what nearly every reply is: one ordinary line that came whole.
fn read_one_line(input: &mut &[u8]) -> Option<WholeReply> {
    let end = input.iter().take(LINE_BYTES_MAX).position(|&b| b == b'\n')?;
    let line = &input[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line).ok().filter(|line| kind(line) == LineKind::Last && !line.ends_with('\r'))?;
    let reply = Reply::from_lines(line)?;
    *input = &input[end + 1..];
    Some(WholeReply::new(reply, line))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineKind {
    /// A code and a hyphen: more lines follow.
    Goes,
    /// A code and a space, or nothing.
    Last,
    /// No code.
    Other,
}

fn kind(line: &str) -> LineKind {
    let bytes = line.as_bytes();
    if bytes.len() < 3 || !bytes[..3].iter().all(u8::is_ascii_digit) {
        return LineKind::Other;
    }
    match bytes.get(3) {
        None | Some(b' ' | b'\t') => LineKind::Last,
        Some(b'-') => LineKind::Goes,
        Some(_) => LineKind::Other,
    }
}

/// The fault of a line that is no reply.
pub(super) fn unreadable(line: &str) -> Fault {
    Fault::Unreadable(excerpt(line))
}

/// The beginning of a line, for showing.
pub(super) fn excerpt(line: &str) -> String {
    let mut end = line.len().min(UNREADABLE_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(mut input: &[u8]) -> Vec<Result<WholeReply, Fault>> {
        let mut reader = ReplyReader::default();
        let mut replies = Vec::new();
        while let Some(reply) = reader.read(&mut input) {
            let broken = reply.is_err();
            replies.push(reply);
            if broken {
                break;
            }
        }
        replies
    }

    #[track_caller]
    fn check(input: &[u8], expected: &[(u16, &str)]) {
        let replies = read_all(input);
        let seen: Vec<_> =
            replies.iter().map(|r| r.as_ref().map(|w| (w.reply.code(), w.reply.text())).expect("a reply")).collect();
        assert_eq!(seen, expected, "{:?}", String::from_utf8_lossy(input));
    }

    #[test]
    fn replies_are_read_as_servers_write_them() {
        check(b"250 ok\r\n", &[(250, "250 ok")]);
        check(b"250\r\n", &[(250, "250")]);
        check(b"250 \r\n", &[(250, "250 ")]);
        check(b"250 ok\n354 go\n", &[(250, "250 ok"), (354, "354 go")]);
        check(b"571 5.7.1 no\r\n", &[(571, "571 5.7.1 no")]);
        check(b"250-a\r\n250-\r\n250 c\r\n", &[(250, "250-a\n250-\n250 c")]);
        check(b"250-a\r\n250\r\n", &[(250, "250-a\n250")]);
        check(b"550-a\r\nno code\r\n550 c\r\n", &[(550, "550-a\nno code\n550 c")]);
        check(b"550 \xff\xfe\r\n", &[(550, "550 \u{fffd}\u{fffd}")]);
        check(b"250 ok\r\n25", &[(250, "250 ok")]);
        check(b"250 unfinished", &[]);
    }

    #[test]
    fn a_reply_that_changes_its_code_has_that_of_its_last_line() {
        check(b"250-first line\r\n550 the code changed\r\n", &[(550, "550 the code changed")]);
        check(b"550-no\r\n250-b\r\n250 yes\r\n", &[(250, "250-b\n250 yes")]);
        let whole = read_all(b"250-first\r\n550 second\r\n").remove(0).expect("a reply");
        assert_eq!(whole.lines(), "250-first\n550 second");
    }

    #[test]
    fn garbage_is_no_reply() {
        for garbage in
            ["hello\r\n", "\r\n", "25 x\r\n", "2500 x\r\n", "199 x\r\n", "600 x\r\n", "250x\r\n", "SSH-2.0-x\n"]
        {
            let replies = read_all(garbage.as_bytes());
            assert!(matches!(replies.as_slice(), [Err(Fault::Unreadable(_))]), "{garbage:?} {replies:?}");
        }
    }

    #[test]
    fn long_lines_are_cut_and_endless_replies_refused() {
        let line = format!("250 {}\r\n", "x".repeat(60_000));
        assert_eq!(read_all(line.as_bytes())[0].as_ref().expect("a reply").lines().len(), LINE_BYTES_MAX);
        let endless = format!("250 {}", "x".repeat(REPLY_BYTES_MAX));
        assert!(matches!(read_all(endless.as_bytes())[0], Err(Fault::ReplyTooLong(_))));
        let many = "250-x\r\n".repeat(REPLY_BYTES_MAX);
        assert!(matches!(read_all(many.as_bytes())[0], Err(Fault::ReplyTooLong(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn any_bytes_in_any_pieces_read_the_same_and_stay_bounded(
            input in proptest::collection::vec(prop_oneof![Just(b'2'), Just(b'5'), Just(b'0'), Just(b'-'), Just(b' '),
                Just(b'\r'), Just(b'\n'), any::<u8>()], 0..150),
            piece in 1_usize..9,
        ) {
            let whole = read_all(&input);
            let mut reader = ReplyReader::default();
            let mut seen = Vec::new();
            'all: for part in input.chunks(piece) {
                let mut part = part;
                while let Some(reply) = reader.read(&mut part) {
                    let broken = reply.is_err();
                    seen.push(reply);
                    if broken {
                        break 'all;
                    }
                }
                prop_assert!(reader.line.len() <= LINE_BYTES_MAX);
                prop_assert!(reader.lines.iter().map(String::len).sum::<usize>() <= 3 * REPLY_BYTES_MAX);
            }
            prop_assert_eq!(format!("{whole:?}"), format!("{seen:?}"));
        }

        #[test]
        fn ordinary_replies_survive_the_wire(code in 200_u16..600, texts in proptest::collection::vec("[ -~]{0,60}", 1..6)) {
            let last = texts.len() - 1;
            let lines: Vec<_> = texts.iter().enumerate()
                .map(|(i, text)| format!("{code}{}{text}", if i == last { ' ' } else { '-' })).collect();
            let wire = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
            let replies = read_all(wire.as_bytes());
            prop_assert_eq!(replies.len(), 1);
            let whole = replies[0].as_ref().expect("a reply");
            prop_assert_eq!(whole.reply.code(), code);
            prop_assert_eq!(whole.lines(), lines.join("\n"));
        }
    }
}
