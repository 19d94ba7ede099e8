//! `hikyaku job submit`: one mail, or many of it through one stream, and the wait for what becomes of them.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, stream};
use hikyaku_client::{
    Answer, Client, Watch,
    proto::{SubmitJobRequest, SubmitJobResponse},
};
use serde::Serialize;

use super::{
    blob::with_uploads,
    counted::counted,
    escape::{escape, escape_lines},
    failure::{EXIT_FAILED, Failure, FailureView, usage},
    follow::Follow,
    job_view::JobView,
    outlook::{PlannedView, route_and_plan},
    output::{Output, Show},
    progress::Progress,
    submission::{numbered, submission},
    submit_args::{ConductArgs, SubmitArgs},
    wait::Waiting,
};

/// Refusals of repeated submissions that are shown to people; further ones are counted only.
const REFUSALS_SHOWN_MAX: u64 = 10;

pub(crate) async fn submit<W: Write>(
    args: SubmitArgs,
    connect: impl Future<Output = Result<Client, Failure>>,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let ConductArgs { idempotency_key, dry_run, repeat, wait, wait_max } = args.conduct;
    let submission = submission(args.message, now)?;
    let draft = submission.job();
    if wait && (draft.hold || draft.approval_required) {
        return Err(usage("a job that is held, or needs approval, is not waited for: leave --wait out"));
    }
    let account_id = draft.account_id.clone();
    let client = connect.await?;
    let job = Some(with_uploads(&client, submission).await?);
    let request = SubmitJobRequest { job, idempotency_key: idempotency_key.unwrap_or_default(), dry_run };
    // The watch begins before the first submission, so that no event is missed.
    let events = match wait {
        true => {
            Some(Follow::begin(client.clone(), Watch { account_id: account_id.clone(), ..Watch::default() }).await?)
        }
        false => None,
    };
    let taken = if repeat == 1 {
        submit_one(&client, request, output).await?
    } else {
        submit_many(&client, request, repeat, output).await?
    };
    output.flush()?;
    let Some(mut events) = events else { return Ok(exit_code(taken.refused == 0)) };

    let mut waiting = Waiting::of(taken.routed_to.unwrap_or(account_id));
    taken.ids.iter().for_each(|job_id| waiting.add(job_id));
    let finish = waiting.finish(&client, &mut events, &taken.existing);
    let in_time = match wait_max {
        None => finish.await.map(|()| true)?,
        Some(limit) => tokio::time::timeout(limit, finish).await.map_or(Ok(false), |ended| ended.map(|()| true))?,
    };
    if !in_time {
        writeln!(io::stderr().lock(), "hikyaku: stopped waiting; the jobs go on")?;
    }
    if output.is_json() || taken.ids.len() == 1 {
        for job_id in &taken.ids {
            output.show(&JobView::from(client.get_job(job_id).await?))?;
        }
    } else {
        output.text(&waiting.summary())?;
    }
    Ok(exit_code(taken.refused == 0 && waiting.all_submitted()))
}

/// What the daemon took.
#[derive(Debug, Default)]
struct Taken {
    ids: Vec<String>,
    /// Those among them that an earlier submission had stored.
    existing: Vec<String>,
    refused: u64,
    /// The account, where routing chose it.
    routed_to: Option<String>,
}

impl Taken {
    fn note(&mut self, stored: &SubmitJobResponse) {
        if stored.job_id.is_empty() {
            return;
        }
        self.ids.push(stored.job_id.clone());
        if !stored.routed_account_id.is_empty() {
            self.routed_to = Some(stored.routed_account_id.clone());
        }
        if stored.existing {
            self.existing.push(stored.job_id.clone());
        }
    }
}

async fn submit_one<W: Write>(
    client: &Client,
    request: SubmitJobRequest,
    output: &mut Output<W>,
) -> Result<Taken, Failure> {
    let stored = Progress::new("submitting", 1).during(client.submit(request), || (0, String::new())).await?;
    let mut taken = Taken::default();
    taken.note(&stored);
    output.show(&SubmittedView::new(None, stored))?;
    Ok(taken)
}

