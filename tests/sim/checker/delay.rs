//! Does a server that hangs delay anybody but its own accounts?

use std::time::Duration;

use hikyaku_daemon::domain::{job::Priority, parking::ParkingCause, time::Timestamp};

use super::Evidence;
use crate::plan::STEADY;

/// How long after it is due a job may stand in the queue of an account whose provider is well and which has no limits,
/// the daemon's own outages not counted: a burst of 40 before it, each some 50 s on one connection that is opened anew for
/// each message, as each of its ten hops takes a step of the network, which is five seconds.
const DELAY_SECONDS_MAX: u64 = 2_400;

/// Jobs of accounts at the steady provider are asked for in time, however many accounts stand before a silent one.
pub(super) fn nobody_waited_for_a_hanging_server(evidence: &Evidence<'_>) -> Vec<String> {
    let mut first: Vec<Option<Timestamp>> = vec![None; evidence.book.entries.len()];
    for served in &evidence.seen.served {
        if let Some(first) = first.get_mut(served.job) {
            first.get_or_insert(served.at);
        }
    }
    let mut found = parked_without_cause(evidence);
    for (number, (entry, first)) in evidence.book.entries.iter().zip(first).enumerate() {
        let told = &entry.told;
        let is_looked_at = evidence.accounts[told.account].provider == STEADY
            && told.priority <= Priority::Normal
            && told.expires_at.is_none()
            && !entry.is_controlled
            && !was_parked(evidence, told.account);
        let Some(served) = first.filter(|_| is_looked_at) else {
            continue;
        };
        let waited = served.since(told.due).saturating_sub(outage(evidence, told.due, served));
        if waited > Duration::from_secs(DELAY_SECONDS_MAX) {
            let seconds = waited.as_secs();
            found.push(format!(
                "job {number} of acc{} was due for {seconds} s at a provider that is well",
                told.account
            ));
        }
    }
    found
}

/// Accounts at the steady provider that were parked by anybody but an operator.
fn parked_without_cause(evidence: &Evidence<'_>) -> Vec<String> {
    let parked =
        evidence.book.standings.iter().filter_map(|(at, account, cause)| cause.map(|cause| (at, account, cause)));
    let unfounded = parked.filter(|(_, account, cause)| {
        evidence.accounts[**account].provider == STEADY && *cause != ParkingCause::Paused
    });
    unfounded
        .map(|(at, account, cause)| format!("at {at}: acc{account} is {cause:?} at a provider that is well"))
        .collect()
}

fn was_parked(evidence: &Evidence<'_>, account: usize) -> bool {
    evidence.book.standings.iter().any(|(_, parked, _)| *parked == account)
}

/// How long the daemon was down between two times.
fn outage(evidence: &Evidence<'_>, from: Timestamp, until: Timestamp) -> Duration {
    let overlap = |&(down, up): &(Timestamp, Option<Timestamp>)| {
        let up = up.unwrap_or(until).min(until);
        up.since(down.max(from))
    };
    evidence.outages.iter().map(overlap).sum()
}
