//! The one way to stdout: a value as a line of JSON, or as text for people.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::escape::escape_json;

/// Something that a command shows.
pub(crate) trait Show: Serialize {
    /// Its text for people, without a line feed at its end; foreign words in it are escaped.
    fn text(&self) -> String;
}

/// Writes what a command shows.
#[derive(Debug)]
pub(crate) struct Output<W: Write> {
    out: BufWriter<W>,
    json: bool,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(out: W, json: bool) -> Self {
        Self { out: BufWriter::new(out), json }
    }

    /// Whether values are written as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes one value.
    pub(crate) fn show(&mut self, value: &impl Show) -> io::Result<()> {
        if self.json { self.json(value) } else { self.text(&value.text()) }
    }

    /// Writes one value as a line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string(value)?;
        writeln!(self.out, "{}", escape_json(&json))
    }

    /// Writes a line for people.
    pub(crate) fn text(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// Writes these bytes and nothing else.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Hands on what was written; the reader sees it now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
