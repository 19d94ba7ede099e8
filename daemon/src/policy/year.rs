//! A year of ten accounts with ten sets of limits in ten zones, and an oracle that knows nothing of ledger and dispatch.
//!
//! `HIKYAKU_YEAR_SCALE=10` plays ten times as much mail.

mod accounts;
mod oracle;

use std::time::Duration;

use self::{
    accounts::{Subject, accounts},
    oracle::{allowance, check_calendars, check_quiet, check_sliding},
};
use super::{
    outlook::{Circumstances, Portion, plan},
    rehearsal::{Dice, Item, Rehearsal},
};
use crate::domain::{job::Priority, parking::Standing, time::Timestamp};

/// 2026-01-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const DAY: Duration = Duration::from_hours(24);
const YEAR_DAYS: u32 = 365;
/// How much of what its limits allow an account sends at least.
const DRAINED_MIN: f64 = 0.95;
/// How far a plan is from what happens at most.
const PLAN_OFF_MAX: f64 = 0.05;

/// What became of an account in its year.
struct Outcome {
    name: &'static str,
    sent: usize,
    allowed: usize,
    crashes: u32,
    /// The worst plan: how far it was off.
    off: f64,
}

#[test]
fn ten_accounts_drain_for_a_year_and_exceed_no_window() {
    let scale = std::env::var("HIKYAKU_YEAR_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let subjects = accounts(scale);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let tasks: Vec<_> = subjects.iter().map(|subject| scope.spawn(|| live(subject))).collect();
        tasks.into_iter().map(|task| task.join().expect("no window was exceeded")).collect()
    });
    println!("account        sent    allowed  drained  crashes  worst plan");
    for Outcome { name, sent, allowed, crashes, off } in &outcomes {
        let drained = *sent as f64 / *allowed as f64;
        println!("{name:12} {sent:7} {allowed:9} {:7.2} % {crashes:7} {:9.2} %", drained * 100.0, off * 100.0);
        assert!(drained >= DRAINED_MIN, "{name} sent {sent} of {allowed} messages");
        assert!(*off <= PLAN_OFF_MAX, "{name}: a plan was off by {off}");
    }
}

/// The mail of an account: as much of the least urgent as it can send, and some of the most urgent at times of its own.
pub(super) struct Supply {
    dice: Dice,
    sizes: (u32, u64),
    /// When the most urgent mail comes, latest first.
    pub(super) urgent: Vec<Item>,
}

impl Supply {
    pub(super) fn new(subject: &Subject) -> Self {
        let mut dice = Dice(subject.seed);
        let mut times: Vec<u64> = (0..subject.urgent).map(|_| dice.below(u64::from(YEAR_DAYS) * 86_400_000)).collect();
        times.sort_unstable();
        let due = |ms: &u64| BEGIN.after(Duration::from_millis(*ms));
        let urgent = |ms| Item { priority: Priority::High, due: due(ms), recipients: 1, bytes: 2_000 };
        Self { urgent: times.iter().rev().map(urgent).collect(), dice, sizes: subject.sizes }
    }

    /// The next message of those that are always there.
    pub(super) fn next(&mut self) -> Item {
        let (recipients, bytes) = self.sizes;
        let recipients = 1 + u32::try_from(self.dice.below(u64::from(recipients))).expect("few");
        let bytes = bytes / 2 + self.dice.below(bytes);
        Item { priority: Priority::Bulk, due: BEGIN, recipients, bytes }
    }
}

fn live(subject: &Subject) -> Outcome {
    let end = BEGIN.after(DAY * YEAR_DAYS);
    let mut dice = Dice(subject.seed ^ 0xdead_beef);
    let mut supply = Supply::new(subject);
    let mut account = Rehearsal::new(&subject.limits, &subject.quiet, subject.service, BEGIN, subject.seed);
    supply.urgent.iter().rev().for_each(|item| account.submit(*item));
    let mut next_crash = BEGIN;
    let mut next_plan = BEGIN.after(DAY * 20);
    let (mut crashes, mut off) = (0, 0.0_f64);
    while account.now < end {
        while account.waiting(Priority::Bulk) < 4 {
            account.submit(supply.next());
        }
        let in_flight = account.is_sending() && dice.below(300) == 0;
        if account.now >= next_crash || in_flight {
            account.crash(Duration::from_millis(1_000 + dice.below(300_000)));
            crashes += 1;
            next_crash = account.now.after(Duration::from_millis(dice.below(30 * 86_400_000)));
        } else if account.now >= next_plan && !account.is_sending() {
            next_plan = account.now.after(DAY * 80);
            off = off.max(plan_off(subject, &account, &supply));
        } else {
            account.step(end.min(next_crash));
        }
    }
    account.sent.retain(|sent| sent.ended < end);
    check_sliding(subject, &account.sent);
    check_calendars(subject, &account.sent);
    check_quiet(subject, &account.sent);
    let allowed = allowance(subject, end);
    Outcome { name: subject.name, sent: account.sent.len(), allowed, crashes, off }
}

/// How far a plan is off for some hundred messages that go from here on when nothing else happens.
fn plan_off(subject: &Subject, account: &Rehearsal, supply: &Supply) -> f64 {
    let count = 500;
    let mut mail = Supply { dice: supply.dice.clone(), urgent: Vec::new(), sizes: supply.sizes };
    let items: Vec<Item> = (0..count).map(|_| Item { due: account.now, ..mail.next() }).collect();
    let portion = Portion {
        priority: Priority::Bulk,
        messages: count,
        recipients: items.iter().map(|item| u64::from(item.recipients)).sum(),
        bytes: items.iter().map(|item| item.bytes).sum(),
        due: account.now,
    };
    let usage = account.usage();
    let circumstances = Circumstances {
        now: account.now,
        limits: &subject.limits,
        quiet: &subject.quiet,
        standing: &Standing::Active,
        usage: &usage,
        service: subject.service,
    };
    let planned = plan(&circumstances, &[portion]).times[0].expect("it goes").last_at;
    let mut alone = account.resumed(subject.seed);
    items.into_iter().for_each(|item| alone.submit(item));
    alone.run_until(account.now.after(DAY * YEAR_DAYS));
    let really = alone.sent.last().expect("a message").ended;
    assert_eq!(alone.sent.len() as u64, count, "{}", subject.name);
    let seconds = |at: Timestamp| at.since(account.now).as_secs_f64();
    (seconds(planned) - seconds(really)).abs() / seconds(really)
}
