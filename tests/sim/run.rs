//! One run: a seed, its world, its days of virtual time, and what the checker says of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use hikyaku_daemon::{
    domain::time::Timestamp,
    storage::{SharedStorage, memory::MemoryStore},
};
use turmoil::{Builder, Sim};

use crate::{
    book::{Book, at_once},
    checker::{self, Evidence},
    clients::Clients,
    daemon::{DAEMON, Estate},
    log::Log,
    options::Options,
    plan::{self, Planned},
    provider::{Provider, Seen, conduct::Conduct, look},
    weather::Weather,
};

/// How long one step of the network is: what a host sends arrives with the next one.
const TICK: Duration = Duration::from_secs(5);
/// How often the store's events are read and its janitor comes.
const ROUND: Duration = Duration::from_secs(60);
/// How often finished jobs are forgotten.
const SWEEP: Duration = Duration::from_secs(600);
/// How long finished jobs are kept.
const KEEP: Duration = Duration::from_secs(2 * 3_600);
/// How long after the last fault everything may take to end.
const CALM_MAX: Duration = Duration::from_secs(4 * 86_400);

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its log, if it was kept.
    pub(crate) log: String,
    /// What the checker found.
    pub(crate) violations: Vec<String>,
    /// Its figures, in a line.
    pub(crate) figures: String,
}

/// Runs a seed to its end.
pub(crate) fn run(options: &Options, seed: u64, keeps_log: bool) -> Report {
    let remains = live(options, seed, keeps_log);
    let violations = checker::check(&remains.evidence());
    Report { log: remains.log.take(), violations, figures: remains.figures(seed) }
}

/// Lets a seed's world live to its end.
pub(crate) fn live(options: &Options, seed: u64, keeps_log: bool) -> Remains {
    let accounts = plan::accounts(seed, options.accounts);
    let mut world = World::new(options, seed, accounts, keeps_log);
    if let Err(error) = world.live() {
        world.book.contradictions.push(format!("the simulation broke down: {error}"));
    }
    world.remains()
}

struct World<'a> {
    sim: Sim<'a>,
    estate: Arc<Estate>,
    storage: SharedStorage,
    clients: Clients,
    weather: Weather,
    book: Book,
    seen: Arc<Mutex<Seen>>,
    log: Log,
    calm_from: Timestamp,
}

