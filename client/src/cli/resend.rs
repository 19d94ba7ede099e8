//! `hikyaku job resend`: a finished job's message again, as a new job.

use std::{io::Write, process::ExitCode};

use clap::Args;
use hikyaku_client::{
    Client,
    proto::{RecipientState, ResendJobRequest},
};

use super::{failure::Failure, filter_args::parse_recipient_state, output::Output, submit::SubmittedView};

/// What to send again, and to whom. The new job has a Message-ID and a Date of its own; the first one stays as it is.
#[derive(Args, Debug)]
pub(crate) struct ResendArgs {
    /// The job, which must be finished
    id: String,
    /// Only to its recipients in one of these states, such as failed,expired
    #[arg(long, value_name = "STATE", value_parser = parse_recipient_state, value_delimiter = ',')]
    state: Vec<RecipientState>,
    /// Only to this one of its recipients; repeatable
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// Your own name for this submission, which makes it safe to repeat
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Check, but store nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn resend<W: Write>(
    client: &Client,
    args: ResendArgs,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let ResendArgs { id, state, address, idempotency_key, dry_run } = args;
    let request = ResendJobRequest {
        job_id: id,
        states: state.into_iter().map(Into::into).collect(),
        addresses: address,
        idempotency_key: idempotency_key.unwrap_or_default(),
        dry_run,
    };
    output.show(&SubmittedView::new(None, client.resend(request).await?))?;
    Ok(ExitCode::SUCCESS)
}
