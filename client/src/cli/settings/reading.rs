//! How settings are read from a file: every mistake is kept with its path and line, none ends the reading.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

use super::{
    fields::{Exported, Fields, Shape, as_text, wrong_kind},
    secret::check_reference,
};

/// A file that is being read, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    line_starts: Vec<usize>,
    /// Where the files lie that it names.
    folder: PathBuf,
    mistakes: RefCell<Vec<(usize, String)>>,
}

/// Reads one table.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    source: &'a Source,
    table: &'a DeTable<'a>,
    path: String,
    at: usize,
    known: Vec<&'static str>,
}

/// Marks a text that is the name of a file with it.
const FILE_MARK: &str = "file:";
/// Marks a text that is itself, where its first letters are one of these marks.
const TEXT_MARK: &str = "text:";
/// Largest file with a long text.
const LONG_TEXT_BYTES_MAX: u64 = 1 << 20;

impl Source {
    /// A file by this name with this content, which names other files from `folder` on.
    pub(crate) fn new(name: String, text: &str, folder: PathBuf) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(breaks).collect();
        Self { name, line_starts, folder, mistakes: RefCell::default() }
    }

    /// Notes what is wrong at a byte of the file.
    pub(crate) fn note(&self, at: usize, what: String) {
        self.mistakes.borrow_mut().push((at, what));
    }

    /// All mistakes in their order, each with file and line.
    pub(crate) fn mistakes(self) -> Vec<String> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|(at, _)| *at);
        let place = |at| place(&self.name, &self.line_starts, at);
        mistakes.into_iter().map(|(at, what)| format!("{}: {what}", place(at))).collect()
    }

    /// File and line of a byte.
    pub(crate) fn place(&self, at: usize) -> String {
        place(&self.name, &self.line_starts, at)
    }
}

impl<'a> Reading<'a> {
    /// Reads this table, whose keys are below `path`.
    pub(crate) fn new(source: &'a Source, table: &'a DeTable<'a>, path: String, at: usize) -> Self {
        Self { source, table, path, at, known: Vec::new() }
    }

    /// Ends the reading: keys that nobody asked for are mistakes.
    pub(crate) fn finish(self) {
        for key in self.table.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let path = self.path_of(key.get_ref());
            let known = self.known.join(", ");
            self.source.note(key.span().start, format!("{path}: is not a setting; here may stand {known}"));
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
    }

    fn note(&self, key: &str, at: usize, what: &str) {
        self.source.note(at, format!("{}: {what}", self.path_of(key)));
    }

    fn below<T>(&self, key: &str, cell: &'a Spanned<DeValue<'a>>, value: &mut T, each: &impl Fn(&mut Self, &mut T)) {
        let Some(table) = cell.get_ref().as_table() else {
            return self.note(key, cell.span().start, &wrong_kind("a table", cell.get_ref()));
        };
        let mut below = Self::new(self.source, table, self.path_of(key), cell.span().start);
        each(&mut below, value);
        below.finish();
    }
}

impl Fields for Reading<'_> {
    fn value<T>(
        &mut self,
        key: &'static str,
        value: &mut T,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
        _write: impl Fn(&T) -> Option<Value>,
    ) {
        let Some(cell) = self.find(key) else { return };
        match read(cell.get_ref()) {
            Ok(given) => *value = given,
            Err(what) => self.note(key, cell.span().start, &what),
        }
    }

    fn long_text(&mut self, key: &'static str, value: &mut String) {
        let Some(cell) = self.find(key) else { return };
        let text = as_text(cell.get_ref()).and_then(|text| long_text(text, &self.source.folder));
        match text {
            Ok(text) => *value = text,
            Err(what) => self.note(key, cell.span().start, &what),
        }
    }

    fn secret(&mut self, key: &'static str, value: &mut String, _shape: Shape, _exported: Exported) {
        let Some(cell) = self.find(key) else { return };
        match as_text(cell.get_ref()).and_then(|text| check_reference(text).map(|()| text)) {
            Ok(reference) => reference.clone_into(value),
            Err(what) => self.note(key, cell.span().start, &what),
        }
    }

    fn group<T: Default>(&mut self, key: &'static str, value: &mut Option<T>, each: impl Fn(&mut Self, &mut T)) {
        let Some(cell) = self.find(key) else { return };
        self.below(key, cell, value.get_or_insert_default(), &each);
    }

    fn groups<T: Default>(&mut self, key: &'static str, values: &mut Vec<T>, each: impl Fn(&mut Self, &mut T)) {
        let Some(cell) = self.find(key) else { return };
        let Some(items) = cell.get_ref().as_array() else {
            return self.note(key, cell.span().start, &wrong_kind("a list of tables", cell.get_ref()));
        };
        for (index, item) in items.iter().enumerate() {
            let mut value = T::default();
            self.below(&format!("{key}[{index}]"), item, &mut value, &each);
            values.push(value);
        }
    }

    fn mistake(&mut self, what: &str) {
        let what = if self.path.is_empty() { what.to_owned() } else { format!("{}: {what}", self.path) };
        self.source.note(self.at, what);
    }
}

fn place(name: &str, line_starts: &[usize], at: usize) -> String {
    format!("{name}:{}", line_starts.partition_point(|start| *start <= at))
}

/// What a long text in a file means: itself, or what the file that it names holds.
fn long_text(text: &str, folder: &Path) -> Result<String, String> {
    if let Some(literal) = text.strip_prefix(TEXT_MARK).filter(|rest| is_marked(rest)) {
        return Ok(literal.to_owned());
    }
    let Some(path) = text.strip_prefix(FILE_MARK) else { return Ok(text.to_owned()) };
    let path = folder.join(path);
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if fs::metadata(&path).map_err(cannot)?.len() > LONG_TEXT_BYTES_MAX {
        return Err(format!("{} is larger than {LONG_TEXT_BYTES_MAX} bytes", path.display()));
    }
    fs::read_to_string(&path).map_err(cannot)
}

/// The text by which a file means this one.
pub(crate) fn literal(text: &str) -> String {
    let doubtful = text.starts_with(FILE_MARK) || text.strip_prefix(TEXT_MARK).is_some_and(is_marked);
    if doubtful { format!("{TEXT_MARK}{text}") } else { text.to_owned() }
}

fn is_marked(text: &str) -> bool {
    text.starts_with(FILE_MARK) || text.starts_with(TEXT_MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_looks_like_a_reference_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "of a file\n").unwrap();
        assert_eq!(long_text("file:a", folder.path()).unwrap(), "of a file\n");
        assert!(long_text("file:b", folder.path()).unwrap_err().starts_with("cannot read "));
        for text in ["", "plain", "text: x", "file:a", "text:file:a", "text:text:x", "text:"] {
            assert_eq!(long_text(&literal(text), folder.path()).unwrap(), text);
        }
    }
}
