//! How is an envelope offered, and what does the server say to it?

use std::fmt::Write;

use super::{
    failure::{Broken, EnvelopeFailure, Needed},
    session::{Session, State},
};
use crate::domain::{
    address::Address,
    mail::{Envelope, Message},
    reply::Reply,
    verdict::Phase,
};

/// Most recipients that are named in one write. Their replies, some 50 bytes each, fit into any socket's buffer, so
/// that neither side waits for the other to read (RFC 2920 3.1).
pub(super) const RECIPIENTS_PER_WRITE_MAX: usize = 100;

/// The replies to an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeReplies {
    /// To MAIL.
    pub mail: Reply,
    /// To each RCPT in order; empty when MAIL was refused, as the replies say nothing of the recipients then.
    pub recipients: Vec<Reply>,
    /// To DATA; nothing when it was not sent because nobody was accepted, or because the content goes by BDAT.
    pub data: Option<Reply>,
}

impl EnvelopeReplies {
    /// Whether the content may follow by DATA: somebody was accepted, and DATA was allowed.
    #[must_use]
    pub fn may_send_message(&self) -> bool {
        self.is_data_allowed() && self.is_anybody_accepted()
    }

    /// Whether any recipient was accepted.
    #[must_use]
    pub fn is_anybody_accepted(&self) -> bool {
        self.recipients.iter().any(Reply::is_positive)
    }

    /// Sorts the replies to MAIL, each RCPT, and perhaps DATA.
    pub(super) fn from_answered(answered: Vec<Reply>, data: Option<Reply>) -> Option<Self> {
        let mut answered = answered.into_iter();
        let mail = answered.next()?;
        let recipients = if mail.is_positive() { answered.collect() } else { Vec::new() };
        Some(Self { mail, recipients, data })
    }

    fn is_data_allowed(&self) -> bool {
        self.data.as_ref().is_some_and(|reply| reply.code() / 100 == 3)
    }
}

/// What follows the recipients of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// DATA.
    Data,
    /// Nothing: the content goes by BDAT, which needs no leave.
    Nothing,
}

impl Session {
    /// Sends MAIL, each RCPT and DATA: in one write where the server offers PIPELINING, else one by one, and then DATA
    /// only when somebody was accepted. [`Session::message`], [`Session::message_then_envelope`] or
    /// [`Session::abandon`] must follow.
    ///
    /// # Errors
    /// When the message needs what the server does not offer, or when the session breaks. A 421 breaks it.
    pub async fn envelope(
        &mut self,
        envelope: &Envelope,
        message: &Message,
    ) -> Result<EnvelopeReplies, EnvelopeFailure> {
        self.envelope_with(envelope, message, Ending::Data).await
    }

    pub(super) async fn envelope_with(
        &mut self,
        envelope: &Envelope,
        message: &Message,
        ending: Ending,
    ) -> Result<EnvelopeReplies, EnvelopeFailure> {
        let mut commands = self.mail_command(envelope, message).map_err(EnvelopeFailure::NotOffered)?;
        self.start(State::Idle, Phase::Mail)?;
        let replies = if self.may_group(envelope) {
            name_group(&mut commands, &envelope.recipients, ending);
            self.post(Phase::Mail, &commands, &mut Vec::new()).await?;
            self.group_replies(envelope, ending).await?
        } else {
            self.ask_one_by_one(&commands, envelope, ending).await?
        };
        self.settle(&replies);
        Ok(replies)
    }

    /// Whether the commands of an envelope may go out together.
    pub(super) fn may_group(&self, envelope: &Envelope) -> bool {
        self.offers.pipelining && !envelope.recipients.is_empty()
    }

    /// Notes where the replies to an envelope leave the session.
    pub(super) fn settle(&mut self, replies: &EnvelopeReplies) {
        self.state = if replies.may_send_message() {
            State::ContentDue
        } else if replies.is_data_allowed() {
            State::ContentForNobody
        } else if replies.mail.is_positive() {
            State::Begun
        } else {
            State::Idle
        };
    }

