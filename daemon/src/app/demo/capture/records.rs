//! What has the server received, from whom, how often and when?

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::domain::{limits::QuotaUnit, time::Timestamp};

/// Most messages, and most scripted recipients, that one server remembers; it refuses more.
pub(super) const RECORDS_MAX: usize = 1_000_000;

/// A message that the server took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Its Message-ID with the angle brackets; empty when it had none.
    pub message_id: String,
    /// The reverse-path.
    pub sender: String,
    /// The forward-paths that were taken.
    pub recipients: Vec<String>,
    /// When its final dot was read.
    pub at: Timestamp,
    /// Its length without the dots that hide dots, the final one left out.
    pub bytes: usize,
    /// On which connection it came, counted from 1.
    pub connection: u64,
    /// The message itself; empty unless the server was told to keep contents.
    pub content: Vec<u8>,
}

/// A message that one recipient got more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The Message-ID.
    pub message_id: String,
    /// The forward-path.
    pub recipient: String,
    /// How often it was taken.
    pub times: usize,
}

/// What one sender did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounts {
    /// Messages that were taken.
    pub messages: usize,
    /// Recipients of these messages.
    pub recipients: usize,
    /// Recipients, and messages at the end of data, that were refused for good.
    pub refused: usize,
    /// Recipients that were refused for now, once for each time.
    pub deferred: usize,
}

/// What a server has received. Shared by its connections and those who ask.
#[derive(Debug)]
pub struct Records {
    book: Mutex<Book>,
    arrivals: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Book {
    received: Vec<Received>,
    counts: BTreeMap<String, SenderCounts>,
    /// How often each scripted recipient was deferred.
    tries: BTreeMap<String, u32>,
    /// For which messages the connection was closed already.
    vanished: BTreeSet<(String, String)>,
}

impl Records {
    pub(in crate::app::demo) fn new() -> Self {
        Self { book: Mutex::default(), arrivals: watch::Sender::new(0) }
    }

    /// All messages that were taken, in order.
    #[must_use]
    pub fn accepted(&self) -> Vec<Received> {
        self.book().received.clone()
    }

    /// Follows how many messages were taken; the number changes before the client hears of it.
    #[must_use]
    pub fn arrivals(&self) -> watch::Receiver<usize> {
        self.arrivals.subscribe()
    }

    /// Messages that one recipient got more than once, known by their Message-ID.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Duplicate> {
        let book = self.book();
        let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for message in book.received.iter().filter(|message| !message.message_id.is_empty()) {
            for recipient in &message.recipients {
                *times.entry((&message.message_id, recipient)).or_default() += 1;
            }
        }
        let again = times.into_iter().filter(|(_, times)| *times > 1);
        again
            .map(|((message_id, recipient), times)| Duplicate {
                message_id: message_id.to_owned(),
                recipient: recipient.to_owned(),
                times,
            })
            .collect()
    }

    /// The most units of `sender` within any stretch of `window`, wherever it begins. Its end is not part of it: two
    /// messages that lie one window apart are never in the same one.
    #[must_use]
    pub fn most_in_window(&self, sender: &str, unit: QuotaUnit, window: Duration) -> usize {
        let book = self.book();
        let mut inside: VecDeque<(Timestamp, usize)> = VecDeque::new();
        let (mut sum, mut most) = (0, 0);
        for message in book.received.iter().filter(|message| message.sender == sender) {
            let units = match unit {
                QuotaUnit::Messages => 1,
                QuotaUnit::Recipients => message.recipients.len(),
                QuotaUnit::Bytes => message.bytes,
            };
            inside.push_back((message.at, units));
            sum += units;
            while let Some(&(at, units)) = inside.front()
                && message.at.since(at) >= window
            {
                inside.pop_front();
                sum -= units;
            }
            most = most.max(sum);
        }
        most
    }

