//! What holds a job, and when mail will have been sent.

use hikyaku_proto::v1;
use tonic::Status;

use super::{
    hindrances::{Scene, hindrances, needs_a_person},
    planner::{Ahead, MESSAGE_SECONDS_ASSUMED, from_times, plan_of, service_of, without},
    service::Jobs,
    suppressed,
};
use crate::{
    domain::{
        backlog::Queued,
        ids::{AccountId, Caller, JobId},
        job::Priority,
    },
    policy::outlook::Bound,
    service::{
        convert::{
            job::{flight_of, from_state, to_priority},
            violations::Violations,
        },
        status::Refusal,
    },
    storage::AccountRecord,
};

/// Most messages for which an estimate is asked.
const ESTIMATED_MESSAGES_MAX: u64 = 10_000_000;
/// The length of a message when none is given, in bytes.
const MESSAGE_BYTES_DEFAULT: u64 = 10_000;

impl Jobs {
    /// What holds a job.
    pub(super) async fn explain(
        &self,
        request: v1::ExplainJobRequest,
        _caller: &Caller,
    ) -> Result<v1::ExplainJobResponse, Status> {
        Ok(self.explained(&request.job_id).await?)
    }

    async fn explained(&self, job_id: &str) -> Result<v1::ExplainJobResponse, Refusal> {
        let id = job_id.parse::<JobId>().map_err(|error| Refusal::field("job_id", error.to_string()))?;
        let record = self.storage.job(id).await?.ok_or(Refusal::NoJob(id))?;
        let now = self.clock.now();
        let state = record.job.state(flight_of(&record), now);
        let suppressed = suppressed::explain(&self.storage, &record.job, now).await?;
        let answer = v1::ExplainJobResponse {
            state: from_state(state).into(),
            hindrances: suppressed.into_iter().collect(),
            ..Default::default()
        };
        let own = Queued::of_job(&record.job);
        let account = self.storage.account(&record.job.account).await?;
        let Some(account) = account.filter(|_| !state.is_final() && !record.marked) else { return Ok(answer) };
        let due = record.job.due().unwrap_or(now).max(now);
        let usage = self.storage.usage(&record.job.account).await?;
        let ahead = self.planner.ahead(&record.job.account, record.job.priority, own, due).await?;
        let plan = plan_of(&account, &usage, &ahead, (record.job.priority, own, due), now);
        let times = plan.times.last().copied().flatten();
        let scene = Scene { record: &record, account: &account, usage, ahead: ahead.all(), times, now };
        let planned = times.filter(|_| !needs_a_person(&scene)).map(from_times);
        let mut hindrances = hindrances(&scene);
        hindrances.extend(answer.hindrances);
        Ok(v1::ExplainJobResponse { hindrances, planned, ..answer })
    }

    /// When mail will have been sent.
    pub(super) async fn estimate(
        &self,
        request: v1::EstimateCompletionRequest,
        _caller: &Caller,
    ) -> Result<v1::EstimateCompletionResponse, Status> {
        Ok(self.estimated(request).await?)
    }

    async fn estimated(
        &self,
        request: v1::EstimateCompletionRequest,
    ) -> Result<v1::EstimateCompletionResponse, Refusal> {
        let mut violations = Violations::default();
        let priority = to_priority(request.priority);
        if priority.is_none() {
            violations.add("priority", "is none");
        }
        if request.messages > ESTIMATED_MESSAGES_MAX {
            violations.add("messages", format!("must be at most {ESTIMATED_MESSAGES_MAX}"));
        }
        let id = request.account_id.parse::<AccountId>();
        let id = id.map_err(|error| violations.add("account_id", error.to_string())).ok();
        let (id, priority) = violations.finish(id.zip(priority))?;
        let account = self.storage.account(&id).await?.ok_or_else(|| Refusal::no_account(id.clone()))?;
        let now = self.clock.now();
        let queued = self.queued(&id).await?;
        let bytes = if request.message_bytes == 0 { MESSAGE_BYTES_DEFAULT } else { request.message_bytes };
        let mut ahead = queued;
        let (priority, own) = match request.messages {
            // All that is queued: the least urgent of it comes last.
            0 => {
                let last = Priority::ALL.into_iter().rev().find(|class| queued.classes[*class as usize].messages > 0);
                let last = last.unwrap_or_default();
                (last, std::mem::take(&mut ahead.classes[last as usize]))
            }
            messages => {
                let less_urgent = Priority::ALL.into_iter().filter(|class| *class > priority);
                less_urgent.for_each(|class| ahead.classes[class as usize] = Queued::default());
                (priority, Queued::alike(messages, bytes))
            }
        };
        let usage = self.storage.usage(&id).await?;
        let plan = plan_of(&account, &usage, &ahead, (priority, own, now), now);
        let last = plan.times.last().copied().flatten();
        let first = plan.times.iter().flatten().map(|times| times.first_at).min();
        let planned = last.map(|mut times| {
            if request.messages == 0 {
                times.first_at = first.unwrap_or(times.first_at);
            }
            from_times(times)
        });
        Ok(v1::EstimateCompletionResponse {
            planned,
            queued_messages: queued.all().messages,
            messages_per_second: service_of(&account).messages_per_second(),
            bound: sentence(&plan.bound, &account),
        })
    }

    /// What is queued of an account and due.
    async fn queued(&self, id: &AccountId) -> Result<Ahead, Refusal> {
        let backlog = self.storage.backlog(id).await?;
        let later = self.storage.backlog_after(id, self.clock.now()).await?;
        Ok(Ahead { classes: Priority::ALL.map(|class| without(backlog.of(class), later.of(class))) })
    }
}

/// What bounds the rate most.
fn sentence(bound: &Bound, account: &AccountRecord) -> String {
    let limits = &account.account.settings.limits;
    let connections = limits.connections_max;
    let assumed = format!(
        "Each of {connections} connections is taken to carry a message in {MESSAGE_SECONDS_ASSUMED} seconds, which is assumed."
    );
    let bound = match bound {
        Bound::Connections => return format!("The connections bound it most. {assumed}"),
        Bound::Interval => {
            format!("The interval of {} ms between two messages bounds it most.", limits.interval.as_millis())
        }
        Bound::Batch => "The pause after each batch bounds it most.".to_owned(),
        Bound::Pace => {
            let rate = limits.pace.map_or(0, |pace| pace.messages_per_minute.get());
            format!("The pace of {rate} messages a minute bounds it most.")
        }
        Bound::Quota(quota) => format!("The quota of {} bounds it most.", super::hindrances::describe(quota)),
        Bound::QuietWindow => "Quiet windows bound it most.".to_owned(),
        Bound::Parked(_) => "The account is parked for most of the time.".to_owned(),
        Bound::Due => "Most of the time passes before it is due.".to_owned(),
    };
    format!("{bound} {assumed}")
}
