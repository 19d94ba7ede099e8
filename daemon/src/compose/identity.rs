//! What a message is known by, and why none can be made.

use crate::domain::{
    address::Address,
    ids::{JobId, MessageKey},
    time::Timestamp,
};

/// What a message is known by; the same in each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The Message-ID with its angle brackets.
    pub message_id: String,
    /// The Date.
    pub date: Timestamp,
    /// The job that it belongs to, written into X-Hikyaku-Job.
    pub job: JobId,
    /// Of a message of a merge job, what stands behind the job's id there.
    pub place: Option<MergePlace>,
}

/// Which message of a merge job it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePlace {
    /// Its number.
    pub index: u32,
    /// What proves that the number was not guessed: a keyed hash over the message's key.
    pub proof: String,
}

impl Identity {
    /// The identity of a job's message: its Message-ID is the job's id at the domain of `from`, in A-labels, as RFC 5322 3.6.4
    /// knows ASCII only.
    #[must_use]
    pub fn of_job(job: JobId, from: &Address, date: Timestamp) -> Self {
        Self { message_id: format!("<{job}@{}>", from.ascii_domain()), date, job, place: None }
    }

    /// The identity of one message of a merge job: its number stands behind the job's id, in X-Hikyaku-Job with the proof of it.
    #[must_use]
    pub fn of_merge(key: MessageKey, proof: String, from: &Address, date: Timestamp) -> Self {
        let MessageKey { job, index } = key;
        let message_id = format!("<{job}.{index}@{}>", from.ascii_domain());
        Self { message_id, date, job, place: Some(MergePlace { index, proof }) }
    }

    /// The value of X-Hikyaku-Job.
    #[must_use]
    pub fn mark(&self) -> String {
        match &self.place {
            None => self.job.to_string(),
            Some(MergePlace { index, proof }) => format!("{}/{index}/{proof}", self.job),
        }
    }

    /// The Date field's value in UTC (RFC 5322 3.3).
    pub(super) fn date_text(&self) -> String {
        let millis = i64::try_from(self.date.as_millis()).unwrap_or(i64::MAX);
        let date = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        date.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }
}

/// Why a message cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ComposeError {
    /// The field's path in the request, such as `job.headers[1].name`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ComposeError {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
