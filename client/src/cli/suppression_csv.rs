//! Suppressions as CSV: what `export` writes and `import` reads.

use std::{
    collections::HashMap,
    io::Write,
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::SystemTime,
};

use anyhow::{Context as _, anyhow};
use clap::Args;
use csv::{StringRecord, Writer};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hikyaku_client::proto::{
    ImportSuppressionsRequest, ListSuppressionsRequest, Suppression, SuppressionReason, SuppressionScope,
};
use serde::Serialize;

use super::{
    args::Global,
    csv_file::{CsvFile, Delimiter, EncodingName},
    escape::escape,
    failure::{EXIT_FAILED, Failure, usage},
    output::{Output, Show},
    progress::Progress,
    run::connect,
    suppression::{ReasonName, ScopeArgs},
    suppression_view::{parse_scope, reason_word, scope_text},
    time_text::{When, show_time},
};

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 7] = ["scope", "address", "reason", "added_at", "added_by", "expires_at", "evidence"];
/// After how many rows others have their turn.
const ROWS_BETWEEN_PAUSES: usize = 1_000;
/// Most refused rows that are told one by one.
const REFUSED_TOLD_MAX: usize = 20;

/// Which file.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// A CSV file with a header: a column address or email, and perhaps scope (global, account:ID, label:LABEL), reason, expires_at,
    /// added_at and evidence
    file: PathBuf,
    #[command(flatten)]
    scope: ScopeArgs,
    /// The reason of rows that have none
    #[arg(long, default_value = "manual")]
    reason: ReasonName,
    /// What stands between two cells: a character, or tab
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    delimiter: Delimiter,
    /// The encoding of the file
    #[arg(long, value_name = "ENCODING", default_value = "utf-8")]
    encoding: EncodingName,
}

/// Writes suppressions as CSV.
pub(crate) async fn export<W: Write>(
    request: ListSuppressionsRequest,
    global: &Global,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    if output.is_json() {
        return Err(usage("export writes CSV; for JSON use: hikyaku --json suppression list"));
    }
    let client = connect(global).await?;
    let mut found = pin!(client.list_suppressions(request));
    output.bytes(&line(COLUMNS.map(str::to_owned))?)?;
    while let Some(suppression) = found.try_next().await? {
        output.bytes(&line(cells(suppression))?)?;
    }
    Ok(())
}

fn cells(suppression: Suppression) -> [String; 7] {
    [
        scope_text(suppression.scope.as_ref()),
        suppression.address.clone(),
        reason_word(suppression.reason()),
        suppression.added_at.map(show_time).unwrap_or_default(),
        suppression.added_by,
        suppression.expires_at.map(show_time).unwrap_or_default(),
        escape(&suppression.evidence).into_owned(),
    ]
}

fn line(cells: [String; 7]) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(&cells).context("cannot write CSV")?;
    Ok(writer.into_inner().map_err(|error| error.into_error()).context("cannot write CSV")?)
}

/// What became of a file.
#[derive(Debug, Default, Serialize)]
struct ImportView {
    added: u64,
    replaced: u64,
    kept: u64,
    refused: u64,
    refusals: Vec<Refusal>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    line: u64,
    reason: String,
}

impl ImportView {
    fn refuse(&mut self, line: u64, reason: String) {
        self.refused += 1;
        if self.refusals.len() < REFUSED_TOLD_MAX {
            self.refusals.push(Refusal { line, reason });
        }
    }
}

impl Show for ImportView {
    fn text(&self) -> String {
        let Self { added, replaced, kept, refused, .. } = self;
        let mut text = format!("{added} added, {replaced} replaced, {kept} kept, {refused} refused");
        for Refusal { line, reason } in &self.refusals {
            text.push_str(&format!("\n  line {line}: {}", escape(reason)));
        }
        text
    }
}

