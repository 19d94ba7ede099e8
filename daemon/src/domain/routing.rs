//! Which account sends a job that names none.

use super::{
    address::Address,
    ids::{AccountId, Caller, Etag},
    time::Timestamp,
};

/// All routing rules: one document, so that their order is never in question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The rules, tried in this order.
    pub rules: Vec<RoutingRule>,
    /// The account for jobs that no rule matches.
    pub default_account: Option<AccountId>,
    /// The version, 0 before the first change; one more with each.
    pub etag: Etag,
    /// When it was changed last, and by whom.
    pub updated: Option<(Timestamp, Caller)>,
}

/// One rule. It matches when its From condition and its recipient condition both hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    /// Its name, unique among the rules, written like an account id.
    pub name: AccountId,
    /// Patterns of which From must match one; any From when empty.
    pub from: Vec<AddressPattern>,
    /// Patterns of which every recipient must match one; any recipients when empty.
    pub recipients: Vec<AddressPattern>,
    /// The account that sends.
    pub account: AccountId,
    /// Accounts that are used instead, in this order.
    pub fallbacks: Vec<AccountId>,
    /// Whether merge jobs that match are refused.
    pub forbid_merge: bool,
    /// Whether DKIM signatures are left out.
    pub forbid_dkim: bool,
}

/// Some addresses. Case does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressPattern {
    /// One address.
    Address(Address),
    /// All of a domain, written as `@example.jp`.
    Domain(String),
    /// All of a domain and of those below it, written as `*.example.jp`.
    Subdomains(String),
}
