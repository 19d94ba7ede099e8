//! How is a mailbox server talked to line by line? Bounded, timed, and with each step on record.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{MailboxCause, MailboxFailure, of_dial, one_line};
use crate::{
    domain::reply::keep,
    wire::{
        dial::{self, Dial, Route, Stream},
        endpoint::Endpoint,
        secrets::Secrets,
        steps::{self, Dialogue, Running, StepName},
        tls::Encrypted,
    },
};

/// Longest line that is read. RFC 1939 3 allows 512 bytes; lists of IMAP capabilities are longer.
const LINE_BYTES_MAX: usize = 8_192;
/// Most bytes of a dialogue that are kept, about; of a longer one it is the end.
const TRANSCRIPT_BYTES_MAX: usize = 16_384;
/// Most bytes of a step's reply that are kept, about.
const STEP_BYTES_MAX: usize = 4_096;
/// Bytes of a line that are read at once.
const PIECE_BYTES: usize = 2_048;
/// Bytes of anything else that are read at once.
const CONTENT_BYTES: usize = 16_384;
/// The longest limit that is honoured: a day.
const LIMIT_SECONDS_MAX: u64 = 86_400;
/// How long saying goodbye may take.
const FAREWELL_SECONDS: u64 = 2;

/// A dialogue with a server.
pub(in crate::wire) struct Talk {
    /// The server.
    pub(in crate::wire) endpoint: Endpoint,
    stream: Option<Box<dyn Stream>>,
    buffer: Vec<u8>,
    secrets: Secrets,
    transcript: String,
    phase: StepName,
    step: Option<Running>,
    said: Dialogue,
}