/// Reads a file and adds what it holds. Rows that are refused do not hold up the others; the exit code is 1 then.
pub(crate) async fn import<W: Write>(
    args: ImportArgs,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let ImportArgs { file: path, scope, reason, delimiter, encoding } = args;
    let file = CsvFile { path, encoding, delimiter, read: Arc::default() };
    let mut reader = file.open()?;
    let header = reader.headers().with_context(|| format!("cannot read {}", file.path.display()))?.clone();
    let columns = Columns::new(&header, scope.scope(), reason.into())?;
    let client = connect(global).await?;
    let mut progress = Progress::of_bytes("importing", file.size_bytes());
    let bad = Arc::new(Mutex::new(ImportView::default()));
    let noted = Arc::clone(&bad);
    let rows = stream::iter(reader.into_records().enumerate()).filter_map(move |(index, record)| {
        let position = match &record {
            Ok(record) => record.position(),
            Err(error) => error.position(),
        };
        let line = position.map_or(index as u64 + 2, csv::Position::line);
        let read = record.map_err(|error| error.to_string()).and_then(|record| columns.suppression(&record, now));
        let request = match read {
            Ok(suppression) => Some(ImportSuppressionsRequest { sequence: line, suppression: Some(suppression) }),
            Err(reason) => {
                noted.lock().unwrap_or_else(PoisonError::into_inner).refuse(line, reason);
                None
            }
        };
        // A long stretch of bad rows must not keep the answers from being read.
        let is_pause = index % ROWS_BETWEEN_PAUSES == 0;
        async move {
            if is_pause {
                tokio::task::yield_now().await;
            }
            request
        }
    });
    let mut answers = client.import_suppressions(rows).await?;
    let mut answered = 0;
    let ended = loop {
        let answer = match answers.try_next().await {
            Ok(Some(answer)) => answer,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        answered = answer.sequence;
        let mut view = bad.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.refusal {
            refusal if !refusal.is_empty() => view.refuse(answer.sequence, refusal),
            _ if answer.kept => view.kept += 1,
            _ if answer.replaced => view.replaced += 1,
            _ => view.added += 1,
        }
        progress.at(file.read.load(Ordering::Relaxed), "");
    };
    let view = std::mem::take(&mut *bad.lock().unwrap_or_else(PoisonError::into_inner));
    output.show(&view)?;
    if let Err(error) = ended {
        let last =
            anyhow!("the import broke off after line {answered}: import the file again, what is there is replaced");
        return Err(anyhow::Error::from(error).context(last).into());
    }
    Ok(if view.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// Where in a row what stands.
#[derive(Debug)]
struct Columns {
    places: HashMap<String, usize>,
    address: usize,
    scope: Option<SuppressionScope>,
    reason: SuppressionReason,
}

impl Columns {
    fn new(header: &StringRecord, scope: Option<SuppressionScope>, reason: SuppressionReason) -> Result<Self, Failure> {
        let names = header.iter().map(|name| name.trim().to_lowercase());
        let places: HashMap<_, _> = names.zip(0..).collect();
        let address = ["address", "email", "e-mail", "mail"].iter().find_map(|name| places.get(*name)).copied();
        let address = address.ok_or_else(|| usage("the file has no column address or email in its first line"))?;
        if scope.is_none() && !places.contains_key("scope") {
            return Err(usage("the file has no column scope: say --account, --label or --global"));
        }
        Ok(Self { places, address, scope, reason })
    }

    fn suppression(&self, row: &StringRecord, now: SystemTime) -> Result<Suppression, String> {
        let cell = |name: &str| self.places.get(name).and_then(|place| row.get(*place)).unwrap_or_default().trim();
        let time = |name: &str| match cell(name) {
            "" => Ok(None),
            text => text.parse::<When>().map(|when| Some(when.resolve(now).into())),
        };
        let scope = match (cell("scope"), &self.scope) {
            ("", Some(scope)) => scope.clone(),
            (text, _) => parse_scope(text)?,
        };
        let reason = match cell("reason") {
            "" => self.reason,
            text => reason_of(text)?,
        };
        Ok(Suppression {
            scope: Some(scope),
            address: row.get(self.address).unwrap_or_default().trim().to_owned(),
            reason: reason.into(),
            added_at: time("added_at")?,
            expires_at: time("expires_at")?,
            evidence: cell("evidence").to_owned(),
            ..Suppression::default()
        })
    }
}

fn reason_of(text: &str) -> Result<SuppressionReason, String> {
    let name = format!("SUPPRESSION_REASON_{}", text.to_ascii_uppercase().replace('-', "_"));
    let known = SuppressionReason::from_str_name(&name).filter(|reason| *reason != SuppressionReason::Unspecified);
    known.ok_or_else(|| {
        format!("\"{text}\" is not a reason; write hard-bounce, soft-bounces, complaint, unsubscribed or manual")
    })
}

#[cfg(test)]
mod tests {
    use hikyaku_client::proto::suppression_scope::Scope;

    use super::*;

    fn record(cells: &[&str]) -> StringRecord {
        StringRecord::from(cells.to_vec())
    }

    fn global() -> Option<SuppressionScope> {
        Some(SuppressionScope { scope: Some(Scope::Global(true)) })
    }

    #[test]
    fn what_is_exported_is_imported_as_it_was() {
        let suppression = Suppression {
            scope: Some(SuppressionScope { scope: Some(Scope::Label("news, weekly".to_owned())) }),
            address: "taro@example.jp".to_owned(),
            reason: SuppressionReason::HardBounce.into(),
            added_at: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            expires_at: Some(prost_types::Timestamp { seconds: 1_900_000_000, nanos: 0 }),
            evidence: "550 \"no\" such, user".to_owned(),
            ..Suppression::default()
        };
        let mut file = line(COLUMNS.map(str::to_owned)).expect("writes");
        file.extend(line(cells(suppression.clone())).expect("writes"));
        let mut reader = csv::Reader::from_reader(file.as_slice());
        let columns = Columns::new(&reader.headers().expect("a header").clone(), None, SuppressionReason::Manual);
        let row = reader.records().next().expect("a row").expect("reads");
        let read = columns.expect("columns").suppression(&row, SystemTime::UNIX_EPOCH).expect("a suppression");
        assert_eq!(read, suppression);
    }

    #[test]
    fn a_bare_list_of_addresses_takes_its_scope_and_reason_from_the_command() {
        let columns = Columns::new(&record(&["E-Mail"]), global(), SuppressionReason::Unsubscribed).expect("columns");
        let read = columns.suppression(&record(&[" a@example.jp "]), SystemTime::UNIX_EPOCH).expect("a suppression");
        assert_eq!((read.address.as_str(), read.reason()), ("a@example.jp", SuppressionReason::Unsubscribed));
        assert_eq!(read.scope, global());
    }

    #[test]
    fn a_row_with_a_mistake_says_which() {
        let header = record(&["address", "scope", "reason", "expires_at"]);
        let columns = Columns::new(&header, None, SuppressionReason::Manual).expect("columns");
        for (row, mistake) in [
            (["a@example.jp", "", "", ""], "\"\" is not a scope"),
            (["a@example.jp", "global", "dead", ""], "\"dead\" is not a reason"),
            (["a@example.jp", "global", "", "soon"], "\"soon\" is not a time"),
        ] {
            let error = columns.suppression(&record(&row), SystemTime::UNIX_EPOCH).expect_err(mistake);
            assert!(error.starts_with(mistake), "{error}");
        }
        assert!(Columns::new(&record(&["name"]), global(), SuppressionReason::Manual).is_err());
        assert!(Columns::new(&record(&["address"]), None, SuppressionReason::Manual).is_err());
    }
}
