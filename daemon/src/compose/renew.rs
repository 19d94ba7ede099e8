//! How a message that was sent once becomes one that is sent again: new where it says which message it is, and the same in
//! every other byte.

use bytes::Bytes;

use super::{
    header_field::{fields, split},
    identity::{ComposeError, Identity},
    only_address::only_address,
};
use crate::domain::{address::Address, mail::Message};

/// The field that all mistakes are about.
const FIELD: &str = "job_id";

/// A message that is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewedMessage {
    /// The message.
    pub message: Message,
    /// The address in its From field.
    pub from: Address,
}

/// Gives a stored message the Message-ID, the Date and the X-Hikyaku-Job of this identity, each in its place, and takes its
/// DKIM signatures away, which sign the old ones (RFC 6376 5.4). `identity` makes the identity from the address in From.
///
/// # Errors
/// When From holds no readable address.
pub fn renew(message: &Message, identity: impl FnOnce(&Address) -> Identity) -> Result<RenewedMessage, ComposeError> {
    let (head, body) = split(&message.bytes);
    let fields = fields(head);
    let from = fields.iter().find(|field| field.is("from")).and_then(|field| only_address(&field.value()));
    let from = from.ok_or_else(|| ComposeError::new(FIELD, "its message has no readable From"))?;
    let identity = identity(&from);
    let mut new = [
        ("message-id", Some(format!("Message-ID: {}\r\n", identity.message_id))),
        ("date", Some(format!("Date: {}\r\n", identity.date_text()))),
        ("x-hikyaku-job", Some(format!("X-Hikyaku-Job: {}\r\n", identity.mark()))),
    ];
    let mut header = Vec::new();
    for field in fields {
        match new.iter_mut().find(|(name, _)| field.is(name)) {
            Some((_, line)) => header.extend(line.take().unwrap_or_default().into_bytes()),
            None if field.is("dkim-signature") => {}
            None => header.extend_from_slice(field.lines),
        }
    }
    let missing = new.into_iter().filter_map(|(_, line)| line).flat_map(String::into_bytes);
    let bytes: Vec<u8> = missing.chain(header).chain(body.iter().copied()).collect();
    let is_eight_bit = !bytes.is_ascii();
    Ok(RenewedMessage { message: Message { bytes: Bytes::from(bytes), is_eight_bit }, from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::JobId, time::Timestamp};

    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 +0000";

    fn identity(from: &Address) -> Identity {
        let date = Timestamp::from_millis(1_700_000_000_000);
        Identity::of_job(JobId::new(date, [7; 10]), from, date)
    }

    fn renewed(text: &str) -> Result<RenewedMessage, ComposeError> {
        renew(&Message { bytes: Bytes::copy_from_slice(text.as_bytes()), is_eight_bit: false }, identity)
    }

    /// `expected` has `ID` and `JOB` where those of the identity stand.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = renewed(text).expect(text);
        let Identity { message_id, job, .. } = identity(&found.from);
        let expected = expected.replace("ID!", &message_id).replace("JOB!", &job.to_string()).replace("DATE!", DATE);
        assert_eq!(String::from_utf8_lossy(&found.message.bytes), expected);
    }

    #[test]
    fn a_message_is_new_only_where_it_says_which_one_it_is() {
        check(
            "Date: old\r\nFrom: a@example.jp\r\nMessage-ID: <old@x>\r\nX-Hikyaku-Job: old\r\nSubject: a\r\n b\r\n\r\n\
             Date: in the body\r\n.\r\n",
            "Date: DATE!\r\nFrom: a@example.jp\r\nMessage-ID: ID!\r\nX-Hikyaku-Job: JOB!\r\nSubject: a\r\n b\r\n\r\n\
             Date: in the body\r\n.\r\n",
        );
        check(
            "message-id: <old@x>\r\n\tfolded\r\nFROM: A <a@b.jp>\r\n\r\n",
            "Date: DATE!\r\nX-Hikyaku-Job: JOB!\r\nMessage-ID: ID!\r\nFROM: A <a@b.jp>\r\n\r\n",
        );
    }

    #[test]
    fn signatures_go_and_fields_that_come_twice_come_once() {
        check(
            "DKIM-Signature: v=1;\r\n b=x\r\nDate: 1\r\nDate: 2\r\nMessage-ID: <1>\r\nDkim-Signature: y\r\n\
             X-Hikyaku-Job: 1\r\nFrom: a@b.jp\r\n",
            "Date: DATE!\r\nMessage-ID: ID!\r\nX-Hikyaku-Job: JOB!\r\nFrom: a@b.jp\r\n",
        );
    }

    #[test]
    fn the_address_in_from_is_found() {
        for (from, expected) in [
            ("a@example.jp", "a@example.jp"),
            ("=?UTF-8?B?5bGx55Sw?= <a@example.jp>", "a@example.jp"),
            ("\"x <b@c.jp>\"\r\n <a@example.jp>", "a@example.jp"),
        ] {
            let found = renewed(&format!("From: {from}\r\n\r\n")).expect(from);
            assert_eq!(found.from.as_str(), expected);
        }
        for text in ["Subject: x\r\n\r\n", "From: nobody\r\n\r\n", "", "\r\nFrom: a@b.jp\r\n"] {
            assert!(renewed(text).is_err(), "{text:?}");
        }
    }
}
