//! How a job goes over to another account while its own cannot send.

use super::{Flight, Job};
use crate::domain::{address::Address, ids::AccountId, time::Timestamp};

/// Who may send a job instead of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallbacks {
    /// The message's From, which another account must be allowed to use.
    pub from: Address,
    /// The accounts, the first choice first; at least one.
    pub accounts: Vec<AccountId>,
}

impl Job {
    /// Since when another account may take it over: it waits, no attempt of it is under way, and its message was never
    /// given to a provider.
    #[must_use]
    pub fn divertible_since(&self, flight: Flight) -> Option<Timestamp> {
        let may =
            flight == Flight::Grounded && self.fallbacks.is_some() && self.wish.is_none() && self.merge().is_none();
        self.due().filter(|_| may)
    }

    /// Gives it to one of its fallbacks, with the reverse-path that this one uses. Those before it are not asked again.
    /// False when it is none of them, or the job may not go over.
    pub fn divert(&mut self, to: &AccountId, sender: &Address, flight: Flight) -> bool {
        if self.divertible_since(flight).is_none() {
            return false;
        }
        let Some(fallbacks) = self.fallbacks.as_mut() else { return false };
        let Some(place) = fallbacks.accounts.iter().position(|account| account == to) else { return false };
        fallbacks.accounts.drain(..=place);
        if fallbacks.accounts.is_empty() {
            self.fallbacks = None;
        }
        self.account = to.clone();
        self.sender = sender.clone();
        true
    }
}
