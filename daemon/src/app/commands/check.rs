//! `hikyakud check`: is this configuration right?

use std::{io::Write, process::ExitCode};

use super::ConfigFile;

pub(super) fn run(file: &ConfigFile, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    file.load()?;
    let name = file.config.as_ref().map_or_else(|| "the default".to_owned(), |path| path.display().to_string());
    writeln!(out, "{name}: no mistake")?;
    Ok(ExitCode::SUCCESS)
}
