//! How a message that a client composed itself is made ready to send.

use bytes::Bytes;

use super::{
    header_field::{self, Field},
    identity::{ComposeError, Identity},
    message::LINE_BYTES_MAX,
    only_address::only_address,
};
use crate::domain::{address::Address, mail::Message};

/// Longest header that is read, in bytes.
const HEADER_BYTES_MAX: usize = 256 * 1_024;
/// The field that all mistakes are about.
const FIELD: &str = "job.raw";

/// A client's own message, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedMessage {
    /// The message.
    pub message: Message,
    /// The one address in its From field.
    pub from: Address,
    /// Its Message-ID with angle brackets: its own, or that of the identity when it had none.
    pub message_id: String,
    /// Its Subject, unfolded and as it is encoded; empty when it has none.
    pub subject: String,
}

/// Takes a raw RFC 5322 message. It is sent unchanged, but line ends become CRLF, Bcc fields are removed (as is an
/// X-Hikyaku-Job that it brought), `X-Hikyaku-Job` is added, and so are Date and Message-ID where they are missing.
///
/// # Errors
/// A message with a NUL, with a line of more than [`LINE_BYTES_MAX`] bytes, with a header that is malformed or longer
/// than 256 KiB, or with anything but exactly one readable From address.
pub fn adopt_raw(bytes: &[u8], identity: &Identity) -> Result<AdoptedMessage, ComposeError> {
    if bytes.contains(&0) {
        return Err(wrong("has a NUL byte"));
    }
    let text = crlf(bytes);
    let too_long = text.split(|b| *b == b'\n').position(|line| line.len() > LINE_BYTES_MAX + 1);
    if let Some(index) = too_long {
        return Err(wrong(format!("line {} is longer than {LINE_BYTES_MAX} bytes", index + 1)));
    }
    if text.starts_with(b"\r\n") {
        return Err(wrong("has no header"));
    }
    let (header, rest) = split_header(&text)?;
    let fields = fields(header)?;
    let from = from(&fields)?;
    let own_id = one(&fields, "message-id")?.map(|field| field.value()).filter(|id| !id.is_empty());
    let subject = one(&fields, "subject")?.map(|field| field.value()).unwrap_or_default();

    let mut out = Vec::with_capacity(text.len() + 256);
    out.extend_from_slice(format!("X-Hikyaku-Job: {}\r\n", identity.mark()).as_bytes());
    if one(&fields, "date")?.is_none() {
        out.extend_from_slice(format!("Date: {}\r\n", identity.date_text()).as_bytes());
    }
    if own_id.is_none() {
        out.extend_from_slice(format!("Message-ID: {}\r\n", identity.message_id).as_bytes());
    }
    let is_dropped = |field: &Field<'_>| {
        let is_empty_id = own_id.is_none() && field.is("message-id");
        field.is("bcc") || field.is("resent-bcc") || field.is("x-hikyaku-job") || is_empty_id
    };
    for field in fields.iter().filter(|field| !is_dropped(field)) {
        out.extend_from_slice(field.lines);
    }
    out.extend_from_slice(rest);
    let is_eight_bit = !out.is_ascii();
    let message_id = own_id.unwrap_or_else(|| identity.message_id.clone());
    let message = Message { bytes: Bytes::from(out), is_eight_bit };
    Ok(AdoptedMessage { message, from, message_id, subject })
}

/// The address in From of a raw message, as far as [`adopt_raw`] will find one.
#[must_use]
pub fn from_of_raw(bytes: &[u8]) -> Option<Address> {
    let text = crlf(&bytes[..bytes.len().min(HEADER_BYTES_MAX)]);
    let (header, _) = split_header(&text).ok()?;
    from(&fields(header).ok()?).ok()
}

fn wrong(reason: impl Into<String>) -> ComposeError {
    ComposeError::new(FIELD, reason)
}

/// The header's lines, and the rest with the blank line that begins it.
fn split_header(text: &[u8]) -> Result<(&[u8], &[u8]), ComposeError> {
    let blank = text.windows(4).take(HEADER_BYTES_MAX).position(|four| four == b"\r\n\r\n");
    match blank {
        Some(at) => Ok(text.split_at(at + 2)),
        None if text.len() > HEADER_BYTES_MAX => Err(wrong(format!("its header exceeds {HEADER_BYTES_MAX} bytes"))),
        None => Ok((text, b"\r\n")),
    }
}

/// The fields in their order, when all of them are fields.
fn fields(header: &[u8]) -> Result<Vec<Field<'_>>, ComposeError> {
    let fields = header_field::fields(header);
    for Field { name, lines } in &fields {
        let is_name = !name.is_empty() && lines.contains(&b':') && name.iter().all(u8::is_ascii_graphic);
        if !is_name {
            let shown: String = String::from_utf8_lossy(lines).chars().take(40).collect();
            return Err(wrong(format!("{shown:?} is no header field")));
        }
    }
    Ok(fields)
}

/// The only field of this name, if there is one (RFC 5322 3.6).
fn one<'a, 'b>(fields: &'b [Field<'a>], name: &str) -> Result<Option<&'b Field<'a>>, ComposeError> {
    let mut named = fields.iter().filter(|field| field.is(name));
    let first = named.next();
    if named.next().is_some() {
        return Err(wrong(format!("has more than one {name} field")));
    }
    Ok(first)
}

