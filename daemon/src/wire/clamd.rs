//! What does a virus scanner say of a file? The protocol of ClamAV's clamd: one command a connection, `INSTREAM` for files.

use std::{
    fmt, io,
    num::NonZeroU16,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    time::timeout,
};

use super::stream::Stream;

/// Longest piece of a file that is sent at once, in bytes. clamd takes any length and reads as much at a time.
const CHUNK_BYTES_MAX: usize = 64 * 1_024;
/// Longest reply that is read, in bytes; names of viruses have some 100 at most.
const REPLY_BYTES_MAX: usize = 1_024;

/// How long a file waits at most for its turn, in seconds.
const TURN_SECS_MAX: u64 = 30;

/// Where a scanner listens: `unix:/run/clamav/clamd.ctl` or `tcp:127.0.0.1:3310`. What goes there goes in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScannerPlace {
    /// At a socket of this machine, by its absolute path.
    Unix(PathBuf),
    /// At a host, by name or address, and a port.
    Tcp(String, NonZeroU16),
}

/// That a text says no place of a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be \"unix:\" and an absolute path, or \"tcp:\", a host and a port")]
pub struct BadScannerPlace;

/// What the scanner said of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanVerdict {
    /// Nothing is known against it.
    Clean,
    /// It is infected by what the scanner calls so.
    Infected(String),
}

/// Why a file was not scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Nobody is there.
    #[error("the virus scanner cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    /// As many files are being scanned as may be, and the file's turn did not come. This says nothing of the scanner.
    #[error("too many files wait for the virus scanner: try again later")]
    Busy,
    /// It took too long: to connect, to take the file, or to answer.
    #[error("the virus scanner did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It went away before it answered.
    #[error("the virus scanner closed the connection without an answer")]
    Dropped,
    /// The file is larger than it scans (`StreamMaxLength` of clamd).
    #[error("the file is larger than the virus scanner takes")]
    TooLarge,
    /// It said something else than a verdict, word for word.
    #[error("the virus scanner said {0:?}")]
    Said(String),
}

/// A clamd, and how it is used.
#[derive(Debug)]
pub struct Clamd {
    place: ScannerPlace,
    limit: Duration,
    /// As many scans may go on at once.
    turns: Semaphore,
}

