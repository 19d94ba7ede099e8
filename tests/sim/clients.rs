//! What people do: clients submit and control jobs, operators pause and resume accounts.

use std::collections::BTreeMap;

use bytes::Bytes;
use hikyaku_daemon::{
    domain::{
        address::Address,
        ids::{JobId, Label},
        job::{Approval, Audience, Control, Job, MessageFacts, Priority, Schedule},
        mail::Message,
        parking::{Parking, ParkingCause, Standing},
        recipient::{Recipient, RecipientField, RecipientState},
        time::Timestamp,
    },
    storage::{Acceptance, SharedStorage, Submission, lane_of},
};

use crate::{
    book::{Book, NeedsOperator, Told, at_once},
    chance::Chance,
    log::Log,
    plan::{self, Planned, RECIPIENTS_MAX},
    provider::digest,
};

/// Jobs of a burst on average, for the pauses between them.
const BURST_MEAN: u64 = 3;
/// When a job is due that awaits approval: nobody can tell.
const NOT_BEFORE_APPROVAL: Timestamp = Timestamp::from_millis(u64::MAX);
/// The labels of campaigns.
const LABELS: [&str; 4] = ["autumn", "winter", "receipts", "alerts"];

/// Clients and operators, with all that they are going to do.
#[derive(Debug)]
pub(crate) struct Clients {
    accounts: Vec<Planned>,
    chance: Chance,
    agenda: BTreeMap<(Timestamp, u64), Action>,
    planned: u64,
    jobs_per_day: u64,
    /// When the last of them stops submitting.
    until: Timestamp,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    /// Submits some jobs of an account.
    Burst(usize),
    Control(usize, Control),
    Approve(usize),
    Pause(usize),
    Resume(usize),
}

impl Clients {
    pub(crate) fn new(seed: u64, accounts: Vec<Planned>, jobs_per_day: u64, until: Timestamp) -> Self {
        let (chance, agenda) = (Chance::new(seed, "clients"), BTreeMap::new());
        let mut clients = Self { accounts, chance, agenda, planned: 0, jobs_per_day, until };
        for account in 0..clients.accounts.len() {
            let at = plan::BEGIN.after(clients.pause_between_bursts());
            clients.plan(at, Action::Burst(account));
        }
        clients
    }

    /// The accounts.
    pub(crate) fn accounts(&self) -> &[Planned] {
        &self.accounts
    }

