//! Whose address stands in a From field that somebody else wrote.

use crate::domain::address::Address;

/// Characters beside letters and digits that may stand in a name without quotes: RFC 5322 3.2.3 atext, the dot that 4.1
/// allows there, and spaces.
const UNQUOTED: &str = "!#$%&'*+-/=?^_`{|}~. \t";

/// The address of a value that is exactly one mailbox (RFC 5322 3.4), with or without a name and comments; nothing when it is
/// anything else, so that readers see no other author than we do.
pub(super) fn only_address(value: &str) -> Option<Address> {
    let bare = without_comments(value)?;
    let bare = bare.trim();
    let Some(rest) = bare.strip_suffix('>') else { return bare.parse().ok() };
    let (name, address) = rest.split_at(opening(rest)?);
    is_name(name).then_some(())?;
    address[1..].trim().parse().ok()
}

/// The value without its comments, each of which becomes a space. They nest; nothing when one does not end.
fn without_comments(value: &str) -> Option<String> {
    let mut bare = String::with_capacity(value.len());
    let (mut depth, mut is_quoted, mut is_escaped) = (0_u32, false, false);
    for c in value.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted || depth > 0 => is_escaped = true,
            '"' if depth == 0 => is_quoted = !is_quoted,
            '(' if !is_quoted => {
                depth += 1;
                bare.push(' ');
                continue;
            }
            ')' if !is_quoted => {
                depth = depth.checked_sub(1)?;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            bare.push(c);
        }
    }
    (depth == 0 && !is_quoted).then_some(bare)
}

/// Where the first angle bracket opens that is not quoted.
fn opening(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.char_indices().find_map(|(at, c)| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => return Some(at),
            _ => {}
        }
        None
    })
}

/// Whether a text is a display name: words, some of them in quotes.
fn is_name(text: &str) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_fine = text.chars().all(|c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            c if !is_quoted => return c.is_ascii_alphanumeric() || UNQUOTED.contains(c) || !c.is_ascii(),
            _ => {}
        }
        true
    });
    is_fine && !is_quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<&str>) {
        assert_eq!(only_address(value).map(|found| found.to_string()).as_deref(), expected, "{value:?}");
    }

    #[test]
    fn one_mailbox_is_read_as_others_write_it() {
        check("a@example.jp", Some("a@example.jp"));
        check(" Taro <a@example.jp> ", Some("a@example.jp"));
        check("Taro (sales (east)) <t@x.jp>", Some("t@x.jp"));
        check("t@x.jp (Taro)", Some("t@x.jp"));
        check("\"Yamada, Taro <no@x.jp>\" <t@x.jp>", Some("t@x.jp"));
        check("=?utf-8?b?5aSq6YOO?= <t@x.jp>", Some("t@x.jp"));
        check("Dr. T. 太郎 <t@x.jp>", Some("t@x.jp"));
        check("\"a..b\"@docomo.ne.jp", Some("\"a..b\"@docomo.ne.jp"));
        check("Taro <\"a..b\"@docomo.ne.jp>", Some("\"a..b\"@docomo.ne.jp"));
        check("x@[192.0.2.1]", Some("x@[192.0.2.1]"));
        check("<t@x.jp>", Some("t@x.jp"));
    }

    #[test]
    fn what_others_could_read_in_another_way_is_not_read() {
        check("a@x.jp, b@x.jp", None);
        check("A <a@x.jp>, B <b@x.jp>", None);
        check("boss@x.jp <me@x.jp>", None);
        check("Boss <boss@x.jp> <me@x.jp>", None);
        check("Team: a@x.jp;", None);
        check("Taro <t@x.jp> trailing", None);
        check("Taro (never ended <t@x.jp>", None);
        check("Taro) <t@x.jp>", None);
        check("\"Taro <t@x.jp>", None);
        check("Taro", None);
        check("<>", None);
        check("", None);
    }
}
