//! The quota ledger of one account: may it send now, and what has it used?
//!
//! The promise: the provider never sees more than `limit` units in any window, whenever between permit and reply it
//! counted them, and over restarts. The rule that keeps it: a send counts as *now*, inside every window, from its permit
//! to its reply, and from then on at the time of its reply. Whatever a provider counted lies at or before that.
//!
//! The ledger holds what is settled; a store holds that and the marks of what was in flight. After a crash,
//! [`Ledger::recover`] counts each mark as made now. What was permitted and not yet marked never reached a final dot.

use std::time::Duration;

use super::{
    history::History,
    permit::{Exhausted, NEVER, Need, Permit, QuotaStatus, measured},
};
use crate::domain::{
    job::Priority,
    ledger::{Charge, QuotaKey, Usage, sum},
    limits::{Limits, Quota},
    reserves::Reserves,
    time::Timestamp,
};

/// What one account has used of its quotas. Its worker owns it.
#[derive(Debug)]
pub struct Ledger {
    histories: Vec<History>,
    reserves: Reserves,
    in_flight: Need,
    permits: u32,
}

impl Ledger {
    /// The ledger of an account with these limits, from the totals that are stored. Totals of quotas that are not
    /// configured are kept until they have left their window.
    #[must_use]
    pub fn new(limits: &Limits, usage: Vec<Usage>, now: Timestamp) -> Self {
        let (histories, reserves) = (Vec::new(), limits.reserves);
        let mut ledger = Self { histories, reserves, in_flight: Need::default(), permits: 0 };
        for Usage { key, bucket, amount } in usage {
            ledger.history(key, now).add(bucket, amount);
        }
        ledger.reconfigure(limits, now);
        ledger
    }

    /// Puts other quotas and reserves in force. A quota whose unit and window stay keeps its history, whatever its limit
    /// becomes.
    pub fn reconfigure(&mut self, limits: &Limits, now: Timestamp) {
        self.reserves = limits.reserves;
        for history in &mut self.histories {
            history.limit = None;
        }
        for quota in &limits.quotas {
            let key = QuotaKey { unit: quota.unit, window: quota.window.clone() };
            let limit = &mut self.history(key, now).limit;
            // Of two limits for one window the lower one holds.
            *limit = Some(limit.map_or(quota.limit, |other| other.min(quota.limit)));
        }
        self.observe(now);
    }

    /// Leave to send, if all quotas have room for this class.
    ///
    /// # Errors
    /// When one has none; then nothing is counted.
    pub fn permit(&mut self, need: Need, class: Priority, now: Timestamp) -> Result<Permit, Exhausted> {
        if let Some(exhausted) = self.obstacle(need, class, now) {
            return Err(exhausted);
        }
        self.in_flight = self.in_flight.plus(need);
        self.permits += 1;
        Ok(Permit { need, marked: Vec::new() })
    }

    /// The quota that keeps a transaction of this class waiting for longest, if one does.
    ///
    /// A transaction that is larger than the share of its class, but no larger than the quota, would wait for ever. It goes
    /// when there is room in the quota as a whole: what was accepted before a reserve was set is not stranded by it.
    pub fn obstacle(&mut self, need: Need, class: Priority, now: Timestamp) -> Option<Exhausted> {
        self.observe(now);
        let mut worst = None;
        for history in &self.histories {
            let Some(limit) = history.limit else { continue };
            let (need, in_flight) = (need.of(history.key().unit), self.in_flight.of(history.key().unit));
            let share = self.reserves.share(limit, class);
            let room = if need > share { limit.get() } else { share };
            let until = history.fits_at(need, in_flight, room, now).unwrap_or(NEVER);
            if until > worst.map_or(now, |(_, until)| until) {
                worst = Some((history, until));
            }
        }
        worst.map(|(history, until)| Exhausted { key: history.key().clone(), until })
    }

    /// When a transaction fits, if nothing else is sent: `now` when it fits at once, [`NEVER`] when it never will.
    pub fn next_free(&mut self, need: Need, class: Priority, now: Timestamp) -> Timestamp {
        self.obstacle(need, class, now).map_or(now, |exhausted| exhausted.until)
    }

