//! How are many messages sent at once by BDAT (RFC 3030)?
//!
//! BDAT needs no leave to send content, so whole messages follow each other in one write, and all replies are read after
//! it: many messages a round trip. Small ones go in batches. One that is too large for a batch goes alone, after its
//! envelope was answered, so that it is not sent to a server that will not have it.

use std::{collections::VecDeque, fmt::Write};

use super::{
    envelope::{Ending, EnvelopeReplies, RECIPIENTS_PER_WRITE_MAX, name_group},
    failure::{Broken, EnvelopeFailure, Fault, Needed},
    offers::Offers,
    session::{Session, State},
};
use crate::domain::{
    mail::{Envelope, Message},
    reply::Reply,
    verdict::Phase,
};

/// Most messages that are sent before a reply is read. They have at most [`RECIPIENTS_PER_WRITE_MAX`] recipients together:
/// replies that nobody reads yet must fit into the sockets' buffers, or both sides would wait for each other (RFC 2920
/// 3.1).
pub(super) const BATCH_MESSAGES_MAX: usize = 8;
/// Most bytes of content that are sent before a reply is read.
pub(super) const BATCH_BYTES_MAX: usize = 262_144;

/// Messages on their way by BDAT; see [`Session::run`].
#[derive(Debug)]
#[must_use = "the session is unusable until all outcomes were read"]
pub struct Run<'s> {
    session: &'s mut Session,
    messages: &'s [(&'s Envelope, &'s Message)],
    /// How many outcomes were told.
    told: usize,
    /// Those of the present batch that were not told yet.
    batch: VecDeque<Step>,
    /// Whether the server may still be within a transaction, as it did not take the last message.
    is_open: bool,
    /// A 421 that was read.
    closing: Option<Reply>,
    /// What broke the session.
    broken: Option<Fault>,
}

/// What became of one message of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Somebody was accepted, so that the reply to the content decides for them. It may be a 421.
    Answered {
        /// To MAIL and each RCPT.
        envelope: EnvelopeReplies,
        /// To the last chunk.
        reply: Reply,
    },
    /// MAIL or every RCPT was refused; nothing was sent to anybody.
    Refused {
        /// To MAIL and each RCPT.
        envelope: EnvelopeReplies,
    },
}

/// How a message goes out.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Not at all.
    NotOffered(Needed),
    /// Alone.
    Alone,
    /// With others; it waits to be written or was.
    Posted {
        /// Whether RSET stands before it.
        after_reset: bool,
        /// The position after its commands.
        commands: u64,
        /// The position after its content.
        content: u64,
    },
}

impl Offers {
    /// Whether [`Session::run`] may be used: the server offers CHUNKING and PIPELINING. A server may offer them and fail
    /// in them; then [`Session::envelope`] and [`Session::message`] still go by DATA.
    #[must_use]
    pub const fn takes_runs(&self) -> bool {
        self.chunking && self.pipelining
    }
}

impl Session {
    /// Sends messages by BDAT: up to eight, with up to 256 KiB of content and 100 recipients, in one write; the next ones
    /// when these were answered. Nothing is sent before the first [`Run::next`], which must then be called until it has
    /// told the outcome of each message: a session whose run was dropped before is unusable.
    ///
    /// Every message may have left once the first outcome is asked for, so each must be marked before.
    ///
    /// Where [`Offers::takes_runs`] says no, nothing is sent, each outcome is [`Fault::Unusable`], and the session is as
    /// before.
    pub const fn run<'s>(&'s mut self, messages: &'s [(&'s Envelope, &'s Message)]) -> Run<'s> {
        Run { session: self, messages, told: 0, batch: VecDeque::new(), is_open: false, closing: None, broken: None }
    }
}

