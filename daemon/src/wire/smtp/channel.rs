//! How do words reach the server, and how do its replies come back?
//!
//! Everything is written to a buffer that goes out when a reply is asked for, so that one phase is one write (large
//! content goes out in blocks). Replies are read whole, noted on the desk in the server's own words, and passed on to
//! lettre in words that it understands. The limits of RFC 5321 4.5.3.2 are kept here: one for each block written, one
//! for each reply counted from when its command was out.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, Sleep, sleep, timeout},
};
use zeroize::Zeroize;

use super::{
    desk::{Desk, Mode},
    dialect,
    failure::Fault,
    limits,
    reply_reader::{ReplyReader, WholeReply, excerpt},
    secrets::Secrets,
};
use crate::{
    domain::{account::Timeouts, verdict::Phase},
    wire::dial::Stream,
};

/// Most bytes that wait to be written, and so the size of a block of content.
pub(super) const BLOCK_BYTES: usize = 65_536;
/// Most bytes that are read at once.
const READ_BYTES: usize = 4_096;
/// How long saying goodbye may take.
pub(super) const FAREWELL_SECONDS: u64 = 2;

/// A stream with its limits, its buffers and its reader.
pub(super) struct Channel {
    stream: Box<dyn Stream>,
    desk: Desk,
    timeouts: Timeouts,
    reader: ReplyReader,
    /// Received, and read up to `read`.
    received: Vec<u8>,
    read: usize,
    /// To be written, and written up to `written`.
    unsent: Vec<u8>,
    written: usize,
    /// For lettre, and taken by it up to `heard`.
    said: Vec<u8>,
    heard: usize,
    deadline: Pin<Box<Sleep>>,
    limit: Duration,
    turn: Turn,
    /// Writing failed; the server may have said why before it left.
    write_fault: Option<Fault>,
    dead: bool,
    /// What a reply must not repeat.
    secrets: Secrets,
    /// How many challenges were passed on.
    challenges: usize,
    /// The last byte written, to catch a bare CR or LF.
    previous: u8,
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
    pub(super) fn new(stream: Box<dyn Stream>, desk: Desk, timeouts: Timeouts) -> Self {
        Self {
            stream,
            desk,
            timeouts,
            reader: ReplyReader::default(),
            received: Vec::new(),
            read: 0,
            unsent: Vec::new(),
            written: 0,
            said: Vec::new(),
            heard: 0,
            deadline: Box::pin(sleep(Duration::ZERO)),
            limit: Duration::ZERO,
            turn: Turn::Open,
            write_fault: None,
            dead: false,
            secrets: Secrets::default(),
            challenges: 0,
            previous: b'\n',
        }
    }

    /// Sends a command, when there is one, and reads the reply; without lettre.
    pub(super) async fn ask(&mut self, phase: Phase, command: Option<&str>) -> Result<WholeReply, Fault> {
        self.desk.enter(phase);
        if let Some(command) = command
            && self.write_all(command.as_bytes()).await.is_err()
        {
            return self.desk.outcome();
        }
        std::future::poll_fn(|cx| self.poll_reply(cx)).await
    }

    /// Says QUIT and closes, without waiting for an answer.
    pub(super) async fn farewell(mut self) {
        self.desk.set_mode(Mode::Leaving);
        let leave = async {
            self.write_all(b"QUIT\r\n").await?;
            self.shutdown().await
        };
        // Whether the server hears it does not matter to anybody.
        let _ = timeout(Duration::from_secs(FAREWELL_SECONDS), leave).await;
    }

    /// The stream, to be encrypted; nothing when the server has said more than it was asked (RFC 3207 5).
    pub(super) fn into_stream(self) -> Option<Box<dyn Stream>> {
        (self.read == self.received.len()).then_some(self.stream)
    }

    /// Keeps `secret` out of whatever the server says from now on.
    pub(super) fn hide(&mut self, secret: &str) {
        self.secrets.add(secret);
    }

