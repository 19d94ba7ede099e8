//! How pairs are written: `Name: value` for a header, `FILE=CID` for an inline file, `PHASE=LENGTH` for a timeout.

use std::{path::PathBuf, time::Duration};

use super::duration_text::parse_duration;

/// Reads a header field.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("\"{text}\" is not a header; write 'Name: value'")),
    }
}

/// Reads an inline file; the content id stands after the last `=`.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_inline(text: &str) -> Result<(PathBuf, String), String> {
    match text.rsplit_once('=') {
        Some((path, id)) if !path.is_empty() && !id.is_empty() => Ok((PathBuf::from(path), id.to_owned())),
        _ => Err(format!("\"{text}\" is not an inline file; write FILE=CID, such as logo.png=logo")),
    }
}

/// A phase of an SMTP session that has a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// To find the address, connect and shake hands.
    Connect,
    /// To greet.
    Greeting,
    /// To answer a command.
    Command,
    /// To answer DATA.
    Data,
    /// To answer the final dot.
    EndOfData,
}

/// Reads a timeout.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_timeout(text: &str) -> Result<(Phase, Duration), String> {
    let wrong = || {
        format!("\"{text}\" is not a timeout; write PHASE=LENGTH with connect, greeting, command, data or end-of-data")
    };
    let (phase, length) = text.split_once('=').ok_or_else(wrong)?;
    let phase = match phase {
        "connect" => Phase::Connect,
        "greeting" => Phase::Greeting,
        "command" => Phase::Command,
        "data" => Phase::Data,
        "end-of-data" => Phase::EndOfData,
        _ => return Err(wrong()),
    };
    Ok((phase, parse_duration(length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_a_name_and_a_value() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(parse_header("X-Order: 7: b").ok(), pair("X-Order", "7: b"));
        assert_eq!(parse_header("X-Empty:").ok(), pair("X-Empty", ""));
        assert_eq!(parse_header("X-Order").ok(), None);
        assert_eq!(parse_header(": 7").ok(), None);
    }

    #[test]
    fn inline_files_end_in_their_content_id() {
        assert_eq!(parse_inline("a=b.png=logo").ok(), Some((PathBuf::from("a=b.png"), "logo".to_owned())));
        for text in ["logo.png", "=logo", "logo.png="] {
            assert_eq!(parse_inline(text).ok(), None, "{text}");
        }
    }

    #[test]
    fn timeouts_name_their_phase() {
        assert_eq!(parse_timeout("end-of-data=2m").ok(), Some((Phase::EndOfData, Duration::from_secs(120))));
        for text in ["connect", "connect=5", "rcpt=5s"] {
            assert_eq!(parse_timeout(text).ok(), None, "{text}");
        }
    }
}
