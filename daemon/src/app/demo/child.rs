//! How is the daemon started as a child, awaited, killed and started again?

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use hikyaku_client::{Access, Client, Endpoint};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// How long the daemon may take to start.
const START_SECONDS_MAX: u64 = 60;
/// How often it is asked whether it serves.
const ASK_MILLIS: u64 = 50;
/// How many lines of its log are shown when it fails.
const LOG_LINES_SHOWN: usize = 20;

/// The daemon in a process of its own: this same program, started again. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    folder: PathBuf,
    process: Child,
}

impl Daemon {
    /// Starts it on the store in `folder`, which is made at the first start, and waits until it serves.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<(Self, Client)> {
        let config = folder.join("hikyakud.toml");
        fs::write(&config, configuration(folder)).with_context(|| format!("cannot write {}", config.display()))?;
        let log = OpenOptions::new().create(true).append(true).open(log_path(folder)).context("cannot open a log")?;
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&config).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone().context("cannot open a log")?).stderr(Stdio::from(log));
        // What the environment sets for another daemon on this host is not meant for this one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("HIKYAKU") || text == "NOTIFY_SOCKET" || text.starts_with("LISTEN_") {
                command.env_remove(&name);
            }
        }
        let process = command.spawn().context("cannot start hikyakud again as a child")?;
        let mut daemon = Self { folder: folder.to_owned(), process };
        let serves = timeout(Duration::from_secs(START_SECONDS_MAX), daemon.serves()).await;
        let client = serves.unwrap_or_else(|_| bail!("hikyakud does not serve after {START_SECONDS_MAX} s"));
        let client = client.with_context(|| format!("its log ends with:\n{}", daemon.last_words()))?;
        Ok((daemon, client))
    }

    /// Sends it SIGKILL, which it cannot catch, and waits until it is gone.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().await.context("cannot kill hikyakud")
    }

    /// Fails when it has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait().context("cannot ask after hikyakud")? {
            None => Ok(()),
            Some(status) => bail!("hikyakud ended by itself, {status}; its log ends with:\n{}", self.last_words()),
        }
    }

    /// Asks the gRPC health service until it says that all is well.
    async fn serves(&mut self) -> anyhow::Result<Client> {
        let endpoint = Endpoint::Unix(socket_path(&self.folder));
        loop {
            if let Some(status) = self.process.try_wait().context("cannot ask after hikyakud")? {
                bail!("hikyakud ended at once, {status}");
            }
            if is_healthy(&endpoint).await {
                return Ok(Client::connect(&endpoint, Access::default()).await?);
            }
            sleep(Duration::from_millis(ASK_MILLIS)).await;
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(log_path(&self.folder)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

async fn is_healthy(endpoint: &Endpoint) -> bool {
    let Ok(transport) = tonic::transport::Endpoint::from_shared(endpoint.to_string()) else { return false };
    let Ok(channel) = transport.connect().await else { return false };
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

fn socket_path(folder: &Path) -> PathBuf {
    folder.join("demo.sock")
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("hikyakud.log")
}

/// A configuration that keeps everything in `folder` and listens on a Unix socket only. A demo may run on a full disk.
fn configuration(folder: &Path) -> String {
    let path = |name: &str| toml::Value::from(folder.join(name).display().to_string());
    format!(
        "[store]\npath = {}\ncache_bytes = 16777216\nintake_free_bytes_min = 16777216\nwork_free_bytes_min = 8388608\n\
         ballast_bytes = 0\n\n[seal]\nkey_file = {}\n\n[listen.unix]\npath = {}\nmode = \"0600\"\n",
        path("store"),
        path("seal.key"),
        path("demo.sock"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{Config, Environment};

    #[test]
    fn the_configuration_has_no_mistake() {
        let config = Config::read(&configuration(Path::new("/tmp/a \"b\"")), &Environment::new()).unwrap();
        assert_eq!(config.store.path, Path::new("/tmp/a \"b\"/store"));
        assert_eq!(config.unix.path, Path::new("/tmp/a \"b\"/demo.sock"));
        assert!(config.tcp.is_none());
    }
}
