//! Which faults can a mail server have at each phase, and what has it taken all the same?

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::recorder::Delivery;

mod dialogue;

/// How long a server keeps silent at most: longer than any limit of the accounts.
const SILENCE: Duration = Duration::from_secs(60);
/// How late a slow reply comes: sooner than any limit of the accounts.
const SLOWNESS: Duration = Duration::from_millis(700);
/// How long it waits between two bytes.
const BYTE_GAP: Duration = Duration::from_millis(3);
/// How long the line of a reply without end is.
const LONG_LINE_BYTES: usize = 100_000;

/// Where in a session something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Greeting,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    /// Within the message.
    Body,
    /// The final dot is read, and its reply awaited.
    Dot,
    /// The final dot was answered.
    AfterDot,
    Rset,
    Quit,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The connection closes instead of a reply. At the dot the message was taken.
    Drop,
    /// As before, but at the dot the message was not taken.
    Lose,
    /// 421, and the connection closes.
    Bye,
    /// A reply of class 4.
    Defer,
    /// 502.
    Unknown,
    /// No reply at all.
    Hang,
    /// The reply is slow.
    Slow,
    /// The reply comes byte by byte.
    Bytewise,
    /// The reply comes in two parts.
    Split,
    /// Several lines.
    Lines,
    /// Several lines of which the last has another code.
    Mixed,
    /// No reply of SMTP.
    Garbage,
    /// A line too long for any buffer.
    Long,
    /// Bytes that are no text.
    Binary,
    /// Control characters.
    Control,
    /// A line that ends with LF only.
    BareLf,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Phase,
    pub(crate) how: How,
}

/// Every fault that makes sense.
pub(crate) fn all() -> Vec<Fault> {
    use How::{
        BareLf, Binary, Bye, Bytewise, Control, Defer, Drop, Garbage, Hang, Lines, Long, Lose, Mixed, Slow, Split,
        Unknown,
    };
    const REPLIES: [How; 14] =
        [Drop, Bye, Defer, Hang, Slow, Bytewise, Split, Lines, Mixed, Garbage, Long, Binary, Control, BareLf];
    let mut all = Vec::new();
    for at in [Phase::Greeting, Phase::Ehlo, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot] {
        all.extend(REPLIES.map(|how| Fault { at, how }));
    }
    let rest = [
        (Phase::Ehlo, Unknown),
        (Phase::Dot, Lose),
        (Phase::Body, Drop),
        (Phase::Body, Hang),
        (Phase::AfterDot, Drop),
        (Phase::AfterDot, Bye),
        (Phase::Rset, Drop),
        (Phase::Rset, Hang),
        (Phase::Quit, Drop),
        (Phase::Quit, Hang),
    ];
    all.extend(rest.map(|(at, how)| Fault { at, how }));
    all
}

impl Fault {
    /// Whether a server with it has taken the message whose final dot it meets.
    pub(crate) fn takes(self) -> bool {
        self.at != Phase::Dot || !matches!(self.how, How::Lose | How::Bye | How::Defer | How::Mixed | How::Unknown)
    }

    /// Whether a client can tell from its reply to the dot that the message was taken.
    fn answers(self) -> bool {
        let is_clear = matches!(self.how, How::Slow | How::Bytewise | How::Split | How::Lines);
        self.at != Phase::Dot || is_clear
    }
}

/// What all faulty servers have taken.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Vec<Delivery>>);

impl Book {
    /// All of it.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn enter(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(deliveries);
    }
}

/// A server that has one fault every other time, as long as it is sick.
#[derive(Clone, Debug)]
pub(crate) struct FaultyServer {
    fault: Fault,
    sick: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
    book: Arc<Book>,
}

