//! `hikyaku job`, but for submitting: show jobs, watch them and steer them.

use std::{io::Write, pin::pin, process::ExitCode, time::SystemTime};

use futures_util::TryStreamExt as _;
use hikyaku_client::{
    Client, Watch,
    proto::{JobControl, JobFilter, job_selector::Selection},
};

use super::{
    args::Global,
    counted::counted,
    event_view::EventView,
    failure::{EXIT_FAILED, Failure, usage},
    follow::Follow,
    job_args::{JobCommand, SelectArgs, WatchArgs},
    job_view::{JobView, SummaryView, job_table},
    merge::merge,
    outlook::explain,
    output::Output,
    preview::preview,
    recipients::recipients,
    resend::resend,
    run::connect,
    submit::submit,
};

pub(crate) async fn run<W: Write>(
    command: JobCommand,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let (control, select) = match command {
        JobCommand::Submit(args) => return Box::pin(submit(*args, connect(global), now, output)).await,
        JobCommand::Merge(args) => return Box::pin(merge(*args, connect(global), now, output)).await,
        JobCommand::Preview(args) => return Box::pin(preview(*args, connect(global), now, output)).await,
        JobCommand::Resend(args) => return resend(&connect(global).await?, args, output).await,
        JobCommand::Recipients(args) => return recipients(&connect(global).await?, args, output).await,
        JobCommand::Get { id } => {
            output.show(&JobView::from(connect(global).await?.get_job(&id).await?))?;
            return Ok(ExitCode::SUCCESS);
        }
        JobCommand::Explain { id } => return explain(&connect(global).await?, &id, output).await,
        JobCommand::List { filter, limit } => {
            return list(&connect(global).await?, filter.filter(now), limit, output).await;
        }
        JobCommand::Watch(args) => return watch(connect(global).await?, args, output).await,
        JobCommand::Cancel(select) => (JobControl::Cancel, select),
        JobCommand::Hold(select) => (JobControl::Hold, select),
        JobCommand::Release(select) => (JobControl::Release, select),
        JobCommand::Retry(select) => (JobControl::Retry, select),
        JobCommand::Approve(select) => (JobControl::Approve, select),
        JobCommand::Expire(select) => (JobControl::Expire, select),
    };
    steer(control, select, global, now, output).await
}

async fn list<W: Write>(
    client: &Client,
    filter: JobFilter,
    limit: u64,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let mut jobs = pin!(client.list_jobs(filter));
    let mut rows = Vec::new();
    let mut shown = 0;
    let mut more = false;
    while let Some(job) = jobs.try_next().await? {
        if limit > 0 && shown == limit {
            more = true;
            break;
        }
        shown += 1;
        let view = JobView::from(job);
        if output.is_json() {
            output.show(&view)?;
        } else {
            rows.push(view);
        }
    }
    if !output.is_json() {
        output.text(&job_table(&rows))?;
    }
    output.flush()?;
    if more {
        let jobs = counted(limit, "job", "jobs");
        writeln!(std::io::stderr().lock(), "hikyaku: there are more than {jobs}; --limit 0 shows all")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn watch<W: Write>(client: Client, args: WatchArgs, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let WatchArgs { ids, account, cursor } = args;
    let watch = Watch { cursor, account_id: account.unwrap_or_default(), job_ids: ids };
    let mut events = Follow::begin(client, watch).await?;
    loop {
        output.show(&EventView::from(events.next().await?))?;
        output.flush()?;
    }
}

async fn steer<W: Write>(
    control: JobControl,
    args: SelectArgs,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let (verb, done) = words(control);
    let SelectArgs { id, filter, dry_run, yes } = args;
    let (selection, one) = match (id, filter.is_empty()) {
        (Some(_), false) => return Err(usage("name one job or a filter, not both")),
        (None, true) => {
            return Err(usage(format!(
                "which jobs? Name one, or a filter such as --account ID --state queued, to {verb} them"
            )));
        }
        (Some(id), true) => (Selection::JobId(id), true),
        (None, false) => (Selection::Filter(filter.filter(now)), false),
    };
    let client = connect(global).await?;
    if !one && !dry_run && !yes {
        let summary = client.control(control, selection, true).await?;
        return Err(usage(format!(
            "this would {verb} {} of {}; add --yes to do it, or --dry-run to count only",
            summary.changed,
            counted(summary.matched, "matching job", "matching jobs")
        )));
    }
    let summary = client.control(control, selection, dry_run).await?;
    output.show(&SummaryView::new(done, dry_run, summary))?;
    // A filter may rightly match nothing; a job that was named should have been changed.
    let refused = one && summary.changed == 0;
    Ok(if refused { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

fn words(control: JobControl) -> (&'static str, &'static str) {
    match control {
        JobControl::Unspecified | JobControl::Cancel => ("cancel", "cancelled"),
        JobControl::Hold => ("hold", "held"),
        JobControl::Release => ("release", "released"),
        JobControl::Retry => ("retry", "retried"),
        JobControl::Approve => ("approve", "approved"),
        JobControl::Expire => ("end", "ended"),
    }
}
