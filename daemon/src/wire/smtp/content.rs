//! How is a message sent by DATA, and the next envelope with it?
//!
//! RFC 2920 3.1 lets the content be the first of a group of commands, so that a message costs one round trip.

use super::{
    channel::BLOCK_BYTES,
    envelope::{Ending, EnvelopeReplies, name_group},
    failure::{Broken, EnvelopeFailure, Fault},
    session::{Session, State},
};
use crate::{
    domain::{
        mail::{Envelope, Message},
        reply::Reply,
        verdict::Phase,
    },
    wire::steps::{self, StepName},
};

/// The envelope that was sent with the content of the message before it. Its replies must be read before the session
/// can be used again: a session whose `Ahead` was dropped is unusable.
#[derive(Debug)]
#[must_use = "the session is unusable until the replies were read"]
pub struct Ahead<'s> {
    session: &'s mut Session,
    envelope: &'s Envelope,
    message: &'s Message,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    /// The first group of its commands is out.
    Asked,
    /// It could not go with the content, and waits.
    Waits,
    /// The server will never be asked.
    Failed(EnvelopeFailure),
}

impl Session {
    /// Sends the content and the final dot, and reads what the server says to it. A 421 is an answer here, after which
    /// the session is no longer ready.
    ///
    /// # Errors
    /// When the session breaks; [`Broken::in_doubt`] says whether the server may have taken the message.
    pub async fn message(&mut self, message: &Message) -> Result<Reply, Broken> {
        self.start(State::ContentDue, Phase::EndOfData)?;
        let reply = self.content(message, String::new()).await?;
        if reply.code() != 421 {
            self.state = State::Idle;
        }
        Ok(reply)
    }

    /// As [`Session::message`], and sends the next envelope with the final dot, in one write: MAIL, the first 100 of its
    /// recipients and, when these are all, DATA. The reply to the dot is returned at once; those to the envelope are
    /// read by [`Ahead::replies`], which must follow.
    ///
    /// Where the server does not offer PIPELINING the envelope is sent when its replies are asked for; to the caller
    /// nothing changes but the time it takes. An envelope that needs what is not offered is not sent at all, and the
    /// message is.
    ///
    /// A refused dot, too, leaves the envelope standing. After a 421 or a break the envelope was not acted on: it fails
    /// in the phase MAIL with the same cause, and never is in doubt.
    pub async fn message_then_envelope<'s>(
        &'s mut self,
        message: &Message,
        next: (&'s Envelope, &'s Message),
    ) -> (Result<Reply, Broken>, Ahead<'s>) {
        let (sequel, standing) = match self.mail_command(next.0, next.1) {
            Err(needed) => (String::new(), Standing::Failed(EnvelopeFailure::NotOffered(needed))),
            Ok(mut commands) if self.may_group(next.0) => {
                name_group(&mut commands, &next.0.recipients, Ending::Data);
                (commands, Standing::Asked)
            }
            Ok(_) => (String::new(), Standing::Waits),
        };
        let reply = match self.start(State::ContentDue, Phase::EndOfData) {
            Ok(()) => self.content(message, sequel).await,
            Err(unusable) => Err(unusable),
        };
        let cause = match &reply {
            Ok(reply) if reply.code() == 421 => Some(Fault::Closing(reply.clone())),
            Ok(_) => None,
            Err(broken) => Some(broken.cause.clone()),
        };
        let standing = match (cause, standing) {
            (Some(cause), Standing::Asked | Standing::Waits) => Standing::Failed(never_asked(cause)),
            (Some(_), failed) => failed,
            (None, Standing::Asked) => Standing::Asked,
            (None, unasked) => {
                self.state = State::Idle;
                unasked
            }
        };
        (reply, Ahead { session: self, envelope: next.0, message: next.1, standing })
    }

    /// Sends content with what follows it at once. The session stays unusable until the caller says otherwise.
    async fn content(&mut self, message: &Message, sequel: String) -> Result<Reply, Broken> {
        let step = steps::begin(StepName::EndOfData);
        self.line.begin_content(sequel);
        // lettre always writes a line end before the dot.
        let content = message.bytes.strip_suffix(b"\r\n").unwrap_or(&message.bytes);
        if let Some(connection) = &mut self.connection {
            // What lettre makes of the reply is no matter: the line keeps the reply itself.
            let _ = connection.message_iter(content.chunks(BLOCK_BYTES)).await;
        }
        let outcome = self.line.outcome();
        self.line.end_step(step, outcome.as_ref().map(|whole| &whole.reply));
        let cause = match outcome {
            Ok(whole) if whole.reply.code() == 421 => {
                self.close();
                return Ok(whole.reply);
            }
            // A 3xx where a message is complete shows that replies and commands no longer match.
            Ok(whole) if whole.reply.code() / 100 == 3 => Fault::Unsolicited(whole.reply.to_string()),
            Ok(whole) => return Ok(whole.reply),
            Err(fault) => fault,
        };
        let in_doubt = self.line.dot_may_have_left();
        self.close();
        Err(Broken { phase: Phase::EndOfData, cause, in_doubt, answered: Vec::new() })
    }
}

impl Ahead<'_> {
    /// Reads the replies to the envelope. What must follow is the same as after [`Session::envelope`].
    ///
    /// # Errors
    /// As [`Session::envelope`]; also when the session broke with the message before.
    pub async fn replies(self) -> Result<EnvelopeReplies, EnvelopeFailure> {
        match self.standing {
            Standing::Failed(failure) => Err(failure),
            Standing::Waits => self.session.envelope(self.envelope, self.message).await,
            Standing::Asked => {
                let replies = self.session.group_replies(self.envelope, Ending::Data).await?;
                self.session.settle(&replies);
                Ok(replies)
            }
        }
    }
}

fn never_asked(cause: Fault) -> EnvelopeFailure {
    Broken { phase: Phase::Mail, cause, in_doubt: false, answered: Vec::new() }.into()
}
