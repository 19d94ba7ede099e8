//! How do the session and lettre's connection share one channel?
//!
//! lettre signs in and sends the content of messages; what it lacks (groups of commands, BDAT, what follows a final dot
//! at once) goes past it to the same channel. The replies to what lettre sends are kept here in the server's own words,
//! and passed on in words that it understands.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

use super::{
    channel::{Channel, Mode},
    dialect,
    failure::Fault,
    reply_reader::WholeReply,
};
use crate::{
    domain::{account::Timeouts, reply::Reply, verdict::Phase},
    wire::{dial::Stream, steps::Running},
};

/// How long saying goodbye may take.
pub(super) const FAREWELL_SECONDS: u64 = 2;

/// A channel in two hands. Locked for moments, never across a wait.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    channel: Channel,
    /// For lettre, and taken by it up to `heard`.
    said: Vec<u8>,
    heard: usize,
    /// Replies to what lettre sent, which the session has not picked up yet.
    replies: VecDeque<WholeReply>,
    /// What broke the channel in lettre's hand, until the session picks it up.
    fault: Option<Fault>,
    /// How many challenges were passed on.
    challenges: usize,
    /// What follows the final dot of the present message in the same write.
    sequel: String,
    /// The position after the final dot of the present message, once it waits to be written.
    dot: Option<u64>,
}

