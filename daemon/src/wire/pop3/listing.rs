//! Which messages does a server list (LIST and UIDL, RFC 1939 5 and 7)? No socket: lines in, messages out.
//!
//! Whatever a server lists, a bounded number of messages with bounded names comes out, in the order of their numbers and
//! each number once. Lines that make no sense are left out.

/// Most messages of one listing.
pub const MESSAGES_MAX: usize = 200_000;
/// Longest unique id, in bytes. RFC 1939 7 allows 70; whose id is longer could never be read.
pub const UNIQUE_ID_BYTES_MAX: usize = 128;
/// Longest line of a listing: RFC 1939 3 allows 512 bytes.
const LINE_BYTES_MAX: usize = 512;

/// The messages of a mailbox that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maildrop {
    entries: Vec<Entry>,
    /// All unique ids in a row: a string for each would take twice the memory.
    ids: String,
    /// How many messages the server says that there are, also those that were not asked for.
    pub held: u64,
    /// Whether more were asked for than the [`MESSAGES_MAX`] that are here.
    pub is_cut: bool,
    /// How many lines of the listing of unique ids made no sense.
    pub unreadable: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    number: u32,
    id_begin: u32,
    id_bytes: u8,
    octets: Option<u64>,
}

/// A message in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its number in this session, from 1.
    pub number: u32,
    /// Its size as the server tells it, in bytes with CRLF; servers err. Nothing when it is not told.
    pub octets: Option<u64>,
    /// What it is called in all sessions: 1 to [`UNIQUE_ID_BYTES_MAX`] printable ASCII characters. RFC 1939 7 lets two
    /// messages of the same content have the same one.
    pub id: &'a str,
}

impl Maildrop {
    /// How many messages are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The messages in the order of their numbers, which most servers give out by age.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Listed<'_>> {
        self.entries.iter().map(|entry| {
            let begin = entry.id_begin as usize;
            let id = &self.ids[begin..begin + usize::from(entry.id_bytes)];
            Listed { number: entry.number, octets: entry.octets, id }
        })
    }

    /// Of so many messages, none is here yet.
    pub(super) fn of(held: u64) -> Self {
        Self { held, ..Self::default() }
    }

    /// Reads a line of UIDL and keeps its message if it is wanted.
    pub(super) fn read_id(&mut self, line: &[u8], wanted: impl FnOnce(&str) -> bool) {
        let Some((number, id)) = numbered(line).filter(|(_, id)| (1..=UNIQUE_ID_BYTES_MAX).contains(&id.len())) else {
            self.unreadable += 1;
            return;
        };
        if !wanted(id) {
            return;
        }
        if self.entries.len() == MESSAGES_MAX {
            self.is_cut = true;
            return;
        }
        let id_begin =
            u32::try_from(self.ids.len()).expect("MESSAGES_MAX ids of UNIQUE_ID_BYTES_MAX are less than 4 GiB");
        let id_bytes = u8::try_from(id.len()).expect("UNIQUE_ID_BYTES_MAX is less than 256");
        self.ids.push_str(id);
        self.entries.push(Entry { number, id_begin, id_bytes, octets: None });
    }

    /// Puts the messages in order, when all unique ids were read. Of those with one number, the first counts.
    pub(super) fn arrange(&mut self) {
        self.entries.sort_by_key(|entry| entry.number);
        self.entries.dedup_by_key(|entry| entry.number);
    }

    /// Reads a line of LIST, when the messages are in order.
    pub(super) fn read_size(&mut self, line: &[u8]) {
        let Some((number, rest)) = numbered(line) else { return };
        let octets = rest.split(' ').next().and_then(digits);
        if let Ok(at) = self.entries.binary_search_by_key(&number, |entry| entry.number) {
            let entry = &mut self.entries[at];
            entry.octets = entry.octets.or(octets);
        }
    }
}

/// The number that a line begins with, from 1, and the rest of the line.
fn numbered(line: &[u8]) -> Option<(u32, &str)> {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line)
        .ok()
        .filter(|line| line.len() <= LINE_BYTES_MAX && line.bytes().all(|b| is_printable(&b)))?;
    let (number, rest) = line.split_once(' ')?;
    let number = u32::try_from(digits(number)?).ok().filter(|number| *number > 0)?;
    Some((number, rest.trim()))
}

/// A number of digits alone: the parser of the standard library takes a plus too.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Puts lines together from pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line that has not ended yet, a little longer than it may be at most.
    begun: Vec<u8>,
}

