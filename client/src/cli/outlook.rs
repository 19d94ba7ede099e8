//! `hikyaku job explain` and `account estimate`: what holds mail, and when it goes.

use std::{io::Write, process::ExitCode};

use clap::Args;
use hikyaku_client::{
    Client,
    proto::{
        EstimateCompletionRequest, EstimateCompletionResponse, ExplainJobResponse, Hindrance, PlannedTimes, Priority,
    },
};
use serde::Serialize;

use super::{
    counted::counted,
    escape::escape,
    failure::Failure,
    job_view::state_name,
    output::{Output, Show},
    submit_args::PriorityName,
    table::fields,
    time_text::show_time,
};

/// What would be submitted now.
#[derive(Args, Debug)]
pub(crate) struct EstimateArgs {
    /// The account
    id: String,
    /// Messages that would be submitted now, one recipient each; without it, all that is queued is meant
    #[arg(long, value_name = "N", default_value_t = 0)]
    messages: u64,
    /// Their priority
    #[arg(long, default_value = "normal")]
    priority: PriorityName,
    /// The length of each; 10,000 when not given
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    message_bytes: u64,
}

pub(crate) async fn explain<W: Write>(client: &Client, id: &str, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let answer = client.explain_job(id).await?;
    output.show(&ExplainedView::new(id, answer))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn estimate<W: Write>(
    client: &Client,
    args: EstimateArgs,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let EstimateArgs { id, messages, priority, message_bytes } = args;
    let priority = Priority::from(priority).into();
    let request = EstimateCompletionRequest { account_id: id.clone(), messages, priority, message_bytes };
    let answer = client.estimate_completion(request).await?;
    output.show(&EstimateView::new(id, messages, answer))?;
    Ok(ExitCode::SUCCESS)
}

/// When messages will be sent, if nothing else happens.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedView {
    first_at: Option<String>,
    last_at: Option<String>,
}

impl From<PlannedTimes> for PlannedView {
    fn from(planned: PlannedTimes) -> Self {
        Self { first_at: planned.first_at.map(show_time), last_at: planned.last_at.map(show_time) }
    }
}

impl PlannedView {
    /// One time, or the first and the last.
    pub(crate) fn text(&self) -> String {
        match (&self.first_at, &self.last_at) {
            (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
            (first, last) => first.as_ref().or(last.as_ref()).cloned().unwrap_or_default(),
        }
    }
}

/// Lines for people below the answer to a submission.
pub(crate) fn route_and_plan(account: Option<&str>, planned: Option<&PlannedView>) -> String {
    let mut text = String::new();
    if let Some(account) = account {
        text.push_str(&format!("\nrouted to {}", escape(account)));
    }
    if let Some(times) = planned.map(PlannedView::text).filter(|times| !times.is_empty()) {
        text.push_str(&format!("\nplanned {times}"));
    }
    text
}

/// What holds a job.
#[derive(Debug, Serialize)]
struct ExplainedView {
    job_id: String,
    state: &'static str,
    hindrances: Vec<HindranceView>,
    planned: Option<PlannedView>,
}

#[derive(Debug, Serialize)]
struct HindranceView {
    cause: String,
    explanation: String,
    until: Option<String>,
    advice: String,
}

impl ExplainedView {
    fn new(job_id: &str, answer: ExplainJobResponse) -> Self {
        Self {
            job_id: job_id.to_owned(),
            state: state_name(answer.state()),
            hindrances: answer.hindrances.into_iter().map(Into::into).collect(),
            planned: answer.planned.map(Into::into),
        }
    }
}

impl From<Hindrance> for HindranceView {
    fn from(hindrance: Hindrance) -> Self {
        let Hindrance { cause, explanation, until, advice } = hindrance;
        Self { cause, explanation, until: until.map(show_time), advice }
    }
}

impl Show for ExplainedView {
    fn text(&self) -> String {
        let mut text = format!("{} is {}", escape(&self.job_id), self.state);
        if self.hindrances.is_empty() {
            text.push_str("; nothing holds it");
        }
        for (number, one) in (1..).zip(&self.hindrances) {
            text.push_str(&format!("\n{number}. {}: {}", escape(&one.cause), escape(&one.explanation)));
            if let Some(until) = &one.until {
                text.push_str(&format!("\n   until {until}"));
            }
            if !one.advice.is_empty() {
                text.push_str(&format!("\n   {}", escape(&one.advice)));
            }
        }
        text + &route_and_plan(None, self.planned.as_ref())
    }
}

/// How long an account's mail takes.
#[derive(Debug, Serialize)]
struct EstimateView {
    account_id: String,
    messages: u64,
    planned: Option<PlannedView>,
    queued_messages: u64,
    messages_per_second: f64,
    bound: String,
}

impl EstimateView {
    fn new(account_id: String, messages: u64, answer: EstimateCompletionResponse) -> Self {
        let EstimateCompletionResponse { planned, queued_messages, messages_per_second, bound } = answer;
        Self { account_id, messages, planned: planned.map(Into::into), queued_messages, messages_per_second, bound }
    }
}

impl Show for EstimateView {
    fn text(&self) -> String {
        let times = self.planned.as_ref();
        let first = times.and_then(|planned| planned.first_at.clone()).unwrap_or_default();
        let last = times.and_then(|planned| planned.last_at.clone()).unwrap_or_default();
        let what = match self.messages {
            0 => "what is queued".to_owned(),
            count => counted(count, "message submitted now", "messages submitted now"),
        };
        fields([
            ("account", self.account_id.clone()),
            ("estimate of", what),
            ("first sent", first),
            ("last sent", last),
            ("queued", counted(self.queued_messages, "message", "messages")),
            ("rate", format!("{:.2}/s", self.messages_per_second)),
            ("bound by", self.bound.clone()),
        ])
    }
}
