//! How a draft becomes the bytes of a message.

use bytes::Bytes;
use lettre::message::{
    Body, MultiPart, MultiPartKind, SinglePart,
    header::{ContentId, ContentTransferEncoding, ContentType},
};

use super::{
    charset::{Script, script_for, texts_of},
    check::{check_draft, is_message_type},
    encode::{custom_field, mailboxes_field, text_field},
    file_name::{FileDisposition, FileType},
    identity::{ComposeError, Identity},
    list_unsubscribe::list_unsubscribe_fields,
    plain_text,
    thread::{auto_submitted_field, thread_fields},
};
use crate::domain::{
    ids::JobId,
    mail::{Attachment, Draft, Mailbox, Message},
};

/// Longest line of a message, in bytes without its CRLF (RFC 5322 2.1.1).
pub const LINE_BYTES_MAX: usize = 998;

/// Composes a draft into an RFC 5322 message with the MIME structure that people expect: text and HTML as
/// alternatives, inline files related to the HTML, attachments mixed with the whole.
///
/// The same draft and identity give the same bytes. Bodies are 7-bit, quoted-printable or base64 and never 8-bit, which any
/// relay may have to encode again, and a signature would not survive that; so the message has bytes beyond ASCII only
/// where an address in its header has. Text goes as it is when it is ASCII with lines of at most 73 columns, or
/// ISO-2022-JP with lines of at most 998 bytes, else in the shorter of the two encodings. Leading dots stay: stuffing
/// them is the wire's work.
///
/// # Errors
/// The first field that cannot be written as it is: control characters, header names that are protected or
/// malformed, media types that are none, words that fit on no line.
pub fn compose(draft: &Draft, identity: &Identity) -> Result<Message, ComposeError> {
    check_draft(draft, identity)?;
    let script = script_for(draft.charset, texts_of(draft))?;
    let subject = text_field("Subject", &draft.subject, script);
    let receivers = receiver_fields(&draft.to, &draft.cc, script);
    let (senders, mut custom) = (sender_fields(draft, script), custom_fields(draft, script));
    if let Some(list) = &draft.list_unsubscribe {
        custom.push_str(&list_unsubscribe_fields(list)?);
    }
    let mut bytes = header(&senders, &receivers, &subject, &custom, identity).into_bytes();
    bytes.extend_from_slice(&body_of(draft, identity.job, script)?);
    check_lines(&bytes)?;
    let is_eight_bit = !bytes.is_ascii();
    Ok(Message { bytes: Bytes::from(bytes), is_eight_bit })
}

