//! What did the server say, in its own words? A stream that is listened to, and that ends when too much is said.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};

use super::lines::{Excess, Lines};
use crate::wire::dial::Stream;

/// Most bytes that are kept of what it said.
const KEPT_BYTES_MAX: usize = 16_384;

/// A stream that is listened to, and written to a command at a time.
#[derive(Debug)]
pub(super) struct Overheard {
    stream: BufWriter<Box<dyn Stream>>,
    words: Words,
}

/// What was heard in the answer to a command, but messages: the end of it when it was much.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    lines: Lines,
    kept: Vec<u8>,
    bytes_max: usize,
    bytes: usize,
}

impl Overheard {
    pub(super) fn new(stream: Box<dyn Stream>, words: Words) -> Self {
        Self { stream: BufWriter::new(stream), words }
    }
}

impl Words {
    /// Begins anew: forgets what was said, and lets the server say so many bytes.
    pub(super) fn expect(&self, bytes_max: usize) {
        let mut heard = self.heard();
        heard.kept.clear();
        (heard.bytes_max, heard.bytes) = (bytes_max, 0);
    }

    /// How many bytes were heard.
    pub(super) fn bytes(&self) -> usize {
        self.heard().bytes
    }

    /// All lines, joined by line feeds.
    pub(super) fn all(&self) -> String {
        String::from_utf8_lossy(&self.heard().kept).trim_end().to_owned()
    }

    /// The last line.
    pub(super) fn last(&self) -> String {
        self.all().lines().last().unwrap_or_default().to_owned()
    }

    /// The last line that begins with these words, or the last of all.
    pub(super) fn last_with(&self, beginning: &str) -> String {
        let all = self.all();
        let mut lines = all.lines().rev();
        let found = lines.clone().find(|line| line.starts_with(beginning));
        found.or_else(|| lines.next()).unwrap_or_default().to_owned()
    }

    fn hear(&self, said: &[u8]) -> Result<(), Excess> {
        let heard = &mut *self.heard();
        heard.bytes = heard.bytes.saturating_add(said.len());
        if heard.bytes > heard.bytes_max {
            return Err(Excess::Answer(heard.bytes_max));
        }
        let kept = &mut heard.kept;
        heard.lines.follow(said, heard.bytes_max, |line| {
            kept.extend_from_slice(line);
            kept.push(b'\n');
            let surplus = kept.len().saturating_sub(KEPT_BYTES_MAX);
            kept.drain(..surplus);
        })
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.words.hear(&buf.filled()[before..]).map_err(io::Error::from))
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