impl Clamd {
    /// A scanner that is asked for at most `scans_max` files at once, each of which may take as long as `limit`.
    #[must_use]
    pub fn new(place: ScannerPlace, limit: Duration, scans_max: usize) -> Self {
        Self { place, limit, turns: Semaphore::new(scans_max) }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &ScannerPlace {
        &self.place
    }

    /// Has a file scanned. Waits for its turn first, up to half a minute that does not count against the scan's own limit.
    ///
    /// # Errors
    /// When there is no verdict.
    pub async fn scan(&self, file: &[u8]) -> Result<ScanVerdict, ScanError> {
        let turn = timeout(Duration::from_secs(TURN_SECS_MAX), self.turns.acquire()).await;
        let _turn = turn.map_err(|_| ScanError::Busy)?.expect("nobody closes the semaphore");
        let scanned = async { instream(self.connect().await?, file).await };
        timeout(self.limit, scanned).await.unwrap_or(Err(ScanError::TimedOut(self.limit)))
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// When it does not, or not as clamd does.
    pub async fn ping(&self) -> Result<(), ScanError> {
        match self.ask("PING").await?.as_str() {
            "PONG" => Ok(()),
            other => Err(ScanError::Said(other.to_owned())),
        }
    }

    /// The version of it and of its signatures, as it tells them.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, ScanError> {
        self.ask("VERSION").await
    }

    async fn ask(&self, command: &str) -> Result<String, ScanError> {
        let asked = async { ask(self.connect().await?, command).await };
        timeout(self.limit, asked).await.unwrap_or(Err(ScanError::TimedOut(self.limit)))
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, ScanError> {
        let connected: io::Result<Box<dyn Stream>> = match &self.place {
            ScannerPlace::Unix(path) => UnixStream::connect(path).await.map(|stream| Box::new(stream) as _),
            ScannerPlace::Tcp(host, port) => {
                TcpStream::connect((host.as_str(), port.get())).await.map(|stream| Box::new(stream) as _)
            }
        };
        connected.map_err(ScanError::Unreachable)
    }
}

/// Sends a command without a file, and reads the answer.
async fn ask(stream: Box<dyn Stream>, command: &str) -> Result<String, ScanError> {
    let (mut ours, mut theirs) = split(stream);
    // A command that begins with z ends, as its reply does, with a zero.
    let sent = theirs.write_all(format!("z{command}\0").as_bytes()).await;
    let reply = read_reply(&mut ours).await?;
    sent.map_err(ScanError::Unreachable)?;
    reply.ok_or(ScanError::Dropped)
}

/// Sends a file, and reads the verdict. A scanner that has seen enough answers and closes before it has read all.
async fn instream(stream: Box<dyn Stream>, file: &[u8]) -> Result<ScanVerdict, ScanError> {
    let (mut ours, mut theirs) = split(stream);
    let reply = {
        let reply = read_reply(&mut ours);
        tokio::pin!(reply);
        tokio::select! {
            biased;
            early = &mut reply => early,
            // What could not be sent is of no interest when there is an answer.
            _ = send_file(&mut theirs, file) => reply.await,
        }
    }?;
    verdict_of(&reply.ok_or(ScanError::Dropped)?)
}

async fn send_file(theirs: &mut WriteHalf<Box<dyn Stream>>, file: &[u8]) -> io::Result<()> {
    theirs.write_all(b"zINSTREAM\0").await?;
    for chunk in file.chunks(CHUNK_BYTES_MAX) {
        let length = u32::try_from(chunk.len()).expect("a chunk is at most 64 KiB long");
        theirs.write_all(&length.to_be_bytes()).await?;
        theirs.write_all(chunk).await?;
    }
    theirs.write_all(&0_u32.to_be_bytes()).await?;
    theirs.flush().await
}

/// The reply up to its zero; nothing when the connection ends before.
async fn read_reply(ours: &mut ReadHalf<Box<dyn Stream>>) -> Result<Option<String>, ScanError> {
    let mut reply = Vec::with_capacity(128);
    let mut buffer = [0; 256];
    loop {
        let Ok(count @ 1..) = ours.read(&mut buffer).await else { return Ok(None) };
        reply.extend_from_slice(&buffer[..count]);
        if let Some(end) = reply.iter().position(|byte| *byte == 0) {
            reply.truncate(end);
            return Ok(Some(text_of(&reply)));
        }
        if reply.len() > REPLY_BYTES_MAX {
            reply.truncate(REPLY_BYTES_MAX);
            return Err(ScanError::Said(text_of(&reply)));
        }
    }
}

/// The reply as a text without line breaks and what else could disturb a log.
fn text_of(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn verdict_of(reply: &str) -> Result<ScanVerdict, ScanError> {
    let said = reply.strip_prefix("stream: ").unwrap_or(reply);
    match said.strip_suffix(" FOUND") {
        Some(name) => Ok(ScanVerdict::Infected(name.to_owned())),
        None if reply == "stream: OK" => Ok(ScanVerdict::Clean),
        None if said.starts_with("INSTREAM size limit exceeded") => Err(ScanError::TooLarge),
        None => Err(ScanError::Said(reply.to_owned())),
    }
}

impl FromStr for ScannerPlace {
    type Err = BadScannerPlace;

    fn from_str(text: &str) -> Result<Self, BadScannerPlace> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = Path::new(path).is_absolute() && !path.contains('\0');
            return if is_path { Ok(Self::Unix(path.into())) } else { Err(BadScannerPlace) };
        }
        let (host, port) = text.strip_prefix("tcp:").and_then(|rest| rest.rsplit_once(':')).ok_or(BadScannerPlace)?;
        let port = port.parse().map_err(|_| BadScannerPlace)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_host = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || ".-:_".contains(c));
        if is_host { Ok(Self::Tcp(bare.to_owned(), port)) } else { Err(BadScannerPlace) }
    }
}

impl fmt::Display for ScannerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "tcp:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod dialogues;
