//! What stands between the braces of a merge job: how a text in the language of Jinja is read, and filled in.
//!
//! minijinja reads and runs it. What could grow without bound there, or reach beyond the values, is refused when a
//! template is read (`reading`); what is left has steps to spend and a length to keep to (`running`). A text that only has
//! `{{ name }}` in it, as most have, is cut into pieces instead, and gives the same some twenty times faster.

mod budget;
mod depth;
mod filters;
mod language;
mod numbers;
mod reading;
mod running;

#[cfg(test)]
mod tests;

use std::{cell::OnceCell, fmt, sync::Arc};

use minijinja::Value;

use self::{
    language::WORKED_BYTES_MAX,
    reading::{Read, read},
    running::{Program, Words},
};

/// Most steps that the templates of one message may take together, in instructions of minijinja.
pub(super) const MESSAGE_STEPS_MAX: u64 = 50_000;

/// What a text is, which decides how values are written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Values are written as they are.
    Plain,
    /// What HTML would read as markup in a value is escaped. Style sheets may have braces of their own.
    Html,
    /// All of a value but letters, digits and `-._~` is percent-encoded (RFC 3986 2.3).
    Url,
}

/// A text with places for values.
#[derive(Clone, Debug)]
pub(super) struct Template {
    kind: Kind,
    syntax: Syntax,
}

#[derive(Clone, Debug)]
enum Kind {
    Pieces { pieces: Vec<Piece>, steps: u64 },
    Program(Arc<Program>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// The variable's place in the list of all, and where it is used.
    Value {
        variable: usize,
        place: Place,
    },
}

/// Where something stands in a template, from 1; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Where a template is wrong, and how; or where it cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) place: Place,
    pub(super) reason: String,
    /// The variable whose value is needed and was not given, by its place in the list of all.
    pub(super) missing: Option<usize>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.place.line, self.place.column, self.reason)
    }
}

/// The values of one recipient, for all templates of a message, and the steps and bytes that are left to fill them in.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    variables: &'a Arc<[String]>,
    values: &'a [Option<String>],
    words: OnceCell<Value>,
    steps_left: u64,
    /// How many bytes filters and tests may still work on.
    bytes_left: usize,
}

impl<'a> Filling<'a> {
    /// The values of `variables`, in their order.
    pub(super) const fn new(variables: &'a Arc<[String]>, values: &'a [Option<String>]) -> Self {
        Self { variables, values, words: OnceCell::new(), steps_left: MESSAGE_STEPS_MAX, bytes_left: WORKED_BYTES_MAX }
    }

    fn value(&self, variable: usize) -> Option<&str> {
        self.values.get(variable)?.as_deref()
    }

    fn words(&self) -> Value {
        self.words.get_or_init(|| Words::value(self.variables, self.values)).clone()
    }

    fn spend(&mut self, steps: u64) -> Result<(), Mistake> {
        if steps >= self.steps_left {
            return Err(Mistake { place: Place { line: 1, column: 1 }, reason: too_many_steps(), missing: None });
        }
        self.steps_left -= steps;
        Ok(())
    }
}

impl Template {
    /// Reads a template, and adds the variables it uses to `variables` unless they are there.
    pub(super) fn parse(text: &str, syntax: Syntax, variables: &mut Vec<String>) -> Result<Self, Mistake> {
        let kind = match read(text, syntax, variables)? {
            Read::Pieces { pieces, steps } if steps < MESSAGE_STEPS_MAX => Kind::Pieces { pieces, steps },
            Read::Pieces { .. } => return Err(Mistake::at(text, 0, too_many_steps())),
            Read::Program => Kind::Program(Arc::new(Program::new(text, syntax)?)),
        };
        Ok(Self { kind, syntax })
    }

    /// The text with each variable's value in its place.
    pub(super) fn fill(&self, filling: &mut Filling<'_>) -> Result<String, Mistake> {
        match &self.kind {
            Kind::Pieces { pieces, steps } => {
                filling.spend(*steps)?;
                self.fill_pieces(pieces, filling)
            }
            Kind::Program(program) => {
                let (text, steps) = program.run(filling)?;
                filling.spend(steps)?;
                Ok(text)
            }
        }
    }

