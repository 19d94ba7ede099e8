//! The rows of a CSV file as the recipients of a merge job: checked as far as that needs no daemon, then read one by one.

use std::{fs::File, path::Path};

use anyhow::{Context as _, anyhow};
use csv::{ByteRecord, Position, Reader, ReaderBuilder, StringRecord};
use hikyaku_client::{merge_recipient, proto::MergeRecipient};

use super::failure::Failure;

/// Most rows of one file.
const ROWS_MAX: u64 = 1_000_000;
/// Bad rows that are named; further ones are counted only.
const BAD_ROWS_SHOWN_MAX: u64 = 20;
/// Longest address, in bytes (RFC 5321 4.5.3.1.3).
const ADDRESS_BYTES_MAX: usize = 254;
/// Longest name beside an address, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Which column says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    address: usize,
    name: Option<usize>,
    /// Those whose values are sent.
    variables: Vec<(usize, String)>,
}

impl Columns {
    /// Reads the header row; `is_used` tells which variables have to be sent.
    ///
    /// # Errors
    /// When there is no address column, or a name stands twice or is empty.
    pub(crate) fn read(path: &Path, is_used: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        let mut reader = open(path)?;
        let header = reader.headers().with_context(|| format!("cannot read the header of {}", path.display()))?;
        Self::of(header, is_used).map_err(|reason| anyhow!("{} line 1: {reason}", path.display()).into())
    }

    fn of(header: &StringRecord, is_used: impl Fn(&str) -> bool) -> Result<Self, String> {
        // Some spreadsheets put a byte order mark before the first name.
        let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        if names.iter().any(|name| name.is_empty()) && names.len() > 1 {
            return Err("a column has no name".to_owned());
        }
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(format!("two columns are named {name:?}"));
            }
        }
        let place = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let address = match (place("address"), place("email")) {
            (Some(_), Some(_)) => return Err("there is an address column and an email column: which is it?".to_owned()),
            (Some(place), None) | (None, Some(place)) => place,
            (None, None) => {
                return Err("there is no address column; name the columns in the first row".to_owned());
            }
        };
        let variables = names.iter().enumerate().filter(|(_, name)| **name != "address" && is_used(name));
        let variables = variables.map(|(place, name)| (place, (*name).to_owned())).collect();
        Ok(Self { address, name: place("name"), variables })
    }

    fn recipient(&self, row: &StringRecord) -> MergeRecipient {
        let cell = |place: usize| row.get(place).unwrap_or_default();
        let variables = self.variables.iter().map(|(place, name)| (name.as_str(), cell(*place)));
        let name = self.name.map(cell).unwrap_or_default();
        merge_recipient(cell(self.address).trim(), name.trim(), variables)
    }

    /// What is wrong with a row, if anything is.
    fn mistake(&self, row: &StringRecord) -> Option<String> {
        let cell = |place: usize| row.get(place).unwrap_or_default().trim();
        let address = cell(self.address);
        if address.is_empty() {
            return Some("the address is empty".to_owned());
        }
        let has_both = address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        if !has_both || address.chars().any(char::is_control) {
            return Some(format!("{address:?} is no address"));
        }
        if address.len() > ADDRESS_BYTES_MAX {
            return Some(format!("the address is longer than {ADDRESS_BYTES_MAX} bytes"));
        }
        let name = self.name.map(cell).unwrap_or_default();
        if name.len() > NAME_BYTES_MAX {
            return Some(format!("the name is longer than {NAME_BYTES_MAX} bytes"));
        }
        if name.chars().any(char::is_control) {
            return Some("the name has a line break or another control character".to_owned());
        }
        None
    }
}

/// Reads the whole file, and gives the number of its rows when all are good.
///
/// # Errors
/// All bad rows by their lines, but no more than fit on a screen.
pub(crate) fn check_rows(path: &Path, columns: &Columns) -> Result<u64, Failure> {
    let mut reader = open(path)?;
    let mut row = StringRecord::new();
    let mut count = 0_u64;
    let mut bad = 0_u64;
    let mut told = String::new();
    loop {
        let (line, mistake) = match reader.read_record(&mut row) {
            Ok(false) => break,
            Ok(true) => (row.position().map(Position::line), columns.mistake(&row)),
            Err(error) => {
                let line = error.position().map(Position::line);
                if line.is_none() || matches!(error.kind(), csv::ErrorKind::Io(_)) {
                    return Err(anyhow!(error).context(format!("cannot read {}", path.display())).into());
                }
                (line, Some(row_error(&error)))
            }
        };
        count += 1;
        let Some(mistake) = mistake else { continue };
        bad += 1;
        if bad <= BAD_ROWS_SHOWN_MAX {
            told.push_str(&format!("\n  line {}: {mistake}", line.unwrap_or_default()));
        }
    }
    let name = path.display();
    if bad > BAD_ROWS_SHOWN_MAX {
        told.push_str(&format!("\n  and {} more", bad - BAD_ROWS_SHOWN_MAX));
    }
    match count {
        _ if bad > 0 => Err(anyhow!("{bad} of {count} rows of {name} are bad; nothing was sent{told}").into()),
        0 => Err(anyhow!("{name} has no rows below its header").into()),
        _ if count > ROWS_MAX => Err(anyhow!("{name} has {count} rows, more than {ROWS_MAX}").into()),
        _ => Ok(count),
    }
}