    /// Takes note that the provider refused some of a permit's recipients: only `recipients` of them count.
    pub fn narrow(&mut self, permit: &mut Permit, recipients: u32) {
        let surplus = Need { recipients: permit.need.recipients.saturating_sub(recipients), ..Need::default() };
        permit.need = permit.need.minus(surplus);
        self.in_flight = self.in_flight.minus(surplus);
    }

    /// Takes note of how long a permit's message is, which was only known to be no longer than was asked for. When the permit
    /// is marked, the mark that was stored has this length: see [`measured`].
    pub fn measure(&mut self, permit: &mut Permit, bytes: u64) {
        self.in_flight = self.in_flight.minus(permit.need);
        permit.need = permit.need.of_bytes(bytes);
        permit.marked = measured(std::mem::take(&mut permit.marked), bytes);
        self.in_flight = self.in_flight.plus(permit.need);
    }

    /// The charges to store with the in-doubt mark, so that a crash cannot lose them. A permit is marked once.
    pub fn mark(&mut self, permit: &mut Permit, now: Timestamp) -> Vec<Charge> {
        debug_assert!(permit.marked.is_empty(), "a permit is marked once");
        permit.marked = self.charges(permit.need, now);
        permit.marked.clone()
    }

    /// Ends a permit whose transaction the provider may have counted, with the time of the reply, or of the moment when
    /// none was awaited any longer. The charges move the mark to that time.
    pub fn settle(&mut self, permit: Permit, replied_at: Timestamp) -> Vec<Charge> {
        let mut charges = self.charges(permit.need, replied_at);
        for charge in &charges {
            self.add(charge);
        }
        charges.extend(self.end(permit));
        self.with_unsaved(charges)
    }

    /// Ends a permit whose transaction never reached the provider. The charges take its mark back.
    pub fn give_back(&mut self, permit: Permit) -> Vec<Charge> {
        let charges = self.end(permit);
        self.with_unsaved(charges)
    }

    /// Counts a mark that was found at the start as made now: the provider may have counted it as late as that. To be
    /// called once per mark, with its charges as [`Ledger::mark`] gave them and the store has added them up.
    pub fn recover(&mut self, mark: &[Charge], now: Timestamp) -> Vec<Charge> {
        self.observe(now);
        let mut charges = Vec::new();
        for Charge { key, bucket, amount } in mark {
            let Some(history) = self.histories.iter_mut().find(|history| history.key() == key) else {
                continue;
            };
            let moved = history.take(*bucket, amount.unsigned_abs());
            charges.push(Charge { key: key.clone(), bucket: *bucket, amount: -signed(moved) });
            let charge = history.charge_at(now, *amount);
            history.add(charge.bucket, amount.unsigned_abs());
            charges.push(charge);
        }
        self.with_unsaved(charges)
    }

    /// Believes a provider that says a quota is used up: whatever is left of it counts as used now, by somebody else.
    pub fn exhaust(&mut self, key: &QuotaKey, now: Timestamp) -> Vec<Charge> {
        self.observe(now);
        let in_flight = self.in_flight.of(key.unit);
        let mut charges = Vec::new();
        for history in self.histories.iter_mut().filter(|history| history.key() == key) {
            let limit = history.limit.map_or(0, |limit| limit.get());
            let left = limit.saturating_sub(history.used() + in_flight);
            let charge = history.charge_at(now, signed(left));
            history.add(charge.bucket, left);
            charges.push(charge);
        }
        self.with_unsaved(charges)
    }

    /// Counts what others sent at `at`, whatever the quotas allow.
    pub fn report(&mut self, used: Need, at: Timestamp, now: Timestamp) -> Vec<Charge> {
        self.observe(now);
        let charges = self.charges(used, at);
        for charge in &charges {
            self.add(charge);
        }
        self.with_unsaved(charges)
    }

    /// Units of one quota that count at present, without what is in flight.
    pub fn settled(&mut self, key: &QuotaKey, now: Timestamp) -> u64 {
        self.observe(now);
        self.histories.iter().find(|history| history.key() == key).map_or(0, History::used)
    }

