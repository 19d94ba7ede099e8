//! The rows of a CSV file as the recipients of a merge job: checked as far as that needs no daemon, then read one by one.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use anyhow::{Context as _, anyhow};
use csv::{ByteRecord, Position, Reader, StringRecord};
use hikyaku_client::proto::MergeRecipient;

use super::{
    counted::counted,
    csv_file::{CsvFile, Decoded},
    failure::Failure,
    merge_columns::{Columns, Mistake, Named},
    merge_report::Report,
    progress::Progress,
};

/// Most rows of one file.
const ROWS_MAX: u64 = 1_000_000;
/// Rows between two looks at the clock.
const LOOK_ROWS: u64 = 4_096;

/// A list of recipients.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) file: CsvFile,
    pub(crate) columns: Columns,
}

/// How many rows are good, and how many are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) good: u64,
    pub(crate) bad: u64,
    /// What is told of the bad ones.
    pub(crate) told: String,
}

/// Why the recipients cannot be read to their end, though they could before.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Changed {
    /// A row.
    #[error("line {line} was good before, and now it is not: {reason}")]
    Row {
        /// The line in which it begins.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The number of rows.
    #[error("the file was changed while it was read: it had {before} good rows, and has {now}")]
    Count {
        /// At the check.
        before: u64,
        /// Now.
        now: u64,
    },
    /// The file.
    #[error(transparent)]
    File(#[from] csv::Error),
}

impl List {
    /// Reads the header; `is_used` tells which variables have to be sent.
    ///
    /// # Errors
    /// When the file cannot be read, or its header says not enough.
    pub(crate) fn open(file: CsvFile, named: Named<'_>, is_used: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        let name = file.path.display();
        let mut reader = file.open()?;
        let header = match reader.headers() {
            Ok(header) => header,
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                return Err(anyhow!("{name} line 1: {NOT_UTF_8}").into());
            }
            Err(error) => return Err(anyhow!(error).context(format!("cannot read the header of {name}")).into()),
        };
        let columns = Columns::of(header, named, is_used).map_err(|reason| anyhow!("{name} line 1: {reason}"))?;
        Ok(Self { file, columns })
    }

    /// Reads the whole file and reports its bad rows.
    ///
    /// # Errors
    /// When it cannot be read, or has no rows or too many.
    pub(crate) fn check(&self, mut report: Report) -> Result<Checked, Failure> {
        let name = self.file.path.display();
        let mut progress = Progress::of_bytes("checking", self.file.size_bytes());
        let mut rows = self.rows()?;
        let mut good = 0_u64;
        for count in 1_u64.. {
            match rows.advance().with_context(|| format!("cannot read {name}"))? {
                Row::Good => good += 1,
                Row::Bad(line, mistake) => report.note(line, &mistake)?,
                Row::End => break,
            }
            if count.is_multiple_of(LOOK_ROWS) {
                progress.at(self.file.read.load(Ordering::Relaxed), &counted(count, "row", "rows"));
            }
        }
        let (bad, told) = report.finish()?;
        match good {
            0 if bad == 0 => Err(anyhow!("{name} has no rows below its header").into()),
            _ if good > ROWS_MAX => Err(anyhow!("{name} has {good} rows, more than {ROWS_MAX}").into()),
            _ => Ok(Checked { good, bad, told }),
        }
    }

    /// The recipients of the good rows, read as they are asked for.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn recipients(
        &self,
        checked: &Checked,
    ) -> Result<impl Iterator<Item = Result<MergeRecipient, Changed>> + Send + use<>, Failure> {
        let (expected, may_be_bad) = (checked.good, checked.bad > 0);
        let mut rows = self.rows()?;
        let mut count = 0;
        let next = move || loop {
            return Some(match rows.advance() {
                Ok(Row::Good) => {
                    count += 1;
                    Ok(rows.recipient())
                }
                Ok(Row::Bad(..)) if may_be_bad => continue,
                Ok(Row::Bad(line, mistake)) => Err(Changed::Row { line, reason: mistake.reason }),
                Ok(Row::End) if count == expected => return None,
                Ok(Row::End) => Err(Changed::Count { before: expected, now: count }),
                Err(error) => Err(error.into()),
            });
        };
        Ok(std::iter::from_fn(next))
    }

    /// The recipient of the `n`th row below the header, counted from 1.
    ///
    /// # Errors
    /// When there is no such row, or it is bad.
    pub(crate) fn recipient(&self, n: u64) -> Result<MergeRecipient, Failure> {
        let name = self.file.path.display();
        let mut rows = self.rows()?;
        for row in 1_u64.. {
            match rows.advance().with_context(|| format!("cannot read {name}"))? {
                Row::End => {
                    let rows = counted(row - 1, "row", "rows");
                    return Err(anyhow!("{name} has no row {n}: it has {rows} below its header").into());
                }
                Row::Bad(line, mistake) if row == n => {
                    return Err(anyhow!("row {n} of {name} is bad\n  line {line}: {}", mistake.reason).into());
                }
                Row::Good if row == n => break,
                Row::Good | Row::Bad(..) => {}
            }
        }
        Ok(rows.recipient())
    }

    /// The lines in which the good rows with these indexes begin.
    pub(crate) fn lines_of(&self, mut indexes: Vec<u64>) -> BTreeMap<u64, u64> {
        indexes.sort_unstable_by(|one, other| other.cmp(one));
        indexes.dedup();
        let mut lines = BTreeMap::new();
        let Ok(mut rows) = self.rows() else { return lines };
        let mut index = 0;
        while let Some(wanted) = indexes.last() {
            match rows.advance() {
                Ok(Row::Good) => {
                    if index == *wanted {
                        lines.insert(index, rows.line());
                        indexes.pop();
                    }
                    index += 1;
                }
                Ok(Row::Bad(..)) => {}
                Ok(Row::End) | Err(_) => break,
            }
        }
        lines
    }

    fn rows(&self) -> Result<Rows, Failure> {
        let encoding = self.file.encoding.title();
        Ok(Rows { reader: self.file.open()?, columns: self.columns.clone(), encoding, row: StringRecord::new() })
    }
}

