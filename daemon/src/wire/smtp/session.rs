//! Where does an open session stand, and how is it left?
//!
//! What is said on it stands beside: envelopes in [`super::envelope`], messages by DATA in [`super::content`], runs of
//! messages by BDAT in [`super::run`].

use std::{fmt, time::Duration};

use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::time::timeout;

use super::{
    failure::{Broken, Fault},
    line::{FAREWELL_SECONDS, Line},
    offers::Offers,
};
use crate::{
    domain::{reply::Reply, verdict::Phase},
    wire::steps::{self, StepName},
};

/// An open SMTP session. A future of it that is dropped half-way leaves it unusable.
pub struct Session {
    pub(super) connection: Option<AsyncSmtpConnection>,
    pub(super) line: Line,
    pub(super) offers: Offers,
    pub(super) state: State,
}

/// Where the session stands between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// MAIL may be sent.
    Idle,
    /// A transaction is open, and DATA was not allowed; RSET ends it.
    Begun,
    /// DATA was allowed although no recipient was accepted; a lone dot ends it (RFC 2920 3.1).
    ContentForNobody,
    /// The content may be sent, and nothing else.
    ContentDue,
    /// Broken, closed, or in the midst of an exchange.
    Unusable,
}

/// What became of a session whose transaction was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It is ready for the next envelope.
    Kept,
    /// It was closed: after DATA was allowed for somebody, whatever is sent would become a message.
    Closed,
    /// It is ready for the next envelope, but the server took the lone dot for a message to nobody. It said this.
    EmptyMessageTaken(Reply),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("state", &self.state).field("offers", &self.offers).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) const fn new(connection: AsyncSmtpConnection, line: Line, offers: Offers) -> Self {
        Self { connection: Some(connection), line, offers, state: State::Idle }
    }

    /// What the server offers.
    #[must_use]
    pub const fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Whether an envelope may be sent. A server that has left meanwhile is only noticed then, before anything is sent.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == State::Idle
    }

    /// Sends no commands in groups from now on, so that the time of each reply can be told.
    pub const fn ask_singly(&mut self) {
        self.offers.pipelining = false;
    }

    /// The dialogue so far: its last 16 KiB, without secrets and content.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.line.transcript()
    }

    /// Gives up the transaction that [`Session::envelope`] has begun, in the one way that sends nothing to anybody:
    /// RSET, a lone dot when DATA was allowed for nobody, or closing the connection when it was allowed for somebody.
    ///
    /// # Errors
    /// When the session breaks. No message was sent then either.
    pub async fn abandon(&mut self) -> Result<Abandoned, Broken> {
        match self.state {
            State::Idle => Ok(Abandoned::Kept),
            State::Begun => self.reset().await.map(|()| Abandoned::Kept),
            State::ContentForNobody => {
                self.state = State::Unusable;
                let reply = self.ask(Phase::Data, ".\r\n").await?;
                self.state = State::Idle;
                Ok(if reply.is_positive() { Abandoned::EmptyMessageTaken(reply) } else { Abandoned::Kept })
            }
            State::ContentDue | State::Unusable => {
                self.close();
                Ok(Abandoned::Closed)
            }
        }
    }

    /// Sends RSET, which ends a transaction and shows whether the server is still there.
    ///
    /// # Errors
    /// When the session breaks; a refusal breaks it.
    pub async fn reset(&mut self) -> Result<(), Broken> {
        let state = if self.state == State::Begun { State::Begun } else { State::Idle };
        self.start(state, Phase::Mail)?;
        let reply = self.ask(Phase::Mail, "RSET\r\n").await?;
        if !reply.is_positive() {
            return Err(self.broken(Phase::Mail, Fault::Closing(reply), &mut Vec::new()));
        }
        self.state = State::Idle;
        Ok(())
    }

    /// Says QUIT, waits a moment for the answer, and closes; when content is due it only closes.
    pub async fn quit(mut self) {
        if matches!(self.state, State::Idle | State::Begun)
            && let Some(connection) = &mut self.connection
        {
            self.line.enter(Phase::Mail);
            let step = steps::begin(StepName::Quit);
            let _ = timeout(Duration::from_secs(FAREWELL_SECONDS), connection.quit()).await;
            self.line.end_step(step, self.line.outcome().as_ref().map(|whole| &whole.reply));
        }
    }

    /// Marks the session as unusable until the exchange that begins now has ended well.
    pub(super) fn start(&mut self, expected: State, phase: Phase) -> Result<(), Broken> {
        if self.state != expected {
            return Err(Broken { phase, cause: Fault::Unusable, in_doubt: false, answered: Vec::new() });
        }
        self.state = State::Unusable;
        Ok(())
    }

    async fn ask(&mut self, phase: Phase, command: &str) -> Result<Reply, Broken> {
        let mut answered = Vec::new();
        self.post(phase, command, &mut answered).await?;
        self.hear(phase, &mut answered).await
    }

    /// Has commands sent when a reply is asked for. `answered` are the replies of the same exchange so far.
    pub(super) async fn post(&mut self, phase: Phase, commands: &str, answered: &mut Vec<Reply>) -> Result<(), Broken> {
        let posted = self.line.post(phase, commands.as_bytes()).await;
        posted.map_err(|fault| self.broken(phase, fault, answered))
    }

    /// Reads a reply to a command. `answered` are the replies of the same exchange so far.
    pub(super) async fn hear(&mut self, phase: Phase, answered: &mut Vec<Reply>) -> Result<Reply, Broken> {
        let step = steps::begin(match phase {
            Phase::Rcpt => StepName::Rcpt,
            Phase::Data => StepName::Data,
            _ => StepName::Mail,
        });
        let answer = self.line.hear(phase).await;
        self.line.end_step(step, answer.as_ref().map(|whole| &whole.reply));
        let fault = match answer {
            Ok(whole) => match whole.reply.code() {
                421 => Fault::Closing(whole.reply),
                // A 3xx where a command is complete shows that replies and commands no longer match.
                300..400 if phase != Phase::Data => Fault::Unsolicited(whole.reply.to_string()),
                _ => return Ok(whole.reply),
            },
            Err(fault) => fault,
        };
        Err(self.broken(phase, fault, answered))
    }

    /// Closes a session that broke before any content of the transaction was sent.
    pub(super) fn broken(&mut self, phase: Phase, cause: Fault, answered: &mut Vec<Reply>) -> Broken {
        self.close();
        Broken { phase, cause, in_doubt: false, answered: std::mem::take(answered) }
    }

    /// Closes the connection without a word.
    pub(super) fn close(&mut self) {
        self.connection = None;
        self.line.close();
        self.state = State::Unusable;
    }
}
