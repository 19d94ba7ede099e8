//! How rows and named values are laid out for people.

use comfy_table::{Table, presets::NOTHING};

use super::escape::escape;

/// Rows below their headings, each column as wide as its widest cell. Cells are taken as they are: escape foreign words.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(headings.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(&table)
}

/// Names with their values, one a line; empty values are left out, and all are escaped.
pub(crate) fn fields<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.add_rows(
        rows.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| [name.to_owned(), escape(&value).into_owned()]),
    );
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(&table)
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec!["a".to_owned(), "山田".to_owned(), "x".to_owned()], vec!["bbb".to_owned(), String::new()]];
        assert_eq!(table(&["ID", "NAME", "X"], rows), "ID   NAME  X\na    山田  x\nbbb");
    }

    #[test]
    fn empty_fields_are_left_out() {
        assert_eq!(
            fields([("a", "1".to_owned()), ("b", String::new()), ("ccc", "\u{7}".to_owned())]),
            "a    1\nccc  \\u{7}"
        );
    }
}
