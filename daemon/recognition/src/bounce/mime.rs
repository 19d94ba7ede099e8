//! How parts are found in a body and turned into texts, whatever is wrong with them.

use std::{borrow::Cow, sync::LazyLock};

use encoding_rs::{EUC_JP, ISO_2022_JP, SHIFT_JIS, WINDOWS_1252};
use mail_parser::{
    MessageParser,
    decoders::{
        base64::base64_decode, charsets::map::charset_decoder, html::html_to_text,
        quoted_printable::quoted_printable_decode,
    },
};

use regex::{Captures, Regex};

use super::mail::{Headers, Part, PartKind};

/// How deep parts may lie in parts; what lies deeper is read as text.
const DEPTH_MAX: usize = 8;
/// Most parts of a mail.
const PARTS_MAX: usize = 64;
/// Most bytes that are read of a part.
const PART_BYTES_MAX: usize = 128 * 1_024;
/// Most bytes that are read of a part in HTML, where little of it is text.
const HTML_BYTES_MAX: usize = 512 * 1_024;
/// Longest header value whose encoded words are decoded, in bytes.
const WORDS_BYTES_MAX: usize = 4_096;

/// Reads the parts of a body into `parts`.
pub(super) fn read_parts(headers: &Headers, body: &[u8], depth: usize, parts: &mut Vec<Part>) {
    if parts.len() >= PARTS_MAX {
        return;
    }
    let content_type = headers.get("content-type").unwrap_or_default();
    let media_type = content_type.split([';', ' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    if media_type.starts_with("multipart/") && depth < DEPTH_MAX {
        let before = parts.len();
        let boundary = parameter(content_type, "boundary").unwrap_or_default();
        for segment in segments(body, boundary.as_bytes()) {
            let (headers, body) = Headers::read(segment);
            read_parts(&headers, body, depth + 1, parts);
        }
        if parts.len() > before {
            return;
        }
    }
    parts.push(read_part(headers, &media_type, content_type, body));
}

fn read_part(headers: &Headers, media_type: &str, content_type: &str, body: &[u8]) -> Part {
    let kind = match media_type {
        "text/html" => PartKind::Html,
        "text/rfc822-headers"
        | "text/rfc822-header"
        | "message/rfc822"
        | "message/global"
        | "message/global-headers"
        | "message/rfc822-headers"
        | "message/partial" => PartKind::Returned,
        "message/delivery-status" | "message/global-delivery-status" => PartKind::DeliveryStatus,
        "message/feedback-report" => PartKind::FeedbackReport,
        "message/disposition-notification" | "message/global-disposition-notification" => PartKind::Disposition,
        "" => PartKind::Text,
        other if other.starts_with("text/") || other.starts_with("multipart/") || !other.contains('/') => {
            PartKind::Text
        }
        _ => PartKind::Other,
    };
    if kind == PartKind::Other {
        return Part { kind, text: String::new() };
    }
    let bytes_max = if kind == PartKind::Html { HTML_BYTES_MAX } else { PART_BYTES_MAX };
    let body = &body[..body.len().min(bytes_max)];
    let bytes = decode_transfer(&headers.lower("content-transfer-encoding"), body);
    let text = decode_charset(&bytes, &parameter(content_type, "charset").unwrap_or_default());
    let text = with_lf(if kind == PartKind::Html { html_to_text(&with_line_ends(text)) } else { text });
    let is_attached = headers.lower("content-disposition").starts_with("attachment");
    let is_header = kind == PartKind::Text && is_attached && is_header(&text);
    Part { kind: if is_header { PartKind::Returned } else { kind }, text }
}

/// HTML whose cells of tables end their lines, since what stands beside an address is not of it, and whose preformatted
/// texts keep theirs.
fn with_line_ends(html: String) -> String {
    static END: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)</t[dh]>|</?pre\b|\n").expect("tested below"));
    let mut is_preformatted = false;
    let with_breaks = |found: &Captures<'_>| match &found[0] {
        "\n" if is_preformatted => "<br>".to_owned(),
        "\n" => "\n".to_owned(),
        tag if tag.to_ascii_lowercase().ends_with("pre") => {
            is_preformatted = !tag.starts_with("</");
            tag.to_owned()
        }
        cell => format!("<br>{cell}"),
    };
    match END.replace_all(&html, with_breaks) {
        Cow::Borrowed(_) => html,
        Cow::Owned(html) => html,
    }
}

