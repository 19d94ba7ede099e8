//! Which column of a list says what.

use csv::StringRecord;
use hikyaku_client::{merge_recipient, proto::MergeRecipient};

use super::mail_address::check_address;

/// Longest name beside an address, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// What the options say of the columns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Named<'a> {
    pub(crate) address: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

/// Which column says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// All of them, in their order.
    names: Vec<String>,
    address: usize,
    name: Option<usize>,
    /// Those whose values are sent.
    variables: Vec<usize>,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The column; empty when it is about the whole row.
    pub(crate) column: String,
    pub(crate) reason: String,
}

impl Mistake {
    /// About the whole row.
    pub(crate) fn of_row(reason: impl Into<String>) -> Self {
        Self { column: String::new(), reason: reason.into() }
    }
}

impl Columns {
    /// Reads the header row; `is_used` tells which variables have to be sent.
    ///
    /// # Errors
    /// When there is no address column, or a name stands twice or is empty.
    pub(crate) fn of(header: &StringRecord, named: Named<'_>, is_used: impl Fn(&str) -> bool) -> Result<Self, String> {
        let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) && names.len() > 1 {
            return Err("a column has no name".to_owned());
        }
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(format!("two columns are named {name:?}"));
            }
        }
        let place = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let given = |wanted: &str| {
            place(wanted).ok_or_else(|| format!("there is no column {wanted:?}; there are {}", names.join(", ")))
        };
        let address = match (named.address, place("address"), place("email")) {
            (Some(wanted), ..) => given(wanted)?,
            (None, Some(_), Some(_)) => {
                return Err(
                    "there is an address column and an email column: say which with --address-column".to_owned()
                );
            }
            (None, Some(place), None) | (None, None, Some(place)) => place,
            (None, None, None) => return Err(no_address(&names)),
        };
        let name = match named.name {
            Some(wanted) => Some(given(wanted)?),
            None => place("name").filter(|place| *place != address),
        };
        // The daemon knows the address of each recipient by itself.
        let is_known = |place: usize| place == address && names[place] == "address";
        let variables = (0..names.len()).filter(|place| !is_known(*place) && is_used(&names[*place])).collect();
        Ok(Self { address, name, variables, names })
    }

    /// The names of the columns that nothing is made of.
    pub(crate) fn unused(&self) -> Vec<&str> {
        let is_used =
            |place: usize| place == self.address || Some(place) == self.name || self.variables.contains(&place);
        self.names.iter().enumerate().filter(|(place, _)| !is_used(*place)).map(|(_, name)| name.as_str()).collect()
    }

    /// The recipient of a row.
    pub(crate) fn recipient(&self, row: &StringRecord) -> MergeRecipient {
        let cell = |place: usize| row.get(place).unwrap_or_default();
        let variables = self.variables.iter().map(|place| (self.names[*place].as_str(), cell(*place)));
        let name = self.name.map(cell).unwrap_or_default();
        merge_recipient(cell(self.address).trim(), name.trim(), variables)
    }

    /// What is wrong with a row, if anything is.
    pub(crate) fn mistake(&self, row: &StringRecord, encoding: &str) -> Option<Mistake> {
        let cell = |place: usize| row.get(place).unwrap_or_default();
        let mistake = |place: usize, reason: String| Some(Mistake { column: self.names[place].clone(), reason });
        for place in [self.address].into_iter().chain(self.name).chain(self.variables.iter().copied()) {
            if encoding != "UTF-8" && cell(place).contains(char::REPLACEMENT_CHARACTER) {
                return mistake(place, format!("has bytes that are not {encoding}"));
            }
        }
        let address = cell(self.address).trim();
        if let Err(what) = check_address(address) {
            let reason =
                if address.is_empty() { "the address is empty".to_owned() } else { format!("{address:?} {what}") };
            return mistake(self.address, reason);
        }
        let place = self.name?;
        let name = cell(place).trim();
        if name.len() > NAME_BYTES_MAX {
            return mistake(place, format!("the name is longer than {NAME_BYTES_MAX} bytes"));
        }
        if name.chars().any(char::is_control) {
            return mistake(place, "the name has a line break or another control character".to_owned());
        }
        None
    }
}

/// Says what is missing, and what may be the cause.
fn no_address(names: &[String]) -> String {
    let hint = match names {
        [one] if one.contains(';') => "; are the cells separated by semicolons? Say so with --delimiter ';'",
        [one] if one.contains('\t') => "; are the cells separated by tabs? Say so with --delimiter tab",
        _ => "; name the columns in the first row, or say with --address-column which it is",
    };
    format!("there is no address column{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected<'a> = Result<(usize, Option<usize>, &'a [usize], &'a [&'a str]), &'a str>;

    #[track_caller]
    fn check(header: &[&str], named: Named<'_>, expected: Expected<'_>) {
        let columns = Columns::of(&StringRecord::from(header.to_vec()), named, |name| name != "unused");
        match (columns, expected) {
            (Ok(columns), Ok((address, name, variables, unused))) => {
                assert_eq!((columns.address, columns.name), (address, name), "{header:?}");
                assert_eq!((&columns.variables[..], &columns.unused()[..]), (variables, unused), "{header:?}");
            }
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{header:?}: {found}"),
            (columns, expected) => panic!("{header:?}: {columns:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_header_names_the_columns() {
        let usual = Named::default();
        check(&["address"], usual, Ok((0, None, &[], &[])));
        check(&["code", "Email", "Name", "unused"], usual, Ok((1, Some(2), &[0, 1, 2], &["unused"])));
        check(&["address", " name ", "氏名"], usual, Ok((0, Some(1), &[1, 2], &[])));
        check(&["name"], usual, Err("no address column"));
        check(&["address", "email"], usual, Err("say which with --address-column"));
        check(&["address", "x", "x"], usual, Err("two columns are named \"x\""));
        check(&["address", ""], usual, Err("no name"));
        check(&["address;name"], usual, Err("--delimiter ';'"));
        check(&["address\tname"], usual, Err("--delimiter tab"));
    }

    #[test]
    fn options_name_columns_too() {
        let named = Named { address: Some("メール"), name: Some("氏名") };
        check(&["address", "メール", "氏名"], named, Ok((1, Some(2), &[0, 1, 2], &[])));
        check(&["address", "氏名"], named, Err("there is no column \"メール\"; there are address, 氏名"));
        check(&["メール"], named, Err("there is no column \"氏名\""));
    }

    #[test]
    fn a_bad_cell_is_told_with_its_column() {
        let header = StringRecord::from(vec!["address", "name", "code"]);
        let columns = Columns::of(&header, Named::default(), |_| true).unwrap();
        let long = "n".repeat(201);
        for (row, expected) in [
            (["a@example.jp", "Taro", "7"], None),
            (["nobody", "Taro", "7"], Some(("address", "\"nobody\" has no @"))),
            ([" ", "Taro", "7"], Some(("address", "the address is empty"))),
            (["a@example.jp", &long, "7"], Some(("name", "the name is longer than 200 bytes"))),
            (["a@example.jp", "a\nb", "7"], Some(("name", "the name has a line break or another control character"))),
            (["a@example.jp", "", "\u{fffd}"], Some(("code", "has bytes that are not Shift_JIS"))),
        ] {
            let mistake = columns.mistake(&StringRecord::from(row.to_vec()), "Shift_JIS");
            let mistake = mistake.as_ref().map(|one| (one.column.as_str(), one.reason.as_str()));
            assert_eq!(mistake, expected, "{row:?}");
        }
    }
}