impl Talk {
    /// With nobody yet.
    pub(in crate::wire) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            stream: None,
            buffer: Vec::new(),
            secrets: Secrets::default(),
            transcript: String::new(),
            phase: StepName::Connect,
            step: None,
            said: Dialogue::default(),
        }
    }

    /// Opens the connection, through the proxy if there is one.
    pub(in crate::wire) async fn connect(&mut self, dial: &dyn Dial) -> Result<(), MailboxFailure> {
        let Endpoint { host, port, proxy, timeouts, .. } = &self.endpoint;
        let route = Route { host, port: *port, proxy: proxy.as_ref(), limit: timeouts.connect };
        match dial::reach(dial, route).await {
            Ok(stream) => {
                self.stream = Some(stream);
                Ok(())
            }
            Err(error) => {
                let (phase, cause) = of_dial(error);
                self.phase = phase;
                Err(self.failure(cause))
            }
        }
    }

    /// Encrypts the connection. `word` is the command that came before, if one did: what followed its reply is refused.
    pub(in crate::wire) async fn encrypt(&mut self, word: Option<&'static str>) -> Result<(), MailboxFailure> {
        if let Some(word) = word
            && !self.buffer.is_empty()
        {
            return Err(self.failure(MailboxCause::Injected(word)));
        }
        self.begin(StepName::Tls, "");
        let Some(stream) = self.stream.take() else {
            return Err(self.failure(MailboxCause::Closed));
        };
        let Endpoint { host, tls, timeouts, .. } = &self.endpoint;
        match tls.encrypt(stream, host, timeouts.connect).await {
            Ok(Encrypted { stream, facts }) => {
                self.found(&facts.version);
                steps::saw_tls(&facts);
                self.stream = Some(stream);
                Ok(())
            }
            Err(failure) => Err(self.failure(failure.into())),
        }
    }

    /// Begins a step, in which `shown` is said, or something that is shown as that. The one before has succeeded.
    pub(in crate::wire) fn begin(&mut self, phase: StepName, shown: &str) {
        self.done();
        self.phase = phase;
        self.step = Some(steps::begin(phase));
        shown.clone_into(&mut self.said.sent);
        if !shown.is_empty() {
            self.remember("C: ", shown);
        }
    }

    /// Ends the step, which has succeeded.
    pub(in crate::wire) fn done(&mut self) {
        self.found("");
    }

    fn found(&mut self, note: &str) {
        let said = std::mem::take(&mut self.said);
        if let Some(step) = self.step.take() {
            step.end(said, Ok::<_, &str>(note));
        }
    }

    /// Notes what was answered in this step.
    pub(in crate::wire) fn note(&mut self, words: &str) {
        let words = self.secrets.without(words);
        self.remember("S: ", &words);
        let reply = &mut self.said.reply;
        if reply.len() < STEP_BYTES_MAX {
            if !reply.is_empty() {
                reply.push('\n');
            }
            reply.push_str(&words);
        }
    }

    fn remember(&mut self, who: &str, lines: &str) {
        for line in lines.lines() {
            self.forget_beginning();
            self.transcript.push_str(who);
            self.transcript.push_str(&one_line(keep(line)));
            self.transcript.push('\n');
        }
    }

    /// Forgets half of a dialogue that has become long: where a session broke, its end tells more.
    fn forget_beginning(&mut self) {
        if self.transcript.len() <= TRANSCRIPT_BYTES_MAX {
            return;
        }
        let half = self.transcript.floor_char_boundary(self.transcript.len() / 2);
        let end = self.transcript[half..].find('\n').map_or(self.transcript.len(), |at| half + at + 1);
        self.transcript.replace_range(..end, "...\n");
    }

    /// Keeps `secret` out of whatever the server says from now on.
    pub(in crate::wire) fn hide(&mut self, secret: &str) {
        self.secrets.add(secret);
    }

    /// Says a command in a step of its own and reads the first line of the reply.
    pub(in crate::wire) async fn ask(
        &mut self,
        phase: StepName,
        command: &str,
        shown: &str,
    ) -> Result<String, MailboxFailure> {
        self.begin(phase, shown);
        self.say(command).await?;
        self.hear(self.endpoint.timeouts.command).await
    }

    /// Says a line.
    pub(in crate::wire) async fn say(&mut self, words: &str) -> Result<(), MailboxFailure> {
        if words.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err(self.failure(MailboxCause::BadCredentials));
        }
        let limit = self.endpoint.timeouts.command;
        let Some(stream) = &mut self.stream else {
            return Err(self.failure(MailboxCause::Closed));
        };
        let line = zeroize::Zeroizing::new(format!("{words}\r\n"));
        let write = async {
            stream.write_all(line.as_bytes()).await?;
            stream.flush().await
        };
        match timeout(limit, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failure(error.into())),
            Err(_) => Err(self.failure(MailboxCause::TimedOut(limit))),
        }
    }

    /// Reads a line within `limit`, without its end, and notes it.
    pub(in crate::wire) async fn hear(&mut self, limit: Duration) -> Result<String, MailboxFailure> {
        let deadline = Instant::now() + limit.min(Duration::from_secs(LIMIT_SECONDS_MAX));
        match timeout_at(deadline, self.line()).await {
            Ok(Ok(line)) => {
                self.note(&line);
                Ok(line)
            }
            Ok(Err(cause)) => Err(self.failure(cause)),
            Err(_) => Err(self.failure(MailboxCause::TimedOut(limit))),
        }
    }

    async fn line(&mut self) -> Result<String, MailboxCause> {
        let stream = self.stream.as_mut().ok_or(MailboxCause::Closed)?;
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            if self.buffer.len() >= LINE_BYTES_MAX {
                return Err(MailboxCause::TooLong(LINE_BYTES_MAX));
            }
            let mut piece = [0; PIECE_BYTES];
            match stream.read(&mut piece).await? {
                0 => return Err(MailboxCause::Closed),
                bytes => self.buffer.extend_from_slice(&piece[..bytes]),
            }
        }
    }

    /// Waits within `limit` for the server to say something when nothing is [`unread`](Self::unread), and notes none of
    /// it. At the end of the connection it fails.
    pub(in crate::wire) async fn listen(&mut self, limit: Duration) -> Result<(), MailboxFailure> {
        if !self.buffer.is_empty() {
            return Ok(());
        }
        let read = timeout(limit.min(Duration::from_secs(LIMIT_SECONDS_MAX)), self.piece()).await;
        let cause = match read {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(cause)) => cause,
            Err(_) => MailboxCause::TimedOut(limit),
        };
        Err(self.failure(cause))
    }

    async fn piece(&mut self) -> Result<(), MailboxCause> {
        let stream = self.stream.as_mut().ok_or(MailboxCause::Closed)?;
        self.buffer.reserve(CONTENT_BYTES);
        match stream.read_buf(&mut self.buffer).await? {
            0 => Err(MailboxCause::Closed),
            _ => Ok(()),
        }
    }

    /// What the server has said and nobody has read.
    pub(in crate::wire) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes so many bytes off what is unread.
    pub(in crate::wire) fn consume(&mut self, bytes: usize) {
        self.buffer.drain(..bytes.min(self.buffer.len()));
    }

    /// Ends the step, which the server has refused; the dialogue goes on. Its words without secrets, bounded.
    pub(in crate::wire) fn refused(&mut self, words: &str) -> String {
        let words = keep(&self.secrets.without(words)).to_owned();
        let said = std::mem::take(&mut self.said);
        if let Some(step) = self.step.take() {
            step.end(said, Err::<&str, _>(&words));
        }
        words
    }

    /// The failure of this step.
    pub(in crate::wire) fn failure(&mut self, cause: MailboxCause) -> MailboxFailure {
        let cause = self.masked(cause);
        let said = std::mem::take(&mut self.said);
        if let Some(step) = self.step.take() {
            step.end(said, Err::<&str, _>(&cause));
        }
        MailboxFailure { phase: self.phase, cause, transcript: self.transcript.clone() }
    }

    fn masked(&self, cause: MailboxCause) -> MailboxCause {
        match cause {
            MailboxCause::Refused(words) => MailboxCause::Refused(keep(&self.secrets.without(&words)).to_owned()),
            MailboxCause::Unreadable { protocol, said } => {
                MailboxCause::Unreadable { protocol, said: keep(&self.secrets.without(&said)).to_owned() }
            }
            other => other,
        }
    }

    /// The stream, for another reader; nothing when something was sent unasked.
    pub(in crate::wire) fn take_stream(&mut self) -> Option<Box<dyn Stream>> {
        if self.buffer.is_empty() { self.stream.take() } else { None }
    }

    /// Says goodbye, waits a moment for the answer, and closes.
    pub(in crate::wire) async fn leave(&mut self, word: &str) {
        if self.stream.is_some() {
            let goodbye = timeout(Duration::from_secs(FAREWELL_SECONDS), self.ask(StepName::Quit, word, word));
            // Whether the server hears it does not matter to anybody.
            drop(goodbye.await);
            self.done();
        }
        self.close();
    }

    /// Closes the connection without a word.
    pub(in crate::wire) fn close(&mut self) {
        self.stream = None;
    }
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk")
            .field("endpoint", &self.endpoint.host)
            .field("transcript", &self.transcript)
            .finish_non_exhaustive()
    }
}
