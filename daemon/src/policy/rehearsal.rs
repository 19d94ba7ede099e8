//! An account played in virtual time: dispatch, ledger and pacing as its worker drives them, without server and store.
//!
//! The connections take messages at a fixed rate, the worker may crash and come again, and what was sent is written down with
//! the time in which the provider may have counted it.

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use super::{
    dispatch::{self, Candidate, Connections, Next, Stage, View},
    fair_share::{FairShare, Lane},
    outlook::Service,
    pacing::Pacing,
    quiet::QuietHours,
    quota::{
        ledger::Ledger,
        permit::{Need, Permit},
    },
};
use crate::domain::{
    ids::{JobId, MessageKey},
    job::Priority,
    ledger::{Charge, QuotaKey, Usage},
    limits::Limits,
    parking::Standing,
    quiet::QuietWindow,
    time::Timestamp,
};

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) priority: Priority,
    pub(super) due: Timestamp,
    pub(super) recipients: u32,
    pub(super) bytes: u64,
}

impl Item {
    pub(super) const fn need(&self) -> Need {
        Need { messages: 1, recipients: self.recipients, bytes: self.bytes }
    }
}

/// A message that the provider may have counted, at any time from the one to the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) item: Item,
    pub(super) begun: Timestamp,
    pub(super) ended: Timestamp,
}

struct Flight {
    item: Item,
    permit: Permit,
    /// What its mark charges; nothing while it is not stored.
    mark: Option<Vec<Charge>>,
    begun: Timestamp,
    ends: Timestamp,
}

/// An account, its worker and its server.
pub(super) struct Rehearsal {
    pub(super) now: Timestamp,
    pub(super) sent: Vec<Sent>,
    limits: Limits,
    quiet: Vec<QuietWindow>,
    hours: QuietHours,
    service: Service,
    ledger: Ledger,
    pacing: Pacing,
    shares: FairShare,
    flights: Vec<Flight>,
    /// What the store has of the ledger.
    stored: BTreeMap<(QuotaKey, u64), u64>,
    /// What waits, by priority, in the order of the due times.
    waiting: [VecDeque<Item>; Priority::ALL.len()],
    dice: Dice,
}

impl Rehearsal {
    pub(super) fn new(limits: &Limits, quiet: &[QuietWindow], service: Service, now: Timestamp, seed: u64) -> Self {
        Self {
            now,
            sent: Vec::new(),
            limits: limits.clone(),
            quiet: quiet.to_vec(),
            hours: QuietHours::new(quiet),
            service,
            ledger: Ledger::new(limits, Vec::new(), now),
            pacing: Pacing::new(limits, now),
            shares: FairShare::default(),
            flights: Vec::new(),
            stored: BTreeMap::new(),
            waiting: Default::default(),
            dice: Dice(seed | 1),
        }
    }

    /// An account that begins with what the store has of its ledger.
    pub(super) fn resumed(&self, seed: u64) -> Self {
        let mut next = Self::new(&self.limits, &self.quiet, self.service, self.now, seed);
        next.ledger = Ledger::new(&self.limits, self.usage(), self.now);
        next.stored.clone_from(&self.stored);
        next
    }

    pub(super) fn is_sending(&self) -> bool {
        !self.flights.is_empty()
    }

    pub(super) fn submit(&mut self, item: Item) {
        self.waiting[item.priority as usize].push_back(item);
    }

    pub(super) fn waiting(&self, priority: Priority) -> usize {
        self.waiting[priority as usize].len()
    }

    /// What the store would give to whoever reads the ledger.
    pub(super) fn usage(&self) -> Vec<Usage> {
        let usage = |((key, bucket), amount): (&(QuotaKey, u64), &u64)| Usage {
            key: key.clone(),
            bucket: *bucket,
            amount: *amount,
        };
        self.stored.iter().map(usage).collect()
    }

    /// Works until `end`, or until nothing waits and nothing is under way.
    pub(super) fn run_until(&mut self, end: Timestamp) {
        while self.now < end && self.step(end) {}
        self.now = self.now.max(end);
    }

    /// Does one thing; false when there is nothing to do any more.
    pub(super) fn step(&mut self, end: Timestamp) -> bool {
        let landing = self.flights.iter().map(|flight| flight.ends).min();
        if landing.is_some_and(|at| at <= self.now) {
            self.land();
            return true;
        }
        let until = match self.ask() {
            Ask::Send(priority) => {
                self.send(priority);
                return true;
            }
            Ask::Wait(at) => Some(at),
            Ask::Idle => None,
        };
        match [until, landing].into_iter().flatten().min() {
            Some(at) => self.now = at.max(self.now.after(Duration::from_millis(1))).min(end),
            None => return false,
        }
        true
    }

