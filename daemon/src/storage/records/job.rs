//! How a job is kept.

use serde::{Deserialize, Serialize};

use super::{
    BadRow, as_base64,
    codes::{Code, optional},
    history::{HistoryRow, HistoryWriter},
    idempotency::job_id,
    merge::ProgressRow,
    parsed::parsed,
    state::StateParts,
};
use crate::{
    domain::{
        ids::JobId,
        job::{Approval, Audience, Fallbacks, Job, MessageFacts, Schedule},
        recipient::Recipient,
        time::Timestamp,
    },
    storage::spool::Place,
};

/// A [`Job`] without its id, which is its key, and with the place of its message.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the job; times are in milliseconds since 1970")]
pub struct JobRow {
    #[prost(string, tag = "1")]
    pub account: String,
    #[prost(string, tag = "2")]
    pub caller: String,
    #[prost(uint64, tag = "3")]
    pub accepted_at: u64,
    #[prost(string, tag = "4")]
    pub sender: String,
    #[prost(message, repeated, tag = "5")]
    pub recipients: Vec<RecipientRow>,
    #[prost(string, tag = "6")]
    pub subject: String,
    #[prost(string, tag = "7")]
    pub message_id: String,
    #[prost(uint64, tag = "8")]
    pub message_bytes: u64,
    #[prost(bool, tag = "9")]
    pub is_eight_bit: bool,
    #[prost(uint32, tag = "10")]
    pub priority: u32,
    #[prost(string, repeated, tag = "11")]
    pub labels: Vec<String>,
    #[prost(uint64, optional, tag = "12")]
    pub expires_at: Option<u64>,
    /// 0 waiting, 1 held, 2 idle.
    #[prost(uint32, tag = "13")]
    pub schedule: u32,
    #[prost(uint64, tag = "14")]
    pub due: u64,
    #[prost(uint32, tag = "15")]
    pub attempts_made: u32,
    #[prost(uint64, optional, tag = "16")]
    pub first_attempt_at: Option<u64>,
    #[prost(message, optional, tag = "17")]
    pub history: Option<HistoryRow>,
    /// 0 for none.
    #[prost(uint32, tag = "18")]
    pub wish: u32,
    /// The hash that names the file of the message; empty when the message is in the store itself.
    #[prost(bytes = "vec", tag = "19")]
    #[serde(with = "as_base64")]
    pub file: Vec<u8>,
    /// What the message says of itself.
    #[prost(bool, tag = "20")]
    pub message_is_eight_bit: bool,
    /// How far a merge job has come; nothing for a plain job.
    #[prost(message, optional, tag = "21")]
    pub merge: Option<ProgressRow>,
    /// The message's place in the spool; nothing when it is elsewhere.
    #[prost(uint64, optional, tag = "22")]
    pub place: Option<u64>,
    /// Who may send it instead; nothing when nobody may.
    #[prost(message, optional, tag = "30")]
    pub fallbacks: Option<FallbacksRow>,
    /// Whether somebody had to approve it; nothing when nobody had to.
    #[prost(message, optional, tag = "31")]
    pub approval: Option<ApprovalRow>,
    /// The job whose message it sends again, 16 bytes; empty when there is none.
    #[prost(bytes = "vec", tag = "32")]
    #[serde(with = "as_base64")]
    pub resent: Vec<u8>,
    /// Whether its recipients are sent to although they are suppressed.
    #[prost(bool, tag = "33")]
    pub override_suppression: bool,
    /// The files that were cut out of the message, or of the content of a merge job, in their order.
    #[prost(message, repeated, tag = "50")]
    pub cuts: Vec<CutRow>,
    /// The CRC-32C of the whole message, when files were cut out of it.
    #[prost(uint32, tag = "51")]
    pub whole_sum: u32,
}

/// An [`Approval`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ApprovalRow {
    /// When it was given, in milliseconds since 1970; nothing while it is awaited.
    #[prost(uint64, optional, tag = "1")]
    pub at: Option<u64>,
    /// Who gave it.
    #[prost(string, tag = "2")]
    pub by: String,
}

/// A [`Cut`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct CutRow {
    /// Where the file belongs.
    #[prost(uint64, tag = "1")]
    pub at: u64,
    /// The hash that names it.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "as_base64")]
    pub file: Vec<u8>,
    /// Its length.
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
}

/// A [`Fallbacks`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct FallbacksRow {
    /// The message's From.
    #[prost(string, tag = "1")]
    pub from: String,
    /// The accounts.
    #[prost(string, repeated, tag = "2")]
    pub accounts: Vec<String>,
}

/// The tag of [`JobRow::place`].
const PLACE_TAG: u32 = 22;

