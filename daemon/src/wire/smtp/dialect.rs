//! What is said to lettre in place of a reply? Its parser reads few of the forms that servers use, so it hears plain
//! ones; the words that count are those that the line keeps.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::offers::Offers;
use crate::domain::reply::Reply;

/// The greeting and the reply to EHLO, for lettre's own start. Only the mechanisms matter to it.
pub(super) fn welcome(offers: &Offers) -> String {
    let known: Vec<_> =
        offers.auth.iter().filter(|name| matches!(name.as_str(), "PLAIN" | "LOGIN")).map(String::as_str).collect();
    if known.is_empty() {
        "220 ready\r\n250 server\r\n".to_owned()
    } else {
        format!("220 ready\r\n250-server\r\n250 AUTH {}\r\n", known.join(" "))
    }
}

/// One reply: its code, brought into the range that lettre knows, and no words.
pub(super) fn plain(reply: &Reply) -> String {
    let (class, subject, detail) = (reply.code() / 100, reply.code() / 10 % 10, reply.code() % 10);
    // lettre knows the subjects 0 to 5; 571 and its like become 551.
    format!("{class}{}{detail} see the record\r\n", subject.min(5))
}

/// A challenge of AUTH LOGIN, whose two questions servers word as they please. `earlier` counts those before.
pub(super) fn challenge(reply: &Reply, earlier: usize) -> String {
    let encoded = reply.text().get(4..).unwrap_or_default().trim();
    let question = STANDARD.decode(encoded).unwrap_or_default().to_ascii_lowercase();
    let asks_for = |word: &[u8]| question.windows(word.len()).any(|part| part == word);
    let password = asks_for(b"pass") || (!asks_for(b"user") && earlier > 0);
    format!("334 {}\r\n", STANDARD.encode(if password { "Password:" } else { "Username:" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(lines: &str) -> Reply {
        Reply::from_lines(lines).expect(lines)
    }

    #[test]
    fn every_code_becomes_one_that_lettre_reads() {
        use lettre::transport::smtp::response::Response;

        for code in 200..600_u16 {
            let said = plain(&reply(&format!("{code} x")));
            let heard: Response = said.parse().expect("lettre reads it");
            assert_eq!(u16::from(heard.code()) / 100, code / 100);
        }
        assert_eq!(plain(&reply("354 go")), "354 see the record\r\n");
    }

    #[test]
    fn questions_are_understood_by_word_or_by_order() {
        let user = format!("334 {}\r\n", STANDARD.encode("Username:"));
        let password = format!("334 {}\r\n", STANDARD.encode("Password:"));
        assert_eq!(challenge(&reply("334 VXNlcm5hbWU6"), 0), user);
        assert_eq!(challenge(&reply("334 UGFzc3dvcmQ6"), 1), password);
        assert_eq!(challenge(&reply("334 "), 0), user);
        assert_eq!(challenge(&reply("334"), 1), password);
        assert_eq!(challenge(&reply("334 not base64"), 0), user);
        assert_eq!(challenge(&reply(&format!("334 {}", STANDARD.encode("your PASSWORD?"))), 0), password);
    }
}
