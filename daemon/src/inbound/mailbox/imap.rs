//! How is an IMAP mailbox looked into?

use std::time::Duration;

use async_trait::async_trait;

use super::{Entered, Fetched, Item, Listing, Mailbox, Place, ReadBefore, Stop};
use crate::{
    domain::{
        account::IncomingMailbox,
        folder::{Folder, SpecialUse},
        inbound::ReadMark,
    },
    policy::sent_folder::sent_folder,
    wire::{
        imap::{self, Access, ImapSession, LISTED_MAX, Wanted},
        mailbox::MailboxFailure,
    },
};

const INBOX: &str = "INBOX";
/// Most folders that are read.
const FOLDERS_READ_MAX: usize = 200;

/// An IMAP session.
#[derive(Debug)]
pub(in crate::inbound) struct ImapMailbox {
    session: ImapSession,
    settings: ImapSettings,
    /// Where the session is, and which numbering of UIDs that has.
    place: ([u8; 8], u32),
}

/// What the account's settings say of the reading.
#[derive(Clone, Copy, Debug)]
struct ImapSettings {
    all_folders: bool,
    wanted: Wanted,
    access: Access,
}

impl ImapMailbox {
    pub(in crate::inbound) fn new(session: ImapSession, settings: &IncomingMailbox) -> Self {
        let settings = ImapSettings {
            all_folders: settings.all_folders,
            wanted: if settings.unseen_only { Wanted::Unseen } else { Wanted::All },
            access: if settings.delete_after_fetch { Access::Change } else { Access::Read },
        };
        Self { session, settings, place: ([0; 8], 0) }
    }

    fn item(&self, uid: u32, octets: Option<u32>) -> Item {
        let (folder, uid_validity) = self.place;
        let mark = ReadMark::UpTo { folder, uid_validity, uid };
        Item { mark, number: uid, uid: uid.to_string().into(), octets: octets.map(u64::from) }
    }
}

#[async_trait]
impl Mailbox for ImapMailbox {
    async fn places(&mut self) -> Result<Vec<Place>, MailboxFailure> {
        let inbox = Place { name: Some(INBOX.into()), shown: Some(INBOX.into()) };
        if !self.settings.all_folders {
            return Ok(vec![inbox]);
        }
        let folders = self.session.folders().await?;
        Ok(std::iter::once(inbox).chain(others(&folders)).take(FOLDERS_READ_MAX).collect())
    }

    async fn enter(&mut self, place: &Place) -> Result<Entered, MailboxFailure> {
        let name = place.name.as_deref().unwrap_or(INBOX);
        let state = self.session.open_folder(name, self.settings.access).await?;
        self.place = (place.hash(), state.uid_validity);
        Ok(Entered { uid_validity: Some(state.uid_validity), messages: Some(state.messages.into()) })
    }

    async fn list(&mut self, read: ReadBefore, owed: &[ReadMark], limit: usize) -> Result<Listing, MailboxFailure> {
        let first = match read {
            ReadBefore::UpTo(u32::MAX) => return Ok(Listing::default()),
            ReadBefore::UpTo(uid) => uid + 1,
            ReadBefore::Messages(_) => 1,
        };
        let limit = limit.min(LISTED_MAX);
        let listed = self.session.list_from(first, self.settings.wanted, limit).await?;
        let owed = owed.iter().filter_map(|mark| match mark {
            ReadMark::UpTo { folder, uid_validity, uid } if (*folder, *uid_validity) == self.place => {
                Some(self.item(*uid, None))
            }
            _ => None,
        });
        Ok(Listing {
            owed: owed.collect(),
            is_cut: listed.len() == limit,
            items: listed.iter().map(|listed| self.item(listed.uid, listed.octets)).collect(),
            ..Listing::default()
        })
    }

    async fn fetch(&mut self, item: &Item, bytes_max: u64) -> Result<Fetched, MailboxFailure> {
        Ok(match self.session.fetch(item.number, bytes_max).await? {
            imap::Fetched::Message(bytes) => Fetched::Message(bytes),
            imap::Fetched::TooLarge(bytes) => Fetched::TooLarge { bytes: Some(bytes), session_ended: false },
            imap::Fetched::Gone => Fetched::Gone,
            imap::Fetched::Refused(words) => Fetched::Refused(words),
        })
    }

    async fn delete(&mut self, items: &[Item]) -> Result<(), MailboxFailure> {
        let uids: Vec<u32> = items.iter().map(|item| item.number).collect();
        self.session.delete(&uids).await.map(drop)
    }

    fn deletes_at_once(&self) -> bool {
        true
    }

    async fn tells_news(&mut self) -> Result<bool, MailboxFailure> {
        self.session.offers_idle().await
    }

    async fn wait(&mut self, at_most: Duration, stop: Stop<'_>) -> Result<(), MailboxFailure> {
        self.session.idle(at_most, stop).await.map(drop)
    }

    async fn close(self: Box<Self>) -> Result<(), MailboxFailure> {
        self.session.logout().await;
        Ok(())
    }

    async fn leave(self: Box<Self>) {
        self.session.logout().await;
    }
}

/// The folders besides INBOX in which mail from others may lie: bounces are taken for junk, too. What we wrote or threw away is
/// not looked through, nor what is in another folder as well.
fn others(folders: &[Folder]) -> impl Iterator<Item = Place> {
    let sent = sent_folder(folders).map(|folder| folder.name.as_str());
    let is_read = move |folder: &&Folder| {
        use SpecialUse::{All, Drafts, Flagged, Sent, Trash};
        let is_of_ours = matches!(folder.special_use, Some(All | Drafts | Flagged | Sent | Trash));
        let is_inbox = folder.name.eq_ignore_ascii_case(INBOX);
        folder.is_selectable && !is_of_ours && !is_inbox && sent != Some(folder.name.as_str())
    };
    folders.iter().filter(is_read).map(|folder| Place {
        name: Some(folder.name.as_str().into()),
        shown: Some(folder.decoded_name.as_str().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_with_mail_of_others_are_read() {
        let folder = |name: &str, special_use, is_selectable| Folder {
            name: name.to_owned(),
            decoded_name: name.to_owned(),
            delimiter: Some('/'),
            special_use,
            is_selectable,
        };
        let folders = [
            folder("inbox", None, true),
            folder("Sent Items", None, true),
            folder("Lists/a", None, true),
            folder("Lists", None, false),
            folder("Spam", Some(SpecialUse::Junk), true),
            folder("Bin", Some(SpecialUse::Trash), true),
            folder("[Gmail]/All Mail", Some(SpecialUse::All), true),
            folder("Drafts", Some(SpecialUse::Drafts), true),
            folder("Old", Some(SpecialUse::Archive), true),
        ];
        let read: Vec<_> = others(&folders).filter_map(|place| place.name).collect();
        assert_eq!(read, ["Lists/a".into(), "Spam".into(), "Old".into()]);
    }
}
