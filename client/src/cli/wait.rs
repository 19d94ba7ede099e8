//! How long to wait for submitted jobs: until nothing more happens to them by themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
    time::Duration,
};

use hikyaku_client::{
    Client,
    proto::{AccountStanding, AccountState, JobState, WatchJobsResponse},
};

use super::{
    escape::{escape, escape_lines},
    failure::Failure,
    follow::Follow,
    job_view::{bare, state_name},
    progress::Progress,
    time_text::show_time,
};

/// Jobs that are waited for, and how the others ended.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    account_id: String,
    /// What was said last of the account that does not send.
    standing_told: Option<AccountState>,
    open: BTreeSet<String>,
    ended: BTreeMap<&'static str, u64>,
}

/// How often progress is shown.
const TICK: Duration = Duration::from_secs(1);
/// Ticks without an event after which the jobs are asked for by their names.
const QUIET_TICKS_MAX: u32 = 5;
/// Jobs asked for by name at a time.
const ASKED_JOBS_MAX: usize = 100;

impl Waiting {
    /// Waits for jobs of this account.
    pub(crate) fn of(account_id: String) -> Self {
        Self { account_id, ..Self::default() }
    }

    /// Waits for this job too.
    pub(crate) fn add(&mut self, job_id: &str) {
        self.open.insert(job_id.to_owned());
    }

    /// Whether every job was handed to its server for all recipients.
    pub(crate) fn all_submitted(&self) -> bool {
        self.open.is_empty() && self.ended.keys().all(|state| *state == state_name(JobState::Submitted))
    }

    /// How many jobs ended in which state, and how many have not.
    pub(crate) fn summary(&self) -> String {
        let mut words: Vec<_> = self.ended.iter().map(|(state, count)| format!("{count} {state}")).collect();
        if !self.open.is_empty() {
            words.push(format!("{} open", self.open.len()));
        }
        words.join(", ")
    }

    /// Reads events until all jobs have ended. `existing` ones may have ended before the events begin.
    ///
    /// # Errors
    /// When the daemon refuses or stays away.
    pub(crate) async fn finish(
        &mut self,
        client: &Client,
        events: &mut Follow,
        existing: &[String],
    ) -> Result<(), Failure> {
        for job_id in existing {
            self.ask(client, job_id).await?;
        }
        let total = self.open.len() as u64 + self.ended.values().sum::<u64>();
        let mut progress = Progress::new("waiting", total);
        let mut quiet_ticks = 0;
        while !self.open.is_empty() {
            match tokio::time::timeout(TICK, events.next()).await {
                Ok(event) => {
                    quiet_ticks = 0;
                    self.note(&event?);
                }
                Err(_) => {
                    quiet_ticks += 1;
                    if quiet_ticks == 1 {
                        self.tell_standing(client).await;
                    }
                }
            }
            if quiet_ticks >= QUIET_TICKS_MAX {
                quiet_ticks = 0;
                let some: Vec<_> = self.open.iter().take(ASKED_JOBS_MAX).cloned().collect();
                for job_id in some {
                    self.ask(client, &job_id).await?;
                }
            }
            progress.at(total - self.open.len() as u64, &self.summary());
        }
        Ok(())
    }

    /// Says on stderr why nothing happens when the account does not send, once for each state it comes into.
    async fn tell_standing(&mut self, client: &Client) {
        // Whether the daemon is there is told by the events.
        let Ok(account) = client.get_account(&self.account_id).await else { return };
        let standing = account.standing.unwrap_or_default();
        let state = standing.state();
        if state == AccountState::Active {
            self.standing_told = None;
        } else if self.standing_told.replace(state) != Some(state) {
            let words = standing_line(&self.account_id, standing);
            // A courtesy, as all progress is.
            let _ = writeln!(io::stderr().lock(), "hikyaku: {words}");
        }
    }

    fn note(&mut self, event: &WatchJobsResponse) {
        let state = event.state();
        if rests(state) && self.open.remove(&event.job_id) {
            *self.ended.entry(state_name(state)).or_default() += 1;
        }
    }

    async fn ask(&mut self, client: &Client, job_id: &str) -> Result<(), Failure> {
        match client.get_job(job_id).await {
            Ok(job) => {
                let state = job.state();
                if rests(state) && self.open.remove(job_id) {
                    *self.ended.entry(state_name(state)).or_default() += 1;
                }
                Ok(())
            }
            // The daemon restarts: the events tell when it is back.
            Err(error) if error.is_passing() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn standing_line(account_id: &str, standing: AccountStanding) -> String {
    let state = bare(AccountState::as_str_name(&standing.state()), "ACCOUNT_STATE_");
    let mut line = format!("account {} is {state}", escape(account_id));
    if let Some(until) = standing.until {
        line.push_str(&format!(" until {}", show_time(until)));
    }
    for words in [&standing.reason, &standing.reply].into_iter().filter(|words| !words.is_empty()) {
        line.push_str(&format!(": {}", escape_lines(words).collect::<Vec<_>>().join(" ")));
    }
    line
}

/// Whether nothing more happens to a job in this state unless somebody acts.
fn rests(state: JobState) -> bool {
    match state {
        JobState::Unspecified | JobState::Scheduled | JobState::Queued | JobState::Sending | JobState::Deferred => {
            false
        }
        JobState::Held
        | JobState::InDoubt
        | JobState::Submitted
        | JobState::PartlySubmitted
        | JobState::Failed
        | JobState::Expired
        | JobState::Cancelled
        | JobState::Bounced
        | JobState::Suppressed => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_counts_once_and_only_when_it_rests() {
        let mut waiting = Waiting::default();
        waiting.add("a");
        waiting.add("b");
        let event = |job_id: &str, state: JobState| WatchJobsResponse {
            job_id: job_id.to_owned(),
            state: state.into(),
            ..WatchJobsResponse::default()
        };
        waiting.note(&event("a", JobState::Deferred));
        assert_eq!(waiting.summary(), "2 open");
        waiting.note(&event("a", JobState::Submitted));
        waiting.note(&event("a", JobState::Submitted));
        waiting.note(&event("c", JobState::Failed));
        assert_eq!(waiting.summary(), "1 SUBMITTED, 1 open");
        assert!(!waiting.all_submitted());
        waiting.note(&event("b", JobState::Submitted));
        assert!(waiting.all_submitted());
    }
}
