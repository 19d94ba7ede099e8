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
    permit::{Exhausted, NEVER, Need, Permit, QuotaStatus},
};
use crate::domain::{
    ledger::{Charge, QuotaKey, Usage, sum},
    limits::Quota,
    time::Timestamp,
};

/// What one account has used of its quotas. Its worker owns it.
#[derive(Debug)]
pub struct Ledger {
    histories: Vec<History>,
    in_flight: Need,
    permits: u32,
}

impl Ledger {
    /// The ledger of an account with these quotas, from the totals that are stored. Totals of quotas that are not
    /// configured are kept until they have left their window.
    #[must_use]
    pub fn new(quotas: &[Quota], usage: Vec<Usage>, now: Timestamp) -> Self {
        let mut ledger = Self { histories: Vec::new(), in_flight: Need::default(), permits: 0 };
        for Usage { key, bucket, amount } in usage {
            ledger.history(key, now).add(bucket, amount);
        }
        ledger.reconfigure(quotas, now);
        ledger
    }

    /// Puts other quotas in force. A quota whose unit and window stay keeps its history, whatever its limit becomes.
    pub fn reconfigure(&mut self, quotas: &[Quota], now: Timestamp) {
        for history in &mut self.histories {
            history.limit = None;
        }
        for quota in quotas {
            let key = QuotaKey { unit: quota.unit, window: quota.window.clone() };
            let limit = &mut self.history(key, now).limit;
            // Of two limits for one window the lower one holds.
            *limit = Some(limit.map_or(quota.limit, |other| other.min(quota.limit)));
        }
        self.observe(now);
    }

    /// Leave to send, if all quotas have room.
    ///
    /// # Errors
    /// When one has none; then nothing is counted.
    pub fn permit(&mut self, need: Need, now: Timestamp) -> Result<Permit, Exhausted> {
        if let Some(exhausted) = self.obstacle(need, now) {
            return Err(exhausted);
        }
        self.in_flight = self.in_flight.plus(need);
        self.permits += 1;
        Ok(Permit { need, marked: Vec::new() })
    }

    /// The quota that keeps a transaction waiting for longest, if one does.
    pub fn obstacle(&mut self, need: Need, now: Timestamp) -> Option<Exhausted> {
        self.observe(now);
        let mut worst = None;
        for history in &self.histories {
            let unit = history.key().unit;
            let until = history.fits_at(need.of(unit).into(), self.in_flight.of(unit).into(), now).unwrap_or(NEVER);
            if until > worst.map_or(now, |(_, until)| until) {
                worst = Some((history, until));
            }
        }
        worst.map(|(history, until)| Exhausted { key: history.key().clone(), until })
    }

    /// When a transaction fits, if nothing else is sent: `now` when it fits at once, [`NEVER`] when it never will.
    pub fn next_free(&mut self, need: Need, now: Timestamp) -> Timestamp {
        self.obstacle(need, now).map_or(now, |exhausted| exhausted.until)
    }

    /// Takes note that the provider refused some of a permit's recipients: only `recipients` of them count.
    pub fn narrow(&mut self, permit: &mut Permit, recipients: u32) {
        let surplus = Need { messages: 0, recipients: permit.need.recipients.saturating_sub(recipients) };
        permit.need = permit.need.minus(surplus);
        self.in_flight = self.in_flight.minus(surplus);
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
        let in_flight = u64::from(self.in_flight.of(key.unit));
        let mut charges = Vec::new();
        for history in self.histories.iter_mut().filter(|history| history.key() == key) {
            let limit = history.limit.map_or(0, |limit| u64::from(limit.get()));
            let left = limit.saturating_sub(history.used() + in_flight);
            let charge = history.charge_at(now, signed(left));
            history.add(charge.bucket, left);
            charges.push(charge);
        }
        self.with_unsaved(charges)
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
            let in_flight = u64::from(self.in_flight.of(unit));
            let used = history.used() + in_flight;
            let left = u64::from(limit.get()).saturating_sub(used);
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
        let charges = in_force.map(|history| history.charge_at(at, need.of(history.key().unit).into()));
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
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::domain::limits::{CalendarSpan, QuotaUnit, QuotaWindow};

    const T0: u64 = 1_700_000_000_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(T0 + millis)
    }

    fn quota(limit: u32, unit: QuotaUnit, window: QuotaWindow) -> Quota {
        Quota { limit: NonZeroU32::new(limit).expect("not zero"), unit, window }
    }

    fn per_seconds(limit: u32, seconds: u64) -> Quota {
        quota(limit, QuotaUnit::Messages, QuotaWindow::Sliding(Duration::from_secs(seconds)))
    }

    fn per_day(limit: u32) -> Quota {
        let window = QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".to_owned() };
        quota(limit, QuotaUnit::Recipients, window)
    }

