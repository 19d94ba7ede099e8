//! Which paths into the crate a source file names, and on which lines.

/// One path into the crate, resolved from the crate's root: `crate::domain::job::Job` is `["domain", "job", "Job"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// The names after the crate's root. A trailing `*` is left out.
    pub(crate) names: Vec<String>,
    /// Whether it stands in an inline module under `#[cfg(test)]`.
    pub(crate) in_tests: bool,
}

/// A word, `::`, or one other character; comments and literals are gone.
#[derive(Debug)]
struct Token {
    line: usize,
    text: String,
}

/// Every path that `code` begins with `crate`, `super` or the name of the library. `module` is the file's own place,
/// such as `["domain", "job"]`. Paths that begin with `self` or with a child's name lead down into the same module and
/// cannot break a rule, so they are left out.
pub(crate) fn paths(code: &str, module: &[String]) -> Vec<Path> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut inline: Vec<Inline> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        if text == "{" {
            depth += 1;
            if let Some(name) = inline_module(&tokens, at) {
                inline.push(Inline { name, depth, test: is_under_cfg_test(&tokens, at - 2) });
            }
        } else if text == "}" {
            inline.retain(|open| open.depth < depth);
            depth = depth.saturating_sub(1);
        } else if is_head(&tokens, at) {
            let place: Vec<String> =
                module.iter().cloned().chain(inline.iter().map(|open| open.name.clone())).collect();
            let in_tests = inline.iter().any(|open| open.test);
            let line = tokens[at].line;
            let mut written = Vec::new();
            at = expand(&tokens, at, &mut Vec::new(), &mut written);
            found.extend(written.iter().map(|names| Path { line, names: resolve(&place, names), in_tests }));
            continue;
        }
        at += 1;
    }
    found
}

/// The code before a `#[cfg(test)] mod tests {` that begins a line, or all of it: what counts as the file's length.
pub(crate) fn without_tests(code: &str) -> &str {
    code.find("\n#[cfg(test)]\nmod tests {").map_or(code, |end| &code[..=end])
}

/// The lines of `code` that are neither blank, nor a comment, nor an attribute of one line, with their numbers from 1.
pub(crate) fn statements(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = code.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("//") && !line.starts_with('#'))
}

/// A module written inside its file, `mod name { … }`.
struct Inline {
    name: String,
    /// How many braces are open inside it.
    depth: usize,
    test: bool,
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

fn is_head(tokens: &[Token], at: usize) -> bool {
    matches!(text(tokens, at), "crate" | "super" | "hikyaku_daemon")
        && text(tokens, at + 1) == "::"
        && (at == 0 || text(tokens, at - 1) != "::")
}

/// The name in `mod name {`, when the brace at `at` opens a module.
fn inline_module(tokens: &[Token], at: usize) -> Option<String> {
    (at >= 2 && text(tokens, at - 2) == "mod").then(|| text(tokens, at - 1).to_owned())
}

fn is_under_cfg_test(tokens: &[Token], module: usize) -> bool {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let Some(start) = module.checked_sub(attribute.len()) else { return false };
    attribute.iter().enumerate().all(|(offset, want)| text(tokens, start + offset) == *want)
}

/// Reads the path or tree of paths at `at`, pushes each full path, and returns the place after it.
fn expand(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let outer = prefix.len();
    loop {
        match text(tokens, at) {
            "{" => {
                at = expand_group(tokens, at + 1, prefix, found);
                break;
            }
            "*" => {
                found.push(prefix.clone());
                at += 1;
                break;
            }
            word if is_word(word) => {
                prefix.push(word.to_owned());
                at += 1;
            }
            _ => {
                found.push(prefix.clone()); // `path::<T>`
                break;
            }
        }
        if text(tokens, at) != "::" {
            found.push(prefix.clone());
            break;
        }
        at += 1;
    }
    prefix.truncate(outer);
    at
}

/// Reads `a, b::{c, d}, e as f }` and returns the place after the closing brace.
fn expand_group(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    while at < tokens.len() && text(tokens, at) != "}" {
        if text(tokens, at) == "," {
            at += 1;
            continue;
        }
        let next = expand(tokens, at, prefix, found);
        at = next.max(at + 1);
        while at < tokens.len() && !matches!(text(tokens, at), "," | "}") {
            at += 1; // `as name`
        }
    }
    at + 1
}

fn resolve(place: &[String], names: &[String]) -> Vec<String> {
    let mut full = place.to_vec();
    for name in names {
        match name.as_str() {
            "crate" | "hikyaku_daemon" => full.clear(),
            "super" => drop(full.pop()),
            "self" => {}
            _ => full.push(name.clone()),
        }
    }
    full
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (code, 1);
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest);
        let length = match skipped {
            Some(length) => length,
            None if is_word(rest) => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
            None if rest.starts_with("::") => 2,
            None => first.len_utf8(),
        };
        let (taken, after) = rest.split_at(length);
        if skipped.is_none() && !first.is_whitespace() {
            found.push(Token { line, text: taken.to_owned() });
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    found
}

/// The length in bytes of the comment, string, character or lifetime at the start of `rest`, if there is one.
fn literal_or_comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if let Some(length) = raw_string(rest) {
        return Some(length);
    }
    match rest.strip_prefix('b').unwrap_or(rest).chars().next() {
        Some('"') => Some(quoted(rest, '"')),
        Some('\'') => Some(character_or_lifetime(rest)),
        _ => None,
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let pair = rest.as_bytes().get(at..at + 2);
        match pair {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let text = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - text.len();
    Some(text.find(&close).map_or(rest.len(), |end| start + end + close.len()))
}

fn quoted(rest: &str, quote: char) -> usize {
    let start = rest.find(quote).map_or(rest.len(), |at| at + 1);
    let mut escaped = false;
    for (offset, c) in rest[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return start + offset + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'a'` and `'\n'` are characters; `'a` is a lifetime, of which only the quote is skipped.
fn character_or_lifetime(rest: &str) -> usize {
    let start = rest.find('\'').map_or(rest.len(), |at| at + 1);
    let mut after = rest[start..].chars();
    match (after.next(), after.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(rest, '\''),
        _ => start,
    }
}
