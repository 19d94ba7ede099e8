//! Which jobs a command is about: one, or all that match.

use std::time::SystemTime;

use clap::Args;
use hikyaku_client::proto::{JobFilter, JobState, RecipientState};

use super::time_text::When;

/// What the jobs must be; everything that is given must hold.
#[derive(Args, Debug, Default)]
pub(crate) struct FilterArgs {
    /// Of this account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// In one of these states, such as deferred,in-doubt
    #[arg(long, value_name = "STATE", value_parser = parse_state, value_delimiter = ',')]
    state: Vec<JobState>,
    /// With this label
    #[arg(long)]
    label: Option<String>,
    /// With a recipient of this address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Accepted at this time or later: RFC 3339, or -2h for two hours ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<When>,
    /// Accepted before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: Option<When>,
}

impl FilterArgs {
    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        let words = [&self.account, &self.label, &self.recipient];
        words.iter().all(|word| word.is_none()) && self.state.is_empty() && self.from.is_none() && self.before.is_none()
    }

    /// The filter it asks for when it is `now`.
    pub(crate) fn filter(self, now: SystemTime) -> JobFilter {
        let time = |when: Option<When>| when.map(|when| when.resolve(now).into());
        JobFilter {
            account_id: self.account.unwrap_or_default(),
            states: self.state.into_iter().map(Into::into).collect(),
            label: self.label.unwrap_or_default(),
            recipient: self.recipient.unwrap_or_default(),
            accepted_from: time(self.from),
            accepted_before: time(self.before),
        }
    }
}

fn parse_state(text: &str) -> Result<JobState, String> {
    let name = format!("JOB_STATE_{}", text.to_ascii_uppercase().replace('-', "_"));
    JobState::from_str_name(&name).filter(|state| *state != JobState::Unspecified).ok_or_else(|| {
        format!(
            "\"{text}\" is not a state; write held, scheduled, queued, sending, deferred, in-doubt, submitted, \
             partly-submitted, failed, expired, cancelled, bounced or suppressed"
        )
    })
}

/// Reads the state of a recipient.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_recipient_state(text: &str) -> Result<RecipientState, String> {
    let name = format!("RECIPIENT_STATE_{}", text.to_ascii_uppercase().replace('-', "_"));
    RecipientState::from_str_name(&name).filter(|state| *state != RecipientState::Unspecified).ok_or_else(|| {
        format!(
            "\"{text}\" is not a state; write held, scheduled, queued, sending, deferred, in-doubt, submitted, failed, \
             expired, cancelled, bounced, complained or suppressed"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_in_any_case() {
        for (text, expected) in [
            ("in-doubt", Some(JobState::InDoubt)),
            ("PARTLY_SUBMITTED", Some(JobState::PartlySubmitted)),
            ("unspecified", None),
            ("sent", None),
        ] {
            assert_eq!(parse_state(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn recipients_have_states_of_their_own() {
        for (text, expected) in [
            ("in-doubt", Some(RecipientState::InDoubt)),
            ("Failed", Some(RecipientState::Failed)),
            ("partly-submitted", None),
            ("unspecified", None),
        ] {
            assert_eq!(parse_recipient_state(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_filter_without_conditions_is_empty() {
        assert!(FilterArgs::default().is_empty());
        assert!(!FilterArgs { label: Some("x".to_owned()), ..FilterArgs::default() }.is_empty());
    }
}
