//! `hikyaku account apply` and `export`: accounts as files say, and files as accounts are.

use std::{collections::BTreeSet, io::Write, path::PathBuf, pin::pin, process::ExitCode};

use clap::Args;
use futures_util::TryStreamExt as _;
use hikyaku_client::{
    Client, Code, Error,
    proto::{Account, AccountFilter, AccountSettings, DeleteAccountRequest},
};
use serde::Serialize;
use toml::Table;

use super::{
    escape::{escape, escape_lines},
    failure::{EXIT_FAILED, Failure, FailureView, usage},
    output::{Output, Show},
    settings::{
        changes::{Change, changes, sent_secret},
        document::{FileAccount, NOTHING_DONE, accounts_table, read_accounts, settings_tree, told},
        toml_text::document,
        writing::Secrets,
    },
};

/// Which files to apply.
#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    /// File of accounts in TOML, a folder of .toml files, or - for stdin; repeatable
    #[arg(short, long, value_name = "FILE", required = true, num_args = 1..)]
    file: Vec<PathBuf>,
    /// Change nothing; show what would change
    #[arg(long)]
    dry_run: bool,
    /// Send the secrets of accounts that are equal otherwise too
    #[arg(long)]
    rotate_secrets: bool,
    /// Delete accounts with the owner label that are in no file, unless they have open jobs
    #[arg(long, requires = "owner_label")]
    prune: bool,
    /// The label by which --prune knows its accounts; all accounts of the files must have it
    #[arg(long, value_name = "LABEL", requires = "prune")]
    owner_label: Option<String>,
}

/// Which accounts to export.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The accounts
    #[arg(required_unless_present = "all")]
    ids: Vec<String>,
    /// All accounts
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