/// Whether an attached text is the header of a mail, as some systems return it.
fn is_header(text: &str) -> bool {
    let (headers, _) = Headers::read(text.trim_start().as_bytes());
    headers.has("received") || (headers.has("message-id") && headers.has("from"))
}

/// A parameter of a Content-Type (RFC 2045 5.1), without its quotes.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').unwrap_or(quoted.len());
                (&quoted[..end], quoted[end..].split_once(';').map(|(_, next)| next))
            }
            None => match after.split_once(';') {
                Some((text, next)) => (text.trim(), Some(next)),
                None => (after.trim(), None),
            },
        };
        if key.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(name) {
            return Some(text.to_owned());
        }
        rest = next?;
    }
}

/// What stands between the boundary lines of a body. The last part may lack its end.
fn segments<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let mut segments = Vec::new();
    if boundary.is_empty() {
        return segments;
    }
    let mut start = None;
    let mut at = 0;
    while at < body.len() && segments.len() < PARTS_MAX {
        let end = body[at..].iter().position(|b| *b == b'\n').map_or(body.len(), |found| at + found + 1);
        let line = body[at..end].trim_ascii_end();
        let mark = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        if mark.is_some_and(|tail| tail.is_empty() || tail == b"--") {
            if let Some(start) = start {
                segments.push(&body[start..at]);
            }
            start = mark.is_some_and(<[u8]>::is_empty).then_some(end);
        }
        at = end;
    }
    if let Some(start) = start.filter(|start| *start < body.len() && segments.len() < PARTS_MAX) {
        segments.push(&body[start..]);
    }
    segments
}

fn decode_transfer(encoding: &str, body: &[u8]) -> Vec<u8> {
    let decoded = match encoding.split([';', ' ']).next().unwrap_or_default() {
        "base64" => base64_decode(body).or_else(|| {
            // What follows the encoded lines is not of the part; some gateways append a notice.
            let end = body.windows(2).position(|pair| pair == b"\n\n").unwrap_or(body.len());
            base64_decode(&body[..end])
        }),
        "quoted-printable" => quoted_printable_decode(body),
        _ => None,
    };
    decoded.filter(|bytes| !bytes.is_empty()).unwrap_or_else(|| body.to_vec())
}

/// The text of a part. What the charset says is not trusted when the bytes say otherwise: mail of Japanese servers often
/// names ISO-2022-JP over bytes of EUC-JP or UTF-8, and passes it on without any name.
fn decode_charset(bytes: &[u8], charset: &str) -> String {
    let charset = charset.to_ascii_lowercase();
    if bytes.is_ascii() {
        // RFC 1468: the escape that begins each stretch of Japanese.
        let is_japanese = bytes.windows(2).any(|pair| pair == b"\x1b$");
        return if is_japanese {
            ISO_2022_JP.decode(bytes).0.into_owned()
        } else {
            String::from_utf8_lossy(bytes).into()
        };
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    if matches!(charset.as_str(), "" | "us-ascii" | "iso-2022-jp" | "unknown-8bit" | "utf-8") {
        for encoding in [EUC_JP, SHIFT_JIS] {
            if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) {
                return text.into_owned();
            }
        }
    }
    match charset_decoder(charset.as_bytes()) {
        Some(decode) => decode(bytes),
        None => WINDOWS_1252.decode(bytes).0.into_owned(),
    }
}

/// A header value with its encoded words (RFC 2047) decoded.
pub(super) fn decode_words(value: &str) -> String {
    if !value.contains("=?") || value.len() > WORDS_BYTES_MAX {
        return value.to_owned();
    }
    let field = format!("Subject: {value}\n\n");
    let decoded = MessageParser::default().parse(field.as_bytes());
    let decoded = decoded.and_then(|message| message.subject().map(str::to_owned));
    decoded.unwrap_or_else(|| value.to_owned())
}

fn with_lf(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}