    fn send(ledger: &mut Ledger, recipients: u32, now: Timestamp) -> Vec<Charge> {
        let permit = ledger.permit(Need::message_to(recipients), now).expect("has room");
        ledger.settle(permit, now)
    }

    #[test]
    fn all_quotas_hold_or_nothing_is_counted() {
        let mut ledger = Ledger::new(&[per_seconds(10, 60), per_day(5)], Vec::new(), at(0));
        let _ = send(&mut ledger, 4, at(0));
        let exhausted = ledger.permit(Need::message_to(2), at(1)).expect_err("five a day");
        assert_eq!(exhausted.key.unit, QuotaUnit::Recipients);
        // 2023-11-15 00:00 in Tokyo.
        assert_eq!(exhausted.until.to_string(), "2023-11-15T15:00:00.000Z");
        let left: Vec<u64> = ledger.usage(at(1)).iter().map(|status| status.left).collect();
        assert_eq!(left, [9, 1]);
        assert_eq!(ledger.permits(), 0);
    }

    #[test]
    fn an_exhausted_quota_has_room_at_the_very_time_it_names() {
        let mut ledger = Ledger::new(&[per_seconds(2, 60)], Vec::new(), at(0));
        let _ = send(&mut ledger, 1, at(10));
        let _ = send(&mut ledger, 1, at(30_000));
        let until = ledger.permit(Need::message_to(1), at(31_000)).expect_err("two are used").until;
        assert!(until > at(60_010) && until <= at(60_600), "{until}");
        assert!(ledger.permit(Need::message_to(1), until.before(Duration::from_millis(1))).is_err());
        let permit = ledger.permit(Need::message_to(1), until).expect("the first has left");
        let _ = ledger.give_back(permit);
    }

    #[test]
    fn what_is_in_flight_counts_however_long_it_takes() {
        let mut ledger = Ledger::new(&[per_seconds(1, 1)], Vec::new(), at(0));
        let permit = ledger.permit(Need::message_to(1), at(0)).expect("has room");
        assert!(ledger.permit(Need::message_to(1), at(600_000)).is_err());
        let _ = ledger.settle(permit, at(600_000));
        assert!(ledger.permit(Need::message_to(1), at(601_000)).is_err());
        assert_eq!(ledger.next_free(Need::message_to(1), at(601_100)), at(601_100));
    }

    #[test]
    fn a_settlement_moves_the_mark_to_the_bucket_of_the_reply() {
        let mut ledger = Ledger::new(&[per_seconds(9, 60), per_day(9)], Vec::new(), at(0));
        let mut permit = ledger.permit(Need::message_to(3), at(0)).expect("has room");
        let mark = ledger.mark(&mut permit, at(100));
        assert_eq!(mark.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [1, 3]);
        // It is still the same day.
        let moved = ledger.settle(permit, at(5_000));
        assert_eq!(moved.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [-1, 1]);
        assert_eq!(moved[0].bucket, mark[0].bucket);
        assert!(moved[1].bucket > mark[0].bucket);
    }

    #[test]
    fn what_is_given_back_was_never_used() {
        let mut ledger = Ledger::new(&[per_seconds(1, 60)], Vec::new(), at(0));
        let mut permit = ledger.permit(Need::message_to(1), at(0)).expect("has room");
        let mark = ledger.mark(&mut permit, at(0));
        let back = ledger.give_back(permit);
        assert_eq!(back, [Charge { amount: -1, ..mark[0].clone() }]);
        assert_eq!(ledger.usage(at(0))[0].left, 1);
    }

    #[test]
    fn a_refused_recipient_is_not_counted() {
        let mut ledger = Ledger::new(&[per_day(5)], Vec::new(), at(0));
        let mut permit = ledger.permit(Need::message_to(5), at(0)).expect("has room");
        ledger.narrow(&mut permit, 2);
        assert_eq!(ledger.mark(&mut permit, at(0))[0].amount, 2);
        let _ = ledger.settle(permit, at(0));
        assert_eq!(ledger.usage(at(0))[0].left, 3);
    }

    #[test]
    fn a_changed_limit_keeps_the_history() {
        let mut ledger = Ledger::new(&[per_seconds(5, 60)], Vec::new(), at(0));
        let _ = send(&mut ledger, 1, at(0));
        ledger.reconfigure(&[], at(1));
        ledger.reconfigure(&[per_seconds(2, 60)], at(2));
        assert_eq!(ledger.usage(at(2))[0].left, 1);
    }

    #[test]
    fn more_than_a_whole_quota_never_fits() {
        let mut ledger = Ledger::new(&[per_day(5)], Vec::new(), at(0));
        let exhausted = ledger.permit(Need::message_to(6), at(0)).expect_err("five at most");
        assert!(exhausted.is_for_ever());
    }

