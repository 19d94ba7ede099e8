//! How the texts of rows are read.

use super::BadRow;

/// Parses a text of the domain; the row is bad when it does not parse.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, BadRow> {
    text.parse().map_err(|error| BadRow::new(what, error))
}
