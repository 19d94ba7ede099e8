//! How settings become a tree of keys: what has its default is left out.

use toml::{Table, Value, de::DeValue};

use super::{
    fields::{Exported, Fields, Shape},
    reading::literal,
};

/// Writes one table.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    table: Table,
    path: Vec<&'static str>,
    secrets: Secrets<'a>,
}

/// What stands in the place of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets<'a> {
    /// Nothing: they are not compared.
    LeftOut,
    /// References to environment variables, named after this account.
    Named(&'a str),
}

/// The tree of a message.
pub(crate) fn tree<'a, T>(secrets: Secrets<'a>, value: &mut T, each: impl Fn(&mut Writing<'a>, &mut T)) -> Table {
    let mut writing = Writing { table: Table::new(), path: Vec::new(), secrets };
    each(&mut writing, value);
    writing.table
}

impl Writing<'_> {
    fn below<T>(&mut self, key: &'static str, value: &mut T, each: &impl Fn(&mut Self, &mut T)) -> Table {
        self.path.push(key);
        let above = std::mem::take(&mut self.table);
        each(self, value);
        self.path.pop();
        std::mem::replace(&mut self.table, above)
    }
}

impl Fields for Writing<'_> {
    fn value<T>(
        &mut self,
        key: &'static str,
        value: &mut T,
        _read: impl Fn(&DeValue<'_>) -> Result<T, String>,
        write: impl Fn(&T) -> Option<Value>,
    ) {
        if let Some(written) = write(value) {
            self.table.insert(key.to_owned(), written);
        }
    }

    fn long_text(&mut self, key: &'static str, value: &mut String) {
        if !value.is_empty() {
            self.table.insert(key.to_owned(), literal(value).into());
        }
    }

    fn secret(&mut self, key: &'static str, _value: &mut String, _shape: Shape, exported: Exported) {
        if let (Secrets::Named(account_id), Exported::Named) = (self.secrets, exported) {
            let words: Vec<_> = std::iter::once(account_id).chain(self.path.iter().copied()).chain([key]).collect();
            let name =
                words.join("_").to_ascii_uppercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
            let name = if name.starts_with(|letter: char| letter.is_ascii_digit()) { format!("_{name}") } else { name };
            self.table.insert(key.to_owned(), format!("env:{name}").into());
        }
    }

    fn group<T: Default>(&mut self, key: &'static str, value: &mut Option<T>, each: impl Fn(&mut Self, &mut T)) {
        let Some(value) = value else { return };
        let table = self.below(key, value, &each);
        if !table.is_empty() {
            self.table.insert(key.to_owned(), Value::Table(table));
        }
    }

    fn groups<T: Default>(&mut self, key: &'static str, values: &mut Vec<T>, each: impl Fn(&mut Self, &mut T)) {
        let tables: Vec<_> = values.iter_mut().map(|value| Value::Table(self.below(key, value, &each))).collect();
        if !tables.is_empty() {
            self.table.insert(key.to_owned(), Value::Array(tables));
        }
    }

    fn mistake(&mut self, _what: &str) {}
}
