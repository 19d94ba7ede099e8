//! What may stand on the command line, from the top.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use hikyaku_client::Endpoint;

use super::{
    account_args::AccountCommand, blob::BlobCommand, bounce::BounceCommand, classify::ClassifyArgs,
    completions::CompletionsArgs, dkim::DkimCommand, job_args::JobCommand, mailbox::MailboxCommand,
    route::RouteCommand, statistics::StatsArgs, store::StoreCommand, suppression::SuppressionCommand,
};

/// Sends mail through hikyakud, and shows what became of it.
///
/// Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "hikyaku", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Write JSON, one object a line, and errors as JSON on stderr
    #[arg(long, global = true, help_heading = "Common options")]
    pub(crate) json: bool,
    /// Where hikyakud listens: unix:/path, http://127.0.0.1:PORT or https://HOST:PORT
    #[arg(long, global = true, env = "HIKYAKU_ENDPOINT", value_name = "ENDPOINT", help_heading = "Common options",
          default_value_t = Endpoint::default())]
    pub(crate) endpoint: Endpoint,
    /// File with the API key; the key itself may be in HIKYAKU_API_KEY
    #[arg(long, global = true, env = "HIKYAKU_API_KEY_FILE", value_name = "FILE", help_heading = "Common options")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Certificate authority in PEM to trust besides those of the system
    #[arg(long, global = true, env = "HIKYAKU_CA_FILE", value_name = "FILE", help_heading = "Common options")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, show, change and steer accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// Submit, show and steer jobs
    #[command(subcommand)]
    Job(JobCommand),
    /// Show, set and explain which account sends a job that names none
    #[command(subcommand)]
    Route(RouteCommand),
    /// Upload files that jobs attach
    #[command(subcommand)]
    Blob(BlobCommand),
    /// Make, show and check DKIM keys, and say which messages they sign
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Say what mail means that came back; no daemon is needed
    #[command(subcommand)]
    Bounce(BounceCommand),
    /// Read mailboxes, and show what came into them
    #[command(subcommand)]
    Mailbox(MailboxCommand),
    /// Show, add and remove addresses that must not be sent to
    #[command(subcommand)]
    Suppression(SuppressionCommand),
    /// Show what was sent and what came of it, by time and by group
    Stats(StatsArgs),
    /// Say what the rules make of a provider's reply
    Classify(ClassifyArgs),
    /// Look after the daemon's store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Write a script that completes commands in a shell
    ///
    /// For bash, for instance: hikyaku completions bash > /usr/share/bash-completion/completions/hikyaku
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
