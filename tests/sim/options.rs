//! How large a run is: seeds, accounts and days, from the environment.

use std::time::Duration;

/// What a run is like, beside its seed.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// `SIM_SEEDS`: which seeds run, as `3`, `1-20` or `1-3,8`.
    pub(crate) seeds: Vec<u64>,
    /// `SIM_ACCOUNTS`: how many accounts send.
    pub(crate) accounts: u64,
    /// `SIM_DAYS`: for how many days of virtual time clients submit and things break.
    pub(crate) days: f64,
    /// `SIM_JOBS`: how many jobs an account gets in a day, more or less.
    pub(crate) jobs_per_day: u64,
    /// `SIM_SECONDS`: no seed is begun when so many seconds of real time are over.
    pub(crate) seconds_max: u64,
    /// `SIM_LOG`: the file that takes the log of the last run.
    pub(crate) log: Option<String>,
}

impl Options {
    /// The options of the environment. Panics when one of them cannot be read: a test has no better way to say so.
    pub(crate) fn from_environment() -> Self {
        let number = |name, default| read(name).map_or(default, |text| parse(name, &text));
        Self {
            seeds: read("SIM_SEEDS").map_or_else(|| vec![1, 2], |text| seeds(&text)),
            accounts: number("SIM_ACCOUNTS", 40),
            days: read("SIM_DAYS").map_or(1.0, |text| parse("SIM_DAYS", &text)),
            jobs_per_day: number("SIM_JOBS", 24),
            seconds_max: number("SIM_SECONDS", u64::MAX),
            log: read("SIM_LOG"),
        }
    }

    /// A run so small that a test can have several.
    pub(crate) fn small(accounts: u64, days: f64) -> Self {
        Self { accounts, days, ..Self::from_environment() }
    }

    /// How long clients submit and things break.
    pub(crate) fn storm(&self) -> Duration {
        Duration::from_secs_f64(self.days * 86_400.0)
    }

    /// The command that runs one seed again.
    pub(crate) fn replay(&self, seed: u64) -> String {
        let Self { accounts, days, jobs_per_day, .. } = self;
        format!(
            "SIM_SEEDS={seed} SIM_ACCOUNTS={accounts} SIM_DAYS={days} SIM_JOBS={jobs_per_day} SIM_LOG=sim.log \
             cargo test -p hikyaku-tests --test sim promise -- --nocapture"
        )
    }
}

fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn parse<T: std::str::FromStr>(name: &str, text: &str) -> T {
    text.trim().parse().unwrap_or_else(|_| panic!("{name}: cannot read {text:?}"))
}

fn seeds(text: &str) -> Vec<u64> {
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => parse::<u64>("SIM_SEEDS", first)..=parse("SIM_SEEDS", last),
        None => parse::<u64>("SIM_SEEDS", part)..=parse("SIM_SEEDS", part),
    };
    text.split(',').flat_map(range).collect()
}
