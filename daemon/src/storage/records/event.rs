//! How events are kept: those of one commit together, each account's id once.

use serde::{Deserialize, Serialize};

use super::{
    BadRow, as_base64,
    codes::Code,
    idempotency::job_id,
    parsed::parsed,
    report::{inbound_id, reason},
    standing::ParkingRow,
};
use crate::domain::{
    event::{Event, EventKind, JobChange},
    ids::AccountId,
    inbound::MailboxChange,
    time::Timestamp,
};

/// The events of one commit.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsRow {
    /// The accounts that the events mean by their place.
    #[prost(string, repeated, tag = "1")]
    pub accounts: Vec<String>,
    /// The events, in order.
    #[prost(message, repeated, tag = "2")]
    pub events: Vec<EventRow>,
}

/// An [`Event`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct EventRow {
    /// In milliseconds since 1970.
    #[prost(uint64, tag = "1")]
    pub at: u64,
    /// The account's place, counted from 0.
    #[prost(uint32, tag = "2")]
    pub account: u32,
    /// 1 job accepted, 2 attempted, 3 controlled, 4 expired, 5 diverted, 6 approved, 7 reported, 8 suppressed, 9 reconciled; 10 account
    /// created, 11 updated, 12 deleted, 13 parked, 14 resumed; 20 mail arrived, 21 skipped, 22 mailbox failing, 23 recovered, 24 crowded.
    #[prost(uint32, tag = "3")]
    pub kind: u32,
    /// The job, or the mail that arrived, 16 bytes; empty for another event about the account.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(with = "as_base64")]
    pub job: Vec<u8>,
    /// The job's state afterwards.
    #[prost(uint32, tag = "5")]
    pub state: u32,
    /// For an attempt its number, the counts of submitted, deferred, failed and in doubt, and, unless it is 0, the number
    /// of the message; for a control its code; for a report the recipient and the kind; the recipients that are suppressed; for a
    /// reconciliation the message and whether it was found.
    #[prost(uint32, repeated, tag = "6")]
    pub numbers: Vec<u32>,
    /// Why the account was parked.
    #[prost(message, optional, tag = "7")]
    pub parking: Option<ParkingRow>,
    /// The account that had a diverted job before.
    #[prost(string, optional, tag = "8")]
    pub from_account: Option<String>,
    /// The reason of a report; why a mailbox fails; the folder of a mail that was skipped.
    #[prost(string, optional, tag = "9")]
    pub text: Option<String>,
    /// The UID of a mail that was skipped.
    #[prost(string, optional, tag = "10")]
    pub uid: Option<String>,
    /// The length of a mail that was skipped; how many messages are in a crowded mailbox.
    #[prost(uint64, optional, tag = "11")]
    pub size: Option<u64>,
}

impl EventsRow {
    /// The row of events that were committed together.
    #[must_use]
    pub fn new(events: &[Event]) -> Self {
        let mut accounts: Vec<String> = Vec::new();
        let mut places = std::collections::HashMap::new();
        let rows = events.iter().map(|event| {
            let account = *places.entry(&event.account).or_insert_with(|| {
                accounts.push(event.account.as_str().to_owned());
                u32::try_from(accounts.len() - 1).expect("a commit holds fewer than 65,536 events")
            });
            EventRow::new(event, account)
        });
        let events = rows.collect();
        Self { accounts, events }
    }

    /// The events, in order.
    ///
    /// # Errors
    /// When a part of the row means nothing.
    pub fn into_events(self) -> Result<Vec<Event>, BadRow> {
        let accounts = self.accounts.iter().map(|text| parsed::<AccountId>("account", text));
        let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        let account = |place: u32| {
            let found = usize::try_from(place).ok().and_then(|place| accounts.get(place));
            found.cloned().ok_or_else(|| BadRow::new("event", "means no account"))
        };
        self.events.into_iter().map(|row| row.into_event(account)).collect()
    }
}

