//! Days of faults in virtual time: the delivery half of the daemon among simulated providers.
//!
//! The daemon's own supervisor, workers and SMTP client run on a simulated host, over the memory store, which outlives its
//! crashes. Providers are simulated hosts too, with moods: slow, deferring, refusing, closing, dropping or hanging at
//! each step of a session. Daemon and providers are killed and restarted, the network loses and delays what it carries,
//! and clients submit, cancel, hold, release and retry jobs, pause and resume accounts. Then it gets calm, and an
//! independent checker compares what clients were told, what the providers took and what the store says. It looks for
//! mail that was lost, mail that was taken twice without a doubt in its history, exceeded quotas, mail that was
//! overtaken for too long, and accounts that waited for another's server.
//!
//! All time is virtual and all chance comes from the seed, so a seed replays identically, to the byte of its log.
//!
//! ```text
//! cargo test -p hikyaku-tests --test sim                        two seeds, 40 accounts, a day
//! SIM_SEEDS=1-100 SIM_ACCOUNTS=2000 SIM_DAYS=7 SIM_JOBS=24 \
//!   cargo test -p hikyaku-tests --test sim promise -- --nocapture
//! SIM_SEEDS=7 SIM_LOG=sim.log cargo test …                      one seed, with its log
//! ```

mod book;
mod chance;
mod checker;
mod clients;
mod daemon;
mod log;
mod network;
mod options;
mod plan;
mod provider;
mod run;
mod weather;

use std::time::Instant;

use crate::options::Options;

#[test]
fn every_promise_holds_over_days_of_faults() {
    let options = Options::from_environment();
    let start = Instant::now();
    let mut broken = 0;
    for &seed in &options.seeds {
        let begin = Instant::now();
        if begin.duration_since(start).as_secs() >= options.seconds_max {
            println!("the time is over: seed {seed} and those after it were not run");
            break;
        }
        let report = run::run(&options, seed, options.log.is_some());
        println!("{}; {:.1} s", report.figures, begin.elapsed().as_secs_f64());
        if let Some(path) = &options.log {
            std::fs::write(path, &report.log).expect("the log can be written");
        }
        for violation in &report.violations {
            println!("  BROKEN: {violation}");
        }
        if !report.violations.is_empty() {
            broken += 1;
            println!("  again: {}", options.replay(seed));
        }
    }
    assert_eq!(broken, 0, "promises were broken; the output says which, and how to see it again");
}

#[test]
fn a_seed_replays_identically() {
    let options = Options::small(20, 0.25);
    let seed = options.seeds[0];
    let (first, second) = (run::run(&options, seed, true), run::run(&options, seed, true));
    let difference = first.log.lines().zip(second.log.lines()).enumerate().find(|(_, (one, other))| one != other);
    assert_eq!(difference, None, "seed {seed}: the first line in which two runs differ");
    assert_eq!(first.log, second.log);
    assert!(first.log.lines().count() > 300, "the run has a log worth comparing");
}
