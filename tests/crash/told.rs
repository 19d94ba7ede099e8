//! What was submitted, and what were the clients told about it?

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hikyaku_client::{
    Draft,
    proto::{JobState, SubmitJobRequest},
};

use crate::{chance::Chance, recorder::Dialect};

/// What shall become of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It is sent.
    Send,
    /// It is submitted on hold and then cancelled: it must never be sent.
    Cancel,
    /// It is submitted on hold and released at the end.
    Release,
}

/// One submission, which is the same whenever it is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submission {
    /// Its idempotency key, which is its subject too.
    pub(crate) key: String,
    pub(crate) account: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) plan: Plan,
}

/// A submission with what its client was told.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) submission: Submission,
    /// The job's id, once it was acknowledged.
    pub(crate) job_id: Option<String>,
    /// Whether its cancelling was acknowledged.
    pub(crate) cancelled: bool,
}

/// How a job ended for all who watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) state: JobState,
    /// When a watcher had heard of it, in milliseconds since 1970.
    pub(crate) at_millis: u64,
}

/// Everything that clients submitted, by key.
#[derive(Debug, Default)]
pub(crate) struct Told {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// What watchers were told to have ended, by job id.
    endings: Mutex<BTreeMap<String, Ending>>,
    /// What clients were told that they should not have been.
    complaints: Mutex<Vec<String>>,
}

impl Submission {
    /// A random submission of one of `accounts`.
    pub(crate) fn random(key: String, account: &str, dialect: Dialect, chance: &mut Chance) -> Self {
        let plain = |suffix: &str| format!("{key}{suffix}@rcpt.test");
        let (recipients, plan) = match chance.below(100) {
            0..4 => (vec![plain("-a"), dialect.refused(&key), plain("-b")], Plan::Send),
            4..7 => (vec![plain("-a"), dialect.deferred(&key)], Plan::Send),
            7..9 => (vec![dialect.vanishing(&key)], Plan::Send),
            9..12 => (vec![plain("-a")], Plan::Cancel),
            12..15 => (vec![plain("-a"), plain("-b")], Plan::Release),
            _ => (vec![plain("")], Plan::Send),
        };
        Self { key, account: account.to_owned(), recipients, plan }
    }

    /// The text, from which the key can be told again; each has another length.
    pub(crate) fn text(&self) -> String {
        let lines = self.key.bytes().map(usize::from).sum::<usize>() % 23;
        (0..=lines).map(|line| format!("{} line {line}\n", self.key)).collect()
    }

    /// The request.
    pub(crate) fn request(&self) -> SubmitJobRequest {
        let mut draft = Draft::new(&self.account).subject(&self.key).text(self.text()).idempotency_key(&self.key);
        if carries_catalogue(&self.key) {
            draft = draft.attach("catalogue.bin", "", catalogue());
        }
        let draft = self.recipients.iter().fold(draft, |draft, recipient| draft.recipient("", recipient));
        if self.plan == Plan::Send { draft.into() } else { draft.hold().into() }
    }
}

/// Whether the submission of this key carries a file that others carry too: the store keeps it once for all of them.
pub(crate) fn carries_catalogue(key: &str) -> bool {
    key.bytes().fold(0_usize, |sum, byte| sum * 31 % 1_009 + usize::from(byte)).is_multiple_of(29)
}

/// The file, too large for the spool.
pub(crate) fn catalogue() -> Vec<u8> {
    (0_u32..16_384).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

impl Told {
    /// Notes a submission before it is made.
    pub(crate) fn offer(&self, submission: &Submission) {
        let entry = Entry { submission: submission.clone(), job_id: None, cancelled: false };
        self.book().insert(submission.key.clone(), entry);
    }

    /// Notes that a submission was acknowledged. Another id than before is wrong.
    pub(crate) fn acknowledge(&self, key: &str, job_id: &str) {
        let other = match self.book().get_mut(key) {
            Some(entry) => entry.job_id.replace(job_id.to_owned()).filter(|old| old != job_id),
            None => None,
        };
        if let Some(other) = other {
            self.complain(format!("{key} was acknowledged as {other} and as {job_id}"));
        }
    }

    /// Notes that a cancelling was acknowledged.
    pub(crate) fn cancelled(&self, key: &str) {
        if let Some(entry) = self.book().get_mut(key) {
            entry.cancelled = true;
        }
    }

    /// Notes that a watcher was told of a job's end. Another end than before is wrong.
    pub(crate) fn ended(&self, job_id: &str, ending: Ending) {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *endings.entry(job_id.to_owned()).or_insert(ending);
        drop(endings);
        if first.state != ending.state {
            self.complain(format!("resurrected: {job_id} ended as {:?} and then as {:?}", first.state, ending.state));
        }
    }

    /// All jobs that ended for all to see, by id.
    pub(crate) fn endings(&self) -> BTreeMap<String, Ending> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what a client should not have been told.
    pub(crate) fn complain(&self, what: String) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// All entries, in the order of their keys.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.book().values().cloned().collect()
    }

    /// All complaints.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
