//! What is told of bad rows: the first ones on the screen, all of them in a file.

use std::{fs::File, path::Path};

use anyhow::Context as _;

use super::{failure::Failure, merge_columns::Mistake};

/// Bad rows that are named on the screen; further ones are counted only.
const SHOWN_MAX: u64 = 20;

/// Takes bad rows.
#[derive(Debug, Default)]
pub(crate) struct Report {
    file: Option<csv::Writer<File>>,
    bad: u64,
    told: String,
}

impl Report {
    /// A report that goes to a file too.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn new(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let cannot = || format!("cannot write {}", path.display());
        let mut file = csv::Writer::from_path(path).with_context(cannot)?;
        file.write_record(["line", "column", "reason"]).with_context(cannot)?;
        Ok(Self { file: Some(file), ..Self::default() })
    }

    /// Notes one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn note(&mut self, line: u64, mistake: &Mistake) -> Result<(), Failure> {
        let Mistake { column, reason } = mistake;
        self.bad += 1;
        if self.bad <= SHOWN_MAX {
            self.told.push_str(&format!("\n  line {line}: {reason}"));
        }
        if let Some(file) = &mut self.file {
            file.write_record([&line.to_string(), column, reason]).context("cannot write the report")?;
        }
        Ok(())
    }

    /// How many were bad, and what is told of them, each on a line that begins with a line feed.
    ///
    /// # Errors
    /// When the file cannot be written to its end.
    pub(crate) fn finish(mut self) -> Result<(u64, String), Failure> {
        if let Some(file) = &mut self.file {
            file.flush().context("cannot write the report")?;
        }
        let more = self.bad.saturating_sub(SHOWN_MAX);
        if more > 0 {
            let hint = if self.file.is_some() { "; the report has them all" } else { "; --report FILE takes them all" };
            self.told.push_str(&format!("\n  and {more} more{hint}"));
        }
        Ok((self.bad, self.told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_has_some_and_the_file_has_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        let mut report = Report::new(Some(&path)).unwrap();
        for line in 2..32 {
            let mistake = Mistake { column: "address".to_owned(), reason: "\"x,y\" has no @".to_owned() };
            report.note(line, &mistake).unwrap();
        }
        let (bad, told) = report.finish().unwrap();
        assert_eq!((bad, told.lines().count()), (30, 22));
        assert!(told.ends_with("\n  and 10 more; the report has them all"), "{told}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 31);
        assert!(text.starts_with("line,column,reason\n2,address,\"\"\"x,y\"\" has no @\"\n"), "{text}");
    }
}
