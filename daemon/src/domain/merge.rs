//! One content for many: what a merge job is made of. What has become of its messages is in `progress`.

mod omission;
pub mod progress;
pub mod untouched;

use super::{address::Address, mail::Draft, recipient::RecipientState};

/// Most recipients of one merge job.
pub const MERGE_RECIPIENTS_MAX: u32 = 1_000_000;
/// Most variables that the content of one merge job may use.
pub const MERGE_VARIABLES_MAX: usize = 64;
/// Most bytes that the values of one recipient may have together.
pub const MERGE_VALUES_BYTES_MAX: usize = 16 * 1_024;

/// The content of a merge job: a draft in which variables stand for what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeTemplate {
    /// The draft; each message adds its own To, which the draft leaves empty.
    pub draft: Draft,
    /// The variables that the draft uses, each once. The values of a recipient stand in this order.
    pub variables: Vec<String>,
    /// Whether the job's route leaves DKIM signatures out. Others are put on as each message is composed.
    pub forbid_dkim: bool,
}

/// One recipient of a merge job, who gets a message of his own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRecipient {
    /// Where it goes.
    pub address: Address,
    /// The name beside the address in To.
    pub name: Option<String>,
    /// What the variables mean for this recipient, in the order of [`MergeTemplate::variables`]; nothing for one that was
    /// not given, for which the template has an answer of its own.
    pub values: Vec<Option<String>>,
}

/// How many messages of a merge job have come how far. Together they are all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeTally {
    /// Wait for their first attempt, or for another one, or are under way.
    pub waiting: u32,
    /// The provider took them.
    pub submitted: u32,
    /// They were refused for good.
    pub failed: u32,
    /// They wait for an operator.
    pub in_doubt: u32,
    /// Their time ran out.
    pub expired: u32,
    /// They were withdrawn.
    pub cancelled: u32,
    /// The provider took them, and they came back.
    pub bounced: u32,
    /// The provider took them, and their readers complained.
    pub complained: u32,
    /// They were left out, because their recipients must not be sent to.
    pub suppressed: u32,
}

/// How far a message has come: what [`MergeTally`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of the tally")]
pub enum MessageClass {
    Waiting,
    Submitted,
    Failed,
    InDoubt,
    Expired,
    Cancelled,
    Bounced,
    Complained,
    Suppressed,
}

impl MessageClass {
    /// The class of a message in this state.
    #[must_use]
    pub const fn of(state: &RecipientState) -> Self {
        match state {
            RecipientState::Pending { .. } => Self::Waiting,
            RecipientState::Submitted { .. } => Self::Submitted,
            RecipientState::Failed { .. } => Self::Failed,
            RecipientState::InDoubt { .. } => Self::InDoubt,
            RecipientState::Expired { .. } => Self::Expired,
            RecipientState::Cancelled { .. } => Self::Cancelled,
            RecipientState::Bounced { .. } => Self::Bounced,
            RecipientState::Complained { .. } => Self::Complained,
            RecipientState::Suppressed { .. } => Self::Suppressed,
        }
    }
}

impl MergeTally {
    /// Counts one more message of a class.
    pub(super) const fn count(&mut self, class: MessageClass) {
        *self.place(class) += 1;
    }

    /// Counts a message that was in one class as one of another.
    fn move_one(&mut self, from: MessageClass, to: MessageClass) {
        *self.place(from) = self.place(from).saturating_sub(1);
        *self.place(to) += 1;
    }

    const fn place(&mut self, class: MessageClass) -> &mut u32 {
        match class {
            MessageClass::Waiting => &mut self.waiting,
            MessageClass::Submitted => &mut self.submitted,
            MessageClass::Failed => &mut self.failed,
            MessageClass::InDoubt => &mut self.in_doubt,
            MessageClass::Expired => &mut self.expired,
            MessageClass::Cancelled => &mut self.cancelled,
            MessageClass::Bounced => &mut self.bounced,
            MessageClass::Complained => &mut self.complained,
            MessageClass::Suppressed => &mut self.suppressed,
        }
    }
}
