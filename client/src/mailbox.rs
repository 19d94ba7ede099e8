//! How a mailbox is written as text: `addr@example.jp` or `Name <addr@example.jp>`.

use crate::proto::Mailbox;

/// Reads `address`, `Name <address>` or `"Name, quoted" <address>`. Whether the address is right is for the daemon to say.
#[must_use]
pub fn parse_mailbox(text: &str) -> Mailbox {
    let text = text.trim();
    let split = text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<'));
    let Some((name, address)) = split else {
        return Mailbox { name: String::new(), address: text.to_owned() };
    };
    Mailbox { name: unquote(name.trim()), address: address.trim().to_owned() }
}

/// A text that [`parse_mailbox`] reads back to the same mailbox, unless its address holds angle brackets.
#[must_use]
pub fn show_mailbox(mailbox: &Mailbox) -> String {
    let Mailbox { name, address } = mailbox;
    if name.is_empty() {
        return address.clone();
    }
    let plain = name.trim() == name && !name.contains(['"', '\\', '<', '>']);
    if plain {
        return format!("{name} <{address}>");
    }
    format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn unquote(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return name.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        // RFC 5322 3.2.4: a backslash quotes the character after it.
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, address: &str) {
        assert_eq!(parse_mailbox(text), Mailbox { name: name.to_owned(), address: address.to_owned() });
    }

    #[test]
    fn names_may_stand_before_the_address() {
        check("taro@example.jp", "", "taro@example.jp");
        check(" Taro <taro@example.jp> ", "Taro", "taro@example.jp");
        check("山田 太郎 <taro@example.jp>", "山田 太郎", "taro@example.jp");
        check("\"Doe, \\\"J\\\"\" <j@example.jp>", "Doe, \"J\"", "j@example.jp");
        check("<taro@example.jp>", "", "taro@example.jp");
        check("\" <a@b", "", "\" <a@b");
        check("\"", "", "\"");
        check("\" <a@b>", "\"", "a@b");
    }

    #[test]
    fn a_shown_mailbox_is_read_back() {
        for (name, address) in [
            ("", "taro@example.jp"),
            ("Taro", "taro@example.jp"),
            ("Doe, \"J\"", "j@example.jp"),
            (" a\\b ", "a@example.jp"),
            ("<x>", "a@example.jp"),
        ] {
            let mailbox = Mailbox { name: name.to_owned(), address: address.to_owned() };
            assert_eq!(parse_mailbox(&show_mailbox(&mailbox)), mailbox);
        }
    }
}
