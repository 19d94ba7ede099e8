//! The commands of `hikyakud`: one file each.

mod api_key;
mod check;
mod config;
mod demo;
mod health;
mod serve;
mod store;

use std::{env, io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use super::{
    config::{Config, Environment, Mistakes},
    demo::DemoOptions,
};

/// A persistent mail delivery daemon that sends through each account's own SMTP provider.
#[derive(Debug, Parser)]
#[command(name = "hikyakud", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM or SIGINT; a second one ends it at once.
    Serve(ConfigFile),
    /// Show on this machine, with a mail server of its own and a crash, that mail is neither lost nor doubled.
    Demo(DemoOptions),
    /// Check a configuration as a whole, and name every mistake.
    Check(ConfigFile),
    /// Explain the configuration.
    Config(config::Arguments),
    /// Ask the running daemon whether it serves; the exit status says so.
    Health(health::Arguments),
    /// Look after a store that no daemon has open.
    #[command(subcommand)]
    Store(store::Command),
    /// Make API keys.
    #[command(subcommand)]
    ApiKey(api_key::Command),
}

/// Which configuration is meant.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration; without it the defaults hold, which suit a person's own machine.
    #[arg(long, value_name = "FILE", env = "HIKYAKU_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Mistakes> {
        Config::load(self.config.as_deref(), &environment())
    }
}

/// Runs a command. What it has to say goes to `out`; progress and logs go to standard error.
///
/// # Errors
/// When the command failed. A failure that is an answer, such as "not serving", is an exit status.
pub fn run(cli: Cli, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(file) => serve::run(file.load()?),
        Command::Demo(options) => demo::run(options),
        Command::Check(file) => check::run(&file, out),
        Command::Config(arguments) => config::run(&arguments, out),
        Command::Health(arguments) => health::run(&arguments, out),
        Command::Store(command) => store::run(command, out),
        Command::ApiKey(command) => api_key::run(command, out),
    }
}

/// The process's environment; variables that are not UTF-8 are none of ours.
fn environment() -> Environment {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}
