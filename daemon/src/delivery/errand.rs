//! What a worker hands to a courier, and what comes back.

use tokio::sync::oneshot;

use crate::{
    domain::{
        address::Address,
        ids::{Label, MessageKey},
        job::Tries,
        ledger::Charge,
        mail::{Envelope, Message},
        time::Timestamp,
    },
    policy::assess::{Connection, Met},
    storage::{StorageError, TenureError, settlement::Mark},
    wire::smtp::Obstacle,
};

/// A message to be handed to the provider.
#[derive(Debug)]
pub(super) struct Errand {
    /// Which message it is.
    pub(super) key: MessageKey,
    /// How often it was tried before.
    pub(super) tries: Tries,
    /// The indexes of its recipients, in the order of the envelope.
    pub(super) recipients: Vec<u32>,
    /// From whom and to whom.
    pub(super) envelope: Envelope,
    /// What is said.
    pub(super) message: Message,
    /// The labels of its job.
    pub(super) labels: Vec<Label>,
    /// Whether its recipients are sent to although they are suppressed.
    pub(super) override_suppression: bool,
    /// When it was taken from the queue.
    pub(super) started: Timestamp,
    /// Its in-doubt mark, without which its final dot is not sent.
    pub(super) mark: MarkStage,
}

/// How far an errand's in-doubt mark has come.
#[derive(Debug)]
pub(super) enum MarkStage {
    /// It is not set; it has to be when nothing but the message is left to send.
    Due(Vec<Charge>),
    /// It is on its way to the disk, together with those of other messages.
    Coming(oneshot::Receiver<bool>),
    /// It is known whether it is set.
    Known(bool),
}

impl Errand {
    /// Whether the message's time has run out.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.tries.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// The mark that it needs, with these charges.
    pub(super) fn mark_with(&self, charges: Vec<Charge>, since: Timestamp) -> Mark {
        Mark {
            message: self.key,
            attempt: self.tries.made.saturating_add(1),
            recipients: self.recipients.clone(),
            started: self.started,
            since,
            charges,
        }
    }

    /// Waits until it is known whether a mark that is coming was set. One that is still due is not set.
    pub(super) async fn is_marked(&mut self) -> bool {
        let marked = match &mut self.mark {
            MarkStage::Known(marked) => return *marked,
            MarkStage::Due(_) => return false,
            // Nobody answers when the store has failed; the worker ends then, and what is in doubt is settled by the next.
            MarkStage::Coming(answer) => answer.await.unwrap_or(false),
        };
        self.mark = MarkStage::Known(marked);
        marked
    }

    /// Whom it was for. It names nobody any more afterwards.
    pub(super) fn take_addressees(&mut self) -> Addressees {
        Addressees {
            recipients: std::mem::take(&mut self.recipients),
            addresses: std::mem::take(&mut self.envelope.recipients),
            labels: std::mem::take(&mut self.labels),
            override_suppression: self.override_suppression,
        }
    }

    /// The end of an errand on which the provider was not asked, or not to the end.
    pub(super) async fn returned(mut self, result: ErrandResult) -> Return {
        let marked = self.is_marked().await;
        Return { message: self.key, bytes: Some(self.message.bytes.len() as u64), marked, result }
    }
}

/// What comes back from an errand.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) message: MessageKey,
    /// How long the message is, when it was composed. What its mark charged is for this length.
    pub(super) bytes: Option<u64>,
    /// Whether the in-doubt mark, and with it the charges, was stored.
    pub(super) marked: bool,
    pub(super) result: ErrandResult,
}

/// What became of an errand.
#[derive(Debug)]
pub(super) enum ErrandResult {
    /// The message no longer exists, no longer waits, or waits with other recipients.
    Changed,
    /// The job's time has run out.
    Expired,
    /// The daemon stops, or the account waits; nothing was sent.
    Recalled,
    /// A caller withdrew the job before its final dot; nothing was sent.
    Withdrawn,
    /// No connection came about.
    Obstructed { obstacle: Obstacle, started: Timestamp },
    /// The provider was asked.
    Tried(Box<Trial>, Addressees),
    /// The message cannot be read; nothing was sent.
    Unreadable(StorageError),
    /// The store failed, or another worker has taken the account over; nothing was sent.
    StoreFailed(TenureError),
}

/// What the provider was asked and said.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) tries: Tries,
    pub(super) connection: Connection,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) met: Vec<Met>,
    /// The id that the provider gave the message when it took it, if that is not its Message-ID.
    pub(super) provider_id: Option<Box<str>>,
}

/// Whom an errand was for.
#[derive(Debug)]
pub(super) struct Addressees {
    /// The indexes of its recipients.
    pub(super) recipients: Vec<u32>,
    /// Their addresses, in the same order.
    pub(super) addresses: Vec<Address>,
    /// The labels of its job.
    pub(super) labels: Vec<Label>,
    /// Whether its recipients are sent to although they are suppressed.
    pub(super) override_suppression: bool,
}