    /// Does all that is planned until `now`.
    pub(crate) fn act(&mut self, now: Timestamp, storage: &SharedStorage, book: &mut Book, log: &Log) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > now {
                return;
            }
            match entry.remove() {
                Action::Burst(account) => self.burst(account, now, storage, book),
                Action::Control(job, control) => {
                    let id = book.entries[job].told.id;
                    let done = at_once(storage.control(vec![id], control, now)).expect("the store does not fail");
                    log.line(now, format_args!("client: {control:?} job {job}: {:?}", done.first()));
                }
                Action::Approve(job) => {
                    let id = book.entries[job].told.id;
                    let done =
                        at_once(storage.approve(vec![id], &plan::caller(), now)).expect("the store does not fail");
                    log.line(now, format_args!("client: approve job {job}: {:?}", done.first()));
                }
                Action::Pause(account) => self.pause(account, now, storage),
                Action::Resume(account) => self.stand(account, Standing::Active, now, storage),
            }
        }
    }

    /// An operator will look after an account that needs a person.
    pub(crate) fn call(&mut self, NeedsOperator(account): NeedsOperator, now: Timestamp) {
        let at = now.after(self.chance.seconds(60..=3 * 3_600));
        self.plan(at, Action::Resume(account));
    }

    /// Lets everything go that waits for a person.
    pub(crate) fn let_go(&mut self, now: Timestamp, storage: &SharedStorage, book: &mut Book) {
        for account in 0..self.accounts.len() {
            let id = &self.accounts[account].account.id;
            let found = at_once(storage.account(id)).expect("the store does not fail");
            let needs_a_person = |standing: &Standing| {
                matches!(standing, Standing::Parked(parking)
                    if parking.cause.needs_a_person() || parking.cause == ParkingCause::Paused)
            };
            if found.is_some_and(|record| needs_a_person(&record.standing)) {
                self.stand(account, Standing::Active, now, storage);
            }
        }
        for number in book.open.clone() {
            let id = book.entries[number].told.id;
            book.look(number, storage);
            let in_doubt = |recipient: &Recipient| matches!(recipient.state, RecipientState::InDoubt { .. });
            let job = book.entries[number].last.as_ref();
            if job.is_some_and(Job::awaits_approval) {
                drop(at_once(storage.approve(vec![id], &plan::caller(), now)).expect("the store does not fail"));
            }
            let control = match job {
                Some(job) if matches!(job.schedule, Schedule::Held { .. }) => Control::Release,
                Some(job) if job.recipients().iter().any(in_doubt) => Control::Retry,
                _ => continue,
            };
            // What an attempt is under way for is asked again in the next round.
            drop(at_once(storage.control(vec![id], control, now)).expect("the store does not fail"));
        }
    }

    fn plan(&mut self, at: Timestamp, action: Action) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), action);
    }

    fn pause_between_bursts(&self) -> std::time::Duration {
        let mean = 86_400 * BURST_MEAN / self.jobs_per_day.max(1);
        self.chance.seconds(1..=2 * mean)
    }

    fn burst(&mut self, account: usize, now: Timestamp, storage: &SharedStorage, book: &mut Book) {
        let size = match self.chance.below(20) {
            0 => self.chance.among(10..=40),
            1..=5 => self.chance.among(2..=6),
            _ => 1,
        };
        for _ in 0..size {
            let number = self.submit(account, now, storage, book);
            self.plan_controls(number, now);
            if book.entries[number].told.due == NOT_BEFORE_APPROVAL {
                self.plan(now.after(self.chance.seconds(0..=3 * 3_600)), Action::Approve(number));
            }
        }
        if self.chance.one_in(30) {
            let at = now.after(self.chance.seconds(1..=3_600));
            self.plan(at, Action::Pause(account));
            let at = at.after(self.chance.seconds(60..=3 * 3_600));
            self.plan(at, Action::Resume(account));
        }
        let next = now.after(self.pause_between_bursts());
        if next < self.until {
            self.plan(next, Action::Burst(account));
        }
    }

    fn plan_controls(&mut self, job: usize, now: Timestamp) {
        let soon = |chance: &Chance| chance.seconds(0..=120);
        let later = |chance: &Chance| chance.seconds(60..=2 * 3_600);
        match self.chance.below(36) {
            0 => self.plan(now.after(soon(&self.chance)), Action::Control(job, Control::Cancel)),
            1 => {
                let at = now.after(soon(&self.chance));
                self.plan(at, Action::Control(job, Control::Hold));
                self.plan(at.after(later(&self.chance)), Action::Control(job, Control::Release));
            }
            2 => self.plan(now.after(later(&self.chance)), Action::Control(job, Control::Retry)),
            3 => self.plan(now.after(soon(&self.chance)), Action::Control(job, Control::Expire)),
            _ => {}
        }
    }

    fn submit(&self, account: usize, now: Timestamp, storage: &SharedStorage, book: &mut Book) -> usize {
        let number = book.entries.len();
        let text = self.text(number);
        let job = self.job(account, number, text.len(), now);
        let told = Told {
            id: job.id,
            account,
            recipients: job.recipients().len(),
            priority: job.priority,
            lane: lane_of(&job.labels),
            accepted_at: now,
            due: job.due().unwrap_or(NOT_BEFORE_APPROVAL),
            expires_at: job.expires_at,
            digest: digest(text.bytes()),
        };
        let message = Message { bytes: Bytes::from(text), is_eight_bit: false };
        let submission = Submission { job, message, idempotency: None, counted: Vec::new() };
        let answers = at_once(storage.accept(vec![submission])).expect("the store does not fail");
        assert_eq!(answers, [Acceptance::Accepted]);
        book.acknowledge(told)
    }

    fn text(&self, number: usize) -> String {
        let head = format!("Message-ID: <j{number}@sim.example>\r\nFrom: sim@sim.example\r\nSubject: {number}\r\n\r\n");
        let lines = (0..self.chance.among(1..=20)).map(|line| match line % 3 {
            0 => format!("line {line} of {number}\r\n"),
            1 => String::from(".a line that begins with a dot\r\n"),
            _ => String::from("\r\n"),
        });
        let text = head + &lines.collect::<String>();
        assert!(text.len() as u64 <= plan::MESSAGE_BYTES_MAX, "{} bytes", text.len());
        text
    }

    fn job(&self, account: usize, number: usize, bytes: usize, now: Timestamp) -> Job {
        let chance = &self.chance;
        let count = if chance.one_in(3) { chance.among(2..=RECIPIENTS_MAX) } else { 1 };
        let priority = match chance.below(10) {
            0 => Priority::High,
            1..=6 => Priority::Normal,
            7..=8 => Priority::Low,
            _ => Priority::Bulk,
        };
        let is_labelled = !chance.one_in(3);
        let due = if chance.one_in(10) { now.after(chance.seconds(60..=6 * 3_600)) } else { now };
        let expires_at = chance.one_in(10).then(|| due.after(chance.seconds(600..=4 * 3_600)));
        let name = &self.accounts[account].account.id;
        Job {
            id: JobId::new(now, chance.bytes()),
            account: name.clone(),
            caller: plan::caller(),
            accepted_at: now,
            sender: address(&format!("{name}+j{number}@sim.example")),
            audience: Audience::Together((0..count).map(|index| recipient(number, index)).collect()),
            subject: number.to_string(),
            message: MessageFacts {
                message_id: format!("<j{number}@sim.example>"),
                bytes: bytes as u64,
                is_eight_bit: false,
            },
            priority,
            labels: is_labelled.then(|| label(chance.pick(&LABELS))).into_iter().collect(),
            expires_at,
            schedule: Schedule::Waiting { due },
            attempts_made: 0,
            first_attempt_at: None,
            attempts: Vec::new(),
            wish: None,
            fallbacks: None,
            approval: chance.one_in(30).then_some(Approval::Awaited),
            resent: None,
            override_suppression: false,
        }
    }

    fn pause(&self, account: usize, now: Timestamp, storage: &SharedStorage) {
        let until = self.chance.one_in(2).then(|| now.after(self.chance.seconds(60..=3_600)));
        let reason = String::from("An operator stopped it.");
        let parking = Parking { cause: ParkingCause::Paused, reason, reply: None, since: now, until, strikes: 0 };
        self.stand(account, Standing::Parked(parking), now, storage);
    }

    fn stand(&self, account: usize, standing: Standing, now: Timestamp, storage: &SharedStorage) {
        let id = &self.accounts[account].account.id;
        at_once(storage.set_standing(id, standing, now)).expect("the store does not fail");
    }
}

fn recipient(job: usize, index: u64) -> Recipient {
    let address = address(&format!("j{job}.r{index}@dest.example"));
    Recipient { address, field: RecipientField::To, state: RecipientState::Pending { deferral: None } }
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}
