//! What is in a message? It is asked for in parts, so that it is never marked as read, and never more of it is kept than
//! is allowed, even when the server says that it is short.

use async_imap::imap_proto::{AttributeValue, Response};

use super::{
    ImapSession,
    commands::{ANSWER_BYTES_MAX, Order, unreadable},
};
use crate::wire::mailbox::{MailboxCause, MailboxFailure};

/// Bytes of the first part, with which the size comes: most bounces are no longer.
const FIRST_PART_BYTES: usize = 65_536;
/// Bytes of each further part.
const PART_BYTES: usize = 1_048_576;
/// Most parts that may be shorter than was asked for.
const SHORT_PARTS_MAX: usize = 16;
/// Response codes that say that the message is gone (RFC 5530 3).
const GONE_CODES: [&str; 2] = ["[EXPUNGEISSUED]", "[NONEXISTENT]"];

/// What came of asking for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All of it.
    Message(Vec<u8>),
    /// It is longer than is allowed and was not read: this many bytes, or more if the server said too little.
    TooLarge(u64),
    /// It is not there any more.
    Gone,
    /// The server does not give it, in these words, and the session goes on. It may be damaged there; or the server gives
    /// nothing to anybody for now, which a code such as `[UNAVAILABLE]` or `[OVERQUOTA]` may say (RFC 5530 3).
    Refused(String),
}

/// What a part is.
#[derive(Default)]
struct Part {
    octets: Option<u32>,
    origin: Option<u32>,
    bytes: Option<Vec<u8>>,
}

impl ImapSession {
    /// Reads a message of the open folder, of at most `bytes_max` bytes. It is not marked as read.
    ///
    /// # Errors
    /// When the connection fails, or what comes is no part of a message.
    pub async fn fetch(&mut self, uid: u32, bytes_max: u64) -> Result<Fetched, MailboxFailure> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let (mut message, mut octets, mut short_parts) = (Vec::new(), 0, 0);
        loop {
            let asked = if message.is_empty() { FIRST_PART_BYTES } else { PART_BYTES };
            let part = match self.part(uid, message.len(), asked, bytes_max).await {
                Ok(part) => part,
                Err(failure) => return self.refused(failure),
            };
            octets = part.octets.map_or(octets, widen);
            if octets > bytes_max {
                return Ok(Fetched::TooLarge(octets as u64));
            }
            let Some(bytes) = part.bytes else {
                return Ok(match part.octets {
                    Some(0) => Fetched::Message(message),
                    Some(_) => Fetched::Refused("the answer holds no BODY[]".to_owned()),
                    None => Fetched::Gone,
                });
            };
            // A server that knows no parts gives all at once, and does not say where it begins.
            let is_whole = part.origin.is_none() && message.is_empty() && bytes.len() != asked;
            let is_misplaced = part.origin.is_some_and(|origin| widen(origin) != message.len());
            if is_misplaced || (part.origin.is_none() && !message.is_empty()) || (bytes.len() > asked && !is_whole) {
                self.is_lost = true;
                return Err(self.talk.failure(unreadable(self.words.last())));
            }
            let came = bytes.len();
            if message.is_empty() {
                message = bytes;
            } else {
                message.extend_from_slice(&bytes);
            }
            if message.len() > bytes_max {
                return Ok(Fetched::TooLarge(message.len() as u64));
            }
            // Some servers guess the size, and a part may be shorter than it might be: only nothing is surely the end.
            short_parts += usize::from(came < asked);
            if is_whole || came == 0 || (came < asked && message.len() >= octets) {
                return Ok(Fetched::Message(message));
            }
            if short_parts == SHORT_PARTS_MAX {
                return Ok(Fetched::Refused("the server only gives small pieces of it".to_owned()));
            }
        }
    }

    /// The part of a message that begins at `from`.
    async fn part(&mut self, uid: u32, from: usize, asked: usize, bytes_max: usize) -> Result<Part, MailboxFailure> {
        let items = if from == 0 { "UID RFC822.SIZE" } else { "UID" };
        let command = format!("UID FETCH {uid} ({items} BODY.PEEK[]<{from}.{asked}>)");
        // Servers that know no parts give all that is allowed.
        let bytes = if from == 0 { bytes_max.max(asked) } else { asked };
        let order = Order::on_messages(command).for_bytes(bytes.saturating_add(ANSWER_BYTES_MAX));
        let mut part = Part::default();
        self.command(&order, &mut |response| part.note(uid, response)).await?;
        Ok(part)
    }

    /// What a failure means for the message alone.
    fn refused(&self, failure: MailboxFailure) -> Result<Fetched, MailboxFailure> {
        match failure.cause {
            MailboxCause::Refused(words) if !self.is_lost => {
                let is_gone = GONE_CODES.iter().any(|code| words.to_ascii_uppercase().contains(code));
                Ok(if is_gone { Fetched::Gone } else { Fetched::Refused(words) })
            }
            _ => Err(failure),
        }
    }
}

impl Part {
    /// Notes what a response tells of the message `uid`; the first part that comes counts.
    fn note(&mut self, uid: u32, response: &Response<'_>) {
        let Response::Fetch(_, items) = response else { return };
        if !items.iter().any(|item| matches!(item, AttributeValue::Uid(told) if *told == uid)) {
            return;
        }
        for item in items {
            match item {
                AttributeValue::Rfc822Size(octets) => self.octets = Some(*octets),
                AttributeValue::BodySection { section: None, index, data: Some(data) } if self.bytes.is_none() => {
                    (self.origin, self.bytes) = (*index, Some(data.to_vec()));
                }
                _ => {}
            }
        }
    }
}

fn widen(octets: u32) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX)
}
