//! From the command line to the command: connect, then hand over.

use std::{env, fs, io::Write, path::Path, process::ExitCode, time::SystemTime};

use anyhow::Context as _;
use hikyaku_client::{Access, Client};

use super::{
    account,
    args::{Cli, Command, Global},
    blob, bounce, classify, completions, dkim,
    failure::{Failure, usage},
    job, mailbox,
    output::Output,
    route, statistics, store, suppression,
};

/// Does what the command line says.
///
/// # Errors
/// Whatever the command failed of; the caller reports it.
pub(crate) async fn run<W: Write>(cli: Cli, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Account(command) => Box::pin(account::run(command, &global, now(), output)).await,
        Command::Job(command) => Box::pin(job::run(command, &global, now(), output)).await,
        Command::Route(command) => Box::pin(route::run(command, &global, output)).await,
        Command::Blob(command) => Box::pin(blob::run(command, &global, output)).await,
        Command::Dkim(command) => Box::pin(dkim::run(command, &global, output)).await,
        Command::Bounce(command) => bounce::run(command, output),
        Command::Mailbox(command) => mailbox::run(command, &global, now(), output).await,
        Command::Suppression(command) => Box::pin(suppression::run(command, &global, now(), output)).await,
        Command::Stats(args) => statistics::run(args, &global, now(), output).await,
        Command::Classify(args) => classify::run(args, &global, output).await,
        Command::Store(command) => store::run(command, &global, output).await,
        Command::Completions(args) => completions::completions(args, output),
    }
}

/// Connects as the options and the environment say.
///
/// # Errors
/// When a file cannot be read, or the daemon cannot be reached.
pub(crate) async fn connect(global: &Global) -> Result<Client, Failure> {
    let api_key = match &global.api_key_file {
        Some(path) => Some(read_text(path)?.trim().to_owned()),
        None => env::var("HIKYAKU_API_KEY").ok().filter(|key| !key.is_empty()),
    };
    if api_key.as_deref() == Some("") {
        return Err(usage("the API key file is empty"));
    }
    let ca_pem = global.ca_file.as_deref().map(read_bytes).transpose()?;
    Ok(Client::connect(&global.endpoint, Access { api_key, ca_pem }).await?)
}

/// A file's bytes.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?)
}

/// A file's text.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    Ok(fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line's one clock; everything below takes the time as an argument"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
