//! Does the ledger keep its promise, whatever happens? Random histories, judged by a provider that counts every stretch.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use proptest::prelude::*;

use super::{
    ledger::Ledger,
    permit::{Need, Permit, measured},
};
use crate::domain::{
    job::Priority,
    ledger::{Charge, QuotaKey, Usage},
    limits::{CalendarSpan, Limits, Quota, QuotaUnit, QuotaWindow},
    reserves::Reserves,
    time::Timestamp,
};

const T0: u64 = 1_700_000_000_000;

/// One thing that happens. Shares choose among what is possible, from 0 to 1.
#[derive(Clone, Debug)]
enum Step {
    Wait {
        millis: u64,
    },
    Send {
        recipients: u32,
        bytes: u64,
        /// By how much more its message could have been longer.
        slack: u64,
        class: Priority,
    },
    /// Others sent something, which the ledger is told a little later.
    Report {
        recipients: u32,
        bytes: u64,
        millis_ago: u64,
    },
    Mark {
        which: f64,
    },
    Settle {
        which: f64,
        counted: f64,
        late: f64,
    },
    GiveBack {
        which: f64,
    },
    Crash {
        counted: f64,
    },
    ClockBack {
        millis: u64,
    },
    /// The clock is set forward for good, and the ledger is told.
    ClockAhead {
        millis: u64,
    },
    /// The clock goes ahead by a share of the shortest window for a moment in which nothing is permitted, and comes back.
    ClockLeap {
        share: f64,
        crash: bool,
        settle: bool,
    },
}

struct Flight {
    permit: Permit,
    need: Need,
    /// What was asked for: its message turned out to be no longer.
    asked: Need,
    class: Priority,
    since: u64,
    mark: Option<Vec<Charge>>,
}

/// A transaction as the provider counted it.
#[derive(Clone, Copy)]
struct Counted {
    at: u64,
    need: Need,
    asked: Need,
    class: Priority,
}

/// A process that may crash, its store, and the provider, which sees the true time.
struct World {
    limits: Limits,
    ledger: Ledger,
    flights: Vec<Flight>,
    stored: BTreeMap<(QuotaKey, u64), i64>,
    counted: Vec<Counted>,
    true_ms: u64,
    clock_behind_ms: u64,
}

