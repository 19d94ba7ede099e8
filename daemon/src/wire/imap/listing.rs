//! Which messages are in the open folder, from some UID on? A page at a time, however many there are.

use std::{collections::BTreeMap, ops::RangeInclusive};

use async_imap::imap_proto::{AttributeValue, Response};

use super::{ImapSession, commands::Order};
use crate::wire::mailbox::MailboxFailure;

/// Most messages of a page.
pub const LISTED_MAX: usize = 1_000;
/// How many UIDs are asked about at first, or as many as there may be messages; many may belong to no message.
const WINDOW_UIDS_MIN: u32 = 100;
/// In a folder of so few messages all UIDs are asked about at once.
const SMALL_FOLDER_MESSAGES: u32 = 1_000;
/// Most bytes of an answer; a message takes about 60. What a page has no room for is not kept.
const LISTING_BYTES_MAX: usize = 67_108_864;

/// Which messages are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    All,
    /// Those without the flag \Seen.
    Unseen,
}

/// A message in the open folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its UID.
    pub uid: u32,
    /// How long it is in bytes, as the server says (some only guess); nothing when it does not say.
    pub octets: Option<u32>,
    /// Whether it is marked as read.
    pub is_seen: bool,
}

impl ImapSession {
    /// The first messages whose UID is at least `uid_first`, at most `limit` and [`LISTED_MAX`], in the order of their UIDs.
    /// When there are none, there are none from there on. Those marked as \Deleted are left out.
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn list_from(
        &mut self,
        uid_first: u32,
        wanted: Wanted,
        limit: usize,
    ) -> Result<Vec<Listed>, MailboxFailure> {
        let (uid_first, limit) = (uid_first.max(1), limit.clamp(1, LISTED_MAX));
        self.has_news = false;
        if self.messages == 0 && std::mem::replace(&mut self.was_listed, true) {
            // A server tells of new messages with the answer to a command (RFC 3501 7.3.1).
            self.command(&Order::on_folders("NOOP"), &mut |_| {}).await?;
            self.has_news = false;
        }
        let mut page = self.page(uid_first, wanted, limit).await?;
        if page.is_empty() && std::mem::take(&mut self.has_news) {
            page = self.page(uid_first, wanted, limit).await?;
        }
        self.was_listed = true;
        Ok(page)
    }

    async fn page(&mut self, uid_first: u32, wanted: Wanted, limit: usize) -> Result<Vec<Listed>, MailboxFailure> {
        let mut page = Page { wanted, limit, found: BTreeMap::new(), is_cut: false, last: 0 };
        let mut first = uid_first;
        let narrow = u32::try_from(limit).unwrap_or(u32::MAX).max(WINDOW_UIDS_MIN);
        let mut width = if self.messages <= SMALL_FOLDER_MESSAGES { u32::MAX } else { narrow };
        // RFC 3501 6.4.8: UIDs of no message are ignored. An empty folder has not even a last one, which some refuse.
        while self.messages > 0 {
            let end = window_end(first, width, self.uid_next);
            let to = end.map_or("*".to_owned(), |end| end.to_string());
            let command = format!("UID FETCH {first}:{to} (UID RFC822.SIZE FLAGS)");
            let window = first..=end.unwrap_or(u32::MAX);
            let mut visit = |response: &Response<'_>| page.note(response, &window);
            self.command(&Order::on_messages(command).for_bytes(LISTING_BYTES_MAX), &mut visit).await?;
            self.uid_next = self.uid_next.max(Some(page.last.saturating_add(1)));
            match end {
                Some(end) if !page.is_full() => (first, width) = (end.saturating_add(1), width.saturating_mul(2)),
                _ => break,
            }
        }
        Ok(page.found.into_values().collect())
    }
}

/// The last UID of a window, or nothing when it holds all from `first` on: also those that have come since.
fn window_end(first: u32, width: u32, uid_next: Option<u32>) -> Option<u32> {
    let end = first.saturating_add(width - 1);
    (end < uid_next?.saturating_sub(1)).then_some(end)
}

/// What is kept of a listing.
struct Page {
    wanted: Wanted,
    limit: usize,
    found: BTreeMap<u32, Listed>,
    /// Whether there was more than there is room for.
    is_cut: bool,
    /// The highest UID that was seen.
    last: u32,
}

impl Page {
    fn is_full(&self) -> bool {
        self.is_cut || self.found.len() >= self.limit
    }

    /// Notes a response that tells of a message in the window. `n:*` always brings the last message, and flags that somebody
    /// changes are told unasked; some servers tell of a message in several responses.
    fn note(&mut self, response: &Response<'_>, window: &RangeInclusive<u32>) {
        let Response::Fetch(_, items) = response else { return };
        let (mut uid, mut octets, mut is_seen, mut is_deleted) = (None, None, false, false);
        for item in items {
            match item {
                AttributeValue::Uid(told) => uid = Some(*told),
                AttributeValue::Rfc822Size(told) => octets = Some(*told),
                AttributeValue::Flags(flags) => {
                    is_seen = flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Seen"));
                    is_deleted = flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Deleted"));
                }
                _ => {}
            }
        }
        let Some(uid) = uid.filter(|uid| window.contains(uid)) else { return };
        self.last = self.last.max(uid);
        let known = self.found.entry(uid).or_insert(Listed { uid, octets: None, is_seen: false });
        known.octets = octets.or(known.octets);
        known.is_seen |= is_seen;
        if is_deleted || (self.wanted == Wanted::Unseen && known.is_seen) {
            self.found.remove(&uid);
        }
        if self.found.len() > self.limit {
            self.found.pop_last();
            self.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_with_the_last_uid_that_is_known_or_are_open() {
        assert_eq!(window_end(1, 1_000, Some(20_001)), Some(1_000));
        assert_eq!(window_end(19_001, 1_000, Some(20_001)), None);
        assert_eq!(window_end(19_001, 999, Some(20_001)), Some(19_999));
        assert_eq!(window_end(30_000, 1_000, Some(20_001)), None);
        assert_eq!(window_end(1, u32::MAX, Some(u32::MAX)), None);
        assert_eq!(window_end(1, 1_000, None), None);
    }
}
