//! How a draft becomes the bytes of a message.

use bytes::Bytes;
use lettre::message::{
    Attachment as AttachedPart, Body, MultiPart, MultiPartKind, SinglePart,
    header::{ContentTransferEncoding, ContentType},
};

use super::{
    check::{check_draft, is_message_type},
    encode::{custom_field, mailboxes_field, text_field},
    identity::{ComposeError, Identity},
    plain_text,
};
use crate::domain::mail::{Attachment, Draft, Message};

/// Longest line of a message, in bytes without its CRLF (RFC 5322 2.1.1).
pub const LINE_BYTES_MAX: usize = 998;

/// Composes a draft into an RFC 5322 message with the MIME structure that people expect: text and HTML as
/// alternatives, inline files related to the HTML, attachments mixed with the whole.
///
/// The same draft and identity give the same bytes. Bodies are 7-bit, quoted-printable or base64, so the message has
/// bytes beyond ASCII only where an address in its header has. Leading dots stay: stuffing them is the wire's work.
///
/// # Errors
/// The first field that cannot be written as it is: control characters, header names that are protected or
/// malformed, media types that are none, words that fit on no line.
pub fn compose(draft: &Draft, identity: &Identity) -> Result<Message, ComposeError> {
    check_draft(draft, identity)?;
    let mut bytes = header(draft, identity).into_bytes();
    bytes.extend_from_slice(&body(draft, identity)?);
    let too_long = bytes.split(|b| *b == b'\n').any(|line| line.len() > LINE_BYTES_MAX + 1);
    if too_long {
        return Err(ComposeError::new("job.headers", format!("a line would exceed {LINE_BYTES_MAX} bytes")));
    }
    let is_eight_bit = !bytes.is_ascii();
    Ok(Message { bytes: Bytes::from(bytes), is_eight_bit })
}

/// The header but for the fields that begin with Content, which belong to the body.
fn header(draft: &Draft, identity: &Identity) -> String {
    let mut header = format!("Date: {}\r\n", identity.date_text());
    header.push_str(&mailboxes_field("From", std::slice::from_ref(&draft.from)));
    for (name, mailboxes) in [("Reply-To", &draft.reply_to), ("To", &draft.to), ("Cc", &draft.cc)] {
        if !mailboxes.is_empty() {
            header.push_str(&mailboxes_field(name, mailboxes));
        }
    }
    header.push_str(&text_field("Subject", &draft.subject));
    header.push_str(&format!("Message-ID: {}\r\n", identity.message_id));
    for (name, value) in &draft.headers {
        header.push_str(&custom_field(name, value));
    }
    header.push_str(&format!("X-Hikyaku-Job: {}\r\nMIME-Version: 1.0\r\n", identity.job));
    header
}

/// The body with its Content fields and the blank line between them.
fn body(draft: &Draft, identity: &Identity) -> Result<Vec<u8>, ComposeError> {
    let (inline, attached): (Vec<_>, Vec<_>) =
        draft.attachments.iter().enumerate().partition(|(_, file)| file.content_id.is_some() && draft.html.is_some());
    let boundary = |kind: &str| format!("=_hikyaku-{}-{kind}", identity.job);
    let readable = readable(draft, &inline, &boundary)?;
    if attached.is_empty() {
        return Ok(readable.formatted());
    }
    let mixed = MultiPart::builder().kind(MultiPartKind::Mixed).boundary(boundary("mixed"));
    let mut mixed = match readable {
        Part::Single(part) => mixed.singlepart(part),
        Part::Multi(part) => mixed.multipart(part),
    };
    for (index, file) in attached {
        let disposition = AttachedPart::new(file.file_name.clone());
        mixed = mixed.singlepart(file_part(index, file, disposition)?);
    }
    Ok(mixed.formatted())
}

enum Part {
    Single(SinglePart),
    Multi(MultiPart),
}

impl Part {
    fn formatted(&self) -> Vec<u8> {
        match self {
            Self::Single(part) => part.formatted(),
            Self::Multi(part) => part.formatted(),
        }
    }
}

/// What is read: the text, or the text and the HTML with its inline files.
fn readable(
    draft: &Draft,
    inline: &[(usize, &Attachment)],
    boundary: &impl Fn(&str) -> String,
) -> Result<Part, ComposeError> {
    let Some(html) = &draft.html else {
        return Ok(Part::Single(SinglePart::plain(crlf(draft.text.as_deref().unwrap_or_default()))));
    };
    let text = draft.text.clone().unwrap_or_else(|| plain_text::from_html(html));
    let alternative = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(boundary("alternative"))
        .singlepart(SinglePart::plain(crlf(&text)));
    let html = SinglePart::html(crlf(html));
    if inline.is_empty() {
        return Ok(Part::Multi(alternative.singlepart(html)));
    }
    let mut related = MultiPart::builder().kind(MultiPartKind::Related).boundary(boundary("related")).singlepart(html);
    for (index, file) in inline {
        let id = file.content_id.as_deref().unwrap_or_default();
        let id = id.trim_start_matches('<').trim_end_matches('>').to_owned();
        let disposition = if file.file_name.is_empty() {
            AttachedPart::new_inline(id)
        } else {
            AttachedPart::new_inline_with_name(id, file.file_name.clone())
        };
        related = related.singlepart(file_part(*index, file, disposition)?);
    }
    Ok(Part::Multi(alternative.multipart(related)))
}

fn file_part(index: usize, file: &Attachment, disposition: AttachedPart) -> Result<SinglePart, ComposeError> {
    let wrong = |reason: &str| ComposeError::new(format!("job.attachments[{index}].media_type"), reason);
    let content_type = ContentType::parse(&file.media_type).map_err(|_| wrong("is no media type"))?;
    let body = if is_message_type(&file.media_type) {
        // RFC 2046 5.2.1: a message inside a message may not be encoded.
        let text = String::from_utf8(file.content.to_vec()).ok().filter(|text| !text.contains('\0'));
        let text = text.map(|text| crlf(&text));
        text.and_then(|text| Body::new_with_encoding(text, ContentTransferEncoding::SevenBit).ok())
            .ok_or_else(|| wrong("a message that is not ASCII with short lines must go as application/octet-stream"))?
    } else {
        Body::new_with_encoding(file.content.to_vec(), ContentTransferEncoding::Base64)
            .expect("base64 can encode all bytes")
    };
    Ok(disposition.body(body, content_type))
}

/// Text with CRLF for every kind of line end, and without one at its end: the part brings its own.
fn crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 40);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push_str("\r\n");
            }
            '\n' => out.push_str("\r\n"),
            c => out.push(c),
        }
    }
    if out.ends_with("\r\n") {
        out.truncate(out.len() - 2);
    }
    out
}

#[cfg(test)]
mod tests;
