//! What did the server say, in its own words? A stream that is listened to, and that ends when too much is said.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::dial::Stream;

/// Most bytes that a server may say on one connection.
const HEARD_BYTES_MAX: usize = 4_194_304;
/// Most bytes that are kept of what it said.
const KEPT_BYTES_MAX: usize = 16_384;

/// A stream that is listened to.
#[derive(Debug)]
pub(super) struct Overheard {
    stream: Box<dyn Stream>,
    words: Words,
    heard: usize,
}

/// What was heard since it was last forgotten; the end of it when it was much.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Arc<Mutex<Vec<u8>>>);

impl Overheard {
    pub(super) fn new(stream: Box<dyn Stream>, words: Words) -> Self {
        Self { stream, words, heard: 0 }
    }
}

impl Words {
    /// Begins anew.
    pub(super) fn forget(&self) {
        self.kept().clear();
    }

    /// All lines, joined by line feeds.
    pub(super) fn all(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept()).into_owned();
        text.lines().collect::<Vec<_>>().join("\n")
    }

    /// The last line.
    pub(super) fn last(&self) -> String {
        self.all().lines().last().unwrap_or_default().to_owned()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        kept.extend_from_slice(bytes);
        let surplus = kept.len().saturating_sub(KEPT_BYTES_MAX);
        kept.drain(..surplus);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let said = &buf.filled()[before..];
        self.words.keep(said);
        self.heard = self.heard.saturating_add(said.len());
        if self.heard > HEARD_BYTES_MAX {
            let error = format!("the server said more than {HEARD_BYTES_MAX} bytes");
            return Poll::Ready(Err(io::Error::other(error)));
        }
        Poll::Ready(Ok(()))
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