impl World<'_> {
    fn new(options: &Options, seed: u64, accounts: Vec<Planned>, keeps_log: bool) -> Self {
        let providers = plan::providers(options.accounts);
        let calm_from = plan::BEGIN.after(options.storm());
        let log = Log::new(keeps_log);
        let storage: SharedStorage = MemoryStore::new();
        for planned in &accounts {
            at_once(storage.create_account(planned.account.clone())).expect("it is new");
        }
        // As many as are needed if nobody closes one. What happens when there are fewer is not looked at here.
        let connections_max = accounts.len() * 3;
        let estate = Estate::new(Arc::clone(&storage), seed, connections_max);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut sim = Builder::new()
            .rng_seed(seed)
            .tick_duration(TICK)
            .simulation_duration(options.storm() + CALM_MAX * 2)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(500))
            .ephemeral_ports(1_024..=65_535)
            .tcp_capacity(65_536)
            .build();
        for number in 0..providers {
            let conduct = Conduct::new(seed, number, calm_from);
            let provider = Provider::new(number, conduct, log.clone(), Arc::clone(&seen));
            sim.host(plan::provider_name(number), move || Arc::clone(&provider).live());
        }
        let software = Arc::clone(&estate);
        sim.host(DAEMON, move || Arc::clone(&software).live());
        let clients = Clients::new(seed, accounts, options.jobs_per_day, calm_from);
        let weather = Weather::new(seed, providers, calm_from);
        Self { sim, estate, storage, clients, weather, book: Book::default(), seen, log, calm_from }
    }

    fn now(&self) -> Timestamp {
        plan::BEGIN.after(self.sim.elapsed())
    }

    /// The storm, and then the calm in which everything must end.
    fn live(&mut self) -> turmoil::Result {
        while self.now() < self.calm_from {
            self.step()?;
        }
        let last = self.calm_from.after(CALM_MAX);
        let mut let_go_at = self.now();
        while self.now() < last && !(self.book.open.is_empty() && self.now() > self.calm_from.after(SWEEP)) {
            if self.now() >= let_go_at {
                let_go_at = self.now().after(SWEEP);
                self.clients.let_go(self.now(), &self.storage, &mut self.book);
            }
            self.step()?;
        }
        self.look_after_store()?;
        for number in self.book.open.clone() {
            self.book.look(number, &self.storage);
        }
        Ok(())
    }

    fn step(&mut self) -> turmoil::Result {
        let now = self.now();
        self.weather.act(now, &mut self.sim, &self.estate, &self.log);
        self.clients.act(now, &self.storage, &mut self.book, &self.log);
        self.sim.step()?;
        if self.sim.elapsed().as_secs().is_multiple_of(ROUND.as_secs()) {
            self.look_after_store()?;
        }
        Ok(())
    }

    /// Reads the events, ends what is overdue, and forgets what is old.
    fn look_after_store(&mut self) -> turmoil::Result {
        let now = self.now();
        at_once(self.storage.expire_overdue(now, usize::MAX))?;
        for call in self.book.follow(&self.storage, &self.log) {
            self.clients.call(call, now);
        }
        if self.sim.elapsed().as_secs().is_multiple_of(SWEEP.as_secs()) {
            at_once(self.storage.prune(now.before(KEEP), usize::MAX, now))?;
        }
        Ok(())
    }

    fn remains(self) -> Remains {
        let (now, elapsed) = (self.now(), self.sim.elapsed());
        let Self { sim, clients, weather, book, seen, log, calm_from, .. } = self;
        drop(sim);
        let seen = std::mem::take(&mut *look(&seen));
        let accounts = clients.accounts().to_vec();
        Remains { accounts, book, seen, weather, log, calm_from, ended_at: now, elapsed }
    }
}

/// What is left of a world.
#[derive(Debug)]
pub(crate) struct Remains {
    accounts: Vec<Planned>,
    pub(crate) book: Book,
    pub(crate) seen: Seen,
    weather: Weather,
    log: Log,
    calm_from: Timestamp,
    ended_at: Timestamp,
    elapsed: Duration,
}

impl Remains {
    /// What the checker looks at.
    pub(crate) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            accounts: &self.accounts,
            book: &self.book,
            seen: &self.seen,
            outages: &self.weather.outages,
            calm_from: self.calm_from,
            ended_at: self.ended_at,
        }
    }

    fn figures(&self, seed: u64) -> String {
        let recipients: usize = self.seen.taken.iter().map(|taken| taken.recipients.len()).sum();
        format!(
            "seed {seed}: {} accounts, {:.1} days, {} jobs, {} transactions, {} messages taken ({recipients} recipients), \
             {} outages and cuts, {} mishaps at providers, {} log lines; recipients: {}",
            self.accounts.len(),
            self.elapsed.as_secs_f64() / 86_400.0,
            self.book.entries.len(),
            self.seen.served.len(),
            self.seen.taken.len(),
            self.weather.gusts,
            self.seen.mishaps,
            self.log.count(),
            ends(&self.book),
        )
    }
}

/// How many recipients came to which end.
fn ends(book: &Book) -> String {
    use hikyaku_daemon::domain::recipient::RecipientState as State;
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for recipient in book.entries.iter().filter_map(|entry| entry.last.as_ref()).flat_map(|job| job.recipients()) {
        let end = match recipient.state {
            State::Pending { .. } => "pending",
            State::Submitted { .. } => "submitted",
            State::Failed { .. } => "failed",
            State::InDoubt { .. } => "in doubt",
            State::Expired { .. } => "expired",
            State::Cancelled { .. } => "cancelled",
            State::Bounced { .. } => "bounced",
            State::Complained { .. } => "complained",
            State::Suppressed { .. } => "suppressed",
        };
        *ends.entry(end).or_default() += 1;
    }
    let ends: Vec<String> = ends.into_iter().map(|(end, count)| format!("{end} {count}")).collect();
    ends.join(", ")
}
