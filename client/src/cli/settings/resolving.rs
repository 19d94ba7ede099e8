//! How references become the secrets that they name, just before settings are sent.

use toml::{Value, de::DeValue};

use super::{
    fields::{Exported, Fields, Shape},
    secret::Vault,
};

/// Visits the references of one message.
#[derive(Debug)]
pub(crate) struct Resolving<'a> {
    /// What opens them; they are only looked for without it.
    vault: Option<&'a Vault<'a>>,
    path: Vec<&'static str>,
    /// The paths of all secrets that are there.
    found: Vec<String>,
    failures: Vec<String>,
}

/// Puts each secret in the place of its reference.
///
/// # Errors
/// Every reference that leads nowhere, with its path.
pub(crate) fn resolve<'a, T>(
    vault: &'a Vault<'a>,
    value: &mut T,
    each: impl Fn(&mut Resolving<'a>, &mut T),
) -> Result<(), Vec<String>> {
    let failures = visit(Some(vault), value, each).failures;
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// The paths of the secrets for which there is a reference.
pub(crate) fn secret_paths<T>(value: &mut T, each: impl Fn(&mut Resolving<'static>, &mut T)) -> Vec<String> {
    visit(None, value, each).found
}

fn visit<'a, T>(
    vault: Option<&'a Vault<'a>>,
    value: &mut T,
    each: impl Fn(&mut Resolving<'a>, &mut T),
) -> Resolving<'a> {
    let mut resolving = Resolving { vault, path: Vec::new(), found: Vec::new(), failures: Vec::new() };
    each(&mut resolving, value);
    resolving
}

impl Fields for Resolving<'_> {
    fn value<T>(
        &mut self,
        _key: &'static str,
        _value: &mut T,
        _read: impl Fn(&DeValue<'_>) -> Result<T, String>,
        _write: impl Fn(&T) -> Option<Value>,
    ) {
    }

    fn long_text(&mut self, _key: &'static str, _value: &mut String) {}

    fn secret(&mut self, key: &'static str, value: &mut String, shape: Shape, _exported: Exported) {
        if value.is_empty() {
            return;
        }
        let path: Vec<_> = self.path.iter().copied().chain([key]).collect();
        let path = path.join(".");
        match self.vault.map(|vault| vault.open(value, shape)) {
            None => {}
            Some(Ok(secret)) => *value = secret,
            Some(Err(what)) => self.failures.push(format!("{path}: {what}")),
        }
        self.found.push(path);
    }

    fn group<T: Default>(&mut self, key: &'static str, value: &mut Option<T>, each: impl Fn(&mut Self, &mut T)) {
        let Some(value) = value else { return };
        self.path.push(key);
        each(self, value);
        self.path.pop();
    }

    fn groups<T: Default>(&mut self, key: &'static str, values: &mut Vec<T>, each: impl Fn(&mut Self, &mut T)) {
        self.path.push(key);
        values.iter_mut().for_each(|value| each(self, value));
        self.path.pop();
    }

    fn mistake(&mut self, _what: &str) {}
}