/// Where a job's message is, and what it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Where it is, or what is left of it without the files that were cut out.
    pub location: Location,
    /// Whether it has bytes beyond ASCII.
    pub is_eight_bit: bool,
    /// The files that were cut out, in their order.
    pub cuts: Vec<Cut>,
    /// The CRC-32C of the whole, when files were cut out; 0 for a merge job.
    pub whole_sum: u32,
}

/// A file that was cut out of a message, because it is kept once for all that carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where it belongs: its place in the whole message, in bytes; of a merge job, the index of the attachment.
    pub at: u64,
    /// The hash that names it.
    pub file: [u8; 32],
    /// Its length in bytes, before it is encoded.
    pub bytes: u64,
}

/// Where a job's message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// Not said by the row: the content of a merge job in entries of the store, or what goes with the row in an export.
    #[default]
    Beside,
    /// In the spool.
    Spool(Place),
    /// In the file with this hash.
    File([u8; 32]),
}

/// A [`Recipient`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct RecipientRow {
    /// The address.
    #[prost(string, tag = "1")]
    pub address: String,
    /// The header field.
    #[prost(uint32, tag = "2")]
    pub field: u32,
    /// 0 pending, 1 submitted, 2 failed, 3 in doubt, 4 expired, 5 cancelled, 6 bounced, 7 complained, 8 suppressed.
    #[prost(uint32, tag = "3")]
    pub state: u32,
    /// Since when, in milliseconds since 1970.
    #[prost(uint64, tag = "4")]
    pub at: u64,
    /// The place of the finding in the history, or of the report, or of what suppressed it; 0 for none.
    #[prost(uint32, tag = "5")]
    pub finding: u32,
    /// The place of the reply in the history; 0 for none.
    #[prost(uint32, tag = "6")]
    pub reply: u32,
}

impl JobRow {
    /// The row of a job with this message.
    #[must_use]
    pub fn new(job: &Job, body: &Body) -> Self {
        let mut history = HistoryWriter::default();
        let recipients = job.recipients().iter().map(|recipient| RecipientRow::new(recipient, &mut history)).collect();
        let (schedule, due) = match job.schedule {
            Schedule::Waiting { due } => (0, due.as_millis()),
            Schedule::Held { due } => (1, due.as_millis()),
            Schedule::Idle => (2, 0),
        };
        Self {
            account: job.account.as_str().to_owned(),
            caller: job.caller.as_str().to_owned(),
            accepted_at: job.accepted_at.as_millis(),
            sender: job.sender.as_str().to_owned(),
            recipients,
            subject: job.subject.clone(),
            message_id: job.message.message_id.clone(),
            message_bytes: job.message.bytes,
            is_eight_bit: job.message.is_eight_bit,
            priority: job.priority.code(),
            labels: job.labels.iter().map(|label| label.as_str().to_owned()).collect(),
            expires_at: job.expires_at.map(Timestamp::as_millis),
            schedule,
            due,
            attempts_made: job.attempts_made,
            first_attempt_at: job.first_attempt_at.map(Timestamp::as_millis),
            history: history.finish(&job.attempts),
            wish: job.wish.map_or(0, Code::code),
            file: match body.location {
                Location::File(hash) => hash.to_vec(),
                Location::Beside | Location::Spool(_) => Vec::new(),
            },
            message_is_eight_bit: body.is_eight_bit,
            place: match body.location {
                Location::Spool(place) => Some(place.to_number()),
                Location::Beside | Location::File(_) => None,
            },
            merge: job.merge().map(ProgressRow::from),
            fallbacks: job.fallbacks.as_deref().map(FallbacksRow::from),
            approval: job.approval.as_ref().map(ApprovalRow::from),
            resent: job.resent.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
            override_suppression: job.override_suppression,
            cuts: body.cuts.iter().map(CutRow::from).collect(),
            whole_sum: body.whole_sum,
        }
    }

