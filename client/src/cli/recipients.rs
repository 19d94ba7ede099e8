//! `hikyaku job recipients`: what has become of each recipient of one job.

use std::{io::Write, pin::pin, process::ExitCode};

use futures_util::TryStreamExt as _;
use hikyaku_client::{Client, proto::ListedRecipient};
use serde::Serialize;

use super::{
    counted::counted, escape::escape, failure::Failure, job_args::RecipientsArgs, job_view::RecipientView,
    output::Output, table::table, time_text::show_time,
};

/// Rows that are laid out together: so many are held, however many recipients are listed.
const ROWS_TOGETHER: usize = 1_000;

pub(crate) async fn recipients<W: Write>(
    client: &Client,
    args: RecipientsArgs,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let RecipientsArgs { id, state, limit } = args;
    let mut listed = pin!(client.list_recipients(&id, &state));
    let mut rows = Vec::new();
    let mut shown = 0;
    let mut more = false;
    while let Some(one) = listed.try_next().await? {
        if limit > 0 && shown == limit {
            more = true;
            break;
        }
        shown += 1;
        let view = ListedView::from(one);
        if output.is_json() {
            output.json(&view)?;
            continue;
        }
        rows.push(view.row());
        if rows.len() == ROWS_TOGETHER {
            output.text(&table(&HEADINGS, std::mem::take(&mut rows)))?;
        }
    }
    if !output.is_json() && (!rows.is_empty() || shown == 0) {
        output.text(&table(&HEADINGS, rows))?;
    }
    output.flush()?;
    if more {
        let recipients = counted(limit, "recipient", "recipients");
        writeln!(std::io::stderr().lock(), "hikyaku: there are more than {recipients}; --limit 0 shows all")?;
    }
    Ok(ExitCode::SUCCESS)
}

const HEADINGS: [&str; 6] = ["INDEX", "RECIPIENT", "STATE", "SINCE", "TRIES", "REPLY"];

/// A recipient with its place in the job.
#[derive(Debug, Serialize)]
struct ListedView {
    index: u32,
    #[serde(flatten)]
    recipient: RecipientView,
    attempts_made: u32,
    due_at: Option<String>,
}

impl From<ListedRecipient> for ListedView {
    fn from(listed: ListedRecipient) -> Self {
        Self {
            index: listed.index,
            recipient: listed.recipient.unwrap_or_default().into(),
            attempts_made: listed.attempts_made,
            due_at: listed.due_at.map(show_time),
        }
    }
}

impl ListedView {
    fn row(&self) -> Vec<String> {
        vec![
            self.index.to_string(),
            escape(&self.recipient.address).into_owned(),
            self.recipient.state.to_owned(),
            self.recipient.since.clone().unwrap_or_default(),
            self.attempts_made.to_string(),
            self.recipient.reply(),
        ]
    }
}
