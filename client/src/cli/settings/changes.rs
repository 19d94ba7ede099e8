//! How two trees of settings differ, key by key.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::{Table, Value};

use crate::cli::escape::escape;

/// A setting that differs. What is null has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) field: String,
    pub(crate) old: Option<String>,
    pub(crate) new: Option<String>,
}

/// Stands for every secret.
pub(crate) const SECRET: &str = "(secret)";
/// Longest value that is shown, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// What has to change for `old` to become `new`, in the order of the keys.
pub(crate) fn changes(old: &Table, new: &Table) -> Vec<Change> {
    let (old, new) = (leaves(old), leaves(new));
    let fields = old.keys().chain(new.keys()).collect::<std::collections::BTreeSet<_>>();
    let changed = fields.into_iter().filter(|field| old.get(*field) != new.get(*field));
    let changed =
        changed.map(|field| Change { field: field.clone(), old: shown(old.get(field)), new: shown(new.get(field)) });
    changed.collect()
}

/// A secret that is sent, of which nobody can tell whether it differs.
pub(crate) fn sent_secret(field: String) -> Change {
    Change { field, old: Some(SECRET.to_owned()), new: Some(SECRET.to_owned()) }
}

/// The values of a tree by their paths.
pub(crate) fn leaves(table: &Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect("", table, &mut found);
    found
}

/// A value on one line.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_str) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

impl Change {
    /// `field: old → new`.
    pub(crate) fn text(&self) -> String {
        let short = |value: &Option<String>| match value {
            None => "(default)".to_owned(),
            Some(text) => match text.char_indices().nth(VALUE_CHARS_MAX) {
                Some((end, _)) => format!("{}…", escape(&text[..end])),
                None => escape(text).into_owned(),
            },
        };
        let field = escape(&self.field);
        if self.new.as_deref() == Some(SECRET) {
            return format!("{field}: {SECRET}");
        }
        format!("{field}: {} → {}", short(&self.old), short(&self.new))
    }
}

fn collect(path: &str, table: &Table, found: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(table) => collect(&path, table, found),
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_table) => {
                for (index, table) in items.iter().filter_map(Value::as_table).enumerate() {
                    collect(&format!("{path}[{index}]"), table, found);
                }
            }
            value => {
                found.insert(path, value.clone());
            }
        }
    }
}

fn shown(value: Option<&Value>) -> Option<String> {
    value.map(value_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let old = table("a = 1\nb = 'x'\n[c]\nd = ['p', 'q']\ne = true\n");
        let new = table("a = 2\nb = 'x'\nf = \"n\\u001b\"\n[c]\nd = ['p']\n");
        let texts: Vec<_> = changes(&old, &new).iter().map(Change::text).collect();
        assert_eq!(texts, ["a: 1 → 2", "c.d: p, q → p", "c.e: true → (default)", "f: (default) → n\\u{1b}"]);
        assert_eq!(changes(&new, &new), []);
        assert_eq!(sent_secret("p".to_owned()).text(), "p: (secret)");
    }
}