/// Refuses bytes with a line that is too long to be sent.
pub(super) fn check_lines(bytes: &[u8]) -> Result<(), ComposeError> {
    let too_long = bytes.split(|b| *b == b'\n').any(|line| line.len() > LINE_BYTES_MAX + 1);
    if too_long {
        return Err(ComposeError::new("job.headers", format!("a line would exceed {LINE_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// The header but for the fields that begin with Content, which belong to the body.
pub(super) fn header(senders: &str, receivers: &str, subject: &str, custom: &str, identity: &Identity) -> String {
    let Identity { message_id, .. } = identity;
    let (date, mark) = (identity.date_text(), identity.mark());
    format!(
        "Date: {date}\r\n{senders}{receivers}{subject}Message-ID: {message_id}\r\n{custom}X-Hikyaku-Job: {mark}\r\n\
         MIME-Version: 1.0\r\n"
    )
}

/// From and Reply-To.
pub(super) fn sender_fields(draft: &Draft, script: Script) -> String {
    let mut fields = mailboxes_field("From", std::slice::from_ref(&draft.from), script);
    if !draft.reply_to.is_empty() {
        fields.push_str(&mailboxes_field("Reply-To", &draft.reply_to, script));
    }
    fields
}

/// To and Cc, those that are not empty.
pub(super) fn receiver_fields(to: &[Mailbox], cc: &[Mailbox], script: Script) -> String {
    let fields = [("To", to), ("Cc", cc)].into_iter().filter(|(_, mailboxes)| !mailboxes.is_empty());
    fields.map(|(name, mailboxes)| mailboxes_field(name, mailboxes, script)).collect()
}

/// What the message answers, whether a program sent it, and the headers that the client wrote.
pub(super) fn custom_fields(draft: &Draft, script: Script) -> String {
    let own = [thread_fields(draft), auto_submitted_field(draft).to_owned()];
    own.into_iter().chain(draft.headers.iter().map(|(name, value)| custom_field(name, value, script))).collect()
}

fn body_of(draft: &Draft, job: JobId, script: Script) -> Result<Vec<u8>, ComposeError> {
    let Some(html) = &draft.html else {
        let text = text_part(draft.text.as_deref().unwrap_or_default(), script);
        return body(text, None, &Files { files: &draft.attachments, script }, job);
    };
    let text = match &draft.text {
        Some(text) => text_part(text, script),
        None => text_part(&plain_text::from_html(html), script),
    };
    body(text, Some(html_part(html, script)), &Files { files: &draft.attachments, script }, job)
}

/// The plain text.
pub(super) fn text_part(text: &str, script: Script) -> SinglePart {
    script.part("plain", crlf(text))
}

/// The HTML.
pub(super) fn html_part(html: &str, script: Script) -> SinglePart {
    script.part("html", crlf(html))
}

/// Files, and the charset in which their names are written.
pub(super) struct Files<'a> {
    pub(super) files: &'a [Attachment],
    pub(super) script: Script,
}

/// The body with its Content fields and the blank line between them: the parts that are read, and the files.
pub(super) fn body(
    text: SinglePart,
    html: Option<SinglePart>,
    files: &Files<'_>,
    job: JobId,
) -> Result<Vec<u8>, ComposeError> {
    let script = files.script;
    let (inline, attached): (Vec<_>, Vec<_>) =
        files.files.iter().enumerate().partition(|(_, file)| file.content_id.is_some() && html.is_some());
    let boundary = |kind: &str| format!("=_hikyaku-{job}-{kind}");
    let inline = inline.into_iter().map(|(index, file)| file_part(index, file, "inline", script));
    let readable = readable(text, html, inline.collect::<Result<_, _>>()?, &boundary);
    if attached.is_empty() {
        return Ok(readable.formatted());
    }
    let mixed = MultiPart::builder().kind(MultiPartKind::Mixed).boundary(boundary("mixed"));
    let mut mixed = match readable {
        Part::Single(part) => mixed.singlepart(part),
        Part::Multi(part) => mixed.multipart(part),
    };
    for (index, file) in attached {
        mixed = mixed.singlepart(file_part(index, file, "attachment", script)?);
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
    text: SinglePart,
    html: Option<SinglePart>,
    inline: Vec<SinglePart>,
    boundary: &impl Fn(&str) -> String,
) -> Part {
    let Some(html) = html else { return Part::Single(text) };
    let alternative =
        MultiPart::builder().kind(MultiPartKind::Alternative).boundary(boundary("alternative")).singlepart(text);
    if inline.is_empty() {
        return Part::Multi(alternative.singlepart(html));
    }
    // RFC 2387 3.1: the type of what is shown first has to be said, which lettre does not.
    let kind = format!("multipart/related; boundary=\"{}\"; type=\"text/html\"", boundary("related"));
    let kind = ContentType::parse(&kind).expect("the type is written here");
    let related = MultiPart::builder().header(kind).singlepart(html);
    Part::Multi(alternative.multipart(inline.into_iter().fold(related, MultiPart::singlepart)))
}

/// A file with its header. `kind` is its disposition.
fn file_part(index: usize, file: &Attachment, kind: &str, script: Script) -> Result<SinglePart, ComposeError> {
    let wrong = |reason: &str| ComposeError::new(format!("job.attachments[{index}].media_type"), reason);
    ContentType::parse(&file.media_type).map_err(|_| wrong("is no media type"))?;
    let body = if is_message_type(&file.media_type) {
        message_body(&file.content)
            .ok_or_else(|| wrong("a message that is not ASCII with short lines must go as application/octet-stream"))?
    } else {
        Body::new_with_encoding(file.content.to_vec(), ContentTransferEncoding::Base64)
            .expect("base64 can encode all bytes")
    };
    let mut part = SinglePart::builder()
        .header(FileType::new(&file.media_type, &file.file_name, script))
        .header(FileDisposition::new(kind, &file.file_name, script));
    if let Some(id) = file.content_id.as_deref().filter(|_| kind == "inline") {
        part = part.header(ContentId::from(format!("<{}>", id.trim_start_matches('<').trim_end_matches('>'))));
    }
    Ok(part.body(body))
}

/// RFC 2046 5.2.1: a message inside a message may not be encoded.
fn message_body(content: &[u8]) -> Option<Body> {
    let text = std::str::from_utf8(content).ok().filter(|text| text.is_ascii() && !text.contains('\0'))?;
    let text = crlf(text);
    let is_short = text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX);
    is_short.then(|| Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit))
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
mod round_trip;
#[cfg(test)]
mod tests;
