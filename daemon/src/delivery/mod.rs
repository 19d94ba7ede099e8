//! Draining each account's queue through its provider: the loops that join policy, storage and wire.
//!
//! The [`supervisor`] keeps one worker for each account with work. A worker asks `policy::dispatch` what to do, hands
//! messages to couriers (one task a connection), and records what they met. Everything about an account that
//! changes while it sends (its ledger, pace, sessions, standing) is owned by its worker, by value.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    domain::time::Clock,
    platform::entropy::Entropy,
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::SharedStorage,
    wire::dial::Dial,
};

pub mod connections;
mod courier;
pub mod desk;
mod errand;
mod exchange;
mod omission;
mod preparation;
mod roster;
mod session;
pub mod supervisor;
pub mod trial;
mod wake;
mod window;
mod worker;

use connections::ConnectionSlots;

/// What all workers share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The store.
    pub storage: SharedStorage,
    /// What replies mean.
    pub rules: Arc<Rules>,
    /// How servers are reached.
    pub dial: Arc<dyn Dial>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter.
    pub entropy: Arc<dyn Entropy>,
    /// This host's name, for accounts that set no EHLO name.
    pub host_name: crate::domain::account::EhloName,
    /// Signs the envelope senders of messages whose accounts want it.
    pub verp: VerpKey,
    /// The connections that may be open at once, over all accounts.
    pub connections: Arc<ConnectionSlots>,
    /// The access tokens of accounts that sign in with OAuth 2.
    pub tokens: TokenKeeper,
    /// The keys that sign messages.
    pub signers: Signers,
    /// Cancelled when the daemon stops: nothing new is sent then, and what is past its mark is finished.
    pub stopping: CancellationToken,
}
