//! What was tried, for whom, and why it was refused: what statistics and suppression look at of an attempt.

use super::{
    assess::Met,
    classify::{reason::Reason, rules::Rules},
};
use crate::domain::{
    address::Address,
    attempt::{Attempt, Outcome},
    ids::Label,
    verdict::Verdict,
};

/// An attempt that counts, and whom it was for.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'a> {
    /// What is recorded of it.
    pub attempt: &'a Attempt,
    /// Why, for each of its outcomes in their order: see [`reasons_of`].
    pub reasons: &'a [Option<Reason>],
    /// The places of its recipients in their job, in ascending order.
    pub recipients: &'a [u32],
    /// Their addresses, in the same order.
    pub addresses: &'a [Address],
    /// The labels of the job.
    pub labels: &'a [Label],
}

impl<'a> Tried<'a> {
    /// The outcomes, each with its reason if there is one.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'a Outcome, Option<Reason>)> + use<'a> {
        let reasons = self.reasons.iter().copied().chain(std::iter::repeat(None));
        self.attempt.outcomes.iter().zip(reasons)
    }

    /// The address of a recipient, by its place in the job.
    #[must_use]
    pub fn address_of(&self, recipient: u32) -> Option<&'a Address> {
        self.addresses.get(self.recipients.binary_search(&recipient).ok()?)
    }
}

/// Why each of these was met, as far as the rules know it. Empty when everything was accepted.
#[must_use]
pub fn reasons_of(rules: &Rules, met: &[Met]) -> Vec<Option<Reason>> {
    if met.iter().all(|met| met.ruling.verdict == Verdict::Accepted) {
        return Vec::new();
    }
    met.iter().map(|met| rules.reason_of(&met.ruling.rule)).collect()
}
