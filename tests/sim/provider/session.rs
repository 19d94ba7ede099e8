//! What is said on one connection to a provider.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use hikyaku_daemon::domain::time::Timestamp;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    time::{sleep, timeout},
};
use turmoil::net::TcpStream;

use super::{
    Provider, Served, Taken,
    conduct::{Act, Step},
    digest,
};
use crate::plan;

/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 4_096;
/// How long a session waits for the next command, in seconds.
const IDLE_SECONDS_MAX: u64 = 900;
/// How long a session that says nothing any more stays open, in seconds.
const HANG_SECONDS_MAX: u64 = 7_200;

/// One connection.
pub(super) struct Session {
    provider: Arc<Provider>,
    stream: BufReader<TcpStream>,
    /// Replies that go out together when all that came in was answered.
    unsent: String,
    account: String,
    envelope: Option<Envelope>,
    /// When what is being answered had come at the earliest: since then there was always more to read.
    came_at: Timestamp,
}

struct Envelope {
    job: usize,
    recipients: Vec<usize>,
}

/// The connection is over.
struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// The end of a session, or what comes of a step of it.
type Went<T> = Result<T, Gone>;

impl Session {
    pub(super) fn new(provider: Arc<Provider>, stream: TcpStream) -> Self {
        let (unsent, account) = (String::new(), String::from("nobody"));
        Self { provider, stream: BufReader::new(stream), unsent, account, envelope: None, came_at: now() }
    }

    /// Serves until either side has enough.
    pub(super) async fn run(mut self) {
        // A connection that ends is what this is about.
        let _: Went<()> = self.serve().await;
    }

