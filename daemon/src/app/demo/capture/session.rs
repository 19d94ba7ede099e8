//! What does the server answer to each line of one connection? No stream, so nothing is awaited here.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    command::Command,
    conduct::Conduct,
    records::{Received, Records},
    rules::Rules,
};
use crate::domain::time::Clock;

/// Most recipients of one message.
const RECIPIENTS_MAX: usize = 1_000;

/// What becomes of the connection after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Close,
}

/// One connection's side of the dialogue.
#[derive(Debug)]
pub(super) struct Session<'s> {
    rules: &'s Rules,
    records: &'s Records,
    clock: &'s dyn Clock,
    connection: u64,
    greeted: bool,
    signed_in: bool,
    envelope: Option<Envelope>,
    awaits: Awaits,
}

/// What the next line is.
#[derive(Debug)]
enum Awaits {
    Command,
    Content { bytes: Vec<u8>, too_large: bool },
    PlainResponse,
    LoginUser,
    LoginPassword,
}

#[derive(Debug)]
struct Envelope {
    sender: String,
    smtputf8: bool,
    recipients: Vec<String>,
}

impl<'s> Session<'s> {
    pub(super) fn new(rules: &'s Rules, records: &'s Records, clock: &'s dyn Clock, connection: u64) -> Self {
        let (greeted, signed_in) = (false, false);
        Self { rules, records, clock, connection, greeted, signed_in, envelope: None, awaits: Awaits::Command }
    }

    pub(super) fn greeting(&self) -> String {
        format!("220 {} ESMTP captures all\r\n", self.rules.name)
    }

    /// Hears a line without its CRLF and adds the reply to `replies`.
    pub(super) fn hear(&mut self, line: &[u8], replies: &mut String) -> Then {
        let mut reply = |text: &str| {
            replies.push_str(text);
            replies.push_str("\r\n");
        };
        match std::mem::replace(&mut self.awaits, Awaits::Command) {
            Awaits::Command => match Command::parse(line) {
                Ok(Command::Quit) => {
                    reply("221 2.0.0 bye");
                    return Then::Close;
                }
                Ok(command) => reply(&self.obey(command)),
                Err(refusal) => reply(refusal),
            },
            Awaits::Content { bytes, .. } if line == b"." => match self.end_of_data(bytes) {
                Some(text) => reply(text),
                None => return Then::Close,
            },
            Awaits::Content { bytes, too_large } => self.collect(bytes, too_large, line),
            Awaits::PlainResponse => reply(self.plain(line)),
            Awaits::LoginUser => {
                self.awaits = Awaits::LoginPassword;
                reply("334 UGFzc3dvcmQ6");
            }
            Awaits::LoginPassword => {
                let password = STANDARD.decode(line).ok();
                reply(self.sign_in(password.as_deref()));
            }
        }
        Then::GoOn
    }

    fn obey(&mut self, command: Command) -> String {
        match command {
            Command::Ehlo => return self.ehlo(),
            Command::Helo => {
                self.greeted = true;
                self.envelope = None;
                return format!("250 {}", self.rules.name);
            }
            Command::Mail { sender, bytes, smtputf8 } => self.mail(sender, bytes, smtputf8),
            Command::Rcpt { recipient } => self.rcpt(recipient),
            Command::Data => self.data(),
            Command::Rset => {
                self.envelope = None;
                "250 2.0.0 forgotten"
            }
            Command::Noop => "250 2.0.0 ok",
            Command::AuthPlain { .. } | Command::AuthLogin { .. } if self.rules.password.is_none() => {
                "502 5.5.1 no sign-in here"
            }
            Command::AuthPlain { .. } | Command::AuthLogin { .. } if self.signed_in => "503 5.5.1 signed in already",
            Command::AuthPlain { response: Some(response) } => self.plain(response.as_bytes()),
            Command::AuthPlain { response: None } => {
                self.awaits = Awaits::PlainResponse;
                "334 "
            }
            Command::AuthLogin { response: Some(_) } => {
                self.awaits = Awaits::LoginPassword;
                "334 UGFzc3dvcmQ6"
            }
            Command::AuthLogin { response: None } => {
                self.awaits = Awaits::LoginUser;
                "334 VXNlcm5hbWU6"
            }
            Command::Quit => unreachable!("hear ends the session at QUIT"),
        }
        .to_owned()
    }

    fn ehlo(&mut self) -> String {
        self.greeted = true;
        self.envelope = None;
        let sign_in = if self.rules.password.is_some() { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
        format!(
            "250-{}\r\n250-PIPELINING\r\n250-SIZE {}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n{sign_in}250 ENHANCEDSTATUSCODES",
            self.rules.name, self.rules.message_bytes_max
        )
    }

    fn mail(&mut self, sender: String, bytes: Option<u64>, smtputf8: bool) -> &'static str {
        if !self.greeted {
            return "503 5.5.1 greet first";
        }
        if self.rules.password.is_some() && !self.signed_in {
            return "530 5.7.0 sign in first";
        }
        if self.envelope.is_some() {
            return "503 5.5.1 another message is under way";
        }
        if bytes.is_some_and(|bytes| bytes > self.rules.message_bytes_max) {
            return "552 5.3.4 the message is too large";
        }
        self.envelope = Some(Envelope { sender, smtputf8, recipients: Vec::new() });
        "250 2.1.0 sender taken"
    }

