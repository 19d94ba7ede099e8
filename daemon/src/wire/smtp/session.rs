//! What is said on an open session: envelopes, messages, and the ways out of a transaction?
//!
//! Writing the content of one message and the envelope of the next at once (RFC 2920) would be a further method beside
//! [`Session::message`], made of the same turns; BDAT (RFC 3030) would be another way to send the content within it.

use std::{fmt, time::Duration};

use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::time::timeout;

use super::{
    channel::{BLOCK_BYTES, FAREWELL_SECONDS},
    desk::Desk,
    failure::{Broken, EnvelopeFailure, Fault, Needed},
    offers::Offers,
};
use crate::domain::{
    mail::{Envelope, Message},
    reply::Reply,
    verdict::Phase,
};

/// Most recipients that are named in one write. Their replies, some 50 bytes each, fit into any socket's buffer, so
/// that neither side waits for the other to read (RFC 2920 3.1).
const RECIPIENTS_PER_WRITE_MAX: usize = 100;

/// An open SMTP session. A future of it that is dropped half-way leaves it unusable.
pub struct Session {
    connection: Option<AsyncSmtpConnection>,
    desk: Desk,
    offers: Offers,
    state: State,
}

/// Where the session stands between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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

/// The replies to an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeReplies {
    /// To MAIL.
    pub mail: Reply,
    /// To each RCPT in order; empty when MAIL was refused, as the replies say nothing of the recipients then.
    pub recipients: Vec<Reply>,
    /// To DATA; nothing when it was not sent because nobody was accepted.
    pub data: Option<Reply>,
}

impl EnvelopeReplies {
    /// Whether the content may follow: somebody was accepted, and DATA was allowed.
    #[must_use]
    pub fn may_send_message(&self) -> bool {
        self.is_data_allowed() && self.recipients.iter().any(Reply::is_positive)
    }

    fn is_data_allowed(&self) -> bool {
        self.data.as_ref().is_some_and(|reply| reply.code() / 100 == 3)
    }
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
    pub(super) fn new(connection: AsyncSmtpConnection, desk: Desk, offers: Offers) -> Self {
        Self { connection: Some(connection), desk, offers, state: State::Idle }
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

    /// The dialogue so far: its last 16 KiB, without secrets and content.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.desk.transcript()
    }

    /// Sends MAIL, each RCPT and DATA: in one write where the server offers PIPELINING, else one by one, and then DATA
    /// only when somebody was accepted. [`Session::message`] or [`Session::abandon`] must follow.
    ///
    /// # Errors
    /// When the message needs what the server does not offer, or when the session breaks. A 421 breaks it.
    pub async fn envelope(
        &mut self,
        envelope: &Envelope,
        message: &Message,
    ) -> Result<EnvelopeReplies, EnvelopeFailure> {
        let mail = self.mail_command(envelope, message).map_err(EnvelopeFailure::NotOffered)?;
        self.start(State::Idle, Phase::Mail)?;
        let replies = if self.offers.pipelining && !envelope.recipients.is_empty() {
            self.ask_at_once(mail, envelope).await?
        } else {
            self.ask_one_by_one(&mail, envelope).await?
        };
        self.state = if replies.may_send_message() {
            State::ContentDue
        } else if replies.is_data_allowed() {
            State::ContentForNobody
        } else if replies.mail.is_positive() {
            State::Begun
        } else {
            State::Idle
        };
        Ok(replies)
    }

