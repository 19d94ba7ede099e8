//! How the formats of bounces are written down: what identifies each, and where its recipients and words stand.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{address::ADDRESS, finding::Action};

/// The formats that are compiled in.
const BUILT_IN: &str = include_str!("formats.toml");
/// Most memory that a compiled pattern may take, in bytes.
const PATTERN_COMPILED_BYTES_MAX: usize = 4 << 20;

/// All formats, in order.
pub(super) static FORMATS: LazyLock<Vec<Format>> =
    LazyLock::new(|| read(BUILT_IN).expect("the built-in formats have no mistake: proven by a test"));

/// Where the words of the server that refused stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Said {
    /// Behind the recipient, up to a blank line or the next recipient.
    #[default]
    Block,
    /// Behind the recipient, up to the next one or the end.
    Rest,
    /// In the whole text.
    Whole,
}

/// One format. What is absent matches everything.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) name: String,
    pub(super) from: Option<Regex>,
    pub(super) subject: Option<Regex>,
    pub(super) body: Option<Regex>,
    pub(super) recipients: Vec<Regex>,
    pub(super) said: Said,
    pub(super) action: Option<Action>,
    /// The marks identify it without any other sign of a bounce.
    pub(super) alone: bool,
    /// Recipients may lack a domain, which is then that of the mail's sender.
    pub(super) completes: bool,
    /// It is no certain server's: addresses of the mail's own sender and receiver do not count.
    pub(super) loose: bool,
}

/// A format as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFormat {
    name: String,
    from: Option<String>,
    subject: Option<String>,
    body: Option<String>,
    recipients: Vec<String>,
    #[serde(default)]
    said: Said,
    #[serde(default)]
    delayed: bool,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    completes: bool,
    #[serde(default)]
    loose: bool,
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFormats {
    format: Vec<RawFormat>,
}

/// Reads a table of formats.
fn read(text: &str) -> Result<Vec<Format>, String> {
    let raw: RawFormats = toml::from_str(text).map_err(|error| error.to_string())?;
    raw.format.into_iter().map(check).collect()
}

fn check(raw: RawFormat) -> Result<Format, String> {
    let wrong = |what: String| format!("{}: {what}", raw.name);
    let compile = |pattern: &String| {
        let pattern = pattern.replace("ADDR", ADDRESS);
        RegexBuilder::new(&pattern)
            .case_insensitive(true)
            .multi_line(true)
            .size_limit(PATTERN_COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| wrong(error.to_string()))
    };
    if raw.source.is_empty() {
        return Err(wrong("names no source".into()));
    }
    if !raw.loose && raw.body.is_none() && raw.subject.is_none() && raw.from.is_none() {
        return Err(wrong("has no mark".into()));
    }
    let recipients: Vec<Regex> = raw.recipients.iter().map(compile).collect::<Result<_, _>>()?;
    let names_one = |pattern: &Regex| pattern.capture_names().flatten().any(|name| name == "to");
    if !recipients.iter().all(names_one) {
        return Err(wrong("a pattern of recipients has no group `to`".into()));
    }
    Ok(Format {
        from: raw.from.as_ref().map(compile).transpose()?,
        subject: raw.subject.as_ref().map(compile).transpose()?,
        body: raw.body.as_ref().map(compile).transpose()?,
        recipients,
        said: raw.said,
        action: raw.delayed.then_some(Action::Delayed),
        alone: raw.alone,
        completes: raw.completes,
        loose: raw.loose,
        name: raw.name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_formats_have_no_mistake() {
        let formats = read(BUILT_IN).map(|formats| formats.len());
        assert!(formats.is_ok(), "{formats:?}");
    }

    #[test]
    fn mistakes_are_refused() {
        let mistake = |text: &str| read(text).expect_err(text);
        assert!(mistake("[[format]]\nname = 'x'\nsource = 's'\nrecipients = []\n").contains("no mark"));
        assert!(mistake("[[format]]\nname = 'x'\nsource = ''\nbody = 'b'\nrecipients = []\n").contains("no source"));
        let no_group = "[[format]]\nname = 'x'\nsource = 's'\nbody = 'b'\nrecipients = ['ADDR']\n";
        assert!(mistake(no_group).contains("no group"));
        assert!(mistake("[[format]]\nname = 'x'\nsource = 's'\nbody = '('\nrecipients = []\n").contains("unclosed"));
    }
}
