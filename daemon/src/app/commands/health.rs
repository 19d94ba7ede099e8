//! `hikyakud health`: does the daemon of this configuration serve? For probes that can only run a program.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::{Context as _, anyhow};
use clap::Args;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::ConfigFile;

/// Longest that the daemon may take to answer; probes give up after three seconds.
const ANSWER_MAX: Duration = Duration::from_millis(2_500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask about one service, such as hikyaku.v1.JobService, which also stops to serve while the disk is nearly full.
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let socket = arguments.file.load()?.unix.path;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let asked = runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?.connect_timeout(ANSWER_MAX);
        let channel = endpoint.connect().await.with_context(|| format!("nobody answers at {}", socket.display()))?;
        let request = HealthCheckRequest { service: arguments.service.clone() };
        let answer = HealthClient::new(channel).check(request).await.map_err(|status| match status.code() {
            Code::NotFound => anyhow!("the daemon has no service named \"{}\"", arguments.service),
            _ => anyhow!("the daemon gave no answer: {}", status.message()),
        })?;
        anyhow::Ok(answer.into_inner().status())
    });
    let status = match asked {
        Ok(status) => status,
        Err(error) => {
            writeln!(out, "not serving: {error:#}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    writeln!(out, "{}", if status == ServingStatus::Serving { "serving" } else { "not serving" })?;
    Ok(if status == ServingStatus::Serving { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
