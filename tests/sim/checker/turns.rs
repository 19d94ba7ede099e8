//! Is anybody overtaken for long: a more urgent job by less urgent ones, or a lane by another of its priority?

use std::collections::{BTreeMap, BTreeSet};

use hikyaku_daemon::domain::{job::Priority, time::Timestamp};

use super::Evidence;
use crate::{book::Entry, plan::RECIPIENTS_MAX};

/// Most connections that an account has here.
const CONNECTIONS_MAX: u64 = 3;
/// Round trips that a new connection needs before its first MAIL: to connect, for the greeting, EHLO and two for signing in.
const OPENING_ROUND_TRIPS: u64 = 5;
/// What may be under way when a more urgent job comes due, and as much again for what is sent back to the queue without the
/// provider having seen it; and what the other connections send, a message in a round trip, while the job waits for its own
/// to open.
const OVERTAKEN_MESSAGES_MAX: u64 = 2 * CONNECTIONS_MAX + (CONNECTIONS_MAX - 1) * OPENING_ROUND_TRIPS;
/// Recipients that one lane may be served while another of its priority waits: two of the largest jobs (the bound of fair
/// queueing), and three that are under way.
const LANE_RECIPIENTS_MAX: u64 = 5 * RECIPIENTS_MAX;

/// What happens in an account's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A job's first attempt is over, or it is out of the queue for another reason.
    Leaves(usize),
    /// The provider is asked to take a job.
    Served(usize),
    /// A worker begins anew, and with it all shares.
    Anew,
    /// A job may be sent for the first time.
    Due(usize),
}

/// While a job waits for its first attempt, only so much that is less urgent goes before it, and only so much of any other
/// lane of its priority while its own lane gets nothing. The count begins anew with each restart and each parking.
pub(super) fn nobody_was_overtaken_for_long(evidence: &Evidence<'_>) -> Vec<String> {
    let mut queues: Vec<Vec<(Timestamp, Event)>> = vec![Vec::new(); evidence.accounts.len()];
    for (number, Entry { told, moved_at, .. }) in evidence.book.entries.iter().enumerate() {
        let queue = &mut queues[told.account];
        queue.push((told.due.max(told.accepted_at), Event::Due(number)));
        queue.extend(moved_at.map(|at| (at, Event::Leaves(number))));
    }
    for served in &evidence.seen.served {
        if let Some(entry) = evidence.book.entries.get(served.job) {
            queues[entry.told.account].push((served.at, Event::Served(served.job)));
        }
    }
    for (at, account, _) in &evidence.book.standings {
        queues[*account].push((*at, Event::Anew));
    }
    let restarts = evidence.outages.iter().flat_map(|(down, up)| [Some(*down), *up]).flatten();
    for at in restarts {
        queues.iter_mut().for_each(|queue| queue.push((at, Event::Anew)));
    }
    let mut found = Vec::new();
    for mut queue in queues {
        queue.sort_unstable();
        let mut turns = Turns { entries: &evidence.book.entries, ..Turns::default() };
        found.extend(queue.into_iter().filter_map(|(at, event)| turns.take(at, event)));
    }
    found
}

/// The queue of one account as time goes on.
#[derive(Debug, Default)]
struct Turns<'a> {
    entries: &'a [Entry],
    /// Jobs that wait for their first attempt, and how many less urgent messages went before each.
    waiting: BTreeMap<usize, u64>,
    /// Jobs that have left the queue before they were due.
    gone: BTreeSet<usize>,
    /// For each lane what the others of its priority were served since it was served itself, or began to wait.
    behind: BTreeMap<(Priority, u32), BTreeMap<u32, u64>>,
}

