//! What may follow `hikyaku job`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use hikyaku_client::proto::{Priority, RecipientState};

use super::{
    duration_text::parse_duration,
    filter_args::{FilterArgs, parse_recipient_state},
    pair_text::{parse_header, parse_inline},
    time_text::When,
};

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Submit a mail
    Submit(Box<SubmitArgs>),
    /// Submit one content with a message of its own for each row of a CSV file
    Merge(Box<MergeArgs>),
    /// Show one job with its recipients, attempts and replies
    Get {
        /// The job
        id: String,
    },
    /// Say what holds a job, and until when
    Explain {
        /// The job
        id: String,
    },
    /// List jobs, the youngest first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Most jobs shown; 0 for all
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u64,
    },
    /// List the recipients of one job
    Recipients(RecipientsArgs),
    /// Show what happens to jobs as it happens
    Watch(WatchArgs),
    /// Withdraw jobs
    Cancel(SelectArgs),
    /// Keep jobs from being tried until they are released
    Hold(SelectArgs),
    /// End holds
    Release(SelectArgs),
    /// Try deferred, doubtful, failed or expired recipients again, now
    Retry(SelectArgs),
    /// Let jobs go that need approval
    Approve(SelectArgs),
    /// End jobs as if their time had run out
    Expire(SelectArgs),
}

/// What to submit.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("recipients").required(true).multiple(true).args(["to", "cc", "bcc"]))]
#[command(group = ArgGroup::new("body").required(true).multiple(true).args(["text", "text_file", "html_file", "raw"]))]
pub(crate) struct SubmitArgs {
    /// The account that sends it; the routing rules choose when not given, by --from
    #[arg(long, value_name = "ID", required_unless_present = "from")]
    pub(crate) account: Option<String>,
    /// Who it is from: ADDRESS or 'Taro <taro@example.jp>'; the account's own From when not given
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) from: Option<String>,
    /// Where answers go; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) reply_to: Vec<String>,
    /// A recipient named in To; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) to: Vec<String>,
    /// A recipient named in Cc; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) cc: Vec<String>,
    /// A recipient named in no header; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) bcc: Vec<String>,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    #[command(flatten)]
    pub(crate) terms: TermArgs,
    #[command(flatten)]
    pub(crate) conduct: ConductArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Content")]
pub(crate) struct ContentArgs {
    /// The subject; with --repeat, an n in braces in it stands for the number of the mail
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// The plain text
    #[arg(long, value_name = "TEXT", conflicts_with = "text_file")]
    pub(crate) text: Option<String>,
    /// File with the plain text; - for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) text_file: Option<PathBuf>,
    /// File with the HTML
    #[arg(long, value_name = "FILE")]
    pub(crate) html_file: Option<PathBuf>,
    /// A file to attach; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
    /// A file that the HTML shows as cid:CID; repeatable
    #[arg(long, value_name = "FILE=CID", value_parser = parse_inline)]
    pub(crate) inline: Vec<(PathBuf, String)>,
    /// A further header, such as 'X-Order: 7'; repeatable
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    pub(crate) header: Vec<(String, String)>,
    /// File with a complete RFC 5322 message, sent as it is; - for stdin
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["subject", "text", "text_file", "html_file", "attach", "inline", "header"])]
    pub(crate) raw: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Terms")]
