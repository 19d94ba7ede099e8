//! `hikyaku classify`: one reply by the daemon's rules, or a file of them by those that are built in.

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use hikyaku_client::proto::{ClassifyRequest, ClassifyResponse};
use serde::Serialize;

use super::{
    args::Global,
    classify_file,
    duration_text::show_duration,
    failure::Failure,
    job_view::{blame_name, verdict_name},
    output::{Output, Show},
    run::connect,
    table::fields,
};

/// Which reply to judge.
#[derive(Args, Debug)]
pub(crate) struct ClassifyArgs {
    /// The reply with its codes, such as "550 5.1.1 No such user"; \n stands for a line break
    #[arg(required_unless_present = "jsonl")]
    reply: Option<String>,
    /// Judge the "reply" of each line of JSON in FILE, - for stdin, without a daemon; adds kind, verdict, blame and reason
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reply", "provider", "phase"])]
    jsonl: Option<PathBuf>,
    /// The provider's kind, such as gmail
    #[arg(long, default_value = "generic")]
    provider: String,
    /// When it came: greeting, hello, tls, sign-in, mail, rcpt, data or end-of-data
    #[arg(long, default_value = "rcpt")]
    phase: String,
}

pub(crate) async fn run<W: Write>(
    args: ClassifyArgs,
    global: &Global,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let ClassifyArgs { reply, jsonl, provider, phase } = args;
    if let Some(path) = jsonl {
        return classify_file::run(&path, output);
    }
    let reply = reply.unwrap_or_default().replace("\\n", "\n");
    let answer = connect(global).await?.classify(ClassifyRequest { provider, phase, reply }).await?;
    output.show(&JudgementView::from(answer))?;
    Ok(ExitCode::SUCCESS)
}

/// What the rules make of a reply.
#[derive(Debug, Serialize)]
struct JudgementView {
    verdict: &'static str,
    blame: &'static str,
    wait_ms: Option<u64>,
    rule: String,
}

impl From<ClassifyResponse> for JudgementView {
    fn from(answer: ClassifyResponse) -> Self {
        let wait = answer.wait.and_then(|wait| Duration::try_from(wait).ok());
        Self {
            verdict: verdict_name(answer.verdict()),
            blame: blame_name(answer.blame()),
            wait_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            rule: answer.rule,
        }
    }
}

impl Show for JudgementView {
    fn text(&self) -> String {
        fields([
            ("verdict", self.verdict.to_owned()),
            ("blame", self.blame.to_owned()),
            ("wait", self.wait_ms.map(|wait| show_duration(Duration::from_millis(wait))).unwrap_or_default()),
            ("rule", self.rule.clone()),
        ])
    }
}
