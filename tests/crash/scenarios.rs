//! Which scenarios are there, and how does each end?

mod damage;
mod disk;
mod kill;
mod power;
mod quota;

use anyhow::bail;

use crate::{checker::Findings, options::Options, world::World};

/// The scenarios in the order in which they run.
pub(crate) const ALL: [&str; 7] =
    ["kill-resend", "kill-hold", "kill-open", "quota-restarts", "damage", "disk-full", "power-cut"];

/// How a scenario ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed(String),
    Failed(String, Vec<String>),
    Skipped(String),
}

/// Runs one scenario.
pub(crate) async fn run(name: &str, options: &Options) -> anyhow::Result<Outcome> {
    match name {
        "kill-resend" => kill::resend(options).await,
        "kill-hold" => kill::hold(options).await,
        "kill-open" => kill::open(options).await,
        "quota-restarts" => quota::restarts(options).await,
        "damage" => damage::damage(options).await,
        "disk-full" => disk::full(options).await,
        "power-cut" => power::cut(options).await,
        _ => bail!("no scenario has this name"),
    }
}

/// The outcome of what the checker found, with a line that tells what was done; the folder of a broken world is kept.
fn outcome(done: &str, findings: &Findings, world: World, options: &Options) -> Outcome {
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
    if broken.is_empty() && !options.keep {
        return Outcome::Passed(line);
    }
    let line = format!("{line}; kept in {}", world.folder.keep().display());
    if broken.is_empty() { Outcome::Passed(line) } else { Outcome::Failed(line, broken) }
}
