//! What a setting is: declared once, with its key and its default, it is read from a file and written to one.
//!
//! A declaration is a function that visits the fields of a message. What happens to each is the visitor's business:
//! [`Reading`](super::reading::Reading) fills them from a file, [`Writing`](super::writing::Writing) makes a tree of those
//! that differ from their defaults, [`Resolving`](super::resolving::Resolving) puts secrets in the place of references.

use std::time::Duration;

use hikyaku_client::{parse_mailbox, proto::Mailbox, show_mailbox};
use toml::{Value, de::DeValue};

use crate::cli::{
    bytes_text::{parse_bytes, show_bytes},
    duration_text::{parse_duration, show_duration},
};

/// The words that stand for the values of an enumeration. The first one is the default, which is not written.
pub(crate) type Choices = &'static [(&'static str, i32)];

/// How much of what a reference names is the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The first line.
    Line,
    /// All of it.
    Whole,
}

/// When an export names a secret, which the daemon never tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exported {
    /// Such an account always has one.
    Named,
    /// Nobody can tell whether there is one.
    LeftOut,
}

/// Visits the fields of a message.
pub(crate) trait Fields: Sized {
    /// A field. `write` gives nothing for its default.
    fn value<T>(
        &mut self,
        key: &'static str,
        value: &mut T,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
        write: impl Fn(&T) -> Option<Value>,
    );

    /// A text that a file may hold, named as `file:PATH`.
    fn long_text(&mut self, key: &'static str, value: &mut String);

    /// A secret, which stands in a file by reference only.
    fn secret(&mut self, key: &'static str, value: &mut String, shape: Shape, exported: Exported);

    /// A message within this one.
    fn group<T: Default>(&mut self, key: &'static str, value: &mut Option<T>, each: impl Fn(&mut Self, &mut T));

    /// Several messages.
    fn groups<T: Default>(&mut self, key: &'static str, values: &mut Vec<T>, each: impl Fn(&mut Self, &mut T));

    /// Says that the fields do not fit each other.
    fn mistake(&mut self, what: &str);

    /// A text whose default is empty.
    fn text(&mut self, key: &'static str, value: &mut String) {
        self.text_or(key, value, "");
    }

    /// A text with another default.
    fn text_or(&mut self, key: &'static str, value: &mut String, usual: &str) {
        let write = |text: &String| (!text.is_empty() && text != usual).then(|| text.clone().into());
        self.value(key, value, |cell| as_text(cell).map(str::to_owned), write);
    }

    /// Texts.
    fn texts(&mut self, key: &'static str, values: &mut Vec<String>) {
        self.list(key, values, |text| Ok(text.to_owned()), Clone::clone);
    }

    /// Things that are written as text.
    fn list<T>(
        &mut self,
        key: &'static str,
        values: &mut Vec<T>,
        parse: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) {
        let read = |cell: &DeValue<'_>| {
            let items = cell.as_array().ok_or_else(|| wrong_kind("a list of texts", cell))?;
            items.iter().map(|item| parse(as_text(item.get_ref())?)).collect()
        };
        let write = |values: &Vec<T>| {
            (!values.is_empty()).then(|| Value::Array(values.iter().map(|value| show(value).into()).collect()))
        };
        self.value(key, values, read, write);
    }

    /// One thing that is written as text; none is the default.
    fn parsed<T>(
        &mut self,
        key: &'static str,
        value: &mut Option<T>,
        parse: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) {
        let read = |cell: &DeValue<'_>| parse(as_text(cell)?).map(Some);
        self.value(key, value, read, |value| value.as_ref().map(|value| show(value).into()));
    }

    /// Yes or no; no is the default.
    fn flag(&mut self, key: &'static str, value: &mut bool) {
        let read = |cell: &DeValue<'_>| cell.as_bool().ok_or_else(|| wrong_kind("true or false", cell));
        self.value(key, value, read, |flag| flag.then_some(Value::Boolean(true)));
    }

    /// A number; 0 and `usual` are the default.
    fn number<T>(&mut self, key: &'static str, value: &mut T, usual: T)
    where
        T: TryFrom<i64> + TryInto<i64> + Copy + Default + PartialEq,
    {
        let write = |number: &T| {
            let given = *number != T::default() && *number != usual;
            given.then(|| Value::Integer((*number).try_into().unwrap_or(i64::MAX)))
        };
        self.value(key, value, as_number, write);
    }

    /// A number of bytes; 0 and `usual` are the default.
    fn bytes(&mut self, key: &'static str, value: &mut u64, usual: u64) {
        let read = |cell: &DeValue<'_>| match cell {
            DeValue::String(text) => parse_bytes(text),
            other => as_number(other),
        };
        self.value(key, value, read, |bytes| (*bytes != 0 && *bytes != usual).then(|| show_bytes(*bytes).into()));
    }

    /// A length of time; none and `usual` are the default.
    fn length(&mut self, key: &'static str, value: &mut Option<prost_types::Duration>, usual: Duration) {
        let read = |cell: &DeValue<'_>| {
            let length = parse_duration(as_text(cell)?)?;
            prost_types::Duration::try_from(length).map(Some).map_err(|_| "is too long".to_owned())
        };
        let write = |value: &Option<prost_types::Duration>| {
            let length = Duration::try_from((*value)?).unwrap_or_default();
            (length != usual).then(|| show_duration(length).into())
        };
        self.value(key, value, read, write);
    }

    /// One of some words.
    fn choice(&mut self, key: &'static str, value: &mut i32, choices: Choices) {
        let write = |value: &i32| {
            let default = *value == 0 || choices.first().is_some_and(|first| first.1 == *value);
            if default { None } else { word_of(*value, choices).map(Into::into) }
        };
        self.value(key, value, |cell| as_choice(cell, choices), write);
    }

    /// One of some words, none of which is a default.
    fn required_choice(&mut self, key: &'static str, value: &mut i32, choices: Choices) {
        let write = |value: &i32| word_of(*value, choices).map(Into::into);
        self.value(key, value, |cell| as_choice(cell, choices), write);
    }

    /// A name with an address: as text, or as a table where text cannot tell them apart.
    fn mailbox(&mut self, key: &'static str, value: &mut Option<Mailbox>) {
        self.value(key, value, |cell| as_mailbox(cell).map(Some), |value| value.as_ref().map(mailbox_value));
    }

    /// Names with addresses.
    fn mailboxes(&mut self, key: &'static str, values: &mut Vec<Mailbox>) {
        let read = |cell: &DeValue<'_>| {
            let items = cell.as_array().ok_or_else(|| wrong_kind("a list of mailboxes", cell))?;
            items.iter().map(|item| as_mailbox(item.get_ref())).collect()
        };
        let write = |values: &Vec<Mailbox>| {
            (!values.is_empty()).then(|| Value::Array(values.iter().map(mailbox_value).collect()))
        };
        self.value(key, values, read, write);
    }
}

/// A text, or what is there instead.
pub(crate) fn as_text<'c>(cell: &'c DeValue<'_>) -> Result<&'c str, String> {
    cell.as_str().ok_or_else(|| wrong_kind("text in quotes", cell))
}

/// A whole number within the bounds of its type, or what is there instead.
pub(crate) fn as_number<T: TryFrom<i64>>(cell: &DeValue<'_>) -> Result<T, String> {
    let integer = cell.as_integer().ok_or_else(|| wrong_kind("a whole number", cell))?;
    let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| "is negative or too large".to_owned())
}

