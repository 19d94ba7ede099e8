//! How a template that is more than pieces is run: by minijinja, with steps to spend and a length to keep to.

use std::{
    fmt, io,
    ops::Range,
    sync::{Arc, LazyLock},
};

use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
    value::{Enumerator, Object},
};

use super::{
    Filling, MESSAGE_STEPS_MAX, Mistake, Syntax, budget, filters, language::GROWTH_BYTES_MAX, whitespace, write_value,
};

const NAME: &str = "template";

/// What all programs of a syntax begin as.
static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(|| surroundings(Syntax::Plain));
static HTML: LazyLock<Environment<'static>> = LazyLock::new(|| surroundings(Syntax::Html));
static URL: LazyLock<Environment<'static>> = LazyLock::new(|| surroundings(Syntax::Url));

/// A compiled template and all that it can reach.
#[derive(Debug)]
pub(super) struct Program {
    environment: Environment<'static>,
    text: String,
}

impl Program {
    /// Compiles a template that was read.
    pub(super) fn new(text: &str, syntax: Syntax) -> Result<Self, Mistake> {
        let surroundings = match syntax {
            Syntax::Plain => &PLAIN,
            Syntax::Html => &HTML,
            Syntax::Url => &URL,
        };
        let mut environment = LazyLock::force(surroundings).clone();
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| Mistake::of(text, &error))?;
        Ok(Self { environment, text: text.to_owned() })
    }

    /// The text that the template makes of the values, and the steps it took. What its filters and tests worked on is taken
    /// from what is left for the message.
    pub(super) fn run(&self, filling: &mut Filling<'_>) -> Result<(String, u64), Mistake> {
        let bytes_max = self.text.len() + GROWTH_BYTES_MAX;
        let mut paper = Paper { bytes: Vec::new(), bytes_max };
        let template = self.environment.get_template(NAME).expect("it was added when the program was made");
        let words = filling.words();
        let (state, bytes_left) = budget::with(filling.bytes_left, || template.render_captured_to(words, &mut paper));
        filling.bytes_left = bytes_left;
        let steps = match state {
            Ok(state) => state.state().fuel_levels().map_or(0, |(spent, _)| spent),
            Err(error) if error.kind() == ErrorKind::WriteFailure => {
                let reason = format!("it would be filled in with more than {GROWTH_BYTES_MAX} bytes");
                return Err(Mistake { reason, ..Mistake::of(&self.text, &error) });
            }
            Err(error) => return Err(self.explain(&error, filling)),
        };
        let text = String::from_utf8(paper.bytes).expect("minijinja writes texts");
        Ok((text, steps))
    }

    /// What went wrong, with the variable whose value is missing.
    fn explain(&self, error: &Error, filling: &Filling<'_>) -> Mistake {
        let mistake = Mistake::of(&self.text, error);
        if error.kind() != ErrorKind::UndefinedError {
            return mistake;
        }
        let range = error.range().unwrap_or(0..self.text.len());
        let missing = missing(&self.text[range.clone()], filling).or_else(|| missing(tag(&self.text, range), filling));
        let reason = if missing.is_some() { "a value is missing" } else { "there is no such value" };
        Mistake { reason: reason.to_owned(), missing, ..mistake }
    }
}

/// The first variable in a part of a template that has no value.
fn missing(text: &str, filling: &Filling<'_>) -> Option<usize> {
    let words: Vec<&str> = text.split(|c: char| c != '_' && !c.is_alphanumeric()).collect();
    let is_missing = |(name, value): (&String, &Option<String>)| value.is_none() && words.contains(&name.as_str());
    filling.variables.iter().zip(filling.values).position(is_missing)
}

/// What stands between the braces around a part of a template.
fn tag(text: &str, part: Range<usize>) -> &str {
    let (before, after) = (&text[..part.start], &text[part.end..]);
    let start = before.rfind("{{").max(before.rfind("{%")).unwrap_or(0);
    let ends = [after.find("}}"), after.find("%}")].into_iter().flatten().min();
    &text[start..ends.map_or(text.len(), |end| part.end + end)]
}

/// What a template of a syntax can reach besides the values.
fn surroundings(syntax: Syntax) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MESSAGE_STEPS_MAX));
    environment.set_syntax(whitespace());
    environment.set_formatter(move |out, _: &mut State<'_, '_>, value| format_value(out, value, syntax));
    let known: Vec<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    known.iter().for_each(|name| environment.remove_global(name));
    filters::add_to(&mut environment);
    environment
}

fn format_value(out: &mut Output<'_>, value: &Value, syntax: Syntax) -> Result<(), Error> {
    budget::charge(value.as_str().map_or(0, str::len))?;
    match (value.as_str(), syntax) {
        (Some(text), Syntax::Html) if value.is_safe() => out.write_str(text),
        (Some(text), syntax) => write_value(text, syntax, out),
        (None, syntax) => write_value(&value.to_string(), syntax, out),
    }
    .map_err(Error::from)
}

/// The values of one recipient by their names.
#[derive(Debug)]
pub(super) struct Words {
    names: Arc<[String]>,
    values: Vec<Option<Value>>,
}

impl Words {
    pub(super) fn value(names: &Arc<[String]>, values: &[Option<String>]) -> Value {
        let values = values.iter().map(|value| value.as_deref().map(Value::from)).collect();
        Value::from_object(Self { names: Arc::clone(names), values })
    }
}

impl Object for Words {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let place = self.names.iter().position(|known| known == name)?;
        let value = self.values.get(place)?.clone();
        // Operators work on it next, and cannot be charged themselves.
        let charged = budget::charge(value.as_ref().and_then(Value::as_str).map_or(0, str::len));
        charged.map_or_else(|error| Some(Value::from(error)), |()| value)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Takes what is written as long as it is not too much.
struct Paper {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.bytes.len(), self.bytes_max)
    }
}
