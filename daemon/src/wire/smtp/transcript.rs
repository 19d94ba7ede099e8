//! What was said on a session, for people who look into a fault: bounded, and without secrets and content.

use std::collections::VecDeque;

use crate::wire::steps::Dialogue;

/// Most bytes that are kept; the oldest lines go first.
pub(super) const TRANSCRIPT_BYTES_MAX: usize = 16_384;
/// Longest line that is kept whole.
const LINE_BYTES_MAX: usize = 1_024;
/// What a line costs besides its bytes.
const LINE_EXTRA_BYTES: usize = 4;

/// The last lines of a dialogue, each shown with `C: ` or `S: ` before it. They are kept as they were and made fit to be
/// shown when somebody asks, as hardly anybody does.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: VecDeque<Line>,
    /// The bytes of all lines, one after the other.
    bytes: VecDeque<u8>,
    /// Bytes of content since the last line.
    content: usize,
    /// How many lines there were, those that have gone included.
    count: u64,
    /// How many of them were told as steps.
    told: u64,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    /// What somebody said: `C`, `S`, or `*` for what happened without a word.
    Said { who: u8, bytes: usize },
    /// We sent so many bytes of content.
    Content(usize),
}

impl Transcript {
    /// What we sent: whole commands.
    pub(super) fn client(&mut self, commands: &[u8]) {
        let mut rest = commands;
        while !rest.is_empty() {
            let end = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, later) = rest.split_at(end);
            self.push(b'C', line.trim_ascii_end());
            rest = later;
        }
    }

    /// What we sent to sign in. Only the name of the mechanism is kept, as no later word is safe to show.
    pub(super) fn client_secret(&mut self, commands: &[u8]) {
        for line in String::from_utf8_lossy(commands).lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("AUTH"), Some(mechanism), None) => self.push(b'C', format!("AUTH {mechanism}").as_bytes()),
                (Some("AUTH"), Some(mechanism), Some(_)) => self.push(b'C', format!("AUTH {mechanism} ***").as_bytes()),
                _ => self.push(b'C', b"***"),
            }
        }
    }

    /// How much we sent of a message, whose content is nobody's business.
    pub(super) const fn content(&mut self, bytes: usize) {
        self.content += bytes;
    }

    /// The lines of a reply.
    pub(super) fn server(&mut self, lines: &str) {
        for line in lines.split('\n') {
            self.push(b'S', line.as_bytes());
        }
    }

    /// What happened without a word.
    pub(super) fn note(&mut self, what: &str) {
        self.push(b'*', what.as_bytes());
    }

    fn push(&mut self, who: u8, text: &[u8]) {
        if self.content > 0 {
            self.lines.push_back(Line::Content(std::mem::take(&mut self.content)));
            self.count += 1;
        }
        // One byte more shows that the line was longer.
        let text = &text[..text.len().min(LINE_BYTES_MAX + 1)];
        self.bytes.extend(text);
        self.lines.push_back(Line::Said { who, bytes: text.len() });
        self.count += 1;
        while self.bytes.len() + LINE_EXTRA_BYTES * self.lines.len() > TRANSCRIPT_BYTES_MAX {
            match self.lines.pop_front() {
                Some(Line::Said { bytes, .. }) => drop(self.bytes.drain(..bytes)),
                Some(Line::Content(_)) => {}
                None => break,
            }
        }
    }

    /// What was said since this was asked last.
    pub(super) fn news(&mut self) -> Dialogue {
        let untold = usize::try_from(self.count - self.told).unwrap_or(usize::MAX).min(self.lines.len());
        self.told = self.count;
        let (mut sent, mut reply) = (Vec::new(), Vec::new());
        let mut end = self.bytes.len();
        for line in self.lines.iter().rev().take(untold) {
            match *line {
                Line::Said { who, bytes } => {
                    let text: Vec<u8> = self.bytes.range(end - bytes..end).copied().collect();
                    end -= bytes;
                    match who {
                        b'C' => sent.push(visible(&text)),
                        b'S' => reply.push(visible(&text)),
                        _ => {}
                    }
                }
                Line::Content(bytes) => sent.push(format!("({bytes} bytes of content)")),
            }
        }
        let in_order = |mut lines: Vec<String>| {
            lines.reverse();
            lines.join("\n")
        };
        Dialogue { sent: in_order(sent), reply: in_order(reply) }
    }

    /// All of it, each line ended by a line feed, in at most [`TRANSCRIPT_BYTES_MAX`] bytes.
    pub(super) fn text(&self) -> String {
        let mut shown = Vec::with_capacity(self.lines.len());
        let mut end = self.bytes.len();
        let mut room = TRANSCRIPT_BYTES_MAX;
        for line in self.lines.iter().rev() {
            let line = match *line {
                Line::Said { who, bytes } => {
                    let text: Vec<u8> = self.bytes.range(end - bytes..end).copied().collect();
                    end -= bytes;
                    show(who, &text)
                }
                Line::Content(bytes) => format!("C: ({bytes} bytes of content)\n"),
            };
            let Some(left) = room.checked_sub(line.len()) else { break };
            room = left;
            shown.push(line);
        }
        shown.reverse();
        shown.concat()
    }
}

