//! The plain text of an HTML part, for readers that show none. It knows blocks, links and entities, and no styles.
//!
//! It goes through the HTML once and keeps no tree, so any HTML takes time by its length only. Libraries that build the tree
//! as browsers do need minutes for some hundred kilobytes of unclosed tags.

/// Longest text that is made from HTML, in bytes; the rest is left out, and the text says so.
const TEXT_BYTES_MAX: usize = 1_024 * 1_024;
/// Longest tag that is looked into, in bytes; a longer one is dropped whole.
const TAG_BYTES_MAX: usize = 8_192;
/// Longest entity, in bytes, without `&` and `;`.
const ENTITY_BYTES_MAX: usize = 10;

/// The entities that are met in mail (HTML 4.01, 24).
const ENTITIES: [(&str, char); 52] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("ensp", ' '),
    ("emsp", ' '),
    ("thinsp", ' '),
    ("zwnj", '\u{200c}'),
    ("shy", '\u{ad}'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("yen", '¥'),
    ("euro", '€'),
    ("pound", '£'),
    ("cent", '¢'),
    ("sect", '§'),
    ("para", '¶'),
    ("deg", '°'),
    ("plusmn", '±'),
    ("times", '×'),
    ("divide", '÷'),
    ("frac12", '½'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("middot", '·'),
    ("bull", '•'),
    ("larr", '←'),
    ("rarr", '→'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("auml", 'ä'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("iacute", 'í'),
    ("ntilde", 'ñ'),
    ("oacute", 'ó'),
    ("ouml", 'ö'),
    ("Ouml", 'Ö'),
    ("uuml", 'ü'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
];

/// The text of `html`: tags removed, blocks on lines of their own, link targets in angle brackets behind the link.
pub(super) fn from_html(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    let mut link: Option<String> = None;
    while let Some(start) = rest.find('<') {
        text.push(&rest[..start]);
        rest = &rest[start..];
        if text.out.len() > TEXT_BYTES_MAX {
            text.new_line();
            text.out.push_str("[...]");
            return text.finish();
        }
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if !begins_a_tag(rest) {
            text.push("<");
            rest = &rest[1..];
            continue;
        }
        let Some(end) = tag_end(rest) else {
            // No tag that follows is closed either.
            text.push(rest);
            rest = "";
            break;
        };
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let name = tag_name(tag);
        match name.as_str() {
            "script" | "style" | "head" | "title" | "template" => rest = after_close(rest, &name),
            "br" => text.new_line(),
            "li" => {
                text.fresh_line();
                text.out.push_str("- ");
            }
            "td" | "th" => text.push(" "),
            "a" => link = attribute(tag, "href").filter(|href| is_worth_showing(href)),
            "/a" => {
                if let Some(href) = link.take().filter(|href| !text.out.trim_end().ends_with(href.as_str())) {
                    text.push(" ");
                    text.out.push_str(&format!("<{href}>"));
                }
            }
            "p" | "/p" | "h1" | "/h1" | "h2" | "/h2" | "h3" | "/h3" | "table" | "/table" | "ul" | "/ul" | "ol"
            | "/ol" | "blockquote" | "/blockquote" | "hr" => text.blank_line(),
            "div" | "/div" | "tr" | "/tr" | "/li" | "section" | "/section" => text.fresh_line(),
            _ => {}
        }
    }
    text.push(rest);
    text.finish()
}

#[derive(Default)]
struct Text {
    out: String,
}

impl Text {
    /// Adds running text: entities resolved, white space run together.
    fn push(&mut self, raw: &str) {
        for c in entities(raw).chars() {
            if matches!(c, ' ' | '\t' | '\r' | '\n') {
                if !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
                    self.out.push(' ');
                }
            } else if !c.is_control() {
                self.out.push(c);
            }
        }
    }

    /// What `br` asks for; never more than one blank line.
    fn new_line(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// What a block asks for: to begin on a line of its own.
    fn fresh_line(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        if !self.out.ends_with('\n') {
            self.new_line();
        }
    }

    fn blank_line(&mut self) {
        let kept = self.out.trim_end().len();
        self.out.truncate(kept);
        if !self.out.is_empty() {
            self.out.push_str("\n\n");
        }
    }

    fn finish(mut self) -> String {
        let kept = self.out.trim_end().len();
        self.out.truncate(kept);
        self.out.push('\n');
        self.out
    }
}

/// Whether the `<` that `rest` begins with is more than a sign.
fn begins_a_tag(rest: &str) -> bool {
    rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
}

/// Where the tag that `rest` begins with ends; quotes may hold a `>`. None when nothing closes it.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (index, byte) in rest.bytes().enumerate().take(TAG_BYTES_MAX) {
        match (quote, byte) {
            (None, b'>') => return Some(index),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    rest.find('>')
}

fn tag_name(tag: &str) -> String {
    let end = tag.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(tag.len());
    tag[..end].trim_end_matches('/').to_ascii_lowercase()
}

/// What follows the closing tag of an element whose content is no text.
fn after_close<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(found) = rest[from..].find("</") {
        let at = from + found + 2;
        let is_name = rest.as_bytes().get(at..at + name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()));
        if is_name {
            return rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
        }
        from = at;
    }
    ""
}

/// The value of an attribute of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let lower = tag.to_ascii_lowercase();
    let wanted = format!("{name}=");
    let mut places = lower.match_indices(&wanted).map(|(at, _)| at);
    let start = places.find(|at| lower[..*at].ends_with([' ', '\t', '\r', '\n']))? + name.len() + 1;
    let value = &tag[start..];
    let raw = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split_whitespace().next()?,
    };
    Some(entities(raw).chars().filter(|c| !c.is_control()).collect())
}

