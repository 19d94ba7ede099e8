//! How does a provider behave at a step of a session? Its mood, which chance changes every few hours, says.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use hikyaku_daemon::domain::time::Timestamp;

use crate::{
    chance::Chance,
    plan::{self, SILENT, STEADY},
};

/// How long a mood lasts, in milliseconds.
const MOOD_MILLIS: u64 = 2 * 3_600_000;
/// Most recipients that a greylist remembers.
const GREYLIST_MAX: usize = 100_000;

/// A step of a session at which something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Banner,
    Hello,
    SignIn,
    Mail,
    Rcpt,
    Data,
    /// In the midst of the message.
    Body,
    /// After the final dot, before its reply.
    Dot,
    /// After that reply.
    Replied,
}

/// What the provider does at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// As it should.
    Go,
    /// It takes its time.
    Wait(Duration),
    /// It closes the connection without a word.
    Drop,
    /// It says nothing any more.
    Hang,
    /// It answers something else.
    Say(&'static str),
    /// It answers something else and closes the connection.
    Close(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Slow,
    Dropping,
    Deferring,
    Refusing,
    Closing,
    Greylisting,
    Stingy,
    LockedOut,
    Hanging,
}

const MOODS: [Mood; 12] = [
    Mood::Well,
    Mood::Well,
    Mood::Well,
    Mood::Slow,
    Mood::Dropping,
    Mood::Deferring,
    Mood::Refusing,
    Mood::Closing,
    Mood::Greylisting,
    Mood::Stingy,
    Mood::LockedOut,
    Mood::Hanging,
];

/// The conduct of one provider.
#[derive(Debug)]
pub(crate) struct Conduct {
    seed: u64,
    provider: usize,
    /// From then on it behaves well.
    calm_from: Timestamp,
    chance: Chance,
    greylist: Mutex<BTreeSet<(usize, usize)>>,
}

impl Conduct {
    pub(crate) fn new(seed: u64, provider: usize, calm_from: Timestamp) -> Self {
        let chance = Chance::new(seed, &plan::provider_name(provider));
        Self { seed, provider, calm_from, chance, greylist: Mutex::default() }
    }

    /// Whether it offers PIPELINING. The steady one does.
    pub(crate) fn is_pipelining(&self) -> bool {
        self.provider == STEADY || !Chance::new(self.seed, &format!("pipelining-{}", self.provider)).one_in(3)
    }

    /// True in half of the cases.
    pub(crate) fn coin(&self) -> bool {
        self.chance.one_in(2)
    }

    /// What it does at a step.
    pub(crate) fn act(&self, step: Step, now: Timestamp) -> Act {
        let chance = &self.chance;
        match self.mood(now) {
            None => Act::Hang,
            Some(Mood::Slow) if chance.one_in(3) => Act::Wait(chance.seconds(1..=90)),
            Some(Mood::Dropping) if chance.one_in(8) => Act::Drop,
            Some(Mood::Deferring) if chance.one_in(5) => deferral(step).map_or(Act::Go, Act::Say),
            Some(Mood::Refusing) if chance.one_in(12) => refusal(step).map_or(Act::Go, Act::Say),
            Some(Mood::Closing) if chance.one_in(8) => Act::Close("421 4.3.2 closing down for a moment"),
            Some(Mood::Stingy) if step == Step::Mail && chance.one_in(3) => {
                Act::Say("452 4.7.1 hourly sending quota exceeded")
            }
            Some(Mood::LockedOut) if step == Step::SignIn => Act::Say("535 5.7.8 authentication credentials invalid"),
            Some(Mood::Hanging) if chance.one_in(12) => Act::Hang,
            Some(_) => Act::Go,
        }
    }

    /// Whether a recipient has to come again.
    pub(crate) fn is_greylisted(&self, job: usize, recipient: usize, now: Timestamp) -> bool {
        if self.mood(now) != Some(Mood::Greylisting) {
            return false;
        }
        let mut known = self.greylist.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() >= GREYLIST_MAX {
            known.clear();
        }
        known.insert((job, recipient))
    }

    /// The mood; nothing for a provider that never says anything.
    fn mood(&self, now: Timestamp) -> Option<Mood> {
        if now >= self.calm_from {
            return Some(Mood::Well);
        }
        match self.provider {
            STEADY => Some(Mood::Well),
            SILENT => None,
            provider => {
                let number = now.as_millis() / MOOD_MILLIS;
                Some(Chance::new(self.seed, &format!("mood-{provider}-{number}")).pick(&MOODS))
            }
        }
    }
}

fn deferral(step: Step) -> Option<&'static str> {
    match step {
        Step::Banner | Step::Hello => Some("450 4.3.2 too busy, come again"),
        Step::SignIn => Some("454 4.7.0 temporary authentication failure"),
        Step::Mail => Some("451 4.3.0 try again later"),
        Step::Rcpt => Some("450 4.2.0 mailbox busy, try again in 300 seconds"),
        Step::Data | Step::Dot => Some("451 4.3.0 local error in processing"),
        Step::Body | Step::Replied => None,
    }
}

fn refusal(step: Step) -> Option<&'static str> {
    match step {
        Step::Banner | Step::Hello => Some("554 5.3.2 no service here"),
        Step::Rcpt => Some("550 5.1.1 user unknown"),
        Step::Mail | Step::Data | Step::Dot => Some("554 5.6.0 message refused"),
        Step::SignIn | Step::Body | Step::Replied => None,
    }
}
