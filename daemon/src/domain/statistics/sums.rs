//! How are recipients added up, by their domains and by the labels of their job?

use std::collections::BTreeMap;

use super::{Counted, Counts, StatisticsGroup};
use crate::domain::{
    address::{ADDRESS_BYTES_MAX, Address},
    ids::Label,
};

/// What is counted when this is true of each of these recipients, of a job with these labels.
#[must_use]
pub fn of_all<'a>(
    recipients: impl IntoIterator<Item = &'a Address>,
    labels: &[Label],
    count: impl Fn(&mut Counts),
) -> Vec<Counted> {
    let mut sums = Sums::default();
    recipients.into_iter().for_each(|address| sums.note(Some(address), &count));
    sums.finish(labels)
}

/// Counts of all recipients, and of those of each domain. Most messages have one recipient, so the first domain needs no map.
#[derive(Debug, Default)]
pub struct Sums {
    all: Counts,
    first: Option<(Box<str>, Counts)>,
    others: BTreeMap<Box<str>, Counts>,
}

impl Sums {
    /// Counts a recipient; one without an address counts in no domain.
    pub fn note(&mut self, address: Option<&Address>, count: impl Fn(&mut Counts)) {
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

    /// What is counted of a job with these labels.
    #[must_use]
    pub fn finish(self, labels: &[Label]) -> Vec<Counted> {
        let Self { all, first, others } = self;
        let mut counted = Vec::with_capacity(1 + usize::from(first.is_some()) + others.len() + labels.len());
        for (domain, counts) in first.into_iter().chain(others) {
            counted.push(Counted { group: StatisticsGroup::Domain(domain), counts });
        }
        with_totals(counted, all, labels)
    }
}

/// Adds what is counted of the labels, each once, and of all.
#[must_use]
pub fn with_totals(mut counted: Vec<Counted>, all: Counts, labels: &[Label]) -> Vec<Counted> {
    for (place, label) in labels.iter().enumerate() {
        if !labels[..place].contains(label) {
            counted.push(Counted { group: StatisticsGroup::Label(label.clone()), counts: all.clone() });
        }
    }
    counted.push(Counted { group: StatisticsGroup::All, counts: all });
    counted
}

/// Calls with the domain of an address in A-labels and lower case, so that each is counted once.
pub fn with_domain<T>(address: &Address, call: impl FnOnce(&str) -> T) -> T {
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
