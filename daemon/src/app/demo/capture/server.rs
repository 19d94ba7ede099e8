//! How are connections taken, read and answered?

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    records::Records,
    rules::Rules,
    session::{Session, Then},
};
use crate::domain::time::Clock;

/// Longest line, its CRLF left out.
const LINE_BYTES_MAX: usize = 64 * 1_024;
/// Most connections of one listener at a time; more wait to be taken.
const CONNECTIONS_MAX: usize = 256;
/// How much is read at once.
const READ_BYTES: usize = 64 * 1_024;

/// An SMTP server that records what it takes. Clones are the same server.
#[derive(Clone, Debug)]
pub struct CaptureServer {
    rules: Arc<Rules>,
    records: Arc<Records>,
    clock: Arc<dyn Clock>,
    connections: Arc<AtomicU64>,
}

impl CaptureServer {
    /// A server that has received nothing yet.
    #[must_use]
    pub fn new(rules: Rules, clock: Arc<dyn Clock>) -> Self {
        Self { rules: Arc::new(rules), records: Arc::new(Records::new()), clock, connections: Arc::default() }
    }

    /// What it has received.
    #[must_use]
    pub fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records)
    }

    /// Serves one client until it leaves. All lines that have come are answered by one write (RFC 2920).
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> io::Result<()> {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mut session = Session::new(&self.rules, &self.records, self.clock.as_ref(), connection);
        let (mut heard, mut replies) = (BytesMut::with_capacity(READ_BYTES), session.greeting());
        loop {
            let then = hear_all(&mut session, &mut heard, &mut replies);
            if !replies.is_empty() {
                sleep(self.rules.answer_after).await;
                stream.write_all(replies.as_bytes()).await?;
                stream.flush().await?;
                replies.clear();
            }
            if then == Then::Close {
                return stream.shutdown().await;
            }
            heard.reserve(READ_BYTES);
            if stream.read_buf(&mut heard).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Serves all who connect until `stop` is cancelled, then breaks their connections.
    ///
    /// # Errors
    /// When the listener takes no more connections.
    pub async fn listen(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                taken = listener.accept(), if clients.len() < CONNECTIONS_MAX => {
                    let (stream, _) = taken?;
                    stream.set_nodelay(true)?;
                    let server = self.clone();
                    // A client that breaks off is nobody's failure here: the records tell what it achieved.
                    clients.spawn(async move { server.serve(stream).await.is_ok() });
                }
                Some(_) = clients.join_next() => {}
            }
        }
    }
}

/// Hears all complete lines.
fn hear_all(session: &mut Session<'_>, heard: &mut BytesMut, replies: &mut String) -> Then {
    while let Some(end) = heard.windows(2).position(|pair| pair == b"\r\n") {
        let line = heard.split_to(end);
        heard.advance(2);
        if line.len() > LINE_BYTES_MAX {
            break;
        }
        if session.hear(&line, replies) == Then::Close {
            return Then::Close;
        }
    }
    if heard.len() > LINE_BYTES_MAX {
        replies.push_str("500 5.5.2 the line is too long\r\n");
        return Then::Close;
    }
    Then::GoOn
}
