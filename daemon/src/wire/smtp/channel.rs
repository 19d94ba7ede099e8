//! How do words reach the server, and how do its replies come back?
//!
//! Everything is written to a buffer that goes out when a reply is asked for, so that one phase is one write (large
//! content goes out in blocks). Replies are read whole and in the server's own words. The limits of RFC 5321 4.5.3.2
//! are kept here: one for each block written, one for each reply counted from when its command was out.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{
    failure::Fault,
    limits,
    outgoing::Outgoing,
    reply_reader::{ReplyReader, WholeReply, excerpt},
    transcript::Transcript,
};
use crate::{
    domain::{account::Timeouts, verdict::Phase},
    wire::{dial::Stream, secrets::Secrets},
};

/// Most bytes that wait to be written before they go out without a reply being asked for, and so the size of a block of
/// content.
pub(super) const BLOCK_BYTES: usize = 65_536;
/// Most bytes that are read at once.
const READ_BYTES: usize = 4_096;

/// A stream with its limits, its buffers and its reader.
pub(super) struct Channel {
    pub(super) stream: Box<dyn Stream>,
    timeouts: Timeouts,
    /// The phase that the session is in; it decides limits, and what of our words may be kept.
    phase: Phase,
    mode: Mode,
    turn: Turn,
    reader: ReplyReader,
    received: Box<[u8; READ_BYTES]>,
    /// What of `received` was not read yet.
    unread: std::ops::Range<usize>,
    pub(super) outgoing: Outgoing,
    deadline: Pin<Box<Sleep>>,
    limit: Duration,
    dead: bool,
    /// What a reply must not repeat.
    pub(super) secrets: Secrets,
    pub(super) transcript: Transcript,
    /// The last byte written, to catch a bare CR or LF.
    previous: u8,
}

/// How the channel treats what is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Words go to the server and its replies come back.
    Live,
    /// The greeting and EHLO, which we have exchanged ourselves, are played to lettre; its own words go nowhere.
    Replaying,
    /// We are leaving: what is written still goes out, nothing is read any more.
    Leaving,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nobody's: the next word is ours, or a further reply to a group of commands.
    Open,
    /// Ours: words are being gathered.
    Ours,
    /// The server's: all is written.
    Theirs,
}