fn is_worth_showing(href: &str) -> bool {
    ["http://", "https://", "mailto:", "tel:"].iter().any(|scheme| href.starts_with(scheme))
}

fn entities(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let end = rest.bytes().take(ENTITY_BYTES_MAX + 1).position(|b| b == b';');
        match end.and_then(|end| entity(&rest[..end]).map(|c| (c, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => number(hex, 16),
            None => number(digits, 10),
        },
        None => ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, c)| *c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(html: &str, text: &str) {
        assert_eq!(from_html(html), format!("{text}\n"), "{html}");
    }

    #[test]
    fn blocks_links_and_entities_become_text() {
        check("<p>Hello <b>world</b></p><p>again</p>", "Hello world\n\nagain");
        check("a<br>b<BR/>c", "a\nb\nc");
        check("<ul><li>one</li><li>two</li></ul>", "- one\n- two");
        check("<a href=\"https://example.jp/?a=1&amp;b=2\">here</a>", "here <https://example.jp/?a=1&b=2>");
        check("<a href='https://example.jp'>https://example.jp</a>", "https://example.jp");
        check("<a class=\"x\"\n\thref=\"https://example.jp\">here</a>", "here <https://example.jp>");
        check("<a href=\"javascript:x()\">here</a>", "here");
        check("1 &lt; 2 &amp;&#38; &#x98DB;&nbsp;脚 &bogus; &", "1 < 2 && 飛 脚 &bogus; &");
        check("<tr><td>a</td><td>b</td></tr>", "a b");
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        check("<html><head><title>t</title></head><body>x</body></html>", "x");
        check("<style>p { }</style>x<!-- no -->y<script>if (a < b) {}</script>z", "xyz");
        check("<img alt=\"a > b\">x", "x");
        check("", "");
    }

    #[test]
    fn broken_html_does_no_harm() {
        check("1 < 2", "1 < 2");
        check("1 < 2 <b>and</b> <3", "1 < 2 and <3");
        check("<", "<");
        check("x<a", "x<a");
        check("x<!-- never", "x");
        check("<script>never", "");
        check("&#0;&#x110000;&#xD800;x", "&#x110000;&#xD800;x");
        assert!(from_html(&"<p>x".repeat(2_000_000)).len() < TEXT_BYTES_MAX + 1_000);
    }

    #[test]
    fn hostile_html_of_two_megabytes_is_gone_through_once() {
        for (piece, tail) in [
            ("<div>", ""),
            ("<font>", "</p>"),
            ("<table><tr><td>", "x"),
            ("<blockquote><ul><li>", ""),
            ("<b><p></b>", ""),
            ("<a \"", ">"),
            ("<a href=", ">"),
            ("<style></", "</style>x"),
            ("<!--", "-->"),
            ("&", ";"),
            ("<", ""),
            ("</a>", ""),
        ] {
            let html = piece.repeat(2_000_000 / piece.len()) + tail;
            assert!(from_html(&html).len() <= html.len() + 1, "{piece}");
        }
    }
}
