//! How deep a template may go: its blocks within each other, and what stands between two braces.
//!
//! minijinja parses, compiles, runs and drops a template by recursion, and does not bound all of it: a chain of filters is
//! as deep as it is long. A stack that overflows ends the process.

use minijinja::machinery::{self, Token};

use super::{
    Mistake,
    language::{NESTING_MAX, TAG_CONSTANTS_MAX, TAG_WORDS_MAX, TEXT_BYTES_MAX},
    whitespace,
};

/// Refuses what minijinja would read with too deep a recursion, before it does.
pub(super) fn check_depth(text: &str) -> Result<(), Mistake> {
    let (mut words, mut constants, mut text_bytes, mut is_first) = (0, 0, 0, false);
    let mut nesting: Vec<usize> = Vec::new();
    for token in machinery::tokenize(text, false, whitespace()) {
        let (token, span) = token.map_err(|error| Mistake::of(text, &error))?;
        let wrong = |reason: String| Err(Mistake::at(text, span.start_offset as usize, reason));
        text_bytes += match &token {
            Token::Str(text) => text.len(),
            Token::String(text) => text.len(),
            _ => 0,
        };
        match token {
            Token::TemplateData(_) | Token::VariableEnd | Token::BlockEnd => {}
            Token::VariableStart | Token::BlockStart => (words, constants, text_bytes) = (0, 0, 0),
            Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => constants += 1,
            Token::Comma => {}
            Token::Ident("if" | "for" | "with") if is_first => nesting.push(1),
            Token::Ident("elif") if is_first => nesting.last_mut().into_iter().for_each(|depth| *depth += 1),
            Token::Ident("endif" | "endfor" | "endwith") if is_first => drop(nesting.pop()),
            _ => words += 1,
        }
        is_first = matches!(token, Token::BlockStart);
        if words > TAG_WORDS_MAX {
            return wrong(format!("more than {TAG_WORDS_MAX} names and operators stand between two braces"));
        }
        if constants > TAG_CONSTANTS_MAX {
            return wrong(format!("more than {TAG_CONSTANTS_MAX} values stand between two braces"));
        }
        if text_bytes > TEXT_BYTES_MAX {
            return wrong(format!("more than {TEXT_BYTES_MAX} bytes stand in quotes between two braces"));
        }
        if nesting.iter().sum::<usize>() > NESTING_MAX {
            return wrong(format!("more than {NESTING_MAX} blocks stand within each other"));
        }
    }
    Ok(())
}
