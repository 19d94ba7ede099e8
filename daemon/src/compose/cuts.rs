//! Which stretches of a message are files in base64? They are cut out where messages are stored, so that a file is kept once
//! however many messages carry it, and put back when the message is read, byte for byte.
//!
//! Nobody has to say where the files of a message stand: whoever composed it, adopted it, or put a signature before it, base64
//! in lines of 76 characters (RFC 2045 6.8) is found. A stretch that is not exactly the one way in which its content is
//! encoded stays where it is.

use std::cmp::Reverse;

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Characters of a full line of base64 (RFC 2045 6.8).
const LINE_CHARS: usize = 76;
/// How much of a file a full line holds.
const LINE_CONTENT_BYTES: usize = 57;
const LINE_END: &[u8] = b"\r\n";

/// A stretch of a message that looks like a file in base64, without the line end after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins, in bytes.
    pub at: usize,
    /// How long it is, in bytes.
    pub bytes: usize,
}

impl Stretch {
    /// How many bytes its content has, if it is what it looks like.
    #[must_use]
    pub fn content_bytes(&self, message: &[u8]) -> u64 {
        let line_ends = self.bytes.saturating_sub(1) / (LINE_CHARS + LINE_END.len());
        let padding = message[..self.at + self.bytes].iter().rev().take(2).filter(|byte| **byte == b'=').count();
        let chars = self.bytes.saturating_sub(line_ends * LINE_END.len());
        (chars / 4 * 3).saturating_sub(padding) as u64
    }
}

/// How many bytes a file of so many has in base64, line ends between its lines included.
#[must_use]
pub const fn encoded_bytes(content_bytes: u64) -> u64 {
    let chars = content_bytes.div_ceil(3).saturating_mul(4);
    if chars == 0 { 0 } else { chars.saturating_add((chars - 1) / LINE_CHARS as u64 * LINE_END.len() as u64) }
}

/// The stretches of a message that look like files of at least so many bytes, in their order. They do not overlap.
#[must_use]
pub fn find(message: &[u8], content_bytes_min: usize) -> Vec<Stretch> {
    let encoded_min = usize::try_from(encoded_bytes(content_bytes_min as u64)).unwrap_or(usize::MAX).max(1);
    let mut found = Vec::new();
    let mut at = 0;
    while message.len().saturating_sub(at) >= encoded_min {
        let end = end_of_stretch(message, at);
        if end - at >= encoded_min {
            found.push(Stretch { at, bytes: end - at });
        }
        // What follows a stretch is the rest of its last line, or a line of another kind.
        at = match message[end..].iter().position(|byte| *byte == b'\n') {
            Some(newline) => end + newline + 1,
            None => message.len(),
        };
    }
    found
}

/// So many of the stretches, the largest of them, in the order that they were in.
#[must_use]
pub fn largest(mut stretches: Vec<Stretch>, most: usize) -> Vec<Stretch> {
    if stretches.len() > most {
        stretches.sort_unstable_by_key(|stretch| Reverse(stretch.bytes));
        stretches.truncate(most);
        stretches.sort_unstable_by_key(|stretch| stretch.at);
    }
    stretches
}

/// The content of a stretch; nothing when it is not exactly how that would be encoded.
#[must_use]
pub fn decode(message: &[u8], stretch: Stretch) -> Option<Vec<u8>> {
    let text = message.get(stretch.at..stretch.at.checked_add(stretch.bytes)?)?;
    let mut content = Vec::with_capacity(text.len() / 78 * LINE_CONTENT_BYTES + LINE_CONTENT_BYTES);
    for (number, line) in text.chunks(LINE_CHARS + LINE_END.len()).enumerate() {
        // All lines but the last are full.
        if content.len() != number * LINE_CONTENT_BYTES {
            return None;
        }
        let chars = line.strip_suffix(LINE_END).unwrap_or(line);
        // It refuses padding that is missing or has bits in it, so there is one text only for each content.
        BASE64_STANDARD.decode_vec(chars, &mut content).ok()?;
    }
    let is_exact = encoded_bytes(content.len() as u64) == text.len() as u64;
    is_exact.then_some(content)
}

/// The message without these stretches, which stand in their order.
#[must_use]
pub fn take_out(message: &[u8], stretches: &[Stretch]) -> Vec<u8> {
    let taken: usize = stretches.iter().map(|stretch| stretch.bytes).sum();
    let mut rest = Vec::with_capacity(message.len().saturating_sub(taken));
    let mut from = 0;
    for stretch in stretches {
        rest.extend_from_slice(&message[from..stretch.at]);
        from = stretch.at + stretch.bytes;
    }
    rest.extend_from_slice(&message[from..]);
    rest
}

