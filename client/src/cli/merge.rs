//! `hikyaku job merge`: one content, and a message of its own for each row of a CSV file.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use anyhow::anyhow;
use futures_util::stream;
use hikyaku_client::{
    Client, Error,
    proto::{
        JobDraft, MergeHead, MergePreview, PreviewJobRequest, SubmitMergeResponse, job_draft::Content,
        preview_job_request::What,
    },
};
use serde::Serialize;

use super::{
    blob::with_uploads,
    counted::counted,
    csv_file::CsvFile,
    escape::{escape, escape_lines},
    failure::Failure,
    merge_args::{ListArgs, MergeArgs},
    merge_columns::Named,
    merge_report::Report,
    merge_rows::{Checked, List},
    outlook::{PlannedView, route_and_plan},
    output::{Output, Show},
    preview::write_message,
    progress::Progress,
    submission::merge_head,
    template_words::template_words,
    wanted::Submission,
};

pub(crate) async fn merge<W: Write>(
    mut args: MergeArgs,
    connect: impl Future<Output = Result<Client, Failure>>,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let (dry_run, preview, path) = (args.dry_run, args.preview, args.output.take());
    let (report, skip) = (args.list.report.take(), args.list.skip_bad_rows);
    let idempotency_key = args.idempotency_key.take().unwrap_or_default();
    let file = file(&args.list);
    let (address, name) = (args.list.address_column.take(), args.list.name_column.take());
    let named = Named { address: address.as_deref(), name: name.as_deref() };
    let submission = merge_head(args, now)?;
    let templates = templates(submission.job());
    let words = template_words(templates.iter().map(String::as_str));
    let list = List::open(file, named, |name| words.contains(name))?;
    if let Some(n) = preview {
        return Box::pin(show_row(connect.await?, &list, n, submission, path.as_deref(), output)).await;
    }
    let checked = list.check(Report::new(report.as_deref())?)?;
    tell(&list, &checked, skip)?;
    let client = connect.await?;
    let job = Some(with_uploads(&client, submission).await?);
    let head = MergeHead { job, idempotency_key, dry_run };
    let stored = send(&client, head, &list, &checked).await?;
    output.show(&MergedView::new(stored, checked.bad, dry_run))?;
    Ok(ExitCode::SUCCESS)
}

fn file(args: &ListArgs) -> CsvFile {
    let ListArgs { csv, delimiter, encoding, .. } = args;
    CsvFile { path: csv.clone(), encoding: *encoding, delimiter: *delimiter, read: Arc::default() }
}

/// The templates, in which a column has to be named to be sent.
fn templates(job: &JobDraft) -> Vec<String> {
    let Some(Content::Mail(mail)) = &job.content else { return Vec::new() };
    let mut texts = vec![mail.subject.clone(), mail.text.clone(), mail.html.clone()];
    texts.extend(mail.list_unsubscribe.iter().flat_map(|way| [way.url.clone(), way.mailto.clone()]));
    texts
}

/// Says which columns and which rows come to nothing.
fn tell(list: &List, checked: &Checked, skip: bool) -> Result<(), Failure> {
    let unused = list.columns.unused();
    if !unused.is_empty() {
        let names: Vec<_> = unused.into_iter().map(escape).collect();
        writeln!(io::stderr().lock(), "hikyaku: not used: the columns {}", names.join(", "))?;
    }
    let Checked { good, bad, told } = checked;
    if *bad == 0 {
        return Ok(());
    }
    let rows = counted(good + bad, "row", "rows");
    let name = list.file.path.display();
    if !skip || *good == 0 {
        return Err(anyhow!("{bad} of {rows} of {name} are bad; nothing was sent{told}").into());
    }
    let text = format!("hikyaku: {bad} of {rows} of {name} are bad, and left out{told}");
    let lines: Vec<_> = escape_lines(&text).collect();
    writeln!(io::stderr().lock(), "{}", lines.join("\n"))?;
    Ok(())
}

/// Writes the message of one row.
async fn show_row<W: Write>(
    client: Client,
    list: &List,
    n: u64,
    submission: Submission,
    path: Option<&std::path::Path>,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let recipient = Some(list.recipient(n)?);
    let job = Some(with_uploads(&client, submission).await?);
    let what = Some(What::Merge(MergePreview { job, recipient }));
    let answer = client.preview(PreviewJobRequest { what, recipient: 0 }).await?;
    write_message(answer, path, output)?;
    Ok(ExitCode::SUCCESS)
}

async fn send(
    client: &Client,
    head: MergeHead,
    list: &List,
    checked: &Checked,
) -> Result<SubmitMergeResponse, Failure> {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let recipients = stream::iter(list.recipients(checked)?);
    let call = client.submit_merge(head, recipients, move |count| counter.store(count, Ordering::Relaxed));
    let seen = || {
        let count = sent.load(Ordering::Relaxed);
        // The daemon reads on, and then puts everything on stable storage.
        let note = if count == checked.good { "waiting for the daemon" } else { "" };
        (count, note.to_owned())
    };
    let answer = Progress::new("submitting", checked.good).during(call, seen).await;
    Ok(answer.map_err(|error| with_lines(error, list))?)
}

/// Says of each mistake about a recipient in which line of the file it is.
fn with_lines(error: Error, list: &List) -> Error {
    let Error::Refused(mut refused) = error else { return error };
    let lines = list.lines_of(refused.violations.iter().filter_map(|one| index_of(&one.field)).collect());
    for violation in &mut refused.violations {
        if let Some(line) = index_of(&violation.field).and_then(|index| lines.get(&index)) {
            violation.description.push_str(&format!(" (line {line} of {})", list.file.path.display()));
        }
    }
    Error::Refused(refused)
}

/// The place of the recipient that a field is about.
fn index_of(field: &str) -> Option<u64> {
    let (index, _) = field.strip_prefix("recipients[")?.split_once(']')?;
    index.parse().ok()
}

/// A stored merge job.
#[derive(Debug, Serialize)]
struct MergedView {
    job_id: Option<String>,
    existing: bool,
    recipients: u32,
    bad_rows: u64,
    message_bytes: u64,
    warnings: Vec<String>,
    planned: Option<PlannedView>,
    routed_account_id: Option<String>,
    #[serde(skip)]
    dry_run: bool,
}

impl MergedView {
    fn new(stored: SubmitMergeResponse, bad_rows: u64, dry_run: bool) -> Self {
        let SubmitMergeResponse { job_id, existing, warnings, recipients, message_bytes, planned, routed_account_id } =
            stored;
        let given = |id: String| Some(id).filter(|id| !id.is_empty());
        Self {
            job_id: given(job_id),
            existing,
            recipients,
            bad_rows,
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