impl FaultyServer {
    /// A server with this fault for as long as `sick` is true, and the port on which `serving` runs it.
    pub(crate) async fn begin(
        fault: Fault,
        sick: &Arc<AtomicBool>,
        book: &Arc<Book>,
        serving: &mut JoinSet<()>,
    ) -> anyhow::Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let port = listener.local_addr().context("the listener has no address")?.port();
        let server = Self { fault, sick: Arc::clone(sick), turns: Arc::default(), book: Arc::clone(book) };
        serving.spawn(server.listen(listener));
        Ok(port)
    }

    async fn listen(self, listener: TcpListener) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                taken = listener.accept() => {
                    let Ok((stream, _)) = taken else { return };
                    let server = self.clone();
                    // A client that breaks off is no failure here.
                    clients.spawn(async move { server.serve(stream).await.is_ok() });
                }
                Some(_) = clients.join_next() => {}
            }
        }
    }

    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut dialogue = dialogue::Dialogue::new(self, BufReader::new(stream));
        dialogue.run().await
    }

    /// How it misbehaves at this point, if it does.
    fn falls(&self, at: Phase) -> Option<How> {
        if at != self.fault.at || !self.sick.load(Ordering::Relaxed) {
            return None;
        }
        self.turns.fetch_add(1, Ordering::Relaxed).is_multiple_of(2).then_some(self.fault.how)
    }
}

/// Writes a reply as a fault has it; whether the connection goes on.
async fn misbehave(stream: &mut BufReader<TcpStream>, how: How, normal: &str) -> io::Result<bool> {
    let code = normal.get(..3).unwrap_or_default();
    let bytes = match how {
        How::Drop | How::Lose => return Ok(false),
        How::Bye => {
            stream.write_all(b"421 4.3.2 the server goes down\r\n").await?;
            return Ok(false);
        }
        How::Hang => {
            // Whatever the client says, until it leaves.
            let mut heard = Vec::new();
            let listening = stream.read_to_end(&mut heard);
            drop(timeout(SILENCE, listening).await);
            return Ok(false);
        }
        How::Slow => {
            sleep(SLOWNESS).await;
            normal.as_bytes().to_vec()
        }
        How::Bytewise => {
            for byte in normal.bytes() {
                stream.write_all(&[byte]).await?;
                sleep(BYTE_GAP).await;
            }
            return Ok(true);
        }
        How::Split => {
            let (head, tail) = normal.split_at(2);
            stream.write_all(head.as_bytes()).await?;
            sleep(SLOWNESS / 4).await;
            tail.as_bytes().to_vec()
        }
        How::Defer => b"451 4.3.0 not now\r\n".to_vec(),
        How::Unknown => b"502 5.5.1 not known here\r\n".to_vec(),
        How::Lines => format!("{code}-one\r\n{code}-two\r\n{normal}").into_bytes(),
        How::Mixed => format!("{code}-one\r\n550 the code has changed\r\n").into_bytes(),
        How::Garbage => b"hello, this is no reply of SMTP\r\n".to_vec(),
        How::Long => format!("{code} {}\r\n", "y".repeat(LONG_LINE_BYTES)).into_bytes(),
        How::Binary => [code.as_bytes(), b" ", &(128..=255).collect::<Vec<u8>>(), b"\r\n"].concat(),
        How::Control => format!("{code} \u{1b}[31mred\u{7}\0 ERROR forged=\"line\"\r\n").into_bytes(),
        How::BareLf => normal.replace("\r\n", "\n").into_bytes(),
    };
    stream.write_all(&bytes).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_faults_once() {
        let all = all();
        for (index, fault) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(fault), "{fault:?} twice");
        }
        assert_eq!(all.len(), 94);
    }

    #[test]
    fn what_is_refused_at_the_dot_is_not_taken() {
        let at_dot = |how| Fault { at: Phase::Dot, how };
        assert!(at_dot(How::Drop).takes() && !at_dot(How::Drop).answers());
        assert!(at_dot(How::Slow).takes() && at_dot(How::Slow).answers());
        assert!(!at_dot(How::Lose).takes() && !at_dot(How::Bye).takes());
        assert!(Fault { at: Phase::Mail, how: How::Drop }.takes());
    }
}
