//! How is a mailbox server talked to line by line? Bounded, timed, and with each step on record.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{MailboxCause, MailboxCheck, MailboxFailure, MailboxPhase, MailboxStep, of_dial};
use crate::{
    domain::reply::{REPLY_TEXT_BYTES_MAX, keep},
    wire::{
        dial::{self, Dial, Route, Stream},
        endpoint::Endpoint,
        smtp::secrets::Secrets,
        tls::{Encrypted, TlsFacts},
    },
};

/// Longest line that is read. RFC 1939 3 allows 512 bytes; lists of IMAP capabilities are longer.
const LINE_BYTES_MAX: usize = 8_192;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 2_048;
/// The longest limit that is honoured: a day.
const LIMIT_SECONDS_MAX: u64 = 86_400;
/// How long saying goodbye may take.
const FAREWELL_SECONDS: u64 = 2;

/// A dialogue with a server.
pub(in crate::wire) struct Talk {
    /// The server.
    pub(in crate::wire) endpoint: Endpoint,
    /// Facts of the encrypted connection.
    pub(in crate::wire) tls: Option<TlsFacts>,
    stream: Option<Box<dyn Stream>>,
    buffer: Vec<u8>,
    secrets: Secrets,
    steps: Vec<MailboxStep>,
    since: Instant,
}

impl Talk {
    /// With nobody yet.
    pub(in crate::wire) fn new(endpoint: Endpoint) -> Self {
        let (stream, buffer, steps) = (None, Vec::new(), Vec::new());
        Self { endpoint, tls: None, stream, buffer, secrets: Secrets::default(), steps, since: Instant::now() }
    }

    /// Opens the connection, through the proxy if there is one.
    pub(in crate::wire) async fn connect(&mut self, dial: &dyn Dial) -> Result<(), MailboxFailure> {
        self.begin(MailboxPhase::Connect, "");
        let Endpoint { host, port, proxy, timeouts, .. } = &self.endpoint;
        let route = Route { host, port: *port, proxy: proxy.as_ref(), limit: timeouts.connect };
        match dial::reach(dial, route).await {
            Ok(stream) => {
                self.end();
                self.stream = Some(stream);
                Ok(())
            }
            Err(error) => {
                let (phase, cause) = of_dial(error);
                if let Some(step) = self.steps.last_mut() {
                    step.phase = phase;
                }
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
        self.begin(MailboxPhase::Tls, "");
        let Some(stream) = self.stream.take() else {
            return Err(self.failure(MailboxCause::Closed));
        };
        let Endpoint { host, tls, timeouts, .. } = &self.endpoint;
        match tls.encrypt(stream, host, timeouts.connect).await {
            Ok(Encrypted { stream, facts }) => {
                self.end();
                (self.stream, self.tls) = (Some(stream), Some(facts));
                Ok(())
            }
            Err(failure) => Err(self.failure(failure.into())),
        }
    }

    /// Begins a step, in which `shown` is said, or something that is shown as that.
    pub(in crate::wire) fn begin(&mut self, phase: MailboxPhase, shown: &str) {
        self.since = Instant::now();
        let (sent, reply) = (shown.to_owned(), String::new());
        self.steps.push(MailboxStep { phase, sent, reply, took: Duration::ZERO });
    }

    /// Ends a step; only its time is left to be told.
    pub(in crate::wire) fn end(&mut self) {
        let took = self.since.elapsed();
        if let Some(step) = self.steps.last_mut() {
            step.took = took;
        }
    }

    /// Notes what was answered in this step.
    pub(in crate::wire) fn note(&mut self, words: &str) {
        let words = self.secrets.without(words);
        if let Some(step) = self.steps.last_mut()
            && step.reply.len() < REPLY_TEXT_BYTES_MAX
        {
            if !step.reply.is_empty() {
                step.reply.push('\n');
            }
            step.reply.push_str(&words);
            let kept = keep(&step.reply).len();
            step.reply.truncate(kept);
        }
        self.end();
    }

    /// What was answered in this step.
    pub(in crate::wire) fn answer(&self) -> String {
        self.steps.last().map(|step| step.reply.clone()).unwrap_or_default()
    }

    /// Keeps `secret` out of whatever the server says from now on.
    pub(in crate::wire) fn hide(&mut self, secret: &str) {
        self.secrets.add(secret);
    }

    /// Says a command in a step of its own and reads the first line of the reply.
    pub(in crate::wire) async fn ask(
        &mut self,
        phase: MailboxPhase,
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

    /// The failure of this step.
    pub(in crate::wire) fn failure(&mut self, cause: MailboxCause) -> MailboxFailure {
        self.end();
        let phase = self.steps.last().map_or(MailboxPhase::Connect, |step| step.phase);
        MailboxFailure { phase, cause: self.masked(cause), transcript: self.transcript() }
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

    fn transcript(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let sent = step.sent.lines().map(|line| ("C: ", line));
            for (who, line) in sent.chain(step.reply.lines().map(|line| ("S: ", line))) {
                text.push_str(who);
                text.extend(line.chars().flat_map(|c| {
                    let escaped = c.is_control().then(|| c.escape_default());
                    escaped.into_iter().flatten().chain((!c.is_control()).then_some(c))
                }));
                text.push('\n');
            }
        }
        text
    }

    /// The stream, for another reader; nothing when something was sent unasked.
    pub(in crate::wire) fn take_stream(&mut self) -> Option<Box<dyn Stream>> {
        if self.buffer.is_empty() { self.stream.take() } else { None }
    }

    /// Says goodbye, waits a moment for the answer, and closes.
    pub(in crate::wire) async fn leave(&mut self, word: &str) {
        if self.stream.is_some() {
            let goodbye = timeout(Duration::from_secs(FAREWELL_SECONDS), self.ask(MailboxPhase::Quit, word, word));
            // Whether the server hears it does not matter to anybody.
            drop(goodbye.await);
        }
        self.close();
    }

    /// Closes the connection without a word.
    pub(in crate::wire) fn close(&mut self) {
        self.stream = None;
    }

    /// What is on record.
    pub(in crate::wire) fn into_check(
        self,
        capabilities: Vec<String>,
        failure: Option<MailboxFailure>,
    ) -> MailboxCheck {
        let (steps, tls) = (self.steps, self.tls);
        MailboxCheck { steps, tls, capabilities, folders: Vec::new(), messages: 0, failure }
    }
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk")
            .field("endpoint", &self.endpoint.host)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
