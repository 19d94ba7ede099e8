//! What is wrong with a mailbox, and what of that is told: each thing once.

use std::time::Duration;

use crate::domain::{inbound::MailboxChange, time::Timestamp};

/// How long a mailbox cannot be read before its people are written to.
pub(super) const FAILING_TOLD_AFTER: Duration = Duration::from_secs(3_600);

/// What a reader knows of the troubles of its mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Since when it cannot be read.
    failing_since: Option<Timestamp>,
    /// How often in a row it could not.
    strikes: u32,
    /// Whether it is told that it holds very many messages.
    is_crowded: bool,
}

impl Trouble {
    /// It could not be read; what is to be told of that, the first time.
    pub(super) fn failed(&mut self, words: &str, now: Timestamp) -> Option<MailboxChange> {
        self.strikes = self.strikes.saturating_add(1);
        let is_first = self.failing_since.is_none();
        self.failing_since.get_or_insert(now);
        is_first.then(|| MailboxChange::Failing(words.into()))
    }

    /// It was read; what is to be told of that, the first time.
    pub(super) fn worked(&mut self) -> Option<MailboxChange> {
        self.strikes = 0;
        self.failing_since.take().map(|_| MailboxChange::Recovered)
    }

    /// It holds so many messages; what is to be told of that, when it becomes too many.
    pub(super) fn holds(&mut self, messages: u64, warn_messages: u32) -> Option<MailboxChange> {
        let was_crowded = std::mem::replace(&mut self.is_crowded, messages >= u64::from(warn_messages));
        (self.is_crowded && !was_crowded).then_some(MailboxChange::Crowded { messages })
    }

    /// It is read under other settings now: it is tried at once, and that it can be read again is still told.
    pub(super) const fn settings_changed(&mut self) {
        (self.strikes, self.is_crowded) = (0, false);
    }

    /// Since when it cannot be read.
    pub(super) const fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// How often in a row it could not be read.
    pub(super) const fn strikes(&self) -> u32 {
        self.strikes
    }

    /// Whether its people are to be written to, because it cannot be read for long.
    pub(super) fn is_lasting(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now.since(since) >= FAILING_TOLD_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_told_once() {
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        let mut trouble = Trouble::default();
        assert_eq!(trouble.worked(), None);
        assert_eq!(trouble.failed("no", at(10)), Some(MailboxChange::Failing("no".into())));
        assert_eq!(trouble.failed("no", at(20)), None);
        assert_eq!((trouble.failing_since(), trouble.strikes()), (Some(at(10)), 2));
        assert!(!trouble.is_lasting(at(3_609)) && trouble.is_lasting(at(3_610)));
        assert_eq!(trouble.worked(), Some(MailboxChange::Recovered));
        assert_eq!((trouble.worked(), trouble.strikes()), (None, 0));
        assert_eq!(trouble.holds(9, 10), None);
        assert_eq!(trouble.holds(10, 10), Some(MailboxChange::Crowded { messages: 10 }));
        assert_eq!(trouble.holds(11, 10), None);
        assert_eq!(trouble.holds(3, 10), None);
        assert!(trouble.holds(12, 10).is_some());
    }
}
