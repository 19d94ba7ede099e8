//! `hikyaku account`: each command does one call and shows its answer.

use std::{io::Write, pin::pin, process::ExitCode, time::SystemTime};

use futures_util::TryStreamExt as _;
use hikyaku_client::{
    Client,
    proto::{Account, AccountFilter, AccountSettings, DeleteAccountRequest},
};
use serde::Serialize;

use super::{
    account_apply::{apply, export},
    account_args::AccountCommand,
    account_view::{AccountView, account_table},
    args::Global,
    counted::counted,
    escape::escape,
    failure::{Failure, usage},
    oauth::oauth,
    outlook::estimate,
    output::{Output, Show},
    presets::{discover, presets},
    run::connect,
    settings_args::{Clear, SettingsArgs},
    trial::test,
    usage::{UsageView, report},
};

pub(crate) async fn run<W: Write>(
    command: AccountCommand,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        AccountCommand::Create { id, preset, settings } => {
            let preset = preset.unwrap_or_default();
            let settings = new_settings(*settings, &preset)?;
            let client = connect(global).await?;
            show(output, client.create_account_with_preset(&id, settings, &preset).await?)?;
        }
        AccountCommand::List(args) => list(&connect(global).await?, args.filter(), output).await?,
        AccountCommand::Get { id } => show(output, connect(global).await?.get_account(&id).await?)?,
        AccountCommand::Update { id, settings, clear, etag } => {
            if *settings == SettingsArgs::default() && clear.is_empty() {
                return Err(usage(
                    "nothing to change: name a setting, or --clear one; see hikyaku account update --help",
                ));
            }
            let client = connect(global).await?;
            show(output, Box::pin(update(&client, &id, *settings, clear, etag)).await?)?;
        }
        AccountCommand::Apply(args) => return Box::pin(apply(args, connect(global), output)).await,
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
        AccountCommand::ReportUsage(args) => return report(connect(global), args, now, output).await,
        AccountCommand::Presets { id } => return presets(&connect(global).await?, id, output).await,
        AccountCommand::Discover { address, toml } => {
            return discover(&connect(global).await?, &address, toml, output).await;
        }
        AccountCommand::Test(args) => return Box::pin(test(args, connect(global), output)).await,
        AccountCommand::Oauth(args) => return Box::pin(oauth(&connect(global).await?, args, output)).await,
        AccountCommand::Estimate(args) => return estimate(&connect(global).await?, args, output).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn new_settings(args: SettingsArgs, preset: &str) -> Result<AccountSettings, Failure> {
    if args.from.is_none() {
        return Err(usage("an account needs --from, the address its mail is from"));
    }
    if args.server.host.is_none() && preset.is_empty() {
        return Err(usage("an account needs --host, the server that takes its mail, or a --preset"));
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

async fn list<W: Write>(client: &Client, filter: AccountFilter, output: &mut Output<W>) -> Result<(), Failure> {
    let mut accounts = pin!(client.find_accounts(filter));
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
