//! Does Hikyaku keep its promises when it is killed, damaged, short of space or cut off?

mod chance;
mod checker;
mod daemon;
mod faulty;
mod load;
mod mount;
mod options;
mod recorder;
mod scenarios;
mod table;
mod told;
mod wallclock;
mod witness;
mod world;

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
    time::Instant,
};

use clap::Parser as _;

use crate::{
    options::Options,
    scenarios::{ALL, Outcome, Report},
    table::{Row, table},
};

fn main() -> ExitCode {
    let options = Options::parse();
    let unknown: Vec<&String> = options.scenarios.iter().filter(|name| !ALL.contains(&name.as_str())).collect();
    if !unknown.is_empty() {
        say(&format!("unknown: {unknown:?}; known are {ALL:?}"));
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("cannot start threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    say(&format!("seed {}, {} kills a scenario and {} power cuts", options.seed, options.kills, options.cuts()));
    let asked = |name: &&&str| options.scenarios.is_empty() || options.scenarios.iter().any(|one| one == **name);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut rows = Vec::new();
    for name in ALL.iter().filter(asked) {
        let begin = Instant::now();
        let outcome = runtime.block_on(scenarios::run(name, &options));
        let took = begin.elapsed().as_secs();
        match &outcome {
            Ok(Outcome::Passed(Report { line, .. })) => {
                passed += 1;
                say(&format!("{name}: ok: {line} ({took} s)"));
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                say(&format!("{name}: SKIPPED, NOT CHECKED: {why}"));
            }
            Ok(Outcome::Failed(Report { line, .. }, broken)) => {
                failed += 1;
                say(&format!("{name}: FAILED: {line} ({took} s)\n  {}", broken.join("\n  ")));
            }
            Err(error) => {
                failed += 1;
                say(&format!("{name}: FAILED: {error:#} ({took} s)"));
            }
        }
        rows.push(Row { name, outcome, seconds: took });
    }
    say(&format!("\n{}", table(&rows)));
    say(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a line; when nobody reads it, the exit status still tells.
pub(crate) fn say(line: &str) {
    let mut out = stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}
