//! What was tried, for whom, and why it was refused: what statistics and suppression look at of an attempt.

use super::{
    assess::Met,
    classify::{reason::Reason, rules::Rules},
};
use crate::domain::{
    account::ProviderKind,
    address::Address,
    attempt::{Attempt, Outcome},
    ids::Label,
    reply::Reply,
    verdict::{Phase, Verdict},
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
    met.iter().map(|met| rules.reason_of(&met.ruling.rule).or_else(|| late_reason(rules, met))).collect()
}

/// Why a message was refused that its server had taken to its end, when it is the only recipient's address that is dead: then
/// the words are those that others say to RCPT.
fn late_reason(rules: &Rules, met: &Met) -> Option<Reason> {
    let is_late = met.phase == Phase::EndOfData && met.ruling.verdict == Verdict::RejectMessage;
    let reply =
        met.response.reply().filter(|reply| is_late && met.recipients.len() == 1 && names_dead_address(reply))?;
    let ruling = rules.classify(ProviderKind::Generic, Phase::Rcpt, reply);
    rules.reason_of(&ruling.rule).filter(|reason| reason.is_dead_address())
}

/// Whether a reply says by its code that no such mailbox or host is there: X.1.1, X.1.2 and X.1.10 of RFC 3463 and RFC 7505.
#[must_use]
pub fn names_dead_address(reply: &Reply) -> bool {
    let code = reply.enhanced().filter(|_| reply.is_permanent());
    code.is_some_and(|code| matches!((code.class, code.subject, code.detail), (5, 1, 1 | 2 | 10)))
}