    /// When one quota has room for a unit of the most urgent class again: `now` when it has.
    pub fn free_at(&mut self, key: &QuotaKey, now: Timestamp) -> Timestamp {
        self.observe(now);
        let history = self.histories.iter().find(|history| history.key() == key);
        let free_at = history.and_then(|history| {
            let share = self.reserves.share(history.limit?, Priority::High);
            history.fits_at(1, self.in_flight.of(key.unit), share, now)
        });
        free_at.unwrap_or(now)
    }

    /// The quota that does not let `need` go at once when `waiting` goes first, if one does not: that which has room latest. The
    /// time is that at which `need` fits, if what waits counted as used now.
    pub fn refusal(&mut self, waiting: Need, need: Need, class: Priority, now: Timestamp) -> Option<Exhausted> {
        self.observe(now);
        let mut latest: Option<Exhausted> = None;
        for history in &self.histories {
            let Some(limit) = history.limit else { continue };
            let unit = history.key().unit;
            let (ahead, own) = (self.in_flight.plus(waiting).of(unit), need.of(unit));
            let share = self.reserves.share(limit, class);
            let until = history.fits_at(own, ahead, share, now).unwrap_or(NEVER);
            if until > now && latest.as_ref().is_none_or(|latest| latest.until < until) {
                latest = Some(Exhausted { key: history.key().clone(), until });
            }
        }
        latest
    }

    /// Takes note that the wall clock was set forward to `now` by `by`: no time has passed by that, and nothing leaves its
    /// window sooner. To be called before anything else is told of a time after the leap. The charges move the store along.
    pub fn leapt(&mut self, by: Duration, now: Timestamp) -> Vec<Charge> {
        for history in &mut self.histories {
            history.leap(by, now);
        }
        self.with_unsaved(Vec::new())
    }

    /// What each quota in force has left.
    pub fn usage(&mut self, now: Timestamp) -> Vec<QuotaStatus> {
        self.observe(now);
        let status = |history: &History| {
            let limit = history.limit?;
            let QuotaKey { unit, window } = history.key().clone();
            let in_flight = self.in_flight.of(unit);
            let used = history.used() + in_flight;
            let left = self.reserves.share(limit, Priority::High).saturating_sub(used);
            let resets_at = history.resets_at(in_flight, now);
            Some(QuotaStatus { quota: Quota { limit, unit, window }, used, left, resets_at })
        };
        self.histories.iter().filter_map(status).collect()
    }

    /// Permits that are neither settled nor given back.
    #[must_use]
    pub const fn permits(&self) -> u32 {
        self.permits
    }

    fn end(&mut self, permit: Permit) -> Vec<Charge> {
        self.in_flight = self.in_flight.minus(permit.need);
        self.permits = self.permits.saturating_sub(1);
        permit.marked.into_iter().map(|charge| Charge { amount: -charge.amount, ..charge }).collect()
    }

    fn charges(&self, need: Need, at: Timestamp) -> Vec<Charge> {
        let in_force = self.histories.iter().filter(|history| history.limit.is_some());
        let charges = in_force.map(|history| history.charge_at(at, signed(need.of(history.key().unit))));
        charges.filter(|charge| charge.amount != 0).collect()
    }

    fn add(&mut self, charge: &Charge) {
        for history in self.histories.iter_mut().filter(|history| *history.key() == charge.key) {
            history.add(charge.bucket, charge.amount.unsigned_abs());
        }
    }

    fn history(&mut self, key: QuotaKey, now: Timestamp) -> &mut History {
        let found = self.histories.iter().position(|history| *history.key() == key);
        let index = found.unwrap_or_else(|| {
            self.histories.push(History::new(key, now));
            self.histories.len() - 1
        });
        &mut self.histories[index]
    }

    fn observe(&mut self, now: Timestamp) {
        for history in &mut self.histories {
            history.observe(now);
        }
        self.histories.retain(|history| history.limit.is_some() || !history.is_idle());
    }

    /// Adds what time has changed meanwhile, and sums up the charges of each bucket.
    fn with_unsaved(&mut self, mut charges: Vec<Charge>) -> Vec<Charge> {
        charges.extend(self.histories.iter_mut().flat_map(History::drain_unsaved));
        sum(charges)
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
