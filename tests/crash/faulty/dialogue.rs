//! How does a faulty server go through one session?

use std::{io, sync::Arc};

use hikyaku_daemon::{domain::time::Clock as _, platform::clock::SystemClock};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{FaultyServer, How, Phase, misbehave};
use crate::recorder::{Delivery, bare};

/// One connection.
pub(super) struct Dialogue<'s> {
    server: &'s FaultyServer,
    stream: BufReader<TcpStream>,
    sender: Option<String>,
    recipients: Vec<String>,
}

impl<'s> Dialogue<'s> {
    pub(super) fn new(server: &'s FaultyServer, stream: BufReader<TcpStream>) -> Self {
        Self { server, stream, sender: None, recipients: Vec::new() }
    }

    /// Goes on until either side leaves.
    pub(super) async fn run(&mut self) -> io::Result<()> {
        if self.say(Phase::Greeting, "220 faulty.test ESMTP\r\n").await?.is_none() {
            return Ok(());
        }
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
            let goes_on = match verb.as_str() {
                "EHLO" | "HELO" => {
                    let offers = "250-faulty.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n";
                    let normal = if verb == "EHLO" { offers } else { "250 faulty.test\r\n" };
                    self.say(Phase::Ehlo, normal).await?.is_some()
                }
                "MAIL" => self.mail(&line).await?,
                "RCPT" => self.rcpt(&line).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.forget();
                    self.say(Phase::Rset, "250 2.0.0 forgotten\r\n").await?.is_some()
                }
                "QUIT" => {
                    self.say(Phase::Quit, "221 2.0.0 bye\r\n").await?;
                    false
                }
                _ => self.reply("500 5.5.2 unknown\r\n").await?,
            };
            if !goes_on {
                break;
            }
        }
        self.stream.shutdown().await
    }

    async fn mail(&mut self, line: &str) -> io::Result<bool> {
        let said = self.say(Phase::Mail, "250 2.1.0 sender taken\r\n").await?;
        if !matches!(said, None | Some(Some(How::Defer | How::Mixed | How::Garbage))) {
            self.sender = path(line);
        }
        Ok(said.is_some())
    }

    async fn rcpt(&mut self, line: &str) -> io::Result<bool> {
        if self.sender.is_none() {
            return self.reply("503 5.5.1 no sender\r\n").await;
        }
        let said = self.say(Phase::Rcpt, "250 2.1.5 recipient taken\r\n").await?;
        // An odd reply is no refusal: what the client makes of it is its business.
        if !matches!(said, None | Some(Some(How::Defer | How::Mixed | How::Garbage))) {
            self.recipients.extend(path(line));
        }
        Ok(said.is_some())
    }

    async fn data(&mut self) -> io::Result<bool> {
        if self.recipients.is_empty() {
            return self.reply("554 5.5.1 no recipient\r\n").await;
        }
        match self.say(Phase::Data, "354 go on\r\n").await? {
            None => return Ok(false),
            Some(Some(How::Defer | How::Mixed | How::Garbage)) => {
                self.forget();
                return Ok(true);
            }
            Some(_) => {}
        }
        let mut content = Vec::new();
        loop {
            let Some(line) = self.line().await? else { return Ok(false) };
            if line == b".\r\n" {
                break;
            }
            if content.is_empty()
                && let Some(how) = self.server.falls(Phase::Body)
            {
                return misbehave(&mut self.stream, how, "354 go on\r\n").await;
            }
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        self.end_of_data(&content).await
    }

    /// The message is entered before its reply: a client that hears of it has been entered.
    async fn end_of_data(&mut self, content: &[u8]) -> io::Result<bool> {
        let how = self.server.falls(Phase::Dot);
        if how.is_none() || self.server.fault.takes() {
            self.enter(content, how.is_none() || self.server.fault.answers());
        }
        self.forget();
        let goes_on = self.answer(how, "250 2.0.0 taken\r\n").await?;
        match self.server.falls(Phase::AfterDot) {
            Some(how) if goes_on => misbehave(&mut self.stream, how, "").await,
            _ => Ok(goes_on),
        }
    }

    fn enter(&self, content: &[u8], answered: bool) {
        let (at_millis, message_id) = (SystemClock.now().as_millis(), message_id(content));
        let content: Arc<[u8]> = content.into();
        self.server.book.enter(self.recipients.iter().map(|recipient| Delivery {
            message_id: message_id.clone(),
            sender: self.sender.clone().unwrap_or_default(),
            recipient: recipient.clone(),
            at_millis,
            answered,
            content: Arc::clone(&content),
        }));
    }

    fn forget(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    /// Says what is due, or what the fault makes of it; nothing when the connection ends with it, else the fault.
    async fn say(&mut self, at: Phase, normal: &str) -> io::Result<Option<Option<How>>> {
        let how = self.server.falls(at);
        Ok(self.answer(how, normal).await?.then_some(how))
    }

    async fn answer(&mut self, how: Option<How>, normal: &str) -> io::Result<bool> {
        match how {
            Some(how) => misbehave(&mut self.stream, how, normal).await,
            None => self.reply(normal).await,
        }
    }

    async fn reply(&mut self, text: &str) -> io::Result<bool> {
        self.stream.write_all(text.as_bytes()).await?;
        Ok(true)
    }

    /// A line with its end; nothing when the client has left.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        Ok(line.ends_with(b"\n").then_some(line))
    }
}

/// What stands between angle brackets.
fn path(line: &str) -> Option<String> {
    let (_, tail) = line.split_once('<')?;
    tail.split_once('>').map(|(path, _)| path.to_owned())
}

/// The value of the Message-ID field, unfolded and bare.
fn message_id(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let head = text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
    let field = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("message-id").then(|| bare(value))
    });
    field.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_and_message_ids_are_read() {
        assert_eq!(path("MAIL FROM:<a@b> SIZE=3").as_deref(), Some("a@b"));
        assert_eq!(message_id(b"Subject: x\r\nMessage-ID:\r\n <1@a>\r\n\r\nMessage-ID: <2@a>\r\n"), "1@a");
    }
}
