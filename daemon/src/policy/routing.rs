//! Which rule decides about a job that names no account, and which account that makes it.
//!
//! The recipients may come one by one: what is kept of them is one line for each rule, so a merge job of a million costs no
//! more than a letter. The first rule that matches decides, whether that is good or bad for the job.

use crate::domain::{
    account::AccountSettings,
    address::Address,
    ids::{AccountId, Caller},
    routing::{AddressPattern, DEFAULT_RULE, Routing, RoutingRule},
};

/// Whether a job is one message or one for each recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One message for all.
    Plain,
    /// One for each.
    Merge,
}

/// What the rules make of one job, as far as its recipients are known.
#[derive(Clone, Debug)]
pub struct Matching<'a> {
    routing: &'a Routing,
    from: &'a Address,
    kind: Kind,
    /// For each rule what it failed by; nothing while it matches.
    failures: Vec<Option<Failure>>,
}

/// What a rule failed by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    From,
    Recipient(Address),
}

/// Why a rule matched or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVerdict {
    /// The rule's name, or [`DEFAULT_RULE`].
    pub name: String,
    /// Whether it matched.
    pub matched: bool,
    /// Why, in one sentence without a full stop, naming the pattern or the address.
    pub reason: String,
}

/// Where a job goes, as the rules alone say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way<'a> {
    /// The rule's name, or [`DEFAULT_RULE`].
    pub rule: &'a str,
    /// The account.
    pub account: &'a AccountId,
    /// The accounts that are used instead.
    pub fallbacks: &'a [AccountId],
    /// Whether DKIM signatures are left out.
    pub forbid_dkim: bool,
}

/// Why a job has no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No rule matches, and there is no default account.
    #[error("no routing rule matches the job, and there is no default account")]
    NoMatch,
    /// The rule that matches refuses merge jobs.
    #[error("the routing rule {0} matches the job and forbids merge jobs")]
    ForbidsMerge(String),
    /// The rule's account is not there, or not for this caller.
    #[error("the routing rule {rule} sends the job by the account {account}, which {why}")]
    Account {
        /// The rule.
        rule: String,
        /// The account.
        account: AccountId,
        /// What is wrong with it.
        why: Unfit,
    },
}

/// Why an account cannot send a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is no such account.
    #[error("does not exist")]
    Missing,
    /// It is somebody else's.
    #[error("belongs to somebody else")]
    NotYours,
    /// It may not send as this From.
    #[error("may not send as this From")]
    From,
}

/// A job's route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The rule that decided, or [`DEFAULT_RULE`].
    pub rule: String,
    /// The account.
    pub account: AccountId,
    /// The accounts that may be used instead, in this order.
    pub fallbacks: Vec<AccountId>,
}

impl<'a> Matching<'a> {
    /// What the rules say before any recipient is known.
    #[must_use]
    pub fn new(routing: &'a Routing, from: &'a Address, kind: Kind) -> Self {
        let is_out = |rule: &RoutingRule| (!is_met(&rule.from, from)).then_some(Failure::From);
        Self { routing, from, kind, failures: routing.rules.iter().map(is_out).collect() }
    }

    /// Takes a recipient into account.
    pub fn see(&mut self, recipient: &Address) {
        for (rule, failure) in self.routing.rules.iter().zip(&mut self.failures) {
            if failure.is_some() {
                continue;
            }
            if !is_met(&rule.recipients, recipient) {
                *failure = Some(Failure::Recipient(recipient.clone()));
            } else if rule.recipients.is_empty() {
                // No later recipient can make it fail, so none of those after it is reached.
                return;
            }
        }
    }

