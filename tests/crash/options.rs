//! What was asked for on the command line and in the environment?

use std::path::PathBuf;

use clap::Parser;

use crate::recorder::Recorder;

/// Breaks hikyakud on purpose, and lets an independent checker compare what clients were told, what the mail server
/// received and what the store says.
#[derive(Clone, Debug, Parser)]
#[command(name = "crash")]
pub(crate) struct Options {
    /// Scenarios; all of them when none is named.
    pub(crate) scenarios: Vec<String>,
    /// How often a scenario kills, damages or restarts.
    #[arg(long, env = "CRASH_KILLS", default_value_t = 20)]
    pub(crate) kills: u64,
    /// Seed of all random choices.
    #[arg(long, env = "CRASH_SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Full windows and more load, for minutes instead of seconds.
    #[arg(long, env = "CRASH_LONG")]
    pub(crate) long: bool,
    /// Sends to this server instead of one in this process.
    #[arg(long, value_name = "HOST:PORT", requires = "records", value_parser = host_and_port)]
    smtp: Option<(String, u16)>,
    /// Where that server appends a line of JSON for each message.
    #[arg(long, value_name = "FILE.jsonl", requires = "smtp")]
    records: Option<PathBuf>,
    /// Keeps the folder of each scenario.
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Options {
    /// The recorder that was asked for.
    pub(crate) async fn recorder(&self) -> anyhow::Result<Recorder> {
        match (&self.smtp, &self.records) {
            (Some((host, port)), Some(file)) => {
                Ok(Recorder::Outside { host: host.clone(), port: *port, file: file.clone() })
            }
            _ => Recorder::inside().await,
        }
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("write HOST:PORT")?;
    Ok((host.to_owned(), port.parse().map_err(|_| "the port is no number")?))
}