impl Line {
    /// A line without a stream yet.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            channel: Channel::new(timeouts),
            said: Vec::new(),
            heard: 0,
            replies: VecDeque::new(),
            fault: None,
            challenges: 0,
            sequel: String::new(),
            dot: None,
        })))
    }

    pub(super) fn attach(&self, stream: Box<dyn Stream>) {
        self.shared().channel.stream = stream;
    }

    /// The stream, to be encrypted; nothing when the server has said more than it was asked (RFC 3207 5).
    pub(super) fn take_stream(&self) -> Option<Box<dyn Stream>> {
        self.shared().channel.take_stream()
    }

    /// Closes the connection without a word.
    pub(super) fn close(&self) {
        self.shared().channel.close();
    }

    /// Puts words into the buffer; they go out when a reply is asked for, or before when they are many. A failure to
    /// write them is told by the reply.
    pub(super) async fn post(&self, phase: Phase, mut words: &[u8]) -> Result<(), Fault> {
        self.shared().channel.enter(phase);
        while !words.is_empty() {
            let taken = poll_fn(|cx| self.shared().channel.poll_post(cx, words)).await?;
            words = &words[taken..];
        }
        Ok(())
    }

    /// Reads a reply to all that was posted.
    pub(super) async fn hear(&self, phase: Phase) -> Result<WholeReply, Fault> {
        self.hear_to(phase, self.end()).await
    }

    /// Reads a reply to what ends at `position`.
    pub(super) async fn hear_to(&self, phase: Phase, position: u64) -> Result<WholeReply, Fault> {
        self.shared().channel.enter(phase);
        poll_fn(|cx| self.shared().channel.poll_reply(cx, position)).await
    }

    /// The position after all that was posted.
    pub(super) fn end(&self) -> u64 {
        self.shared().channel.outgoing.end()
    }

    /// Whether the server may have read all before this position.
    pub(super) fn may_have_left(&self, position: u64) -> bool {
        self.shared().channel.outgoing.may_have_left(position)
    }

    /// Prepares for lettre to send content. `sequel` are the commands that go out with its final dot.
    pub(super) fn begin_content(&self, sequel: String) {
        let mut shared = self.shared();
        shared.channel.enter(Phase::EndOfData);
        shared.sequel = sequel;
        shared.dot = None;
    }

    /// Whether the final dot of the present message may have reached the server.
    pub(super) fn dot_may_have_left(&self) -> bool {
        let shared = self.shared();
        shared.dot.is_some_and(|dot| shared.channel.outgoing.may_have_left(dot))
    }

    /// What lettre's last exchange came to: the reply, or what broke the channel.
    pub(super) fn outcome(&self) -> Result<WholeReply, Fault> {
        let mut shared = self.shared();
        match shared.replies.pop_front() {
            Some(whole) => Ok(whole),
            None => Err(shared.fault.take().unwrap_or(Fault::Unusable)),
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.shared().channel.enter(phase);
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.shared().channel.set_mode(mode);
    }

    /// Keeps `secret` out of whatever the server says from now on.
    pub(super) fn hide(&self, secret: &str) {
        self.shared().channel.secrets.add(secret);
    }

    /// Plays `welcome` to lettre before anything else.
    pub(super) fn replay(&self, welcome: String) {
        let mut shared = self.shared();
        shared.channel.set_mode(Mode::Replaying);
        shared.say(welcome);
    }

    /// Ends a step with what was said since the last one was ended.
    pub(super) fn end_step(&self, step: Running, answer: Result<&Reply, &Fault>) {
        if step.is_recorded() {
            let said = self.shared().channel.transcript.news();
            match answer {
                Ok(reply) if reply.code() < 400 => step.end(said, Ok::<_, &str>("")),
                Ok(_) => step.end(said, Err::<&str, _>("")),
                Err(fault) => step.end(said, Err::<&str, _>(fault)),
            }
        }
    }

    pub(super) fn transcript(&self) -> String {
        self.shared().channel.transcript.text()
    }

    /// Says QUIT without waiting for an answer, and closes.
    pub(super) async fn farewell(&self) {
        self.set_mode(Mode::Leaving);
        let leave = async {
            self.post(Phase::Mail, b"QUIT\r\n").await?;
            poll_fn(|cx| self.shared().channel.poll_drain(cx)).await;
            // A stream that encrypts says goodbye itself.
            poll_fn(|cx| Pin::new(&mut self.shared().channel.stream).poll_shutdown(cx)).await.map_err(Fault::from)
        };
        // Whether the server hears it does not matter to anybody.
        let _ = timeout(Duration::from_secs(FAREWELL_SECONDS), leave).await;
        self.close();
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn say(&mut self, words: String) {
        self.said = words.into_bytes();
        self.heard = 0;
    }

    /// Keeps a reply for the session and says it to lettre.
    fn pass_on(&mut self, whole: WholeReply) {
        let is_sign_in = self.channel.phase() == Phase::SignIn;
        let said = if is_sign_in && whole.reply.code() == 334 {
            self.challenges += 1;
            dialect::challenge(&whole.reply, self.challenges - 1)
        } else {
            dialect::plain(&whole.reply)
        };
        if is_sign_in && whole.reply.code() >= 400 {
            // lettre says QUIT then and waits for the answer, which nobody needs.
            self.channel.set_mode(Mode::Leaving);
        }
        self.replies.push_back(whole);
        self.say(said);
    }

    /// What lettre wrote is whole: if it was content, its dot is the last of it, and the sequel follows.
    fn end_words(&mut self) {
        if self.channel.is_our_turn() && self.channel.phase() == Phase::EndOfData && self.dot.is_none() {
            self.dot = Some(self.channel.outgoing.end());
            let sequel = std::mem::take(&mut self.sequel);
            self.channel.enter(Phase::Mail);
            self.channel.append(sequel.as_bytes());
            self.channel.enter(Phase::EndOfData);
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, words: &[u8]) -> Poll<io::Result<usize>> {
        let mut shared = self.shared();
        if shared.channel.mode() == Mode::Replaying {
            return Poll::Ready(Ok(words.len()));
        }
        ready!(shared.channel.poll_post(cx, words)).map_or_else(
            |fault| {
                shared.fault.get_or_insert(fault);
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            },
            |taken| Poll::Ready(Ok(taken)),
        )
    }

    /// Does nothing: what waits goes out when a reply is asked for.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.shared();
        if !shared.channel.is_dead() {
            ready!(shared.channel.poll_drain(cx));
        }
        Pin::new(&mut shared.channel.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.shared();
        if shared.heard == shared.said.len() {
            if shared.channel.is_dead() || shared.channel.mode() == Mode::Leaving {
                return Poll::Ready(Ok(()));
            }
            shared.end_words();
            let position = shared.dot.unwrap_or_else(|| shared.channel.outgoing.end());
            match ready!(shared.channel.poll_reply(cx, position)) {
                Ok(whole) => shared.pass_on(whole),
                Err(fault) => {
                    shared.fault = Some(fault);
                    return Poll::Ready(Ok(()));
                }
            }
        }
        let rest = &shared.said[shared.heard..];
        let part = &rest[..rest.len().min(room.remaining())];
        room.put_slice(part);
        let taken = part.len();
        shared.heard += taken;
        Poll::Ready(Ok(()))
    }
}

impl lettre::transport::smtp::client::AsyncTokioStream for Line {
    fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
