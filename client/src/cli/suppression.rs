//! `hikyaku suppression`: who must not be sent to.

use std::{io::Write, pin::pin, process::ExitCode, time::SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use futures_util::TryStreamExt as _;
use hikyaku_client::proto::{
    CheckSuppressionRequest, ListSuppressionsRequest, RemoveSuppressionRequest, Suppression, SuppressionReason,
    SuppressionScope, suppression_scope::Scope,
};

use super::{
    args::Global,
    counted::counted,
    failure::{EXIT_FAILED, Failure},
    output::Output,
    run::connect,
    suppression_csv::{self, ImportArgs},
    suppression_view::{AddedView, RemovedView, SuppressionView, suppression_table},
    time_text::When,
};

#[derive(Debug, Subcommand)]
pub(crate) enum SuppressionCommand {
    /// Add addresses that must not be sent to
    Add(AddArgs),
    /// Remove an address, and let what it held back go, if wanted
    Remove(RemoveArgs),
    /// Say whether an address may be sent to; exit code 1 when it may not
    Check(CheckArgs),
    /// List suppressions
    List(ListArgs),
    /// Add the addresses of a CSV file
    Import(ImportArgs),
    /// Write suppressions as CSV, which import reads again
    Export(ListArgs),
}

/// Where a suppression holds.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub(crate) struct ScopeArgs {
    /// For this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// For jobs with this label, whichever account sends them
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: Option<String>,
    /// For all jobs of all accounts
    #[arg(long)]
    pub(crate) global: bool,
}

impl ScopeArgs {
    /// The scope it names, if it names one.
    pub(crate) fn scope(&self) -> Option<SuppressionScope> {
        let scope = match self {
            Self { account: Some(account), .. } => Scope::AccountId(account.clone()),
            Self { label: Some(label), .. } => Scope::Label(label.clone()),
            Self { global: true, .. } => Scope::Global(true),
            Self { .. } => return None,
        };
        Some(SuppressionScope { scope: Some(scope) })
    }
}

/// Whom to add.
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// The addresses
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Why
    #[arg(long, default_value = "manual")]
    reason: ReasonName,
    /// When it ends by itself: RFC 3339, or +30d for thirty days from now; never when not given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    expires: Option<When>,
    /// What it rests on
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Whom to remove.
#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// The address
    address: String,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Queue the recipients that it held back
    #[arg(long)]
    requeue: bool,
}

/// Whom to ask about.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The address
    address: String,
    /// The account that would send
    #[arg(long, value_name = "ID")]
    account: String,
    /// A label that the job would have; may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
}

/// Which suppressions.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// For this reason
    #[arg(long)]
    reason: Option<ReasonName>,
    /// Whose address contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    contains: String,
    /// Added at this time or later: RFC 3339, or -2h for two hours ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<When>,
    /// Added before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: Option<When>,
}

impl ListArgs {
    fn request(self, now: SystemTime) -> ListSuppressionsRequest {
        let time = |when: Option<When>| when.map(|when| when.resolve(now).into());
        ListSuppressionsRequest {
            scope: self.scope.scope(),
            reason: self.reason.map_or(SuppressionReason::Unspecified, Into::into).into(),
            address_contains: self.contains,
            added_from: time(self.from),
            added_before: time(self.before),
            ..ListSuppressionsRequest::default()
        }
    }
}

/// Why an address must not be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReasonName {
    /// A server said for good that it does not exist, or takes no mail
    HardBounce,
    /// Several messages in a row came back
    SoftBounces,
    /// Its owner complained
    Complaint,
    /// Its owner wants no more of it
    Unsubscribed,
    /// Somebody decided so
    Manual,
}

impl From<ReasonName> for SuppressionReason {
    fn from(name: ReasonName) -> Self {
        match name {
            ReasonName::HardBounce => Self::HardBounce,
            ReasonName::SoftBounces => Self::SoftBounces,
            ReasonName::Complaint => Self::Complaint,
            ReasonName::Unsubscribed => Self::Unsubscribed,
            ReasonName::Manual => Self::Manual,
        }
    }
}

pub(crate) async fn run<W: Write>(
    command: SuppressionCommand,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        SuppressionCommand::Add(args) => add(args, global, now, output).await?,
        SuppressionCommand::Remove(RemoveArgs { address, scope, requeue }) => {
            let request = RemoveSuppressionRequest { scope: scope.scope(), address, requeue };
            output.show(&RemovedView::from(connect(global).await?.remove_suppression(request).await?))?;
        }
        SuppressionCommand::Check(CheckArgs { address, account, labels }) => {
            let request = CheckSuppressionRequest { account_id: account, labels, address: address.clone() };
            let found = connect(global).await?.check_suppression(request).await?;
            let views: Vec<_> = found.into_iter().map(SuppressionView::from).collect();
            match output.is_json() {
                true => views.iter().try_for_each(|view| output.json(view))?,
                false if views.is_empty() => output.text("it may be sent to")?,
                false => output.text(&suppression_table(&views))?,
            }
            return Ok(if views.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) });
        }
        SuppressionCommand::List(args) => list(args.request(now), global, output).await?,
        SuppressionCommand::Import(args) => return suppression_csv::import(args, global, now, output).await,
        SuppressionCommand::Export(args) => suppression_csv::export(args.request(now), global, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn add<W: Write>(args: AddArgs, global: &Global, now: SystemTime, output: &mut Output<W>) -> Result<(), Failure> {
    let AddArgs { addresses, scope, reason, expires, note } = args;
    let client = connect(global).await?;
    for address in addresses {
        let suppression = Suppression {
            scope: scope.scope(),
            address,
            reason: SuppressionReason::from(reason).into(),
            expires_at: expires.map(|when| when.resolve(now).into()),
            evidence: note.clone(),
            ..Suppression::default()
        };
        output.show(&AddedView::from(client.add_suppression(suppression).await?))?;
    }
    Ok(())
}

async fn list<W: Write>(
    request: ListSuppressionsRequest,
    global: &Global,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let client = connect(global).await?;
    let mut found = pin!(client.list_suppressions(request));
    let mut views = Vec::new();
    while let Some(suppression) = found.try_next().await? {
        let view = SuppressionView::from(suppression);
        if output.is_json() {
            output.json(&view)?;
        } else {
            views.push(view);
        }
    }
    if !output.is_json() {
        output.text(&suppression_table(&views))?;
        output.text(&counted(views.len() as u64, "suppression", "suppressions"))?;
    }
    Ok(())
}
