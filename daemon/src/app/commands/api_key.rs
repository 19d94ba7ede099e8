//! `hikyakud api-key`: how does a program get the right to call over TCP?

use std::{io::Write, process::ExitCode};

use clap::Subcommand;

use crate::{
    domain::ids::Caller,
    platform::entropy::OsEntropy,
    service::api_keys::{Role, new_key},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key. It is shown once; only its hash goes into the file that access.api_key_file names.
    New {
        /// Whose key it is, as it shall appear in jobs and logs.
        name: Caller,
        /// Let it see and use the personal accounts of all, and give accounts to others.
        #[arg(long)]
        admin: bool,
    },
}

pub(super) fn run(command: Command, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Command::New { name, admin } = command;
    let role = if admin { Role::Admin } else { Role::Member };
    let (key, line) = new_key(&name, role, &OsEntropy);
    writeln!(out, "The key, for {name}; it cannot be shown again:")?;
    writeln!(out, "  {}", key.expose())?;
    writeln!(out, "Its line for the file of access.api_key_file; the daemon reads it when it starts:")?;
    writeln!(out, "  {line}")?;
    Ok(ExitCode::SUCCESS)
}
