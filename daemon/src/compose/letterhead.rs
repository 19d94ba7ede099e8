//! What an account adds to what its clients write: its signature, and whether recipients are named.

use crate::domain::{
    account::{AccountSettings, Signature},
    mail::{Draft, Mailbox},
};

/// What stands between a text and its signature (RFC 3676 4.3): readers that know it fold the signature away.
const SEPARATOR: &str = "-- \n";

/// Puts a draft on the account's letterhead.
pub fn put_on(draft: &mut Draft, settings: &AccountSettings) {
    sign(draft, &settings.signature, Kind::Written);
    name_recipients(draft, settings);
}

/// The same for a draft whose texts are templates. The signature is none: what looks like a template in it is shown as it
/// stands there.
pub fn put_on_template(draft: &mut Draft, settings: &AccountSettings) {
    sign(draft, &settings.signature, Kind::Template);
    name_recipients(draft, settings);
}

fn name_recipients(draft: &mut Draft, settings: &AccountSettings) {
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

/// What the texts of a draft are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Written,
    Template,
}

impl Kind {
    /// A signature as it has to be written to be read as it is.
    fn literal(self, signature: &str) -> String {
        match self {
            Self::Written => signature.to_owned(),
            Self::Template => as_template(signature),
        }
    }

    /// Where an HTML text is signed: what stands behind the end of the body is shown by some readers only.
    fn place(self, html: &str) -> usize {
        let end = rfind_ignoring_case(html, "</body").or_else(|| rfind_ignoring_case(html, "</html"));
        // In a template that decides, or in a tag of one, that place may never be reached.
        let is_sure = |end: &usize| {
            let before = &html[..*end];
            let is_between_tags = before.rfind("{{").is_none_or(|opening| before[opening..].contains("}}"));
            is_between_tags && !html.contains("{%") && !html.contains("{#")
        };
        end.filter(|end| self == Self::Written || is_sure(end)).unwrap_or(html.len())
    }
}

/// A part that the client wrote is signed; a part that will be made from the other is signed by it. Where the account
/// has a signature in one form only, the other is made of it.
fn sign(draft: &mut Draft, signature: &Signature, kind: Kind) {
    if let Some(text) = &mut draft.text {
        let signed = match signature.text.as_str() {
            "" if signature.html.is_empty() => None,
            "" => Some(super::plain_text::from_html(&signature.html).trim_end().to_owned()),
            text => Some(text.to_owned()),
        };
        if let Some(signed) = signed.map(|signed| kind.literal(&signed)) {
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
        html.insert_str(kind.place(html), &format!("\n<div>{}</div>\n", kind.literal(&signed)));
    }
}

/// A text as a template that gives it: each beginning of what Jinja would read is marked as text.
fn as_template(text: &str) -> String {
    let mut template = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        let (before, from_brace) = rest.split_at(brace);
        template.push_str(before);
        let is_opening = ["{{", "{%", "{#"].iter().any(|opening| from_brace.starts_with(opening));
        let (taken, behind) = from_brace.split_at(if is_opening { 2 } else { 1 });
        if is_opening {
            template.extend(["{% raw %}", taken, "{% endraw %}"]);
        } else {
            template.push_str(taken);
        }
        rest = behind;
    }
    template + rest
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
        let signature = Signature { text: signature.0.to_owned(), html: signature.1.to_owned() };
        sign(&mut draft, &signature, Kind::Written);
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

    /// What a merge job with these templates and this signature shows Taro.
    #[track_caller]
    fn check_merged(
        signature: (&str, &str),
        written: (Option<&str>, Option<&str>),
        shown: (Option<&str>, Option<&str>),
    ) {
        use super::super::template::{Filling, Syntax, Template};
        let mut draft = draft(written.0, written.1);
        let signature = Signature { text: signature.0.to_owned(), html: signature.1.to_owned() };
        sign(&mut draft, &signature, Kind::Template);
        let fill = |text: &str, syntax| {
            let mut variables = Vec::new();
            let template = Template::parse(text, syntax, &mut variables).expect(text);
            let values = vec![Some("Taro".to_owned()); variables.len()];
            template.fill(&mut Filling::new(&variables.into(), &values)).expect(text)
        };
        let text = draft.text.map(|text| fill(&text, Syntax::Plain));
        let html = draft.html.map(|html| fill(&html, Syntax::Html));
        assert_eq!((text.as_deref(), html.as_deref()), shown);
    }

    #[test]
    fn a_signature_is_no_template() {
        for signature in [
            "{{ name }}",
            "{% if x %}",
            "{# x #}",
            "{",
            "{{{",
            "{{{{",
            "{{%",
            "{%{%",
            "}} %} #}",
            "{% raw %}{% endraw %}{% endraw",
            "{%- endraw -%} \n {{-",
            "{#sig{color:red}}",
            "飛{脚}{{",
        ] {
            let text = format!("Hi Taro\n\n-- \n{signature}");
            let html = format!("<p>Taro\n<div>{signature}</div>\n</body>");
            let written = (Some("Hi {{ x }}"), Some("<p>{{ x }}</body>"));
            check_merged((signature, signature), written, (Some(&text), Some(&html)));
        }
    }

    #[test]
    fn a_template_that_decides_is_signed_at_its_end() {
        let signed = |shown: &str| format!("{shown}\n<div>S</div>\n");
        for (written, shown) in [
            ("{% if not x %}</body>{% endif %}", ""),
            ("{{ x }}</body>{# </body> #}", "Taro</body>"),
            ("{{ '</body>'|safe }}", "</body>"),
        ] {
            check_merged(("", "S"), (None, Some(written)), (None, Some(&signed(shown))));
        }
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