    #[test]
    fn what_left_its_window_a_window_ago_is_taken_out_of_the_store() {
        let mut ledger = Ledger::new(&[per_seconds(5, 1)], Vec::new(), at(0));
        let old = send(&mut ledger, 1, at(0));
        assert_eq!(send(&mut ledger, 1, at(1_990)).len(), 1);
        let new = send(&mut ledger, 1, at(2_020));
        assert_eq!(new[0], Charge { amount: -1, ..old[0].clone() });
        assert_eq!(new.len(), 2);
    }

    #[test]
    fn a_mark_that_is_found_at_the_start_counts_as_made_now() {
        let mut before = Ledger::new(&[per_seconds(1, 60)], Vec::new(), at(0));
        let mut permit = before.permit(Need::message_to(1), at(0)).expect("has room");
        let mark = before.mark(&mut permit, at(0));
        let stored =
            mark.iter().map(|Charge { key, bucket, .. }| Usage { key: key.clone(), bucket: *bucket, amount: 1 });
        let mut after = Ledger::new(&[per_seconds(1, 60)], stored.collect(), at(50_000));
        let moved = after.recover(&mark, at(50_000));
        assert_eq!(moved.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [-1, 1]);
        assert!(after.next_free(Need::message_to(1), at(50_000)) > at(110_000));
    }

    #[test]
    fn a_clock_that_was_wrong_for_years_blocks_for_two_windows_only() {
        let years = Duration::from_secs(14 * 365 * 24 * 3_600);
        let mut ledger = Ledger::new(&[per_seconds(1, 60)], Vec::new(), at(0).after(years));
        let _ = send(&mut ledger, 1, at(0).after(years));
        let until = ledger.next_free(Need::message_to(1), at(0));
        assert!(until >= at(119_000) && until <= at(121_000));
        assert_eq!(ledger.next_free(Need::message_to(1), until), until);
    }

    #[test]
    fn a_clock_set_back_and_forth_forgets_nothing() {
        let mut ledger = Ledger::new(&[per_seconds(1, 3_600)], Vec::new(), at(1_800_000));
        let _ = send(&mut ledger, 1, at(1_800_000));
        assert!(ledger.next_free(Need::message_to(1), at(0)) > at(5_400_000));
        assert!(ledger.next_free(Need::message_to(1), at(5_000_000)) > at(5_400_000));
    }

    #[test]
    fn a_clock_set_back_over_midnight_does_not_empty_the_new_day() {
        let midnight = Timestamp::from_millis(1_700_060_400_000); // 2023-11-16 00:00 in Tokyo
        let mut ledger = Ledger::new(&[per_day(1)], Vec::new(), midnight);
        let _ = send(&mut ledger, 1, midnight.after(Duration::from_secs(60)));
        let back = midnight.before(Duration::from_secs(3_600));
        let until = ledger.next_free(Need::message_to(1), back);
        assert_eq!(until, midnight.after(Duration::from_secs(24 * 3_600)));
    }

    #[test]
    fn a_leap_ahead_frees_nothing_while_the_process_runs() {
        let mut ledger = Ledger::new(&[per_seconds(1, 60)], Vec::new(), at(0));
        let sent = send(&mut ledger, 1, at(0));
        let moved = ledger.leapt(Duration::from_secs(45), at(55_000));
        assert_eq!(moved.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [-1, 1]);
        assert_eq!(moved[0].bucket, sent[0].bucket);
        // Ten seconds have passed, and fifty are left.
        let until = ledger.next_free(Need::message_to(1), at(55_000));
        assert!(until >= at(105_000) && until <= at(106_000), "{until}");
        let _ = ledger.leapt(Duration::from_secs(3_600), at(3_655_000));
        let until = ledger.next_free(Need::message_to(1), at(3_655_000));
        assert!(until >= at(3_705_000) && until <= at(3_707_000), "{until}");
    }

    #[test]
    fn a_leap_over_midnight_does_not_empty_the_new_day() {
        let midnight = Timestamp::from_millis(1_700_060_400_000); // 2023-11-16 00:00 in Tokyo
        let before = midnight.before(Duration::from_secs(60));
        let mut ledger = Ledger::new(&[per_day(1)], Vec::new(), before);
        let _ = send(&mut ledger, 1, before);
        let after = midnight.after(Duration::from_secs(60));
        let moved = ledger.leapt(Duration::from_secs(120), after);
        assert_eq!(moved.last().map(|charge| charge.bucket), Some(midnight.as_millis()));
        let until = ledger.next_free(Need::message_to(1), after);
        assert_eq!(until, midnight.after(Duration::from_secs(24 * 3_600)));
    }

    #[test]
    fn a_quota_that_the_provider_calls_empty_is_empty() {
        let mut ledger = Ledger::new(&[per_day(500)], Vec::new(), at(0));
        let key = QuotaKey { unit: QuotaUnit::Recipients, window: per_day(500).window };
        assert_eq!(ledger.exhaust(&key, at(0))[0].amount, 500);
        assert!(ledger.permit(Need::message_to(1), at(1)).is_err());
    }
}
