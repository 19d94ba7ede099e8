//! What happens in one look into a mailbox: what is new is read, taken in, and only then deleted, one mail after the other.

use std::collections::HashMap;

use super::{
    assay::{Assayed, Assayer},
    ingest::Intake,
    mailbox::{Entered, Fetched, Item, Listing, Mailbox, Place, ReadBefore},
    opening::NotRead,
};
use crate::{
    domain::inbound::{MailboxChange, ReadMark},
    storage::StorageError,
};

/// Most mails that are read in one look; more are read in the next, which follows at once. By POP3 nothing is deleted before a look
/// has ended well, so this is also what a lost connection may leave behind.
pub(super) const LOOK_MAILS_MAX: usize = 500;
/// Most mails that are deleted by one command.
const DELETED_AT_ONCE_MAX: usize = 50;
/// Most mails that are neither ours nor wanted before an IMAP folder's mark is moved past them.
const PASSED_MAX: usize = 50;
/// How often a mail is asked for that its server does not give, or that cannot be taken apart.
const TRIES_MAX: u8 = 3;
/// Most such mails that are remembered.
const STUCK_MAX: usize = 1_000;
/// Response codes that say that a mail may be given later: RFC 2449 8.1, RFC 3206 4, RFC 5530 3, RFC 9208 4.3.
const TEMPORARY_CODES: [&str; 7] =
    ["[UNAVAILABLE]", "[SERVERBUG]", "[LIMIT]", "[OVERQUOTA]", "[INUSE]", "[SYS/TEMP]", "[IN-USE]"];
/// Most deletions that are remembered for the next look.
const OWED_MAX: usize = 10_000;

/// What a reader remembers from look to look.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What was taken in and should have been deleted.
    owed: Vec<ReadMark>,
    /// Mails that could not be read, and how often that was tried.
    stuck: HashMap<ReadMark, u8>,
    /// The mail that is being fetched: still there after a look that it ended.
    fetching: Option<ReadMark>,
    /// Whether anything was done in this look.
    has_progressed: bool,
    /// Whether the last listing said that there is no message at all.
    was_empty: bool,
}

impl Memory {
    /// The mailbox was closed well: what was marked is deleted.
    pub(super) fn closed(&mut self) {
        self.owed.clear();
    }

    /// How often a mail could not be read.
    fn tries(&self, mark: &ReadMark) -> u8 {
        self.stuck.get(mark).copied().unwrap_or(0)
    }

    /// A mail could not be read; returns how often by now.
    fn failed(&mut self, mark: &ReadMark) -> u8 {
        if self.stuck.len() >= STUCK_MAX
            && !self.stuck.contains_key(mark)
            && let Some(other) = self.stuck.keys().next().cloned()
        {
            self.stuck.remove(&other);
        }
        let tries = self.stuck.entry(mark.clone()).or_default();
        *tries = tries.saturating_add(1);
        *tries
    }
}

/// What was met in looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Mails that were read.
    pub(super) read: u64,
    /// Bounces and complaints among them.
    pub(super) bounces: u64,
    /// Mails that were not read, most of them because they are too large.
    pub(super) skipped: u64,
    /// How large the last that was too large is, in bytes, and where it lies.
    pub(super) last_skipped: Option<(u64, Place)>,
    /// How many messages were in the first place.
    pub(super) messages: Option<u64>,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All was read.
    Done,
    /// There is more: look again at once.
    Cut,
    /// There may be more, but the session has no more to give.
    Broken,
}

/// A look into the mailbox of an account.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) intake: &'a Intake<'a>,
    pub(super) assayer: &'a Assayer,
    pub(super) memory: &'a mut Memory,
    pub(super) tally: &'a mut Tally,
}

/// What becomes of the rest of a place.
enum Then {
    GoOn,
    /// The rest waits for the next look.
    LeaveIt,
    SessionEnded,
}

