//! What of a draft cannot be written into a message.

use super::{
    file_name,
    identity::{ComposeError, Identity},
};
use crate::domain::mail::{Attachment, Draft, Mailbox};

/// Longest name of a custom header, in bytes.
const HEADER_NAME_BYTES_MAX: usize = 76;
/// Longest value of a custom header or subject, in bytes.
pub(super) const HEADER_VALUE_BYTES_MAX: usize = 10_000;
/// Longest file name, in bytes.
const FILE_NAME_BYTES_MAX: usize = 255;
/// Longest media type with its parameters, in bytes.
const MEDIA_TYPE_BYTES_MAX: usize = 200;
/// Longest content id, in bytes.
const CONTENT_ID_BYTES_MAX: usize = 200;

/// Headers that the composer writes itself, or that would change how the message is delivered or trusted.
const PROTECTED: [&str; 13] = [
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "return-path",
    "received",
    "dkim-signature",
];
/// Beginnings of the names of headers that are protected too.
const PROTECTED_PREFIXES: [&str; 3] = ["content-", "x-hikyaku-", "resent-"];

/// Headers that a client may write itself, once and in ASCII, as long as the draft's own fields do not.
const OPEN: [&str; 5] = ["in-reply-to", "references", "list-unsubscribe", "list-unsubscribe-post", "auto-submitted"];
/// Most messages that one refers to.
const REFERENCES_MAX: usize = 100;

/// Finds the first field of a draft that cannot be written.
pub(super) fn check_draft(draft: &Draft, identity: &Identity) -> Result<(), ComposeError> {
    let id = &identity.message_id;
    let is_id =
        id.starts_with('<') && id.ends_with('>') && id.contains('@') && id.bytes().all(|b| b.is_ascii_graphic());
    if !is_id || id.len() > 900 {
        return Err(ComposeError::new("message_id", "must be printable ASCII in angle brackets with an @"));
    }
    check_text("job.subject", &draft.subject, HEADER_VALUE_BYTES_MAX)?;
    check_mailbox("job.from", &draft.from)?;
    for (field, mailboxes) in [("job.reply_to", &draft.reply_to), ("job.to", &draft.to), ("job.cc", &draft.cc)] {
        for (index, mailbox) in mailboxes.iter().enumerate() {
            check_mailbox(&format!("{field}[{index}]"), mailbox)?;
        }
    }
    for (index, (name, value)) in draft.headers.iter().enumerate() {
        check_header_name(&format!("job.headers[{index}].name"), name)?;
        check_text(&format!("job.headers[{index}].value"), value, HEADER_VALUE_BYTES_MAX)?;
        check_open_header(index, draft)?;
    }
    if draft.references.len() > REFERENCES_MAX {
        return Err(ComposeError::new("job.references", format!("has more than {REFERENCES_MAX} entries")));
    }
    for (field, text) in [("job.text", &draft.text), ("job.html", &draft.html)] {
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(ComposeError::new(field, "has a NUL character"));
        }
    }
    for (index, file) in draft.attachments.iter().enumerate() {
        check_file(&format!("job.attachments[{index}]"), file)?;
    }
    Ok(())
}

/// Whether a file of this media type is a message, which MIME treats apart.
pub(super) fn is_message_type(media_type: &str) -> bool {
    media_type.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("message/"))
}

/// A line break here would begin a header of the client's own making.
fn check_text(field: &str, text: &str, bytes_max: usize) -> Result<(), ComposeError> {
    if text.len() > bytes_max {
        return Err(ComposeError::new(field, format!("is longer than {bytes_max} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(ComposeError::new(field, "has a control character, such as a line break"));
    }
    Ok(())
}

fn check_mailbox(field: &str, mailbox: &Mailbox) -> Result<(), ComposeError> {
    mailbox.name.as_deref().map_or(Ok(()), |name| check_text(&format!("{field}.name"), name, HEADER_VALUE_BYTES_MAX))
}

fn check_header_name(field: &str, name: &str) -> Result<(), ComposeError> {
    let is_name =
        (1..=HEADER_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if !is_name {
        let reason =
            format!("must be 1 to {HEADER_NAME_BYTES_MAX} printable ASCII characters without spaces and colons");
        return Err(ComposeError::new(field, reason));
    }
    let lower = name.to_ascii_lowercase();
    if PROTECTED.contains(&lower.as_str()) || PROTECTED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(ComposeError::new(field, format!("{name} is written by Hikyaku and cannot be set")));
    }
    Ok(())
}

/// These have a syntax of their own, in which there are no encoded words, and may stand once only (RFC 5322 3.6).
fn check_open_header(index: usize, draft: &Draft) -> Result<(), ComposeError> {
    let (name, value) = &draft.headers[index];
    if !OPEN.iter().any(|open| open.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let wrong = |part: &str, reason: String| Err(ComposeError::new(format!("job.headers[{index}].{part}"), reason));
    let is_thread = draft.in_reply_to.is_some() || !draft.references.is_empty();
    let written_by = match name.to_ascii_lowercase().as_str() {
        "in-reply-to" | "references" => ("in_reply_to and references", is_thread),
        "auto-submitted" => ("auto_submitted", draft.auto_submitted.is_some()),
        _ => ("list_unsubscribe", draft.list_unsubscribe.is_some()),
    };
    if let (field, true) = written_by {
        return wrong("name", format!("{name} is written from {field}, and cannot be set beside it"));
    }
    if draft.headers[..index].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
        return wrong("name", format!("{name} may stand once only"));
    }
    if value.is_ascii() { Ok(()) } else { wrong("value", format!("{name} may have ASCII only")) }
}

fn check_file(field: &str, file: &Attachment) -> Result<(), ComposeError> {
    check_text(&format!("{field}.file_name"), &file.file_name, FILE_NAME_BYTES_MAX)?;
    if file.file_name.is_empty() && file.content_id.is_none() {
        return Err(ComposeError::new(format!("{field}.file_name"), "is empty"));
    }
    let media_type = &file.media_type;
    let is_ascii = media_type.bytes().all(|b| matches!(b, b' '..=b'~'));
    if media_type.is_empty() || media_type.len() > MEDIA_TYPE_BYTES_MAX || !is_ascii {
        let reason = format!("must be 1 to {MEDIA_TYPE_BYTES_MAX} printable ASCII characters");
        return Err(ComposeError::new(format!("{field}.media_type"), reason));
    }
    if media_type.to_ascii_lowercase().starts_with("multipart/") {
        return Err(ComposeError::new(format!("{field}.media_type"), "a file cannot be of a multipart type"));
    }
    if file_name::has_name(media_type) {
        let reason = "has a name parameter: the file's name is given in file_name";
        return Err(ComposeError::new(format!("{field}.media_type"), reason));
    }
    if let Some(id) = &file.content_id {
        let inner = id.trim_start_matches('<').trim_end_matches('>');
        let is_id = (1..=CONTENT_ID_BYTES_MAX).contains(&inner.len())
            && inner.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
        if !is_id {
            let reason = format!("must be 1 to {CONTENT_ID_BYTES_MAX} printable ASCII characters without spaces");
            return Err(ComposeError::new(format!("{field}.content_id"), reason));
        }
    }
    Ok(())
}
