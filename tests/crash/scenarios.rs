//! Which scenarios are there, and how does each end?

mod clock;
mod damage;
mod disk;
mod kill;
mod lab;
mod power;
mod quota;
mod restore;
mod smtp;

use std::fmt;

use anyhow::bail;

use crate::{
    checker::{Breaks, Findings},
    options::Options,
    world::World,
};

/// The scenarios in the order in which they run.
pub(crate) const ALL: [&str; 11] = [
    "kill-resend",
    "kill-hold",
    "kill-open",
    "quota-restarts",
    "clock",
    "smtp-faults",
    "lab",
    "damage",
    "restore",
    "disk-full",
    "power-cut",
];

/// How a scenario ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed(Report),
    Failed(Report, Vec<String>),
    Skipped(String),
}

/// What a scenario did and found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) line: String,
    pub(crate) faults: Faults,
    /// Jobs that clients were told to be stored.
    pub(crate) acknowledged: usize,
    /// Recipients whose message was received.
    pub(crate) received: usize,
    /// Of them, how many got it more than once because it was in doubt.
    pub(crate) duplicates: usize,
    pub(crate) breaks: Breaks,
}

/// What was done to the daemon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// SIGKILLs under load or at a start.
    pub(crate) kills: u64,
    /// Power cuts.
    pub(crate) cuts: u64,
    /// What else, in a word.
    pub(crate) others: &'static str,
}

impl Faults {
    /// So many kills.
    pub(crate) const fn kills(kills: u64) -> Self {
        Self { kills, cuts: 0, others: "" }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, cuts, others } = self;
        let parts = [(*kills, "kills"), (*cuts, "power cuts")];
        let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let mut parts: Vec<String> = parts.collect();
        if !others.is_empty() {
            parts.push((*others).to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

/// Runs one scenario.
pub(crate) async fn run(name: &str, options: &Options) -> anyhow::Result<Outcome> {
    match name {
        "kill-resend" => kill::resend(options).await,
        "kill-hold" => kill::hold(options).await,
        "kill-open" => kill::open(options).await,
        "quota-restarts" => quota::restarts(options).await,
        "clock" => clock::jumps(options).await,
        "smtp-faults" => smtp::faults(options).await,
        "lab" => lab::faults(options).await,
        "damage" => damage::damage(options).await,
        "restore" => restore::restore(options).await,
        "disk-full" => disk::full(options).await,
        "power-cut" => power::cut(options).await,
        _ => bail!("no scenario has this name"),
    }
}

/// Tells how far a scenario has come, now and then.
fn progress(name: &str, round: u64, rounds: u64, world: &World) {
    const EVERY: u64 = 10;
    if round > 0 && round.is_multiple_of(EVERY) {
        let told = world.told.entries();
        let acknowledged = told.iter().filter(|entry| entry.job_id.is_some()).count();
        let ended = world.told.endings().len();
        crate::say(&format!("{name}: {round} of {rounds}, {acknowledged} jobs acknowledged, {ended} seen to end"));
    }
}

/// The outcome of what the checker found, with a line that tells what was done; the folder of a broken world is kept.
fn outcome(done: &str, faults: Faults, findings: &Findings, world: World, options: &Options) -> Outcome {
    let line = format!(
        "{done}; {} acknowledged: {} recipients submitted, {} refused, {} cancelled, {} in doubt; {} duplicates",
        findings.acknowledged,
        findings.submitted,
        findings.refused,
        findings.cancelled,
        findings.in_doubt,
        findings.duplicates
    );
    let broken = findings.shown();
    let mut report = Report {
        line,
        faults,
        acknowledged: findings.acknowledged,
        received: findings.submitted,
        duplicates: findings.duplicates,
        breaks: findings.breaks(),
    };
    if broken.is_empty() && !options.keep {
        return Outcome::Passed(report);
    }
    report.line = format!("{}; kept in {}", report.line, world.folder.keep().display());
    if broken.is_empty() { Outcome::Passed(report) } else { Outcome::Failed(report, broken) }
}
