//! What does a mail server answer that takes everything? Bytes in, bytes out: no socket.

/// What EHLO offers besides 8BITMIME.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offers {
    /// PIPELINING (RFC 2920).
    pub(crate) pipelining: bool,
    /// CHUNKING (RFC 3030).
    pub(crate) chunking: bool,
}

/// One connection of the server.
#[derive(Debug)]
pub(crate) struct Dialogue {
    offers: Offers,
    state: State,
    /// Read, but not understood yet.
    pending: Vec<u8>,
    /// How much of `pending` was searched for the final dot.
    searched: usize,
    /// What earlier chunks of the message under way held.
    chunks: Vec<u8>,
    /// To be written.
    answers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Command,
    Data,
    Chunk { bytes: usize, last: bool },
    Ended,
}

const OK: &[u8] = b"250 2.0.0 taken\r\n";
const FINAL_DOT: &[u8] = b"\r\n.\r\n";

impl Dialogue {
    /// A new connection; its greeting is the first answer.
    pub(crate) fn new(offers: Offers) -> Self {
        let answers = b"220 sink.localhost ESMTP\r\n".to_vec();
        Self { offers, state: State::Command, pending: Vec::new(), searched: 0, chunks: Vec::new(), answers }
    }

    /// What is to be written now.
    pub(crate) fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    /// Whether the client has said QUIT.
    pub(crate) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes what was read; `taken` is called with each whole message.
    pub(crate) fn read(&mut self, bytes: &[u8], mut taken: impl FnMut(&[u8])) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while let Some(used) = self.step(rest, &mut taken) {
            rest = &rest[used..];
            self.searched = 0;
        }
        self.pending = if rest.len() == pending.len() { pending } else { rest.to_vec() };
    }

    /// Understands one command, message or chunk at the beginning of `rest`; nothing when it is not whole.
    fn step(&mut self, rest: &[u8], taken: &mut impl FnMut(&[u8])) -> Option<usize> {
        match self.state {
            State::Command => {
                let line = rest.iter().position(|byte| *byte == b'\n')?;
                self.command(&rest[..line]);
                Some(line + 1)
            }
            State::Data => {
                let end = self.end_of_data(rest)?;
                taken(&rest[..end.message]);
                self.answers.extend_from_slice(OK);
                self.state = State::Command;
                Some(end.after)
            }
            State::Chunk { bytes, last } => {
                let chunk = rest.get(..bytes)?;
                match (last, self.chunks.is_empty()) {
                    (true, true) => taken(chunk),
                    (true, false) => {
                        self.chunks.extend_from_slice(chunk);
                        taken(&std::mem::take(&mut self.chunks));
                    }
                    (false, _) => self.chunks.extend_from_slice(chunk),
                }
                self.answers.extend_from_slice(OK);
                self.state = State::Command;
                Some(bytes)
            }
            State::Ended => None,
        }
    }

    fn end_of_data(&mut self, rest: &[u8]) -> Option<EndOfData> {
        if rest.starts_with(&FINAL_DOT[2..]) {
            return Some(EndOfData { message: 0, after: 3 });
        }
        let from = self.searched.saturating_sub(FINAL_DOT.len());
        let found = rest[from..].windows(FINAL_DOT.len()).position(|window| window == FINAL_DOT);
        self.searched = rest.len();
        found.map(|at| EndOfData { message: from + at, after: from + at + FINAL_DOT.len() })
    }

    fn command(&mut self, line: &[u8]) {
        let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_slice() {
            b"EHLO" => {
                self.answers.extend_from_slice(b"250-sink.localhost\r\n250-8BITMIME\r\n");
                for (offered, name) in [(self.offers.pipelining, "PIPELINING"), (self.offers.chunking, "CHUNKING")] {
                    if offered {
                        self.answers.extend_from_slice(format!("250-{name}\r\n").as_bytes());
                    }
                }
                self.answers.extend_from_slice(b"250 ENHANCEDSTATUSCODES\r\n");
            }
            b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" => self.answers.extend_from_slice(OK),
            b"DATA" => {
                self.answers.extend_from_slice(b"354 go on\r\n");
                self.state = State::Data;
            }
            b"BDAT" if self.offers.chunking => match chunk(line) {
                Some(chunk) => self.state = chunk,
                None => self.answers.extend_from_slice(b"501 5.5.4 BDAT needs a length\r\n"),
            },
            b"QUIT" => {
                self.answers.extend_from_slice(b"221 2.0.0 bye\r\n");
                self.state = State::Ended;
            }
            _ => self.answers.extend_from_slice(b"500 5.5.1 unknown\r\n"),
        }
    }
}

struct EndOfData {
    /// Length of the message.
    message: usize,
    /// Where the next command begins.
    after: usize,
}

/// `BDAT 1024 LAST`.
fn chunk(line: &[u8]) -> Option<State> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace().skip(1);
    let bytes = words.next()?.parse().ok()?;
    Some(State::Chunk { bytes, last: words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the text in pieces of every size and compares what was taken and how often 250 was said.
    #[track_caller]
    fn check(sent: &str, expected: &[&str], oks: usize) {
        for piece in 1..=sent.len() {
            let mut server = Dialogue::new(Offers { pipelining: true, chunking: true });
            let (mut messages, mut answers) = (Vec::new(), Vec::new());
            for bytes in sent.as_bytes().chunks(piece) {
                server.read(bytes, |message| messages.push(String::from_utf8_lossy(message).into_owned()));
                answers.extend(server.take_answers());
            }
            assert_eq!(messages, expected, "in pieces of {piece}");
            let answers = String::from_utf8(answers).unwrap();
            assert_eq!(answers.matches("250 2").count(), oks, "in pieces of {piece}: {answers}");
        }
    }

    #[test]
    fn messages_are_taken_however_they_are_cut() {
        check("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nhello\r\n..x\r\n.\r\nQUIT\r\n", &["hello\r\n..x"], 3);
        check("DATA\r\n.\r\nDATA\r\na\r\n.\r\n", &["", "a"], 2);
        check("BDAT 3\r\nabcBDAT 2 LAST\r\nde", &["abcde"], 2);
        check("BDAT 4 last\r\n.\r\n.MAIL FROM:<>\r\n", &[".\r\n."], 2);
    }
}
