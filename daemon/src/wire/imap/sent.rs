//! Is a copy of a message in a folder? So that one that is in doubt is not sent twice.

use async_imap::imap_proto::{AttributeValue, MailboxDatum, MessageSection, Response, SectionPath};

use super::{Access, ImapSession, commands::Order, deletion::sets};
use crate::wire::mailbox::MailboxFailure;

/// Most messages that are looked at closely: the latest of those that the server finds.
const LOOKED_AT_MAX: usize = 50;
/// Longest text that is searched for as a quoted string.
const QUOTED_BYTES_MAX: usize = 500;

/// A header field by which a message is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The field's name.
    pub name: &'a str,
    /// Its whole value.
    pub value: &'a str,
}

impl ImapSession {
    /// The UIDs of the messages in `folder` that carry this Message-ID (with its angle brackets) or this mark; at most the
    /// latest 50. The mark helps where the server gives messages a Message-ID of its own, and must belong to this message
    /// alone: where its field is there, the Message-ID does not count. The server only finds what may match; each is looked at. `folder` is open for reading afterwards.
    ///
    /// # Errors
    /// When the server refuses, or the connection fails: then nothing is known.
    pub async fn find_sent(
        &mut self,
        folder: &str,
        message_id: &str,
        mark: Option<Mark<'_>>,
    ) -> Result<Vec<u32>, MailboxFailure> {
        let mut marks = vec![Mark { name: "Message-ID", value: message_id }];
        marks.extend(mark);
        // Nothing else can stand in a header, or for nothing in particular.
        marks.retain(|mark| is_field_name(mark.name) && is_value(mark.value));
        let state = self.open_folder(folder, Access::Read).await?;
        if marks.is_empty() || state.messages == 0 {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut visit = |response: &Response<'_>| {
            if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
                found.extend_from_slice(uids);
            }
        };
        self.command(&search(&marks), &mut visit).await?;
        found.sort_unstable();
        found.dedup();
        found.drain(..found.len().saturating_sub(LOOKED_AT_MAX));
        self.those_with(&marks, &found).await
    }

    /// Those of the messages that carry one of the marks. Servers match parts of values, and some match even less.
    async fn those_with(&mut self, marks: &[Mark<'_>], uids: &[u32]) -> Result<Vec<u32>, MailboxFailure> {
        let names: Vec<_> = marks.iter().map(|mark| mark.name).collect();
        let mut found = Vec::new();
        for set in sets(uids) {
            let command = format!("UID FETCH {set} (UID BODY.PEEK[HEADER.FIELDS ({})])", names.join(" "));
            let mut visit = |response: &Response<'_>| {
                if let Some((uid, header)) = header(response)
                    && uids.contains(&uid)
                    && carries(&header, marks)
                {
                    found.push(uid);
                }
            };
            self.command(&Order::on_messages(command), &mut visit).await?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// UID SEARCH for messages with any of the one or two marks (RFC 3501 6.4.4).
fn search(marks: &[Mark<'_>]) -> Order {
    let is_plain = marks.iter().all(|mark| mark.value.is_ascii());
    let mut command = if is_plain { "UID SEARCH" } else { "UID SEARCH CHARSET UTF-8" }.to_owned();
    if marks.len() > 1 {
        command.push_str(" OR");
    }
    for Mark { name, value } in marks {
        let value = if value.is_ascii() && value.len() <= QUOTED_BYTES_MAX {
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            // A literal: the server asks for what comes after the line break.
            format!("{{{}}}\n{value}", value.len())
        };
        command.push_str(&format!(" HEADER {name} {value}"));
    }
    let mut pieces = command.split('\n').map(str::to_owned);
    let first = pieces.next().unwrap_or_default();
    Order::on_messages(first).then(pieces.collect())
}

fn header(response: &Response<'_>) -> Option<(u32, String)> {
    let Response::Fetch(_, items) = response else { return None };
    let uid = items.iter().find_map(|item| if let AttributeValue::Uid(uid) = item { Some(*uid) } else { None })?;
    let header = items.iter().find_map(|item| match item {
        AttributeValue::BodySection {
            section: Some(SectionPath::Full(MessageSection::Header)),
            data: Some(data),
            ..
        } => Some(String::from_utf8_lossy(data).into_owned()),
        _ => None,
    })?;
    Some((uid, header))
}

/// Whether the fields say that it is the message. The last of the marks whose field is there decides alone: several messages may
/// have the same Message-ID, which comes first.
fn carries(header: &str, marks: &[Mark<'_>]) -> bool {
    // RFC 5322 2.2.3: a line that begins with a blank belongs to the one before.
    let unfolded = header.replace("\r\n ", " ").replace("\r\n\t", " ");
    let fields: Vec<_> = unfolded.lines().filter_map(|line| line.split_once(':')).collect();
    for mark in marks.iter().rev() {
        let is_named = |name: &str| name.trim().eq_ignore_ascii_case(mark.name);
        let mut values = fields.iter().filter(|(name, _)| is_named(name)).map(|(_, value)| value.trim()).peekable();
        if values.peek().is_some() {
            return values.any(|value| value == mark.value.trim());
        }
    }
    false
}

/// Whether it can be the name of a field (RFC 5322 2.2) and an atom of IMAP.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_value(value: &str) -> bool {
    !value.trim().is_empty() && !value.contains(['\r', '\n', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_value_of_the_field_counts() {
        let marks = [Mark { name: "Message-ID", value: "<a@b.jp>" }, Mark { name: "X-Hikyaku-Job", value: "job1" }];
        for (header, expected) in [
            ("Message-ID: <a@b.jp>\r\n\r\n", true),
            ("message-id:\r\n <a@b.jp>\r\n", true),
            ("Message-ID: <new@b.jp>\r\nX-Hikyaku-Job: job1\r\n", true),
            ("Message-ID: <aa@b.jp>\r\nX-Hikyaku-Job: job12\r\n", false),
            // Of another job that was given the same Message-ID.
            ("Message-ID: <a@b.jp>\r\nX-Hikyaku-Job: job2\r\n", false),
            ("X-Hikyaku-Job: job2\r\nMessage-ID: <a@b.jp>\r\n", false),
            ("X-Hikyaku-Job: <a@b.jp>\r\n", false),
            ("In-Reply-To: <a@b.jp>\r\n", false),
            ("", false),
        ] {
            assert_eq!(carries(header, &marks), expected, "{header}");
        }
    }
}