/// A number with or without a fraction, or what is there instead.
pub(crate) fn as_real(cell: &DeValue<'_>) -> Result<f64, String> {
    let text = match cell {
        DeValue::Float(float) => float.as_str(),
        DeValue::Integer(integer) => integer.as_str(),
        other => return Err(wrong_kind("a number", other)),
    };
    text.parse().map_err(|_| "is not a number".to_owned())
}

/// Names the kind only: the value may be a secret at the wrong place.
pub(crate) fn wrong_kind(wanted: &str, cell: &DeValue<'_>) -> String {
    format!("must be {wanted}, and is of the kind {}", cell.type_str())
}

/// The value of a word, or the words that there are.
pub(crate) fn as_choice(cell: &DeValue<'_>, choices: Choices) -> Result<i32, String> {
    let word = as_text(cell)?.to_ascii_lowercase();
    let known = choices.iter().find(|(name, _)| *name == word);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("must be one of {}", names.join(", "))
    })
}

/// The word of a value.
pub(crate) fn word_of(value: i32, choices: Choices) -> Option<&'static str> {
    choices.iter().find(|(_, known)| *known == value).map(|(name, _)| *name)
}

fn as_mailbox(cell: &DeValue<'_>) -> Result<Mailbox, String> {
    if let Some(text) = cell.as_str() {
        return Ok(parse_mailbox(text));
    }
    let wrong = || wrong_kind("text such as \"Taro <taro@example.jp>\", or a table of name and address", cell);
    let mut mailbox = Mailbox::default();
    for (key, value) in cell.as_table().ok_or_else(wrong)? {
        let field = match key.get_ref().as_ref() {
            "name" => &mut mailbox.name,
            "address" => &mut mailbox.address,
            other => return Err(format!("has no \"{other}\"; a mailbox has name and address")),
        };
        *field = as_text(value.get_ref())?.to_owned();
    }
    Ok(mailbox)
}

fn mailbox_value(mailbox: &Mailbox) -> Value {
    let text = show_mailbox(mailbox);
    if parse_mailbox(&text) == *mailbox {
        return text.into();
    }
    let pairs = [("name", mailbox.name.clone()), ("address", mailbox.address.clone())];
    Value::Table(pairs.into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect())
}