impl World {
    fn new(limits: Limits) -> Self {
        let ledger = Ledger::new(&limits, Vec::new(), Timestamp::from_millis(T0));
        let (flights, counted) = (Vec::new(), Vec::new());
        Self { limits, ledger, flights, stored: BTreeMap::new(), counted, true_ms: T0, clock_behind_ms: 0 }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.true_ms - self.clock_behind_ms)
    }

    fn store(&mut self, charges: &[Charge]) {
        for charge in charges {
            let total = self.stored.entry((charge.key.clone(), charge.bucket)).or_default();
            *total += charge.amount;
            assert!(*total >= 0, "a total fell below zero: {charge:?}");
        }
        self.stored.retain(|_, total| *total > 0);
    }

    fn count(&mut self, flight: &Flight, share: f64) {
        let at = flight.since + self.share_since(flight, share);
        let &Flight { need, asked, class, .. } = flight;
        self.counted.push(Counted { at, need, asked, class });
    }

    fn share_since(&self, flight: &Flight, share: f64) -> u64 {
        ((self.true_ms - flight.since) as f64 * share) as u64
    }

    fn pick(&self, share: f64, marked: bool) -> Option<usize> {
        let fit: Vec<usize> = (0..self.flights.len()).filter(|&i| self.flights[i].mark.is_some() == marked).collect();
        fit.get((fit.len() as f64 * share) as usize).copied()
    }

    fn apply(&mut self, step: &Step) {
        let now = self.now();
        match *step {
            Step::Wait { millis } => self.true_ms += millis,
            Step::ClockBack { millis } => self.clock_behind_ms += millis,
            Step::ClockAhead { millis } => {
                // No further than to the true time, so that it stays a subtraction.
                let by = millis.min(self.clock_behind_ms);
                self.clock_behind_ms -= by;
                let charges = self.ledger.leapt(Duration::from_millis(by), self.now());
                self.store(&charges);
            }
            Step::Send { recipients, bytes, slack, class } => {
                let need = Need::message_to(recipients).of_bytes(bytes);
                let asked = need.of_bytes(bytes + slack);
                if let Ok(permit) = self.ledger.permit(asked, class, now) {
                    self.flights.push(Flight { permit, need, asked, class, since: self.true_ms, mark: None });
                }
            }
            Step::Report { recipients, bytes, millis_ago } => {
                let used = Need::message_to(recipients).of_bytes(bytes);
                let charges = self.ledger.report(used, now.before(Duration::from_millis(millis_ago)), now);
                self.store(&charges);
            }
            Step::Mark { which } => {
                let Some(index) = self.pick(which, false) else { return };
                let flight = &mut self.flights[index];
                let mark = self.ledger.mark(&mut flight.permit, now);
                // How long the message is turns out when it is composed, before anything is stored.
                self.ledger.measure(&mut flight.permit, flight.need.bytes);
                let mark = measured(mark, flight.need.bytes);
                self.store(&mark);
                self.flights[index].mark = Some(mark);
            }
            Step::Settle { which, counted, late } => {
                let Some(index) = self.pick(which, true) else { return };
                let flight = self.flights.swap_remove(index);
                // The worker hears of a reply some time after it came.
                let late_ms = if self.clock_behind_ms == 0 { self.share_since(&flight, late) } else { 0 };
                self.true_ms -= late_ms;
                self.count(&flight, counted);
                self.true_ms += late_ms;
                let charges = self.ledger.settle(flight.permit, now.before(Duration::from_millis(late_ms)));
                self.store(&charges);
            }
            Step::GiveBack { which } => {
                let Some(index) = self.pick(which, which < 0.5) else { return };
                let charges = self.ledger.give_back(self.flights.swap_remove(index).permit);
                self.store(&charges);
            }
            Step::Crash { counted } => self.crash(counted),
            Step::ClockLeap { share, crash, settle } => self.leap(share, crash, settle),
        }
    }

    fn leap(&mut self, share: f64, crash: bool, settle: bool) {
        let ahead = Duration::from_millis((self.shortest_ms() as f64 * share) as u64);
        let then = self.now().after(ahead);
        let _ = self.ledger.usage(then);
        if settle && let Some(index) = self.pick(share, true) {
            let flight = self.flights.swap_remove(index);
            self.count(&flight, 1.0);
            let charges = self.ledger.settle(flight.permit, then);
            self.store(&charges);
        }
        if crash {
            self.crash_at(then, share);
        }
    }

    fn shortest_ms(&self) -> u64 {
        let lengths = self.limits.quotas.iter().map(|quota| match &quota.window {
            QuotaWindow::Sliding(length) => length.as_millis() as u64,
            QuotaWindow::Calendar { .. } => 60_000,
        });
        lengths.min().unwrap_or(0)
    }

    fn crash(&mut self, counted: f64) {
        self.crash_at(self.now(), counted);
    }

    fn crash_at(&mut self, now: Timestamp, counted: f64) {
        let total = |(key, bucket): &(QuotaKey, u64), amount: &i64| Usage {
            key: key.clone(),
            bucket: *bucket,
            amount: amount.unsigned_abs(),
        };
        self.ledger = Ledger::new(&self.limits, self.stored.iter().map(|(k, v)| total(k, v)).collect(), now);
        for flight in std::mem::take(&mut self.flights) {
            if let Some(mark) = &flight.mark {
                self.count(&flight, counted);
                let charges = self.ledger.recover(mark, now);
                self.store(&charges);
            }
        }
    }

    /// Ends everything in flight, then counts each stretch of time as the provider does.
    fn judge(mut self) -> Result<(), TestCaseError> {
        self.crash(1.0);
        self.counted.sort_unstable_by_key(|counted| counted.at);
        for quota in &self.limits.quotas {
            let units = |need: Need| need.of(quota.unit);
            for (index, &Counted { at: start, .. }) in self.counted.iter().enumerate() {
                let inside = |time: u64| match &quota.window {
                    QuotaWindow::Sliding(length) => time - start <= length.as_millis() as u64,
                    QuotaWindow::Calendar { .. } => time / 60_000 == start / 60_000,
                };
                let stretch = self.counted[index..].iter().take_while(|counted| inside(counted.at));
                let sum: u64 = stretch.clone().map(|counted| units(counted.need)).sum();
                prop_assert!(sum <= quota.limit.get(), "{sum} units from {start} in {quota:?}");
                // What is no more urgent than a class, and no larger than its share, keeps to that share together.
                let largest = stretch.clone().map(|counted| units(counted.asked)).max().unwrap_or(0);
                for class in Priority::ALL {
                    let share = self.limits.reserves.share(quota.limit, class);
                    let kept = stretch.clone().filter(|counted| counted.class >= class);
                    let sum: u64 = kept.map(|counted| units(counted.need)).sum();
                    let is_bounded = largest <= self.limits.reserves.share(quota.limit, Priority::Bulk);
                    prop_assert!(!is_bounded || sum <= share, "{sum} units from {start} for {class:?} in {quota:?}");
                }
            }
        }
        Ok(())
    }
}

const UNITS: [QuotaUnit; 3] = [QuotaUnit::Messages, QuotaUnit::Recipients, QuotaUnit::Bytes];

