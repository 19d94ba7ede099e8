//! `hikyakud config --defaults`: which keys there are, what they mean, and what holds without them.

use std::{io::Write, process::ExitCode};

use clap::Args;

use crate::app::config::defaults;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print every key with its meaning and its default, as a file to begin with.
    #[arg(long, required = true)]
    defaults: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if arguments.defaults {
        write!(out, "{}", defaults(&super::environment()))?;
    }
    Ok(ExitCode::SUCCESS)
}
