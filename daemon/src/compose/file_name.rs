//! How files are named in the header of their part: for readers that know RFC 2231, and for those that came before it.
//!
//! Content-Disposition has the name as the standard says, `filename*=`. Older clients, Japanese ones above all, look for an
//! encoded word in the `name` of Content-Type, so it stands there too; RFC 2047 5 forbids that, and everybody writes and
//! reads it. `filename` has no encoded word: a reader that knows the one form has no use for it, others take `name`.

use lettre::message::header::{Header, HeaderName, HeaderValue};

use super::charset::{Script, words};

/// Longest name that is written as a quoted string, in bytes.
const QUOTED_BYTES_MAX: usize = 60;
/// Bytes of one section of a name that is written in several, percent-encoded: with ` filename*99*=ISO-2022-JP''` before it
/// and a semicolon after, it fits into 76 columns.
const SECTION_BYTES_MAX: usize = 48;
/// Columns that ` name=""` and a semicolon take.
const NAME_COLUMNS: usize = 9;
/// The escapes of ISO-2022-JP, percent-encoded: `%1B%28B`.
const ESCAPE_BYTES: usize = 7;

/// The Content-Type of a file.
#[derive(Clone, Debug)]
pub(super) struct FileType(String);

impl FileType {
    /// `media_type` was checked: it is one, and its parameters have no name.
    pub(super) fn new(media_type: &str, file_name: &str, script: Script) -> Self {
        let media_type = media_type.trim().trim_end_matches(';');
        if file_name.is_empty() {
            return Self(media_type.to_owned());
        }
        let written = script.writable(file_name);
        let name = if is_plain(&written) {
            quoted(&written)
        } else {
            format!("\"{}\"", script.encoded_words(&written, NAME_COLUMNS))
        };
        Self(format!("{media_type};\r\n name={name}"))
    }
}

impl Header for FileType {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Type")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::dangerous_new_pre_encoded(Self::name(), self.0.clone(), self.0.clone())
    }
}

/// The Content-Disposition of a file (RFC 2183).
#[derive(Clone, Debug)]
pub(super) struct FileDisposition(String);

impl FileDisposition {
    /// `kind` is `attachment` or `inline`.
    pub(super) fn new(kind: &str, file_name: &str, script: Script) -> Self {
        let written = script.writable(file_name);
        let parameters = match &*written {
            "" => Vec::new(),
            name if is_plain(name) => vec![format!("filename={}", quoted(name))],
            name => sections(name, script),
        };
        let lines = parameters.iter().map(|parameter| format!(";\r\n {parameter}"));
        Self(std::iter::once(kind.to_owned()).chain(lines).collect())
    }
}

#[cfg(test)]
impl FileDisposition {
    /// As it stands in the header, folded.
    pub(super) fn written(&self) -> &str {
        &self.0
    }
}

impl Header for FileDisposition {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Disposition")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::dangerous_new_pre_encoded(Self::name(), self.0.clone(), self.0.clone())
    }
}

/// Whether a media type has a parameter that says how the file is called.
pub(super) fn has_name(media_type: &str) -> bool {
    let mut is_quoted = false;
    let parameters = media_type.split(|c: char| {
        is_quoted ^= c == '"';
        c == ';' && !is_quoted
    });
    let names = parameters.skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut names = names.map(|(name, _)| name.trim().split('*').next().unwrap_or_default());
    names.any(|name| name.eq_ignore_ascii_case("name"))
}

/// Some readers take what looks like an encoded word for one.
fn is_plain(name: &str) -> bool {
    name.len() <= QUOTED_BYTES_MAX && name.bytes().all(|b| matches!(b, b' '..=b'~')) && !name.contains("=?")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The parameters of RFC 2231 3 and 4. No section splits a character, and in ISO-2022-JP each begins and ends in ASCII:
/// some readers decode them one by one, others all together.
fn sections(name: &str, script: Script) -> Vec<String> {
    let charset = script.name();
    let encoded = |text: &str| percent_encoded(&script.bytes(text));
    let pieces = match script {
        Script::Utf8 => {
            words(name, |_| SECTION_BYTES_MAX, |c| percent_encoded(c.encode_utf8(&mut [0; 4]).as_bytes()).len(), 0)
        }
        Script::Iso2022Jp => {
            // Each byte of a kanji may need three.
            let width = |c: char| if c.is_ascii() { 3 } else { 6 };
            words(name, |_| SECTION_BYTES_MAX, width, ESCAPE_BYTES)
        }
    };
    if let [piece] = &*pieces {
        return vec![format!("filename*={charset}''{}", encoded(piece))];
    }
    let section = |(index, piece): (usize, &String)| match index {
        0 => format!("filename*0*={charset}''{}", encoded(piece)),
        index => format!("filename*{index}*={}", encoded(piece)),
    };
    pieces.iter().enumerate().map(section).collect()
}

/// Everything but attribute-char of RFC 2231 7.
fn percent_encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, script: Script, written: [&str; 2]) {
        let found = [FileType::new("a/b", name, script).0, FileDisposition::new("inline", name, script).0];
        let found = [found[0].strip_prefix("a/b"), found[1].strip_prefix("inline")];
        assert_eq!(found, written.map(Some), "{name:?}");
    }

    #[test]
    fn plain_names_are_quoted_in_both_places() {
        check("", Script::Utf8, ["", ""]);
        check("a b.pdf", Script::Utf8, [";\r\n name=\"a b.pdf\"", ";\r\n filename=\"a b.pdf\""]);
        check("a\"\\;.pdf", Script::Iso2022Jp, [";\r\n name=\"a\\\"\\\\;.pdf\"", ";\r\n filename=\"a\\\"\\\\;.pdf\""]);
    }

    #[test]
    fn other_names_are_written_both_ways() {
        check(
            "図 1.png",
            Script::Utf8,
            [";\r\n name=\"=?utf-8?b?5ZuzIDEucG5n?=\"", ";\r\n filename*=utf-8''%E5%9B%B3%201.png"],
        );
        check(
            "図.png",
            Script::Iso2022Jp,
            [";\r\n name=\"=?ISO-2022-JP?B?GyRCP14bKEIucG5n?=\"", ";\r\n filename*=ISO-2022-JP''%1B$B%3F^%1B%28B.png"],
        );
        check("=?", Script::Utf8, [";\r\n name=\"=?utf-8?b?PT8=?=\"", ";\r\n filename*=utf-8''%3D%3F"]);
    }

    #[test]
    fn long_names_are_cut_between_characters_and_their_lines_are_short() {
        for (script, name) in [
            (Script::Utf8, "飛".repeat(85)),
            (Script::Iso2022Jp, "飛".repeat(85)),
            (Script::Iso2022Jp, "飛a".repeat(60)),
            (Script::Utf8, "x".repeat(255)),
            (Script::Utf8, "'% ".repeat(80)),
        ] {
            let found = [FileType::new("a/b", &name, script).0, FileDisposition::new("inline", &name, script).0];
            assert!(found.iter().flat_map(|found| found.lines()).all(|line| line.len() <= 76), "{found:?}");
            assert!(found[1].contains(" filename*0*=") && found[1].contains(" filename*1*="), "{found:?}");
        }
    }

    #[test]
    fn a_name_in_a_media_type_is_seen() {
        for named in ["a/b; name=x", "a/b;NAME=x", "a/b; charset=y; name*0*=x"] {
            assert!(has_name(named), "{named}");
        }
        for unnamed in ["a/b", "a/b; charset=name", "a/b; x=\"; name=y\"", "name=x"] {
            assert!(!has_name(unnamed), "{unnamed}");
        }
    }
}
