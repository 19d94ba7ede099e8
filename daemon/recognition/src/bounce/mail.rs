//! A mail as recognition reads it: its headers, and its parts as bounded texts.

use std::borrow::Cow;

use super::{
    address::{clean, is_address},
    mime,
};

/// Most lines of header that are read of a mail or part.
const HEADERS_MAX: usize = 1_000;
/// Longest header value, in bytes.
const HEADER_BYTES_MAX: usize = 16_384;

/// What a part is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    /// For people, plain.
    Text,
    /// For people, as HTML; its text is already plain.
    Html,
    /// message/delivery-status (RFC 3464) and message/global-delivery-status (RFC 6533).
    DeliveryStatus,
    /// message/feedback-report (RFC 5965).
    FeedbackReport,
    /// message/disposition-notification (RFC 8098).
    Disposition,
    /// The mail that was returned, or its header.
    Returned,
    /// Anything else; its text is empty.
    Other,
}

/// One part that has no parts of its own.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    /// Its text, decoded, with LF at the end of lines.
    pub(super) text: String,
}

/// Header fields in order: names in lower case, values unfolded.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Vec<(String, String)>);

/// A mail: its header and its parts, without those of the mail that it returns.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) headers: Headers,
    pub(super) parts: Vec<Part>,
}

impl Mail {
    /// Reads a mail whose lines end in LF. Whatever it holds, something is read.
    pub(super) fn read(message: &[u8]) -> Self {
        let (headers, body) = Headers::read(message);
        let mut parts = Vec::new();
        mime::read_parts(&headers, body, 0, &mut parts);
        Self { headers, parts }
    }

    /// The text for people: the plain parts, else the HTML ones.
    pub(super) fn text(&self) -> Cow<'_, str> {
        let of = |kind| self.parts.iter().filter(move |part| part.kind == kind && !part.text.trim().is_empty());
        let kind = if of(PartKind::Text).next().is_some() { PartKind::Text } else { PartKind::Html };
        let mut texts = of(kind).map(|part| part.text.as_str());
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                Cow::Owned([first, second].into_iter().chain(texts).collect::<Vec<_>>().join("\n\n"))
            }
        }
    }

    /// The parts of a kind.
    pub(super) fn of(&self, kind: PartKind) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(move |part| part.kind == kind).map(|part| part.text.as_str())
    }
}

impl Headers {
    /// Reads header fields up to the first line that is none, and gives what follows them.
    pub(super) fn read(text: &[u8]) -> (Self, &[u8]) {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            let line = line.trim_ascii_end();
            if line.is_empty() {
                // Blank lines before the header are tolerated, as some programs write them.
                rest = after;
                if fields.is_empty() && !rest.is_empty() && rest.len() + 8 > text.len() {
                    continue;
                }
                break;
            }
            if line[0] == b' ' || line[0] == b'\t' {
                if let Some((_, value)) = fields.last_mut().filter(|(_, value)| value.len() < HEADER_BYTES_MAX) {
                    if !value.is_empty() {
                        value.push(' ');
                    }
                    value.push_str(&String::from_utf8_lossy(line.trim_ascii()));
                }
            } else if let Some((name, value)) = field(line) {
                if fields.len() < HEADERS_MAX {
                    fields.push((name, value));
                }
            } else if !(line.starts_with(b"From ") || line.starts_with(b">From ")) {
                break;
            }
            rest = after;
        }
        (Self(fields), rest)
    }

    /// The first value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is such a field.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The first value of a field in lower case; empty when there is none.
    pub(super) fn lower(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_lowercase()
    }

    /// The first value of a field with its encoded words (RFC 2047) decoded.
    pub(super) fn decoded(&self, name: &str) -> Option<String> {
        self.get(name).map(mime::decode_words)
    }

    /// The address of a field such as From, Return-Path or Delivered-To.
    pub(super) fn address(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(address_of)
    }
}

/// The address in the value of a field: between angle brackets when there are some.
pub(super) fn address_of(value: &str) -> Option<&str> {
    let bracketed = value.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| clean(inner));
    let bare = || value.split([' ', ',', '\t']).map(clean).find(|word| is_address(word));
    bracketed.filter(|inner| is_address(inner)).or_else(bare)
}

fn field(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|b| *b == b':')?;
    let name = line[..colon].trim_ascii_end();
    // RFC 5322 2.2: printable ASCII; a space before the colon is obsolete and still met.
    if name.is_empty() || name.len() > 80 || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let value = &line[colon + 1..line.len().min(colon + 1 + HEADER_BYTES_MAX)];
    let value = String::from_utf8_lossy(value.trim_ascii()).into_owned();
    Some((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
}
