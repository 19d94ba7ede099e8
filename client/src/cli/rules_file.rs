//! Rules that are changed as one document: read from a file, and what a new set of them changed.

use std::path::Path;

use serde::Serialize;

use super::{
    failure::Failure,
    output::Show,
    settings::{
        changes::Change,
        document::{NOTHING_DONE, content_of, table_of, told},
        reading::{Reading, Source},
    },
};

/// The rules of a file, whose keys `fields` knows.
///
/// # Errors
/// All mistakes in it, with their lines.
pub(crate) fn read_rules<T: Default>(path: &Path, fields: impl FnOnce(&mut Reading<'_>, &mut T)) -> Result<T, Failure> {
    let (name, text, folder) = content_of(path)?;
    let source = Source::new(name, &text, folder);
    let mut rules = T::default();
    if let Some(table) = table_of(&text, &source) {
        let mut reading = Reading::new(&source, &table, String::new(), 0);
        fields(&mut reading, &mut rules);
        reading.finish();
    }
    let mistakes = source.mistakes();
    if mistakes.is_empty() { Ok(rules) } else { Err(told(&mistakes, NOTHING_DONE)) }
}

/// What a new set of rules changed.
#[derive(Debug, Serialize)]
pub(crate) struct SetView {
    pub(crate) changed: bool,
    pub(crate) dry_run: bool,
    pub(crate) etag: String,
    pub(crate) changes: Vec<Change>,
}

impl Show for SetView {
    fn text(&self) -> String {
        let mut text = match (self.changed, self.dry_run) {
            (false, _) => "unchanged".to_owned(),
            (true, true) => "would be changed".to_owned(),
            (true, false) => "changed".to_owned(),
        };
        self.changes.iter().for_each(|change| text.push_str(&format!("\n  {}", change.text())));
        text
    }
}
