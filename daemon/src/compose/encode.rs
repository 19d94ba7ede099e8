//! How texts and mailboxes are written in header fields: folded, and as encoded words where they are not plain ASCII.

use super::charset::Script;
use crate::domain::mail::Mailbox;

/// Columns after which a header line is folded (RFC 5322 2.1.1).
const FOLD_COLUMNS: usize = 76;
/// The longest name of a field with mailboxes, `Reply-To: `.
const LONGEST_NAME_BYTES: usize = 10;
/// Longest name that is written as a quoted string, in bytes; longer ones become encoded words, which can be folded.
const QUOTED_BYTES_MAX: usize = 60;

/// A header field with free text (RFC 5322 3.6.5), its line end included.
pub(super) fn text_field(name: &str, text: &str, script: Script) -> String {
    let text = &*script.writable(text);
    let is_plain = is_printable_ascii(text)
        && !text.contains("=?")
        && !text.contains("  ")
        && text.trim() == text
        && text.split(' ').all(|word| word.len() < FOLD_COLUMNS);
    if is_plain {
        return folded_field(name, text);
    }
    let words = script.encoded_words(text, name.len() + 2);
    let gap = if words.starts_with('\r') { "" } else { " " };
    format!("{name}:{gap}{words}\r\n")
}

/// A header field that a client wrote: as it is when it is ASCII, since it may have a syntax of its own.
pub(super) fn custom_field(name: &str, value: &str, script: Script) -> String {
    let value = value.trim();
    if value.is_ascii() { folded_field(name, value) } else { text_field(name, value, script) }
}

/// A header field with mailboxes, one on each line.
pub(super) fn mailboxes_field(name: &str, mailboxes: &[Mailbox], script: Script) -> String {
    let written: Vec<String> = mailboxes.iter().map(|one| mailbox(one, script)).collect();
    format!("{name}: {}\r\n", written.join(",\r\n "))
}

/// The address stands on a line of its own when its name is one or more encoded words, or they do not fit on one.
fn mailbox(mailbox: &Mailbox, script: Script) -> String {
    let address = mailbox.address.as_str();
    let name = mailbox.name.as_deref().map(|name| script.writable(name.trim()));
    match name.filter(|name| !name.trim().is_empty()) {
        None => address.to_owned(),
        Some(name) => {
            let phrase = phrase(name.trim(), script);
            let is_short = LONGEST_NAME_BYTES + phrase.len() + address.len() + 4 <= FOLD_COLUMNS;
            let gap = if is_short && !phrase.starts_with("=?") { " " } else { "\r\n " };
            format!("{phrase}{gap}<{address}>")
        }
    }
}

/// A display name: a quoted string or encoded words (RFC 5322 3.2.5, RFC 2047 5).
fn phrase(name: &str, script: Script) -> String {
    let is_plain = is_printable_ascii(name) && !name.contains("=?") && name.len() <= QUOTED_BYTES_MAX;
    if !is_plain {
        return script.encoded_words(name, LONGEST_NAME_BYTES);
    }
    // Between atoms, readers run spaces together.
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ') && !name.contains("  ") {
        return name.to_owned();
    }
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Breaks lines before words, so that no continuation line is blank.
fn folded_field(name: &str, value: &str) -> String {
    let mut field = format!("{name}:");
    let mut column = field.len();
    for (index, word) in value.split(' ').enumerate() {
        if index > 0 && !word.is_empty() && column + 1 + word.len() > FOLD_COLUMNS {
            field.push_str("\r\n");
            column = 0;
        }
        field.push(' ');
        field.push_str(word);
        column += 1 + word.len();
    }
    field.push_str("\r\n");
    field
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, field: &str) {
        assert_eq!(text_field("Subject", text, Script::Utf8), format!("Subject: {field}\r\n"));
    }

    #[test]
    fn plain_texts_stay_readable() {
        check("", "");
        check("Hello, world", "Hello, world");
        let long = "word ".repeat(40);
        let field = text_field("Subject", long.trim(), Script::Utf8);
        assert!(field.lines().all(|line| line.len() <= FOLD_COLUMNS && !line.trim().is_empty()), "{field}");
        assert_eq!(field.replace("\r\n", ""), format!("Subject: {}", long.trim()));
    }

    #[test]
    fn other_texts_become_encoded_words() {
        check("飛脚", "=?utf-8?b?6aOb6ISa?=");
        check("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?=");
        check(" a", "=?utf-8?b?IGE=?=");
        let field = text_field("Subject", &"飛".repeat(100), Script::Utf8);
        assert!(field.lines().all(|line| line.len() <= FOLD_COLUMNS), "{field}");
        assert!(!field.contains("77+9"), "no replacement character: {field}");
        for length in 1..=76 {
            let field = text_field(&"N".repeat(length), &"飛".repeat(100), Script::Iso2022Jp);
            assert!(field.lines().all(|line| line.len() <= FOLD_COLUMNS.max(length + 1)), "{field}");
            assert_eq!(field.lines().next().is_some_and(|line| line.contains("=?")), length <= 40, "{field}");
        }
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let written = |name: &str| {
            let address = "t@example.jp".parse().expect("an address");
            mailbox(&Mailbox { name: Some(name.into()), address }, Script::Utf8)
        };
        assert_eq!(written("Taro Yamada"), "Taro Yamada <t@example.jp>");
        assert_eq!(written("Yamada, Taro"), "\"Yamada, Taro\" <t@example.jp>");
        assert_eq!(written("a\" <x@y>, \"\\"), "\"a\\\" <x@y>, \\\"\\\\\" <t@example.jp>");
        assert_eq!(written("太郎"), "=?utf-8?b?5aSq6YOO?=\r\n <t@example.jp>");
        assert_eq!(written("  "), "t@example.jp");
        assert_eq!(written("a  b"), "\"a  b\" <t@example.jp>");
        assert_eq!(written("=?utf-8?q?x?="), "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?=\r\n <t@example.jp>");
        assert_eq!(written(&"x".repeat(55)), format!("{}\r\n <t@example.jp>", "x".repeat(55)));
    }
}
