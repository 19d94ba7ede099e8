//! How much of an account's mail waits.

use super::job::{Job, Priority};

/// What waits of an account, by priority: due or not yet, and under way as long as its outcome is not recorded. What is held
/// or waits for approval is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog([Queued; Priority::ALL.len()]);

/// An amount of mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Messages.
    pub messages: u64,
    /// Their recipients that are pending.
    pub recipients: u64,
    /// Their bytes; those of merge jobs are estimated.
    pub bytes: u64,
}

impl Backlog {
    /// What waits of one priority.
    #[must_use]
    pub const fn of(&self, priority: Priority) -> Queued {
        self.0[priority as usize]
    }

    /// What waits of one priority, to be changed.
    pub const fn of_mut(&mut self, priority: Priority) -> &mut Queued {
        &mut self.0[priority as usize]
    }

    /// What waits of all priorities.
    #[must_use]
    pub fn all(&self) -> Queued {
        self.0.iter().fold(Queued::default(), |sum, queued| sum.plus(*queued))
    }
}

impl Queued {
    /// What waits of a job.
    #[must_use]
    pub fn of_job(job: &Job) -> Self {
        if job.due().is_none() {
            return Self::default();
        }
        match job.merge() {
            Some(progress) => Self::alike(u64::from(progress.tally.waiting), job.message.bytes),
            None => {
                let pending = job.recipients().iter().filter(|recipient| recipient.state.is_pending());
                Self { messages: 1, recipients: pending.count() as u64, bytes: job.message.bytes }
            }
        }
    }

    /// So many messages of so many bytes each, to one recipient each.
    #[must_use]
    pub const fn alike(messages: u64, bytes: u64) -> Self {
        Self { messages, recipients: messages, bytes: messages.saturating_mul(bytes) }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            recipients: self.recipients.saturating_add(other.recipients),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What is left without the other; nothing is less than zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            recipients: self.recipients.saturating_sub(other.recipients),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}