    /// Plays `welcome` to lettre before anything else.
    pub(super) fn replay(&mut self, welcome: String) {
        self.desk.set_mode(Mode::Replaying);
        self.said = welcome.into_bytes();
        self.heard = 0;
    }

    fn phase(&self) -> Phase {
        self.desk.notes().phase
    }

    fn arm(&mut self, limit: Duration) {
        self.limit = limit;
        self.deadline.as_mut().reset(limits::end(Instant::now(), limit));
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        self.deadline.as_mut().poll(cx).map(|()| Fault::TimedOut(self.limit))
    }

    /// Writes all that waits. A failure is kept for later: the server may have said why it left.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.write_fault.is_some() {
            // What follows a gap must never arrive: it might end in a dot.
            self.unsent.clear();
        }
        while self.written < self.unsent.len() {
            let wrote = Pin::new(&mut self.stream).poll_write(cx, &self.unsent[self.written..]);
            match wrote {
                Poll::Ready(Ok(0)) => return self.give_up_writing(Fault::Closed),
                Poll::Ready(Ok(bytes)) => self.written += bytes,
                Poll::Ready(Err(error)) => return self.give_up_writing(error.into()),
                Poll::Pending => return self.poll_deadline(cx).map(Err),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return self.give_up_writing(error.into()),
            Poll::Pending => return self.poll_deadline(cx).map(Err),
        }
        // It may have been a password.
        self.unsent.zeroize();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn give_up_writing(&mut self, fault: Fault) -> Poll<Result<(), Fault>> {
        self.unsent.clear();
        self.written = 0;
        self.write_fault = Some(fault);
        Poll::Ready(Ok(()))
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<WholeReply, Fault>> {
        let result = ready!(self.poll_raw_reply(cx));
        self.turn = Turn::Open;
        let result = match (result, self.write_fault.take()) {
            // A refusal may come before all was written; consent to what was not written cannot be meant.
            (Ok(whole), Some(fault)) if whole.reply.code() < 400 => Err(fault),
            (Err(_), Some(fault)) => Err(fault),
            (result, _) => result,
        };
        let result = self.secrets.mask(result);
        let mut notes = self.desk.notes();
        match &result {
            Ok(whole) => notes.transcript.server(&whole.lines),
            Err(fault) => notes.transcript.note(&fault.to_string()),
        }
        self.dead |= result.is_err();
        Poll::Ready(result)
    }

    fn poll_raw_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<WholeReply, Fault>> {
        if self.turn != Turn::Theirs {
            debug_assert_eq!(self.previous, b'\n', "a phase ends with a whole line");
            self.note_final_dot();
            ready!(self.poll_drain(cx))?;
            self.turn = Turn::Theirs;
            self.arm(limits::to_reply(&self.timeouts, self.phase()));
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

    /// What waits now ends with the final dot, if anything still waits.
    fn note_final_dot(&self) {
        let mut notes = self.desk.notes();
        notes.dot_is_out |= notes.phase == Phase::EndOfData && self.write_fault.is_none();
    }

    fn next_reply(&mut self) -> Option<Result<WholeReply, Fault>> {
        let mut rest = &self.received[self.read..];
        let reply = self.reader.read(&mut rest);
        self.read = self.received.len() - rest.len();
        reply
    }

    /// Reads what has come; only when all that came before has been read.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.received.resize(READ_BYTES, 0);
        let mut room = ReadBuf::new(&mut self.received);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut room);
        let filled = room.filled().len();
        self.received.truncate(filled);
        self.read = 0;
        match ready!(polled) {
            Ok(()) if filled == 0 => Poll::Ready(Err(Fault::Closed)),
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    /// Before we speak: the server must not have spoken, or replies and commands would no longer match.
    fn check_silence(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.read == self.received.len() {
            match self.poll_receive(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(result) => result?,
            }
        }
        let unasked = excerpt(&self.secrets.without(&String::from_utf8_lossy(&self.received[self.read..])));
        match self.next_reply().map(|reply| self.secrets.mask(reply)) {
            Some(Ok(whole)) if whole.reply.code() == 421 => {
                self.desk.notes().transcript.server(&whole.lines);
                Err(Fault::Closing(whole.reply))
            }
            _ => Err(Fault::Unsolicited(unasked)),
        }
    }

    fn fail(&mut self, fault: Fault) -> io::Error {
        self.dead = true;
        let mut notes = self.desk.notes();
        notes.transcript.note(&fault.to_string());
        notes.fault = Some(fault);
        io::Error::other("the channel is broken")
    }

    fn append(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        for &byte in bytes.iter().filter(|_| cfg!(debug_assertions)) {
            debug_assert!(byte != 0, "NUL is never written");
            debug_assert_eq!(byte == b'\n', self.previous == b'\r', "CR and LF are only written together");
            self.previous = byte;
        }
        let mut notes = self.desk.notes();
        match (notes.mode, notes.phase) {
            (Mode::Leaving, _) => notes.transcript.client(bytes),
            (_, Phase::SignIn) => {
                self.secrets.learn(bytes);
                notes.transcript.client_secret(bytes);
            }
            (_, Phase::EndOfData) => notes.transcript.content(bytes.len()),
            _ => notes.transcript.client(bytes),
        }
    }

    /// Notes a reply on the desk and says it to lettre.
    fn pass_on(&mut self, whole: WholeReply) {
        let mut notes = self.desk.notes();
        let said = if notes.phase == Phase::SignIn && whole.reply.code() == 334 {
            self.challenges += 1;
            dialect::challenge(&whole.reply, self.challenges - 1)
        } else {
            dialect::plain(&whole.reply)
        };
        if notes.phase == Phase::SignIn && whole.reply.code() >= 400 {
            // lettre says QUIT then and waits for the answer, which nobody needs.
            notes.mode = Mode::Leaving;
        }
        notes.replies.push_back(whole);
        drop(notes);
        self.said = said.into_bytes();
        self.heard = 0;
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let mode = this.desk.notes().mode;
        if mode == Mode::Replaying {
            return Poll::Ready(Ok(buf.len()));
        }
        if this.dead {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        if this.turn != Turn::Ours {
            this.turn = Turn::Ours;
            this.arm(limits::to_write(&this.timeouts, this.phase()));
            if mode == Mode::Live
                && let Err(fault) = this.check_silence(cx)
            {
                return Poll::Ready(Err(this.fail(fault)));
            }
        }
        if this.unsent.len() >= BLOCK_BYTES {
            if let Err(fault) = ready!(this.poll_drain(cx)) {
                return Poll::Ready(Err(this.fail(fault)));
            }
            this.arm(limits::to_write(&this.timeouts, this.phase()));
        }
        let room = BLOCK_BYTES - this.unsent.len();
        let taken = &buf[..buf.len().min(room)];
        this.append(taken);
        Poll::Ready(Ok(taken.len()))
    }

    /// Does nothing: what waits goes out when a reply is asked for.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.dead && ready!(self.poll_drain(cx)).is_err() {
            self.dead = true;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.heard == this.said.len() {
            if this.dead || this.desk.notes().mode == Mode::Leaving {
                return Poll::Ready(Ok(()));
            }
            match ready!(this.poll_reply(cx)) {
                Ok(whole) => this.pass_on(whole),
                Err(fault) => {
                    this.desk.notes().fault = Some(fault);
                    return Poll::Ready(Ok(()));
                }
            }
        }
        let rest = &this.said[this.heard..];
        let part = &rest[..rest.len().min(buf.remaining())];
        buf.put_slice(part);
        this.heard += part.len();
        Poll::Ready(Ok(()))
    }
}

impl lettre::transport::smtp::client::AsyncTokioStream for Channel {
    fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
