//! `hikyakud store`: what can be done to a store that no daemon has open.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::ConfigFile;
use crate::{
    app::wiring,
    platform::logging,
    storage::{Progress, SharedStorage},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every record, mend what is derived, and put what is unreadable into quarantine.
    Verify(ConfigFile),
    /// Write a copy of the store. While a daemon has it open, use `hikyaku store backup` instead.
    Backup(Target),
    /// Put a copy that `backup` made into the place of the store, which must be empty or absent.
    Restore {
        #[command(flatten)]
        file: ConfigFile,
        /// The folder of the copy.
        source: PathBuf,
    },
    /// Write all records as JSON lines; secrets stay sealed.
    Export(Target),
    /// Read what `export` wrote into a store that holds nothing.
    Import {
        #[command(flatten)]
        file: ConfigFile,
        /// The file with the records.
        source: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    file: ConfigFile,
    /// What is written; must not exist yet.
    target: PathBuf,
}

pub(super) fn run(command: Command, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        match command {
            Command::Verify(file) => verify(&file, out).await,
            Command::Backup(Target { file, target }) => {
                let store = Opened::of(&file).await?;
                let records = store.storage.backup(&target, &store.progress).await.context("cannot copy the store")?;
                store.close().await?;
                writeln!(out, "{records} records are in {}", target.display())?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Restore { file, source } => {
                let config = file.load()?;
                logging::start(config.log.format, &config.log.filter);
                let entries = wiring::restore(&config, source).await?;
                writeln!(out, "{entries} entries are in {} again", config.store.path.display())?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Export(Target { file, target }) => export(&file, target, out).await,
            Command::Import { file, source } => {
                let input = File::open(&source).with_context(|| format!("cannot read {}", source.display()))?;
                let store = Opened::of(&file).await?;
                let records = store.storage.import(&mut BufReader::new(input), &store.progress).await;
                let records = records.with_context(|| format!("cannot take {} over", source.display()))?;
                store.close().await?;
                writeln!(out, "{records} records were read from {}", source.display())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

/// Exit status 1 says that there were unreadable records.
async fn verify(file: &ConfigFile, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let store = Opened::of(file).await?;
    let findings = store.storage.verify(&store.progress).await.context("cannot check the store")?;
    store.close().await?;
    writeln!(out, "{} records read, {} derived entries mended", findings.records, findings.mended)?;
    if findings.quarantined_count == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{} unreadable records were put into quarantine:", findings.quarantined_count)?;
    for finding in &findings.quarantined {
        writeln!(out, "  {finding}")?;
    }
    Ok(ExitCode::FAILURE)
}

async fn export(file: &ConfigFile, target: PathBuf, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let failed = || format!("cannot write {}", target.display());
    let store = Opened::of(file).await?;
    // Mail is private: only its owner may read it.
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target);
    let mut writer = BufWriter::new(made.with_context(failed)?);
    let records = store.storage.export(&mut writer, &store.progress).await.with_context(failed)?;
    let written = writer.into_inner().map_err(|error| error.into_error()).with_context(failed)?;
    written.sync_all().with_context(failed)?;
    store.close().await?;
    writeln!(out, "{records} records are in {}", target.display())?;
    Ok(ExitCode::SUCCESS)
}

/// A store that this process has open, and how far its task has come.
struct Opened {
    storage: SharedStorage,
    progress: Bar,
}

impl Opened {
    async fn of(file: &ConfigFile) -> anyhow::Result<Self> {
        let config = file.load()?;
        logging::start(config.log.format, &config.log.filter);
        Ok(Self { storage: wiring::open(&config).await?, progress: Bar::new() })
    }

    async fn close(self) -> anyhow::Result<()> {
        self.progress.finish();
        self.storage.close().await.context("the store could not be closed")
    }
}

/// A bar on standard error; nothing when that is not a terminal.
#[derive(Debug)]
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} records, {eta} left");
        Self(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn report(&self, done: u64, total: u64) {
        self.0.set_length(total.max(done));
        self.0.set_position(done);
    }
}
