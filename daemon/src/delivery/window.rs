//! The jobs that a worker has in view: those that wait next, those that are under way, and when to look again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::roster::CourierId;
use crate::{
    domain::{ids::MessageKey, job::Priority, ledger::Charge, time::Timestamp},
    policy::{dispatch::Candidate, fair_share::Lane, quota::permit::Permit},
    storage::{Ready, ReadyMessage},
};

/// Most jobs that wait in view, as far as they do not have to make room for more urgent ones.
const WAITING_JOBS_MAX: usize = 256;
/// Fewer jobs than this in view make the worker look for more.
const WAITING_JOBS_LOW: usize = 64;
/// Most jobs that are taken into a full view because they may be more urgent.
const URGENT_JOBS_MAX: usize = 16;
/// How long a worker that has work goes on before it looks for more urgent jobs, in milliseconds.
const LOOK_AGAIN_MS: u64 = 20;

/// A job that a courier is out with.
#[derive(Debug)]
pub(super) struct Underway {
    pub(super) candidate: Candidate,
    pub(super) permit: Permit,
    /// What its mark charges.
    pub(super) charges: Vec<Charge>,
    /// Who has it.
    pub(super) courier: CourierId,
}

/// Whether a worker sends as fast as it can, or waits for something else than its own replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    Sending,
    Waiting,
}

/// What is known of a job whose outcome is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing of it waits any more.
    Done,
    /// It is due again at this time.
    DueAt(Timestamp),
    /// Only the queue knows.
    AskTheQueue,
}

/// What a worker has in view of its account's queue.
#[derive(Debug)]
pub(super) struct Window {
    /// Jobs that are due.
    waiting: Vec<Candidate>,
    /// Jobs that couriers are out with, each with what `changes` was when it left.
    underway: HashMap<MessageKey, (u64, Underway)>,
    /// Jobs whose outcome is being recorded, each with what `changes` was when it went out of view.
    closed: HashMap<MessageKey, u64>,
    /// Jobs that cannot be sent as things are: they are larger than a quota, or unreadable.
    aside: HashSet<MessageKey>,
    /// When the next job becomes due that is not in view.
    next_due: Option<Timestamp>,
    /// Whether the queue held more than was taken into view.
    more: bool,
    /// Whether something may have changed since the queue was looked at.
    stale: bool,
    /// How often something may have changed. A look passes over jobs that are under way, so what changed about one
    /// meanwhile is looked for when it is over.
    changes: u64,
    looked: Instant,
}

impl Window {
    /// A view of nothing: the queue must be looked at.
    pub(super) fn new() -> Self {
        Self {
            waiting: Vec::new(),
            underway: HashMap::new(),
            closed: HashMap::new(),
            aside: HashSet::new(),
            next_due: None,
            more: false,
            stale: true,
            changes: 0,
            looked: Instant::now(),
        }
    }

    /// The jobs that wait next.
    pub(super) fn waiting(&self) -> &[Candidate] {
        &self.waiting
    }

    /// When the next job becomes due that is not in view.
    pub(super) const fn next_due(&self) -> Option<Timestamp> {
        self.next_due
    }

    /// Whether nothing is under way or being recorded.
    pub(super) fn is_quiet(&self) -> bool {
        self.underway.is_empty() && self.closed.is_empty()
    }

    /// How many messages couriers are out with.
    pub(super) fn underway(&self) -> usize {
        self.underway.len()
    }

    /// Whether a courier is out with a message, or its outcome is being recorded.
    pub(super) fn is_busy_with(&self, message: MessageKey) -> bool {
        self.underway.contains_key(&message) || self.closed.contains_key(&message)
    }

    /// Notes that the queue may hold something new.
    pub(super) const fn distrust(&mut self) {
        self.stale = true;
        self.changes += 1;
    }

    /// Whether the queue should be looked at. A worker that is busy looks now and then for what is more urgent; one that
    /// waits looks at everything anew when something has changed, as what it waits with may have been withdrawn.
    pub(super) fn wants_look(&mut self, busy: Busy, now: Timestamp) -> bool {
        if self.next_due.is_some_and(|due| due <= now) {
            self.stale = true;
        }
        let looked_lately = self.looked.elapsed() < Duration::from_millis(LOOK_AGAIN_MS);
        let runs_low = self.more && self.waiting.len() < WAITING_JOBS_LOW;
        match busy {
            Busy::Sending => runs_low || self.stale && !looked_lately,
            Busy::Waiting => {
                if self.stale {
                    self.waiting.clear();
                }
                runs_low || self.stale
            }
        }
    }

