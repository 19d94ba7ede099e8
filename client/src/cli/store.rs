//! `hikyaku store`: backup and check of the store in use.

use std::{io::Write, process::ExitCode};

use anyhow::anyhow;
use clap::Subcommand;
use futures_util::StreamExt as _;
use hikyaku_client::proto::StoreFindings;
use serde::Serialize;

use super::{
    args::Global,
    counted::counted,
    escape::escape,
    failure::{EXIT_FAILED, Failure},
    output::{Output, Show},
    progress::Progress,
    run::connect,
};

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Write a consistent copy of the store to a new directory on the daemon's host
    Backup {
        /// Absolute path on the daemon's host that does not exist yet
        path: String,
    },
    /// Check every record, mend what is derived, and quarantine what is unreadable; exit code 1 when any was
    Verify,
}

pub(crate) async fn run<W: Write>(
    command: StoreCommand,
    global: &Global,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        StoreCommand::Backup { path } => backup(path, global, output).await,
        StoreCommand::Verify => verify(global, output).await,
    }
}

async fn backup<W: Write>(path: String, global: &Global, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let mut steps = connect(global).await?.backup_store(&path).await?;
    let mut progress = Progress::new("copying", 0);
    while let Some(step) = steps.next().await {
        let step = step?;
        progress.set_total(step.records_total);
        progress.at(step.records_done, "records");
        if step.complete {
            drop(progress);
            output.show(&BackupView { path, records: step.records_done })?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    Err(anyhow!("the backup at {path} is not complete: the daemon ended it early; remove it and try again").into())
}

async fn verify<W: Write>(global: &Global, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let mut steps = connect(global).await?.verify_store().await?;
    let mut progress = Progress::new("checking", 0);
    while let Some(step) = steps.next().await {
        let step = step?;
        progress.set_total(step.records_total);
        progress.at(step.records_done, "records");
        if let Some(findings) = step.findings {
            drop(progress);
            let sound = findings.quarantined_count == 0;
            output.show(&FindingsView::from(findings))?;
            return Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) });
        }
    }
    Err(anyhow!("the check ended early, without findings; try again").into())
}

#[derive(Debug, Serialize)]
struct BackupView {
    path: String,
    records: u64,
}

impl Show for BackupView {
    fn text(&self) -> String {
        format!("copied {} to {}", counted(self.records, "record", "records"), escape(&self.path))
    }
}

#[derive(Debug, Serialize)]
struct FindingsView {
    records: u64,
    quarantined_count: u64,
    quarantined: Vec<String>,
    mended: u64,
}

impl From<StoreFindings> for FindingsView {
    fn from(findings: StoreFindings) -> Self {
        let StoreFindings { records, quarantined_count, quarantined, mended } = findings;
        Self { records, quarantined_count, quarantined, mended }
    }
}

impl Show for FindingsView {
    fn text(&self) -> String {
        let mut text = format!(
            "checked {}: {} quarantined, {} mended",
            counted(self.records, "record", "records"),
            self.quarantined_count,
            counted(self.mended, "derived entry", "derived entries")
        );
        for one in &self.quarantined {
            text.push_str("\n  ");
            text.push_str(&escape(one));
        }
        text
    }
}
