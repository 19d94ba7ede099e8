//! Which charset a message is written in, and what of its texts that charset does not have.
//!
//! ISO-2022-JP (RFC 1468) has ASCII and JIS X 0208. What vendors added to it (①, ㈱, 髙) and half-width kana are not part of
//! it, although some encoders write them: other readers show something else there.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use encoding_rs::{EncoderResult, ISO_2022_JP};
use lettre::message::{
    Body, SinglePart,
    header::{ContentTransferEncoding, ContentType},
};

use super::{identity::ComposeError, plain_text};
use crate::domain::{charset::Charset, mail::Draft};

mod replacement;

/// Columns of a line with an encoded word (RFC 2047 2).
const LINE_COLUMNS_MAX: usize = 76;
/// A first word with less room than this is not worth beginning, in bytes. It has place for any character.
const FIRST_WORD_BYTES_MIN: usize = 12;
/// Most bytes of text in one encoded word: 39 become 52 in base64, and 64 with `=?utf-8?b?` and `?=`, so that one fits
/// behind the name of most fields.
const UTF_8_WORD_BYTES: usize = 39;
/// The same in ISO-2022-JP, with the escapes: 36 become 48, and 66 with `=?ISO-2022-JP?B?` and `?=`.
const ISO_2022_JP_WORD_BYTES: usize = 36;
/// Longest line of a body that goes as it is, in bytes without its CRLF (RFC 5322 2.1.1).
const LINE_BYTES_MAX: usize = 998;
/// Rows of JIS X 0208 by their first byte in ISO-2022-JP: symbols to box drawings, and both levels of kanji.
const ROWS: [std::ops::RangeInclusive<u8>; 2] = [0x21..=0x28, 0x30..=0x74];
/// Bytes with which ISO-2022-JP changes to JIS X 0208, or back to ASCII.
const ESCAPE_BYTES: usize = 3;
/// Most characters that a refusal names.
const NAMED_MAX: usize = 10;

/// The charset in which one message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Utf8,
    Iso2022Jp,
}

/// The charset for these texts of one message, by the account's choice. Each comes with the name of its field.
///
/// # Errors
/// When the account wants ISO-2022-JP or nothing, and a text has characters outside it; they are named.
pub(super) fn script_for<'a, T: AsRef<str>>(
    choice: Charset,
    texts: impl IntoIterator<Item = (&'a str, T)>,
) -> Result<Script, ComposeError> {
    match choice {
        Charset::Utf8 => Ok(Script::Utf8),
        Charset::Iso2022JpReplace => Ok(Script::Iso2022Jp),
        Charset::Iso2022Jp | Charset::Iso2022JpReject => {
            for (field, text) in texts {
                let outside = outside(text.as_ref());
                if outside.is_empty() {
                    continue;
                }
                if choice == Charset::Iso2022Jp {
                    return Ok(Script::Utf8);
                }
                let outside: Vec<_> = outside.into_iter().map(named).collect();
                let reason = format!("has characters that ISO-2022-JP does not have: {}", outside.join(" "));
                return Err(ComposeError::new(field, reason));
            }
            Ok(Script::Iso2022Jp)
        }
    }
}

/// All texts of a draft that are written in its charset, with their fields' names; last the text that is made from the
/// HTML, whose entities may stand for what the HTML itself does not have.
pub(super) fn texts_of(draft: &Draft) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let Draft { from, reply_to, to, cc, subject, text, html, headers, attachments, .. } = draft;
    let names = [("job.reply_to", reply_to), ("job.to", to), ("job.cc", cc)];
    let names = names.into_iter().flat_map(|(field, mailboxes)| mailboxes.iter().map(move |mailbox| (field, mailbox)));
    let names = std::iter::once(("job.from.name", from)).chain(names);
    let names = names.filter_map(|(field, mailbox)| mailbox.name.as_deref().map(|name| (field, name)));
    let headers = headers.iter().map(|(_, value)| ("job.headers", value.as_str()));
    let bodies = [("job.text", text), ("job.html", html)];
    let bodies = bodies.into_iter().filter_map(|(field, body)| body.as_deref().map(|body| (field, body)));
    let files = attachments.iter().map(|file| ("job.attachments", file.file_name.as_str()));
    let written = std::iter::once(("job.subject", subject.as_str())).chain(names).chain(headers).chain(bodies);
    let written = written.chain(files).map(|(field, text)| (field, text.into()));
    let html = html.as_deref().filter(|_| text.is_none()).into_iter();
    written.chain(html.map(|html| ("job.html", plain_text::from_html(html).into())))
}

/// Characters of a text that ISO-2022-JP does not have, each once; at most [`NAMED_MAX`].
pub(super) fn outside(text: &str) -> Vec<char> {
    let mut found = Vec::new();
    for c in text.chars().filter(|c| !has(alike(*c))) {
        if !found.contains(&c) {
            found.push(c);
            if found.len() == NAMED_MAX {
                break;
            }
        }
    }
    found
}

/// A character as people and programs can read it. One that would show as nothing, or as a line break, is told by its
/// number only.
pub(super) fn named(c: char) -> String {
    let number = u32::from(c);
    if c.is_control() || c.is_whitespace() { format!("U+{number:04X}") } else { format!("{c} (U+{number:04X})") }
}

/// What stands for a character that ISO-2022-JP does not have; nothing for one that is left out.
pub(super) fn substitute(c: char) -> String {
    replacement::replaced(c.encode_utf8(&mut [0; 4]), alike, has)
}

