//! What stands between the braces: how a text with `{{ name }}` in it is read, and filled in.
//!
//! This is the smallest part of Jinja that is useful. What has a meaning in Jinja and none here is refused, so that a
//! template that is taken today will mean the same when more of Jinja is.

use std::fmt;

use crate::domain::merge::MERGE_VARIABLES_MAX;

/// Longest name of a variable, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Words that are no names in Jinja.
const WORDS: [&str; 15] =
    ["true", "false", "none", "True", "False", "None", "not", "in", "is", "and", "or", "if", "else", "loop", "self"];

/// What a text is, which decides how values are written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Values are written as they are.
    Plain,
    /// What HTML would read as markup in a value is escaped. Style sheets may have braces of their own.
    Html,
}

/// A text with places for values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    syntax: Syntax,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// The variable's place in the list of all.
    Value(usize),
}

/// Where a template is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    line: usize,
    column: usize,
    reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)
    }
}

impl Template {
    /// Reads a template, and adds the variables it uses to `variables` unless they are there.
    pub(super) fn parse(text: &str, syntax: Syntax, variables: &mut Vec<String>) -> Result<Self, Mistake> {
        let mut pieces = Vec::new();
        let mut done = 0;
        while let Some(open) = next_opening(text, done, syntax)? {
            push_text(&mut pieces, &text[done..open]);
            let inner_at = open + 2;
            let Some(length) = text[inner_at..].find("}}") else {
                return Err(mistake(text, open, "{{ is not closed: }} is missing"));
            };
            let name = text[inner_at..inner_at + length].trim_matches([' ', '\t', '\r', '\n']);
            check_name(name).map_err(|reason| mistake(text, open, reason))?;
            pieces.push(Piece::Value(place_of(name, variables).map_err(|reason| mistake(text, open, reason))?));
            done = inner_at + length + 2;
        }
        push_text(&mut pieces, &text[done..]);
        Ok(Self { pieces, syntax })
    }

    /// The text with each variable's value in its place. A value that is not there is left out.
    pub(super) fn fill(&self, values: &[String]) -> String {
        let mut out = String::with_capacity(self.fixed_bytes() + 64 * self.pieces.len());
        for piece in &self.pieces {
            match (piece, self.syntax) {
                (Piece::Text(text), _) => out.push_str(text),
                (Piece::Value(index), Syntax::Plain) => out.push_str(value(values, *index)),
                (Piece::Value(index), Syntax::Html) => escape_into(value(values, *index), &mut out),
            }
        }
        out
    }

    /// The bytes that are the same for all.
    pub(super) fn fixed_bytes(&self) -> usize {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Value(_) => 0,
        };
        self.pieces.iter().map(text).sum()
    }

    /// How often a variable is used.
    pub(super) fn uses_of(&self, index: usize) -> usize {
        self.pieces.iter().filter(|piece| **piece == Piece::Value(index)).count()
    }
}

/// Whether a text has the beginning of anything that Jinja would read.
pub(super) fn has_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|opening| text.contains(opening))
}

/// The next `{{` from `from` on. Other openings of Jinja's, and closings on the way to it or to the end, are mistakes.
fn next_opening(text: &str, from: usize, syntax: Syntax) -> Result<Option<usize>, Mistake> {
    let mut at = from;
    while let Some(brace) = text[at..].find('{').map(|found| at + found) {
        match text.as_bytes().get(brace + 1) {
            Some(b'{') => {
                check_closings(text, from, brace, syntax)?;
                return Ok(Some(brace));
            }
            Some(b'%') => return Err(mistake(text, brace, "{% is not supported: only {{ name }} is")),
            Some(b'#') => {
                return Err(mistake(text, brace, "{# begins a comment, which is not supported: put a space between"));
            }
            _ => at = brace + 1,
        }
    }
    check_closings(text, from, text.len(), syntax)?;
    Ok(None)
}

/// Refuses each `}}` that closes nothing, but not those that end the blocks of a style sheet.
fn check_closings(text: &str, from: usize, to: usize, syntax: Syntax) -> Result<(), Mistake> {
    for (found, _) in text[from..to].match_indices("}}") {
        let at = from + found;
        let block = text[..at].rfind('{').map(|open| text[open + 1..at].trim());
        let is_style = syntax == Syntax::Html && block.is_some_and(|block| check_name(block).is_err());
        if !is_style {
            return Err(mistake(text, at, "}} has no {{ before it"));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    let is_name = chars.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric());
    let shown: String = name.chars().take(40).collect();
    if !is_name {
        return Err(format!(
            "{shown:?} is no name of a variable: letters, digits and _ without spaces; dots, filters and other \
             expressions are not supported"
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("the name {shown}… is longer than {NAME_BYTES_MAX} bytes"));
    }
    if WORDS.contains(&name) {
        return Err(format!("{name} is a word of the template language and cannot name a variable"));
    }
    Ok(())
}

fn place_of(name: &str, variables: &mut Vec<String>) -> Result<usize, String> {
    if let Some(known) = variables.iter().position(|variable| variable == name) {
        return Ok(known);
    }
    if variables.len() == MERGE_VARIABLES_MAX {
        return Err(format!("more than {MERGE_VARIABLES_MAX} variables are used"));
    }
    variables.push(name.to_owned());
    Ok(variables.len() - 1)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
}

fn value(values: &[String], index: usize) -> &str {
    values.get(index).map_or("", String::as_str)
}

fn escape_into(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c => out.push(c),
        }
    }
}

