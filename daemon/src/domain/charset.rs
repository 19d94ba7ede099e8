//! Charsets of messages.

/// Charsets of composed messages, as accounts choose them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8 (RFC 3629).
    #[default]
    Utf8,
    /// ISO-2022-JP (RFC 1468); a message with characters outside it is sent in UTF-8.
    Iso2022Jp,
    /// ISO-2022-JP; characters outside it are replaced.
    Iso2022JpReplace,
    /// ISO-2022-JP; a message with characters outside it is refused.
    Iso2022JpReject,
}