    /// How many jobs to ask for, and which not to name again.
    pub(super) fn query(&self) -> (usize, HashSet<MessageKey>) {
        let room = WAITING_JOBS_MAX.saturating_sub(self.waiting.len());
        let known = self.waiting.iter().map(|job| job.message).chain(self.underway.keys().copied());
        let known = known.chain(self.closed.keys().copied()).chain(self.aside.iter().copied());
        (room.max(URGENT_JOBS_MAX), known.collect())
    }

    /// Takes in what the queue holds. `asked` is the number of jobs that were asked for. Of more than fit into view, some
    /// are left in the queue.
    pub(super) fn take_in(&mut self, ready: Ready, asked: usize) {
        self.stale = false;
        self.more = ready.messages.len() >= asked;
        self.looked = Instant::now();
        self.next_due = ready.next_due;
        self.waiting.extend(ready.messages.into_iter().map(candidate));
        if self.waiting.len() > WAITING_JOBS_MAX {
            self.make_room();
            self.more = true;
        }
    }

    /// Leaves surplus jobs in the queue: of the least urgent priority first, and within it of the fullest lanes.
    fn make_room(&mut self) {
        self.waiting.sort_unstable_by_key(|job| (job.priority, job.due, job.message));
        let mut in_lane: HashMap<(Priority, Lane), usize> = HashMap::new();
        let mut ranked: Vec<(usize, Candidate)> = Vec::with_capacity(self.waiting.len());
        for job in self.waiting.drain(..) {
            let rank = in_lane.entry((job.priority, job.lane)).or_default();
            ranked.push((*rank, job));
            *rank += 1;
        }
        ranked.sort_by_key(|(rank, job)| (job.priority, *rank));
        self.waiting.extend(ranked.into_iter().take(WAITING_JOBS_MAX).map(|(_, job)| job));
    }

    /// Takes a waiting job out, to be sent or ended.
    pub(super) fn remove(&mut self, index: usize) -> Candidate {
        self.waiting.swap_remove(index)
    }

    /// Forgets the waiting jobs: they are looked up again when the account may send.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.stale = true;
    }

    /// Notes that a courier is out with a job.
    pub(super) fn depart(&mut self, underway: Underway) {
        self.underway.insert(underway.candidate.message, (self.changes, underway));
    }

    /// Notes that a courier has come back. The job stays out of view until [`Window::reopen`].
    pub(super) fn come_back(&mut self, job: MessageKey) -> Option<Underway> {
        let (changes, underway) = self.underway.remove(&job)?;
        self.closed.insert(job, changes);
        Some(underway)
    }

    /// Keeps a job out of view, until [`Window::reopen`].
    pub(super) fn close(&mut self, job: MessageKey) {
        self.closed.insert(job, self.changes);
    }

    /// Keeps a job out of view, until [`Window::reconsider`].
    pub(super) fn set_aside(&mut self, job: MessageKey) {
        self.closed.remove(&job);
        self.aside.insert(job);
    }

    /// Takes back into account what was set aside, because the settings are others now.
    pub(super) fn reconsider(&mut self) {
        self.aside.clear();
        self.stale = true;
    }

    /// Notes that a job's outcome is recorded, and what that makes of it. When something has changed since it left, the queue
    /// is asked all the same.
    pub(super) fn reopen(&mut self, job: MessageKey, then: Then) {
        // What changed while nobody looked at it may be that more of it waits than its attempt was for.
        self.stale |= self.closed.remove(&job).is_some_and(|changes| changes != self.changes);
        match then {
            Then::Done => {}
            Then::DueAt(due) => self.next_due = Some(self.next_due.map_or(due, |next| next.min(due))),
            Then::AskTheQueue => self.stale = true,
        }
    }
}

fn candidate(job: ReadyMessage) -> Candidate {
    let ReadyMessage { message, priority, lane, due, recipients, bytes, expires_at } = job;
    Candidate { message, priority, lane: Lane(lane), due, recipients, bytes, expires_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::JobId;

    #[tokio::test(start_paused = true)]
    async fn what_changed_while_a_job_was_out_of_view_is_looked_for() {
        let message = MessageKey::only(JobId::from_bytes([1; 16]));
        let mut window = Window::new();
        for has_changed in [true, false] {
            window.close(message);
            if has_changed {
                window.distrust();
            }
            // A look passes over the job.
            window.take_in(Ready::default(), 9);
            assert!(!window.wants_look(Busy::Waiting, Timestamp::EPOCH));
            window.reopen(message, Then::Done);
            assert_eq!(window.wants_look(Busy::Waiting, Timestamp::EPOCH), has_changed);
        }
    }
}
