//! `hikyaku account`: each command does one call and shows its answer.

use std::{io::Write, pin::pin, process::ExitCode, time::SystemTime};

use futures_util::TryStreamExt as _;
use hikyaku_client::{
    Client,
    proto::{Account, AccountSettings, DeleteAccountRequest},
};
use serde::Serialize;

use super::{
    account_apply::{apply, export},
    account_args::{AccountCommand, Clear, SettingsArgs},
    account_view::{AccountView, UsageView, account_table},
    args::Global,
    counted::counted,
    escape::escape,
    failure::{Failure, usage},
    output::{Output, Show},
    run::connect,
};

pub(crate) async fn run<W: Write>(
    command: AccountCommand,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        AccountCommand::Create { id, settings } => {
            let settings = new_settings(*settings)?;
            show(output, connect(global).await?.create_account(&id, settings).await?)?;
        }
        AccountCommand::List => list(&connect(global).await?, output).await?,
        AccountCommand::Get { id } => show(output, connect(global).await?.get_account(&id).await?)?,
        AccountCommand::Update { id, settings, clear, etag } => {
            if *settings == SettingsArgs::default() && clear.is_empty() {
                return Err(usage(
                    "nothing to change: name a setting, or --clear one; see hikyaku account update --help",
                ));
            }
            let client = connect(global).await?;
            show(output, update(&client, &id, *settings, clear, etag).await?)?;
        }
        AccountCommand::Apply(args) => return apply(args, connect(global), output).await,
        AccountCommand::Export(args) => return export(&connect(global).await?, args, output).await,
        AccountCommand::Pause { id, until, reason } => {
            let until = until.map(|when| when.resolve(now));
            show(output, connect(global).await?.pause_account(&id, until, &reason).await?)?;
        }
        AccountCommand::Resume { id } => show(output, connect(global).await?.resume_account(&id).await?)?,
        AccountCommand::Delete { id, force, etag } => {
            let request = DeleteAccountRequest { account_id: id.clone(), etag, force };
            let answer = connect(global).await?.delete_account(request).await?;
            output.show(&DeletedView { account_id: id, cancelled_jobs: answer.cancelled_jobs })?;
        }
        AccountCommand::Usage { id } => {
            let quotas = connect(global).await?.account_usage(&id).await?;
            output.show(&UsageView::new(id, quotas))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn new_settings(args: SettingsArgs) -> Result<AccountSettings, Failure> {
    if args.from.is_none() {
        return Err(usage("an account needs --from, the address its mail is from"));
    }
    if args.server.host.is_none() {
        return Err(usage("an account needs --host, the server that takes its mail"));
    }
    let mut settings = AccountSettings::default();
    args.apply(&mut settings)?;
    Ok(settings)
}

async fn update(
    client: &Client,
    id: &str,
    args: SettingsArgs,
    clear: Vec<Clear>,
    etag: Option<String>,
) -> Result<Account, Failure> {
    let account = client.get_account(id).await?;
    let mut settings = account.settings.unwrap_or_default();
    for one in clear {
        one.apply(&mut settings);
    }
    args.apply(&mut settings)?;
    Ok(client.update_account(id, settings, etag.as_deref().unwrap_or(&account.etag)).await?)
}

async fn list<W: Write>(client: &Client, output: &mut Output<W>) -> Result<(), Failure> {
    let mut accounts = pin!(client.list_accounts());
    let mut rows = Vec::new();
    while let Some(account) = accounts.try_next().await? {
        let view = AccountView::from(account);
        if output.is_json() {
            output.show(&view)?;
        } else {
            rows.push(view);
        }
    }
    if !output.is_json() {
        output.text(&account_table(&rows))?;
    }
    Ok(())
}

fn show<W: Write>(output: &mut Output<W>, account: Account) -> Result<(), Failure> {
    Ok(output.show(&AccountView::from(account))?)
}

#[derive(Debug, Serialize)]
struct DeletedView {
    account_id: String,
    cancelled_jobs: u64,
}

impl Show for DeletedView {
    fn text(&self) -> String {
        let jobs = counted(self.cancelled_jobs, "open job was", "open jobs were");
        format!("deleted {}; {jobs} cancelled", escape(&self.account_id))
    }
}