    /// Whether the text has nothing but plain `{{ name }}` in it: its length can then be told without filling it in.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Pieces { .. })
    }

    /// Whether a value could end an entity that the text begins, as in `&#{{ number }};`.
    pub(super) fn may_make_entities(&self) -> bool {
        let begins_one = |text: &str| {
            let behind = text.rfind('&').map(|place| &text[place + 1..]);
            behind.is_some_and(|behind| behind.chars().all(|c| c == '#' || c.is_ascii_alphanumeric()))
        };
        !self.is_plain() || self.pieces().iter().any(|piece| matches!(piece, Piece::Text(text) if begins_one(text)))
    }

    /// Whether it is a text without anything to fill in.
    pub(super) fn is_text(&self) -> bool {
        self.is_plain() && self.pieces().iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Of a plain one, whether [`Template::fill`] would go well.
    pub(super) fn check_plain(&self, filling: &mut Filling<'_>) -> Result<(), Mistake> {
        if let Kind::Pieces { steps, .. } = &self.kind {
            filling.spend(*steps)?;
        }
        if filling.values.iter().all(Option::is_some) {
            return Ok(());
        }
        self.pieces().iter().try_for_each(|piece| match piece {
            Piece::Value { variable, place } if filling.value(*variable).is_none() => {
                Err(Mistake::missing(*place, *variable))
            }
            Piece::Value { .. } | Piece::Text(_) => Ok(()),
        })
    }

    /// Of a plain one, the bytes that are the same for all.
    pub(super) fn fixed_bytes(&self) -> usize {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Value { .. } => 0,
        };
        self.pieces().iter().map(text).sum()
    }

    /// Of a plain one, how often a variable is used.
    pub(super) fn uses_of(&self, index: usize) -> usize {
        let is_it = |piece: &&Piece| matches!(piece, Piece::Value { variable, .. } if *variable == index);
        self.pieces().iter().filter(is_it).count()
    }

    fn pieces(&self) -> &[Piece] {
        match &self.kind {
            Kind::Pieces { pieces, .. } => pieces,
            Kind::Program(_) => &[],
        }
    }

    fn fill_pieces(&self, pieces: &[Piece], filling: &Filling<'_>) -> Result<String, Mistake> {
        let mut out = String::with_capacity(self.fixed_bytes() + 64 * pieces.len());
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value { variable, place } => {
                    let value = filling.value(*variable).ok_or_else(|| Mistake::missing(*place, *variable))?;
                    write_value(value, self.syntax, &mut out).expect("a string takes all that is written");
                }
            }
        }
        Ok(out)
    }
}

impl Mistake {
    /// A mistake that begins at a byte of `text`.
    fn at(text: &str, byte: usize, reason: impl Into<String>) -> Self {
        let before = &text[..text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let place = Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 };
        Self { place, reason: reason.into(), missing: None }
    }

    fn missing(place: Place, variable: usize) -> Self {
        Self { place, reason: "a value is missing".to_owned(), missing: Some(variable) }
    }

    /// What minijinja says of `text`.
    fn of(text: &str, error: &minijinja::Error) -> Self {
        let reason = match (error.kind(), error.detail()) {
            (minijinja::ErrorKind::OutOfFuel, _) => too_many_steps(),
            (kind, None) => kind.to_string(),
            (_, Some(detail)) => detail.to_owned(),
        };
        match (error.range(), error.line()) {
            (Some(range), _) => Self::at(text, range.start, reason),
            (None, line) => Self { place: Place { line: line.unwrap_or(1), column: 1 }, reason, missing: None },
        }
    }
}

/// Whether a text has the beginning of anything that Jinja would read.
pub(super) fn has_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|opening| text.contains(opening))
}

fn too_many_steps() -> String {
    format!("more than {MESSAGE_STEPS_MAX} steps are needed for one message")
}

/// Blanks and line ends of a text are its author's, the last one too.
fn whitespace() -> minijinja::syntax::SyntaxConfig {
    let mut builder = minijinja::syntax::SyntaxConfig::builder();
    builder.keep_trailing_newline(true);
    builder.build().expect("the marks are those of Jinja")
}

/// Writes a value as its place in the text demands.
fn write_value(value: &str, syntax: Syntax, out: &mut impl fmt::Write) -> fmt::Result {
    match syntax {
        Syntax::Plain => out.write_str(value),
        Syntax::Html => escape(value, out),
        Syntax::Url => percent_encode(value, out),
    }
}

fn escape(value: &str, out: &mut impl fmt::Write) -> fmt::Result {
    let mut rest = value;
    while let Some(found) = rest.find(['&', '<', '>', '"', '\'']) {
        out.write_str(&rest[..found])?;
        out.write_str(match rest.as_bytes()[found] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#x27;",
        })?;
        rest = &rest[found + 1..];
    }
    out.write_str(rest)
}

/// RFC 3986 2.3: what is unreserved stays.
fn percent_encode(value: &str, out: &mut impl fmt::Write) -> fmt::Result {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.write_char(char::from(byte))?,
            _ => write!(out, "%{byte:02X}")?,
        }
    }
    Ok(())
}
