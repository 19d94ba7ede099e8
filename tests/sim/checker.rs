//! Were the promises kept? Compares what clients were told, what the providers took and what the store says in the end;
//! it trusts no counter of the daemon.

use hikyaku_daemon::domain::time::Timestamp;

use crate::{book::Book, plan::Planned, provider::Seen};

mod books;
mod delay;
mod hours;
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

/// All promises that were broken.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let checks = [
        evidence.book.contradictions.clone(),
        books::every_job_has_ended(evidence),
        books::what_is_submitted_was_taken(evidence),
        books::what_was_taken_is_submitted_once(evidence),
        books::only_dead_addresses_are_left_out(evidence),
        quotas::no_window_was_exceeded(evidence),
        hours::nothing_began_in_a_quiet_window(evidence),
        turns::nobody_was_overtaken_for_long(evidence),
        delay::nobody_waited_for_a_hanging_server(evidence),
    ];
    checks.into_iter().flat_map(|found| found.into_iter().take(TOLD_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use hikyaku_daemon::domain::{
        job::Audience,
        recipient::{Recipient, RecipientState},
        suppression::{SuppressedBy, SuppressionReason, SuppressionScope},
    };

    use super::*;
    use crate::{
        options::Options,
        provider::Seen,
        run::{Remains, live},
    };

    /// Forges the evidence, and looks for what the checker must say of it.
    #[track_caller]
    fn check_forged(remains: &mut Remains, forge: impl FnOnce(&mut Seen, &mut Book), expected: &str) {
        let before = (remains.seen.clone(), remains.book.clone());
        forge(&mut remains.seen, &mut remains.book);
        let found = check(&remains.evidence());
        assert!(found.iter().any(|found| found.contains(expected)), "not found: {expected:?} in {found:#?}");
        (remains.seen, remains.book) = before;
    }

    /// Calls a recipient suppressed whom nobody refused.
    fn suppress(_: &mut Seen, book: &mut Book) {
        let jobs = book.entries.iter_mut().filter_map(|entry| entry.last.as_mut());
        let mut audiences = jobs.filter_map(|job| match &mut job.audience {
            Audience::Together(recipients) => Some(recipients),
            Audience::Each(_) => None,
        });
        let is_submitted = |one: &&mut Recipient| matches!(one.state, RecipientState::Submitted { .. });
        let one = audiences.find_map(|recipients| recipients.iter_mut().find(is_submitted)).expect("most are");
        let by = SuppressedBy { scope: SuppressionScope::Global, reason: SuppressionReason::HardBounce };
        one.state = RecipientState::Suppressed { at: Timestamp::EPOCH, by: Box::new(by) };
    }

    #[test]
    fn a_forged_book_is_found() {
        let mut remains = live(&Options::small(12, 0.1), 1, false);
        assert_eq!(check(&remains.evidence()), Vec::<String>::new());
        check_forged(&mut remains, |seen, _| drop(seen.taken.pop()), "submitted, but no provider took it");
        check_forged(&mut remains, |seen, _| seen.taken.extend_from_within(..), "taken 2 times, 0 attempts in doubt");
        check_forged(&mut remains, |seen, _| seen.taken[0].digest ^= 1, "other bytes");
        check_forged(&mut remains, suppress, "left out, but nobody said that its address is dead");
        check_forged(&mut remains, |_, book| book.entries[0].last = None, "never seen to end");
        let at_once = |seen: &mut Seen, _: &mut Book| {
            let at = seen.taken[0].at;
            seen.taken.extend_from_within(..);
            seen.taken.extend_from_within(..);
            seen.taken.iter_mut().for_each(|taken| taken.at = at);
        };
        check_forged(&mut remains, at_once, "in a window of");
        let late = |seen: &mut Seen, _: &mut Book| {
            let hour = std::time::Duration::from_secs(3_600);
            seen.served.iter_mut().for_each(|served| {
                served.at = served.at.after(hour);
                served.came_at = served.came_at.after(hour);
            });
        };
        check_forged(&mut remains, late, "at a provider that is well");
    }
}