    /// The job that is kept under this id.
    ///
    /// # Errors
    /// When a part of the row means nothing.
    pub fn into_job(self, id: JobId) -> Result<Job, BadRow> {
        let history = self.history.unwrap_or_default();
        let due = Timestamp::from_millis(self.due);
        let schedule = match self.schedule {
            0 => Schedule::Waiting { due },
            1 => Schedule::Held { due },
            2 => Schedule::Idle,
            other => return Err(BadRow::new("schedule", format_args!("unknown code {other}"))),
        };
        let recipients = self.recipients.iter().map(|row| row.to_recipient(&history));
        let audience = match self.merge {
            Some(row) => Audience::Each(Box::new(row.try_into()?)),
            None => Audience::Together(recipients.collect::<Result<_, _>>()?),
        };
        let labels = self.labels.iter().map(|label| parsed("label", label));
        Ok(Job {
            id,
            account: parsed("account", &self.account)?,
            caller: parsed("caller", &self.caller)?,
            accepted_at: Timestamp::from_millis(self.accepted_at),
            sender: parsed("sender", &self.sender)?,
            audience,
            subject: self.subject,
            message: MessageFacts {
                message_id: self.message_id,
                bytes: self.message_bytes,
                is_eight_bit: self.is_eight_bit,
            },
            priority: Code::from_code(self.priority)?,
            labels: labels.collect::<Result<_, _>>()?,
            expires_at: self.expires_at.map(Timestamp::from_millis),
            schedule,
            attempts_made: self.attempts_made,
            first_attempt_at: self.first_attempt_at.map(Timestamp::from_millis),
            attempts: history.attempts()?,
            wish: optional(self.wish)?,
            fallbacks: self.fallbacks.map(|row| row.into_fallbacks().map(Box::new)).transpose()?,
            approval: self.approval.map(ApprovalRow::into_approval).transpose()?,
            resent: if self.resent.is_empty() { None } else { Some(job_id(&self.resent)?) },
            override_suppression: self.override_suppression,
        })
    }

    /// Where the message is.
    ///
    /// # Errors
    /// When what names its file is no hash.
    pub fn body(&self) -> Result<Body, BadRow> {
        let location = match (self.place, self.file.as_slice()) {
            (Some(place), _) => Location::Spool(Place::from_number(place)),
            (None, []) => Location::Beside,
            (None, file) => Location::File(file.try_into().map_err(|_| BadRow::new("file", "is no hash"))?),
        };
        let cuts = self.cuts.iter().map(Cut::try_from).collect::<Result<_, _>>()?;
        Ok(Body { location, is_eight_bit: self.message_is_eight_bit, cuts, whole_sum: self.whole_sum })
    }

    /// Adds the place of the message to a row that was encoded before it was known; the fields of an encoded row may
    /// stand in any order.
    pub fn add_place(encoded: &mut Vec<u8>, place: Place) {
        prost::encoding::uint64::encode(PLACE_TAG, &place.to_number(), encoded);
    }
}

impl From<&Approval> for ApprovalRow {
    fn from(approval: &Approval) -> Self {
        match approval {
            Approval::Awaited => Self::default(),
            Approval::Given { at, by } => Self { at: Some(at.as_millis()), by: by.as_str().to_owned() },
        }
    }
}

impl ApprovalRow {
    fn into_approval(self) -> Result<Approval, BadRow> {
        let Some(at) = self.at else { return Ok(Approval::Awaited) };
        Ok(Approval::Given { at: Timestamp::from_millis(at), by: parsed("approved by", &self.by)? })
    }
}

impl From<&Cut> for CutRow {
    fn from(cut: &Cut) -> Self {
        Self { at: cut.at, file: cut.file.to_vec(), bytes: cut.bytes }
    }
}

impl TryFrom<&CutRow> for Cut {
    type Error = BadRow;

    fn try_from(row: &CutRow) -> Result<Self, BadRow> {
        let file = row.file.as_slice().try_into().map_err(|_| BadRow::new("cut", "is no hash"))?;
        Ok(Self { at: row.at, file, bytes: row.bytes })
    }
}

impl From<&Fallbacks> for FallbacksRow {
    fn from(fallbacks: &Fallbacks) -> Self {
        let accounts = fallbacks.accounts.iter().map(|id| id.as_str().to_owned()).collect();
        Self { from: fallbacks.from.as_str().to_owned(), accounts }
    }
}

impl FallbacksRow {
    fn into_fallbacks(self) -> Result<Fallbacks, BadRow> {
        let accounts = self.accounts.iter().map(|id| parsed("fallback", id));
        Ok(Fallbacks { from: parsed("from", &self.from)?, accounts: accounts.collect::<Result<_, _>>()? })
    }
}

impl RecipientRow {
    fn new<'a>(recipient: &'a Recipient, history: &mut HistoryWriter<'a>) -> Self {
        let StateParts { state, at, finding, reply } = StateParts::new(&recipient.state, history);
        let address = recipient.address.as_str().to_owned();
        Self { address, field: recipient.field.code(), state, at, finding, reply }
    }

    fn to_recipient(&self, history: &HistoryRow) -> Result<Recipient, BadRow> {
        let Self { state, at, finding, reply, .. } = *self;
        let state = StateParts { state, at, finding, reply }.state(history)?;
        Ok(Recipient { address: parsed("recipient", &self.address)?, field: Code::from_code(self.field)?, state })
    }
}