    /// What `sender` did.
    #[must_use]
    pub fn counts(&self, sender: &str) -> SenderCounts {
        self.book().counts.get(sender).copied().unwrap_or_default()
    }

    /// Enters a message that came to its end; false when the book is full. The time is read while the book is held, so
    /// that the entries stay in its order.
    pub(in crate::app::demo) fn take(&self, mut message: Received, now: impl FnOnce() -> Timestamp) -> bool {
        let mut book = self.book();
        if book.received.len() >= RECORDS_MAX {
            return false;
        }
        message.at = now();
        let counts = book.counts.entry(message.sender.clone()).or_default();
        counts.messages += 1;
        counts.recipients += message.recipients.len();
        book.received.push(message);
        self.arrivals.send_replace(book.received.len());
        true
    }

    /// Counts a refusal.
    pub(super) fn refuse(&self, sender: &str) {
        self.book().counts.entry(sender.to_owned()).or_default().refused += 1;
    }

    /// Whether this try of `recipient`, of which so many are deferred, is one of them.
    pub(super) fn defer(&self, sender: &str, recipient: &str, tries: u32) -> bool {
        let mut book = self.book();
        let full = book.tries.len() >= RECORDS_MAX && !book.tries.contains_key(recipient);
        let tried = if full { 0 } else { *book.tries.entry(recipient.to_owned()).or_default() };
        if tried >= tries {
            return false;
        }
        if !full {
            book.tries.insert(recipient.to_owned(), tried + 1);
        }
        book.counts.entry(sender.to_owned()).or_default().deferred += 1;
        true
    }

    /// Whether the connection closes over this message: the first time it comes to `recipient`.
    pub(super) fn vanish(&self, message_id: &str, recipient: &str) -> bool {
        let mut book = self.book();
        book.vanished.len() < RECORDS_MAX && book.vanished.insert((message_id.to_owned(), recipient.to_owned()))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change below the lock is complete in itself, so a panic elsewhere leaves the book whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, recipients: &[&str]) -> Received {
        let recipients = recipients.iter().map(|&one| one.to_owned()).collect();
        Received { message_id: id.to_owned(), sender: "a@b.jp".to_owned(), recipients, ..Received::default() }
    }

    fn records(entries: &[(u64, &str, &[&str])]) -> Records {
        let records = Records::new();
        for (millis, id, recipients) in entries {
            assert!(records.take(message(id, recipients), || Timestamp::from_millis(*millis)));
        }
        records
    }

    #[test]
    fn a_duplicate_is_the_same_message_to_the_same_recipient() {
        let records = records(&[
            (1, "<1>", &["x@y.jp", "z@y.jp"]),
            (2, "<2>", &["x@y.jp"]),
            (3, "<1>", &["z@y.jp"]),
            (4, "", &["x@y.jp"]),
            (5, "", &["x@y.jp"]),
        ]);
        let expected = Duplicate { message_id: "<1>".to_owned(), recipient: "z@y.jp".to_owned(), times: 2 };
        assert_eq!(records.duplicates(), [expected]);
    }

    #[test]
    fn the_fullest_window_is_found_wherever_it_begins() {
        let records = records(&[
            (0, "<1>", &["x@y.jp"]),
            (900, "<2>", &["x@y.jp", "z@y.jp"]),
            (1_000, "<3>", &["x@y.jp"]),
            (1_899, "<4>", &["x@y.jp"]),
            (1_900, "<5>", &["x@y.jp"]),
        ]);
        let most = |unit, seconds| records.most_in_window("a@b.jp", unit, Duration::from_secs(seconds));
        assert_eq!(most(QuotaUnit::Messages, 1), 3);
        assert_eq!(most(QuotaUnit::Recipients, 1), 4);
        assert_eq!(most(QuotaUnit::Messages, 10), 5);
        assert_eq!(records.most_in_window("c@b.jp", QuotaUnit::Messages, Duration::from_secs(1)), 0);
    }
}
