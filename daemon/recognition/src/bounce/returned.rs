//! What comes back of the mail that we sent, and how the bounce itself came.

use super::{
    address::{addresses_in, same},
    finding::{Arrival, Returned},
    mail::{Headers, Mail, PartKind},
};

/// Most addresses that are kept of a field.
const ADDRESSES_MAX: usize = 100;
/// Most Message-IDs that are kept of In-Reply-To and References.
const IDS_MAX: usize = 20;
/// Longest value that is kept, in bytes.
const VALUE_BYTES_MAX: usize = 1_000;

/// What the returned part tells, or the copy that follows a text.
pub(super) fn returned(mail: &Mail, copy: &str) -> Returned {
    let (headers, _) = Headers::read(copy_of(mail, copy).as_bytes());
    let mut to: Vec<Box<str>> = Vec::new();
    for address in
        ["to", "x-original-to", "envelope-to"].iter().flat_map(|name| headers.all(name)).flat_map(addresses_in)
    {
        if to.len() < ADDRESSES_MAX && !to.iter().any(|known| same(known, address)) {
            to.push(address.into());
        }
    }
    Returned {
        message_id: headers.get("message-id").and_then(id_of),
        job: headers.get("x-hikyaku-job").map(keep),
        from: headers.address("from").map(keep),
        to,
        subject: headers.decoded("subject").map(|subject| keep(&subject)),
    }
}

/// The returned mail from its header on: in a part of its own, or behind the text.
pub(super) fn copy_of<'a>(mail: &'a Mail, copy: &'a str) -> &'a str {
    mail.of(PartKind::Returned).next().unwrap_or_else(|| skip_to_header(copy)).trim_start()
}

/// How the mail came.
pub(super) fn arrival(mail: &Mail) -> Arrival {
    let headers = &mail.headers;
    let mut recipients: Vec<Box<str>> = Vec::new();
    let fields = ["delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to"];
    for address in fields.iter().flat_map(|name| headers.all(name)).flat_map(addresses_in) {
        if recipients.len() < ADDRESSES_MAX && !recipients.iter().any(|known| same(known, address)) {
            recipients.push(address.into());
        }
    }
    let answers = headers.all("in-reply-to").chain(headers.all("references"));
    let report = mail.of(PartKind::DeliveryStatus).next().map(|text| Headers::read(text.trim_start().as_bytes()).0);
    Arrival {
        recipients,
        return_path: headers.get("return-path").map(|path| keep(path.trim_matches(['<', '>', ' ']))),
        from: headers.address("from").map(keep),
        subject: headers.decoded("subject").map(|subject| keep(&subject)),
        date: headers.get("date").map(keep),
        message_id: headers.get("message-id").and_then(id_of),
        answers: answers.flat_map(str::split_whitespace).filter_map(id_of).take(IDS_MAX).collect(),
        envelope_id: report.and_then(|report| report.get("original-envelope-id").map(keep)),
    }
}

/// The copy from its first line that looks like a header field.
fn skip_to_header(copy: &str) -> &str {
    let mut rest = copy;
    for line in copy.lines().take(20) {
        let name = line.split_once(':').map_or("", |(name, _)| name);
        if !name.is_empty() && !name.contains(' ') && !name.starts_with('-') {
            break;
        }
        rest = &rest[(line.len() + 1).min(rest.len())..];
    }
    rest
}

fn id_of(value: &str) -> Option<Box<str>> {
    let id = value.split_once('<').map_or(value, |(_, id)| id);
    let id = id.split_once('>').map_or(id, |(id, _)| id).trim();
    (!id.is_empty()).then(|| keep(id))
}

fn keep(value: &str) -> Box<str> {
    let mut end = value.len().min(VALUE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_after_a_text_is_read() {
        let mail = Mail::read(b"Subject: failure notice\n\nHi.\n");
        let copy = "--- Below this line is a copy of the message.\n\nReturn-Path: <a@b.jp>\nMessage-ID: <1@b.jp>\n\
            X-Hikyaku-Job: 42/1\nTo: Taro <taro@example.jp>, hanako@example.jp\nSubject: =?utf-8?Q?caf=C3=A9?=\n\nHello\n";
        let returned = returned(&mail, copy);
        assert_eq!(returned.message_id.as_deref(), Some("1@b.jp"));
        assert_eq!(returned.job.as_deref(), Some("42/1"));
        assert_eq!(returned.subject.as_deref(), Some("café"));
        assert_eq!(returned.to, ["taro@example.jp".into(), "hanako@example.jp".into()]);
    }

    #[test]
    fn the_way_of_the_mail_is_read() {
        let mail = Mail::read(
            b"Return-Path: <>\nDelivered-To: b+x1@h.jp\nTo: <b+x1@h.jp>, c@h.jp\nIn-Reply-To: <1@h.jp>\nFrom: M <m@h.jp>\n\n",
        );
        let arrival = arrival(&mail);
        assert_eq!(arrival.return_path.as_deref(), Some(""));
        assert_eq!(arrival.recipients, ["b+x1@h.jp".into(), "c@h.jp".into()]);
        assert_eq!(arrival.answers, ["1@h.jp".into()]);
        assert_eq!(arrival.from.as_deref(), Some("m@h.jp"));
    }
}
