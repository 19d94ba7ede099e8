//! How are names of folders written on the wire (RFC 3501 5.1.3)?

use base64::{
    Engine,
    alphabet::IMAP_MUTF7,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Modified BASE64: with a comma for the slash, and without padding.
const MODIFIED: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// A name for people; as it is when it is not in modified UTF-7, as with servers that write plain UTF-8.
pub(super) fn decoded(name: &str) -> String {
    decode(name).unwrap_or_else(|| name.to_owned())
}

fn decode(name: &str) -> Option<String> {
    let mut pieces = name.split('&');
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (shifted, rest) = piece.split_once('-')?;
        if shifted.is_empty() {
            text.push('&');
        } else {
            let bytes = MODIFIED.decode(shifted).ok()?;
            let (units, odd) = bytes.as_chunks::<2>();
            if !odd.is_empty() {
                return None;
            }
            let units: Vec<_> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            text.push_str(&String::from_utf16(&units).ok()?);
        }
        text.push_str(rest);
    }
    Some(text)
}

/// What a string stands for. imap-proto leaves the backslashes in quoted strings, and does not say which were quoted: one
/// in which every backslash quotes something was.
pub(super) fn unescaped(raw: &str) -> String {
    let (mut text, mut chars) = (String::with_capacity(raw.len()), raw.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(quoted @ ('\\' | '"')) => text.push(quoted),
                _ => return raw.to_owned(),
            },
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(decoded(name), expected);
    }

    #[test]
    fn names_are_decoded_for_people() {
        check("INBOX.Sent", "INBOX.Sent");
        check("&kAFP4W4IMH8-", "送信済み");
        check("&kAFP4W4IMH8wojCkMMYw4A-", "送信済みアイテム");
        check("Envoy&AOk-s", "Envoyés");
        check("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語");
        check("A &- B&AOk-&-", "A & Bé&");
        check("&2Dzf4Q-", "🏡");
    }

    #[test]
    fn what_is_not_encoded_stays_as_it_is() {
        for name in ["送信済み", "R&D", "a&b-", "&AO-", "&2Dw-", "&AOk", ""] {
            check(name, name);
        }
    }

    #[test]
    fn quoted_names_are_unquoted_and_others_are_left() {
        for (raw, expected) in
            [("a\\\"b", "a\"b"), ("a\\\\b", "a\\b"), ("a\\b", "a\\b"), ("\\\\", "\\"), ("a\\", "a\\")]
        {
            assert_eq!(unescaped(raw), expected);
        }
    }
}
