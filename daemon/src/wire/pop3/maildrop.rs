//! How are the messages of a POP3 mailbox listed, read and deleted (RFC 1939 5 to 7)?
//!
//! An error ends the session, and then nothing that was marked is deleted; what a server only refuses is no error. The
//! server deletes in [`Pop3Session::commit`] and at no other time.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{
    Pop3Session,
    listing::{Lines, Maildrop},
    response::ResponseReader,
};
use crate::wire::{
    mailbox::{MailboxCause, MailboxFailure},
    steps::StepName,
};

/// Longest listing that is read, in bytes: that of 400,000 messages with the longest unique ids of RFC 1939.
const LISTING_BYTES_MAX: usize = 33_554_432;
/// How long a response of many lines may take from its first line to its last, besides a wait for a last piece.
const RESPONSE_SECONDS_MAX: u64 = 1_800;
/// More lines than a message has that is read: servers keep the number in 32 bits with a sign.
const LINES_ALL: u32 = 1_000_000_000;
/// What is read away at least of a message that is too large.
const SURPLUS_BYTES_MIN: usize = 65_536;
/// Most bytes that are shown of what was said unasked.
const UNASKED_BYTES_MAX: usize = 200;
/// How long taking back deletions may take.
const RESET_SECONDS: u64 = 2;

/// What became of reading a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retrieved {
    /// All its bytes, lines with the ends that they came with.
    Whole(Vec<u8>),
    /// It is larger than it may be, and nothing of it was kept.
    TooLarge {
        /// Whether it was so much larger that the connection was given up.
        session_ended: bool,
    },
    /// The server does not give it out; its words, bounded.
    Refused(String),
}

/// What became of marking a message to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is marked.
    Marked,
    /// The server does not delete it; its words, bounded.
    Refused(String),
}

/// How the reading of a response came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Reached,
    /// It goes on after as much as was to be read.
    Cut,
}

impl Pop3Session {
    /// How many messages are in the mailbox (STAT, RFC 1939 5).
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn messages(&mut self) -> Result<u64, MailboxFailure> {
        self.begin()?;
        let counted = self.counted().await;
        self.end(counted).await
    }

    /// The messages whose unique ids are `wanted`, at most [`MESSAGES_MAX`](super::MESSAGES_MAX): the first of them.
    /// `wanted` is asked once for each message, in the order of the server's list, so it sees all that are there.
    ///
    /// # Errors
    /// When the server does not offer UIDL or refuses, the list has no end, or the connection fails.
    pub async fn list(&mut self, wanted: impl FnMut(&str) -> bool + Send) -> Result<Maildrop, MailboxFailure> {
        self.begin()?;
        let listed = self.listed(wanted).await;
        self.end(listed).await
    }

    /// Reads a message (RETR, RFC 1939 5) of at most `bytes_max` bytes.
    ///
    /// Of a larger one, which its size in the list should have told, the rest is read away up to as much again: servers
    /// that count lines without their CR err by less, and the session with its deletions goes on. Who sends yet more may
    /// never end, so there the connection is given up.
    ///
    /// # Errors
    /// When the connection fails, no piece comes for as long as a command may take, or the end does not come in half an
    /// hour.
    pub async fn retrieve(&mut self, number: u32, bytes_max: usize) -> Result<Retrieved, MailboxFailure> {
        self.begin()?;
        let retrieved = self.retrieved(&format!("RETR {number}"), bytes_max).await;
        self.end(retrieved).await
    }

    /// Reads a message as [`retrieve`](Self::retrieve) does, but by TOP (RFC 1939 7) with more lines than it has: many servers let
    /// other programs see what RETR gives as read. By RETR where TOP is not offered or refused.
    ///
    /// # Errors
    /// As those of [`retrieve`](Self::retrieve).
    pub async fn peek(&mut self, number: u32, bytes_max: usize) -> Result<Retrieved, MailboxFailure> {
        if !self.may_offer("TOP", None) {
            return self.retrieve(number, bytes_max).await;
        }
        self.begin()?;
        let peeked = self.retrieved(&format!("TOP {number} {LINES_ALL}"), bytes_max).await;
        match self.end(peeked).await? {
            Retrieved::Refused(_) => self.retrieve(number, bytes_max).await,
            peeked => Ok(peeked),
        }
    }

