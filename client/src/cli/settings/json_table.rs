//! A JSON text as the table that the same settings would be in TOML, so that one declaration reads both.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::reading::Source;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 16;

/// The object of a JSON text; nothing where it is none. A null counts as left out.
pub(crate) fn json_table<'t>(text: &'t str, source: &Source) -> Option<DeTable<'t>> {
    let whole: &RawValue = match serde_json::from_str(text) {
        Ok(whole) => whole,
        Err(error) => {
            let words = error.to_string();
            let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
            source.note(offset(text, error.line(), error.column()), format!("is no JSON: {words}"));
            return None;
        }
    };
    let json = Json { text, source };
    match json.value(whole, 0)?.into_inner() {
        DeValue::Table(table) => Some(table),
        _ => {
            source.note(json.at(whole), "must be a JSON object".to_owned());
            None
        }
    }
}

struct Json<'t, 's> {
    text: &'t str,
    source: &'s Source,
}

impl<'t> Json<'t, '_> {
    fn value(&self, raw: &'t RawValue, depth: usize) -> Option<Spanned<DeValue<'t>>> {
        let text = raw.get();
        let value = match text.as_bytes().first()? {
            b'n' => return None,
            _ if depth > DEPTH_MAX => {
                self.source.note(self.at(raw), format!("is nested deeper than {DEPTH_MAX} times"));
                return None;
            }
            b'{' => DeValue::Table(self.table(&parsed::<Pairs<'t>>(text).0, depth)),
            b'[' => {
                let mut items = DeArray::new();
                parsed::<Vec<&RawValue>>(text)
                    .into_iter()
                    .filter_map(|item| self.value(item, depth + 1))
                    .for_each(|item| items.push(item));
                DeValue::Array(items)
            }
            b'"' => DeValue::String(parsed::<String>(text).into()),
            b't' | b'f' => DeValue::Boolean(text == "true"),
            // TOML writes numbers as JSON does, and knows more.
            _ => DeValue::parse(text).ok()?.into_inner(),
        };
        let at = self.at(raw);
        Some(Spanned::new(at..at + text.len(), value))
    }

    fn table(&self, pairs: &[(String, &'t RawValue)], depth: usize) -> DeTable<'t> {
        let mut table = DeTable::new();
        for (key, raw) in pairs {
            let at = self.at(raw);
            let Some(value) = self.value(raw, depth + 1) else { continue };
            if table.insert(Spanned::new(at..at, key.clone().into()), value).is_some() {
                self.source.note(at, format!("{key}: stands twice"));
            }
        }
        table
    }

    /// Where a value begins: each is a part of the text.
    fn at(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }
}

/// The members of an object in their order, those that stand twice included.
struct Pairs<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Pairs<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<'t>(PhantomData<Pairs<'t>>);

impl<'de: 't, 't> Visitor<'de> for PairsVisitor<'t> {
    type Value = Pairs<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// A part of a text that was parsed as a whole before.
fn parsed<'t, T: Deserialize<'t>>(text: &'t str) -> T {
    serde_json::from_str(text).expect("the whole text was parsed, so its parts are JSON of the kind they begin with")
}

/// The byte at a line and a column, both counted from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn source(text: &str) -> Source {
        Source::new("job.json".to_owned(), text, PathBuf::new())
    }

    #[test]
    fn json_is_read_as_toml_is() {
        let json = "{\n \"a\": [\"x\", null, \"\\u5c71\"],\n \"b\": {\"c\": true, \"d\": 7, \"e\": null}}";
        let table = json_table(json, &source(json)).unwrap();
        let toml = "a = ['x', '山']\nb = {c = true, d = 7}";
        let expected = DeTable::parse(toml).unwrap().into_inner();
        assert_eq!(format!("{:?}", plain(&table)), format!("{:?}", plain(&expected)));
    }

    fn plain(table: &DeTable<'_>) -> toml::Table {
        let value = |cell: &DeValue<'_>| match cell {
            DeValue::Table(table) => toml::Value::Table(plain(table)),
            DeValue::Array(items) => {
                items.iter().map(|item| item.get_ref().as_str().unwrap().to_owned()).collect::<Vec<_>>().into()
            }
            other => format!("{} {:?}", other.type_str(), other.as_bool()).into(),
        };
        table.iter().map(|(key, cell)| (key.get_ref().to_string(), value(cell.get_ref()))).collect()
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(40), "]".repeat(40));
        for (text, expected) in [
            ("{\n \"a\": ]}", "job.json:2: is no JSON: expected value"),
            ("[1]", "job.json:1: must be a JSON object"),
            ("{\"a\": 1,\n\"a\": 2}", "job.json:2: a: stands twice"),
            (&deep, "job.json:1: is nested deeper than 16 times"),
        ] {
            let source = source(text);
            let _ = json_table(text, &source);
            assert_eq!(source.mistakes(), [expected]);
        }
    }
}
