//! What was said on a session, for people who look into a fault: bounded, and without secrets and content.

use std::collections::VecDeque;

/// Most bytes that are kept; the oldest lines go first.
pub(super) const TRANSCRIPT_BYTES_MAX: usize = 16_384;
/// Longest line that is kept whole.
const LINE_BYTES_MAX: usize = 1_024;

/// The last lines of a dialogue, each begun by `C: ` or `S: `.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: VecDeque<String>,
    bytes: usize,
    /// Bytes of content since the last line.
    content: usize,
}

impl Transcript {
    /// What we sent: whole commands.
    pub(super) fn client(&mut self, commands: &[u8]) {
        for line in String::from_utf8_lossy(commands).lines() {
            self.push('C', line);
        }
    }

    /// What we sent to sign in. Only the name of the mechanism is kept, as no later word is safe to show.
    pub(super) fn client_secret(&mut self, commands: &[u8]) {
        for line in String::from_utf8_lossy(commands).lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("AUTH"), Some(mechanism), None) => self.push('C', &format!("AUTH {mechanism}")),
                (Some("AUTH"), Some(mechanism), Some(_)) => self.push('C', &format!("AUTH {mechanism} ***")),
                _ => self.push('C', "***"),
            }
        }
    }

    /// How much we sent of a message, whose content is nobody's business.
    pub(super) fn content(&mut self, bytes: usize) {
        self.content += bytes;
    }

    /// The lines of a reply.
    pub(super) fn server(&mut self, lines: &str) {
        for line in lines.split('\n') {
            self.push('S', line);
        }
    }

    /// What happened without a word.
    pub(super) fn note(&mut self, what: &str) {
        self.push('*', what);
    }

    fn push(&mut self, who: char, text: &str) {
        let content = std::mem::take(&mut self.content);
        if content > 0 {
            self.push('C', &format!("({content} bytes of content)"));
        }
        let mut line = format!("{who}: ");
        // Control characters would move the cursor of whoever reads this.
        for c in text.chars() {
            if line.len() >= LINE_BYTES_MAX {
                line.push('…');
                break;
            }
            if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
        }
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > TRANSCRIPT_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len() + 1;
        }
    }

    /// All of it, each line ended by a line feed.
    pub(super) fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
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
    fn control_characters_are_shown_and_not_obeyed() {
        let mut transcript = Transcript::default();
        transcript.content(1_000);
        transcript.content(234);
        transcript.server("550 \u{1b}[2J");
        assert_eq!(transcript.text(), "C: (1234 bytes of content)\nS: 550 \\u{1b}[2J\n");
    }
}