impl Turns<'_> {
    fn take(&mut self, at: Timestamp, event: Event) -> Option<String> {
        match event {
            Event::Due(job) => self.comes_due(job),
            Event::Leaves(job) => self.leaves(job),
            Event::Anew => {
                self.behind.clear();
                self.waiting.values_mut().for_each(|overtaken| *overtaken = 0);
            }
            Event::Served(job) => return self.served(at, job),
        }
        None
    }

    fn comes_due(&mut self, job: usize) {
        if self.gone.contains(&job) {
            return;
        }
        let told = &self.entries[job].told;
        let is_first = !self.waits(told.priority, told.lane);
        self.waiting.insert(job, 0);
        if is_first {
            self.behind.remove(&(told.priority, told.lane));
        }
    }

    fn leaves(&mut self, job: usize) {
        self.waiting.remove(&job);
        self.gone.insert(job);
    }

    fn served(&mut self, at: Timestamp, job: usize) -> Option<String> {
        self.leaves(job);
        let told = &self.entries[job].told;
        let (priority, lane) = (told.priority, told.lane);
        self.behind.remove(&(priority, lane));
        let mut found = None;
        for (other, overtaken) in &mut self.waiting {
            let other_told = &self.entries[*other].told;
            if other_told.priority < priority {
                *overtaken += 1;
                if *overtaken == OVERTAKEN_MESSAGES_MAX + 1 {
                    found = Some(format!("at {at}: job {other} of acc{} was overtaken too often", other_told.account));
                }
            }
        }
        let others: BTreeSet<u32> = self.waiting_lanes(priority).filter(|other| *other != lane).collect();
        for other in others {
            let served = self.behind.entry((priority, other)).or_default().entry(lane).or_default();
            let before = *served;
            *served += told.recipients as u64;
            if before <= LANE_RECIPIENTS_MAX && *served > LANE_RECIPIENTS_MAX {
                let text =
                    format!("at {at}: lane {other} of acc{}, {priority:?}, waits behind lane {lane}", told.account);
                found.get_or_insert(text);
            }
        }
        found
    }

    fn waits(&self, priority: Priority, lane: u32) -> bool {
        self.waiting_lanes(priority).any(|waiting| waiting == lane)
    }

    fn waiting_lanes(&self, priority: Priority) -> impl Iterator<Item = u32> {
        let told = self.waiting.keys().map(|job| &self.entries[*job].told);
        told.filter(move |told| told.priority == priority).map(|told| told.lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Entry, Told};

    fn entry(number: usize, priority: Priority, lane: u32) -> Entry {
        let at = Timestamp::from_millis(0);
        let id = hikyaku_daemon::domain::ids::JobId::new(at, [u8::try_from(number).expect("small"); 10]);
        let told = Told {
            id,
            account: 0,
            recipients: 5,
            priority,
            lane,
            accepted_at: at,
            due: at,
            expires_at: None,
            digest: 0,
        };
        Entry { told, last: None, moved_at: None, is_controlled: false }
    }

    /// All jobs are due at once and served in the order of their numbers, but for the first, which is served never.
    #[track_caller]
    fn check(first: (Priority, u32), others: (Priority, u32), count: usize, expected: Option<&str>) {
        let rest = (1..=count).map(|number| entry(number, others.0, others.1));
        let entries: Vec<Entry> = std::iter::once(entry(0, first.0, first.1)).chain(rest).collect();
        let mut turns = Turns { entries: &entries, ..Turns::default() };
        let at = Timestamp::from_millis(1);
        let due = (0..=count).map(Event::Due);
        let found: Vec<String> = due.chain((1..=count).map(Event::Served)).filter_map(|e| turns.take(at, e)).collect();
        match expected {
            Some(expected) => assert!(found.iter().any(|found| found.contains(expected)), "{found:?}"),
            None => assert_eq!(found, Vec::<String>::new()),
        }
    }

    #[test]
    fn who_waits_for_too_long_is_found() {
        use Priority::{Bulk, High, Normal};
        check((High, 1), (Bulk, 1), 16, None);
        check((High, 1), (Bulk, 1), 17, Some("was overtaken too often"));
        check((Bulk, 1), (High, 1), 20, None);
        check((Normal, 1), (Normal, 2), 5, None);
        check((Normal, 1), (Normal, 2), 6, Some("waits behind lane 2"));
        check((Normal, 1), (Normal, 1), 20, None);
    }
}