    async fn serve(&mut self) -> Went<()> {
        if !self.pass(Step::Banner, "220 provider.example ESMTP").await? {
            return self.flush().await;
        }
        loop {
            let line = self.line(IDLE_SECONDS_MAX).await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => self.hello(rest).await?,
                "AUTH" => self.sign_in(rest).await?,
                "MAIL" => self.mail(rest).await?,
                "RCPT" => self.rcpt(rest).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.envelope = None;
                    self.say("250 2.0.0 ok").await?;
                }
                "NOOP" => self.say("250 2.0.0 ok").await?,
                "QUIT" => {
                    self.say("221 2.0.0 bye").await?;
                    return self.flush().await;
                }
                _ => self.say("500 5.5.2 what?").await?,
            }
        }
    }

    async fn hello(&mut self, name: &str) -> Went<()> {
        name.split('.').next().unwrap_or_default().clone_into(&mut self.account);
        let pipelining = if self.provider.conduct.is_pipelining() { "250-PIPELINING\r\n" } else { "" };
        let offers = format!(
            "250-provider.example\r\n{pipelining}250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1000000"
        );
        self.pass(Step::Hello, &offers).await.map(drop)
    }

    async fn sign_in(&mut self, rest: &str) -> Went<()> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let questions: &[&str] = match (mechanism, initial) {
            ("PLAIN", "") => &["334 "],
            ("LOGIN", "") => &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
            ("LOGIN", _) => &["334 UGFzc3dvcmQ6"],
            _ => &[],
        };
        for question in questions {
            self.say(question).await?;
            self.line(IDLE_SECONDS_MAX).await?;
        }
        self.pass(Step::SignIn, "235 2.7.0 welcome").await.map(drop)
    }

    /// `MAIL FROM:<acc7+j12@sim.example>` tells the job.
    async fn mail(&mut self, rest: &str) -> Went<()> {
        let job = number_after(rest, "+j").unwrap_or(usize::MAX);
        self.provider.note_served(Served { at: now(), came_at: self.came_at, job });
        if self.pass(Step::Mail, "250 2.1.0 ok").await? {
            self.envelope = Some(Envelope { job, recipients: Vec::new() });
        }
        Ok(())
    }

    /// `RCPT TO:<j12.r3@dest.example>` tells the recipient.
    async fn rcpt(&mut self, rest: &str) -> Went<()> {
        let recipient = number_after(rest, ".r").unwrap_or(usize::MAX);
        let Some(job) = self.envelope.as_ref().map(|envelope| envelope.job) else {
            return self.say("503 5.5.1 MAIL first").await;
        };
        if self.provider.conduct.is_greylisted(job, recipient, now()) {
            return self.say("450 4.7.1 greylisted, come again").await;
        }
        if self.pass(Step::Rcpt, "250 2.1.5 ok").await?
            && let Some(envelope) = &mut self.envelope
        {
            envelope.recipients.push(recipient);
        }
        Ok(())
    }

    async fn data(&mut self) -> Went<()> {
        let Some(envelope) = self.envelope.take_if(|envelope| !envelope.recipients.is_empty()) else {
            return self.say("554 5.5.1 no valid recipients").await;
        };
        if !self.pass(Step::Data, "354 go ahead").await? {
            return Ok(());
        }
        let (digest, bytes) = self.content().await?;
        if self.is_deserted() {
            return Err(Gone);
        }
        let Envelope { job, recipients } = envelope;
        self.end_of_data(Taken { at: now(), job, recipients, bytes, digest }).await?;
        match self.act(Step::Replied) {
            Act::Drop | Act::Close(_) => self.leave().await,
            _ => Ok(()),
        }
    }

    /// Reads the message and the final dot; returns the message's check sum and its length.
    async fn content(&mut self) -> Went<(u64, u64)> {
        let mut content = String::new();
        loop {
            let line = self.line(IDLE_SECONDS_MAX).await?;
            if line == "." {
                return Ok((digest(content.bytes()), content.len() as u64));
            }
            if content.is_empty() {
                match self.act(Step::Body) {
                    Act::Drop | Act::Close(_) => return self.leave().await,
                    Act::Hang => return self.hang().await,
                    Act::Wait(pause) => sleep(pause).await,
                    Act::Go | Act::Say(_) => {}
                }
            }
            content += line.strip_prefix('.').unwrap_or(&line);
            content += "\r\n";
        }
    }

    /// Takes the message or not, and says so or not. What is taken is taken before the reply is sent.
    async fn end_of_data(&mut self, taken: Taken) -> Went<()> {
        let yes = "250 2.0.0 taken";
        match self.act(Step::Dot) {
            Act::Go => {
                self.provider.note_taken(taken);
                self.say(yes).await
            }
            Act::Wait(pause) => {
                self.provider.note_taken(taken);
                sleep(pause).await;
                self.say(yes).await
            }
            Act::Say(text) => self.say(text).await,
            Act::Close(text) => {
                self.say(text).await?;
                self.leave().await
            }
            act @ (Act::Drop | Act::Hang) => {
                if self.provider.conduct.coin() {
                    self.provider.note_taken(taken);
                }
                if act == Act::Drop { self.leave().await } else { self.hang().await }
            }
        }
    }

    /// Passes a step as the provider's conduct has it; true when it went as it should.
    async fn pass(&mut self, step: Step, yes: &str) -> Went<bool> {
        match self.act(step) {
            Act::Go => {}
            Act::Wait(pause) => {
                self.flush().await?;
                sleep(pause).await;
            }
            Act::Drop => return self.leave().await,
            Act::Hang => return self.hang().await,
            Act::Say(text) => {
                self.say(text).await?;
                return Ok(false);
            }
            Act::Close(text) => {
                self.say(text).await?;
                return self.leave().await;
            }
        }
        self.say(yes).await?;
        Ok(true)
    }

    fn act(&self, step: Step) -> Act {
        let at = now();
        let act = self.provider.conduct.act(step, at);
        if act != Act::Go {
            self.provider.note_mishap(at, &format!("at {step:?} of {}: {act:?}", self.account));
        }
        act
    }

    /// Whether the other side has closed the connection, as far as that is known. A message of somebody who has gone is
    /// not taken: a server that reads slowly would take it long after a daemon that was killed has started again, and no
    /// ledger could foresee that.
    fn is_deserted(&mut self) -> bool {
        self.stream.fill_buf().now_or_never().is_some_and(|read| read.map_or(true, <[u8]>::is_empty))
    }

    async fn leave<T>(&mut self) -> Went<T> {
        self.flush().await?;
        Err(Gone)
    }

    /// Says nothing any more, until the other side leaves.
    async fn hang<T>(&mut self) -> Went<T> {
        self.flush().await?;
        let silence = async { while self.line(HANG_SECONDS_MAX).await.is_ok() {} };
        drop(timeout(Duration::from_secs(HANG_SECONDS_MAX), silence).await);
        Err(Gone)
    }

    async fn say(&mut self, reply: &str) -> Went<()> {
        self.unsent += reply;
        self.unsent += "\r\n";
        if self.stream.buffer().is_empty() { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Went<()> {
        let unsent = std::mem::take(&mut self.unsent);
        if !unsent.is_empty() {
            self.stream.write_all(unsent.as_bytes()).await?;
        }
        Ok(())
    }

    /// The next line without its end.
    async fn line(&mut self, seconds_max: u64) -> Went<String> {
        if !self.stream.buffer().contains(&b'\n') {
            self.flush().await?;
        }
        let is_there =
            self.stream.fill_buf().now_or_never().is_some_and(|read| read.is_ok_and(|bytes| !bytes.is_empty()));
        let mut line = String::new();
        let mut bounded = (&mut self.stream).take(LINE_BYTES_MAX);
        let read = timeout(Duration::from_secs(seconds_max), bounded.read_line(&mut line)).await;
        read.map_err(|_| Gone)??;
        if !is_there {
            self.came_at = now();
        }
        let end = line.strip_suffix("\r\n").ok_or(Gone)?.len();
        line.truncate(end);
        Ok(line)
    }
}

/// The time on this simulated host.
fn now() -> Timestamp {
    plan::BEGIN.after(turmoil::sim_elapsed().expect("a session runs in a simulated host"))
}

fn number_after(text: &str, mark: &str) -> Option<usize> {
    let (_, rest) = text.split_once(mark)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
