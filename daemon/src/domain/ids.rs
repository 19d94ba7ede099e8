//! Names of things: accounts, jobs, labels, callers, keys and etags.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::time::Timestamp;

/// Longest account id, in bytes.
pub const ACCOUNT_ID_BYTES_MAX: usize = 64;
/// Longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 64;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Why a name was refused. Says what is allowed, so that it can be shown to the caller as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {allowed}, got {value:?}")]
pub struct BadName {
    what: &'static str,
    allowed: &'static str,
    value: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    return Ok(Self(text.into()));
                }
                let value = text.chars().take(80).collect();
                Err(BadName { what: $what, allowed: $allowed, value })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The name of an account, chosen by its creator and never changed.
    AccountId,
    "an account id",
    "1 to 64 of the characters a-z 0-9 . _ -",
    |text| {
        (1..=ACCOUNT_ID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
    }
}

text_id! {
    /// A word that a client puts on a job to find it again; the first label of a job also names its lane, among
    /// which an account's sending is shared fairly.
    Label,
    "a label",
    "1 to 64 bytes without control characters",
    |text| (1..=LABEL_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

text_id! {
    /// A caller's own name for one submission, so that repeating it makes no second job.
    IdempotencyKey,
    "an idempotency key",
    "1 to 255 bytes without control characters",
    |text| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

text_id! {
    /// Who calls: the name of an API key, or `local` for the Unix socket and the loopback listener.
    Caller,
    "a caller",
    "1 to 64 of the characters a-z A-Z 0-9 . _ : -",
    |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
    }
}

/// The name of a job: a version 7 UUID (RFC 9562), so that ids sort by the time of acceptance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Uuid);

impl JobId {
    /// An id made of the time and ten random bytes; both are given, so that tests can repeat them.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
    }

    /// The id as it is stored: 16 bytes that sort by time.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The id that is stored as these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The smallest id that any job accepted at `time` or later can have.
    #[must_use]
    pub fn first_at(time: Timestamp) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&time.as_millis().to_be_bytes()[2..]);
        Self::from_bytes(bytes)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for JobId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let parsed = Uuid::try_parse(text).ok();
        parsed.filter(|id| id.get_version_num() == 7).map(Self).ok_or_else(|| BadName {
            what: "a job id",
            allowed: "a version 7 UUID",
            value: text.chars().take(80).collect(),
        })
    }
}

/// One message of a job: what one SMTP transaction carries. A plain job has one, numbered 0; a merge job has one for each
/// recipient, numbered like them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// The job.
    pub job: JobId,
    /// The message's number in it.
    pub index: u32,
}

impl MessageKey {
    /// The only message of a plain job.
    #[must_use]
    pub const fn only(job: JobId) -> Self {
        Self { job, index: 0 }
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(f, "{}", self.job),
            index => write!(f, "{}/{index}", self.job),
        }
    }
}

/// Which version of an account's settings a client has seen; a change that names an older one is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Etag(pub u64);

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Etag {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        text.parse().map(Self).map_err(|_| BadName {
            what: "an etag",
            allowed: "one that an earlier reply carried",
            value: text.chars().take(80).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_account(text: &str, valid: bool) {
        assert_eq!(text.parse::<AccountId>().is_ok(), valid, "{text:?}");
    }

    #[test]
    fn account_ids_are_short_lower_case_words() {
        check_account("sales", true);
        check_account("a.b_c-9", true);
        check_account(&"x".repeat(64), true);
        check_account(&"x".repeat(65), false);
        check_account("", false);
        check_account("Sales", false);
        check_account("a#b", false);
        check_account("営業", false);
    }

    #[test]
    fn job_ids_sort_by_time_and_survive_text() {
        let early = JobId::new(Timestamp::from_millis(1_000), [0xff; 10]);
        let late = JobId::new(Timestamp::from_millis(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse::<JobId>().expect("own text"), early);
        assert_eq!(JobId::from_bytes(late.to_bytes()), late);
        assert!(JobId::first_at(Timestamp::from_millis(1_001)) <= late);
        assert!(JobId::first_at(Timestamp::from_millis(1_001)) > early);
    }

    #[test]
    fn a_refused_name_says_what_is_allowed() {
        let error = "A B".parse::<AccountId>().expect_err("has a space");
        assert_eq!(error.to_string(), "an account id must be 1 to 64 of the characters a-z 0-9 . _ -, got \"A B\"");
    }
}
