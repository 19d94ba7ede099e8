//! What is counted of a message: when it is accepted, after each attempt, and when recipients are left out.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{classify::reason::Reason, tried::Tried};
use crate::domain::{
    address::{ADDRESS_BYTES_MAX, Address},
    attempt::Fate,
    ids::Label,
    job::Tries,
    statistics::{Counted, Counts, GROUPS_PER_PERIOD_MAX, StatisticsGroup},
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

fn of_all<'a>(
    recipients: impl IntoIterator<Item = &'a Address>,
    labels: &[Label],
    count: impl Fn(&mut Counts),
) -> Vec<Counted> {
    let mut sums = Sums::default();
    recipients.into_iter().for_each(|address| sums.note(Some(address), &count));
    sums.finish(labels)
}

/// Counts of all recipients, and of those of each domain. Most messages have one recipient, so the first domain needs no map.
#[derive(Default)]
struct Sums {
    all: Counts,
    first: Option<(Box<str>, Counts)>,
    others: BTreeMap<Box<str>, Counts>,
}

impl Sums {
    fn note(&mut self, address: Option<&Address>, count: impl Fn(&mut Counts)) {
        count(&mut self.all);
        let Some(address) = address else { return };
        with_domain(address, |domain| match &mut self.first {
            Some((first, counts)) if **first == *domain => count(counts),
            Some(_) => match self.others.get_mut(domain) {
                Some(counts) => count(counts),
                None => count(self.others.entry(domain.into()).or_default()),
            },
            None => count(&mut self.first.insert((domain.into(), Counts::default())).1),
        });
    }

    fn finish(self, labels: &[Label]) -> Vec<Counted> {
        let Self { all, first, others } = self;
        let mut counted = Vec::with_capacity(1 + usize::from(first.is_some()) + others.len() + labels.len());
        for (domain, counts) in first.into_iter().chain(others) {
            counted.push(Counted { group: StatisticsGroup::Domain(domain), counts });
        }
        finish(counted, all, labels)
    }
}

/// Adds what is counted of the labels, each once, and of all.
fn finish(mut counted: Vec<Counted>, all: Counts, labels: &[Label]) -> Vec<Counted> {
    for (place, label) in labels.iter().enumerate() {
        if !labels[..place].contains(label) {
            counted.push(Counted { group: StatisticsGroup::Label(label.clone()), counts: all.clone() });
        }
    }
    counted.push(Counted { group: StatisticsGroup::All, counts: all });
    counted
}

/// Calls with the domain of an address in A-labels and lower case, so that each is counted once.
fn with_domain<T>(address: &Address, call: impl FnOnce(&str) -> T) -> T {
    let domain = address.ascii_domain();
    let mut lower = [0; ADDRESS_BYTES_MAX];
    match lower.get_mut(..domain.len()) {
        Some(lower) if domain.is_ascii() => {
            lower.copy_from_slice(domain.as_bytes());
            lower.make_ascii_lowercase();
            call(std::str::from_utf8(lower).unwrap_or(&domain))
        }
        // A-labels may be longer than the address was.
        _ => call(&domain.to_lowercase()),
    }
}

/// What is counted of a merge job that is accepted, while its recipients come. Of many domains it tells the first
/// [`MERGE_DOMAINS_MAX`] apart, and the largest of those by name.
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
        finish(named.chain(other).collect(), of(self.all), labels)
    }
}

#[cfg(test)]
mod tests;
