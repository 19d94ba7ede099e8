//! An SMTP client, phase by phase (RFC 5321): lettre's connection on a channel of our own.

mod channel;
mod desk;
mod dialect;
mod failure;
mod limits;
mod offers;
mod opening;
mod reply_reader;
mod secrets;
mod session;
mod transcript;

#[cfg(test)]
mod opening_dialogues;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod session_dialogues;

pub use self::{
    failure::{Broken, EnvelopeFailure, Fault, Needed, Obstacle, ObstacleCause},
    offers::Offers,
    opening::Provider,
    session::{Abandoned, EnvelopeReplies, Session},
};
