//! `hikyaku completions`: a script by which a shell completes commands and options.

use std::{io::Write, process::ExitCode};

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{args::Cli, failure::Failure, output::Output};

/// For which shell.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn completions<W: Write>(args: CompletionsArgs, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "hikyaku", &mut script);
    output.bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
