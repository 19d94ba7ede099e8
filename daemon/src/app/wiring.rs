//! How the parts become one daemon, and how it ends. The only place that names an engine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    config::{Config, Store, VirusScan},
    health, host, janitor,
    listeners::Listeners,
};
use crate::{
    accounts::{
        signers::Signers,
        tokens::{TokenKeeper, idle},
    },
    delivery::{self, connections::ConnectionSlots, desk, supervisor, supervisor::DeliveryError},
    domain::time::Clock,
    inbound::{
        self,
        status::{self, Mailboxes},
    },
    platform::{
        clock::SystemClock,
        entropy::{Entropy, OsEntropy},
        sealing::Sealer,
        shutdown::StopSignals,
    },
    policy::{classify::rules::Rules, verp::VerpKey},
    service::{
        guard::Guard,
        paging::PageSeal,
        parts::Parts,
        routes::{Health, routes},
    },
    storage::{
        SharedStorage,
        sled::{self, SledSettings, SledStore},
    },
    wire::{
        clamd::Clamd,
        dial::{Dial, TcpDialer},
        dns::NameServers,
        oauth::TokenClient,
    },
};

/// How long calls under way may take to end when the daemon stops. Streams are told to end at once.
const CALLS_END_MAX: Duration = Duration::from_secs(2);
/// How much longer than its grace time delivery is waited for.
const DELIVERY_END_MARGIN: Duration = Duration::from_secs(5);
/// How long mail that is being taken in is waited for when the daemon stops, its sessions included.
const INBOUND_END_MAX: Duration = Duration::from_secs(8);
/// How long access tokens that are being renewed are waited for when the daemon stops.
const RENEWALS_END_MAX: Duration = Duration::from_secs(5);

/// Runs until the host wishes that we stop, or until something breaks that only a restart can mend.
///
/// # Errors
/// When it cannot start, or broke.
pub(super) async fn serve(config: Config) -> anyhow::Result<()> {
    let mut signals = StopSignals::listen().context("cannot handle signals")?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), store = %config.store.path.display(), "starting");
    tell(&[NotifyState::Status("opening the store")]);
    let storage = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the store was open");
            return Ok(());
        }
        storage = open(&config) => storage?,
    };
    let daemon = Daemon::start(config, storage).await?;
    tell(&[NotifyState::Ready, NotifyState::Status("running")]);
    daemon.run(signals).await
}

/// The virus scanner of a configuration, if it names one.
fn scanner(config: &Config) -> Option<Arc<Clamd>> {
    let VirusScan { place, limit, scans_max } = config.virus_scan.clone()?;
    Some(Arc::new(Clamd::new(place, limit, scans_max)))
}