fn from(fields: &[Field<'_>]) -> Result<Address, ComposeError> {
    let field = one(fields, "from")?.ok_or_else(|| wrong("has no From field"))?;
    let unreadable = || wrong("its From field is not exactly one readable address");
    only_address(&field.value()).ok_or_else(unreadable)
}

/// Every kind of line end as CRLF, and one at the end.
fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 40 + 2);
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if(|next| **next == b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            byte => out.push(*byte),
        }
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ids::JobId, time::Timestamp};

    fn identity() -> Identity {
        let date = Timestamp::from_millis(1_700_000_000_000);
        let job = JobId::new(date, [7; 10]);
        Identity { message_id: "<id@example.jp>".into(), date, job, place: None }
    }

    fn adopt(raw: &str) -> Result<AdoptedMessage, ComposeError> {
        adopt_raw(raw.as_bytes(), &identity())
    }

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        let adopted = adopt(raw).expect(raw);
        let job = format!("X-Hikyaku-Job: {}\r\n", identity().job);
        let text = String::from_utf8(adopted.message.bytes.to_vec()).expect("text");
        assert_eq!(text, format!("{job}{expected}"), "{raw:?}");
    }

    #[test]
    fn a_complete_message_is_left_as_it_is() {
        let raw =
            "From: Taro <t@example.jp>\r\nDate: x\r\nMessage-ID: <own@x>\r\nSubject: a\r\n b\r\n\r\n.dot\r\n..\r\n";
        check(raw, raw);
        let adopted = adopt(raw).expect("fine");
        assert_eq!(adopted.message_id, "<own@x>");
        assert_eq!(adopted.from.as_str(), "t@example.jp");
        assert_eq!(adopted.subject, "a b");
        assert!(!adopted.message.is_eight_bit);
    }

    #[test]
    fn the_sender_is_known_before_the_message_is_adopted() {
        for raw in ["From: Taro <t@example.jp>\nTo: a@x.jp\n\nhi", "Subject: x\rfrom:\r\n t@example.jp\r\n\r\n"] {
            let adopted = adopt(raw).expect(raw);
            assert_eq!(from_of_raw(raw.as_bytes()), Some(adopted.from), "{raw:?}");
        }
        assert_eq!(from_of_raw(b"Subject: x\n\nFrom: t@example.jp\n"), None);
    }

    #[test]
    fn missing_fields_are_added_and_bcc_is_removed() {
        let date = "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <id@example.jp>\r\n";
        check("From: t@example.jp\n\nhi", &format!("{date}From: t@example.jp\r\n\r\nhi\r\n"));
        check(
            "From: t@example.jp\nbCC: a@x.jp,\n b@x.jp\nTo: c@x.jp\n\n",
            &format!("{date}From: t@example.jp\r\nTo: c@x.jp\r\n\r\n"),
        );
        check("From: t@example.jp", &format!("{date}From: t@example.jp\r\n\r\n"));
        check("X-Hikyaku-Job: forged\nFrom: t@example.jp\n\n", &format!("{date}From: t@example.jp\r\n\r\n"));
    }

    #[test]
    fn every_line_end_becomes_crlf() {
        let adopted = adopt("From: t@example.jp\r\n\r\na\rb\nc\r\nd\n\r.\r\n").expect("fine");
        let bytes = adopted.message.bytes;
        assert!(bytes.ends_with(b"\r\n\r\na\r\nb\r\nc\r\nd\r\n\r\n.\r\n"), "{bytes:?}");
        assert!(adopt("From: t@example.jp\n\n飛脚").expect("fine").message.is_eight_bit);
    }

    #[track_caller]
    fn check_refused(raw: &str, reason: &str) {
        let error = adopt(raw).expect_err(raw);
        assert!(error.reason.contains(reason), "{error}");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        check_refused("From: t@example.jp\n\na\0b", "NUL");
        check_refused("", "no header");
        check_refused("Subject: x\n\n", "no From");
        check_refused("\nFrom: t@example.jp\n\n", "no header");
        check_refused("From: a@x.jp, b@x.jp\n\n", "exactly one");
        check_refused("From: a@x.jp\nfrom: b@x.jp\n\n", "more than one from");
        check_refused("From: nobody\n\n", "exactly one");
        check_refused("From taro Sat\nFrom: t@example.jp\n\n", "no header field");
        check_refused(" x\nFrom: t@example.jp\n\n", "no header field");
        check_refused("nonsense\nFrom: t@example.jp\n\n", "no header field");
        check_refused("name\n : goes on\nFrom: t@example.jp\n\n", "no header field");
        check_refused(&format!("From: t@example.jp\n\n{}", "x".repeat(999)), "line 3");
        assert!(adopt(&format!("From: t@example.jp\n\n{}", "x".repeat(998))).is_ok());
    }

    proptest! {
        #[test]
        fn every_adopted_message_is_clean(
            head in "(Subject: .{0,9}\n|Bcc: x@y.jp\r\n|To: a@x.jp\r| z\n|.{0,4}){0,4}",
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let raw = [b"From: t@example.jp\n", head.as_bytes(), b"\n\n", &body[..]].concat();
            if let Ok(adopted) = adopt_raw(&raw, &identity()) {
                let bytes = adopted.message.bytes;
                prop_assert!(bytes.ends_with(b"\r\n") && !bytes.contains(&0));
                prop_assert!(bytes.windows(2).all(|pair| (pair[0] == b'\r') == (pair[1] == b'\n')));
                let header = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a blank line");
                let header = String::from_utf8_lossy(&bytes[..header]).to_ascii_lowercase();
                prop_assert!(!header.contains("\r\nbcc:"), "{header}");
            }
        }
    }
}
