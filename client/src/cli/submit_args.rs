//! What may follow `hikyaku job submit`, and what other commands take of it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use hikyaku_client::proto::{AutoSubmitted, ListUnsubscribe, Priority};

use super::{
    duration_text::parse_duration,
    pair_text::{parse_header, parse_inline},
    time_text::When,
};

/// What to submit: by options, by a file, or a whole message.
#[derive(Args, Debug)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) conduct: ConductArgs,
}

// What a job is.
#[derive(Args, Debug)]
pub(crate) struct MessageArgs {
    /// The account that sends it; the routing rules choose when not given, by --from
    #[arg(long, value_name = "ID")]
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
    /// Take To, Cc and Bcc of the raw message for recipients too, and its From where neither --from nor --account is given
    #[arg(short = 't', long)]
    pub(crate) recipients_from_headers: bool,
    /// File with the job in TOML or JSON; - for stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    #[command(flatten)]
    pub(crate) reply: ReplyArgs,
    #[command(flatten)]
    pub(crate) kind: KindArgs,
    #[command(flatten)]
    pub(crate) terms: TermArgs,
}

#[derive(Args, Debug, Default)]
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
    /// The HTML
    #[arg(long, value_name = "HTML", conflicts_with = "html_file")]
    pub(crate) html: Option<String>,
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
          conflicts_with_all = ["subject", "text", "text_file", "html", "html_file", "attach", "inline", "header"])]
    pub(crate) raw: Option<PathBuf>,
}

// What a message answers.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Content")]
pub(crate) struct ReplyArgs {
    /// The Message-ID that it answers
    #[arg(long, value_name = "ID", conflicts_with = "raw")]
    pub(crate) in_reply_to: Option<String>,
    /// A Message-ID of the conversation, the oldest first; repeatable
    #[arg(long, value_name = "ID", conflicts_with = "raw")]
    pub(crate) reference: Vec<String>,
}

// What kind of mail it is.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Kind")]
pub(crate) struct KindArgs {
    /// The https page on which readers leave the list; in a merge job a template
    #[arg(long, value_name = "URL")]
    pub(crate) list_unsubscribe_url: Option<String>,
    /// The address that takes a mail for it, such as 'leave@example.jp?subject=leave'; in a merge job a template
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) list_unsubscribe_mailto: Option<String>,
    /// A POST to the page is enough, without asking again; Gmail and Yahoo want it of mailings
    #[arg(long, requires = "list_unsubscribe_url")]
    pub(crate) one_click: bool,
    /// A program sends it by itself
    #[arg(long, value_name = "KIND")]
    pub(crate) auto_submitted: Option<AutoSubmittedName>,
}

impl KindArgs {
    /// How readers leave the list, when that is said.
    pub(crate) fn list_unsubscribe(&self) -> Option<ListUnsubscribe> {
        let Self { list_unsubscribe_url: url, list_unsubscribe_mailto: mailto, one_click, .. } = self;
        (url.is_some() || mailto.is_some()).then(|| ListUnsubscribe {
            url: url.clone().unwrap_or_default(),
            mailto: mailto.clone().unwrap_or_default(),
            one_click: *one_click,
        })
    }
}

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Terms")]
pub(crate) struct TermArgs {
    /// How urgent it is; normal when not given
    #[arg(long)]
    pub(crate) priority: Option<PriorityName>,
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
    /// Store it, but send it only once it is approved
    #[arg(long)]
    pub(crate) approval_required: bool,
    /// Send to recipients although they are suppressed; for admins
    #[arg(long)]
    pub(crate) override_suppression: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Conduct")]
pub(crate) struct ConductArgs {
    /// Your own name for this submission, which makes it safe to repeat; with --repeat, -1, -2 … are added
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Check and compose, but store nothing; say how large it is, and when it would be sent
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Submit so many of it through one stream
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repeat: u64,
    /// Wait until nothing more happens to it by itself; exit code 1 unless all of it was submitted
    #[arg(long, conflicts_with_all = ["hold", "approval_required"])]
    pub(crate) wait: bool,
    /// Stop waiting after this time, with exit code 1; the jobs go on
    #[arg(long, value_name = "LENGTH", requires = "wait", value_parser = parse_duration)]
    pub(crate) wait_max: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AutoSubmittedName {
    /// Reports, alarms, mailings
    Generated,
    /// An answer to a message that somebody sent
    Replied,
}

impl From<AutoSubmittedName> for AutoSubmitted {
    fn from(name: AutoSubmittedName) -> Self {
        match name {
            AutoSubmittedName::Generated => Self::Generated,
            AutoSubmittedName::Replied => Self::Replied,
        }
    }
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
