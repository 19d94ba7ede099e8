//! Which fields does a message's header have?

use crate::domain::dkim::DkimKeyId;

/// A header field with all its lines and their ends.
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) lines: &'a [u8],
}

impl Field<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value, unfolded.
    pub(super) fn value(&self) -> String {
        let start = self.lines.iter().position(|b| *b == b':').map_or(0, |colon| colon + 1);
        let text = String::from_utf8_lossy(&self.lines[start..]).replace("\r\n", "");
        text.trim().to_owned()
    }

    /// Whether it is a signature that names this key.
    pub(super) fn is_signature_of(&self, id: &DkimKeyId) -> bool {
        if !self.is("DKIM-Signature") {
            return false;
        }
        let value = &self.lines[self.name.len().min(self.lines.len())..];
        let value = String::from_utf8_lossy(value);
        let tags = value.trim_start().trim_start_matches(':').split(';').filter_map(|tag| tag.split_once('='));
        let has = |wanted: &str, expected: &str| {
            let mut values = tags.clone().filter(|(name, _)| name.trim() == wanted);
            values.any(|(_, value)| value.trim().eq_ignore_ascii_case(expected))
        };
        has("d", id.domain()) && has("s", id.selector())
    }
}

/// The value of a message's Message-ID field, if it has one.
#[must_use]
pub fn message_id(message: &[u8]) -> Option<String> {
    let found = fields(split(message).0).into_iter().find(|field| field.is("message-id"));
    found.map(|field| field.value())
}

/// The header's lines, and the rest with the blank line that begins it.
pub(super) fn split(message: &[u8]) -> (&[u8], &[u8]) {
    if message.starts_with(b"\r\n") {
        return (&[], message);
    }
    let blank = message.windows(4).position(|four| four == b"\r\n\r\n");
    blank.map_or((message, &[]), |at| message.split_at(at + 2))
}

/// The fields in their order.
pub(super) fn fields(header: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let mut rest = header;
    while !rest.is_empty() {
        let (lines, tail) = rest.split_at(field_end(rest));
        let colon = lines.iter().position(|b| *b == b':').unwrap_or(lines.len());
        fields.push(Field { name: without_blanks(&lines[..colon]), lines });
        rest = tail;
    }
    fields
}

/// The name without the blanks that old programs put before the colon (RFC 5322 4.5). It does not go on over a line's end.
fn without_blanks(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    name
}

/// Where the field ends that `rest` begins with: before the next line that is no continuation.
fn field_end(rest: &[u8]) -> usize {
    let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let mut last = ends.filter(|end| !matches!(rest.get(*end), Some(b' ' | b'\t')));
    last.next().unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_apart() {
        let (header, rest) = split(b"From: a@x.jp\r\nSubject : a\r\n b\r\n\tc\r\nX:\r\n\r\nbody\r\n\r\nmore");
        assert_eq!(rest, b"\r\nbody\r\n\r\nmore");
        let fields = fields(header);
        let lines: Vec<_> = fields.iter().map(|field| field.lines).collect();
        assert_eq!(lines, [&b"From: a@x.jp\r\n"[..], b"Subject : a\r\n b\r\n\tc\r\n", b"X:\r\n"]);
        assert!(fields[0].is("from") && fields[1].is("SUBJECT") && fields[2].is("x"));
        assert_eq!(split(b"X: 1\r\n").0, b"X: 1\r\n");
        assert_eq!(split(b"\r\nbody").0, b"");
    }

    #[track_caller]
    fn check(field: &str, expected: bool) {
        let id = "s1._domainkey.example.jp".parse().expect("a name");
        assert_eq!(fields(field.as_bytes())[0].is_signature_of(&id), expected, "{field:?}");
    }

    #[test]
    fn a_signature_is_known_by_domain_and_selector() {
        check("DKIM-Signature: v=1; a=rsa-sha256; d=example.jp; s=s1; b=x\r\n", true);
        check("dkim-signature : v=1;d=Example.JP;\r\n\ts=s1\r\n; b=x\r\n", true);
        check("DKIM-Signature:d=example.jp;s=s1\r\n", true);
        check("DKIM-Signature: v=1; d=example.jp; s=s2; b=x\r\n", false);
        check("DKIM-Signature: v=1; d=mail.example.jp; s=s1; b=x\r\n", false);
        check("X-Signature: d=example.jp; s=s1; b=x\r\n", false);
    }
}
