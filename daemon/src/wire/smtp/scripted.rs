//! A server that follows a script over a pipe, for tests.
//!
//! `S: text` says a line, `S~ bytes` says exactly these bytes (with `\r`, `\n` and `\xHH`), `C: text` expects a line,
//! `content` reads up to the final dot, `take 5` reads so many bytes if they come, `starttls` shakes hands, `wait 5` sleeps seconds, `close` and `hang` are what
//! they say. After the script it listens until the client leaves.

use std::{
    num::NonZeroU16,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{opening::Provider, session::Session, sign_in::Credentials};
use crate::{
    domain::{
        account::{Encryption, Host, Timeouts, TlsOptions},
        mail::{Envelope, Message},
    },
    wire::{
        dial::{Dial, DialError, Stream},
        tls::TlsClient,
    },
};

const PIPE_BYTES: usize = 1 << 20;

/// What the server heard besides the lines it expected.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Each message as it came, with its dots.
    pub(crate) contents: Vec<String>,
    /// All that came after the script.
    pub(crate) rest: String,
}

#[derive(Debug)]
pub(crate) struct Scripted {
    script: String,
    tls: Option<Arc<ServerConfig>>,
    pipe_bytes: usize,
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
    server: Mutex<Option<JoinHandle<Heard>>>,
}

impl Scripted {
    pub(crate) fn new(script: &str) -> Self {
        let (script, writes) = (script.to_owned(), Arc::default());
        Self { script, tls: None, pipe_bytes: PIPE_BYTES, writes, server: Mutex::default() }
    }

    pub(crate) fn with_tls(self, tls: Arc<ServerConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    pub(super) fn with_pipe(self, pipe_bytes: usize) -> Self {
        Self { pipe_bytes, ..self }
    }

    /// What the client wrote, write by write.
    pub(crate) fn writes(&self) -> Vec<String> {
        let writes = self.writes.lock().expect("no test panics with it");
        writes.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Waits for the server, which waits for the client to leave; panics when the client left the script.
    pub(crate) async fn finish(&self) -> Heard {
        let server = self.server.lock().expect("no test panics with it").take().expect("dialled");
        server.await.expect("the client followed the script")
    }
}

#[async_trait]
impl Dial for Scripted {
    async fn dial(&self, _: &Host, _: NonZeroU16, _: Duration) -> Result<Box<dyn Stream>, DialError> {
        let (ours, theirs) = duplex(self.pipe_bytes);
        let play = play(self.script.clone(), self.tls.clone(), Box::new(theirs));
        *self.server.lock().expect("no test panics with it") = Some(tokio::spawn(play));
        Ok(Box::new(Recorded { pipe: ours, writes: Arc::clone(&self.writes) }))
    }
}

async fn play(script: String, tls: Option<Arc<ServerConfig>>, mut stream: Box<dyn Stream>) -> Heard {
    let mut heard = Heard::default();
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        if let Some(expected) = step.strip_prefix("C:").map(str::trim_start) {
            let line = until(&mut stream, "\r\n").await;
            assert_eq!(line.trim_end_matches("\r\n"), expected, "the client's next line");
        } else if let Some(text) = step.strip_prefix("S: ") {
            say(&mut stream, format!("{text}\r\n").as_bytes()).await;
        } else if let Some(raw) = step.strip_prefix("S~ ") {
            say(&mut stream, &unescape(raw)).await;
        } else if let Some(bytes) = step.strip_prefix("take ") {
            let mut taken = vec![0; bytes.parse().expect(bytes)];
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut taken)).await;
            heard.contents.push(String::from_utf8_lossy(&taken).into_owned());
        } else if let Some(seconds) = step.strip_prefix("wait ") {
            tokio::time::sleep(Duration::from_secs(seconds.parse().expect(seconds))).await;
        } else {
            match step {
                "content" => heard.contents.push(until(&mut stream, "\r\n.\r\n").await),
                "close" => return heard,
                "hang" => std::future::pending().await,
                "starttls" => {
                    let acceptor = TlsAcceptor::from(tls.clone().expect("a configuration"));
                    match acceptor.accept(stream).await {
                        Ok(encrypted) => stream = Box::new(encrypted),
                        Err(_) => return heard,
                    }
                }
                other => panic!("unknown step {other}"),
            }
        }
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    heard.rest = String::from_utf8_lossy(&rest).into_owned();
    heard
}

async fn say(stream: &mut Box<dyn Stream>, bytes: &[u8]) {
    // The client may have left already, which the next expected line shows.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

async fn until(stream: &mut Box<dyn Stream>, end: &str) -> String {
    let mut line = Vec::new();
    while !line.ends_with(end.as_bytes()) {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&line).into_owned()
}

fn unescape(raw: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = raw.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, left) = match (first, tail) {
            (b'\\', [b'r', left @ ..]) => (b'\r', left),
            (b'\\', [b'n', left @ ..]) => (b'\n', left),
            (b'\\', [b'x', high, low, left @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("two digits");
                (u8::from_str_radix(digits, 16).expect("hex"), left)
            }
            _ => (first, tail),
        };
        bytes.push(byte);
        rest = left;
    }
    bytes
}

/// A pipe that remembers each write.
#[derive(Debug)]
struct Recorded {
    pipe: DuplexStream,
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.pipe).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.writes.lock().expect("no test panics with it").push(buf[..bytes].to_vec());
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// A provider in the clear without a sign-in; the limits are 1 s to connect, 2 s to greet, 3 s for a command, 4 s for
/// DATA and a block, 5 s for the final dot.
pub(super) fn provider() -> Provider {
    let [connect, greeting, command, data, end_of_data] = [1, 2, 3, 4, 5].map(Duration::from_secs);
    Provider {
        host: "smtp.lab.test".parse().expect("a host"),
        port: NonZeroU16::new(587).expect("not zero"),
        encryption: Encryption::None,
        ehlo_name: "client.test".parse().expect("a name"),
        proxy: None,
        tls: TlsClient::new(None, &TlsOptions::default()).expect("no authority to parse"),
        sign_in: Credentials::Nothing,
        timeouts: Timeouts { connect, greeting, command, data, end_of_data },
    }
}

pub(super) fn envelope(recipients: &[&str]) -> Envelope {
    let recipients = recipients.iter().map(|r| r.parse().expect(r)).collect();
    Envelope { sender: "me@x.jp".parse().expect("an address"), recipients }
}

pub(super) fn message(text: &str) -> Message {
    Message { bytes: text.to_owned().into(), is_eight_bit: !text.is_ascii() }
}

pub(super) fn short() -> Message {
    message("Subject: x\r\n\r\nhello\r\n.")
}

pub(super) async fn opened(script: &str) -> (Session, Scripted) {
    let server = Scripted::new(script);
    let session = Session::open(&provider(), &server).await.expect("a session");
    (session, server)
}
