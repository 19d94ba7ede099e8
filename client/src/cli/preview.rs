//! `hikyaku job preview`: the exact message that would be sent.

use std::{
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use hikyaku_client::{
    Client,
    proto::{PreviewJobRequest, PreviewJobResponse, preview_job_request::What},
};
use serde::Serialize;

use super::{
    blob::with_uploads,
    counted::counted,
    escape::{escape, escape_lines},
    failure::Failure,
    output::{Output, Show},
    submission::submission,
    submit_args::MessageArgs,
};

/// What to show: a job by the options of `job submit`, or one that is stored.
#[derive(Args, Debug)]
pub(crate) struct PreviewArgs {
    /// A stored job, instead of options
    #[arg(long, value_name = "JOB", conflicts_with_all = ["account", "from", "reply_to", "to", "cc", "bcc", "file",
          "recipients_from_headers", "subject", "text", "text_file", "html", "html_file", "attach", "inline", "header",
          "raw"])]
    id: Option<String>,
    /// Of a stored merge job, the index of the recipient whose message is wanted
    #[arg(long, value_name = "N", requires = "id", default_value_t = 0)]
    recipient: u32,
    /// File for the message; stdout when not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    message: MessageArgs,
}

pub(crate) async fn preview<W: Write>(
    args: PreviewArgs,
    connect: impl Future<Output = Result<Client, Failure>>,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let (client, what) = match args.id {
        Some(id) => (connect.await?, What::JobId(id)),
        None => {
            let submission = submission(args.message, now)?;
            let client = connect.await?;
            let draft = with_uploads(&client, submission).await?;
            (client, What::Draft(draft))
        }
    };
    let answer = client.preview(PreviewJobRequest { what: Some(what), recipient: args.recipient }).await?;
    write_message(answer, args.output.as_deref(), output)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a message to a file or to stdout.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_message<W: Write>(
    answer: PreviewJobResponse,
    path: Option<&Path>,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    if let Some(path) = path {
        std::fs::write(path, &answer.message).with_context(|| format!("cannot write {}", path.display()))?;
        let file = Some(path.display().to_string());
        return Ok(output.show(&PreviewView {
            file,
            message: None,
            message_base64: None,
            ..PreviewView::from(answer)
        })?);
    }
    if output.is_json() {
        return Ok(output.json(&PreviewView::from(answer))?);
    }
    if io::stdout().is_terminal() {
        let text = String::from_utf8_lossy(&answer.message);
        escape_lines(text.trim_end_matches(['\r', '\n'])).try_for_each(|line| output.text(&line))?;
    } else {
        output.bytes(&answer.message)?;
    }
    output.flush()?;
    let words = PreviewView::from(answer).text();
    writeln!(io::stderr().lock(), "{words}")?;
    Ok(())
}

/// What would be sent.
#[derive(Debug, Serialize)]
struct PreviewView {
    sender: String,
    recipients: Vec<String>,
    warnings: Vec<String>,
    message_bytes: usize,
    /// Where the message was written to.
    file: Option<String>,
    /// The message when it is UTF-8.
    message: Option<String>,
    /// The message when it is not.
    message_base64: Option<String>,
}

impl From<PreviewJobResponse> for PreviewView {
    fn from(answer: PreviewJobResponse) -> Self {
        let PreviewJobResponse { message, sender, recipients, warnings } = answer;
        let message_bytes = message.len();
        let (message, message_base64) = match String::from_utf8(message.into()) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
        };
        Self { sender, recipients, warnings, message_bytes, file: None, message, message_base64 }
    }
}

/// Recipients that are named to people; further ones are counted only.
const RECIPIENTS_SHOWN_MAX: usize = 10;

impl Show for PreviewView {
    fn text(&self) -> String {
        let shown: Vec<_> = self.recipients.iter().take(RECIPIENTS_SHOWN_MAX).map(|one| escape(one)).collect();
        let more = self.recipients.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let bytes = counted(self.message_bytes as u64, "byte", "bytes");
        let mut text = format!("{bytes} from {} to {}{more}", escape(&self.sender), shown.join(", "));
        if let Some(file) = &self.file {
            text = format!("wrote {}: {text}", escape(file));
        }
        self.warnings.iter().for_each(|warning| text.push_str(&format!("\nwarning: {}", escape(warning))));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_no_text_is_encoded_in_json() {
        let view = |message: &[u8]| {
            PreviewView::from(PreviewJobResponse { message: message.to_vec().into(), ..PreviewJobResponse::default() })
        };
        assert_eq!(view("山".as_bytes()).message.as_deref(), Some("山"));
        let raw = view(b"\xff");
        assert_eq!((raw.message, raw.message_base64.as_deref(), raw.message_bytes), (None, Some("/w=="), 1));
    }

    #[test]
    fn many_recipients_are_counted() {
        let recipients = (0..12).map(|n| format!("{n}@example.jp")).collect();
        let text = PreviewView::from(PreviewJobResponse { recipients, ..PreviewJobResponse::default() }).text();
        assert!(text.ends_with("9@example.jp and 2 more"), "{text}");
    }
}
