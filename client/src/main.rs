//! `hikyaku`, the command line of Hikyaku.

mod cli;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match cli::args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && asks_for_json(std::env::args_os()) => {
            return cli::failure::usage(error.to_string().trim_end()).report(true);
        }
        Err(error) => error.exit(),
    };
    let json = cli.global.json;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::failure::Failure::from(anyhow::Error::from(error)).report(json),
    };
    let mut output = cli::output::Output::new(std::io::stdout().lock(), json);
    let outcome = runtime.block_on(cli::run::run(cli, &mut output)).and_then(|code| {
        output.flush()?;
        Ok(code)
    });
    // What a finished stdin reader still waits for must not keep the program alive.
    runtime.shutdown_background();
    let _ = std::io::stderr().flush();
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}

/// Whether a command line that could not be read has `--json` among its options.
fn asks_for_json(words: impl Iterator<Item = std::ffi::OsString>) -> bool {
    words.take_while(|word| word != "--").any(|word| word == "--json")
}
