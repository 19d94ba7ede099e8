//! How long to wait for submitted jobs: until nothing more happens to them by themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hikyaku_client::{
    Client,
    proto::{JobState, WatchJobsResponse},
};

use super::{failure::Failure, follow::Follow, job_view::state_name, progress::Progress};

/// Jobs that are waited for, and how the others ended.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
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
                Err(_) => quiet_ticks += 1,
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
        | JobState::Cancelled => true,
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
