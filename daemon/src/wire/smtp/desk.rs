//! What do the session and its channel tell each other, while lettre's connection stands between them?

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{failure::Fault, reply_reader::WholeReply, transcript::Transcript};
use crate::domain::verdict::Phase;

/// A place for notes that the session and its channel share. Locked for moments, never across a wait.
#[derive(Clone, Debug)]
pub(super) struct Desk(Arc<Mutex<Notes>>);

/// What lies on the desk.
#[derive(Debug)]
pub(super) struct Notes {
    /// The phase that the session is in; it decides limits, and what of our words may be kept.
    pub(super) phase: Phase,
    /// How the channel treats what lettre writes and reads.
    pub(super) mode: Mode,
    /// Replies as they were read, which the session has not picked up yet.
    pub(super) replies: VecDeque<WholeReply>,
    /// What broke the channel, until the session picks it up.
    pub(super) fault: Option<Fault>,
    /// Whether the final dot of the present message may have reached the server.
    pub(super) dot_is_out: bool,
    /// What was said.
    pub(super) transcript: Transcript,
}

/// How the channel treats what lettre writes and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Words go to the server and its replies come back.
    Live,
    /// The greeting and EHLO, which we have exchanged ourselves, are played to lettre; its own words go nowhere.
    Replaying,
    /// We are leaving: what is written still goes out, nothing is read any more.
    Leaving,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Notes {
            phase: Phase::Greeting,
            mode: Mode::Live,
            replies: VecDeque::new(),
            fault: None,
            dot_is_out: false,
            transcript: Transcript::default(),
        })))
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        let mut notes = self.notes();
        notes.phase = phase;
        notes.dot_is_out = false;
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.notes().mode = mode;
    }

    /// What the last exchange came to: the reply, or what broke the channel.
    pub(super) fn outcome(&self) -> Result<WholeReply, Fault> {
        let mut notes = self.notes();
        match notes.replies.pop_front() {
            Some(whole) => Ok(whole),
            None => Err(notes.fault.take().unwrap_or(Fault::Unusable)),
        }
    }

    pub(super) fn transcript(&self) -> String {
        self.notes().transcript.text()
    }
}
