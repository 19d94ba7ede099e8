//! What if a server repeats our sign-in in its reply? Some quote the command that they refuse, password and all.

use zeroize::Zeroizing;

use super::{failure::Fault, reply_reader::WholeReply};
use crate::domain::reply::Reply;

/// Shorter words are no secret, and would blot out innocent text.
const SECRET_BYTES_MIN: usize = 4;
/// What stands for a secret.
const MASK: &str = "***";

/// The words of our sign-in, as they were sent, and the password itself.
#[derive(Default)]
pub(in crate::wire) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Remembers the last word of each line.
    pub(super) fn learn(&mut self, commands: &[u8]) {
        for line in String::from_utf8_lossy(commands).lines() {
            let is_secret = !line.starts_with("AUTH ") || line.split(' ').count() > 2;
            let word = line.rsplit(' ').next().unwrap_or_default();
            if is_secret {
                self.add(word);
            }
        }
    }

    /// Remembers a secret that may be repeated as it is.
    pub(in crate::wire) fn add(&mut self, secret: &str) {
        if secret.len() >= SECRET_BYTES_MIN {
            self.0.push(Zeroizing::new(secret.to_owned()));
            // One secret may hold another: the longer goes first, or parts of it would stay.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// Takes the words out of a reply, or out of what was no reply.
    pub(super) fn mask(&self, result: Result<WholeReply, Fault>) -> Result<WholeReply, Fault> {
        match result {
            Ok(whole) if self.are_in(whole.lines()) => {
                // Where all lines have one code the reply is made anew from all of them, before it is cut.
                let is_mixed = !whole.lines().starts_with(whole.reply.text());
                let lines = self.without(whole.lines());
                let kept = if is_mixed { self.without(whole.reply.text()) } else { lines.clone() };
                let reply = Reply::from_lines(&kept).unwrap_or(whole.reply);
                Ok(WholeReply::new(reply, &lines))
            }
            Err(Fault::Unreadable(line)) => Err(Fault::Unreadable(self.without_cut(&line))),
            result => result,
        }
    }

    /// A text without the words.
    pub(in crate::wire) fn without(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// A text, which may have been cut in the midst of a word, without the words.
    fn without_cut(&self, text: &str) -> String {
        let mut text = self.without(text);
        for secret in &self.0 {
            let ends = (SECRET_BYTES_MIN..secret.len()).rev().filter_map(|end| secret.get(..end));
            if let Some(begun) = ends.into_iter().find(|begun| text.ends_with(begun)) {
                text.truncate(text.len() - begun.len());
                text.push_str(MASK);
            }
        }
        text
    }

    fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_sign_in_is_masked() {
        let mut secrets = Secrets::default();
        secrets.learn(b"AUTH LOGIN\r\n");
        secrets.learn(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nc2VjcmV0\r\n");
        let lines = "502-what is LOGIN\n502 AUTH PLAIN AGFsaWNlAHNlY3JldA== or c2VjcmV0?".to_owned();
        let whole = WholeReply::new(Reply::from_lines(&lines).expect("a reply"), &lines);
        let masked = secrets.mask(Ok(whole)).expect("a reply");
        assert_eq!(masked.reply.text(), "502-what is LOGIN\n502 AUTH PLAIN *** or ***?");
        assert_eq!(masked.lines(), masked.reply.text());
        let fault = secrets.mask(Err(Fault::Unreadable("c2VjcmV0?".to_owned())));
        assert_eq!(fault.expect_err("a fault").to_string(), "what came is no SMTP reply: \"***?\"");
    }

    #[test]
    fn a_quoted_password_is_masked_even_where_the_quotation_is_cut() {
        let mut secrets = Secrets::default();
        secrets.add("open sesame");
        secrets.add("sesame");
        secrets.add("abc");
        let lines = "535 abc: \"open sesame\" and \"sesame\" are wrong".to_owned();
        let whole = WholeReply::new(Reply::from_lines(&lines).expect("a reply"), &lines);
        let masked = secrets.mask(Ok(whole)).expect("a reply");
        assert_eq!(masked.reply.text(), "535 abc: \"***\" and \"***\" are wrong");
        let fault = secrets.mask(Err(Fault::Unreadable("no open ses".to_owned())));
        assert_eq!(fault.expect_err("a fault").to_string(), "what came is no SMTP reply: \"no ***\"");
    }
}
