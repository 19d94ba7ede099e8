//! What if a server repeats our sign-in in its reply? Some quote the command that they refuse, password and all.

use super::{failure::Fault, reply_reader::WholeReply};
use crate::domain::reply::Reply;
use crate::wire::secrets::Secrets;

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