impl fmt::Debug for Channel {
    /// Without the buffers, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Channel {
    /// A channel without a stream yet.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        Self {
            stream: Box::new(tokio::io::empty()),
            timeouts,
            phase: Phase::Greeting,
            mode: Mode::Live,
            turn: Turn::Open,
            reader: ReplyReader::default(),
            received: Box::new([0; READ_BYTES]),
            unread: 0..0,
            outgoing: Outgoing::default(),
            deadline: Box::pin(sleep(Duration::ZERO)),
            limit: Duration::ZERO,
            dead: false,
            secrets: Secrets::default(),
            transcript: Transcript::default(),
            previous: b'\n',
        }
    }

    /// The stream, to be encrypted; nothing when the server has said more than it was asked (RFC 3207 5).
    pub(super) fn take_stream(&mut self) -> Option<Box<dyn Stream>> {
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        self.unread.is_empty().then_some(stream)
    }

    /// Closes the connection without a word.
    pub(super) fn close(&mut self) {
        self.dead = true;
        self.stream = Box::new(tokio::io::empty());
    }

    pub(super) const fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    pub(super) const fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) const fn is_dead(&self) -> bool {
        self.dead
    }

    /// Whether words of ours wait that end in a question.
    pub(super) fn is_our_turn(&self) -> bool {
        self.turn == Turn::Ours
    }

    /// Takes words, or a part of them, to be written.
    pub(super) fn poll_post(&mut self, cx: &mut Context<'_>, words: &[u8]) -> Poll<Result<usize, Fault>> {
        if self.dead {
            return Poll::Ready(Err(Fault::Unusable));
        }
        if self.turn != Turn::Ours {
            self.turn = Turn::Ours;
            self.arm(limits::to_write(&self.timeouts, self.phase));
            if self.mode == Mode::Live
                && let Err(fault) = self.check_silence(cx)
            {
                self.dead = true;
                self.transcript.note(&fault.to_string());
                return Poll::Ready(Err(fault));
            }
        }
        if self.outgoing.len() >= BLOCK_BYTES {
            ready!(self.poll_drain(cx));
            self.arm(limits::to_write(&self.timeouts, self.phase));
        }
        let room = BLOCK_BYTES - self.outgoing.len();
        let taken = &words[..words.len().min(room)];
        self.append(taken);
        Poll::Ready(Ok(taken.len()))
    }

    /// Takes words that follow at once what waits already.
    pub(super) fn append(&mut self, words: &[u8]) {
        self.outgoing.append(words);
        if cfg!(debug_assertions) {
            for &byte in words {
                debug_assert!(byte != 0, "NUL is never written");
                debug_assert_eq!(byte == b'\n', self.previous == b'\r', "CR and LF are only written together");
                self.previous = byte;
            }
        }
        match (self.mode, self.phase) {
            (Mode::Leaving, _) => self.transcript.client(words),
            (_, Phase::SignIn) => {
                self.secrets.learn(words);
                self.transcript.client_secret(words);
            }
            (_, Phase::EndOfData) => self.transcript.content(words.len()),
            _ => self.transcript.client(words),
        }
    }

    /// Writes all that waits. A failure is kept for later: the server may have said why it left.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.outgoing.poll_drain(&mut self.stream, cx).is_pending() {
            let fault = ready!(self.poll_deadline(cx));
            self.outgoing.give_up(fault);
        }
        if self.phase == Phase::SignIn {
            self.outgoing.wipe();
        }
        Poll::Ready(())
    }

    /// Writes all that waits and reads a reply to what ends at `position` in it.
    pub(super) fn poll_reply(&mut self, cx: &mut Context<'_>, position: u64) -> Poll<Result<WholeReply, Fault>> {
        if self.dead {
            return Poll::Ready(Err(Fault::Unusable));
        }
        let result = ready!(self.poll_raw_reply(cx));
        self.turn = Turn::Open;
        let result = match result {
            // A refusal may come before all was written; consent to what was not written cannot be meant.
            Ok(whole) if whole.reply.code() >= 400 || self.outgoing.has_left(position) => Ok(whole),
            Ok(_) => Err(self.outgoing.take_fault().unwrap_or(Fault::Unusable)),
            Err(fault) => Err(self.outgoing.take_fault().unwrap_or(fault)),
        };
        let result = self.secrets.mask(result);
        match &result {
            Ok(whole) => self.transcript.server(whole.lines()),
            Err(fault) => self.transcript.note(&fault.to_string()),
        }
        self.dead |= result.is_err();
        Poll::Ready(result)
    }

    fn poll_raw_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<WholeReply, Fault>> {
        if self.turn != Turn::Theirs {
            debug_assert_eq!(self.previous, b'\n', "a phase ends with a whole line");
            ready!(self.poll_drain(cx));
            self.turn = Turn::Theirs;
            let has_waited = matches!(self.outgoing.fault(), Some(Fault::TimedOut(_)));
            let limit = if has_waited { Duration::ZERO } else { limits::to_reply(&self.timeouts, self.phase) };
            self.arm(limit);
        }
        loop {
            if let Some(result) = self.next_reply() {
                return Poll::Ready(result);
            }
            match self.poll_receive(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending => return self.poll_deadline(cx).map(Err),
            }
        }
    }

    fn next_reply(&mut self) -> Option<Result<WholeReply, Fault>> {
        let mut rest = &self.received[self.unread.clone()];
        let reply = self.reader.read(&mut rest);
        self.unread.start = self.unread.end - rest.len();
        reply
    }

    /// Reads what has come; only when all that came before has been read.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut room = ReadBuf::new(&mut *self.received);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut room);
        self.unread = 0..room.filled().len();
        match ready!(polled) {
            Ok(()) if self.unread.is_empty() => Poll::Ready(Err(Fault::Closed)),
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    /// Before we speak: the server must not have spoken, or replies and commands would no longer match.
    fn check_silence(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.unread.is_empty() {
            match self.poll_receive(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(result) => result?,
            }
        }
        let unasked = String::from_utf8_lossy(&self.received[self.unread.clone()]);
        let unasked = excerpt(&self.secrets.without(&unasked));
        match self.next_reply().map(|reply| self.secrets.mask(reply)) {
            Some(Ok(whole)) if whole.reply.code() == 421 => {
                self.transcript.server(whole.lines());
                Err(Fault::Closing(whole.reply))
            }
            _ => Err(Fault::Unsolicited(unasked)),
        }
    }

    fn arm(&mut self, limit: Duration) {
        self.limit = limit;
        self.deadline.as_mut().reset(limits::end(Instant::now(), limit));
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        self.deadline.as_mut().poll(cx).map(|()| Fault::TimedOut(self.limit))
    }
}