    /// MAIL with its parameters: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), which is asked for when an address
    /// of the envelope is beyond ASCII, or one in the header, such as that of Reply-To.
    pub(super) fn mail_command(&self, envelope: &Envelope, message: &Message) -> Result<String, Needed> {
        let mut command = String::with_capacity(COMMANDS_BYTES);
        write!(command, "MAIL FROM:<{}>", envelope.sender).expect("a string takes all");
        if self.offers.size.is_some() {
            write!(command, " SIZE={}", message.bytes.len()).expect("a string takes all");
        }
        if message.is_eight_bit {
            if !self.offers.eight_bit_mime {
                return Err(Needed::EightBitMime);
            }
            command += " BODY=8BITMIME";
        }
        let mut addresses = std::iter::once(&envelope.sender).chain(&envelope.recipients);
        if addresses.any(Address::is_internationalized) || has_utf8_header(message) {
            if !self.offers.smtp_utf8 {
                return Err(Needed::SmtpUtf8);
            }
            command += " SMTPUTF8";
        }
        command += "\r\n";
        Ok(command)
    }

    /// Reads the replies to MAIL and the first group of recipients, which are out, and asks for the further groups.
    pub(super) async fn group_replies(
        &mut self,
        envelope: &Envelope,
        ending: Ending,
    ) -> Result<EnvelopeReplies, Broken> {
        let mut answered = Vec::with_capacity(envelope.recipients.len() + 1);
        let mail = self.hear(Phase::Mail, &mut answered).await?;
        answered.push(mail);
        let mut asked = envelope.recipients.as_slice();
        let mut data = None;
        while !asked.is_empty() {
            let (group, later) = asked.split_at(asked.len().min(RECIPIENTS_PER_WRITE_MAX));
            for _ in group {
                let reply = self.hear(Phase::Rcpt, &mut answered).await?;
                answered.push(reply);
            }
            if later.is_empty() && ending == Ending::Data {
                data = Some(self.hear(Phase::Data, &mut answered).await?);
            }
            if later.is_empty() || !answered[0].is_positive() {
                break;
            }
            let mut commands = String::with_capacity(COMMANDS_BYTES);
            name_group(&mut commands, later, ending);
            self.post(Phase::Rcpt, &commands, &mut answered).await?;
            asked = later;
        }
        Ok(EnvelopeReplies::from_answered(answered, data).expect("MAIL was answered"))
    }

    async fn ask_one_by_one(
        &mut self,
        mail: &str,
        envelope: &Envelope,
        ending: Ending,
    ) -> Result<EnvelopeReplies, Broken> {
        let mut answered = Vec::with_capacity(envelope.recipients.len() + 1);
        self.post(Phase::Mail, mail, &mut answered).await?;
        let mail = self.hear(Phase::Mail, &mut answered).await?;
        let begun = mail.is_positive();
        answered.push(mail);
        for recipient in envelope.recipients.iter().filter(|_| begun) {
            self.post(Phase::Rcpt, &format!("RCPT TO:<{recipient}>\r\n"), &mut answered).await?;
            let reply = self.hear(Phase::Rcpt, &mut answered).await?;
            answered.push(reply);
        }
        let mut data = None;
        if ending == Ending::Data && answered.iter().skip(1).any(Reply::is_positive) {
            self.post(Phase::Data, "DATA\r\n", &mut answered).await?;
            data = Some(self.hear(Phase::Data, &mut answered).await?);
        }
        Ok(EnvelopeReplies::from_answered(answered, data).expect("MAIL was answered"))
    }
}

/// Whether the header is beyond ASCII as RFC 6532 lets it be. Other bytes in it are a charset of old, which no extension
/// allows and most servers take.
fn has_utf8_header(message: &Message) -> bool {
    const BLANK_LINE: &[u8] = b"\r\n\r\n";
    let ends_at = |bytes: &[u8]| bytes.windows(BLANK_LINE.len()).position(|four| four == BLANK_LINE);
    let header =
        Some(&message.bytes).filter(|_| message.is_eight_bit).and_then(|bytes| Some(&bytes[..ends_at(bytes)?]));
    header.is_some_and(|header| !header.is_ascii() && std::str::from_utf8(header).is_ok())
}

/// Room for the commands of an ordinary envelope.
const COMMANDS_BYTES: usize = 256;

/// Names the first of these recipients, as many as go out in one write, and ends the envelope after the last.
pub(super) fn name_group(commands: &mut String, recipients: &[Address], ending: Ending) {
    for recipient in recipients.iter().take(RECIPIENTS_PER_WRITE_MAX) {
        write!(commands, "RCPT TO:<{recipient}>\r\n").expect("a string takes all");
    }
    if recipients.len() <= RECIPIENTS_PER_WRITE_MAX && ending == Ending::Data {
        *commands += "DATA\r\n";
    }
}