/// The recipients, read as they are asked for.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn rows(
    path: &Path,
    columns: Columns,
) -> Result<impl Iterator<Item = Result<MergeRecipient, csv::Error>> + Send + use<>, Failure> {
    let rows = open(path)?.into_records();
    Ok(rows.map(move |row| Ok(columns.recipient(&row?))))
}

/// The line in which the row with this index begins.
pub(crate) fn line_of_row(path: &Path, index: usize) -> Option<u64> {
    let mut reader = open(path).ok()?;
    let mut row = ByteRecord::new();
    for _ in 0..=index {
        if !reader.read_byte_record(&mut row).ok()? {
            return None;
        }
    }
    row.position().map(Position::line)
}

fn open(path: &Path) -> Result<Reader<File>, Failure> {
    let reader = ReaderBuilder::new().from_path(path);
    Ok(reader.with_context(|| format!("cannot read {}", path.display()))?)
}

fn row_error(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} cells, the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_header(header: &[&str], expected: Result<(usize, Option<usize>, &[&str]), &str>) {
        let columns = Columns::of(&StringRecord::from(header.to_vec()), |name| name != "unused");
        match (columns, expected) {
            (Ok(columns), Ok((address, name, variables))) => {
                assert_eq!((columns.address, columns.name), (address, name), "{header:?}");
                let names: Vec<_> = columns.variables.iter().map(|(_, name)| name.as_str()).collect();
                assert_eq!(names, variables, "{header:?}");
            }
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{header:?}: {found}"),
            (columns, expected) => panic!("{header:?}: {columns:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_header_names_the_columns() {
        check_header(&["address"], Ok((0, None, &[])));
        check_header(&["code", "Email", "Name", "unused"], Ok((1, Some(2), &["code", "Email", "Name"])));
        check_header(&["\u{feff}address", " name ", "氏名"], Ok((0, Some(1), &["name", "氏名"])));
        check_header(&["name"], Err("no address column"));
        check_header(&["address", "email"], Err("which is it"));
        check_header(&["address", "x", "x"], Err("two columns are named \"x\""));
        check_header(&["address", ""], Err("no name"));
    }

    #[track_caller]
    fn check_file(content: &str, expected: Result<u64, &str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.csv");
        std::fs::write(&path, content).unwrap();
        let columns = Columns::read(&path, |_| true).unwrap();
        match (check_rows(&path, &columns), expected) {
            (Ok(count), Ok(expected)) => {
                assert_eq!(count, expected);
                assert_eq!(rows(&path, columns).unwrap().filter(Result::is_ok).count() as u64, expected);
            }
            (Err(Failure::Other(error)), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn bad_rows_are_told_by_their_lines() {
        check_file("address,name\na@example.jp,Taro\nb@example.jp,\"Yamada, Hanako\"\n", Ok(2));
        check_file(
            "address,text\na@example.jp,\"two\nlines\"\nnobody,x\n",
            Err("\n  line 4: \"nobody\" is no address"),
        );
        check_file("address,name\na@example.jp\n", Err("line 2: has 1 cells, the header has 2"));
        check_file("address,name\n ,x\n", Err("line 2: the address is empty"));
        check_file("address,name\na@b,\"x\ny\"\n", Err("line 2: the name has a line break"));
        check_file("address\n", Err("no rows"));
        let many: String = (0..30).map(|_| "nobody\n").collect();
        check_file(&format!("address\n{many}"), Err("30 of 30 rows"));
        check_file(&format!("address\n{many}"), Err("\n  and 10 more"));
    }

    #[test]
    fn a_row_is_found_again_by_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.csv");
        std::fs::write(&path, "address,text\na@b,\"two\nlines\"\nc@d,x\n").unwrap();
        assert_eq!([0, 1, 2].map(|index| line_of_row(&path, index)), [Some(2), Some(4), None]);
    }
}
