//! What waits to be written, and how much of it may have reached the server?

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::AsyncWrite;
use zeroize::Zeroize;

use super::failure::Fault;
use crate::wire::dial::Stream;

/// Words on their way. Positions count all bytes since the connection was opened.
#[derive(Default)]
pub(super) struct Outgoing {
    waiting: Vec<u8>,
    /// How much of what waits was taken by the stream.
    written: usize,
    /// What was written before what waits.
    before: u64,
    /// How much was never written because writing had failed.
    dropped: u64,
    /// Up to where the server may have read although writing failed.
    exposed: u64,
    /// Why writing failed. The server may have said why before it left, so this is told only when it is silent.
    fault: Option<Fault>,
}

impl Outgoing {
    pub(super) fn append(&mut self, words: &[u8]) {
        if self.fault.is_none() {
            self.waiting.extend_from_slice(words);
        } else {
            // What follows a gap must never arrive: it might end in a dot.
            self.dropped += words.len() as u64;
        }
    }

    /// How many bytes wait.
    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The position after all that was appended.
    pub(super) const fn end(&self) -> u64 {
        self.before + self.waiting.len() as u64 + self.dropped
    }

    /// Whether the server may have read all before this position.
    pub(super) fn may_have_left(&self, position: u64) -> bool {
        position <= self.exposed.max(self.taken())
    }

    /// Whether the stream took all before this position.
    pub(super) const fn has_left(&self, position: u64) -> bool {
        position <= self.taken()
    }

    pub(super) const fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    pub(super) const fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Writes all that waits; after a failure nothing more.
    pub(super) fn poll_drain(&mut self, stream: &mut Box<dyn Stream>, cx: &mut Context<'_>) -> Poll<()> {
        while self.fault.is_none() && self.written < self.waiting.len() {
            match Pin::new(&mut *stream).poll_write(cx, &self.waiting[self.written..]) {
                Poll::Ready(Ok(0)) => self.give_up(Fault::Closed),
                Poll::Ready(Ok(bytes)) => self.written += bytes,
                Poll::Ready(Err(error)) => self.fail(error.into()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.fault.is_none() {
            match Pin::new(stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.fail(error.into()),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.dropped += (self.waiting.len() - self.written) as u64;
        self.before += self.written as u64;
        self.written = 0;
        self.waiting.clear();
        Poll::Ready(())
    }

    /// Writes no more of what waits, because of this.
    pub(super) fn give_up(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Overwrites what was written: it may have been a password.
    pub(super) fn wipe(&mut self) {
        if self.waiting.is_empty() {
            self.waiting.zeroize();
        }
    }

    /// A stream that encrypts may have sent a part of what it was given before it failed.
    fn fail(&mut self, fault: Fault) {
        self.exposed = self.end();
        self.give_up(fault);
    }

    const fn taken(&self) -> u64 {
        self.before + self.written as u64
    }
}
