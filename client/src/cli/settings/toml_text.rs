//! How a tree is written as TOML that a terminal does not obey and that reads back to the same tree.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::cli::escape::is_active;

/// The text of a document.
pub(crate) fn document(table: &Table) -> String {
    let mut text = String::new();
    write_table("", table, &mut text);
    text.trim_start().trim_end().to_owned()
}

fn write_table(path: &str, table: &Table, text: &mut String) {
    for (key, value) in table.iter().filter(|(_, value)| !is_below(value)) {
        let _ = writeln!(text, "{} = {}", key_text(key), value_text(value));
    }
    for (key, value) in table {
        let key = key_text(key);
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            Value::Table(below) => {
                // A table with nothing but tables needs no line of its own.
                if below.is_empty() || below.values().any(|value| !is_below(value)) {
                    let _ = writeln!(text, "\n[{path}]");
                }
                write_table(&path, below, text);
            }
            Value::Array(items) if is_below(value) => {
                for below in items.iter().filter_map(Value::as_table) {
                    let _ = writeln!(text, "\n[[{path}]]");
                    write_table(&path, below, text);
                }
            }
            _ => {}
        }
    }
}

/// Whether a value has lines of its own.
fn is_below(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_table),
        _ => false,
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => string_text(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(value_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let pairs: Vec<_> =
                table.iter().map(|(key, value)| format!("{} = {}", key_text(key), value_text(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { key.to_owned() } else { string_text(key) }
}

fn string_text(text: &str) -> String {
    let lines = text.contains('\n');
    let mut written = String::from(if lines { "\"\"\"\n" } else { "\"" });
    for letter in text.chars() {
        match letter {
            '\n' => written.push('\n'),
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            letter if is_active(letter) => {
                let _ = write!(written, "\\u{:04X}", u32::from(letter));
            }
            letter => written.push(letter),
        }
    }
    written.push_str(if lines { "\"\"\"" } else { "\"" });
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value) {
        let inner = Table::from_iter([("a b.c".to_owned(), value.clone()), ("z".to_owned(), Value::Boolean(true))]);
        let table = Table::from_iter([("k".to_owned(), value), ("t".to_owned(), Value::Table(inner))]);
        let text = document(&table);
        assert_eq!(text.parse::<Table>().unwrap(), table, "{text}");
        assert!(!text.chars().any(|letter| letter != '\n' && is_active(letter)), "{text}");
    }

    #[test]
    fn every_value_is_read_back_and_steers_no_terminal() {
        for text in ["", "a", "a\"b\\c", "one\ntwo\n", "\n", "x\r\ny", "\u{1b}[2J\u{9b}\u{202e}", "山田", "'''\"\"\"\n"]
        {
            check(text.into());
        }
        check(7.into());
        check(0.25.into());
        check(2.0.into());
        check(Value::Array(vec!["a".into(), "b\n".into()]));
        check(Value::Array(vec![Value::Table(Table::from_iter([("x".to_owned(), "y".into())]))]));
        check(Value::Array(vec!["a".into(), Value::Table(Table::from_iter([("x".to_owned(), "y".into())]))]));
        check(Value::Table(Table::new()));
    }
}
