//! A mailbox that does what a test says.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Notify, time::sleep};

use super::super::{
    mailbox::{Entered, Fetched, Item, Listing, Mailbox, Place, ReadBefore, Stop},
    opening::{NotRead, Opener},
};
use crate::{
    domain::{
        account::{Account, MailboxProtocol},
        inbound::ReadMark,
    },
    wire::{
        mailbox::{MailboxCause, MailboxFailure},
        steps::StepName,
    },
};

/// A server with one mailbox.
#[derive(Debug)]
pub(super) struct FakeServer {
    protocol: MailboxProtocol,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) mails: Vec<Mail>,
    last_uid: u32,
    pub(super) uid_validity: u32,
    pub(super) hang_after_fetch: bool,
    pub(super) fail_close: bool,
    pub(super) is_down: bool,
    /// Mails up to this UID are refused, in these words.
    pub(super) refused: (u32, &'static str),
    /// The mail whose fetching ends the connection.
    pub(super) breaks_fetch: Option<u32>,
    /// Whether waits for news break off at once.
    pub(super) breaks_waits: bool,
    openings: u64,
    fetched: u64,
    longest_listing: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Mail {
    uid: u32,
    raw: Vec<u8>,
    /// Whether its size is told.
    pub(super) is_sized: bool,
}

impl FakeServer {
    pub(super) fn new(protocol: MailboxProtocol) -> Self {
        let state = Mutex::new(State { uid_validity: 1, ..State::default() });
        Self { protocol, state, news: Notify::new() }
    }

    pub(super) fn put(&self, raw: Vec<u8>) {
        self.change(|state| {
            state.last_uid += 1;
            state.mails.push(Mail { uid: state.last_uid, raw, is_sized: true });
        });
        self.news.notify_one();
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state())
    }

    pub(super) fn left(&self) -> usize {
        self.state().mails.len()
    }

    pub(super) fn fetched(&self) -> u64 {
        self.state().fetched
    }

    pub(super) fn openings(&self) -> u64 {
        self.state().openings
    }

    pub(super) fn longest_listing(&self) -> usize {
        self.state().longest_listing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct FakeOpener(pub(super) Arc<FakeServer>);

#[async_trait]
impl Opener for FakeOpener {
    async fn open(&self, _account: &Arc<Account>) -> Result<Box<dyn Mailbox>, NotRead> {
        let mut state = self.0.state();
        state.openings += 1;
        if state.is_down {
            return Err(closed().into());
        }
        Ok(Box::new(FakeMailbox { server: Arc::clone(&self.0), marked: HashSet::new() }))
    }
}

/// A session.
#[derive(Debug)]
struct FakeMailbox {
    server: Arc<FakeServer>,
    /// What goes when it is closed well.
    marked: HashSet<u32>,
}

impl FakeMailbox {
    fn is_imap(&self) -> bool {
        self.server.protocol == MailboxProtocol::Imap
    }

    fn item(&self, mail: &Mail, uid_validity: u32) -> Item {
        let mark = if self.is_imap() {
            ReadMark::UpTo { folder: inbox(self.is_imap()).hash(), uid_validity, uid: mail.uid }
        } else {
            ReadMark::Message(hash(mail.uid))
        };
        let octets = mail.is_sized.then_some(mail.raw.len() as u64);
        Item { mark, number: mail.uid, uid: mail.uid.to_string().into(), octets }
    }
}

#[async_trait]
impl Mailbox for FakeMailbox {
    async fn places(&mut self) -> Result<Vec<Place>, MailboxFailure> {
        Ok(vec![inbox(self.is_imap())])
    }

    async fn enter(&mut self, _place: &Place) -> Result<Entered, MailboxFailure> {
        let state = self.server.state();
        let uid_validity = self.is_imap().then_some(state.uid_validity);
        Ok(Entered { uid_validity, messages: Some(state.mails.len() as u64) })
    }

    async fn list(&mut self, read: ReadBefore, owed: &[ReadMark], limit: usize) -> Result<Listing, MailboxFailure> {
        let mut state = self.server.state();
        let all: Vec<Item> = state.mails.iter().map(|mail| self.item(mail, state.uid_validity)).collect();
        let is_new = |item: &&Item| match &read {
            ReadBefore::UpTo(uid) => item.number > *uid,
            ReadBefore::Messages(hashes) => !hashes.contains(&hash(item.number)),
        };
        let new: Vec<Item> = all.iter().filter(is_new).cloned().collect();
        let owed = all.iter().filter(|item| owed.contains(&item.mark)).cloned().collect();
        let is_cut = new.len() > limit;
        let items: Vec<Item> = new.into_iter().take(limit).collect();
        state.longest_listing = state.longest_listing.max(items.len());
        Ok(Listing { items, owed, is_cut, ..Listing::default() })
    }

    async fn fetch(&mut self, item: &Item, bytes_max: u64) -> Result<Fetched, MailboxFailure> {
        let (raw, hangs) = {
            let mut state = self.server.state();
            state.fetched += 1;
            if state.breaks_fetch == Some(item.number) {
                return Err(closed());
            }
            if item.number <= state.refused.0 {
                return Ok(Fetched::Refused(state.refused.1.to_owned()));
            }
            let mail = state.mails.iter().find(|mail| mail.uid == item.number);
            (mail.map(|mail| mail.raw.clone()), state.hang_after_fetch)
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(match raw {
            Some(raw) if raw.len() as u64 > bytes_max => Fetched::TooLarge { bytes: None, session_ended: true },
            Some(raw) => Fetched::Message(raw),
            None => Fetched::Gone,
        })
    }

    async fn delete(&mut self, items: &[Item]) -> Result<(), MailboxFailure> {
        self.marked.extend(items.iter().map(|item| item.number));
        if self.deletes_at_once() {
            let marked = std::mem::take(&mut self.marked);
            self.server.change(|state| state.mails.retain(|mail| !marked.contains(&mail.uid)));
        }
        Ok(())
    }

    fn deletes_at_once(&self) -> bool {
        self.is_imap()
    }

    async fn tells_news(&mut self) -> Result<bool, MailboxFailure> {
        Ok(self.is_imap())
    }

    async fn wait(&mut self, at_most: Duration, stop: Stop<'_>) -> Result<(), MailboxFailure> {
        if self.server.change(|state| state.breaks_waits) {
            sleep(Duration::from_secs(1)).await;
            return Err(closed());
        }
        tokio::select! {
            () = stop => {}
            () = self.server.news.notified() => {}
            () = sleep(at_most) => {}
        }
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), MailboxFailure> {
        let marked = &self.marked;
        self.server.change(|state| {
            if state.fail_close {
                return Err(closed());
            }
            state.mails.retain(|mail| !marked.contains(&mail.uid));
            Ok(())
        })
    }

    async fn leave(self: Box<Self>) {}
}

fn closed() -> MailboxFailure {
    MailboxFailure { phase: StepName::Messages, cause: MailboxCause::Closed, transcript: String::new() }
}

fn inbox(is_imap: bool) -> Place {
    if is_imap { Place { name: Some("INBOX".into()), shown: Some("INBOX".into()) } } else { Place::MAILDROP }
}

fn hash(uid: u32) -> [u8; 16] {
    u128::from(uid).to_be_bytes()
}

/// A report that the mail to `recipient` failed with this status, sent to `to`.
pub(super) fn bounce(to: &str, recipient: &str, status: &str) -> Vec<u8> {
    format!(
        "Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@mx.example.com\r\nTo: <{to}>\r\n\
         Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <{to}.{status}@mx.example.com>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nIt failed.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {status}\r\n\
         Diagnostic-Code: smtp; 550 {status} no such user\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

/// A vacation notice.
pub(super) fn vacation() -> Vec<u8> {
    b"From: taro@example.com\r\nTo: sales@example.jp\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\
      Message-ID: <v@example.com>\r\n\r\nI am away until Monday.\r\n"
        .to_vec()
}
