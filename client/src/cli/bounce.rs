//! `hikyaku bounce`: what mail that came back means, without a daemon.

use std::{
    fs::{self, File},
    io::{Read as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hikyaku_recognition::{
    bounce::{Finding, Findings, MESSAGE_BYTES_MAX, recognise},
    classify::rules::Rules,
};
use serde::Serialize;

use super::{
    escape::escape,
    failure::{Failure, usage},
    output::{Output, Show},
    table::table,
};

/// How deep folders may lie in the folder that was named.
const FOLDERS_DEEP_MAX: usize = 16;
/// Longest diagnostic in a table, in characters.
const DIAGNOSTIC_CHARS_MAX: usize = 60;

#[derive(Debug, Subcommand)]
pub(crate) enum BounceCommand {
    /// Say what mail means that came back: bounces, complaints, automatic replies
    Inspect(InspectArgs),
}

/// Which mail to read.
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Files with one mail each, or folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(crate) fn run<W: Write>(command: BounceCommand, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let BounceCommand::Inspect(InspectArgs { paths }) = command;
    let mut files = Vec::new();
    for path in &paths {
        collect(path, 0, &mut files)?;
    }
    if files.is_empty() {
        return Err(usage("the folders hold no files"));
    }
    let rules = Rules::built_in();
    if output.is_json() {
        for file in &files {
            output.json(&FileView::new(file, &inspect(&rules, file)?))?;
        }
    } else {
        let mut views = Vec::with_capacity(files.len());
        for file in &files {
            views.extend(rows(file, &inspect(&rules, file)?));
        }
        output.show(&TableView(views))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The files below a path, by name.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let kind = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !kind.is_dir() {
        files.push(path.strip_prefix("./").unwrap_or(path).to_owned());
        return Ok(());
    }
    if depth == FOLDERS_DEEP_MAX {
        return Err(usage(format!("{} lies more than {FOLDERS_DEEP_MAX} folders deep", path.display())));
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut inside: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read {}", path.display()))?;
    inside.sort();
    inside.iter().try_for_each(|path| collect(path, depth + 1, files))
}

fn inspect(rules: &Rules, path: &Path) -> Result<Findings, Failure> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut message = Vec::new();
    file.take(MESSAGE_BYTES_MAX as u64)
        .read_to_end(&mut message)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(recognise(rules, &message))
}

/// A file with what is to be done about it.
#[derive(Debug, Serialize)]
struct FileView {
    file: String,
    results: Vec<ResultView>,
}

/// A recipient that something is to be done about.
#[derive(Debug, Serialize)]
struct ResultView {
    recipient: Option<String>,
    status: Option<String>,
    kind: &'static str,
    action: Option<&'static str>,
    reason: Option<&'static str>,
}

impl FileView {
    fn new(file: &Path, findings: &Findings) -> Self {
        let results = findings.to_act_on().map(ResultView::from).collect();
        Self { file: file.display().to_string(), results }
    }
}

impl From<&Finding> for ResultView {
    fn from(finding: &Finding) -> Self {
        Self {
            recipient: finding.recipient.as_deref().map(str::to_owned),
            status: finding.status.map(|status| status.to_string()),
            kind: finding.kind.as_str(),
            action: finding.action.map(|action| action.as_str()),
            reason: finding.reason.map(|reason| reason.as_str()),
        }
    }
}

/// All rows for people.
#[derive(Debug, Serialize)]
struct TableView(Vec<Vec<String>>);

impl Show for TableView {
    fn text(&self) -> String {
        let headings = ["FILE", "MAIL", "RECIPIENT", "KIND", "ACTION", "STATUS", "REASON", "WORDS"];
        table(&headings, self.0.iter().cloned())
    }
}

/// A row for each recipient, or one that says what the mail is.
fn rows(file: &Path, findings: &Findings) -> Vec<Vec<String>> {
    let name = escape(&file.display().to_string()).into_owned();
    let nature = findings.nature.as_str().to_owned();
    if findings.recipients.is_empty() {
        return vec![vec![name, nature]];
    }
    findings.recipients.iter().map(|finding| row(&name, &nature, finding)).collect()
}

fn row(name: &str, nature: &str, finding: &Finding) -> Vec<String> {
    let ResultView { recipient, status, kind, action, reason } = finding.into();
    let words: String = finding.diagnostic.chars().take(DIAGNOSTIC_CHARS_MAX).collect();
    vec![
        name.to_owned(),
        nature.to_owned(),
        escape(&recipient.unwrap_or_default()).into_owned(),
        kind.to_owned(),
        action.unwrap_or_default().to_owned(),
        status.unwrap_or_default(),
        reason.unwrap_or_default().to_owned(),
        escape(&words).into_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNCE: &str = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.jp\nSubject: failure notice\n\n\
        Hi. This is the qmail-send program at mx.example.jp.\n\n<taro@example.jp>:\nNo such user. (#5.1.1)\n";

    fn inspected(paths: &[&Path], json: bool) -> String {
        let mut out = Vec::new();
        let mut output = Output::new(&mut out, json);
        let args = InspectArgs { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        run(BounceCommand::Inspect(args), &mut output).expect("reads");
        output.flush().expect("writes");
        drop(output);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn folders_give_a_line_for_each_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        fs::write(inner.join("1.eml"), BOUNCE).expect("writes");
        fs::write(folder.path().join("z.eml"), "Subject: lunch\n\nAt one?\n").expect("writes");
        let lines = inspected(&[folder.path()], true);
        let first = format!(
            r#"{{"file":"{}/1.eml","results":[{{"recipient":"taro@example.jp","status":"5.1.1","kind":"hard","action":"failed","reason":"user-unknown"}}]}}"#,
            inner.display()
        );
        let second = format!(r#"{{"file":"{}/z.eml","results":[]}}"#, folder.path().display());
        assert_eq!(lines, format!("{first}\n{second}\n"));
    }

    #[test]
    fn people_get_a_table() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("1.eml"), BOUNCE).expect("writes");
        let table = inspected(&[folder.path()], false);
        let row = table.lines().nth(1).expect("a row");
        for word in ["bounce", "taro@example.jp", "hard", "failed", "5.1.1", "user-unknown", "No such user"] {
            assert!(row.contains(word), "{word}: {row}");
        }
    }
}