impl Run<'_> {
    /// The outcome of the next message, in their order; nothing after the last. Then the session is ready again, unless
    /// it broke or the server said 421.
    ///
    /// A message fails as an envelope does. [`Broken::in_doubt`] is set when its last byte may have left, its envelope was
    /// not refused, and its content was not answered; the phase is [`Phase::EndOfData`] then. A message whose last byte
    /// did not leave was certainly not taken, nor was one that follows a 421 with which the server closed.
    /// [`Broken::answered`] holds the replies to its MAIL and RCPTs.
    pub async fn next(&mut self) -> Option<Result<Carried, EnvelopeFailure>> {
        let Some(&(envelope, message)) = self.messages.get(self.told) else {
            if self.session.state == State::Begun && self.told > 0 {
                // A failure shows in the session, which is no longer ready.
                let _ = self.session.reset().await;
            }
            return None;
        };
        if self.told == 0 {
            self.begin();
        }
        if self.batch.is_empty() && self.broken.is_none() {
            self.post_batch().await;
        }
        self.told += 1;
        let outcome = match self.batch.pop_front() {
            Some(Step::NotOffered(needed)) => Err(EnvelopeFailure::NotOffered(needed)),
            Some(Step::Alone) => self.carry_alone(envelope, message).await,
            Some(Step::Posted { after_reset, commands, content }) => {
                self.read_posted(envelope, after_reset, commands, content).await
            }
            None => Err(self.fail(Vec::new(), Phase::Mail, None)),
        };
        if self.told == self.messages.len() {
            self.end();
        }
        Some(outcome)
    }

    fn begin(&mut self) {
        if !self.session.offers.takes_runs() || self.session.start(State::Idle, Phase::Mail).is_err() {
            self.broken = Some(Fault::Unusable);
        }
    }

    fn end(&mut self) {
        if self.closing.is_some() {
            self.session.close();
        } else if self.broken.is_none() {
            self.session.state = if self.is_open { State::Begun } else { State::Idle };
        }
    }

    /// Posts as many messages as may go together, which are written when the first reply is asked for.
    async fn post_batch(&mut self) {
        let (mut messages, mut bytes, mut recipients) = (0, 0, 0);
        for &(envelope, message) in &self.messages[self.told..] {
            let mail = match self.session.mail_command(envelope, message) {
                Ok(mail) => mail,
                Err(needed) => {
                    self.batch.push_back(Step::NotOffered(needed));
                    continue;
                }
            };
            messages += 1;
            bytes += message.bytes.len();
            recipients += envelope.recipients.len();
            let is_grouped = self.session.may_group(envelope);
            let fits = bytes <= BATCH_BYTES_MAX && recipients <= RECIPIENTS_PER_WRITE_MAX && is_grouped;
            if !fits && self.batch.is_empty() {
                self.batch.push_back(Step::Alone);
            }
            if !fits || messages > BATCH_MESSAGES_MAX {
                return;
            }
            // What a refused message leaves of its transaction must not become a part of the next one.
            let after_reset = self.is_open || messages > 1;
            match self.post(mail, envelope, message, after_reset).await {
                Ok(step) => self.batch.push_back(step),
                Err(fault) => {
                    self.session.close();
                    self.broken = Some(fault);
                    return;
                }
            }
        }
    }

    async fn post(
        &self,
        mail: String,
        envelope: &Envelope,
        message: &Message,
        after_reset: bool,
    ) -> Result<Step, Fault> {
        let mut words = if after_reset { "RSET\r\n".to_owned() } else { String::new() };
        words += &mail;
        name_group(&mut words, &envelope.recipients, Ending::Nothing);
        let (commands, content) = self.post_content(words, message).await?;
        Ok(Step::Posted { after_reset, commands, content })
    }

    /// Posts commands and content, and tells the positions after them.
    async fn post_content(&self, mut commands: String, message: &Message) -> Result<(u64, u64), Fault> {
        let line = &self.session.line;
        // As with DATA, content always ends with a line end.
        let line_end: &[u8] = if message.bytes.ends_with(b"\r\n") { b"" } else { b"\r\n" };
        write!(commands, "BDAT {} LAST\r\n", message.bytes.len() + line_end.len()).expect("a string takes all");
        line.post(Phase::Mail, commands.as_bytes()).await?;
        let commands = line.end();
        line.post(Phase::EndOfData, &message.bytes).await?;
        line.post(Phase::EndOfData, line_end).await?;
        Ok((commands, line.end()))
    }

    /// Reads the replies to a message that was posted with others.
    async fn read_posted(
        &mut self,
        envelope: &Envelope,
        after_reset: bool,
        commands: u64,
        content: u64,
    ) -> Result<Carried, EnvelopeFailure> {
        let mut answered = Vec::with_capacity(envelope.recipients.len() + 1);
        match self.hear_posted(envelope, after_reset, commands, content, &mut answered).await {
            Ok(reply) => {
                let mail_refused = !answered[0].is_positive();
                self.is_open = !reply.is_positive();
                if mail_refused && reply.is_positive() {
                    // It has taken something: the replies are out of step, or the sender is that of another message.
                    self.broken = Some(Fault::Unsolicited(reply.to_string()));
                    self.session.close();
                    return Err(self.fail(Vec::new(), Phase::EndOfData, Some(content)));
                }
                Ok(Carried::sort(EnvelopeReplies::from_answered(answered, None).expect("MAIL was answered"), reply))
            }
            Err(phase) => {
                let is_mail_refused = answered.first().is_some_and(|mail| !mail.is_positive());
                let is_nobody_accepted = phase == Phase::EndOfData && !answered[1..].iter().any(Reply::is_positive);
                if is_mail_refused || is_nobody_accepted {
                    let envelope = EnvelopeReplies::from_answered(answered, None).expect("MAIL was answered");
                    return Ok(Carried::Refused { envelope });
                }
                Err(self.fail(answered, phase, Some(content)))
            }
        }
    }

    /// Reads all replies to a message; fails with the phase in which the session broke.
    async fn hear_posted(
        &mut self,
        envelope: &Envelope,
        after_reset: bool,
        commands: u64,
        content: u64,
        answered: &mut Vec<Reply>,
    ) -> Result<Reply, Phase> {
        if after_reset {
            self.hear(Phase::Mail, commands).await?;
        }
        answered.push(self.hear(Phase::Mail, commands).await?);
        for _ in &envelope.recipients {
            answered.push(self.hear(Phase::Rcpt, commands).await?);
        }
        self.hear(Phase::EndOfData, content).await
    }

    /// Sends a message that is too large for a batch: its envelope, and its content when somebody was accepted.
    async fn carry_alone(&mut self, envelope: &Envelope, message: &Message) -> Result<Carried, EnvelopeFailure> {
        let replies = match self.envelope_alone(envelope, message).await {
            Ok(replies) => replies,
            Err(failure) => {
                if let EnvelopeFailure::Broken(broken) = &failure {
                    self.broken = Some(broken.cause.clone());
                }
                return Err(failure);
            }
        };
        self.is_open = replies.mail.is_positive();
        self.session.state = State::Unusable;
        if !replies.is_anybody_accepted() {
            return Ok(Carried::Refused { envelope: replies });
        }
        let end = match self.post_content(String::new(), message).await {
            Ok((_, end)) => Some(end),
            Err(fault) => {
                self.session.close();
                self.broken = Some(fault);
                None
            }
        };
        let reply = match end {
            Some(end) => self.hear(Phase::EndOfData, end).await,
            None => Err(Phase::EndOfData),
        };
        match reply {
            Ok(reply) => {
                self.is_open = !reply.is_positive();
                Ok(Carried::Answered { envelope: replies, reply })
            }
            Err(phase) => {
                let answered = std::iter::once(replies.mail).chain(replies.recipients).collect();
                Err(self.fail(answered, phase, end))
            }
        }
    }

    async fn envelope_alone(
        &mut self,
        envelope: &Envelope,
        message: &Message,
    ) -> Result<EnvelopeReplies, EnvelopeFailure> {
        if self.is_open {
            self.session.state = State::Begun;
            self.session.reset().await?;
        }
        self.session.state = State::Idle;
        self.session.envelope_with(envelope, message, Ending::Nothing).await
    }

    /// Reads a reply to what ends at `position`; fails with the phase, and notes what broke the session.
    ///
    /// A 421 counts as a refusal as long as the server goes on: it may still take what follows.
    async fn hear(&mut self, phase: Phase, position: u64) -> Result<Reply, Phase> {
        if self.broken.is_some() {
            return Err(phase);
        }
        let fault = match self.session.line.hear_to(phase, position).await {
            Ok(whole) if whole.reply.code() / 100 == 3 => Fault::Unsolicited(whole.reply.to_string()),
            Ok(whole) => {
                if whole.reply.code() == 421 {
                    self.closing.get_or_insert_with(|| whole.reply.clone());
                }
                return Ok(whole.reply);
            }
            // RFC 5321 3.8: it has said that it closes, and acts on nothing that follows.
            Err(Fault::Closed | Fault::Io(_)) if let Some(reply) = &self.closing => Fault::Closing(reply.clone()),
            Err(fault) => fault,
        };
        self.session.close();
        self.broken = Some(fault);
        Err(phase)
    }

    /// How a message fails after the session broke. `end` is the position after its content, if that was posted.
    fn fail(&self, mut answered: Vec<Reply>, mut phase: Phase, end: Option<u64>) -> EnvelopeFailure {
        let cause = self.broken.clone().unwrap_or(Fault::Unusable);
        let has_closed = matches!(cause, Fault::Closing(_));
        let in_doubt = !has_closed && end.is_some_and(|end| self.session.line.may_have_left(end));
        if in_doubt {
            phase = Phase::EndOfData;
        } else if has_closed && let Some(first) = answered.iter().position(|reply| reply.code() == 421) {
            // It is the cause, and no answer. Had it been said to MAIL, the message would be refused.
            answered.truncate(first);
            phase = Phase::Rcpt;
        }
        Broken { phase, cause, in_doubt, answered }.into()
    }
}

impl Carried {
    fn sort(envelope: EnvelopeReplies, reply: Reply) -> Self {
        if envelope.is_anybody_accepted() { Self::Answered { envelope, reply } } else { Self::Refused { envelope } }
    }
}
