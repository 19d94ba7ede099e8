//! The filters that are ours: those of minijinja that could make more of a text than anybody wants, with a bound.

use std::borrow::Cow;

use minijinja::{Environment, Error, ErrorKind, Value};

use super::{
    escape,
    language::{LIST_ENTRIES_MAX, TEXT_BYTES_MAX},
    percent_encode,
};

/// Puts our filters and functions in the place of minijinja's.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("e", escaped);
    environment.add_filter("escape", escaped);
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("split", split);
    environment.add_filter("trim", |text: Cow<'_, str>| text.trim().to_owned());
    environment.add_filter("urlencode", urlencode);
    environment.add_function("range", range);
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
