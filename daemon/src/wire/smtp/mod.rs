//! An SMTP client, phase by phase (RFC 5321): lettre's connection on a channel of our own.

mod channel;
mod content;
mod dialect;
mod envelope;
mod failure;
mod limits;
mod line;
mod offers;
mod opening;
mod outgoing;
mod reply_reader;
mod run;
mod secrets;
mod session;
mod sign_in;
mod transcript;

#[cfg(test)]
mod handover_dialogues;
#[cfg(test)]
mod opening_dialogues;
#[cfg(test)]
mod run_dialogues;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod session_dialogues;
#[cfg(test)]
mod sign_in_dialogues;

pub use self::{
    content::Ahead,
    envelope::EnvelopeReplies,
    failure::{Broken, EnvelopeFailure, Fault, Needed, Obstacle, ObstacleCause},
    offers::Offers,
    opening::Provider,
    reply_reader::read_replies,
    run::{Carried, Run},
    session::{Abandoned, Session},
    sign_in::Credentials,
};
