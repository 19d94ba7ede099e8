//! `hikyakud serve`: the daemon itself.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::{
    app::{config::Config, wiring},
    platform::logging,
};

pub(super) fn run(config: Config) -> anyhow::Result<ExitCode> {
    logging::start(config.log.format, &config.log.filter);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let ended = runtime.block_on(wiring::serve(config));
    // What still runs (a store that was being opened, calls that did not end) must not hold the process up.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}
