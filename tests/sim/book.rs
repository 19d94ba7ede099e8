//! What clients were told and what the store says: the two books that the checker compares with the providers'.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use hikyaku_daemon::{
    domain::{
        event::{Cursor, Event, EventKind, JobChange},
        ids::{AccountId, JobId},
        job::{Job, Priority},
        parking::ParkingCause,
        time::Timestamp,
    },
    storage::{PAGE_MAX, SharedStorage},
};

use crate::log::Log;

/// What a client knows of a job that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) id: JobId,
    /// The account's number.
    pub(crate) account: usize,
    pub(crate) recipients: usize,
    pub(crate) priority: Priority,
    pub(crate) lane: u32,
    pub(crate) accepted_at: Timestamp,
    pub(crate) due: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// The check sum of its message.
    pub(crate) digest: u64,
}

/// A job as its client and the store's events tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) told: Told,
    /// As the store showed it last.
    pub(crate) last: Option<Job>,
    /// When the first event after its acceptance came: it was tried, expired or controlled.
    pub(crate) moved_at: Option<Timestamp>,
    /// Whether a caller cancelled, held, released, retried, ended or approved it.
    pub(crate) is_controlled: bool,
}

/// What a run leaves behind, beside what the providers saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(crate) entries: Vec<Entry>,
    /// The jobs that have not ended.
    pub(crate) open: BTreeSet<usize>,
    /// When each account was parked, and why, or resumed.
    pub(crate) standings: Vec<(Timestamp, usize, Option<ParkingCause>)>,
    /// What contradicted itself while it was written.
    pub(crate) contradictions: Vec<String>,
    numbers: BTreeMap<JobId, usize>,
    cursor: Cursor,
}

/// What an account's event asks of its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeedsOperator(pub(crate) usize);

/// A store in memory never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory answers at once")
}

/// The number in an account's name.
pub(crate) fn number_of(account: &AccountId) -> usize {
    account.as_str().trim_start_matches("acc").parse().expect("accounts are named by their numbers")
}

impl Book {
    /// Notes that a job was acknowledged.
    pub(crate) fn acknowledge(&mut self, told: Told) -> usize {
        let number = self.entries.len();
        self.numbers.insert(told.id, number);
        self.open.insert(number);
        self.entries.push(Entry { told, last: None, moved_at: None, is_controlled: false });
        number
    }

    /// Reads what is new in the store's event log.
    pub(crate) fn follow(&mut self, storage: &SharedStorage, log: &Log) -> Vec<NeedsOperator> {
        let mut calls = Vec::new();
        let mut ended = BTreeSet::new();
        loop {
            let events = at_once(storage.events(self.cursor, PAGE_MAX)).expect("the store in memory does not fail");
            if events.is_empty() {
                break;
            }
            for (cursor, event) in events {
                if cursor.0 != self.cursor.0 + 1 {
                    self.contradictions.push(format!("the event before {cursor:?} is missing"));
                }
                self.cursor = cursor;
                calls.extend(self.note(event, log, &mut ended));
            }
        }
        for number in ended {
            self.look(number, storage);
        }
        calls
    }

    /// Looks at a job in the store. What was taken or withdrawn must stay so.
    pub(crate) fn look(&mut self, number: usize, storage: &SharedStorage) {
        let entry = &mut self.entries[number];
        let found = at_once(storage.job(entry.told.id)).expect("the store in memory does not fail");
        let Some(job) = found.map(|record| record.job) else {
            if entry.last.as_ref().is_none_or(Job::is_open) {
                self.contradictions.push(format!("job {number} was acknowledged and is gone"));
            }
            return;
        };
        if let Some(last) = &entry.last {
            for (index, (before, after)) in last.recipients().iter().zip(job.recipients()).enumerate() {
                use hikyaku_daemon::domain::recipient::RecipientState::{Cancelled, Submitted};
                let is_settled = matches!(before.state, Submitted { .. } | Cancelled { .. });
                if is_settled && before.state != after.state {
                    let (before, after) = (&before.state, &after.state);
                    let text = format!("job {number}, recipient {index}: {before:?} became {after:?}");
                    self.contradictions.push(text);
                }
            }
        }
        if job.awaits_approval() && job.attempts_made > 0 {
            self.contradictions.push(format!("job {number} was tried before it was approved"));
        }
        entry.last = Some(job);
    }

    fn note(&mut self, event: Event, log: &Log, ended: &mut BTreeSet<usize>) -> Option<NeedsOperator> {
        let Event { at, account, kind } = event;
        let account = number_of(&account);
        match kind {
            EventKind::Job { id, change, state } => {
                let Some(&number) = self.numbers.get(&id) else {
                    self.contradictions.push(format!("event about job {id}, which nobody submitted"));
                    return None;
                };
                log.line(at, format_args!("store: job {number} of acc{account}: {change:?}, {state:?}"));
                self.note_job(number, at, &change);
                if state.is_final() {
                    self.open.remove(&number);
                    ended.insert(number);
                } else {
                    self.open.insert(number);
                }
                None
            }
            EventKind::AccountParked(parking) => {
                log.line(
                    at,
                    format_args!("store: acc{account} is parked: {:?} until {:?}", parking.cause, parking.until),
                );
                self.standings.push((at, account, Some(parking.cause)));
                parking.cause.needs_a_person().then_some(NeedsOperator(account))
            }
            EventKind::AccountResumed => {
                log.line(at, format_args!("store: acc{account} sends again"));
                self.standings.push((at, account, None));
                None
            }
            EventKind::AccountCreated
            | EventKind::AccountUpdated
            | EventKind::AccountDeleted
            | EventKind::Mailbox(_) => None,
        }
    }

    fn note_job(&mut self, number: usize, at: Timestamp, change: &JobChange) {
        let entry = &mut self.entries[number];
        if *change != JobChange::Accepted {
            entry.moved_at.get_or_insert(at);
        }
        entry.is_controlled |= matches!(change, JobChange::Controlled(_) | JobChange::Approved);
    }
}
