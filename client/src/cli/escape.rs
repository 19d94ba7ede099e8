//! How foreign text is shown on a terminal without being obeyed by it.

use std::{borrow::Cow, fmt::Write as _};

/// The text with every character that a terminal acts upon, line feeds included, written as an escape.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if is_active(letter) => write!(safe, "\\u{{{:x}}}", u32::from(letter)).expect("a string takes all"),
            _ => safe.push(letter),
        }
    }
    Cow::Owned(safe)
}

/// The lines of a text, each escaped.
pub(crate) fn escape_lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split('\n').map(|line| escape(line.strip_suffix('\r').unwrap_or(line)))
}

/// JSON text in which such characters, which JSON would let pass within strings, stand as `\u` escapes; its value is the same.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_active) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for letter in json.chars() {
        if is_active(letter) {
            write!(safe, "\\u{:04x}", u32::from(letter)).expect("a string takes all");
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// C0, DEL and C1 controls, line and paragraph separators, and the marks that reorder text.
pub(crate) fn is_active(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_never_acts_upon_foreign_text() {
        for (text, expected) in [
            ("550 5.1.1 No such user", "550 5.1.1 No such user"),
            ("利用者なし", "利用者なし"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\u{9b}2J\u{7f}", "a\\u{9b}2J\\u{7f}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("moc\u{202e}live", "moc\\u{202e}live"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn lines_are_kept_apart() {
        let lines: Vec<_> = escape_lines("550-a\r\n550 \u{1b}b").collect();
        assert_eq!(lines, ["550-a", "550 \\u{1b}b"]);
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let text = "a\u{9b}b\u{202e}c\u{7f}\u{1b}";
        let json = serde_json::to_string(text).unwrap();
        let safe = escape_json(&json);
        assert_eq!(safe, "\"a\\u009bb\\u202ec\\u007f\\u001b\"");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }
}
