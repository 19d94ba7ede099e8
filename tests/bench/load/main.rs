//! What drives, takes and delays mail when the daemon is measured?

mod ceiling;
mod inject;
mod latency;
mod mail;
mod merge;
mod proxy;
mod result;
mod sink;
mod smtp_client;
mod smtp_server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::result::say;

/// Loads hikyakud with mail, or stands in for the mail server and the network that it meets. Every command prints its
/// figures as `name: value`.
#[derive(Debug, Parser)]
#[command(name = "bench-load")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Submits jobs with single calls, many callers at once
    Unary(inject::UnaryOptions),
    /// Submits jobs through streams
    Stream(inject::StreamOptions),
    /// Submits one merge job
    Merge(merge::Options),
    /// Submits at a low rate and tells how long each message took to its server
    Latency(latency::Options),
    /// Takes mail as fast as it comes and drops it
    Sink(sink::Options),
    /// Sends as fast as a pipelining client can, to learn how much a sink can take
    Ceiling(ceiling::Options),
    /// Passes TCP connections on, later
    Proxy(proxy::Options),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ended = match options.command {
        Command::Unary(options) => on_runtime(inject::unary(options)),
        Command::Stream(options) => on_runtime(inject::stream(options)),
        Command::Merge(options) => on_runtime(merge::run(options)),
        Command::Latency(options) => on_runtime(latency::run(options)),
        Command::Sink(options) => on_runtime(sink::run(options)),
        Command::Ceiling(options) => on_runtime(ceiling::run(options)),
        Command::Proxy(options) => proxy::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say("error", format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Boxed, because each command's future is as large as its largest branch.
    runtime.block_on(Box::pin(work))
}
