//! What an account adds to what its clients write: its signature, and whether recipients are named.

use crate::domain::{
    account::{AccountSettings, Signature},
    mail::{Draft, Mailbox},
};

/// What stands between a text and its signature (RFC 3676 4.3): readers that know it fold the signature away.
const SEPARATOR: &str = "-- \n";

/// Puts a draft on the account's letterhead.
pub fn put_on(draft: &mut Draft, settings: &AccountSettings) {
    sign(draft, &settings.signature);
    if !settings.content.recipient_names {
        draft.to.iter_mut().chain(&mut draft.cc).for_each(|mailbox| mailbox.name = None);
    }
}

/// Adds those of `further` that are not among `present`, by their addresses.
pub fn add_recipients(list: &mut Vec<Mailbox>, further: &[Mailbox], present: &[Mailbox]) {
    for mailbox in further {
        let is_there = |other: &Mailbox| other.address.as_str().eq_ignore_ascii_case(mailbox.address.as_str());
        if !present.iter().any(is_there) && !list.iter().any(is_there) {
            list.push(mailbox.clone());
        }
    }
}

/// A part that the client wrote is signed; a part that will be made from the other is signed by it. Where the account
/// has a signature in one form only, the other is made of it.
fn sign(draft: &mut Draft, signature: &Signature) {
    if let Some(text) = &mut draft.text {
        let signed = match signature.text.as_str() {
            "" if signature.html.is_empty() => None,
            "" => Some(super::plain_text::from_html(&signature.html).trim_end().to_owned()),
            text => Some(text.to_owned()),
        };
        if let Some(signed) = signed {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            *text = format!("{text}{gap}\n{SEPARATOR}{signed}");
        }
    }
    if let Some(html) = &mut draft.html {
        let signed = match signature.html.as_str() {
            "" if signature.text.is_empty() => return,
            "" => as_html(&signature.text),
            html => html.to_owned(),
        };
        // What stands behind the end of the body is shown by some readers only.
        let end = rfind_ignoring_case(html, "</body").or_else(|| rfind_ignoring_case(html, "</html"));
        html.insert_str(end.unwrap_or(html.len()), &format!("\n<div>{signed}</div>\n"));
    }
}

fn as_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '\n' => html.push_str("<br>\n"),
            '\r' => {}
            c => html.push(c),
        }
    }
    html
}

/// Where an ASCII text stands last.
fn rfind_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    (0..=text.len().checked_sub(wanted.len())?)
        .rev()
        .find(|at| text[*at..][..wanted.len()].eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str, address: &str) -> Mailbox {
        Mailbox { name: Some(name.to_owned()), address: address.parse().expect("an address") }
    }

    fn draft(text: Option<&str>, html: Option<&str>) -> Draft {
        Draft {
            from: mailbox("Shop", "shop@example.jp"),
            reply_to: Vec::new(),
            to: vec![mailbox("Taro", "taro@example.jp")],
            cc: Vec::new(),
            subject: String::new(),
            text: text.map(str::to_owned),
            html: html.map(str::to_owned),
            headers: Vec::new(),
            in_reply_to: None,
            references: Vec::new(),
            list_unsubscribe: None,
            auto_submitted: None,
            attachments: Vec::new(),
            charset: crate::domain::charset::Charset::default(),
        }
    }

    #[track_caller]
    fn check(signature: (&str, &str), written: (Option<&str>, Option<&str>), signed: (Option<&str>, Option<&str>)) {
        let mut draft = draft(written.0, written.1);
        sign(&mut draft, &Signature { text: signature.0.to_owned(), html: signature.1.to_owned() });
        assert_eq!((draft.text.as_deref(), draft.html.as_deref()), signed);
    }

    #[test]
    fn each_part_that_was_written_is_signed() {
        check(("", ""), (Some("Hello"), Some("<p>Hello")), (Some("Hello"), Some("<p>Hello")));
        check(("Shop", ""), (Some("Hello"), None), (Some("Hello\n\n-- \nShop"), None));
        check(("Shop", ""), (Some("Hello\n"), None), (Some("Hello\n\n-- \nShop"), None));
        check(("Shop", "<i>Shop</i>"), (None, Some("<p>Hi")), (None, Some("<p>Hi\n<div><i>Shop</i></div>\n")));
    }

    #[test]
    fn a_signature_in_one_form_serves_the_other() {
        check(("A & B\n<x>", ""), (None, Some("Hi")), (None, Some("Hi\n<div>A &amp; B<br>\n&lt;x&gt;</div>\n")));
        check(("", "<b>Shop</b>"), (Some("Hi"), None), (Some("Hi\n\n-- \nShop"), None));
    }

    #[test]
    fn the_signature_stands_inside_the_body() {
        let written = "<html><body>Hi</BODY></html>";
        check(("", "S"), (None, Some(written)), (None, Some("<html><body>Hi\n<div>S</div>\n</BODY></html>")));
    }

    #[test]
    fn nobody_is_added_twice() {
        let mut cc = vec![mailbox("A", "a@example.jp")];
        let further = [mailbox("", "A@example.jp"), mailbox("B", "b@example.jp"), mailbox("T", "taro@example.jp")];
        add_recipients(&mut cc, &further, &[mailbox("Taro", "taro@example.jp")]);
        let addresses: Vec<_> = cc.iter().map(|mailbox| mailbox.address.as_str()).collect();
        assert_eq!(addresses, ["a@example.jp", "b@example.jp"]);
    }
}
