//! `hikyaku job merge`: one content, and a message of its own for each row of a CSV file.

use std::{
    io::Write,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::stream;
use hikyaku_client::{
    Client, Error,
    proto::{MergeHead, SubmitMergeResponse, job_draft::Content},
};
use serde::Serialize;

use super::{
    counted::counted,
    escape::escape,
    failure::Failure,
    job_args::MergeArgs,
    merge_rows::{Columns, check_rows, line_of_row, rows},
    outlook::{PlannedView, route_and_plan},
    output::{Output, Show},
    progress::Progress,
    submission::merge_head,
};

pub(crate) async fn merge<W: Write>(
    args: MergeArgs,
    connect: impl Future<Output = Result<Client, Failure>>,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let path = args.csv.clone();
    let dry_run = args.dry_run;
    let head = merge_head(args, now)?;
    let texts = texts_of(&head);
    let columns = Columns::read(&path, |name| texts.iter().any(|text| text.contains(name)))?;
    let total = check_rows(&path, &columns)?;
    let client = connect.await?;

    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let recipients = stream::iter(rows(&path, columns)?);
    let call = client.submit_merge(head, recipients, move |count| counter.store(count, Ordering::Relaxed));
    let mut call = std::pin::pin!(call);
    let mut progress = Progress::new("submitting", total);
    let stored = loop {
        match tokio::time::timeout(TICK, &mut call).await {
            Ok(answer) => break answer.map_err(|error| with_lines(error, &path))?,
            Err(_) => progress.at(sent.load(Ordering::Relaxed), ""),
        }
    };
    drop(progress);
    output.show(&MergedView::new(stored, dry_run))?;
    Ok(ExitCode::SUCCESS)
}

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(500);

/// The templates, in which a column has to be named to be sent.
fn texts_of(head: &MergeHead) -> Vec<String> {
    match head.job.as_ref().and_then(|job| job.content.as_ref()) {
        Some(Content::Mail(mail)) => vec![mail.subject.clone(), mail.text.clone(), mail.html.clone()],
        _ => Vec::new(),
    }
}

/// Says of each mistake about a recipient in which line of the file it is.
fn with_lines(error: Error, path: &Path) -> Error {
    let Error::Refused(mut refused) = error else { return error };
    for violation in &mut refused.violations {
        let index = violation.field.strip_prefix("recipients[").and_then(|rest| rest.split_once(']'));
        let line = index.and_then(|(index, _)| index.parse().ok()).and_then(|index| line_of_row(path, index));
        if let Some(line) = line {
            violation.description.push_str(&format!(" (line {line} of {})", path.display()));
        }
    }
    Error::Refused(refused)
}

/// A stored merge job.
#[derive(Debug, Serialize)]
struct MergedView {
    job_id: Option<String>,
    existing: bool,
    recipients: u32,
    message_bytes: u64,
    warnings: Vec<String>,
    planned: Option<PlannedView>,
    routed_account_id: Option<String>,
    #[serde(skip)]
    dry_run: bool,
}

impl MergedView {
    fn new(stored: SubmitMergeResponse, dry_run: bool) -> Self {
        let SubmitMergeResponse { job_id, existing, warnings, recipients, message_bytes, planned, routed_account_id } =
            stored;
        let given = |id: String| Some(id).filter(|id| !id.is_empty());
        Self {
            job_id: given(job_id),
            existing,
            recipients,
            message_bytes,
            warnings,
            planned: planned.map(Into::into),
            routed_account_id: given(routed_account_id),
            dry_run,
        }
    }
}

impl Show for MergedView {
    fn text(&self) -> String {
        let recipients = counted(self.recipients.into(), "recipient", "recipients");
        let bytes = counted(self.message_bytes, "byte", "bytes");
        let mut text = match &self.job_id {
            Some(id) if self.existing => format!("accepted before as {} ({recipients})", escape(id)),
            Some(id) => format!("accepted as {} ({recipients}, the first message has {bytes})", escape(id)),
            None if self.dry_run => format!("would be accepted ({recipients}, the first message has {bytes})"),
            None => format!("accepted ({recipients})"),
        };
        text.push_str(&route_and_plan(self.routed_account_id.as_deref(), self.planned.as_ref()));
        for warning in &self.warnings {
            text.push_str(&format!("\nwarning: {}", escape(warning)));
        }
        text
    }
}
