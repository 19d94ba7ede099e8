//! The program `hikyakud`: reads its arguments, runs a command, and says how it ended.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use hikyaku_daemon::app::commands::{self, Cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = commands::run(Cli::parse(), &mut io::stdout());
    match outcome {
        Ok(status) => status,
        // Who reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed too, the exit status has to do.
            let _ = writeln!(io::stderr(), "hikyakud: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