/// Opens the store of a configuration, on a thread that may block.
///
/// # Errors
/// When the sealing key cannot be had, or the store does not open.
pub(super) async fn open(config: &Config) -> anyhow::Result<SharedStorage> {
    let (store, key_file) = (config.store.clone(), config.seal_key_file.clone());
    let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<SharedStorage> {
        // With a new key no password of an old store could be read.
        if !key_file.exists() && store.path.join("format").exists() {
            let (key, store) = (key_file.display(), store.path.display());
            bail!("the store {store} is there, but its sealing key {key} is not: put the key back beside it");
        }
        for folder in [key_file.parent(), store.path.parent(), Some(&*store.path)].into_iter().flatten() {
            make_private_folder(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let sealer = Sealer::from_key_file(&key_file)?;
        let store = SledStore::open(&store.path, settings(&store), sealer, Arc::new(SystemClock))?;
        Ok(store)
    });
    opened.await.context("opening the store broke down")?
}

/// Puts a backup in the place of the store, which must be empty or absent. Returns how many entries it has.
///
/// # Errors
/// When the place is taken, or the backup cannot be used.
pub(super) async fn restore(config: &Config, backup: PathBuf) -> anyhow::Result<u64> {
    let into = config.store.path.clone();
    let restored = tokio::task::spawn_blocking(move || sled::restore(&backup, &into));
    Ok(restored.await.context("restoring broke down")??)
}

fn settings(store: &Store) -> SledSettings {
    SledSettings {
        cache_bytes: store.cache_bytes,
        open_jobs_per_account_max: store.open_jobs_per_account_max,
        intake_free_bytes_min: store.intake_free_bytes_min,
        work_free_bytes_min: store.work_free_bytes_min,
        ballast_bytes: store.ballast_bytes,
        uploads: store.uploads,
        ..SledSettings::default()
    }
}

fn make_private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A running daemon.
struct Daemon {
    storage: SharedStorage,
    health: Health,
    listeners: Listeners,
    /// Nothing once it has ended.
    delivery: Option<JoinHandle<Result<(), DeliveryError>>>,
    /// Nothing once it has ended.
    inbound: Option<JoinHandle<anyhow::Result<()>>>,
    /// Ends both.
    stop_delivery: CancellationToken,
    grace: Duration,
    tokens: TokenKeeper,
    chores: Chores,
}

/// Tasks that end with the daemon, whatever they are at.
struct Chores {
    health: JoinHandle<crate::storage::StorageError>,
    janitor: JoinHandle<std::convert::Infallible>,
    idle_grants: JoinHandle<()>,
}

impl Drop for Chores {
    fn drop(&mut self) {
        self.health.abort();
        self.janitor.abort();
        self.idle_grants.abort();
    }
}

/// Why a daemon ends.
enum End {
    Wished(&'static str),
    Broken(anyhow::Error),
}

/// The keys that are derived from the sealing key.
fn keys(key_file: &Path) -> anyhow::Result<(VerpKey, PageSeal)> {
    let sealer = Sealer::from_key_file(key_file)?;
    Ok((VerpKey::new(sealer.derive("verp")), PageSeal::new(sealer.derive("page tokens"))))
}

impl Daemon {
    async fn start(config: Config, storage: SharedStorage) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let rules = Arc::new(Rules::built_in());
        let stop_calls = CancellationToken::new();
        let tokens = TokenKeeper::new(Arc::clone(&storage), Arc::new(TokenClient::default()), Arc::clone(&clock));
        let (desk, asks) = desk::open();
        let (mailboxes, questions) = status::open();
        let signers = Signers::new(&storage);
        let dial: Arc<dyn Dial> = Arc::new(TcpDialer);
        let host_name = config.delivery.host_name.clone().unwrap_or_else(host::name);
        let (verp, pages) = keys(&config.seal_key_file)?;
        let parts = Parts {
            storage: Arc::clone(&storage),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            rules: Arc::clone(&rules),
            dns: Arc::new(NameServers::new(config.dns_server)),
            tokens: tokens.clone(),
            signers: signers.clone(),
            verp: verp.clone(),
            pages,
            desk,
            mailboxes: Arc::new(mailboxes.clone()),
            inbound_folder: Some(config.inbound.folder.clone()),
            dial: Arc::clone(&dial),
            scanner: scanner(&config),
            host_name: host_name.clone(),
            shutdown: stop_calls.clone(),
        };
        let (routes, health) = routes(parts).await;
        let mut listeners = Listeners::new(stop_calls);
        listeners.unix(&config.unix, Guard::Local, routes.clone())?;
        if let Some(tcp) = &config.tcp {
            listeners.tcp(tcp, config.api_keys.clone().map_or(Guard::Local, Guard::Keys), routes).await?;
        }

        let stop_delivery = CancellationToken::new();
        let context = delivery::Context {
            storage: Arc::clone(&storage),
            rules,
            dial,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            verp,
            host_name,
            connections: ConnectionSlots::new(config.delivery.connections_max),
            tokens: tokens.clone(),
            signers,
            stopping: stop_delivery.clone(),
        };
        let grace = config.delivery.shutdown_grace.saturating_sub(CALLS_END_MAX);
        let chores = Chores {
            health: tokio::spawn(health::follow(health.clone(), Arc::clone(&storage))),
            janitor: tokio::spawn(janitor::run(Arc::clone(&storage), clock, config.store.keep_finished)),
            idle_grants: tokio::spawn(idle::run(tokens.clone(), entropy, stop_delivery.clone())),
        };
        let inbound = Some(tokio::spawn(read_mailboxes(&config, &context, mailboxes, questions)));
        let delivery = Some(tokio::spawn(supervisor::run(context, asks, grace)));
        Ok(Self { storage, health, listeners, delivery, inbound, stop_delivery, grace, tokens, chores })
    }

    /// Waits for a reason to end, and ends. A second signal ends at once: what is in flight is in doubt then.
    async fn run(mut self, mut signals: StopSignals) -> anyhow::Result<()> {
        let end = self.wait(&mut signals).await;
        match &end {
            End::Wished(signal) => tracing::info!(signal, "stopping"),
            End::Broken(error) => tracing::error!(error = format!("{error:#}"), "stopping"),
        }
        tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
        let stopped = tokio::select! {
            biased;
            signal = signals.next() => anyhow::bail!("a second signal ({signal}) came: ended at once"),
            stopped = self.stop() => stopped,
        };
        match end {
            End::Wished(_) => stopped.inspect(|()| tracing::info!("stopped")),
            End::Broken(error) => Err(error),
        }
    }

    async fn wait(&mut self, signals: &mut StopSignals) -> End {
        tokio::select! {
            biased;
            signal = signals.next() => End::Wished(signal),
            failed = &mut self.chores.health => End::Broken(match failed {
                Ok(error) => error.into(),
                Err(error) => anyhow::Error::from(error).context("watching the store broke down"),
            }),
            ended = delivered(&mut self.delivery) => {
                End::Broken(ended.err().unwrap_or_else(|| anyhow::anyhow!("delivery ended")))
            }
            ended = mailboxes_ended(&mut self.inbound) => {
                End::Broken(ended.err().unwrap_or_else(|| anyhow::anyhow!("no mailbox is read any more")))
            }
            error = self.listeners.broken() => End::Broken(error),
        }
    }

    /// No probe; then neither calls nor mail, at once: no attempt begins from here on. The store last, whatever went wrong.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.health.set_not_serving().await;
        drop(self.chores);
        self.stop_delivery.cancel();
        let delivery = tokio::time::timeout(self.grace + DELIVERY_END_MARGIN, delivered(&mut self.delivery));
        let inbound = tokio::time::timeout(INBOUND_END_MAX, mailboxes_ended(&mut self.inbound));
        let calls = self.listeners.end(CALLS_END_MAX);
        let (calls_ended, delivered, read) = tokio::join!(calls, delivery, inbound);
        if !calls_ended {
            tracing::warn!("some calls did not end in time");
        }
        let delivered = delivered.unwrap_or_else(|_| {
            tracing::warn!("delivery did not end in time");
            Ok(())
        });
        let read = read.unwrap_or_else(|_| {
            tracing::warn!("some mailboxes were still being read");
            Ok(())
        });
        if tokio::time::timeout(RENEWALS_END_MAX, self.tokens.finish()).await.is_err() {
            tracing::warn!("some access tokens were being renewed");
        }
        let closed = self.storage.close().await.context("the store could not be closed");
        delivered.and(read).and(closed)
    }
}