    fn ask(&mut self) -> Ask {
        let heads: Vec<Item> = self.waiting.iter().filter_map(|queue| queue.front()).copied().collect();
        let candidate = |(serial, item): (u8, &Item)| Candidate {
            message: MessageKey::only(JobId::new(item.due, [serial; 10])),
            priority: item.priority,
            lane: Lane(0),
            due: item.due,
            recipients: item.recipients,
            bytes: item.bytes,
            expires_at: None,
        };
        let jobs: Vec<Candidate> = (0..).zip(&heads).map(candidate).collect();
        let open = self.flights.len() as u32;
        let view = View {
            now: self.now,
            stage: Stage::Running,
            standing: &Standing::Active,
            quiet: self.hours.until(self.now),
            jobs: &jobs,
            shares: &self.shares,
            ledger: &mut self.ledger,
            pacing: &mut self.pacing,
            connections: Connections { idle: 0, open, max: self.service.connections, ahead: 0 },
            in_flight: open,
            chance: self.dice.chance(),
        };
        match dispatch::next(view) {
            Next::Send(index) => Ask::Send(jobs[index].priority),
            Next::WaitUntil { at, .. } => Ask::Wait(at),
            Next::WaitForReply | Next::WaitForConnection | Next::WaitForWork | Next::WaitForResume => Ask::Idle,
            other => unreachable!("nothing was planned for {other:?}"),
        }
    }

    fn send(&mut self, priority: Priority) {
        let item = self.waiting[priority as usize].pop_front().expect("its candidate was shown");
        let mut permit = self.ledger.permit(item.need(), priority, self.now).expect("dispatch has looked");
        let charges = self.ledger.mark(&mut permit, self.now);
        self.pacing.begin(self.now);
        self.shares.served(priority, Lane(0), item.recipients);
        self.store(&charges);
        let (begun, ends) = (self.now, self.now.after(self.service.message));
        self.flights.push(Flight { item, permit, mark: Some(charges), begun, ends });
    }

    fn land(&mut self) {
        let index = self.flights.iter().position(|flight| flight.ends <= self.now).expect("one has landed");
        let Flight { item, permit, begun, .. } = self.flights.swap_remove(index);
        self.sent.push(Sent { item, begun, ended: self.now });
        let charges = self.ledger.settle(permit, self.now);
        self.store(&charges);
        self.pacing.sent(self.now);
    }

    /// Kills the worker; it comes again after `pause`, with what the store has. Of what was under way some had no mark yet
    /// and never reached the provider; the rest may have been counted until shortly before the worker is back.
    pub(super) fn crash(&mut self, pause: Duration) {
        let back = self.now.after(pause);
        let mut marks = Vec::new();
        for flight in std::mem::take(&mut self.flights) {
            let mark = flight.mark.unwrap_or_default();
            if self.dice.chance() < 0.5 {
                let taken: Vec<Charge> = mark.into_iter().map(|charge| negative(&charge)).collect();
                self.store(&taken);
            } else {
                self.sent.push(Sent { item: flight.item, begun: flight.begun, ended: back });
                marks.push(mark);
            }
            // What was in doubt is sent again, and so is what never went.
            self.waiting[flight.item.priority as usize].push_front(flight.item);
        }
        self.now = back;
        self.ledger = Ledger::new(&self.limits, self.usage(), back);
        for mark in marks {
            let charges = self.ledger.recover(&mark, back);
            self.store(&charges);
        }
        self.pacing = Pacing::new(&self.limits, back);
        self.shares = FairShare::default();
        self.hours = QuietHours::new(&self.quiet);
    }

    fn store(&mut self, charges: &[Charge]) {
        for charge in charges {
            let place = (charge.key.clone(), charge.bucket);
            let total = self.stored.get(&place).copied().unwrap_or(0).saturating_add_signed(charge.amount);
            if total > 0 {
                self.stored.insert(place, total)
            } else {
                self.stored.remove(&place)
            };
        }
    }
}

fn negative(charge: &Charge) -> Charge {
    Charge { amount: -charge.amount, ..charge.clone() }
}

/// What the worker does next.
enum Ask {
    Send(Priority),
    Wait(Timestamp),
    Idle,
}

/// Random numbers that are the same each time (xorshift64*).
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From 0 up to 1.
    pub(super) fn chance(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
