//! What may follow `hikyaku account`.

use clap::{Args, Subcommand};
use hikyaku_client::proto::{AccountFilter, AccountState};

use super::{
    account_apply::{ApplyArgs, ExportArgs},
    oauth::OauthArgs,
    outlook::EstimateArgs,
    settings_args::{Clear, SettingsArgs},
    time_text::When,
    trial::TestArgs,
    usage::ReportArgs,
};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account
    Create {
        /// Its name: 1 to 64 of the characters a-z 0-9 . _ -
        id: String,
        /// Fill what is not given from what is known of a provider; see hikyaku account presets
        #[arg(long, value_name = "PRESET")]
        preset: Option<String>,
        #[command(flatten)]
        settings: Box<SettingsArgs>,
    },
    /// List accounts
    List(ListArgs),
    /// Show one account
    Get {
        /// The account
        id: String,
    },
    /// Change what is named here, and keep the rest
    Update {
        /// The account
        id: String,
        #[command(flatten)]
        settings: Box<SettingsArgs>,
        /// Put these settings back to their defaults
        #[arg(long, value_name = "SETTING", value_delimiter = ',')]
        clear: Vec<Clear>,
        /// Refuse when the account has another version than this; its present one when not given
        #[arg(long)]
        etag: Option<String>,
    },
    /// Make accounts as files say: those that are missing are made, those that differ are changed
    ///
    /// Each file has the accounts below [accounts.ID], with the keys that `hikyaku account export` writes; what is
    /// left out has its default. Accounts that are missing are made, those that differ are changed, and those that
    /// are equal are left alone. Secrets stand in the file by reference: "file:/run/secrets/NAME", "env:NAME" or
    /// "credential:NAME". The daemon never tells them, so a secret alone makes no difference: after one has changed,
    /// use --rotate-secrets.
    Apply(ApplyArgs),
    /// Write accounts as a file that can be applied
    ///
    /// Secrets are never told: those that an account needs stand as "env:…", to be filled in where the file is
    /// applied to another daemon. Applied to the same one, the file changes nothing.
    Export(ExportArgs),
    /// Stop an account from sending
    Pause {
        /// The account
        id: String,
        /// When it sends again by itself: RFC 3339 or +2h
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        until: Option<When>,
        /// Why, for people
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let an account send again, whatever parked it
    Resume {
        /// The account
        id: String,
    },
    /// Delete an account
    Delete {
        /// The account
        id: String,
        /// Cancel its open jobs first
        #[arg(long)]
        force: bool,
        /// Refuse when the account has another version than this
        #[arg(long, default_value = "")]
        etag: String,
    },
    /// Show what an account has used of its quotas
    Usage {
        /// The account
        id: String,
    },
    /// Tell of mail that was sent from the same account by others, so that its quotas count it
    ReportUsage(ReportArgs),
    /// Show what is known of providers
    Presets {
        /// One of them, in full
        id: Option<String>,
    },
    /// Propose server settings from a mail address alone; nothing is stored
    Discover {
        /// The address
        address: String,
        /// Write the best proposal as a file that can be completed and applied
        #[arg(long)]
        toml: bool,
    },
    /// Sign in to an account's server now, and perhaps send one test mail; exit code 1 when that fails
    Test(TestArgs),
    /// Get a person's permission to send with OAuth 2
    Oauth(OauthArgs),
    /// Say when an account's mail will have been sent, if nothing else happens
    Estimate(EstimateArgs),
}

/// Which accounts to list: those for which everything that is given holds.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// With this text in the id, the display name or the From address
    #[arg(long)]
    text: Option<String>,
    /// Personal to this caller
    #[arg(long, value_name = "CALLER")]
    owner: Option<String>,
    /// With this label
    #[arg(long)]
    label: Option<String>,
    /// In one of these states, such as needs-reauth,paused
    #[arg(long, value_name = "STATE", value_parser = parse_state, value_delimiter = ',')]
    state: Vec<AccountState>,
    /// Allowed to send as this address
    #[arg(long, value_name = "ADDRESS")]
    sends_as: Option<String>,
    /// Without those that are unlisted
    #[arg(long)]
    listed: bool,
}

impl ListArgs {
    /// The filter that the options mean.
    pub(crate) fn filter(self) -> AccountFilter {
        AccountFilter {
            text: self.text.unwrap_or_default(),
            owner: self.owner.unwrap_or_default(),
            label: self.label.unwrap_or_default(),
            states: self.state.into_iter().map(Into::into).collect(),
            sends_as: self.sends_as.unwrap_or_default(),
            listed_only: self.listed,
        }
    }
}

fn parse_state(text: &str) -> Result<AccountState, String> {
    let name = format!("ACCOUNT_STATE_{}", text.to_ascii_uppercase().replace('-', "_"));
    AccountState::from_str_name(&name).filter(|state| *state != AccountState::Unspecified).ok_or_else(|| {
        format!(
            "\"{text}\" is not a state; write active, paused, needs-reauth, quota-exhausted, throttled, \
             suspended-by-provider or unreachable"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_in_any_case() {
        for (text, expected) in [
            ("needs-reauth", Some(AccountState::NeedsReauth)),
            ("SUSPENDED_BY_PROVIDER", Some(AccountState::SuspendedByProvider)),
            ("unspecified", None),
            ("gone", None),
        ] {
            assert_eq!(parse_state(text).ok(), expected, "{text}");
        }
    }
}
