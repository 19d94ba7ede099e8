//! Whom a whole message names as its recipients: `hikyaku job submit --raw - -t`, as sendmail does it.

use hikyaku_client::proto::Mailbox;

use super::{
    failure::{Failure, usage},
    mail_address::check_address,
    wanted::Wanted,
};

/// Adds the recipients that the message names to those that were given, and takes its From where nobody says who sends it.
///
/// # Errors
/// When there is no message, or one of its addresses is none.
pub(crate) fn take_recipients(wanted: &mut Wanted) -> Result<(), Failure> {
    let Some(raw) = &wanted.raw else {
        return Err(usage("--recipients-from-headers reads a raw message: give it with --raw"));
    };
    let headers = headers(raw);
    if let Some((name, _)) = headers.iter().find(|(name, _)| name.to_ascii_lowercase().starts_with("resent-")) {
        return Err(usage(format!("the message has {name}: whom it goes to now, say with --to instead of -t")));
    }
    let job = &mut wanted.job;
    if job.from.is_none() && job.account_id.is_empty() {
        job.from = named(&headers, "from")?.into_iter().next().map(bare);
    }
    let mut known: Vec<String> =
        [&job.to, &job.cc, &job.bcc].into_iter().flatten().map(|one| one.address.to_lowercase()).collect();
    for (name, list) in [("to", &mut job.to), ("cc", &mut job.cc), ("bcc", &mut job.bcc)] {
        for address in named(&headers, name)? {
            // A message may name somebody twice, and a job may not.
            if !known.contains(&address.to_lowercase()) {
                known.push(address.to_lowercase());
                list.push(bare(address));
            }
        }
    }
    Ok(())
}

fn bare(address: String) -> Mailbox {
    Mailbox { name: String::new(), address }
}

/// The addresses of all header fields of this name.
fn named(headers: &[(String, String)], wanted: &str) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)) {
        for address in addresses(value) {
            check_address(&address).map_err(|what| usage(format!("the message's {name}: \"{address}\" {what}")))?;
            found.push(address);
        }
    }
    Ok(found)
}

/// The header fields of a message, unfolded (RFC 5322 2.2.3).
fn headers(raw: &[u8]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in raw.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(line);
        match (line.starts_with([' ', '\t']), found.last_mut()) {
            (true, Some((_, value))) => value.push_str(&line),
            (false, _) => {
                if let Some((name, value)) = line.split_once(':') {
                    found.push((name.trim_end().to_owned(), value.to_owned()));
                }
            }
            (true, None) => {}
        }
    }
    found
}

/// The addresses of an address list (RFC 5322 3.4): names, comments and the names of groups are left out.
fn addresses(value: &str) -> Vec<String> {
    let mut list = List::default();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if list.comment > 0 => drop(letters.next()),
            '(' if !list.quoted => list.comment += 1,
            ')' if list.comment > 0 => list.comment -= 1,
            _ if list.comment > 0 => {}
            '"' => {
                list.quoted = !list.quoted;
                list.push(letter);
            }
            '\\' if list.quoted => {
                list.push(letter);
                letters.next().into_iter().for_each(|quoted| list.push(quoted));
            }
            _ if list.quoted => list.push(letter),
            '<' => list.angle = Some(String::new()),
            '>' => list.closed = true,
            '[' | ']' => {
                list.literal = letter == '[';
                list.push(letter);
            }
            ',' | ';' => list.end(),
            ':' if list.angle.is_none() && !list.literal => list.text.clear(),
            letter if letter.is_whitespace() => list.spaced = true,
            letter => list.push(letter),
        }
    }
    list.end();
    list.found
}

/// An address list that is being read.
#[derive(Default)]
struct List {
    found: Vec<String>,
    /// What stands outside of angle brackets: an address without a name, or the name of one.
    text: String,
    /// What stands within them.
    angle: Option<String>,
    closed: bool,
    /// White space came after the last letter.
    spaced: bool,
    quoted: bool,
    literal: bool,
    comment: u32,
}

impl List {
    fn push(&mut self, letter: char) {
        let spaced = std::mem::take(&mut self.spaced);
        let text = match &mut self.angle {
            Some(_) if self.closed => return,
            Some(address) => address,
            None => &mut self.text,
        };
        // Space may stand around the @ (RFC 5322 3.4.1); elsewhere it makes two words, which are no address.
        if spaced && !text.is_empty() && letter != '@' && !text.ends_with('@') {
            text.push(' ');
        }
        text.push(letter);
    }

    fn end(&mut self) {
        let text = std::mem::take(&mut self.text);
        let address = self.angle.take().unwrap_or(text);
        (self.closed, self.spaced) = (false, false);
        if !address.is_empty() {
            self.found.push(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_comments_and_groups_are_left_out() {
        for (value, expected) in [
            ("taro@example.jp", &["taro@example.jp"][..]),
            (" Taro <taro@example.jp>, hanako@example.jp ", &["taro@example.jp", "hanako@example.jp"]),
            ("\"Doe, J\\\"o:e\" <j@example.jp>", &["j@example.jp"]),
            ("team: a@example.jp, B <b@example.jp>;, c@example.jp", &["a@example.jp", "b@example.jp", "c@example.jp"]),
            ("undisclosed-recipients:;", &[]),
            ("a@example.jp (home (old), \\) x@y), b@example.jp", &["a@example.jp", "b@example.jp"]),
            ("\"a b\"@example.jp", &["\"a b\"@example.jp"]),
            ("x@[IPv6:2001:db8::1]", &["x@[IPv6:2001:db8::1]"]),
            ("=?UTF-8?B?5bGx?= <y@example.jp>,,", &["y@example.jp"]),
            ("山田 <山田@example.jp>", &["山田@example.jp"]),
            ("a @ example.jp", &["a@example.jp"]),
            ("Taro taro@example.jp", &["Taro taro@example.jp"]),
        ] {
            assert_eq!(addresses(value), expected, "{value}");
        }
    }

    #[test]
    fn recipients_are_added_once() {
        let raw = b"From: Shop <shop@example.jp>\r\nTo: a@example.jp,\r\n B <b@example.jp>\r\nCC: A@example.jp\r\nBcc: c@example.jp\r\n\r\nTo: x@example.jp\r\n";
        let mut wanted = Wanted { raw: Some(raw.to_vec()), ..Wanted::default() };
        wanted.job.to.push(bare("b@example.jp".to_owned()));
        take_recipients(&mut wanted).unwrap();
        let list = |list: &[Mailbox]| list.iter().map(|one| one.address.clone()).collect::<Vec<_>>();
        assert_eq!(list(&wanted.job.to), ["b@example.jp", "a@example.jp"]);
        assert_eq!((list(&wanted.job.cc), list(&wanted.job.bcc)), (vec![], vec!["c@example.jp".to_owned()]));
        assert_eq!(wanted.job.from.unwrap().address, "shop@example.jp");
    }

    #[test]
    fn what_is_no_address_is_told() {
        for raw in ["To: nobody\n\n", "To: a@b c@d\n\n", "Resent-To: a@b\nTo: a@b\n\n"] {
            let mut wanted = Wanted { raw: Some(raw.into()), ..Wanted::default() };
            assert!(take_recipients(&mut wanted).is_err(), "{raw}");
        }
        assert!(take_recipients(&mut Wanted::default()).is_err());
    }
}
