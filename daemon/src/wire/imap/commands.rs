//! How is a command given and its answer heard, within bounds of time and size, whatever the server says?

use std::{fmt::Debug, panic::AssertUnwindSafe, time::Duration};

use async_imap::{
    error::Error as ImapError,
    imap_proto::{Capability, MailboxDatum, RequestId, Response, Status},
};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::{ImapSession, cause};
use crate::wire::{
    mailbox::{MailboxCause, MailboxFailure},
    steps::StepName,
};

/// Most bytes of an answer that lists no messages and brings none.
pub(super) const ANSWER_BYTES_MAX: usize = 4_194_304;
/// An answer that brings much may take a second longer for so many bytes.
const PACE_BYTES: usize = 4_096;
/// The longest limit that is honoured: a day.
const LIMIT_SECONDS_MAX: u64 = 86_400;

/// A command, and what its answer may be.
#[derive(Debug)]
pub(super) struct Order {
    step: StepName,
    pieces: Vec<String>,
    bytes_max: usize,
}

/// What looks at the untagged responses of an answer, and at its end when the command was done.
pub(super) type Visit<'a> = &'a mut (dyn FnMut(&Response<'_>) + Send);

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long nothing at all may come.
    pub(super) quiet: Duration,
    /// Until when it must have ended.
    pub(super) until: Instant,
}

/// What was heard.
pub(super) enum Heard {
    /// Something of the answer.
    More,
    /// The server waits for the rest of the command.
    GoOn,
    /// The end: it is done, or it was refused in these words.
    End(Result<(), String>),
}

impl Order {
    /// A command about folders, or about the session.
    pub(super) fn on_folders(command: impl Into<String>) -> Self {
        Self { step: StepName::Folders, pieces: vec![command.into()], bytes_max: ANSWER_BYTES_MAX }
    }

    /// A command about messages.
    pub(super) fn on_messages(command: impl Into<String>) -> Self {
        Self { step: StepName::Messages, ..Self::on_folders(command) }
    }

    /// Goes on with these pieces, each of which the server asks for (RFC 3501 7.5).
    pub(super) fn then(mut self, pieces: Vec<String>) -> Self {
        self.pieces.extend(pieces);
        self
    }

    /// May be answered with so many bytes.
    pub(super) fn for_bytes(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }
}

impl ImapSession {
    /// Gives a command and shows each response to `visit`. After a refusal the session goes on; after any other
    /// failure, or when this is dropped half-way, it is of no use any more.
    pub(super) async fn command(&mut self, order: &Order, visit: Visit<'_>) -> Result<(), MailboxFailure> {
        self.begin(order.step, &order.pieces.join("\n"), order.bytes_max)?;
        let answer = Box::pin(self.converse(order, visit)).await;
        self.end(answer)
    }

    /// Begins a step in which something is said and so much may be answered.
    pub(super) fn begin(&mut self, step: StepName, shown: &str, bytes_max: usize) -> Result<(), MailboxFailure> {
        self.talk.begin(step, shown);
        self.words.expect(bytes_max);
        if std::mem::replace(&mut self.is_lost, true) {
            return Err(self.talk.failure(MailboxCause::Closed));
        }
        Ok(())
    }

    /// Ends the step; the session goes on if the server has ended its answer.
    pub(super) fn end(&mut self, answer: Result<Result<(), String>, MailboxCause>) -> Result<(), MailboxFailure> {
        self.talk.note(&self.words.all());
        self.is_lost = answer.is_err();
        match answer {
            Ok(Ok(())) => {
                self.talk.done();
                Ok(())
            }
            Ok(Err(words)) => Err(self.talk.failure(MailboxCause::Refused(words))),
            Err(cause) => Err(self.talk.failure(cause)),
        }
    }

    /// The server's capabilities after the sign-in (RFC 3501 6.1.1) hold this word, in capital letters. They are asked for
    /// once.
    pub(super) async fn offers(&mut self, word: &str) -> Result<bool, MailboxFailure> {
        if self.capabilities.is_none() {
            let mut words = Vec::new();
            let mut visit = |response: &Response<'_>| {
                if let Response::Capabilities(list) = response {
                    words.extend(list.iter().filter_map(|capability| match capability {
                        Capability::Atom(word) => Some(word.to_ascii_uppercase()),
                        _ => None,
                    }));
                }
            };
            self.command(&Order::on_folders("CAPABILITY"), &mut visit).await?;
            self.capabilities = Some(words);
        }
        Ok(self.capabilities.iter().flatten().any(|offered| offered == word))
    }

    pub(super) async fn converse(
        &mut self,
        order: &Order,
        visit: Visit<'_>,
    ) -> Result<Result<(), String>, MailboxCause> {
        let patience = self.patience(order.bytes_max);
        let mut pieces = order.pieces.iter();
        let tag = self.say(pieces.next().map_or("NOOP", String::as_str)).await?;
        loop {
            match self.hear(&tag, patience, visit).await? {
                Heard::More => {}
                Heard::GoOn => {
                    if let Some(piece) = pieces.next() {
                        self.say_on(piece).await?;
                    }
                }
                Heard::End(end) => return Ok(end),
            }
        }
    }

    pub(super) fn patience(&self, bytes_max: usize) -> Patience {
        let quiet = self.talk.endpoint.timeouts.command.min(Duration::from_secs(LIMIT_SECONDS_MAX));
        let seconds = u64::try_from(bytes_max / PACE_BYTES).unwrap_or(u64::MAX);
        Patience { quiet, until: Instant::now() + quiet + Duration::from_secs(seconds) }
    }

    pub(super) async fn say(&mut self, command: &str) -> Result<RequestId, MailboxCause> {
        let limit = self.talk.endpoint.timeouts.command;
        let said = timeout(limit, self.session.run_command(command)).await;
        said.map_err(|_| MailboxCause::TimedOut(limit))?.map_err(|error| cause(error, String::new()))
    }

    /// Says what belongs to a command that was begun.
    pub(super) async fn say_on(&mut self, piece: &str) -> Result<(), MailboxCause> {
        let limit = self.talk.endpoint.timeouts.command;
        let said = timeout(limit, self.session.run_command_untagged(piece)).await;
        said.map_err(|_| MailboxCause::TimedOut(limit))?.map_err(|error| cause(error, String::new()))
    }

    /// Hears the next response. Nothing is lost when this is dropped.
    pub(super) async fn hear(
        &mut self,
        tag: &RequestId,
        patience: Patience,
        visit: Visit<'_>,
    ) -> Result<Heard, MailboxCause> {
        loop {
            let bytes = self.words.bytes();
            let limit = (Instant::now() + patience.quiet).min(patience.until);
            // Some texts that a server may say make async-imap's parser panic.
            let response = AssertUnwindSafe(self.session.read_response()).catch_unwind();
            let Ok(response) = timeout_at(limit, response).await else {
                if self.words.bytes() > bytes && Instant::now() < patience.until {
                    continue;
                }
                return Err(MailboxCause::TimedOut(patience.quiet));
            };
            let response = response.map_err(|_| unreadable(self.words.last()))?;
            let response = response.map_err(|error| cause(ImapError::Io(error), self.words.last()))?;
            let response = response.ok_or(MailboxCause::Closed)?;
            return self.mind(response.parsed(), tag, visit);
        }
    }

    fn mind(&mut self, response: &Response<'_>, tag: &RequestId, visit: Visit<'_>) -> Result<Heard, MailboxCause> {
        match response {
            Response::Done { tag: answered, status, .. } if answered == tag => match status {
                Status::Ok => {
                    visit(response);
                    return Ok(Heard::End(Ok(())));
                }
                Status::No | Status::Bad => return Ok(Heard::End(Err(self.words.last_with(&tag.0)))),
                Status::Bye | Status::PreAuth => return Err(unreadable(self.words.last_with(&tag.0))),
            },
            Response::Data { status: Status::Bye, .. } => {
                return Err(MailboxCause::Refused(self.words.last_with("* BYE")));
            }
            Response::Continue(_) => return Ok(Heard::GoOn),
            Response::MailboxData(MailboxDatum::Exists(messages)) => {
                self.has_news |= *messages > self.messages;
                self.messages = *messages;
            }
            Response::Expunge(_) => self.messages = self.messages.saturating_sub(1),
            _ => {}
        }
        visit(response);
        Ok(Heard::More)
    }
}

pub(super) fn unreadable(said: String) -> MailboxCause {
    MailboxCause::Unreadable { protocol: "IMAP", said }
}

/// A string as IMAP quotes it (RFC 3501 4.3), for names and other text without line breaks.
///
/// # Errors
/// When it holds a character that cannot be quoted.
pub(super) fn quoted(text: &str) -> Result<String, MailboxCause> {
    if text.contains(['\r', '\n', '\0']) {
        return Err(MailboxCause::BadCredentials);
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