impl Look<'_> {
    /// Looks in. Afterwards the session is at the place where mail arrives.
    pub(super) async fn look(&mut self, mailbox: &mut dyn Mailbox) -> Result<Ended, NotRead> {
        if let Some(mark) = self.memory.fetching.take() {
            self.memory.failed(&mark);
        }
        self.memory.has_progressed = false;
        let places = mailbox.places().await?;
        let mut room = LOOK_MAILS_MAX;
        for (at, place) in places.iter().enumerate() {
            let entered = mailbox.enter(place).await?;
            if at == 0 {
                self.tally.messages = entered.messages;
            }
            match self.read_place(mailbox, place, entered, &mut room).await? {
                Ended::Done if !self.is_stopping() => {}
                Ended::Done => return Ok(Ended::Cut),
                ended => return Ok(ended),
            }
        }
        if let [first, _, ..] = places.as_slice() {
            mailbox.enter(first).await?;
        }
        Ok(Ended::Done)
    }

    async fn read_place(
        &mut self,
        mailbox: &mut dyn Mailbox,
        place: &Place,
        entered: Entered,
        room: &mut usize,
    ) -> Result<Ended, NotRead> {
        let read = self.read_before(place, entered).await?;
        let listing = mailbox.list(read, &self.memory.owed, *room).await?;
        let Listing { mut items, owed, gone, messages, is_cut } = listing;
        self.tally.messages = messages.or(self.tally.messages);
        // A server that is in trouble may say once that there is nothing.
        let is_empty = messages == Some(0);
        let is_sure = !is_empty || self.memory.was_empty;
        self.memory.was_empty = is_empty;
        if !gone.is_empty() && is_sure {
            let Intake { context, account, mailbox, .. } = self.intake;
            context.storage.forget_read(&account.id, *mailbox, gone).await?;
        }
        *room = room.saturating_sub(items.len());
        if entered.uid_validity.is_none() {
            // Those that could not be read come last.
            items.sort_by_key(|item| self.memory.tries(&item.mark));
        }
        let mut place = InPlace { place, passed: None, passed_count: 0, to_delete: owed };
        let read = self.read_items(mailbox, &mut place, &items).await;
        // Whatever was met, what was done is noted; after a failure no command would be heard.
        if let Some(mark) = place.passed.take() {
            self.note_passed(mark).await?;
        }
        let then = read?;
        self.delete(mailbox, &mut place).await?;
        Ok(match then {
            Then::SessionEnded => Ended::Broken,
            // Without any progress, the next look at once would come to the same.
            Then::GoOn if is_cut && self.memory.has_progressed => Ended::Cut,
            Then::GoOn | Then::LeaveIt => Ended::Done,
        })
    }

    async fn read_items(
        &mut self,
        mailbox: &mut dyn Mailbox,
        place: &mut InPlace<'_>,
        items: &[Item],
    ) -> Result<Then, NotRead> {
        for item in items {
            if self.is_stopping() {
                return Ok(Then::LeaveIt);
            }
            match self.read_one(mailbox, place, item).await? {
                Then::GoOn => {}
                then => return Ok(then),
            }
            if place.to_delete.len() >= DELETED_AT_ONCE_MAX {
                self.delete(mailbox, place).await?;
            }
        }
        Ok(Then::GoOn)
    }

    async fn read_one(
        &mut self,
        mailbox: &mut dyn Mailbox,
        place: &mut InPlace<'_>,
        item: &Item,
    ) -> Result<Then, NotRead> {
        let bytes_max = self.intake.settings.message_bytes_max;
        if self.memory.tries(&item.mark) >= TRIES_MAX {
            // It ended the connection each time.
            self.give_up(place, item).await?;
            return Ok(Then::GoOn);
        }
        let fetched = match item.octets {
            Some(bytes) if bytes > bytes_max => Fetched::TooLarge { bytes: Some(bytes), session_ended: false },
            _ => self.fetch(mailbox, item, bytes_max).await?,
        };
        match fetched {
            Fetched::Message(raw) => match self.assayer.assay(raw, self.intake.settings.all_mail).await {
                Some(assayed) => {
                    self.memory.stuck.remove(&item.mark);
                    self.take_in(place, item, assayed).await?;
                    self.memory.has_progressed = true;
                    Ok(Then::GoOn)
                }
                None => self.not_read(place, item).await,
            },
            Fetched::TooLarge { bytes, session_ended } => {
                self.skip_large(place, item, bytes.unwrap_or(0).max(bytes_max.saturating_add(1))).await?;
                Ok(if session_ended { Then::SessionEnded } else { Then::GoOn })
            }
            Fetched::Gone => {
                place.pass(item);
                self.memory.has_progressed = true;
                Ok(Then::GoOn)
            }
            Fetched::Refused(words) => {
                let account = &self.intake.account.id;
                tracing::warn!(%account, uid = %item.uid, words, "the server does not give a mail");
                if is_temporary(&words) { Ok(wait_for(item)) } else { self.not_read(place, item).await }
            }
        }
    }

    /// Fetches a mail. One that ends the connection each time is not asked for for ever.
    async fn fetch(&mut self, mailbox: &mut dyn Mailbox, item: &Item, bytes_max: u64) -> Result<Fetched, NotRead> {
        self.memory.fetching = Some(item.mark.clone());
        let fetched = mailbox.fetch(item, bytes_max).await;
        let is_blameless = match &fetched {
            Ok(_) => true,
            Err(failure) => is_temporary(&failure.to_string()),
        };
        if is_blameless {
            self.memory.fetching = None;
        }
        Ok(fetched?)
    }

    async fn take_in(&mut self, place: &mut InPlace<'_>, item: &Item, assayed: Assayed) -> Result<(), NotRead> {
        let is_report = assayed.is_report();
        let may_pass = !is_report && !self.intake.settings.all_mail && assayed.findings.recipients.is_empty();
        if may_pass && matches!(item.mark, ReadMark::UpTo { .. }) {
            self.tally.read += 1;
            if place.pass(item) >= PASSED_MAX
                && let Some(mark) = place.passed.take()
            {
                self.note_passed(mark).await?;
                place.passed_count = 0;
            }
            return Ok(());
        }
        let taken = self.intake.take_in(item, place.place, assayed).await?;
        // The mark of this mail is past all others of the folder.
        (place.passed, place.passed_count) = (None, 0);
        self.tally.read += u64::from(taken.is_new);
        self.tally.bounces += u64::from(taken.is_new && is_report);
        if taken.may_go && self.intake.settings.delete_after_fetch {
            place.to_delete.push(item.clone());
            if self.memory.owed.len() < OWED_MAX {
                self.memory.owed.push(item.mark.clone());
            }
        }
        Ok(())
    }

    async fn skip_large(&mut self, place: &mut InPlace<'_>, item: &Item, bytes: u64) -> Result<(), NotRead> {
        if self.skip(place, item, bytes).await? {
            let account = &self.intake.account.id;
            tracing::warn!(%account, uid = %item.uid, bytes, "a mail is too large to be read: it stays where it is");
            self.tally.last_skipped = Some((bytes, place.place.clone()));
        }
        Ok(())
    }

    /// Notes that a mail will not be read; returns whether that was new.
    async fn skip(&mut self, place: &mut InPlace<'_>, item: &Item, bytes: u64) -> Result<bool, NotRead> {
        let change = MailboxChange::Skipped { bytes, folder: place.place.shown.clone(), uid: item.uid.clone() };
        let now = self.intake.context.clock.now();
        let is_new = self.intake.note(item.mark.clone(), Some(change), now).await?;
        self.tally.skipped += u64::from(is_new);
        (place.passed, place.passed_count) = (None, 0);
        self.memory.has_progressed = true;
        Ok(is_new)
    }

    /// A mail that could not be read waits for a later look, for a while, and is never deleted.
    async fn not_read(&mut self, place: &mut InPlace<'_>, item: &Item) -> Result<Then, NotRead> {
        if self.memory.failed(&item.mark) < TRIES_MAX {
            return Ok(wait_for(item));
        }
        self.give_up(place, item).await?;
        Ok(Then::GoOn)
    }

    async fn give_up(&mut self, place: &mut InPlace<'_>, item: &Item) -> Result<(), NotRead> {
        let account = &self.intake.account.id;
        tracing::error!(%account, uid = %item.uid, "a mail could not be read {TRIES_MAX} times: it stays where it is");
        self.skip(place, item, item.octets.unwrap_or(0)).await?;
        self.memory.stuck.remove(&item.mark);
        Ok(())
    }

    async fn read_before(&self, place: &Place, entered: Entered) -> Result<ReadBefore, StorageError> {
        let Intake { context, account, mailbox, .. } = self.intake;
        let Some(uid_validity) = entered.uid_validity else {
            return Ok(ReadBefore::Messages(context.storage.read_messages(&account.id, *mailbox).await?));
        };
        let read = context.storage.read_up_to(&account.id, *mailbox, place.hash()).await?;
        // RFC 3501 2.3.1.1: UIDs of another numbering mean nothing.
        let up_to = read.filter(|(validity, _)| *validity == uid_validity).map_or(0, |(_, uid)| uid);
        Ok(ReadBefore::UpTo(up_to))
    }

    async fn note_passed(&self, mark: ReadMark) -> Result<(), NotRead> {
        self.intake.note(mark, None, self.intake.context.clock.now()).await?;
        Ok(())
    }

    async fn delete(&mut self, mailbox: &mut dyn Mailbox, place: &mut InPlace<'_>) -> Result<(), NotRead> {
        let items = std::mem::take(&mut place.to_delete);
        if items.is_empty() {
            return Ok(());
        }
        mailbox.delete(&items).await?;
        if mailbox.deletes_at_once() {
            self.memory.owed.retain(|mark| !items.iter().any(|item| item.mark == *mark));
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.intake.context.stopping.is_cancelled()
    }
}

/// What becomes of the rest of a place when a mail has to wait: in an IMAP folder those behind it wait, too, as the mark would be
/// past it.
const fn wait_for(item: &Item) -> Then {
    match item.mark {
        ReadMark::Message(_) => Then::GoOn,
        ReadMark::UpTo { .. } => Then::LeaveIt,
    }
}

/// Whether a server's words say that it may give the mail later.
fn is_temporary(words: &str) -> bool {
    let words = words.to_ascii_uppercase();
    TEMPORARY_CODES.iter().any(|code| words.contains(code))
}

/// How far a look is in a place.
struct InPlace<'a> {
    place: &'a Place,
    /// The mark of the last mail that is nothing to us, and how many there were since one was noted.
    passed: Option<ReadMark>,
    passed_count: usize,
    to_delete: Vec<Item>,
}

impl InPlace<'_> {
    /// Passes a mail of an IMAP folder by; returns how many were passed by since a mark was noted.
    fn pass(&mut self, item: &Item) -> usize {
        if matches!(item.mark, ReadMark::UpTo { .. }) {
            self.passed = Some(item.mark.clone());
            self.passed_count += 1;
        }
        self.passed_count
    }
}
