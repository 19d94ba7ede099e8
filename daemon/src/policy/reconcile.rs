//! When is the Sent folder asked for messages that are in doubt, and when has it answered for good?

use std::{collections::HashMap, time::Duration};

use crate::domain::{ids::MessageKey, time::Timestamp};

/// How long a server is given to file a copy before the first look.
const FIRST_LOOK_AFTER: Duration = Duration::from_secs(10);
/// The pause between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(20);
/// The longest pause after looks that failed: a server that is asked too often with a wrong password shuts its user out.
const PAUSE_MAX: Duration = Duration::from_secs(1_280);
/// After this time, a message whose copy is not there was not taken.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a look at the Sent folder comes to for a message whose copy is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It may still come.
    Wait,
    /// The server did not take the message.
    NotTaken,
}

/// What is known of the doubts of an account while it is looked after.
///
/// Its time begins when a doubt is first seen here, and not when the attempt began: a server may have been silent for
/// minutes before the connection broke, and only then gone on with the message.
#[derive(Clone, Debug, Default)]
pub struct Vigil {
    seen: HashMap<MessageKey, Seen>,
    looked: Option<Timestamp>,
    /// How many looks in a row had no answer.
    failures: u32,
}

/// A doubt that is looked after.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Since when the message is in doubt: of another attempt it is another doubt.
    since: Timestamp,
    /// When it was first seen here.
    first: Timestamp,
}

impl Vigil {
    /// Takes note of the messages that are in doubt now, each with the time since when it is; others are forgotten.
    pub fn see(&mut self, doubts: impl IntoIterator<Item = (MessageKey, Timestamp)>, now: Timestamp) {
        let seen = std::mem::take(&mut self.seen);
        let of = |message, since| {
            let before = seen.get(&message).filter(|seen| seen.since == since);
            // Since a clock was set back, nothing has been seen in the future.
            Seen { since, first: before.map_or(now, |seen| seen.first.min(now)) }
        };
        self.seen = doubts.into_iter().map(|(message, since)| (message, of(message, since))).collect();
        self.looked = self.looked.map(|at| at.min(now));
    }

    /// When the folder is to be looked at next; nothing while there is no doubt. A time that is past means at once.
    #[must_use]
    pub fn next_look(&self) -> Option<Timestamp> {
        let pause = LOOK_AGAIN_AFTER.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        let again = self.looked.map(|looked| looked.after(pause));
        let next = |seen: &Timestamp| match again {
            Some(again) if self.failures > 0 => again.max(seen.after(FIRST_LOOK_AFTER)),
            // One look asks for all of them, so a doubt that has just arisen waits for the next.
            Some(again) if self.was_looked_for(*seen) => {
                let last = seen.after(PATIENCE);
                let is_before_last = self.looked.is_some_and(|looked| looked < last);
                if is_before_last { again.min(last) } else { again }
            }
            _ => seen.after(FIRST_LOOK_AFTER),
        };
        self.seen.values().map(|seen| next(&seen.first)).min()
    }

    /// The messages to look for at `now`, each with the time since when it is in doubt.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<(MessageKey, Timestamp)> {
        let due = self.seen.iter().filter(|(_, seen)| seen.first.after(FIRST_LOOK_AFTER) <= now);
        let mut due: Vec<_> = due.map(|(message, seen)| (*message, seen.since)).collect();
        due.sort_unstable();
        due
    }

    /// Takes note that the folder is looked at, whether or not it can be.
    pub const fn look(&mut self, now: Timestamp) {
        self.looked = Some(now);
    }

    /// Takes note of whether the last look was answered.
    pub const fn answered(&mut self, answered: bool) {
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
    }

    /// What it means that the copy of a message was not there at `now`.
    #[must_use]
    pub fn missing(&self, message: MessageKey, now: Timestamp) -> Missing {
        let is_over = self.seen.get(&message).is_some_and(|seen| seen.first.after(PATIENCE) <= now);
        if is_over { Missing::NotTaken } else { Missing::Wait }
    }

    fn was_looked_for(&self, seen: Timestamp) -> bool {
        self.looked.is_some_and(|looked| seen.after(FIRST_LOOK_AFTER) <= looked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::JobId;

    fn message(number: u8) -> MessageKey {
        MessageKey::only(JobId::from_bytes([number; 16]))
    }

    /// A message that is in doubt since before anybody looked.
    fn doubt(number: u8) -> (MessageKey, Timestamp) {
        (message(number), Timestamp::from_millis(1_600_000_000_000))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000).after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_doubt_is_looked_at_until_its_time_is_over() {
        let mut vigil = Vigil::default();
        assert_eq!(vigil.next_look(), None);
        vigil.see([doubt(1)], at(0));
        let mut looks = Vec::new();
        loop {
            let next = vigil.next_look().expect("there is a doubt");
            vigil.see([doubt(1)], next);
            assert_eq!(vigil.due(next), [doubt(1)]);
            vigil.look(next);
            looks.push(next.since(at(0)).as_secs());
            if vigil.missing(message(1), next) == Missing::NotTaken {
                break;
            }
        }
        assert_eq!(looks, [10, 30, 50, 70, 90, 110, 120]);
        // A folder that cannot be read is asked again, for as long as it takes.
        assert_eq!(vigil.next_look(), Some(at(140)));
        vigil.see([], at(141));
        assert_eq!(vigil.next_look(), None);
    }

    #[test]
    fn a_folder_that_does_not_answer_is_asked_ever_less_often() {
        let mut vigil = Vigil::default();
        vigil.see([doubt(1)], at(0));
        let mut pauses = Vec::new();
        let mut now = at(10);
        for _ in 0..9 {
            vigil.look(now);
            vigil.answered(false);
            // One more doubt does not make it be asked sooner.
            vigil.see([doubt(1), doubt(2)], now);
            let next = vigil.next_look().expect("there is a doubt");
            pauses.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [40, 80, 160, 320, 640, 1_280, 1_280, 1_280, 1_280]);
        vigil.look(now);
        vigil.answered(true);
        assert_eq!(vigil.next_look(), Some(now.after(LOOK_AGAIN_AFTER)));
    }

    #[test]
    fn each_doubt_has_its_own_time() {
        let mut vigil = Vigil::default();
        vigil.see([doubt(1)], at(0));
        vigil.look(at(10));
        vigil.see([doubt(1), doubt(2)], at(15));
        assert_eq!(vigil.next_look(), Some(at(25)), "the new one is looked for before the old one is again");
        assert_eq!(vigil.due(at(20)), [doubt(1)]);
        vigil.look(at(120));
        assert_eq!(vigil.missing(message(1), at(120)), Missing::NotTaken);
        assert_eq!(vigil.missing(message(2), at(120)), Missing::Wait);
        assert_eq!(vigil.missing(message(3), at(120)), Missing::Wait, "nothing is known of it");
    }

    #[test]
    fn a_doubt_of_another_attempt_has_a_time_of_its_own() {
        let mut vigil = Vigil::default();
        vigil.see([doubt(1)], at(0));
        vigil.see([(message(1), at(100))], at(101));
        assert_eq!(vigil.missing(message(1), at(125)), Missing::Wait);
        assert_eq!(vigil.due(at(111)), [(message(1), at(100))]);
        assert_eq!(vigil.missing(message(1), at(221)), Missing::NotTaken);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_it() {
        let mut vigil = Vigil::default();
        vigil.see([doubt(1)], at(10_000));
        vigil.look(at(10_010));
        vigil.see([doubt(1)], at(0));
        assert_eq!(vigil.next_look(), Some(at(10)));
    }
}
