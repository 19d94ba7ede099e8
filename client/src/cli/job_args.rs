//! What may follow `hikyaku job`.

use clap::{Args, Subcommand};
use hikyaku_client::proto::RecipientState;

use super::{
    filter_args::{FilterArgs, parse_recipient_state},
    merge_args::MergeArgs,
    preview::PreviewArgs,
    resend::ResendArgs,
    submit_args::SubmitArgs,
};

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Submit a mail
    ///
    /// A file (--file) is TOML or JSON and may hold, besides what the options say:
    ///
    /// account, from, reply_to, to, cc, bcc ("Taro <taro@example.jp>", or a table of name and address), subject, text
    /// or text_file, html or html_file, headers (a table, or a list of 'X-Order: 7'), attachments (tables of path or
    /// blob_id, name, type and content_id), raw_file, in_reply_to, references, list_unsubscribe (url, mailto,
    /// one_click), auto_submitted, priority, labels, send_at, expires_at, hold, approval_required and
    /// override_suppression.
    ///
    /// Its paths begin at its folder. An option takes the place of the same key of the file, a repeatable one that of
    /// the whole list. Attached files of 1 MiB and more are uploaded first, and on from where a connection broke; a
    /// dry run uploads them too.
    Submit(Box<SubmitArgs>),
    /// Submit one content with a message of its own for each row of a CSV file
    ///
    /// The CSV file has a header row that names the columns: `address` (or `email`) and perhaps `name` say whom it
    /// goes to, and each column can be used in subject, text, HTML and the ways to leave the list as a variable, such
    /// as {{ code }}. Nothing is stored unless all rows are good, or the bad ones are to be left out
    /// (--skip-bad-rows).
    Merge(Box<MergeArgs>),
    /// Write the exact message that would be sent, and store nothing
    ///
    /// The message goes to stdout as it is, byte by byte; a terminal gets it with what would steer it escaped. Who it
    /// is from and to, and what there is to warn of, goes to stderr.
    Preview(Box<PreviewArgs>),
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
    /// Send a finished job's message again, as a new job
    Resend(ResendArgs),
    /// Let jobs go that need approval
    Approve(SelectArgs),
    /// End jobs as if their time had run out
    Expire(SelectArgs),
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
