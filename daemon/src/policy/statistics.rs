//! What is counted of a message: when it is accepted, after each attempt, and when recipients are left out.

use std::{collections::HashMap, time::Duration};

use super::{classify::reason::Reason, tried::Tried};
use crate::domain::{
    address::Address,
    attempt::Fate,
    ids::Label,
    job::Tries,
    statistics::{
        Counted, Counts, GROUPS_PER_PERIOD_MAX, StatisticsGroup,
        sums::{Sums, of_all, with_domain, with_totals},
    },
    time::Timestamp,
};

/// Most domains of one merge job that are told apart while its recipients come.
const MERGE_DOMAINS_MAX: usize = 4 * GROUPS_PER_PERIOD_MAX;

/// What is counted when a plain job with these recipients is accepted.
#[must_use]
pub fn of_acceptance<'a>(recipients: impl IntoIterator<Item = &'a Address>, labels: &[Label]) -> Vec<Counted> {
    of_all(recipients, labels, |counts| counts.accepted += 1)
}

/// What is counted when these recipients are left out because they are suppressed.
#[must_use]
pub fn of_omission<'a>(recipients: impl IntoIterator<Item = &'a Address>, labels: &[Label]) -> Vec<Counted> {
    of_all(recipients, labels, |counts| counts.suppressed += 1)
}

/// What is counted of an attempt; nothing when it left everybody in doubt. `waited` is for how long its message had waited at
/// its end: see [`waited`].
#[must_use]
pub fn of_attempt(tried: &Tried<'_>, waited: Duration) -> Vec<Counted> {
    let mut sums = Sums::default();
    let mut is_counted = false;
    for (outcome, reason) in tried.outcomes().filter(|(outcome, _)| outcome.fate != Fate::LeftInDoubt) {
        is_counted = true;
        for recipient in &outcome.recipients {
            sums.note(tried.address_of(*recipient), |counts| note(counts, outcome.fate, reason, waited));
        }
    }
    if is_counted { sums.finish(tried.labels) } else { Vec::new() }
}

/// How long the recipients of an attempt had waited when it ended: since their message was due, or, when it was tried before,
/// since its first attempt.
#[must_use]
pub fn waited(tries: Tries, due: Timestamp, ended: Timestamp) -> Duration {
    ended.since(tries.first_at.unwrap_or(due))
}

fn note(counts: &mut Counts, fate: Fate, reason: Option<Reason>, waited: Duration) {
    let ended_as = match fate {
        Fate::Submitted => {
            counts.submitted += 1;
            return counts.waited(waited);
        }
        Fate::Deferred => {
            counts.deferred += 1;
            return;
        }
        Fate::LeftInDoubt => return,
        Fate::Failed => &mut counts.failed,
        Fate::GivenUp => &mut counts.expired,
    };
    *ended_as += 1;
    *counts.reasons.entry(reason.unwrap_or(Reason::Undetermined)).or_default() += 1;
}

/// What is counted of a merge job that is accepted, while its recipients come. Of many domains it tells the first
/// `MERGE_DOMAINS_MAX` apart, and the largest of those by name.
#[derive(Debug, Default)]
pub struct MergeAcceptance {
    domains: HashMap<Box<str>, u64>,
    others: u64,
    all: u64,
}

impl MergeAcceptance {
    /// Counts one more recipient.
    pub fn add(&mut self, recipient: &Address) {
        self.all += 1;
        let has_room = self.domains.len() < MERGE_DOMAINS_MAX;
        with_domain(recipient, |domain| match self.domains.get_mut(domain) {
            Some(count) => *count += 1,
            None if has_room => drop(self.domains.insert(domain.into(), 1)),
            None => self.others += 1,
        });
    }

    /// What is counted of a job with these labels.
    #[must_use]
    pub fn counted(self, labels: &[Label]) -> Vec<Counted> {
        let of = |accepted| Counts { accepted, ..Counts::default() };
        let mut domains: Vec<_> = self.domains.into_iter().collect();
        domains.sort_unstable_by(|(one, more), (other, less)| less.cmp(more).then_with(|| one.cmp(other)));
        let small = domains.split_off(domains.len().min(GROUPS_PER_PERIOD_MAX));
        let others = self.others + small.into_iter().map(|(_, count)| count).sum::<u64>();
        let named = domains
            .into_iter()
            .map(|(domain, count)| Counted { group: StatisticsGroup::Domain(domain), counts: of(count) });
        let other = (others > 0).then(|| Counted { group: StatisticsGroup::OtherDomains, counts: of(others) });
        with_totals(named.chain(other).collect(), of(self.all), labels)
    }
}

#[cfg(test)]
mod tests;