pub(crate) struct TermArgs {
    /// How urgent it is
    #[arg(long, default_value = "normal")]
    pub(crate) priority: PriorityName,
    /// A word to find it by; the first one also names its lane; repeatable
    #[arg(long)]
    pub(crate) label: Vec<String>,
    /// Not before this time: RFC 3339 or +2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) send_at: Option<When>,
    /// Not after this time: RFC 3339 or +2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) expires_at: Option<When>,
    /// Store it, but send it only once it is released
    #[arg(long)]
    pub(crate) hold: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Conduct")]
pub(crate) struct ConductArgs {
    /// Your own name for this submission, which makes it safe to repeat; with --repeat, -1, -2 … are added
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Check and compose, but store nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Submit so many of it through one stream
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repeat: u64,
    /// Wait until nothing more happens to it by itself; exit code 1 unless all of it was submitted
    #[arg(long, conflicts_with = "hold")]
    pub(crate) wait: bool,
    /// Stop waiting after this time, with exit code 1; the jobs go on
    #[arg(long, value_name = "LENGTH", requires = "wait", value_parser = parse_duration)]
    pub(crate) wait_max: Option<Duration>,
}

/// What to submit to whom.
///
/// The CSV file has a header row that names the columns: `address` (or `email`) and perhaps `name` say whom it goes to,
/// and each column can be used in subject, text and HTML as a variable, such as {{ code }}. Nothing is stored unless all
/// rows are good.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("merge_body").required(true).multiple(true)
          .args(["text", "text_file", "html", "html_file"]))]
pub(crate) struct MergeArgs {
    /// The account that sends it; the routing rules choose when not given, by --from
    #[arg(long, value_name = "ID", required_unless_present = "from")]
    pub(crate) account: Option<String>,
    /// The recipients, one a row, in UTF-8
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: PathBuf,
    /// Who it is from: ADDRESS or 'Taro <taro@example.jp>'; the account's own From when not given
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) from: Option<String>,
    /// Where answers go; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) reply_to: Vec<String>,
    #[command(flatten)]
    pub(crate) content: TemplateArgs,
    #[command(flatten)]
    pub(crate) terms: TermArgs,
    /// Your own name for this submission, which makes it safe to repeat
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Check everything, but store nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Content")]
pub(crate) struct TemplateArgs {
    /// The subject, a template
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// The plain text, a template
    #[arg(long, value_name = "TEXT", conflicts_with = "text_file")]
    pub(crate) text: Option<String>,
    /// File with the plain text
    #[arg(long, value_name = "FILE")]
    pub(crate) text_file: Option<PathBuf>,
    /// The HTML, a template
    #[arg(long, value_name = "HTML", conflicts_with = "html_file")]
    pub(crate) html: Option<String>,
    /// File with the HTML
    #[arg(long, value_name = "FILE")]
    pub(crate) html_file: Option<PathBuf>,
    /// A file to attach, the same for all; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
    /// A file that the HTML shows as cid:CID; repeatable
    #[arg(long, value_name = "FILE=CID", value_parser = parse_inline)]
    pub(crate) inline: Vec<(PathBuf, String)>,
    /// A further header, the same for all, such as 'X-Campaign: 7'; repeatable
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    pub(crate) header: Vec<(String, String)>,
}

/// Whose fate to show.
#[derive(Args, Debug)]
pub(crate) struct RecipientsArgs {
    /// The job
    pub(crate) id: String,
    /// In one of these states, such as failed,in-doubt
    #[arg(long, value_name = "STATE", value_parser = parse_recipient_state, value_delimiter = ',')]
    pub(crate) state: Vec<RecipientState>,
    /// Most recipients shown; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u64,
}

/// What to watch.
#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    /// Only these jobs
    pub(crate) ids: Vec<String>,
    /// Only jobs of this account
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// Go on after the event with this cursor; 0 for all that are kept; from now on when not given
    #[arg(long, default_value = "")]
    pub(crate) cursor: String,
}

/// Which jobs to steer: one by its id, or all that match.
#[derive(Args, Debug)]
pub(crate) struct SelectArgs {
    /// The job
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Count only
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do it to all that match; needed unless one job is named
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PriorityName {
    /// Before all others
    High,
    /// The default
    Normal,
    /// After normal
    Low,
    /// After all others
    Bulk,
}

impl From<PriorityName> for Priority {
    fn from(name: PriorityName) -> Self {
        match name {
            PriorityName::High => Self::High,
            PriorityName::Normal => Self::Normal,
            PriorityName::Low => Self::Low,
            PriorityName::Bulk => Self::Bulk,
        }
    }
}