impl Lines {
    /// Hands over the lines that end in `piece`, of those that are too long more than they may have.
    pub(super) fn read(&mut self, piece: &[u8], mut take: impl FnMut(&[u8])) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE_BYTES_MAX + 2 - self.begun.len();
            self.begun.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                take(&self.begun);
                self.begun.clear();
            }
        }
    }
}

/// What a server lists whose UIDL and LIST hold these bytes, which come in pieces. For tests from outside.
pub fn read_maildrop<'a>(
    unique_ids: impl IntoIterator<Item = &'a [u8]>,
    sizes: impl IntoIterator<Item = &'a [u8]>,
) -> Maildrop {
    let mut maildrop = Maildrop::default();
    let mut lines = Lines::default();
    for piece in unique_ids {
        lines.read(piece, |line| maildrop.read_id(line, |_| true));
    }
    maildrop.arrange();
    let mut lines = Lines::default();
    for piece in sizes {
        lines.read(piece, |line| maildrop.read_size(line));
    }
    maildrop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unique_ids: &str, sizes: &str, expected: &[(u32, Option<u64>, &str)], unreadable: u64) {
        for piece in [1, 7, 10_000] {
            let maildrop = read_maildrop(unique_ids.as_bytes().chunks(piece), sizes.as_bytes().chunks(piece));
            let listed: Vec<_> = maildrop.iter().map(|one| (one.number, one.octets, one.id)).collect();
            assert_eq!(listed, expected, "{unique_ids:?} in pieces of {piece}");
            assert_eq!(maildrop.unreadable, unreadable, "{unique_ids:?} in pieces of {piece}");
        }
    }

    #[test]
    fn messages_have_a_number_a_size_and_a_unique_id() {
        check("1 a\r\n2 b~!\r\n", "1 120\r\n2 200\r\n", &[(1, Some(120), "a"), (2, Some(200), "b~!")], 0);
        check("1 a\n", "1 120 and more\n", &[(1, Some(120), "a")], 0);
        check("1 two words \r\n", "", &[(1, None, "two words")], 0);
        check("", "1 120\r\n", &[], 0);
    }

    #[test]
    fn a_listing_out_of_order_is_put_in_order_and_each_number_counts_once() {
        check("3 c\r\n1 a\r\n3 d\r\n", "3 9\r\n1 7\r\n3 8\r\n2 5\r\n", &[(1, Some(7), "a"), (3, Some(9), "c")], 0);
        check("1 same\r\n2 same\r\n", "", &[(1, None, "same"), (2, None, "same")], 0);
    }

    #[test]
    fn lines_that_make_no_sense_are_left_out() {
        let numbers = ["0", "-1", "+1", "4294967296", "99999999999999999999999", "one", "", "1\t", "\u{663}", "1.0"];
        for number in numbers {
            check(&format!("{number} a\r\n2 b\r\n"), &format!("{number} 5\r\n"), &[(2, None, "b")], 1);
        }
        for id in ["", " ", "飛", "a\0b", "a\rb", &"x".repeat(UNIQUE_ID_BYTES_MAX + 1), &"x".repeat(100_000)] {
            check(&format!("1 {id}\r\n2 b\r\n"), "", &[(2, None, "b")], 1);
        }
        for size in ["-1", "+1", "99999999999999999999999", "big", "", "1e3"] {
            check("1 a\r\n", &format!("1 {size}\r\n"), &[(1, None, "a")], 0);
        }
        let longest = "x".repeat(UNIQUE_ID_BYTES_MAX);
        check(&format!("4294967295 {longest}\r\n"), "", &[(u32::MAX, None, &longest)], 0);
    }

    #[test]
    fn more_messages_than_may_be_are_not_remembered() {
        let mut maildrop = Maildrop::of(0);
        let mut seen = 0;
        for number in 1..=MESSAGES_MAX + 5 {
            maildrop.read_id(format!("{number} id-{number}\r\n").as_bytes(), |_| {
                seen += 1;
                true
            });
        }
        assert!(maildrop.is_cut);
        assert_eq!((maildrop.len(), seen), (MESSAGES_MAX, MESSAGES_MAX + 5));
        let per_message = maildrop.ids.len() / MESSAGES_MAX + size_of::<Entry>();
        assert!(per_message < 64, "{per_message} bytes a message");
    }
}
