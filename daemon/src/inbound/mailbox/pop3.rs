//! How is a POP3 mailbox looked into?

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;

use super::{Entered, Fetched, Item, Listing, Mailbox, Place, ReadBefore, Stop};
use crate::{
    domain::{account::IncomingMailbox, inbound::ReadMark},
    wire::{
        mailbox::MailboxFailure,
        pop3::{Deletion, Pop3Session, Retrieved},
    },
};

/// A POP3 session. What it marks is deleted when it is closed well.
#[derive(Debug)]
pub(in crate::inbound) struct Pop3Mailbox {
    session: Pop3Session,
    /// Whether all mail is ours, so that it may be marked as read.
    all_mail: bool,
}

impl Pop3Mailbox {
    pub(in crate::inbound) const fn new(session: Pop3Session, settings: &IncomingMailbox) -> Self {
        Self { session, all_mail: settings.all_mail }
    }
}

#[async_trait]
impl Mailbox for Pop3Mailbox {
    async fn places(&mut self) -> Result<Vec<Place>, MailboxFailure> {
        Ok(vec![Place::MAILDROP])
    }

    async fn enter(&mut self, _place: &Place) -> Result<Entered, MailboxFailure> {
        Ok(Entered { uid_validity: None, messages: None })
    }

    async fn list(&mut self, read: ReadBefore, owed: &[ReadMark], limit: usize) -> Result<Listing, MailboxFailure> {
        let mut known = Known::of(read, owed);
        let (mut wanted, mut met, mut is_cut) = (0, 0_u64, false);
        let maildrop = self.session.list(|id| {
            met += 1;
            let is_wanted = known.meet(hash(id));
            if is_wanted && wanted == limit {
                is_cut = true;
                return false;
            }
            wanted += usize::from(is_wanted);
            is_wanted
        });
        let maildrop = maildrop.await?;
        let items = maildrop.iter().map(|listed| Item {
            mark: ReadMark::Message(hash(listed.id)),
            number: listed.number,
            uid: listed.id.into(),
            octets: listed.octets,
        });
        let is_owed = |item: &Item| matches!(item.mark, ReadMark::Message(hash) if known.owed.contains(&hash));
        let (owed, items) = items.partition(is_owed);
        // What a listing with gaps does not tell of may be there all the same.
        let is_sure = maildrop.unreadable == 0 && !maildrop.is_cut && met == maildrop.held;
        let gone = if is_sure { known.missing.into_iter().collect() } else { Vec::new() };
        let is_cut = is_cut || maildrop.is_cut;
        Ok(Listing { items, owed, gone, messages: Some(maildrop.held), is_cut })
    }

    async fn fetch(&mut self, item: &Item, bytes_max: u64) -> Result<Fetched, MailboxFailure> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let retrieved = if self.all_mail {
            self.session.retrieve(item.number, bytes_max).await?
        } else {
            match self.session.peek(item.number, bytes_max).await? {
                Retrieved::Whole(bytes) if is_short(bytes.len(), item.octets) => {
                    self.session.retrieve(item.number, bytes_max).await?
                }
                peeked => peeked,
            }
        };
        Ok(match retrieved {
            Retrieved::Whole(bytes) => Fetched::Message(bytes),
            Retrieved::TooLarge { session_ended } => Fetched::TooLarge { bytes: item.octets, session_ended },
            Retrieved::Refused(words) => Fetched::Refused(words),
        })
    }

    async fn delete(&mut self, items: &[Item]) -> Result<(), MailboxFailure> {
        for item in items {
            if let Deletion::Refused(words) = self.session.delete(item.number).await? {
                tracing::debug!(uid = %item.uid, words, "the server does not delete a mail");
            }
        }
        Ok(())
    }

    fn deletes_at_once(&self) -> bool {
        false
    }

    async fn tells_news(&mut self) -> Result<bool, MailboxFailure> {
        Ok(false)
    }

    async fn wait(&mut self, _at_most: Duration, _stop: Stop<'_>) -> Result<(), MailboxFailure> {
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), MailboxFailure> {
        self.session.commit().await
    }

    async fn leave(self: Box<Self>) {
        self.session.quit().await;
    }
}

/// What was read before, as the server's list comes in.
struct Known {
    /// Those that the list has not told of.
    missing: HashSet<[u8; 16]>,
    /// Those that it has.
    there: HashSet<[u8; 16]>,
    /// Those that should have been deleted.
    owed: HashSet<[u8; 16]>,
}

impl Known {
    fn of(read: ReadBefore, owed: &[ReadMark]) -> Self {
        let missing = match read {
            ReadBefore::Messages(hashes) => hashes,
            ReadBefore::UpTo(_) => HashSet::new(),
        };
        let owed = owed.iter().filter_map(|mark| match mark {
            ReadMark::Message(hash) => Some(*hash),
            ReadMark::UpTo { .. } => None,
        });
        Self { owed: owed.collect(), missing, there: HashSet::new() }
    }

    /// Whether something is to be done with a message of the list. Two may have the same unique id (RFC 1939 7).
    fn meet(&mut self, hash: [u8; 16]) -> bool {
        if self.missing.remove(&hash) {
            self.there.insert(hash);
        }
        !self.there.contains(&hash) || self.owed.contains(&hash)
    }
}

/// Whether TOP gave less than nine tenths of what the listing tells: servers may cap its lines.
fn is_short(bytes: usize, octets: Option<u64>) -> bool {
    octets.is_some_and(|octets| (bytes as u64).saturating_mul(10) < octets.saturating_mul(9))
}

fn hash(id: &str) -> [u8; 16] {
    *blake3::hash(id.as_bytes()).as_bytes().first_chunk().expect("a hash is longer than its beginning")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_top_cut_short_is_noticed() {
        for (bytes, octets, expected) in
            [(89, Some(100), true), (90, Some(100), false), (120, Some(100), false), (1, None, false)]
        {
            assert_eq!(is_short(bytes, octets), expected, "{bytes} {octets:?}");
        }
    }

    #[test]
    fn what_was_read_is_not_met_again_unless_it_is_owed() {
        let read = [hash("a"), hash("b"), hash("gone")].into_iter().collect();
        let mut known = Known::of(ReadBefore::Messages(read), &[ReadMark::Message(hash("b"))]);
        let met: Vec<_> = ["a", "b", "c", "a"].map(|id| known.meet(hash(id))).into();
        assert_eq!(met, [false, true, true, false]);
        assert_eq!(known.missing, [hash("gone")].into());
    }
}