fn sliding_quotas() -> impl Strategy<Value = Vec<Quota>> {
    let unit = prop::sample::select(&UNITS[..]);
    let quota = (1..12_u32, unit, 1_000..90_000_u64).prop_map(|(limit, unit, millis)| Quota {
        limit: NonZeroU32::new(limit).expect("from one").into(),
        unit,
        window: QuotaWindow::Sliding(Duration::from_millis(millis)),
    });
    prop::collection::vec(quota, 1..4)
}

fn quotas() -> impl Strategy<Value = Vec<Quota>> {
    let window = QuotaWindow::Calendar { span: CalendarSpan::Minute, zone: "Asia/Tokyo".to_owned() };
    let unit = prop::sample::select(&UNITS[..]);
    let calendar = (1..12_u32, unit).prop_map(move |(limit, unit)| Quota {
        limit: NonZeroU32::new(limit).expect("from one").into(),
        unit,
        window: window.clone(),
    });
    (sliding_quotas(), calendar).prop_map(|(mut quotas, calendar)| {
        quotas.push(calendar);
        quotas
    })
}

fn step(clock_back_weight: u32) -> impl Strategy<Value = Step> {
    let share = 0.0..1.0_f64;
    prop_oneof![
        8 => prop_oneof![0..50_u64, 0..2_000_u64, 0..40_000_u64].prop_map(|millis| Step::Wait { millis }),
        12 => (1..4_u32, 1..4_u64, 0..3_u64, prop::sample::select(Priority::ALL.to_vec()))
            .prop_map(|(recipients, bytes, slack, class)| Step::Send { recipients, bytes, slack, class }),
        1 => (0..3_u32, 0..3_u64, 0..200_000_u64)
            .prop_map(|(recipients, bytes, millis_ago)| Step::Report { recipients, bytes, millis_ago }),
        10 => share.clone().prop_map(|which| Step::Mark { which }),
        9 => (share.clone(), 0.0..1.01_f64, share.clone()).prop_map(|(which, counted, late)| {
            Step::Settle { which, counted: counted.min(1.0), late: (late * 2.0 - 1.0).max(0.0) }
        }),
        1 => share.clone().prop_map(|which| Step::GiveBack { which }),
        1 => share.clone().prop_map(|counted| Step::Crash { counted }),
        1 => (0.0..=1.0_f64, any::<bool>(), any::<bool>()).prop_map(|(share, crash, settle)| {
            Step::ClockLeap { share, crash, settle }
        }),
        clock_back_weight => prop_oneof![1..10_u64, 1..100_000_u64].prop_map(|millis| Step::ClockAhead { millis }),
        clock_back_weight => prop_oneof![1..10_u64, 1..100_000_u64].prop_map(|millis| Step::ClockBack { millis }),
    ]
}

fn reserves() -> impl Strategy<Value = Reserves> {
    let some = (0..40_u32, 0..30_u32, 0..29_u32).prop_map(|(humans, high, low)| {
        Reserves::new(humans, &[(Priority::High, high), (Priority::Low, low)]).expect("less than all")
    });
    prop_oneof![Just(Reserves::default()), some]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_window_ever_holds_more_than_its_limit(
        quotas in quotas(),
        reserves in reserves(),
        steps in prop::collection::vec(step(0), 1..300),
    ) {
        let mut world = World::new(Limits { quotas, reserves, ..Limits::default() });
        steps.iter().for_each(|step| world.apply(step));
        world.judge()?;
    }

    #[test]
    fn nor_does_a_sliding_window_when_the_clock_is_set_back_and_forward(
        quotas in sliding_quotas(),
        reserves in reserves(),
        steps in prop::collection::vec(step(3), 1..300),
    ) {
        let mut world = World::new(Limits { quotas, reserves, ..Limits::default() });
        steps.iter().for_each(|step| world.apply(step));
        world.judge()?;
    }
}

#[test]
fn a_greedy_drain_wastes_less_than_two_percent() {
    let quota = |limit: u32, seconds| Quota {
        limit: NonZeroU32::new(limit).expect("not zero").into(),
        unit: QuotaUnit::Messages,
        window: QuotaWindow::Sliding(Duration::from_secs(seconds)),
    };
    let limits = Limits { quotas: vec![quota(7, 10), quota(20, 60)], ..Limits::default() };
    let start = Timestamp::from_millis(T0);
    let mut now = start;
    let mut ledger = Ledger::new(&limits, Vec::new(), now);
    let mut sent = 0;
    while sent < 200 {
        match ledger.permit(Need::message_to(1), Priority::Bulk, now) {
            Ok(permit) => {
                now = now.after(Duration::from_millis(3));
                let _ = ledger.settle(permit, now);
                sent += 1;
            }
            Err(exhausted) => now = exhausted.until,
        }
    }
    // Twenty a minute for nine minutes, then seven, seven and six, ten seconds apart.
    let ideal = Duration::from_secs(9 * 60 + 20);
    let took = now.since(start);
    assert!(took >= ideal && took <= ideal.mul_f64(1.02), "{took:?}");
}
