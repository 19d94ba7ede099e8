//! `hikyakud demo`: what does Hikyaku do, shown on this machine alone?

use std::process::ExitCode;

use anyhow::Context as _;

use crate::app::demo::{self, DemoOptions};

pub(super) fn run(options: DemoOptions) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(demo::run(options))
}
