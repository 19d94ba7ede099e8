//! Which lane's turn is it? Strictly by priority, then the lane that was served least.
//!
//! Each lane carries the virtual time at which its next message would begin if all lanes were served evenly (start-time
//! fair queueing). The lane with the smallest one is next, and serving it moves its own time on. A lane that was idle
//! starts at the time of the others, so it neither is owed what it did not use nor pays for others.
//!
//! Of two lanes that both have mail waiting, none is served more than the other by more than the recipients of the largest
//! message of each, however the mail came. So a lane that gets its first message waits for one message of each other lane,
//! and not for their queues. Messages of a merge job are many messages of one lane.
//!
//! Bulk never delays what is more urgent, and waits while more urgent mail fills all that the account may send. Reserves
//! belong into the quota's check (a less urgent priority then needs more room than its own), not into the order.

use std::collections::BTreeMap;

use crate::domain::{job::Priority, time::Timestamp};

/// Most lanes of a priority that are remembered, as many as a store knows; beyond it, those that are ahead least are
/// forgotten.
pub const LANES_MAX: usize = 256;

/// A stream of jobs that shares evenly with the others: a campaign, or all jobs without a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u32);

/// What the lanes of one account were served.
#[derive(Clone, Debug, Default)]
pub struct FairShare {
    classes: [Class; Priority::ALL.len()],
}

/// A job's place in the order; the smallest one goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    priority: Priority,
    begins: u64,
    due: Timestamp,
}

impl Turn {
    /// The priority that it is a turn of.
    #[must_use]
    pub const fn priority(self) -> Priority {
        self.priority
    }

    /// The turn of a job of the same lane that has been due since `due`.
    #[must_use]
    pub const fn at(self, due: Timestamp) -> Self {
        Self { due, ..self }
    }
}

#[derive(Clone, Debug, Default)]
struct Class {
    /// The virtual time: where the lane that was served last began.
    now: u64,
    /// Where each lane begins next, as far as that is later than `now`.
    begins: BTreeMap<Lane, u64>,
}

impl FairShare {
    /// The place in the order of a job of `lane` that has been due since `due`.
    #[must_use]
    pub fn turn(&self, priority: Priority, lane: Lane, due: Timestamp) -> Turn {
        Turn { priority, begins: self.classes[priority as usize].begins_at(lane), due }
    }

    /// Takes note that a lane was served a message to so many recipients.
    pub fn served(&mut self, priority: Priority, lane: Lane, recipients: u32) {
        self.classes[priority as usize].serve(lane, u64::from(recipients.max(1)));
    }
}

impl Class {
    fn begins_at(&self, lane: Lane) -> u64 {
        self.begins.get(&lane).copied().unwrap_or(self.now)
    }