/// Reads the mailboxes of all accounts and looks for what is in doubt, with what delivery works with.
fn read_mailboxes(
    config: &Config,
    delivery: &delivery::Context,
    mailboxes: Mailboxes,
    questions: status::Asks,
) -> impl Future<Output = anyhow::Result<()>> + use<> {
    let context = inbound::Context {
        storage: Arc::clone(&delivery.storage),
        rules: Arc::clone(&delivery.rules),
        dial: Arc::clone(&delivery.dial),
        clock: Arc::clone(&delivery.clock),
        entropy: Arc::clone(&delivery.entropy),
        verp: delivery.verp.clone(),
        tokens: delivery.tokens.clone(),
        signers: delivery.signers.clone(),
        folder: config.inbound.folder.clone(),
        reading_max: config.inbound.reading_max,
        stopping: delivery.stopping.clone(),
    };
    async move {
        inbound::supervisor::run(context, mailboxes, questions).await?;
        Ok(())
    }
}

/// Waits for the reading of mailboxes to end; at once when it has ended before.
async fn mailboxes_ended(inbound: &mut Option<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<()> {
    let Some(task) = inbound else {
        return Ok(());
    };
    let ended = task.await;
    *inbound = None;
    ended.context("reading mailboxes broke down")?
}

/// Waits for delivery to end; at once when it has ended before.
async fn delivered(delivery: &mut Option<JoinHandle<Result<(), DeliveryError>>>) -> anyhow::Result<()> {
    let Some(task) = delivery else {
        return Ok(());
    };
    let ended = task.await;
    *delivery = None;
    Ok(ended.context("delivery broke down")??)
}

/// Tells systemd, if it is there.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot tell systemd");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{platform::entropy::SeededEntropy, service::mailboxes::NoMailboxes, storage::memory::MemoryStore};

    /// Stops a daemon whose delivery ends as `end` does, once it is told to stop.
    async fn stopped(end: impl FnOnce() -> Result<(), DeliveryError> + Send + 'static) -> anyhow::Result<()> {
        let (stop_calls, stop_delivery) = (CancellationToken::new(), CancellationToken::new());
        let storage: SharedStorage = MemoryStore::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let issuer = Arc::new(TokenClient::default());
        let tokens = TokenKeeper::new(Arc::clone(&storage), issuer, Arc::clone(&clock));
        let parts = Parts {
            storage: Arc::clone(&storage),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            rules: Arc::new(Rules::built_in()),
            dns: Arc::new(NameServers::new(None)),
            tokens: tokens.clone(),
            signers: Signers::new(&storage),
            verp: VerpKey::new([7; 32]),
            pages: PageSeal::new([8; 32]),
            desk: desk::open().0,
            mailboxes: Arc::new(NoMailboxes),
            inbound_folder: None,
            dial: Arc::new(TcpDialer),
            scanner: None,
            host_name: host::name(),
            shutdown: stop_calls.clone(),
        };
        let (_, health) = routes(parts).await;
        let (told, calls) = (stop_delivery.clone(), stop_calls.clone());
        let delivery = tokio::spawn(async move {
            told.cancelled().await;
            // Calls are stopped in the same moment: nobody waits for the other.
            calls.cancelled().await;
            end()
        });
        let chores = Chores {
            health: tokio::spawn(std::future::pending()),
            janitor: tokio::spawn(std::future::pending()),
            idle_grants: tokio::spawn(std::future::pending()),
        };
        let listeners = Listeners::new(stop_calls);
        let grace = Duration::from_secs(10);
        let (delivery, inbound) = (Some(delivery), None);
        Daemon { storage, health, listeners, delivery, inbound, stop_delivery, grace, tokens, chores }.stop().await
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_wrong_while_it_stops_is_told() {
        stopped(|| Ok(())).await.expect("all ended well");
        let failed = stopped(|| Err(crate::storage::StorageError::Failed("gone".into()).into())).await;
        assert!(format!("{:#}", failed.expect_err("the store failed")).contains("gone"));
        let panicked = stopped(|| panic!("a bug")).await;
        assert!(panicked.expect_err("a panic").to_string().contains("delivery broke down"));
    }
}
