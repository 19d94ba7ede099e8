//! How many connections does a listener have open at once?

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tonic::transport::server::Connected;

/// Most connections that are open at once on one listener. Each may make us hold a flow-control window of bytes that no
/// call has taken yet; further ones wait in the system's queue.
pub(super) const CONNECTIONS_MAX: usize = 1_024;

/// Takes connections from `incoming` while fewer than `most` are open.
pub(super) fn bounded<I, S>(incoming: S, most: usize) -> impl Stream<Item = io::Result<Counted<I>>>
where
    S: Stream<Item = io::Result<I>>,
{
    let start = (Box::pin(incoming), Arc::new(Semaphore::new(most)));
    stream::unfold(start, |(mut incoming, places)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let connection = incoming.next().await?;
        Some((connection.map(|inner| Counted { inner, _place: place }), (incoming, places)))
    })
}

/// A connection that counts while it is open.
#[derive(Debug)]
pub(super) struct Counted<I> {
    inner: I,
    _place: OwnedSemaphorePermit,
}

impl<I: Connected> Connected for Counted<I> {
    type ConnectInfo = I::ConnectInfo;

    fn connect_info(&self) -> I::ConnectInfo {
        self.inner.connect_info()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Counted<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Counted<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_waits_for_a_place() {
        let incoming = stream::iter([Ok(1), Ok(2), Ok(3)]);
        let mut bounded = Box::pin(bounded(incoming, 2));
        let first = bounded.next().await.expect("a connection").expect("no error");
        let _second = bounded.next().await;
        assert!(futures_util::poll!(bounded.next()).is_pending());
        drop(first);
        let third = bounded.next().await.expect("a connection").expect("no error");
        assert_eq!(third.inner, 3);
    }
}