/// The message of what is left of it and the files that were taken out, each with its place in the message; nothing when
/// they do not fit together.
#[must_use]
pub fn put_back(rest: &[u8], files: &[(usize, impl AsRef<[u8]>)]) -> Option<Vec<u8>> {
    let bytes = files.iter().map(|(_, content)| encoded_bytes(content.as_ref().len() as u64)).sum::<u64>();
    let mut message = Vec::with_capacity(rest.len().checked_add(usize::try_from(bytes).ok()?)?);
    let mut left = rest;
    for (at, content) in files {
        let (before, after) = left.split_at_checked(at.checked_sub(message.len())?)?;
        message.extend_from_slice(before);
        encode(content.as_ref(), &mut message);
        left = after;
    }
    message.extend_from_slice(left);
    Some(message)
}

fn encode(content: &[u8], out: &mut Vec<u8>) {
    let mut line = [0; LINE_CHARS];
    for (number, part) in content.chunks(LINE_CONTENT_BYTES).enumerate() {
        if number > 0 {
            out.extend_from_slice(LINE_END);
        }
        let chars = BASE64_STANDARD.encode_slice(part, &mut line).expect("57 bytes are 76 characters of base64");
        out.extend_from_slice(&line[..chars]);
    }
}

/// Where a stretch ends that begins at `at`, which is the beginning of a line; `at` when none does.
fn end_of_stretch(message: &[u8], at: usize) -> usize {
    let (mut next, mut end) = (at, at);
    while let Some(line) = message[next..].get(..LINE_CHARS).filter(|line| line.iter().all(|byte| is_of_base64(*byte)))
    {
        end = next + line.len();
        if !message[end..].starts_with(LINE_END) {
            // A longer line, or the last one of the message.
            return if end == message.len() { end } else { next.saturating_sub(LINE_END.len()).max(at) };
        }
        next = end + LINE_END.len();
    }
    if next == at {
        return at;
    }
    // A line that is shorter or padded is the last one.
    let line = &message[next..message.len().min(next + LINE_CHARS + LINE_END.len())];
    let line = match line.windows(LINE_END.len()).position(|two| two == LINE_END) {
        Some(length) => &line[..length],
        None => line,
    };
    let is_last = !line.is_empty() && line.len() <= LINE_CHARS && line.len().is_multiple_of(4) && {
        let chars = line.strip_suffix(b"=").map_or(line, |line| line.strip_suffix(b"=").unwrap_or(line));
        chars.iter().all(|byte| is_of_base64(*byte))
    };
    if is_last { next + line.len() } else { end }
}

const fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        compose::{identity::Identity, message::compose, raw::adopt_raw},
        domain::{
            charset::Charset,
            ids::JobId,
            mail::{Attachment, Draft, Mailbox},
            time::Timestamp,
        },
    };

    /// The message put back of its parts, and how many stretches were taken out.
    fn travelled(message: &[u8], content_bytes_min: usize) -> (Vec<u8>, usize) {
        let mut stretches = find(message, content_bytes_min);
        let contents: Vec<_> = stretches.iter().map(|stretch| decode(message, *stretch)).collect();
        let mut kept = contents.iter().map(Option::is_some);
        stretches.retain(|_| kept.next() == Some(true));
        let rest = take_out(message, &stretches);
        let files: Vec<_> = stretches.iter().map(|stretch| stretch.at).zip(contents.into_iter().flatten()).collect();
        (put_back(&rest, &files).expect("they fit together"), files.len())
    }

    fn base64(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(content, &mut out);
        out
    }

    #[track_caller]
    fn check(message: &[u8], stretches: usize) {
        let (back, found) = travelled(message, 100);
        assert_eq!(back, message);
        assert_eq!(found, stretches, "{}", String::from_utf8_lossy(message));
    }

    #[test]
    fn files_are_found_wherever_they_stand() {
        for length in [100, 113, 114, 115, 171, 1_000] {
            let file = base64(&vec![7; length]);
            assert_eq!(file.len() as u64, encoded_bytes(length as u64));
            check(&file, 1);
            check(&[&file, &b"\r\n"[..]].concat(), 1);
            check(&[b"Subject: x\r\n\r\n", &*file, b"\r\n--x--\r\n"].concat(), 1);
            check(&[b"\r\n", &*file, b"\r\n\r\n", &*file, b"\r\n--x", &file[..76]].concat(), 2);
        }
    }

    #[test]
    fn the_largest_are_taken_in_their_order() {
        let stretch = |at, bytes| Stretch { at, bytes };
        let all = vec![stretch(0, 5), stretch(10, 9), stretch(20, 3), stretch(30, 7)];
        assert_eq!(largest(all.clone(), 4), all);
        assert_eq!(largest(all.clone(), 2), [stretch(10, 9), stretch(30, 7)]);
        assert_eq!(largest(all, 0), []);
    }

    /// A draft with a large attachment and a small one.
    fn draft(content: &[u8]) -> Draft {
        let attachment = |content: &[u8]| Attachment {
            file_name: "a.bin".to_owned(),
            media_type: "application/octet-stream".to_owned(),
            content: Bytes::copy_from_slice(content),
            content_id: None,
        };
        let mailbox = Mailbox { name: None, address: "shop@example.jp".parse().expect("an address") };
        Draft {
            from: mailbox.clone(),
            reply_to: Vec::new(),
            to: vec![mailbox],
            cc: Vec::new(),
            subject: "A file".to_owned(),
            text: Some("飛脚 ".repeat(1_000)),
            html: None,
            headers: Vec::new(),
            attachments: vec![attachment(content), attachment(b"small")],
            charset: Charset::Utf8,
            in_reply_to: None,
            references: Vec::new(),
            list_unsubscribe: None,
            auto_submitted: None,
        }
    }

    #[test]
    fn what_is_composed_and_what_is_adopted_is_found() {
        let content: Vec<u8> = (0..20_000_u32).map(|number| number.to_be_bytes()[3]).collect();
        let draft = draft(&content);
        let identity = Identity::of_job(JobId::from_bytes([7; 16]), &draft.from.address, Timestamp::EPOCH);
        let composed = compose(&draft, &identity).expect("a message").bytes;
        let adopted = adopt_raw(&composed, &identity).expect("a message").message.bytes;
        for message in [composed, adopted] {
            let found = find(&message, 16_384);
            assert_eq!(found.len(), 1);
            assert_eq!(decode(&message, found[0]).as_ref(), Some(&content));
            assert_eq!(travelled(&message, 16_384).0, message);
        }
    }

    #[test]
    fn what_is_no_file_stays() {
        let line = base64(&[7; 57]);
        check(b"", 0);
        check(&line, 0);
        check(&[&*line, b"\n", &*line, b"\n", &*line].concat(), 0);
        check(&[&*line, &*line, &*line].concat(), 0);
        check(&[&*line, b"\r\n", &*line, b"x\r\n", &*line].concat(), 0);
        check(&[&*line, b"\r\n", &*line, b"\r\nA===\r\n"].concat(), 1);
        // Padding with bits in it would be lost.
        check(&[&*line, b"\r\n", &*line, b"\r\nAB==\r\n"].concat(), 0);
        check(&[&*line, b"\r\n", &*line, b"\r\nAA==\r\n"].concat(), 1);
    }

    #[test]
    fn what_does_not_fit_together_is_no_message() {
        assert_eq!(put_back(b"abc", &[(4, b"x")]), None);
        assert_eq!(put_back(b"abc", &[(2, b"x"), (1, b"x")]), None);
        assert_eq!(put_back(b"abc", &[(1, b"x")]).as_deref(), Some(&b"aeA==bc"[..]));
    }

    /// Pieces of which messages are made that come near to what is looked for.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..400).prop_map(|content| base64(&content)),
            prop::collection::vec(any::<u8>(), 0..100),
            prop::sample::select(vec![&b"\r\n"[..], b"\n", b"\r", b"=", b"==", b"A", b"--x\r\n", b"X: y\r\n\r\n"])
                .prop_map(<[u8]>::to_vec),
        ]
    }

    proptest! {
        #[test]
        fn any_message_comes_back_whole(pieces in prop::collection::vec(piece(), 0..12), least in 0_usize..200) {
            let message = pieces.concat();
            prop_assert_eq!(travelled(&message, least).0, message);
        }

        #[test]
        fn a_file_is_found_behind_any_header(content in prop::collection::vec(any::<u8>(), 58..2_000), lines in 0_usize..9) {
            let header = b"DKIM-Signature: v=1\r\n".repeat(lines);
            let message = [&*header, b"\r\n", &*base64(&content), b"\r\n--end"].concat();
            let found = find(&message, 58);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].content_bytes(&message), content.len() as u64);
            prop_assert_eq!(decode(&message, found[0]), Some(content));
        }
    }
}