    fn serve(&mut self, lane: Lane, cost: u64) {
        let begins = self.begins_at(lane);
        self.now = self.now.max(begins);
        self.begins.insert(lane, begins.saturating_add(cost));
        self.begins.retain(|_, begins| *begins > self.now);
        if self.begins.len() > LANES_MAX
            && let Some(least) = self.begins.iter().min_by_key(|(_, begins)| **begins).map(|(lane, _)| *lane)
        {
            self.begins.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// Serves lanes that always have work, `rounds` times, and counts the recipients of each.
    fn serve(share: &mut FairShare, lanes: &[(u32, u32)], rounds: usize) -> Vec<u32> {
        let mut served = vec![0; lanes.len()];
        for _ in 0..rounds {
            let turn = |index: &usize| share.turn(Priority::Normal, Lane(lanes[*index].0), Timestamp::EPOCH);
            let next = (0..lanes.len()).min_by_key(turn).expect("some lane");
            let (lane, recipients) = lanes[next];
            share.served(Priority::Normal, Lane(lane), recipients);
            served[next] += recipients;
        }
        served
    }

    #[test]
    fn lanes_are_served_evenly_by_recipients() {
        let mut share = FairShare::default();
        assert_eq!(serve(&mut share, &[(1, 1), (2, 1), (3, 1)], 300), [100, 100, 100]);
        assert_eq!(serve(&mut share, &[(1, 1), (2, 10)], 110), [100, 100]);
    }

    #[test]
    fn a_lane_that_comes_late_goes_first_but_is_owed_nothing() {
        let mut share = FairShare::default();
        let _ = serve(&mut share, &[(1, 1)], 50_000);
        let due = Timestamp::from_millis(9);
        let turn = |share: &FairShare, lane| share.turn(Priority::Normal, Lane(lane), due);
        assert!(turn(&share, 2) < turn(&share, 1));
        assert_eq!(serve(&mut share, &[(1, 1), (2, 1)], 10), [5, 5]);
    }

    #[test]
    fn priority_comes_before_share_and_share_before_age() {
        let mut share = FairShare::default();
        share.served(Priority::High, Lane(1), 1_000);
        let (old, new) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let turn = |priority, lane, due| share.turn(priority, Lane(lane), due);
        assert!(turn(Priority::High, 1, new) < turn(Priority::Normal, 2, old));
        assert!(turn(Priority::High, 2, new) < turn(Priority::High, 1, old));
        assert!(turn(Priority::Bulk, 2, old) < turn(Priority::Bulk, 1, new));
    }

    #[test]
    fn no_more_lanes_are_remembered_than_the_bound() {
        let mut share = FairShare::default();
        for lane in 0..5_000 {
            share.served(Priority::Normal, Lane(lane), 1 + lane % 7);
        }
        assert!(share.classes[Priority::Normal as usize].begins.len() <= LANES_MAX);
    }

    /// Mail of some lanes that comes and goes; each message is the number of its recipients.
    #[derive(Default)]
    struct Lanes {
        share: FairShare,
        waiting: [VecDeque<u32>; LANES],
        served: [u32; LANES],
        largest: [u32; LANES],
    }

    const LANES: usize = 3;

    impl Lanes {
        fn serve(&mut self) {
            let turn = |lane: &usize| self.share.turn(Priority::Low, Lane(*lane as u32), Timestamp::EPOCH);
            let Some(lane) = (0..LANES).filter(|lane| !self.waiting[*lane].is_empty()).min_by_key(turn) else { return };
            let recipients = self.waiting[lane].pop_front().expect("it is not empty");
            self.share.served(Priority::Low, Lane(lane as u32), recipients);
            self.served[lane] += recipients;
            self.largest[lane] = self.largest[lane].max(recipients);
        }
    }

    /// How far one lane was ahead of another, since both have mail.
    #[derive(Clone, Copy)]
    struct Lead {
        least: i64,
        most: i64,
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn lanes_with_mail_stay_together_however_it_comes(
            steps in prop::collection::vec((0..LANES, 1..200_u32, 1..4_usize, 0..6_usize), 1..200),
        ) {
            let mut lanes = Lanes::default();
            let pairs = [(0, 1), (0, 2), (1, 2)];
            let mut leads: [Option<Lead>; 3] = [None; 3];
            for (lane, recipients, messages, turns) in steps {
                lanes.waiting[lane].extend(std::iter::repeat_n(recipients, messages));
                for _ in 0..turns {
                    lanes.serve();
                    for (lead, (a, b)) in leads.iter_mut().zip(pairs) {
                        let ahead = i64::from(lanes.served[a]) - i64::from(lanes.served[b]);
                        if lanes.waiting[a].is_empty() || lanes.waiting[b].is_empty() {
                            *lead = None;
                            continue;
                        }
                        let Lead { least, most } = lead.unwrap_or(Lead { least: ahead, most: ahead });
                        let (least, most) = (least.min(ahead), most.max(ahead));
                        *lead = Some(Lead { least, most });
                        let bound = i64::from(lanes.largest[a]) + i64::from(lanes.largest[b]);
                        prop_assert!(most - least <= bound, "{a} and {b} are {} apart, not {bound}", most - least);
                    }
                }
            }
        }
    }
}
