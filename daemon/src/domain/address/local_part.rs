//! What may stand before the `@`, and in which form (RFC 5321 4.1.2, RFC 6531 3.3).

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

use super::{BadAddress, LOCAL_PART_BYTES_MAX};

/// Where dots may stand in a local part that is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dots {
    /// Between atoms, one by one.
    Between,
    /// Anywhere beside ASCII letters: the local part is quoted then.
    Anywhere,
}

/// The local part in its one form.
pub(super) fn read(written: &str, dots: Dots) -> Result<Cow<'_, str>, BadAddress> {
    let written = if written.is_ascii() { Cow::Borrowed(written) } else { composed(written)? };
    let read = match quoted_content(&written)? {
        Some(content) if is_dot_string(&content) => Cow::Owned(content),
        Some(content) => Cow::Owned(quoted(&content)),
        None if is_dot_string(&written) => written,
        None if !is_of_atoms_and_dots(&written) => return Err(BadAddress::LocalPart),
        None if dots == Dots::Between => return Err(BadAddress::Dots),
        None => Cow::Owned(quoted(&written)),
    };
    if read.len() > LOCAL_PART_BYTES_MAX { Err(BadAddress::LocalPart) } else { Ok(read) }
}

/// In NFC, if all characters beyond ASCII may stand there.
fn composed(written: &str) -> Result<Cow<'_, str>, BadAddress> {
    // Only what is left counts: an ASCII character may be among it that was none before, such as K of the kelvin sign.
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(written);
    let mut before = None;
    for c in composed.chars() {
        if !c.is_ascii() && (is_unseen(c) || is_mark(c) && !can_bear_marks(before)) {
            return Err(BadAddress::Character);
        }
        before = Some(c);
    }
    Ok(composed)
}

/// Whether a character beyond ASCII has no look of its own that all readers agree on: controls of direction, characters of
/// no width, spaces, and what Unicode has not assigned.
fn is_unseen(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || matches!(
            category(c),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::Surrogate
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned
                | GeneralCategory::SpaceSeparator
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

fn is_mark(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark, SpacingMark};
    matches!(category(c), NonspacingMark | SpacingMark | EnclosingMark)
}

/// A mark behind a dot, a quote or a bracket would become one with it for whoever composes the line around it.
fn can_bear_marks(before: Option<char>) -> bool {
    before.is_some_and(|before| !before.is_ascii() || before.is_ascii_alphanumeric())
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// Dot-string = Atom *("." Atom).
fn is_dot_string(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// What carriers issued: ASCII atoms, and dots anywhere.
fn is_of_atoms_and_dots(local: &str) -> bool {
    local.is_ascii() && local.contains(is_atext) && local.chars().all(|c| c == '.' || is_atext(c))
}

/// RFC 5322 atext, widened by RFC 6531 to characters beyond ASCII, which were checked before.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

/// What stands in a Quoted-string = DQUOTE *(qtext / quoted-pair) DQUOTE, without its backslashes; nothing when the local
/// part does not begin with a quote.
fn quoted_content(local: &str) -> Result<Option<String>, BadAddress> {
    let Some(inner) = local.strip_prefix('"') else { return Ok(None) };
    let inner = inner.strip_suffix('"').ok_or(BadAddress::LocalPart)?;
    let mut content = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let meant = match c {
            '"' => None,
            '\\' => chars.next().filter(|next| matches!(next, ' '..='~')),
            c => Some(c).filter(|c| !c.is_ascii() || matches!(c, ' '..='~')),
        };
        content.push(meant.ok_or(BadAddress::LocalPart)?);
    }
    Ok(Some(content))
}

fn quoted(content: &str) -> String {
    let mut out = String::with_capacity(content.len() + 2);
    out.push('"');
    for c in content.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