/// A line that moves nobody's cursor.
fn show(who: u8, text: &[u8]) -> String {
    format!("{}: {}\n", char::from(who), visible(text))
}

fn visible(text: &[u8]) -> String {
    let mut line = String::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        if line.len() >= LINE_BYTES_MAX {
            line.push('…');
            break;
        }
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(commands: &str, expected: &str) {
        let mut transcript = Transcript::default();
        transcript.client_secret(commands.as_bytes());
        assert_eq!(transcript.text(), expected);
    }

    #[test]
    fn nothing_secret_is_kept() {
        check("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "C: AUTH PLAIN ***\n");
        check("AUTH LOGIN\r\n", "C: AUTH LOGIN\n");
        check("AUTH LOGIN YWxpY2U=\r\n", "C: AUTH LOGIN ***\n");
        check("c2VjcmV0\r\n", "C: ***\n");
        check("*\r\n", "C: ***\n");
    }

    #[test]
    fn old_lines_give_way_to_new_ones() {
        let mut transcript = Transcript::default();
        for n in 0..10_000 {
            transcript.server(&format!("250 {n}"));
        }
        assert!(transcript.text().len() <= TRANSCRIPT_BYTES_MAX);
        assert!(transcript.text().ends_with("S: 250 9999\n"));
        transcript.server(&format!("250 {}", "飛".repeat(10_000)));
        assert!(transcript.text().len() <= TRANSCRIPT_BYTES_MAX);
    }

    #[test]
    fn news_are_told_once() {
        let mut transcript = Transcript::default();
        transcript.server("220 hi");
        assert_eq!(transcript.news(), Dialogue { sent: String::new(), reply: "220 hi".to_owned() });
        transcript.client(b"EHLO a\r\n");
        transcript.server("250-a\n250 SIZE");
        transcript.note("nothing said");
        assert_eq!(transcript.news(), Dialogue { sent: "EHLO a".to_owned(), reply: "250-a\n250 SIZE".to_owned() });
        transcript.content(7);
        transcript.server("250 ok");
        let news = transcript.news();
        assert_eq!((news.sent.as_str(), news.reply.as_str()), ("(7 bytes of content)", "250 ok"));
        assert_eq!(transcript.news(), Dialogue::default());
    }

    #[test]
    fn news_of_a_flood_are_its_end() {
        let mut transcript = Transcript::default();
        for n in 0..10_000 {
            transcript.server(&format!("250 {n}"));
        }
        assert!(transcript.news().reply.ends_with("\n250 9999"));
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let mut transcript = Transcript::default();
        transcript.content(1_000);
        transcript.content(234);
        transcript.server("550 \u{1b}[2J");
        assert_eq!(transcript.text(), "C: (1234 bytes of content)\nS: 550 \\u{1b}[2J\n");
    }
}