/// What has two code points for one character of JIS X 0208: the one that encoders know.
const fn alike(c: char) -> char {
    match c {
        '\u{301c}' => '\u{ff5e}',
        '\u{2016}' => '\u{2225}',
        '\u{2014}' => '\u{2015}',
        '\u{2212}' => '\u{ff0d}',
        '\u{a2}' => '\u{ffe0}',
        '\u{a3}' => '\u{ffe1}',
        '\u{ac}' => '\u{ffe2}',
        '\u{a5}' => '\u{ffe5}',
        '\u{203e}' => '\u{ffe3}',
        '\u{a0}' => ' ',
        c => c,
    }
}

/// Whether ISO-2022-JP has a character. Escape and shifts would be taken for its own.
fn has(c: char) -> bool {
    match c {
        '\u{e}' | '\u{f}' | '\u{1b}' => false,
        c if c.is_ascii() => true,
        // Encoders write them in full width, and the text would be another.
        '\u{ff61}'..='\u{ff9f}' => false,
        c => first_byte(c).is_some_and(|first| ROWS.iter().any(|rows| rows.contains(&first))),
    }
}

/// The first byte of a character in JIS X 0208, as far as the encoder writes it there.
fn first_byte(c: char) -> Option<u8> {
    let mut bytes = [0; 16];
    let (result, _, written) =
        ISO_2022_JP.new_encoder().encode_from_utf8_without_replacement(c.encode_utf8(&mut [0; 4]), &mut bytes, true);
    let is_there = result == EncoderResult::InputEmpty && bytes[..written].starts_with(b"\x1b$B");
    is_there.then(|| bytes[ESCAPE_BYTES])
}

/// A text in ISO-2022-JP: what it does not have is replaced. Begins and ends in ASCII, and so does each line.
fn iso_2022_jp(text: &str) -> String {
    let known = replacement::replaced(text, alike, has);
    let (bytes, _, _) = ISO_2022_JP.encode(&known);
    String::from_utf8(bytes.into_owned()).expect("ISO-2022-JP has seven bits")
}

impl Script {
    /// Its name where parameters are written (RFC 2231 4).
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Iso2022Jp => "ISO-2022-JP",
        }
    }

    /// A text as it can be written: in ISO-2022-JP what it does not have is replaced.
    pub(super) fn writable(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Utf8 => text.into(),
            Self::Iso2022Jp => replacement::replaced(text, alike, has).into(),
        }
    }

    /// The bytes of a writable text. They begin and end in ASCII.
    pub(super) fn bytes(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Self::Utf8 => text.as_bytes().into(),
            Self::Iso2022Jp => iso_2022_jp(text).into_bytes().into(),
        }
    }

    /// The whole text as encoded words, none of which splits a character (RFC 2047 5), each on a line of its own. The first
    /// stands where `column` columns are taken; it begins a new line when there is no room for it.
    pub(super) fn encoded_words(self, text: &str, column: usize) -> String {
        let written = self.writable(text);
        let (name, bytes_max, width, escape): (_, _, fn(char) -> usize, _) = match self {
            Self::Utf8 => ("utf-8?b", UTF_8_WORD_BYTES, char::len_utf8, 0),
            // RFC 1468: each word begins and ends in ASCII.
            Self::Iso2022Jp => {
                ("ISO-2022-JP?B", ISO_2022_JP_WORD_BYTES, |c| if c.is_ascii() { 1 } else { 2 }, ESCAPE_BYTES)
            }
        };
        let room = LINE_COLUMNS_MAX.saturating_sub(column + name.len() + "=???=".len());
        let first = Some(room / 4 * 3).filter(|first| *first >= FIRST_WORD_BYTES_MIN);
        let bytes_max = |index: usize| first.filter(|_| index == 0).unwrap_or(bytes_max).min(bytes_max);
        let words = words(&written, bytes_max, width, escape);
        let words: Vec<String> =
            words.iter().map(|word| format!("=?{name}?{}?=", BASE64_STANDARD.encode(self.bytes(word)))).collect();
        let gap = if first.is_none() && !words.is_empty() { "\r\n " } else { "" };
        format!("{gap}{}", words.join("\r\n "))
    }

    /// A part with this text, whose line ends are CRLF.
    pub(super) fn part(self, subtype: &str, text: String) -> SinglePart {
        match (self, subtype) {
            (Self::Utf8, "html") => SinglePart::html(text),
            (Self::Utf8, _) => SinglePart::plain(text),
            (Self::Iso2022Jp, _) => {
                let kind = ContentType::parse(&format!("text/{subtype}; charset=ISO-2022-JP"));
                let kind = kind.expect("the type is written here");
                let text = iso_2022_jp(&text);
                let is_short = text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX);
                // RFC 1468 is made for seven bits; a line that is too long goes in base64.
                let body = if is_short {
                    // Lettre would have no line of more than 75 bytes here, which are 34 kanji.
                    Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit)
                } else {
                    Body::new_with_encoding(text, ContentTransferEncoding::Base64).expect("base64 can encode all bytes")
                };
                SinglePart::builder().header(kind).body(body)
            }
        }
    }
}

/// Cuts a text into pieces whose bytes, by `width` and with `escape` bytes wherever it changes between ASCII and the rest,
/// are at most what `bytes_max` allows the piece of this index.
pub(super) fn words(
    text: &str,
    bytes_max: impl Fn(usize) -> usize,
    width: impl Fn(char) -> usize,
    escape: usize,
) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut bytes, mut is_wide) = (0, false);
    for c in text.chars() {
        let turn = if is_wide == c.is_ascii() { escape } else { 0 };
        let end = if c.is_ascii() { 0 } else { escape };
        if !word.is_empty() && bytes + turn + width(c) + end > bytes_max(words.len()) {
            words.push(std::mem::take(&mut word));
            (bytes, is_wide) = (0, false);
        }
        bytes += if is_wide == c.is_ascii() { escape } else { 0 } + width(c);
        is_wide = !c.is_ascii();
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests;
