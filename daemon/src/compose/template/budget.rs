//! How many bytes the filters and tests of one message may still read and make.
//!
//! A step of minijinja costs the same however long the text is that it works on, so steps alone bound no time. What works
//! on a text is charged its length too. minijinja runs a template on one thread from its beginning to its end, so what is
//! left is kept there meanwhile.

use std::cell::Cell;

use minijinja::{Error, ErrorKind, Value};

use super::language::TEXT_BYTES_MAX;

/// What each call costs at least, in bytes.
const CALL_BYTES: usize = 16;
/// What a list costs that a filter or test reads, in bytes: as much as its entries, which are at most a thousand.
const LIST_BYTES: usize = 2 * 1_024;

thread_local! {
    static BYTES_LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Does the work of one template with so many bytes to spend, and gives what is left of them.
pub(super) fn with<T>(bytes: usize, work: impl FnOnce() -> T) -> (T, usize) {
    BYTES_LEFT.set(bytes);
    let done = work();
    (done, BYTES_LEFT.replace(0))
}

/// Charges what reads or makes so many bytes.
pub(super) fn charge(bytes: usize) -> Result<(), Error> {
    match BYTES_LEFT.get().checked_sub(bytes.saturating_add(CALL_BYTES)) {
        Some(left) => {
            BYTES_LEFT.set(left);
            Ok(())
        }
        None => {
            BYTES_LEFT.set(0);
            Err(Error::from(ErrorKind::OutOfFuel))
        }
    }
}

/// Charges a value that a filter or test reads or makes, and refuses a text that is too long for that.
pub(super) fn charge_value(value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if text.len() > TEXT_BYTES_MAX => {
            let reason = format!("a filter or test would read or make more than {TEXT_BYTES_MAX} bytes");
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        }
        Some(text) => charge(text.len()),
        None if value.as_object().is_some() => charge(LIST_BYTES),
        None => charge(0),
    }
}
