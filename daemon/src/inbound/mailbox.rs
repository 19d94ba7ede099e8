//! What does a look into a mailbox need of it, whatever its protocol is?

use std::{collections::HashSet, fmt, future::Future, pin::Pin, time::Duration};

use async_trait::async_trait;

use crate::{
    domain::{
        account::{IncomingMailbox, MailboxProtocol},
        inbound::{MailboxId, ReadMark},
    },
    wire::mailbox::MailboxFailure,
};

mod imap;
mod pop3;

pub(super) use self::{imap::ImapMailbox, pop3::Pop3Mailbox};

/// What ends a wait for news.
pub(super) type Stop<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A mailbox that is open.
///
/// Places are the folders of IMAP, and the one maildrop of POP3. Every failure ends the session; what a server only refuses is an
/// answer.
#[async_trait]
pub(super) trait Mailbox: fmt::Debug + Send {
    /// The places that are read, the one where mail arrives first.
    async fn places(&mut self) -> Result<Vec<Place>, MailboxFailure>;

    /// Goes to a place.
    async fn enter(&mut self, place: &Place) -> Result<Entered, MailboxFailure>;

    /// The first messages of the place that were not read before, at most `limit`.
    async fn list(&mut self, read: ReadBefore, owed: &[ReadMark], limit: usize) -> Result<Listing, MailboxFailure>;

    /// Reads a message of at most `bytes_max` bytes. It is not marked as read.
    async fn fetch(&mut self, item: &Item, bytes_max: u64) -> Result<Fetched, MailboxFailure>;

    /// Deletes messages of the place.
    async fn delete(&mut self, items: &[Item]) -> Result<(), MailboxFailure>;

    /// Whether what is deleted is gone at once, and not when the mailbox is closed well.
    fn deletes_at_once(&self) -> bool;

    /// Whether the server tells of news by itself.
    async fn tells_news(&mut self) -> Result<bool, MailboxFailure>;

    /// Waits for news of the place, at most `at_most` or until `stop`; the session goes on.
    async fn wait(&mut self, at_most: Duration, stop: Stop<'_>) -> Result<(), MailboxFailure>;

    /// Closes it, and by that deletes what is to be deleted.
    async fn close(self: Box<Self>) -> Result<(), MailboxFailure>;

    /// Leaves it without deleting anything more.
    async fn leave(self: Box<Self>);
}

/// A place in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What the server calls it; nothing for POP3.
    pub(super) name: Option<Box<str>>,
    /// Its name for people.
    pub(super) shown: Option<Box<str>>,
}

impl Place {
    /// Where all mail of POP3 lies.
    pub(super) const MAILDROP: Self = Self { name: None, shown: None };

    /// By what its marks are told from those of other places.
    pub(super) fn hash(&self) -> [u8; 8] {
        let hash = blake3::hash(self.name.as_deref().unwrap_or_default().as_bytes());
        *hash.as_bytes().first_chunk().expect("a hash is longer than its beginning")
    }
}

/// What is known of a place when it is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    /// Which numbering its UIDs have; nothing for POP3, whose messages are known by unique ids.
    pub(super) uid_validity: Option<u32>,
    /// How many messages are in it, if that is known yet.
    pub(super) messages: Option<u64>,
}

/// What was read of a place before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadBefore {
    /// The messages with these hashes of unique ids.
    Messages(HashSet<[u8; 16]>),
    /// All up to this UID.
    UpTo(u32),
}

/// What is to be done in a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Messages that were not read yet, in the order in which they are to be read.
    pub(super) items: Vec<Item>,
    /// Messages that were read and should have been deleted then.
    pub(super) owed: Vec<Item>,
    /// The hashes of unique ids that were read before and are there no more.
    pub(super) gone: Vec<[u8; 16]>,
    /// How many messages are there in all, if the listing tells.
    pub(super) messages: Option<u64>,
    /// Whether there are more than were asked for.
    pub(super) is_cut: bool,
}

/// A message in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// What notes that it was read.
    pub(super) mark: ReadMark,
    /// The number or UID by which the session calls it.
    pub(super) number: u32,
    /// Its UID or unique id, for people.
    pub(super) uid: Box<str>,
    /// How long it is in bytes, as far as the server tells.
    pub(super) octets: Option<u64>,
}

/// What came of asking for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// Its bytes.
    Message(Vec<u8>),
    /// It is too large.
    TooLarge {
        /// How long it is in bytes, as far as that is known.
        bytes: Option<u64>,
        /// Whether the session was ended for it.
        session_ended: bool,
    },
    /// It is there no more.
    Gone,
    /// The server does not give it, in these words.
    Refused(String),
}

/// The mailbox that these settings mean, for a user: the same as long as server, user and protocol are.
pub(super) fn id_of(settings: &IncomingMailbox, user: &str) -> MailboxId {
    let protocol = match settings.protocol {
        MailboxProtocol::Pop3 => "pop3",
        MailboxProtocol::Imap => "imap",
    };
    let server = &settings.server;
    let host = server.host.to_string().to_lowercase();
    let name = format!("{protocol}\0{host}\0{}\0{user}", server.port);
    let hash = blake3::hash(name.as_bytes());
    MailboxId::new(*hash.as_bytes().first_chunk().expect("a hash is longer than its beginning"))
}