fn mistake(text: &str, at: usize, reason: impl Into<String>) -> Mistake {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Mistake {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: [(&str, &str); 3] = [("name", "Taro"), ("名前", "太郎 <x>"), ("q", "a&'\"{{ name }}")];

    #[track_caller]
    fn check(text: &str, syntax: Syntax, expected: Result<&str, (usize, usize, &str)>) {
        let mut variables = Vec::new();
        let filled = Template::parse(text, syntax, &mut variables).map(|template| {
            let value = |name: &String| VALUES.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            let values: Vec<_> = variables.iter().map(|name| value(name).expect("a known name").to_owned()).collect();
            template.fill(&values)
        });
        match (filled, expected) {
            (Ok(filled), Ok(expected)) => assert_eq!(filled, expected, "{text:?}"),
            (Err(found), Err((line, column, reason))) => {
                assert_eq!((found.line, found.column), (line, column), "{text:?}: {found}");
                assert!(found.reason.contains(reason), "{text:?}: {found}");
            }
            (filled, expected) => panic!("{text:?}: {filled:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn variables_are_filled_in() {
        check("", Syntax::Plain, Ok(""));
        check("plain { } {x} text", Syntax::Plain, Ok("plain { } {x} text"));
        check("{{name}}", Syntax::Plain, Ok("Taro"));
        check("a {{ name }}{{ name }} b", Syntax::Plain, Ok("a TaroTaro b"));
        check("{{\n name\t}}!", Syntax::Plain, Ok("Taro!"));
        check("{{ 名前 }}様", Syntax::Plain, Ok("太郎 <x>様"));
        check("{ {{ name }} }", Syntax::Plain, Ok("{ Taro }"));
        check("{{ q }}", Syntax::Plain, Ok("a&'\"{{ name }}"));
    }

    #[test]
    fn values_are_escaped_in_html_only() {
        check("<b>{{ 名前 }}</b>", Syntax::Html, Ok("<b>太郎 &lt;x&gt;</b>"));
        check("<a title=\"{{ q }}\">", Syntax::Html, Ok("<a title=\"a&amp;&#x27;&quot;{{ name }}\">"));
    }

    #[test]
    fn style_sheets_keep_their_braces() {
        let css = "<style>@media x{a{b:c}}</style>";
        check(&format!("{css}{{{{ name }}}}{css}"), Syntax::Html, Ok(&format!("{css}Taro{css}")));
        check("@media x{a{b:{{ name }}}}", Syntax::Html, Ok("@media x{a{b:Taro}}"));
        check("a{b}}", Syntax::Html, Err((1, 4, "no {{")));
        check("{ name }}", Syntax::Html, Err((1, 8, "no {{")));
    }

    #[test]
    fn what_is_no_plain_substitution_is_refused_with_its_place() {
        check("a\nb {{ name", Syntax::Plain, Err((2, 3, "not closed")));
        check("飛脚 name }}", Syntax::Plain, Err((1, 9, "no {{")));
        check("{{ name }} }}", Syntax::Plain, Err((1, 12, "no {{")));
        check("x\n\n  {% if a %}", Syntax::Plain, Err((3, 3, "{% is not supported")));
        check("{# note #}", Syntax::Plain, Err((1, 1, "comment")));
        check("{{ name|upper }}", Syntax::Plain, Err((1, 1, "no name")));
        check("{{ user.name }}", Syntax::Plain, Err((1, 1, "dots")));
        check("{{- name -}}", Syntax::Plain, Err((1, 1, "no name")));
        check("{{}}", Syntax::Plain, Err((1, 1, "\"\" is no name")));
        check("{{ 1a }}", Syntax::Plain, Err((1, 1, "no name")));
        check("{{ a b }}", Syntax::Plain, Err((1, 1, "no name")));
        check("{{{ name }}}", Syntax::Plain, Err((1, 1, "no name")));
        check("{{ {{ name }} }}", Syntax::Plain, Err((1, 1, "no name")));
        check("{{ true }}", Syntax::Plain, Err((1, 1, "word of the template language")));
        check(&format!("{{{{ {} }}}}", "n".repeat(65)), Syntax::Plain, Err((1, 1, "longer than 64")));
    }

    #[test]
    fn variables_are_listed_once_and_bounded() {
        let mut variables = Vec::new();
        let text: String = (0..MERGE_VARIABLES_MAX).map(|n| format!("{{{{v{n}}}}}{{{{v0}}}}")).collect();
        let template = Template::parse(&text, Syntax::Plain, &mut variables).expect("as many as may be");
        assert_eq!((variables.len(), template.uses_of(0), template.uses_of(1)), (64, 65, 1));
        assert!(Template::parse("{{ one_more }}", Syntax::Plain, &mut variables).is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_is_all_there(parts in proptest::collection::vec("[a-z{}%# 飛\n]{0,6}|\\{\\{ x \\}\\}", 0..12)) {
            let text = parts.concat();
            let mut variables = Vec::new();
            if let Ok(template) = Template::parse(&text, Syntax::Html, &mut variables) {
                let names: Vec<_> = variables.iter().map(|name| format!("«{name}»")).collect();
                let filled = template.fill(&names);
                prop_assert!(!filled.contains("{{"), "{filled}");
                prop_assert_eq!(filled.matches('«').count(), text.matches("{{").count());
            }
        }
    }
}