    /// Sends the content and the final dot, and reads what the server says to it. A 421 is an answer here, after which
    /// the session is no longer ready.
    ///
    /// # Errors
    /// When the session breaks; [`Broken::in_doubt`] says whether the server may have taken the message.
    pub async fn message(&mut self, message: &Message) -> Result<Reply, Broken> {
        self.start(State::ContentDue, Phase::EndOfData)?;
        self.desk.enter(Phase::EndOfData);
        // lettre always writes a line end before the dot.
        let content = message.bytes.strip_suffix(b"\r\n").unwrap_or(&message.bytes);
        if let Some(connection) = &mut self.connection {
            let _ = connection.message_iter(content.chunks(BLOCK_BYTES)).await;
        }
        match self.desk.outcome() {
            Ok(whole) if whole.reply.code() == 421 => {
                self.close();
                Ok(whole.reply)
            }
            Ok(whole) => {
                self.check_final(Phase::EndOfData, &whole.reply, &mut Vec::new())?;
                self.state = State::Idle;
                Ok(whole.reply)
            }
            Err(fault) => Err(self.broken(Phase::EndOfData, fault, &mut Vec::new())),
        }
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
                let reply = self.turn(Phase::Data, Some(".\r\n"), &mut Vec::new()).await?;
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
        let reply = self.turn(Phase::Mail, Some("RSET\r\n"), &mut Vec::new()).await?;
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
            self.desk.enter(Phase::Mail);
            let _ = timeout(Duration::from_secs(FAREWELL_SECONDS), connection.quit()).await;
        }
    }

    /// MAIL with its parameters: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531).
    fn mail_command(&self, envelope: &Envelope, message: &Message) -> Result<String, Needed> {
        let mut command = format!("MAIL FROM:<{}>", envelope.sender);
        if self.offers.size.is_some() {
            command += &format!(" SIZE={}", message.bytes.len());
        }
        if message.is_eight_bit {
            if !self.offers.eight_bit_mime {
                return Err(Needed::EightBitMime);
            }
            command += " BODY=8BITMIME";
        }
        let mut addresses = std::iter::once(&envelope.sender).chain(&envelope.recipients);
        if addresses.any(|address| address.is_internationalized()) {
            if !self.offers.smtp_utf8 {
                return Err(Needed::SmtpUtf8);
            }
            command += " SMTPUTF8";
        }
        command += "\r\n";
        Ok(command)
    }

    async fn ask_at_once(&mut self, mail: String, envelope: &Envelope) -> Result<EnvelopeReplies, Broken> {
        let mut answered = Vec::with_capacity(envelope.recipients.len() + 2);
        let mut commands = mail;
        let mut rest = envelope.recipients.as_slice();
        let mut data = None;
        while !rest.is_empty() {
            let (group, later) = rest.split_at(rest.len().min(RECIPIENTS_PER_WRITE_MAX));
            group.iter().for_each(|recipient| commands += &format!("RCPT TO:<{recipient}>\r\n"));
            if later.is_empty() {
                commands += "DATA\r\n";
            }
            let mut unsent = Some(commands.as_str());
            if answered.is_empty() {
                self.turn(Phase::Mail, unsent.take(), &mut answered).await?;
            }
            for _ in group {
                self.turn(Phase::Rcpt, unsent.take(), &mut answered).await?;
            }
            if later.is_empty() {
                data = Some(self.turn(Phase::Data, None, &mut answered).await?);
                answered.pop();
            }
            if answered.first().is_some_and(|mail| !mail.is_positive()) {
                break;
            }
            commands.clear();
            rest = later;
        }
        let mail = answered.remove(0);
        if !mail.is_positive() {
            answered.clear();
        }
        Ok(EnvelopeReplies { mail, recipients: answered, data })
    }

    async fn ask_one_by_one(&mut self, mail: &str, envelope: &Envelope) -> Result<EnvelopeReplies, Broken> {
        let mut answered = Vec::new();
        let mail = self.turn(Phase::Mail, Some(mail), &mut answered).await?;
        let mut recipients = Vec::new();
        if mail.is_positive() {
            for recipient in &envelope.recipients {
                let command = format!("RCPT TO:<{recipient}>\r\n");
                recipients.push(self.turn(Phase::Rcpt, Some(&command), &mut answered).await?);
            }
        }
        let data = if recipients.iter().any(Reply::is_positive) {
            Some(self.turn(Phase::Data, Some("DATA\r\n"), &mut answered).await?)
        } else {
            None
        };
        Ok(EnvelopeReplies { mail, recipients, data })
    }

    /// Marks the session as unusable until the exchange that begins now has ended well.
    fn start(&mut self, expected: State, phase: Phase) -> Result<(), Broken> {
        if self.state != expected || self.connection.is_none() {
            return Err(Broken { phase, cause: Fault::Unusable, in_doubt: false, answered: Vec::new() });
        }
        self.state = State::Unusable;
        Ok(())
    }

    /// Sends commands, when there are any, and reads one reply.
    async fn turn(&mut self, phase: Phase, commands: Option<&str>, answered: &mut Vec<Reply>) -> Result<Reply, Broken> {
        self.desk.enter(phase);
        // What lettre makes of the reply is no matter: the reply itself lies on the desk.
        match (&mut self.connection, commands) {
            (Some(connection), Some(commands)) => drop(connection.command(commands).await),
            (Some(connection), None) => drop(connection.read_response().await),
            (None, _) => {}
        }
        let reply = match self.desk.outcome() {
            Ok(whole) => whole.reply,
            Err(fault) => return Err(self.broken(phase, fault, answered)),
        };
        if reply.code() == 421 {
            return Err(self.broken(phase, Fault::Closing(reply), answered));
        }
        if phase != Phase::Data {
            self.check_final(phase, &reply, answered)?;
        }
        answered.push(reply.clone());
        Ok(reply)
    }

    /// A 3xx where a command or message is complete shows that replies and commands no longer match.
    fn check_final(&mut self, phase: Phase, reply: &Reply, answered: &mut Vec<Reply>) -> Result<(), Broken> {
        if reply.code() / 100 == 3 {
            return Err(self.broken(phase, Fault::Unsolicited(reply.to_string()), answered));
        }
        Ok(())
    }

    fn broken(&mut self, phase: Phase, cause: Fault, answered: &mut Vec<Reply>) -> Broken {
        self.close();
        let in_doubt = self.desk.notes().dot_is_out;
        Broken { phase, cause, in_doubt, answered: std::mem::take(answered) }
    }

    /// Closes the connection without a word.
    fn close(&mut self) {
        self.connection = None;
        self.state = State::Unusable;
    }
}
