//! `hikyaku mailbox`: what comes into the mailboxes of accounts.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use futures_util::TryStreamExt as _;
use hikyaku_client::proto::{InboundNature, ListInboundRequest, WatchInboundRequest};

use super::{
    args::Global,
    failure::Failure,
    inbound_view::{InboundEventView, MailView, ReadView, StatusView, mail_table},
    output::Output,
    run::connect,
    time_text::When,
};

#[derive(Debug, Subcommand)]
pub(crate) enum MailboxCommand {
    /// Show how the mailbox of an account is doing
    Status {
        /// The account
        account: String,
    },
    /// Look into a mailbox now
    Read {
        /// The account
        account: String,
    },
    /// List mail that came: bounces, complaints, and, where all mail is taken, any other
    List(ListArgs),
    /// Show a mail, what it means and what came of it
    Show {
        /// The mail
        id: String,
    },
    /// Tell what comes, until interrupted
    Watch {
        /// Only of this account
        #[arg(long, value_name = "ID", default_value = "")]
        account: String,
        /// From this cursor on; 0 for all that are kept
        #[arg(long, default_value = "")]
        cursor: String,
    },
    /// Write a file of a mail
    Attachment {
        /// The mail
        id: String,
        /// The file, as `show` names it
        attachment: String,
        /// Where to; stdout when not given
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Which mail.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Of this account
    #[arg(long, value_name = "ID", default_value = "")]
    account: String,
    /// Of this nature
    #[arg(long)]
    nature: Option<NatureName>,
    /// Only bounces and complaints whose message was not found, in whole or in part
    #[arg(long)]
    uncorrelated: bool,
    /// Arrived at this time or later: RFC 3339, or -2h for two hours ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<When>,
    /// Arrived before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: Option<When>,
    /// Most mails
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// What a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NatureName {
    /// Some recipient did not get our mail, or not yet
    Bounce,
    /// A recipient complains
    Complaint,
    /// Mail was delivered, relayed or expanded
    SuccessReport,
    /// A vacation notice or another automatic reply
    AutoReply,
    /// A receipt
    Receipt,
    /// A feedback report that is no complaint
    FeedbackReport,
    /// Any other mail
    Ordinary,
}

impl From<NatureName> for InboundNature {
    fn from(name: NatureName) -> Self {
        match name {
            NatureName::Bounce => Self::Bounce,
            NatureName::Complaint => Self::Complaint,
            NatureName::SuccessReport => Self::SuccessReport,
            NatureName::AutoReply => Self::AutoReply,
            NatureName::Receipt => Self::Receipt,
            NatureName::FeedbackReport => Self::FeedbackReport,
            NatureName::Ordinary => Self::Ordinary,
        }
    }
}

pub(crate) async fn run<W: Write>(
    command: MailboxCommand,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        MailboxCommand::Status { account } => {
            output.show(&StatusView::from(connect(global).await?.mailbox_status(&account).await?))?;
        }
        MailboxCommand::Read { account } => {
            output.show(&ReadView::from(connect(global).await?.read_mailbox(&account).await?))?;
        }
        MailboxCommand::List(args) => list(args, global, now, output).await?,
        MailboxCommand::Show { id } => output.show(&MailView::from(connect(global).await?.get_inbound(&id).await?))?,
        MailboxCommand::Watch { account, cursor } => {
            let request = WatchInboundRequest { account_id: account, cursor };
            let mut events = connect(global).await?.watch_inbound(request).await?;
            while let Some(event) = events.try_next().await? {
                output.show(&InboundEventView::from(event))?;
                output.flush()?;
            }
        }
        MailboxCommand::Attachment { id, attachment, output: path } => {
            let mut pieces = connect(global).await?.read_inbound_attachment(&id, &attachment).await?;
            match path {
                None => {
                    while let Some(piece) = pieces.try_next().await? {
                        output.bytes(&piece.content)?;
                    }
                }
                Some(path) => {
                    let cannot = || format!("cannot write {}", path.display());
                    let mut file = BufWriter::new(File::create(&path).with_context(cannot)?);
                    while let Some(piece) = pieces.try_next().await? {
                        file.write_all(&piece.content).with_context(cannot)?;
                    }
                    file.flush().with_context(cannot)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list<W: Write>(
    args: ListArgs,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let time = |when: Option<When>| when.map(|when| when.resolve(now).into());
    let request = ListInboundRequest {
        account_id: args.account,
        nature: args.nature.map_or(InboundNature::Unspecified, Into::into).into(),
        uncorrelated: args.uncorrelated,
        arrived_from: time(args.from),
        arrived_before: time(args.before),
        ..ListInboundRequest::default()
    };
    let client = connect(global).await?;
    let mut found = pin!(client.list_inbound(request));
    let (mut views, mut told) = (Vec::new(), 0);
    while told < args.limit {
        let Some(mail) = found.try_next().await? else { break };
        told += 1;
        let view = MailView::from(mail);
        if output.is_json() { output.json(&view)? } else { views.push(view) }
    }
    if !output.is_json() {
        output.text(&mail_table(&views))?;
        if told == args.limit && found.try_next().await?.is_some() {
            output.text(&format!("there are more than {told}: --limit shows more"))?;
        }
    }
    Ok(())
}
