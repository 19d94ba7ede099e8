//! How is the daemon started, awaited, killed and started again?

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use hikyaku_client::{Access, Client, Endpoint};
use hikyaku_daemon::{domain::time::Clock as _, platform::clock::SystemClock};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// How long the daemon may take to start.
const START_SECONDS_MAX: u64 = 60;
/// How long it may take to end after SIGTERM.
const END_SECONDS_MAX: u64 = 45;
/// How often it is asked whether it serves.
const ASK_MILLIS: u64 = 10;
/// How many lines of its log are shown when it fails.
const LOG_LINES_SHOWN: usize = 12;

/// Free space the daemon asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// Below it no job is accepted.
    pub(crate) intake_free_bytes_min: u64,
    /// Below it the ballast is given up.
    pub(crate) work_free_bytes_min: u64,
    /// Size of the ballast.
    pub(crate) ballast_bytes: u64,
}

impl Default for Space {
    fn default() -> Self {
        Self { intake_free_bytes_min: 16 << 20, work_free_bytes_min: 8 << 20, ballast_bytes: 0 }
    }
}

/// The daemon on one store. Its process is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    binary: PathBuf,
    folder: PathBuf,
    store: PathBuf,
    process: Option<Child>,
    /// When it was stopped, in milliseconds since 1970.
    stops: Vec<u64>,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Daemon {
    /// A daemon that does not run yet. Its socket and log are in `folder`, its store at `store`.
    pub(crate) fn new(folder: &Path, store: &Path, space: Space) -> anyhow::Result<Self> {
        let daemon = Self {
            binary: binary()?,
            folder: folder.into(),
            store: store.into(),
            process: None,
            stops: Vec::new(),
            environment: Vec::new(),
        };
        fs::create_dir_all(folder).context("cannot make a folder")?;
        fs::write(daemon.file("hikyakud.toml"), daemon.configuration(space)).context("cannot write a configuration")?;
        Ok(daemon)
    }

    /// Where its clients reach it.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.file("s"))
    }

    /// Sets what its next process finds in its environment.
    pub(crate) fn set_environment(&mut self, environment: impl Into<Vec<(&'static str, PathBuf)>>) {
        self.environment = environment.into();
    }

    /// Where its store is.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// When it was stopped, in milliseconds since 1970.
    pub(crate) fn stops(&self) -> &[u64] {
        &self.stops
    }

    /// Starts its process without waiting for it.
    pub(crate) fn spawn(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.file("hikyakud.log")).context("no log")?;
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--config").arg(self.file("hikyakud.toml")).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone().context("no log")?).stderr(log);
        // What the environment sets for another daemon on this host is not meant for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HIKYAKU_") || name == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?);
        Ok(())
    }

    /// Starts it and waits until it serves; the error ends with its log.
    pub(crate) async fn start(&mut self) -> anyhow::Result<Client> {
        self.spawn()?;
        self.serving().await
    }

    /// Waits until it serves.
    pub(crate) async fn serving(&mut self) -> anyhow::Result<Client> {
        let wait = Duration::from_secs(START_SECONDS_MAX);
        match timeout(wait, self.first_answer()).await {
            Ok(answer) => answer,
            Err(_) => bail!("hikyakud does not serve after {wait:?}; its log ends with:\n{}", self.last_words()),
        }
    }

    async fn first_answer(&mut self) -> anyhow::Result<Client> {
        loop {
            if let Some(status) = self.ended()? {
                bail!("hikyakud ended at once, {status}; its log ends with:\n{}", self.last_words());
            }
            if let Ok(client) = Client::connect(&self.endpoint(), Access::default()).await {
                return Ok(client);
            }
            sleep(Duration::from_millis(ASK_MILLIS)).await;
        }
    }

    /// Its exit status when it has ended by itself.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        match &mut self.process {
            Some(process) => process.try_wait().context("cannot ask after hikyakud"),
            None => Ok(None),
        }
    }

    /// Sends it SIGKILL, which it cannot catch, and waits until it is gone. Fails when it had ended by itself.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.ended()? {
            bail!("hikyakud ended by itself, {status}; its log ends with:\n{}", self.last_words());
        }
        if let Some(mut process) = self.process.take() {
            self.stops.push(SystemClock.now().as_millis());
            process.kill().await.context("cannot kill hikyakud")?;
        }
        Ok(())
    }

    /// Asks it to end with SIGTERM and waits for it; the status is its answer.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let mut process = self.process.take().context("hikyakud does not run")?;
        let id = process.id().context("hikyakud has ended by itself")?;
        self.stops.push(SystemClock.now().as_millis());
        let asked = Command::new("kill").arg("-TERM").arg(id.to_string()).status().await;
        anyhow::ensure!(asked.context("cannot run kill")?.success(), "kill -TERM failed");
        let ended = timeout(Duration::from_secs(END_SECONDS_MAX), process.wait()).await;
        ended.context("hikyakud does not end after SIGTERM")?.context("cannot await hikyakud")
    }

    /// Runs one of its commands to the end, with its configuration.
    pub(crate) async fn command(&self, words: &[&str], paths: &[&Path]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--config").arg(self.file("hikyakud.toml")).args(paths);
        command.stdin(Stdio::null()).output().await.with_context(|| format!("cannot run hikyakud {words:?}"))
    }

    /// All it has logged.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.file("hikyakud.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lines of its log that tell of a panic.
    pub(crate) fn panics(&self) -> Vec<String> {
        self.log().lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect()
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn configuration(&self, space: Space) -> String {
        let Space { intake_free_bytes_min, work_free_bytes_min, ballast_bytes } = space;
        format!(
            "[store]\npath = {:?}\ncache_bytes = 16777216\nintake_free_bytes_min = {intake_free_bytes_min}\n\
             work_free_bytes_min = {work_free_bytes_min}\nballast_bytes = {ballast_bytes}\n\n[log]\nformat = \"json\"\n\n\
             [seal]\nkey_file = {:?}\n\n[listen.unix]\npath = {:?}\nmode = \"0600\"\n",
            self.store,
            self.file("seal.key"),
            self.file("s"),
        )
    }
}

/// The daemon's program: the environment's `HIKYAKUD`, or the one beside this program.
fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("HIKYAKUD") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let binary = own.with_file_name("hikyakud");
    anyhow::ensure!(binary.exists(), "{} is not there: build it, or set HIKYAKUD", binary.display());
    Ok(binary)
}