    /// The ways that the job may still go, or why it would not, in the order in which they are tried: those of the rules that
    /// still match, up to one that no later recipient can make fail, else the default account at the end. Never empty.
    #[must_use]
    pub fn open(&self) -> Vec<Result<Way<'a>, NoRoute>> {
        let mut open = Vec::new();
        for (rule, failure) in self.routing.rules.iter().zip(&self.failures) {
            if failure.is_some() {
                continue;
            }
            open.push(self.way(rule));
            if rule.recipients.is_empty() {
                return open;
            }
        }
        open.push(match &self.routing.default_account {
            Some(account) => Ok(Way { rule: DEFAULT_RULE, account, fallbacks: &[], forbid_dkim: false }),
            None => Err(NoRoute::NoMatch),
        });
        open
    }

    /// Where the job goes, if these were all recipients.
    ///
    /// # Errors
    /// When no rule matches and there is no default account, or the one that matches forbids merge jobs.
    pub fn decide(&self) -> Result<Way<'a>, NoRoute> {
        self.open().swap_remove(0)
    }

    fn way(&self, rule: &'a RoutingRule) -> Result<Way<'a>, NoRoute> {
        if rule.forbid_merge && self.kind == Kind::Merge {
            return Err(NoRoute::ForbidsMerge(rule.name.as_str().to_owned()));
        }
        let (account, fallbacks) = (&rule.account, &rule.fallbacks);
        Ok(Way { rule: rule.name.as_str(), account, fallbacks, forbid_dkim: rule.forbid_dkim })
    }

    /// The rules that were looked at, in their order; the last one decided.
    #[must_use]
    pub fn verdicts(&self) -> Vec<RuleVerdict> {
        let mut verdicts = Vec::new();
        for (rule, failure) in self.routing.rules.iter().zip(&self.failures) {
            let verdict = self.verdict(rule, failure.as_ref());
            let decided = verdict.matched;
            verdicts.push(verdict);
            if decided {
                return verdicts;
            }
        }
        verdicts.push(match &self.routing.default_account {
            Some(account) => verdict(DEFAULT_RULE, true, format!("no rule matches: {account} is the default account")),
            None => verdict(DEFAULT_RULE, false, "there is no default account".to_owned()),
        });
        verdicts
    }

    fn verdict(&self, rule: &RoutingRule, failure: Option<&Failure>) -> RuleVerdict {
        let name = rule.name.as_str();
        match failure {
            Some(Failure::From) => {
                verdict(name, false, format!("From {} matches none of {}", self.from, listed(&rule.from)))
            }
            Some(Failure::Recipient(address)) => {
                let reason = format!("the recipient {address} matches none of {}", listed(&rule.recipients));
                verdict(name, false, reason)
            }
            None => {
                let from = match rule.from.iter().find(|pattern| pattern.matches(self.from)) {
                    Some(pattern) => format!("From matches {pattern}"),
                    None => "any From matches".to_owned(),
                };
                let recipients = match rule.recipients.as_slice() {
                    [] => "any recipients match".to_owned(),
                    [one] => format!("every recipient matches {one}"),
                    some => format!("every recipient matches one of {}", listed(some)),
                };
                let but = if rule.forbid_merge && self.kind == Kind::Merge { "; it forbids merge jobs" } else { "" };
                verdict(name, true, format!("{from}, and {recipients}{but}"))
            }
        }
    }
}

impl Way<'_> {
    /// The route, in view of the accounts: `fitness` says what keeps one from sending the job. Fallbacks that cannot are
    /// left out.
    ///
    /// # Errors
    /// When the account itself cannot send it.
    pub fn route(&self, fitness: impl Fn(&AccountId) -> Result<(), Unfit>) -> Result<Route, NoRoute> {
        if let Err(why) = fitness(self.account) {
            return Err(NoRoute::Account { rule: self.rule.to_owned(), account: self.account.clone(), why });
        }
        let mut fallbacks: Vec<AccountId> = Vec::new();
        for fallback in self.fallbacks {
            if fallback != self.account && !fallbacks.contains(fallback) && fitness(fallback).is_ok() {
                fallbacks.push(fallback.clone());
            }
        }
        Ok(Route { rule: self.rule.to_owned(), account: self.account.clone(), fallbacks })
    }
}

/// What keeps an account from sending for this caller as this From.
///
/// # Errors
/// With the obstacle.
pub fn fitness(account: Option<&AccountSettings>, caller: &Caller, from: &Address) -> Result<(), Unfit> {
    let settings = account.ok_or(Unfit::Missing)?;
    if settings.owner.as_ref().is_some_and(|owner| owner != caller) {
        return Err(Unfit::NotYours);
    }
    if settings.may_send_from(from) { Ok(()) } else { Err(Unfit::From) }
}

fn is_met(patterns: &[AddressPattern], address: &Address) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(address))
}

fn verdict(name: &str, matched: bool, reason: String) -> RuleVerdict {
    RuleVerdict { name: name.to_owned(), matched, reason }
}

/// The first patterns of a condition, as they are written.
fn listed(patterns: &[AddressPattern]) -> String {
    const LISTED_MAX: usize = 5;
    let listed: Vec<String> = patterns.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    let more = patterns.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests;