const NOT_UTF_8: &str = "is not UTF-8; Excel in Japan writes Shift_JIS: try --encoding shift_jis";

/// Reads row after row; one is held.
struct Rows {
    reader: Reader<Decoded>,
    columns: Columns,
    encoding: &'static str,
    row: StringRecord,
}

enum Row {
    Good,
    /// The line in which it begins, and what is wrong.
    Bad(u64, Mistake),
    End,
}

impl Rows {
    fn advance(&mut self) -> Result<Row, csv::Error> {
        // The room of the last row is used again.
        let mut bytes = std::mem::take(&mut self.row).into_byte_record();
        let error = match self.reader.read_byte_record(&mut bytes) {
            Ok(false) => return Ok(Row::End),
            Ok(true) => return Ok(self.judge(bytes)),
            Err(error) => error,
        };
        match (error.kind(), error.position()) {
            (csv::ErrorKind::UnequalLengths { expected_len, len, .. }, Some(place)) => {
                let reason = format!("has {}, the header has {expected_len}", counted(*len, "cell", "cells"));
                Ok(Row::Bad(place.line(), Mistake::of_row(reason)))
            }
            _ => Err(error),
        }
    }

    fn judge(&mut self, bytes: ByteRecord) -> Row {
        let line = bytes.position().map_or(0, Position::line);
        match StringRecord::from_byte_record(bytes) {
            Ok(row) => self.row = row,
            Err(_) => return Row::Bad(line, Mistake::of_row(NOT_UTF_8)),
        }
        let mistake = self.columns.mistake(&self.row, self.encoding);
        mistake.map_or(Row::Good, |mistake| Row::Bad(line, mistake))
    }

    fn line(&self) -> u64 {
        self.row.position().map_or(0, Position::line)
    }

    fn recipient(&self) -> MergeRecipient {
        self.columns.recipient(&self.row)
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::{super::csv_file::EncodingName, *};

    fn list(folder: &Path, content: &[u8]) -> Result<List, Failure> {
        let path = folder.join("list.csv");
        std::fs::write(&path, content).unwrap();
        let delimiter = ",".parse().unwrap();
        let file = CsvFile { path, encoding: EncodingName::Utf8, delimiter, read: Arc::default() };
        List::open(file, Named::default(), |_| true)
    }

    #[track_caller]
    fn check(content: &[u8], expected: (u64, u64, &str)) {
        let folder = tempfile::tempdir().unwrap();
        let list = list(folder.path(), content).unwrap();
        let checked = list.check(Report::default()).unwrap();
        assert_eq!((checked.good, checked.bad), (expected.0, expected.1));
        assert!(checked.told.contains(expected.2), "{}", checked.told);
        let recipients: Result<Vec<_>, _> = list.recipients(&checked).unwrap().collect();
        assert_eq!(recipients.unwrap().len() as u64, expected.0);
    }

    #[test]
    fn bad_rows_are_told_by_their_lines() {
        check(b"address,name\na@example.jp,Taro\nb@example.jp,\"Yamada, Hanako\"\n", (2, 0, ""));
        check(b"address,text\na@example.jp,\"two\nlines\"\nnobody,x\n", (1, 1, "\n  line 4: \"nobody\" has no @"));
        check(b"address,name\na@example.jp\nb@example.jp,B\n", (1, 1, "line 2: has 1 cell, the header has 2"));
        check(b"address,name\n ,x\n", (0, 1, "line 2: the address is empty"));
        check(b"address,name\na@b,\"x\ny\"\n", (0, 1, "line 2: the name has a line break"));
        check(b"address,name\na@b,\x8e\nc@d,x\n", (1, 1, "line 2: is not UTF-8; Excel in Japan"));
        let many: String = (0..30).map(|_| "nobody\n").collect();
        check(format!("address\n{many}").as_bytes(), (0, 30, "\n  and 10 more; --report FILE takes them all"));
    }

    #[test]
    fn a_list_without_rows_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(list(folder.path(), b"address\n").unwrap().check(Report::default()).is_err());
        assert!(list(folder.path(), b"address,\x8e\n").is_err());
    }

    #[test]
    fn rows_are_found_again_by_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let list = list(folder.path(), b"address,text\na@b,\"two\nlines\"\nnobody,x\nc@d,x\n").unwrap();
        assert_eq!(list.lines_of(vec![2, 1, 0, 1]), BTreeMap::from([(0, 2), (1, 5)]));
        assert_eq!(list.recipient(3).unwrap().address, "c@d");
        assert!(list.recipient(2).unwrap_err().message().contains("line 4: \"nobody\" has no @"));
        assert!(list.recipient(4).unwrap_err().message().contains("has no row 4: it has 3 rows"));
    }

    #[test]
    fn a_file_that_changes_is_not_taken_for_the_one_that_was_checked() {
        let folder = tempfile::tempdir().unwrap();
        let list = list(folder.path(), b"address\na@b\nc@d\n").unwrap();
        let checked = list.check(Report::default()).unwrap();
        for (content, expected) in
            [("address\na@b\n", "had 2 good rows, and has 1"), ("address\nx\n", "line 2 was good")]
        {
            std::fs::write(&list.file.path, content).unwrap();
            let error = list.recipients(&checked).unwrap().find_map(Result::err).unwrap();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