    fn rcpt(&mut self, recipient: String) -> &'static str {
        let Some(envelope) = &mut self.envelope else { return "503 5.5.1 name the sender first" };
        if envelope.recipients.len() >= RECIPIENTS_MAX {
            return "452 4.5.3 too many recipients";
        }
        if !recipient.is_ascii() && !envelope.smtputf8 {
            return "553 5.6.7 this address needs SMTPUTF8";
        }
        match Conduct::of(&recipient) {
            Conduct::Refuse => {
                self.records.refuse(&envelope.sender);
                "550 5.1.1 no such mailbox"
            }
            Conduct::Defer { tries } if self.records.defer(&envelope.sender, &recipient, tries) => {
                "451 4.7.1 not now, try again later"
            }
            Conduct::Take | Conduct::Defer { .. } | Conduct::RefuseAtDot | Conduct::OverQuota | Conduct::Vanish => {
                envelope.recipients.push(recipient);
                "250 2.1.5 recipient taken"
            }
        }
    }

    fn data(&mut self) -> &'static str {
        match &self.envelope {
            None => "503 5.5.1 name the sender first",
            Some(envelope) if envelope.recipients.is_empty() => "554 5.5.1 no recipient was taken",
            Some(_) => {
                self.awaits = Awaits::Content { bytes: Vec::new(), too_large: false };
                "354 end with a dot on a line of its own"
            }
        }
    }

    fn collect(&mut self, mut bytes: Vec<u8>, too_large: bool, line: &[u8]) {
        // RFC 5321 4.5.2: the dot that hides a dot goes.
        let line = line.strip_prefix(b".").unwrap_or(line);
        let room = self.rules.message_bytes_max.saturating_sub(bytes.len() as u64);
        let too_large = too_large || (line.len() + 2) as u64 > room;
        if too_large {
            bytes.clear();
        } else {
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
        self.awaits = Awaits::Content { bytes, too_large };
    }

    /// The reply to the final dot; none when the connection closes instead.
    fn end_of_data(&mut self, bytes: Vec<u8>) -> Option<&'static str> {
        let Envelope { sender, recipients, .. } = self.envelope.take().expect("data() saw an envelope");
        // What was too large left nothing, and a message has at least a header.
        if bytes.is_empty() {
            return Some("552 5.3.4 the message is too large or empty");
        }
        let conducts = || recipients.iter().map(|recipient| (Conduct::of(recipient), recipient));
        if conducts().any(|(conduct, _)| conduct == Conduct::RefuseAtDot) {
            self.records.refuse(&sender);
            return Some("554 5.6.0 this content is not wanted");
        }
        if conducts().any(|(conduct, _)| conduct == Conduct::OverQuota) {
            self.records.refuse(&sender);
            return Some("550 5.4.5 Daily user sending limit exceeded");
        }
        let message_id = message_id(&bytes);
        let vanishes = conducts()
            .any(|(conduct, recipient)| conduct == Conduct::Vanish && self.records.vanish(&message_id, recipient));
        let received = Received {
            message_id,
            sender,
            recipients,
            bytes: bytes.len(),
            connection: self.connection,
            content: if self.rules.keep_contents { bytes } else { Vec::new() },
            ..Received::default()
        };
        if !self.records.take(received, || self.clock.now()) {
            return Some("452 4.3.1 the book is full");
        }
        (!vanishes).then_some("250 2.0.0 taken")
    }

    /// RFC 4616: identity, user and password, each ended by NUL but the last.
    fn plain(&mut self, response: &[u8]) -> &'static str {
        let response = STANDARD.decode(response).ok();
        let password = response.as_deref().and_then(|response| response.split(|byte| *byte == 0).nth(2));
        self.sign_in(password)
    }

    fn sign_in(&mut self, password: Option<&[u8]>) -> &'static str {
        let Some(password) = password else { return "501 5.5.2 the response is not understood" };
        let right = self.rules.password.as_ref().map(|right| right.expose().as_bytes());
        self.signed_in = right == Some(password);
        if self.signed_in { "235 2.7.0 signed in" } else { "535 5.7.8 wrong name or password" }
    }
}

/// The value of the Message-ID field, unfolded; empty when there is none.
fn message_id(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if !name.trim_end().eq_ignore_ascii_case("message-id") {
            continue;
        }
        let folded = lines.take_while(|line| line.starts_with([' ', '\t']));
        return std::iter::once(value).chain(folded).map(str::trim).collect();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_id(content: &str, expected: &str) {
        assert_eq!(message_id(content.as_bytes()), expected);
    }

    #[test]
    fn the_message_id_is_read_from_the_header_only() {
        check_id("Subject: x\r\nMessage-ID: <1@a>\r\n\r\nhello\r\n", "<1@a>");
        check_id("message-id:\r\n <2@a>\r\nSubject: x\r\n\r\n", "<2@a>");
        check_id("Subject: x\r\n\r\nMessage-ID: <3@a>\r\n", "");
    }
}
