//! `hikyaku account test`: each step of a sign-in, in the server's own words, and what to change.

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use hikyaku_client::{
    Client,
    proto::{AccountTest, Diagnosis, TestAccountRequest, TestStep, TestedServer, TlsFacts},
};
use serde::Serialize;

use super::{
    duration_text::show_duration,
    escape::{escape, escape_lines},
    failure::{EXIT_FAILED, Failure, usage},
    output::{Output, Show},
    settings::document::read_accounts,
    table::fields,
};

/// What to test: an account that is stored, or one in a file.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// The account; with a file, which of its accounts
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Test the account as this file has it; secrets that the file leaves out are those that are stored
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Send one test mail to this address too, outside the queue but inside the quotas
    #[arg(long, value_name = "ADDRESS", conflicts_with = "mailbox")]
    to: Option<String>,
    /// Test the server of its mailbox: sign-in and the list of folders
    #[arg(long)]
    mailbox: bool,
}

/// Exit code 1 when it did not pass.
pub(crate) async fn test<W: Write>(
    args: TestArgs,
    connect: impl Future<Output = Result<Client, Failure>>,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let server = if args.mailbox { TestedServer::Mailbox } else { TestedServer::Smtp };
    let mut request = TestAccountRequest {
        account_id: args.id.clone().unwrap_or_default(),
        recipient: args.to.unwrap_or_default(),
        server: server.into(),
        settings: None,
    };
    let Some(file) = args.file else {
        let test = Box::pin(connect.await?.test_account(request)).await?;
        return show(test, output);
    };
    let mut accounts = read_accounts(&[file])?;
    accounts.retain(|account| args.id.as_ref().is_none_or(|id| *id == account.account_id));
    let [account] = accounts.as_mut_slice() else {
        return Err(usage(match args.id {
            Some(id) => format!("there is no account \"{id}\" in the file"),
            None => "name one of the accounts of the file, which has several or none".to_owned(),
        }));
    };
    let client = connect.await?;
    if !account.preset.is_empty() {
        let presets = client.list_presets().await?;
        let known = presets.iter().find(|preset| preset.preset_id == account.preset);
        account.fill(known.ok_or_else(|| usage(format!("there is no preset \"{}\"", account.preset)))?);
    }
    request.settings = Some(account.opened()?);
    // An id lends its stored secrets; one that is not stored cannot.
    let stored = super::account_apply::find(&client, &account.account_id).await?;
    request.account_id = stored.map(|account| account.account_id).unwrap_or_default();
    let test = Box::pin(client.test_account(request)).await?;
    show(test, output)
}

fn show<W: Write>(test: AccountTest, output: &mut Output<W>) -> Result<ExitCode, Failure> {
    let passed = test.passed;
    output.show(&TestView::from(test))?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

#[derive(Debug, Serialize)]
struct TestView {
    passed: bool,
    steps: Vec<StepView>,
    diagnosis: Option<DiagnosisView>,
    tls: Option<TlsView>,
    capabilities: Vec<String>,
    folders: Vec<String>,
    messages: u64,
}

#[derive(Debug, Serialize)]
struct StepView {
    name: String,
    succeeded: bool,
    took_ms: u64,
    sent: String,
    reply: String,
    note: String,
}

#[derive(Debug, Serialize)]
struct DiagnosisView {
    cause: String,
    explanation: String,
    advice: Vec<String>,
    help_url: String,
}

#[derive(Debug, Serialize)]
struct TlsView {
    version: String,
    cipher: String,
    certificate_names: Vec<String>,
    issuer: String,
    valid_from: String,
    valid_until: String,
}

impl From<AccountTest> for TestView {
    fn from(test: AccountTest) -> Self {
        let AccountTest { passed, steps, diagnosis, tls, capabilities, folders, messages } = test;
        Self {
            passed,
            steps: steps.into_iter().map(Into::into).collect(),
            diagnosis: diagnosis.map(Into::into),
            tls: tls.map(Into::into),
            capabilities,
            folders,
            messages,
        }
    }
}

impl From<TestStep> for StepView {
    fn from(step: TestStep) -> Self {
        let TestStep { name, succeeded, took, sent, reply, note } = step;
        let took = Duration::try_from(took.unwrap_or_default()).unwrap_or_default();
        Self { name, succeeded, took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX), sent, reply, note }
    }
}

impl From<Diagnosis> for DiagnosisView {
    fn from(diagnosis: Diagnosis) -> Self {
        let Diagnosis { cause, explanation, advice, help_url } = diagnosis;
        Self { cause, explanation, advice, help_url }
    }
}

impl From<TlsFacts> for TlsView {
    fn from(facts: TlsFacts) -> Self {
        let TlsFacts { version, cipher, certificate_names, issuer, valid_from, valid_until } = facts;
        Self { version, cipher, certificate_names, issuer, valid_from, valid_until }
    }
}

impl Show for TestView {
    fn text(&self) -> String {
        let mut parts: Vec<String> = vec![self.steps.iter().map(StepView::text).collect::<Vec<_>>().join("\n")];
        if let Some(tls) = &self.tls {
            parts.push(fields([
                ("TLS", format!("{} {}", tls.version, tls.cipher)),
                ("certificate for", tls.certificate_names.join(", ")),
                ("issued by", tls.issuer.clone()),
                ("valid", format!("{} to {}", tls.valid_from, tls.valid_until)),
            ]));
        }
        let messages = if self.folders.is_empty() { String::new() } else { self.messages.to_string() };
        parts.push(fields([
            ("capabilities", self.capabilities.join(", ")),
            ("folders", self.folders.join(", ")),
            ("messages", messages),
        ]));
        parts.push(match &self.diagnosis {
            Some(diagnosis) if !self.passed => diagnosis.text(),
            _ if self.passed => "passed".to_owned(),
            _ => "failed".to_owned(),
        });
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }
}

impl StepView {
    /// What was said to the server stands after `>`, its words after `<`.
    fn text(&self) -> String {
        let mark = if self.succeeded { "ok    " } else { "FAILED" };
        let took = show_duration(Duration::from_millis(self.took_ms));
        let mut text = format!("{mark}  {}  {took}", escape(&self.name));
        for (mark, words) in [("> ", &self.sent), ("< ", &self.reply), ("  ", &self.note)] {
            for line in escape_lines(words).filter(|line| !line.is_empty()) {
                text.push_str(&format!("\n        {mark}{line}"));
            }
        }
        text
    }
}

impl DiagnosisView {
    fn text(&self) -> String {
        let mut text = format!("{}: {}", escape(&self.cause), escape(&self.explanation));
        for (number, advice) in (1..).zip(&self.advice) {
            text.push_str(&format!("\n  {number}. {}", escape(advice)));
        }
        if !self.help_url.is_empty() {
            text.push_str(&format!("\n  see {}", escape(&self.help_url)));
        }
        text
    }
}
