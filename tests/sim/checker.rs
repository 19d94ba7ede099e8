//! Were the promises kept? Compares what clients were told, what the providers took and what the store says in the end;
//! it trusts no counter of the daemon.

use hikyaku_daemon::domain::time::Timestamp;

use crate::{book::Book, plan::Planned, provider::Seen};

mod books;
mod delay;
mod quotas;
mod turns;

/// What a run leaves behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) accounts: &'a [Planned],
    pub(crate) book: &'a Book,
    pub(crate) seen: &'a Seen,
    /// When the daemon was down.
    pub(crate) outages: &'a [(Timestamp, Option<Timestamp>)],
    pub(crate) calm_from: Timestamp,
    pub(crate) ended_at: Timestamp,
}

/// Most violations of one kind that are told.
const TOLD_MAX: usize = 10;

/// All promises that were broken. A promise about when mail may be sent (a quiet window, say) is one more file beside
/// these, as a function of the same evidence.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let checks = [
        evidence.book.contradictions.clone(),
        books::every_job_has_ended(evidence),
        books::what_is_submitted_was_taken(evidence),
        books::what_was_taken_is_submitted_once(evidence),
        quotas::no_window_was_exceeded(evidence),
        turns::nobody_was_overtaken_for_long(evidence),
        delay::nobody_waited_for_a_hanging_server(evidence),
    ];
    checks.into_iter().flat_map(|found| found.into_iter().take(TOLD_MAX)).collect()
}