    /// Marks a message to be deleted (DELE, RFC 1939 5), which [`commit`](Self::commit) does.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn delete(&mut self, number: u32) -> Result<Deletion, MailboxFailure> {
        self.begin()?;
        let marked = self.mark(number).await;
        self.end(marked).await
    }

    /// Says QUIT, upon which the server deletes what was marked (RFC 1939 6), and closes.
    ///
    /// # Errors
    /// When something was marked and the session had ended, the server says that it could not delete all, or its answer
    /// was lost: then all, some or none are deleted.
    pub async fn commit(mut self) -> Result<(), MailboxFailure> {
        if self.marked == 0 {
            self.quit().await;
            return Ok(());
        }
        self.begin()?;
        self.talk.begin(StepName::Quit, "QUIT");
        self.talk.say("QUIT").await?;
        // As with mail that is taken, this is when the server does the work.
        let said = self.talk.hear(self.talk.endpoint.timeouts.end_of_data).await?;
        self.accepted(said)?;
        self.talk.done();
        Ok(())
    }

    /// Leaves without deleting what was marked: says RSET if anything was, then QUIT, waits a moment for the answers, and
    /// closes.
    pub async fn quit(mut self) {
        if self.is_midway || (self.marked > 0 && !self.reset().await) {
            self.talk.close();
        }
        self.talk.leave("QUIT").await;
    }

    /// Takes back the deletions (RSET, RFC 1939 5). Whether the server says so.
    async fn reset(&mut self) -> bool {
        let reset = self.talk.ask(StepName::Quit, "RSET", "RSET");
        let reset = timeout(Duration::from_secs(RESET_SECONDS), reset).await;
        let is_reset = matches!(reset, Ok(Ok(said)) if said.starts_with("+OK"));
        self.talk.done();
        is_reset
    }

    /// Begins an exchange of a command and all of its reply.
    fn begin(&mut self) -> Result<(), MailboxFailure> {
        if self.is_midway {
            // The rest of a reply that nobody waited for would be taken for this one's.
            self.talk.close();
        }
        self.is_midway = true;
        let unasked = self.talk.unread();
        if unasked.is_empty() {
            return Ok(());
        }
        // A mail with the line that ends one in its midst, from a server that did not see it, would speak for the server.
        let said = String::from_utf8_lossy(&unasked[..unasked.len().min(UNASKED_BYTES_MAX)]).into_owned();
        self.talk.close();
        Err(self.unreadable(said))
    }

    /// Ends an exchange, and with a failure the session.
    async fn end<T>(&mut self, result: Result<T, MailboxFailure>) -> Result<T, MailboxFailure> {
        self.is_midway = false;
        match &result {
            Ok(_) => self.talk.done(),
            // QUIT would delete.
            Err(_) if self.marked > 0 => self.talk.close(),
            Err(failure) => self.leave(failure).await,
        }
        result
    }

    async fn counted(&mut self) -> Result<u64, MailboxFailure> {
        let said = self.ask(StepName::Folders, "STAT", "STAT").await?;
        let count = said.split(' ').nth(1).and_then(|count| count.parse().ok());
        count.ok_or_else(|| self.unreadable(said))
    }

    async fn listed(&mut self, mut wanted: impl FnMut(&str) -> bool + Send) -> Result<Maildrop, MailboxFailure> {
        let mut maildrop = Maildrop::of(self.counted().await?);
        if maildrop.held == 0 {
            return Ok(maildrop);
        }
        self.ask_for_ids().await?;
        let mut lines = Lines::default();
        let end = self.read(LISTING_BYTES_MAX, |piece| {
            lines.read(piece, |line| maildrop.read_id(line, &mut wanted));
        });
        let end = end.await?;
        self.whole(end)?;
        maildrop.arrange();
        if maildrop.is_empty() {
            return Ok(maildrop);
        }
        self.ask(StepName::Messages, "LIST", "LIST").await?;
        let mut lines = Lines::default();
        let end = self.read(LISTING_BYTES_MAX, |piece| lines.read(piece, |line| maildrop.read_size(line)));
        let end = end.await?;
        self.whole(end)?;
        Ok(maildrop)
    }

    /// UIDL (RFC 1939 7), which a server need not have. Some have it and do not say so.
    async fn ask_for_ids(&mut self) -> Result<(), MailboxFailure> {
        let said = self.talk.ask(StepName::Messages, "UIDL", "UIDL").await?;
        let is_offered = self.capabilities.is_some() && self.may_offer("UIDL", None);
        if said.starts_with("-ERR") && !is_offered {
            return Err(self.talk.failure(MailboxCause::NotOffered("UIDL")));
        }
        self.accepted(said).map(drop)
    }

    async fn retrieved(&mut self, command: &str, bytes_max: usize) -> Result<Retrieved, MailboxFailure> {
        let said = self.talk.ask(StepName::Messages, command, command).await?;
        if said.starts_with("-ERR") {
            return Ok(Retrieved::Refused(self.talk.refused(&said)));
        }
        self.accepted(said)?;
        let mut kept = Some(Vec::new());
        let read_max = bytes_max.saturating_mul(2).max(bytes_max.saturating_add(SURPLUS_BYTES_MIN));
        let end = self.read(read_max, |piece| match &mut kept {
            Some(bytes) if piece.len() <= bytes_max - bytes.len() => bytes.extend_from_slice(piece),
            _ => kept = None,
        });
        match (end.await?, kept) {
            (Ending::Reached, Some(bytes)) => Ok(Retrieved::Whole(bytes)),
            (Ending::Reached, None) => Ok(Retrieved::TooLarge { session_ended: false }),
            (Ending::Cut, _) => {
                self.talk.close();
                Ok(Retrieved::TooLarge { session_ended: true })
            }
        }
    }

    async fn mark(&mut self, number: u32) -> Result<Deletion, MailboxFailure> {
        let command = format!("DELE {number}");
        // From now on QUIT may delete it, also when the answer is lost.
        self.marked += 1;
        let said = self.talk.ask(StepName::Messages, &command, &command).await?;
        if said.starts_with("-ERR") {
            self.marked -= 1;
            return Ok(Deletion::Refused(self.talk.refused(&said)));
        }
        self.accepted(said)?;
        Ok(Deletion::Marked)
    }

    /// Reads the lines after the first one of a response, about `bytes_max` bytes of them at most.
    async fn read(&mut self, bytes_max: usize, mut take: impl FnMut(&[u8]) + Send) -> Result<Ending, MailboxFailure> {
        let limit = Duration::from_secs(RESPONSE_SECONDS_MAX);
        let deadline = Instant::now() + limit;
        let (mut reader, mut read) = (ResponseReader::default(), 0_usize);
        while !reader.has_ended() {
            if read > bytes_max {
                return Ok(Ending::Cut);
            }
            if Instant::now() >= deadline {
                return Err(self.talk.failure(MailboxCause::TimedOut(limit)));
            }
            self.talk.listen(self.talk.endpoint.timeouts.command).await?;
            let unread = self.talk.unread();
            let mut rest = unread;
            reader.read(&mut rest, &mut take);
            let bytes = unread.len() - rest.len();
            read = read.saturating_add(bytes);
            self.talk.consume(bytes);
        }
        Ok(Ending::Reached)
    }

    fn whole(&mut self, listing: Ending) -> Result<(), MailboxFailure> {
        match listing {
            Ending::Reached => Ok(()),
            Ending::Cut => Err(self.talk.failure(MailboxCause::TooLong(LISTING_BYTES_MAX))),
        }
    }
}