pub(crate) async fn apply<W: Write>(
    args: ApplyArgs,
    connect: impl Future<Output = Result<Client, Failure>>,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let mut accounts = read_accounts(&args.file)?;
    if args.owner_label.as_deref() == Some("") {
        return Err(usage("the owner label is empty"));
    }
    if let Some(label) = &args.owner_label {
        check_labels(&accounts, label)?;
    }
    let client = connect.await?;
    fill_presets(&client, &mut accounts).await?;
    let mut tally = Tally { dry_run: args.dry_run, ..Tally::default() };
    for account in &accounts {
        let outcome = Box::pin(apply_one(&client, account, &args)).await;
        tally.note(&account.account_id, outcome, output)?;
    }
    if let Some(label) = args.owner_label.filter(|_| args.prune) {
        prune(&client, &label, &accounts, &mut tally, output).await?;
    }
    if !output.is_json() {
        output.text(&tally.text())?;
    }
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

pub(crate) async fn export<W: Write>(
    client: &Client,
    args: ExportArgs,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let accounts: Vec<Account> = if args.all {
        client.list_accounts().try_collect().await?
    } else {
        let mut accounts = Vec::new();
        for id in &args.ids {
            accounts.push(client.get_account(id).await?);
        }
        accounts
    };
    let trees = accounts.into_iter().map(|account| {
        let tree = settings_tree(Secrets::Named(&account.account_id), &account.settings.unwrap_or_default());
        (account.account_id, tree)
    });
    output.show(&ExportView(accounts_table(trees)))?;
    Ok(ExitCode::SUCCESS)
}

fn check_labels(accounts: &[FileAccount], label: &str) -> Result<(), Failure> {
    let lacking = accounts.iter().filter(|account| !account.labels().iter().any(|one| one == label));
    let lacking: Vec<_> = lacking
        .map(|account| format!("accounts.{}.labels: lacks the owner label \"{label}\"", account.account_id))
        .collect();
    if lacking.is_empty() { Ok(()) } else { Err(told(&lacking, NOTHING_DONE)) }
}

async fn fill_presets(client: &Client, accounts: &mut [FileAccount]) -> Result<(), Failure> {
    if accounts.iter().all(|account| account.preset.is_empty()) {
        return Ok(());
    }
    let presets = client.list_presets().await?;
    let mut mistakes = Vec::new();
    for account in accounts.iter_mut().filter(|account| !account.preset.is_empty()) {
        match presets.iter().find(|preset| preset.preset_id == account.preset) {
            Some(preset) => account.fill(preset),
            None => mistakes.push(format!(
                "accounts.{}.preset: there is no preset \"{}\"; see hikyaku account presets",
                account.account_id, account.preset
            )),
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(told(&mistakes, NOTHING_DONE)) }
}

/// What was, or would be, done to one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Created,
    Updated,
    Unchanged,
    Deleted,
}

async fn apply_one(client: &Client, wanted: &FileAccount, args: &ApplyArgs) -> Result<(Action, Vec<Change>), Failure> {
    let id = &wanted.account_id;
    let tree = wanted.tree();
    let Some(mut stored) = find(client, id).await? else {
        let all = changes(&Table::new(), &tree);
        if !args.dry_run {
            Box::pin(client.create_account(id, wanted.opened()?)).await?;
        }
        return Ok((Action::Created, with_secrets(all, wanted)));
    };
    // Somebody else's change in between is looked at anew, once.
    for last in [false, true] {
        let different = changes(&settings_tree(Secrets::LeftOut, &settings_of(&stored)), &tree);
        let rotates = args.rotate_secrets && !wanted.secrets().is_empty();
        if different.is_empty() && !rotates {
            return Ok((Action::Unchanged, different));
        }
        let different = with_secrets(different, wanted);
        if args.dry_run {
            return Ok((Action::Updated, different));
        }
        match client.update_account(id, wanted.opened()?, &stored.etag).await {
            Ok(_) => return Ok((Action::Updated, different)),
            Err(error) if error.code() == Code::Aborted && !last => stored = client.get_account(id).await?,
            Err(error) => return Err(error.into()),
        }
    }
    unreachable!("the second round returns")
}

async fn prune<W: Write>(
    client: &Client,
    label: &str,
    accounts: &[FileAccount],
    tally: &mut Tally,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let kept: BTreeSet<_> = accounts.iter().map(|account| account.account_id.as_str()).collect();
    let filter = AccountFilter { label: label.to_owned(), ..AccountFilter::default() };
    let mut labelled = pin!(client.find_accounts(filter));
    let mut surplus = Vec::new();
    while let Some(account) = labelled.try_next().await? {
        // Never more than what has the label, whatever the daemon makes of the filter.
        let has_label =
            account.settings.as_ref().is_some_and(|settings| settings.labels.iter().any(|one| one == label));
        if has_label && !kept.contains(account.account_id.as_str()) {
            surplus.push((account.account_id, account.etag));
        }
    }
    for (account_id, etag) in surplus {
        let outcome = if tally.dry_run {
            Ok(())
        } else {
            let request = DeleteAccountRequest { account_id: account_id.clone(), etag, force: false };
            client.delete_account(request).await.map(|_| ())
        };
        tally.note(&account_id, outcome.map(|()| (Action::Deleted, Vec::new())).map_err(Into::into), output)?;
    }
    Ok(())
}

/// An account, if it is there.
pub(crate) async fn find(client: &Client, id: &str) -> Result<Option<Account>, Error> {
    match client.get_account(id).await {
        Ok(account) => Ok(Some(account)),
        Err(error) if error.code() == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn settings_of(account: &Account) -> AccountSettings {
    account.settings.clone().unwrap_or_default()
}

fn with_secrets(mut changes: Vec<Change>, wanted: &FileAccount) -> Vec<Change> {
    changes.extend(wanted.secrets().into_iter().map(sent_secret));
    changes
}

/// How many accounts met which end.
#[derive(Debug, Default)]
struct Tally {
    dry_run: bool,
    created: u64,
    updated: u64,
    deleted: u64,
    unchanged: u64,
    failed: u64,
}

impl Tally {
    /// Counts and shows one. A refusal is told, and the next account goes on; a daemon that is gone ends it.
    fn note<W: Write>(
        &mut self,
        account_id: &str,
        outcome: Result<(Action, Vec<Change>), Failure>,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let (action, changes) = match outcome {
            Ok(done) => done,
            Err(failure) if failure.is_of_one_call() => {
                self.failed += 1;
                return failed(account_id, &failure, output);
            }
            Err(failure) => return Err(failure),
        };
        *match action {
            Action::Created => &mut self.created,
            Action::Updated => &mut self.updated,
            Action::Deleted => &mut self.deleted,
            Action::Unchanged => &mut self.unchanged,
        } += 1;
        output.show(&AppliedView::new(account_id, action, changes, self.dry_run))?;
        Ok(output.flush()?)
    }

    fn text(&self) -> String {
        let Self { created, updated, deleted, unchanged, failed, dry_run } = self;
        let would = if *dry_run { "would be " } else { "" };
        let counts = [(created, "created"), (updated, "updated"), (deleted, "deleted"), (failed, "failed")];
        let mut words: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| **count > 0)
            .map(|(count, word)| format!("{count} {would}{word}"))
            .collect();
        words.push(format!("{unchanged} unchanged"));
        words.join(", ")
    }
}

fn failed<W: Write>(account_id: &str, failure: &Failure, output: &mut Output<W>) -> Result<(), Failure> {
    if output.is_json() {
        output.json(&FailedView { account_id: account_id.to_owned(), action: "failed", error: failure.view() })?;
        return Ok(output.flush()?);
    }
    let message = failure.message();
    let lines: Vec<_> = escape_lines(&message).collect();
    writeln!(std::io::stderr().lock(), "hikyaku: account {}: {}", escape(account_id), lines.join("\n"))?;
    Ok(())
}

#[derive(Debug, Serialize)]
struct FailedView {
    account_id: String,
    action: &'static str,
    error: FailureView,
}

/// What was done to one account.
#[derive(Debug, Serialize)]
struct AppliedView {
    account_id: String,
    action: &'static str,
    dry_run: bool,
    changes: Vec<Change>,
}

impl AppliedView {
    fn new(account_id: &str, action: Action, changes: Vec<Change>, dry_run: bool) -> Self {
        let action = match action {
            Action::Created => "created",
            Action::Updated => "updated",
            Action::Deleted => "deleted",
            Action::Unchanged => "unchanged",
        };
        Self { account_id: account_id.to_owned(), action, dry_run, changes }
    }
}

impl Show for AppliedView {
    fn text(&self) -> String {
        let would = if self.dry_run && self.action != "unchanged" { "would be " } else { "" };
        let mut text = format!("{}: {would}{}", escape(&self.account_id), self.action);
        // All of a new account differs, which is worth telling before it is made only.
        let told = self.dry_run || self.action != "created";
        for change in self.changes.iter().filter(|_| told) {
            text.push_str(&format!("\n  {}", change.text()));
        }
        text
    }
}

/// A file of accounts.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ExportView(Table);

impl Show for ExportView {
    fn text(&self) -> String {
        format!("{EXPORT_HEAD}\n{}", document(&self.0))
    }
}

const EXPORT_HEAD: &str = "\
# Accounts of Hikyaku, for hikyaku account apply. What is not here has its default.
# Secrets are never told: each \"env:…\" names a variable that must hold the secret when it is applied, or give a
# \"file:…\" or \"credential:…\"; leave the key out to keep the secret that is stored.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_names_what_there_was() {
        let tally = Tally { created: 1, failed: 2, unchanged: 3, ..Tally::default() };
        assert_eq!(tally.text(), "1 created, 2 failed, 3 unchanged");
        let tally = Tally { dry_run: true, updated: 1, ..Tally::default() };
        assert_eq!(tally.text(), "1 would be updated, 0 unchanged");
    }
}