async fn submit_many<W: Write>(
    client: &Client,
    template: SubmitJobRequest,
    repeat: u64,
    output: &mut Output<W>,
) -> Result<Taken, Failure> {
    let requests = stream::iter((1..=repeat).map(move |n| numbered(&template, n)));
    let mut answers = client.submit_all(requests).await?;
    let mut progress = Progress::new("submitting", repeat);
    let mut taken = Taken::default();
    let mut answered = 0;
    while answered < repeat {
        match tokio::time::timeout(Duration::from_secs(1), answers.next()).await {
            Err(_) => {}
            Ok(None) => return Err(broken_off(answered, repeat, None)),
            Ok(Some(Err(error))) => return Err(broken_off(answered, repeat, Some(error))),
            Ok(Some(Ok(answer))) => {
                answered += 1;
                take(answer, &mut taken, output)?;
            }
        }
        progress.at(answered, "");
    }
    if !output.is_json() {
        let seconds = progress.elapsed().as_secs_f64();
        let rate = repeat as f64 / seconds.max(0.001);
        let accepted = repeat - taken.refused;
        output.text(&format!("{accepted} accepted, {} refused in {seconds:.1} s ({rate:.0}/s)", taken.refused))?;
    }
    Ok(taken)
}

fn take<W: Write>(answer: Answer, taken: &mut Taken, output: &mut Output<W>) -> Result<(), Failure> {
    match answer.outcome {
        Ok(stored) => {
            taken.note(&stored);
            if output.is_json() {
                output.json(&SubmittedView::new(Some(answer.index), stored))?;
            }
        }
        Err(error) => {
            taken.refused += 1;
            if output.is_json() {
                output.json(&RefusedView { index: answer.index, error: FailureView::of(&error) })?;
            } else if taken.refused <= REFUSALS_SHOWN_MAX {
                let text = error.to_string();
                let lines: Vec<_> = escape_lines(&text).collect();
                writeln!(io::stderr().lock(), "hikyaku: mail {}: {}", answer.index + 1, lines.join("\n"))?;
            }
        }
    }
    Ok(())
}

fn broken_off(answered: u64, repeat: u64, error: Option<hikyaku_client::Error>) -> Failure {
    let what = format!(
        "the stream ended after {answered} of {repeat} answers; some of the others may be stored, so repeat with the \
         same --idempotency-key"
    );
    match error {
        Some(error) => Failure::Other(anyhow::Error::from(error).context(what)),
        None => Failure::Other(anyhow::anyhow!(what)),
    }
}

fn exit_code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
}

/// A stored submission.
#[derive(Debug, Serialize)]
pub(crate) struct SubmittedView {
    index: Option<u64>,
    job_id: Option<String>,
    existing: bool,
    warnings: Vec<String>,
    message_bytes: u64,
    planned: Option<PlannedView>,
    routed_account_id: Option<String>,
}

impl SubmittedView {
    pub(crate) fn new(index: Option<u64>, stored: SubmitJobResponse) -> Self {
        let SubmitJobResponse { job_id, existing, warnings, message_bytes, planned, routed_account_id } = stored;
        let given = |id: String| Some(id).filter(|id| !id.is_empty());
        Self {
            index,
            job_id: given(job_id),
            existing,
            warnings,
            message_bytes,
            planned: planned.map(Into::into),
            routed_account_id: given(routed_account_id),
        }
    }
}

impl Show for SubmittedView {
    fn text(&self) -> String {
        let bytes = counted(self.message_bytes, "byte", "bytes");
        let mut text = match &self.job_id {
            None => format!("would be accepted ({bytes})"),
            Some(id) if self.existing => format!("accepted before as {} ({bytes})", escape(id)),
            Some(id) => format!("accepted as {} ({bytes})", escape(id)),
        };
        text.push_str(&route_and_plan(self.routed_account_id.as_deref(), self.planned.as_ref()));
        for warning in &self.warnings {
            text.push_str(&format!("\nwarning: {}", escape(warning)));
        }
        text
    }
}

/// A refused one of many.
#[derive(Debug, Serialize)]
struct RefusedView {
    index: u64,
    error: FailureView,
}
