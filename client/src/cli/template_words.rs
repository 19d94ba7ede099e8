//! Which variables may templates use? More words are found than there are variables, never fewer.

use std::collections::BTreeSet;

/// The words between the braces of templates. What stands outside of them is text.
pub(crate) fn template_words<'t>(templates: impl IntoIterator<Item = &'t str>) -> BTreeSet<&'t str> {
    templates.into_iter().flat_map(blocks).flat_map(words).collect()
}

/// What stands between `{{` and `}}`, and between `{%` and `%}`; to the end where it is not closed.
fn blocks(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let begin = rest.match_indices('{').map(|(at, _)| at).find(|at| rest[at + 1..].starts_with(['{', '%']))?;
        let inner = &rest[begin + 2..];
        let close = if rest[begin..].starts_with("{{") { "}}" } else { "%}" };
        let end = end_of(inner, close);
        rest = inner.get(end + close.len()..).unwrap_or_default();
        Some(&inner[..end])
    })
}

/// Where a block is closed: not within a text in quotes.
fn end_of(inner: &str, close: &str) -> usize {
    let mut quote = None;
    let mut letters = inner.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, _) if inner[at..].starts_with(close) => return at,
            _ => {}
        }
    }
    inner.len()
}

fn words(block: &str) -> impl Iterator<Item = &str> {
    block.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_between_braces() {
        for (template, expected) in [
            ("Dear {{ name }}, code {{code|int + 1}}", &["1", "code", "int", "name"][..]),
            ("{% if plan == 'gold' %}gold text{% endif %}", &["endif", "gold", "if", "plan"]),
            ("{{{ 氏名 }}}", &["氏名"]),
            ("{ name } {# name #}", &[]),
            ("{{ open", &["open"]),
            ("{{", &[]),
            ("{{ '}}\\'' ~ name }} {{ code }}", &["code", "name"]),
            ("}} {{ a_b.c }}", &["a_b", "c"]),
        ] {
            assert_eq!(template_words([template]).into_iter().collect::<Vec<_>>(), expected, "{template}");
        }
    }
}
