//! Where addresses stand in texts that were written for people.

use std::sync::LazyLock;

use regex::Regex;

/// An address (RFC 5321 4.1.2, RFC 6531) as part of a larger pattern. Lenient: docomo-style local parts, encoded words and
/// anything else without spaces and brackets.
pub(super) const ADDRESS: &str = r#"(?:"[^"\n]+"|[^\s<>()\[\],;:"'@\\「」（）＜＞〈〉『』【】、。：]+)@(?:[0-9A-Za-z][0-9A-Za-z._-]*\.[A-Za-z]{2,}|[^\s\x00-\x2C/:-@\[-^`{-\x7F「」（）＜＞〈〉『』【】、。：]+|\[[0-9A-Fa-f.:]+\])"#;

/// Longest address, in bytes (RFC 5321 4.5.3.1.3, with room for addresses beyond ASCII).
const ADDRESS_BYTES_MAX: usize = 512;

/// Every address in a text, in order.
pub(super) fn addresses_in(text: &str) -> impl Iterator<Item = &str> {
    static ANY: LazyLock<Regex> = LazyLock::new(|| Regex::new(ADDRESS).expect("tested below"));
    ANY.find_iter(text).map(|found| clean(found.as_str())).filter(|address| is_address(address))
}

/// An address without what surrounds it in texts: brackets, quotes, a type such as `rfc822;` or `smtp:`, a comment.
pub(super) fn clean(text: &str) -> &str {
    let text = text.trim();
    let text = text.rsplit_once(';').map_or(text, |(_, address)| address);
    let strip = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | '.' | '\'' | '(' | ')' | '`' | '|' | '*');
    text.trim_matches(strip)
}

/// Whether a text is one address and nothing else.
pub(super) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let unquoted = if local.starts_with('"') { domain } else { text };
    !local.is_empty()
        && !domain.is_empty()
        && text.len() <= ADDRESS_BYTES_MAX
        && !unquoted.contains(char::is_whitespace)
}

/// The same address for comparing: case does not count here.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        assert_eq!(addresses_in(text).collect::<Vec<_>>(), want, "{text}");
    }

    #[test]
    fn addresses_are_found_in_texts() {
        check("to <taro@example.jp>: no", &["taro@example.jp"]);
        check("taro..@docomo.example, hanako@example.jp.", &["taro..@docomo.example", "hanako@example.jp"]);
        check("\"a b\"@example.jp", &["\"a b\"@example.jp"]);
        check("宛先：taro@example.jp（不明）", &["taro@example.jp"]);
        check("mailto:taro@example.jp 用户@例え.jp", &["taro@example.jp", "用户@例え.jp"]);
        check("＜taro@example.jp＞『hanako@例え.jp』", &["taro@example.jp", "hanako@例え.jp"]);
        check("taro@[192.0.2.1] at example.jp @x", &["taro@[192.0.2.1]"]);
    }

    #[test]
    fn types_and_brackets_are_no_part_of_an_address() {
        assert_eq!(clean(" rfc822; <taro@example.jp> "), "taro@example.jp");
        assert_eq!(clean("'taro@example.jp'."), "taro@example.jp");
        assert!(!is_address("taro@"));
        assert!(!is_address("taro hanako@example.jp"));
    }
}
