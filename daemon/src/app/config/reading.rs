//! From a file's text and the environment to one value a key: mistakes are collected, not returned one by one.

use std::collections::BTreeMap;

use super::{
    mistake::{FILE, Mistake, Mistakes},
    places::{Environment, Places},
    setting::{Given, Setting},
    settings,
};

/// The beginning of the variables that go before the file.
const VARIABLE_PREFIX: &str = "HIKYAKU__";

/// What was given, and what was wrong with it so far.
#[derive(Debug)]
pub(super) struct Reader {
    given: BTreeMap<String, Given>,
    places: Places,
    mistakes: Vec<Mistake>,
}

impl Reader {
    /// Reads a file's text, and then the environment, which goes before it.
    pub(super) fn new(text: &str, environment: &Environment) -> Self {
        let mut reader = Self { given: BTreeMap::new(), places: Places::of(environment), mistakes: Vec::new() };
        match text.parse::<toml::Table>() {
            Ok(table) => reader.flatten("", table),
            Err(error) => reader.mistakes.push(Mistake::new(FILE, syntax(&error, text))),
        }
        reader.overlay(environment);
        reader
    }

    /// A key's value; its default when it is not given, or when it is wrong.
    pub(super) fn value<T>(&mut self, setting: &Setting<T>) -> T {
        if let Some(value) = self.optional(setting) {
            return value;
        }
        let default = setting.default.toml(&self.places).expect("a setting that is read by `value` has a default");
        let default = default.parse().expect("defaults are TOML: proven by a test");
        (setting.parse)(&Given::Toml(default)).unwrap_or_else(|wrong| {
            unreachable!("the default of {} has no mistake, proven by a test, but: {wrong}", setting.key)
        })
    }

    /// A key's value when it is given and right.
    pub(super) fn optional<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        let given = self.given.get(setting.key)?;
        match (setting.parse)(given) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let place = match given {
                    Given::Toml(_) => setting.key.to_owned(),
                    Given::Variable { name, .. } => format!("{} (by {name})", setting.key),
                };
                self.mistakes.push(Mistake::new(place, wrong));
                None
            }
        }
    }

    /// Whether a key is given, rightly or wrongly.
    pub(super) fn has<T>(&self, setting: &Setting<T>) -> bool {
        self.given.contains_key(setting.key)
    }

    /// Notes what is wrong with a value that is right by itself.
    pub(super) fn blame<T>(&mut self, setting: &Setting<T>, wrong: impl Into<String>) {
        self.mistakes.push(Mistake::new(setting.key, wrong));
    }

    /// What was wrong, if anything.
    pub(super) fn finish(self) -> Option<Mistakes> {
        Mistakes::from_found(self.mistakes)
    }

    /// Sections become parts of the key, however they are written.
    fn flatten(&mut self, section: &str, table: toml::Table) {
        for (name, value) in table {
            let key = if section.is_empty() { name } else { format!("{section}.{name}") };
            match value {
                toml::Value::Table(inner) if is_section(&key) => self.flatten(&key, inner),
                _ if is_section(&key) => self.mistakes.push(Mistake::new(key, "is a section, not a key")),
                value if is_key(&key) => {
                    self.given.insert(key, Given::Toml(value));
                }
                _ => self.mistakes.push(unknown(&key, section)),
            }
        }
    }

    fn overlay(&mut self, environment: &Environment) {
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            let key = rest.to_lowercase().replace("__", ".");
            if !is_key(&key) {
                let wrong = format!("there is no key {key}; `hikyakud config --defaults` lists all");
                self.mistakes.push(Mistake::new(name, wrong));
            } else if text.is_empty() {
                self.given.remove(&key);
            } else {
                self.given.insert(key, Given::Variable { name: name.clone(), text: text.clone() });
            }
        }
    }
}

fn is_key(key: &str) -> bool {
    settings::ALL.iter().any(|entry| entry.key == key)
}

fn is_section(key: &str) -> bool {
    settings::ALL.iter().any(|entry| entry.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn unknown(key: &str, section: &str) -> Mistake {
    let mut names: Vec<&str> = settings::ALL
        .iter()
        .filter_map(|entry| match section {
            "" => Some(entry.key),
            _ => entry.key.strip_prefix(section)?.strip_prefix('.'),
        })
        .filter_map(|rest| rest.split('.').next())
        .collect();
    names.dedup();
    let of = if section.is_empty() { String::from("the sections are") } else { format!("[{section}] has") };
    Mistake::new(key, format!("unknown key; {of} {}", names.join(", ")))
}

fn syntax(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line} is not TOML: {}", error.message().replace('\n', " ")),
        None => format!("not TOML: {}", error.message().replace('\n', " ")),
    }
}