impl EventRow {
    fn new(event: &Event, account: u32) -> Self {
        let mut row = Self { at: event.at.as_millis(), account, ..Self::default() };
        row.kind = match &event.kind {
            EventKind::Job { id, change, state } => {
                row.job = id.to_bytes().to_vec();
                row.state = state.code();
                match change {
                    JobChange::Accepted => 1,
                    JobChange::Attempted { message, attempt, submitted, deferred, failed, in_doubt } => {
                        row.numbers = vec![*attempt, *submitted, *deferred, *failed, *in_doubt];
                        row.numbers.extend((*message > 0).then_some(*message));
                        2
                    }
                    JobChange::Controlled(control) => {
                        row.numbers = vec![control.code()];
                        3
                    }
                    JobChange::Expired => 4,
                    JobChange::Reported { recipient, kind, reason } => {
                        row.numbers = vec![*recipient, kind.code()];
                        row.text = Some(reason.as_str().to_owned());
                        7
                    }
                    JobChange::Suppressed { recipients } => {
                        row.numbers.clone_from(recipients);
                        8
                    }
                    JobChange::Reconciled { message, found } => {
                        row.numbers = vec![*message, u32::from(*found)];
                        9
                    }
                    JobChange::Approved => 6,
                    JobChange::Diverted { from } => {
                        row.from_account = Some(from.as_str().to_owned());
                        5
                    }
                }
            }
            EventKind::AccountCreated => 10,
            EventKind::AccountUpdated => 11,
            EventKind::AccountDeleted => 12,
            EventKind::AccountParked(parking) => {
                row.parking = Some(parking.into());
                13
            }
            EventKind::AccountResumed => 14,
            EventKind::Mailbox(change) => row.set_mailbox(change),
        };
        row
    }

    fn into_event(self, account: impl Fn(u32) -> Result<AccountId, BadRow>) -> Result<Event, BadRow> {
        let bad = |why: &str| BadRow::new("event", why);
        let kind = match (self.kind, self.numbers.as_slice()) {
            (1, _) => self.job_event(JobChange::Accepted)?,
            (2, &[attempt, submitted, deferred, failed, in_doubt, ref message @ ..]) if message.len() <= 1 => {
                let message = message.first().copied().unwrap_or(0);
                self.job_event(JobChange::Attempted { message, attempt, submitted, deferred, failed, in_doubt })?
            }
            (3, &[control]) => self.job_event(JobChange::Controlled(Code::from_code(control)?))?,
            (4, _) => self.job_event(JobChange::Expired)?,
            (6, _) => self.job_event(JobChange::Approved)?,
            (5, _) => {
                let from = self.from_account.as_deref().ok_or_else(|| bad("diverts from nowhere"))?;
                self.job_event(JobChange::Diverted { from: parsed("account", from)? })?
            }
            (10, _) => EventKind::AccountCreated,
            (11, _) => EventKind::AccountUpdated,
            (12, _) => EventKind::AccountDeleted,
            (13, _) => {
                let parking = self.parking.ok_or_else(|| bad("parks without a reason"))?;
                EventKind::AccountParked(parking.try_into()?)
            }
            (14, _) => EventKind::AccountResumed,
            (20..=24, _) => EventKind::Mailbox(self.mailbox_change()?),
            (7, &[recipient, kind]) => {
                let reason = reason(self.text.as_deref().unwrap_or_default());
                self.job_event(JobChange::Reported { recipient, kind: Code::from_code(kind)?, reason })?
            }
            (8, recipients) => self.job_event(JobChange::Suppressed { recipients: recipients.to_vec() })?,
            (9, &[message, found]) => self.job_event(JobChange::Reconciled { message, found: found != 0 })?,
            (kind, _) => return Err(BadRow::new("event", format_args!("unknown kind {kind}"))),
        };
        Ok(Event { at: Timestamp::from_millis(self.at), account: account(self.account)?, kind })
    }

    /// Notes what happened to a mailbox, and says which kind of event that is.
    fn set_mailbox(&mut self, change: &MailboxChange) -> u32 {
        match change {
            MailboxChange::Arrived(id) => {
                self.job = id.to_bytes().to_vec();
                20
            }
            MailboxChange::Skipped { bytes, folder, uid } => {
                self.size = Some(*bytes);
                self.text = folder.as_deref().map(str::to_owned);
                self.uid = Some(uid.to_string());
                21
            }
            MailboxChange::Failing(why) => {
                self.text = Some(why.to_string());
                22
            }
            MailboxChange::Recovered => 23,
            MailboxChange::Crowded { messages } => {
                self.size = Some(*messages);
                24
            }
        }
    }

    fn mailbox_change(&self) -> Result<MailboxChange, BadRow> {
        let text = || self.text.as_deref().map(Box::<str>::from);
        let size = self.size.unwrap_or(0);
        Ok(match self.kind {
            20 => MailboxChange::Arrived(inbound_id(&self.job)?),
            21 => {
                let uid = self.uid.as_deref().unwrap_or_default().into();
                MailboxChange::Skipped { bytes: size, folder: text(), uid }
            }
            22 => MailboxChange::Failing(text().unwrap_or_default()),
            23 => MailboxChange::Recovered,
            _ => MailboxChange::Crowded { messages: size },
        })
    }

    fn job_event(&self, change: JobChange) -> Result<EventKind, BadRow> {
        Ok(EventKind::Job { id: job_id(&self.job)?, change, state: Code::from_code(self.state)? })
    }
}
