//! The filters and tests that templates know: each is charged what it reads and makes, and those of minijinja that could
//! make more of a text than anybody wants are ours, with a bound.

use std::borrow::Cow;

use minijinja::{Environment, Error, ErrorKind, State, Value, filters, tests, value::Rest};

use super::{
    budget::charge_value,
    escape,
    language::{LIST_ENTRIES_MAX, TEXT_BYTES_MAX},
    percent_encode,
};

/// Puts our filters, tests and functions in the place of minijinja's.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    let length = Value::from_function(filters::length);
    let default = Value::from_function(filters::default);
    let escaped = Value::from_function(escaped);
    for (name, filter) in [
        ("abs", Value::from_function(filters::abs)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("count", length.clone()),
        ("d", default.clone()),
        ("default", default),
        ("e", escaped.clone()),
        ("escape", escaped),
        ("first", Value::from_function(filters::first)),
        ("float", Value::from_function(filters::float)),
        ("int", Value::from_function(filters::int)),
        ("join", Value::from_function(join)),
        ("last", Value::from_function(filters::last)),
        ("length", length),
        ("lower", Value::from_function(filters::lower)),
        ("replace", Value::from_function(replace)),
        ("reverse", Value::from_function(filters::reverse)),
        ("round", Value::from_function(filters::round)),
        ("safe", Value::from_function(filters::safe)),
        ("split", Value::from_function(split)),
        ("string", Value::from_function(filters::string)),
        ("title", Value::from_function(filters::title)),
        ("trim", Value::from_function(|text: Cow<'_, str>| text.trim().to_owned())),
        ("upper", Value::from_function(filters::upper)),
        ("urlencode", Value::from_function(urlencode)),
    ] {
        environment.add_filter(name, move |state: &mut State<'_, '_>, given: Rest<Value>| call(&filter, state, &given));
    }
    for (name, test) in [
        ("divisibleby", Value::from_function(is_divisible_by)),
        ("endingwith", Value::from_function(tests::is_endingwith)),
        ("in", Value::from_function(tests::is_in)),
        ("lower", Value::from_function(tests::is_lower)),
        ("startingwith", Value::from_function(tests::is_startingwith)),
        ("upper", Value::from_function(tests::is_upper)),
    ] {
        environment.add_test(name, move |state: &mut State<'_, '_>, given: Rest<Value>| call(&test, state, &given));
    }
    environment.add_function("range", range);
}

/// Calls a filter or test, and charges what goes in and what comes out.
fn call(function: &Value, state: &mut State<'_, '_>, given: &[Value]) -> Result<Value, Error> {
    given.iter().try_for_each(charge_value)?;
    let made = function.call(state, given)?;
    charge_value(&made)?;
    Ok(made)
}

/// That of minijinja divides by zero.
fn is_divisible_by(value: &Value, other: &Value) -> bool {
    match (i128::try_from(value.clone()), i128::try_from(other.clone())) {
        (Ok(value), Ok(other)) => value.checked_rem(other) == Some(0),
        _ => value.is_number() && other.is_number() && tests::is_divisibleby(value, other),
    }
}

fn escaped(value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let mut out = String::new();
    escape(&value.to_string(), &mut out)?;
    Ok(Value::from_safe_string(bounded(out)?))
}

fn urlencode(text: Cow<'_, str>) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    percent_encode(&text, &mut out)?;
    bounded(out)
}

fn replace(text: Cow<'_, str>, from: Cow<'_, str>, to: Cow<'_, str>) -> Result<String, Error> {
    let found = text.matches(&*from).count();
    check_bytes(text.len().saturating_add(found.saturating_mul(to.len())))?;
    Ok(text.replace(&*from, &to))
}

fn join(list: &Value, between: Option<Cow<'_, str>>) -> Result<String, Error> {
    let mut out = String::new();
    for (index, entry) in list.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(between.as_deref().unwrap_or_default());
        }
        out.push_str(&entry.to_string());
        check_bytes(out.len())?;
    }
    Ok(out)
}

/// The parts of a text between separators; without one between blanks.
fn split(text: Cow<'_, str>, separator: Option<Cow<'_, str>>) -> Result<Vec<Value>, Error> {
    let parts: Vec<Value> = match separator.as_deref() {
        None => text.split_whitespace().take(LIST_ENTRIES_MAX + 1).map(Value::from).collect(),
        Some("") => {
            return Err(Error::new(ErrorKind::InvalidOperation, "split needs a separator of a character or more"));
        }
        Some(separator) => text.split(separator).take(LIST_ENTRIES_MAX + 1).map(Value::from).collect(),
    };
    check_entries(parts.len() as u128)?;
    Ok(parts)
}

/// The numbers from 0 or `first` to the one before `end`.
fn range(first: i64, end: Option<i64>, step: Option<i64>) -> Result<Vec<Value>, Error> {
    let (first, end) = end.map_or((0, first), |end| (first, end));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "range cannot go in steps of 0"));
    }
    let (first, end, step) = (i128::from(first), i128::from(end), i128::from(step));
    let distance = if step > 0 { end - first } else { first - end };
    let count = if distance <= 0 { 0 } else { (distance - 1) / step.abs() + 1 };
    check_entries(count.unsigned_abs())?;
    Ok((0..count).filter_map(|index| i64::try_from(first + index * step).ok()).map(Value::from).collect())
}

fn bounded(text: String) -> Result<String, Error> {
    check_bytes(text.len())?;
    Ok(text)
}

fn check_bytes(bytes: usize) -> Result<(), Error> {
    if bytes > TEXT_BYTES_MAX {
        let reason = format!("a filter would give more than {TEXT_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    Ok(())
}

fn check_entries(entries: u128) -> Result<(), Error> {
    if entries > LIST_ENTRIES_MAX as u128 {
        let reason = format!("a list would have more than {LIST_ENTRIES_MAX} entries");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    Ok(())
}
