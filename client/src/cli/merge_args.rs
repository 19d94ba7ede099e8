//! What may follow `hikyaku job merge`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{
    csv_file::{Delimiter, EncodingName},
    pair_text::{parse_header, parse_inline},
    submit_args::{ContentArgs, KindArgs, TermArgs},
};

/// What to submit to whom.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("merge_body").required(true).multiple(true)
          .args(["text", "text_file", "html", "html_file"]))]
pub(crate) struct MergeArgs {
    /// The account that sends it; the routing rules choose when not given, by --from
    #[arg(long, value_name = "ID", required_unless_present = "from")]
    pub(crate) account: Option<String>,
    /// Who it is from: ADDRESS or 'Taro <taro@example.jp>'; the account's own From when not given
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) from: Option<String>,
    /// Where answers go; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) reply_to: Vec<String>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
    #[command(flatten)]
    pub(crate) content: TemplateArgs,
    #[command(flatten)]
    pub(crate) kind: KindArgs,
    #[command(flatten)]
    pub(crate) terms: TermArgs,
    /// Your own name for this submission, which makes it safe to repeat
    #[arg(long, value_name = "KEY", help_heading = "Conduct")]
    pub(crate) idempotency_key: Option<String>,
    /// Check everything, but store nothing
    #[arg(long, help_heading = "Conduct")]
    pub(crate) dry_run: bool,
    /// Write the message of the Nth row below the header, and store nothing
    #[arg(long, value_name = "N", help_heading = "Conduct", value_parser = clap::value_parser!(u64).range(1..),
          conflicts_with_all = ["dry_run", "report", "skip_bad_rows", "idempotency_key"])]
    pub(crate) preview: Option<u64>,
    /// File for the message of --preview; stdout when not given
    #[arg(short, long, value_name = "FILE", help_heading = "Conduct", requires = "preview")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Recipients")]
pub(crate) struct ListArgs {
    /// The recipients, one a row; the file is read twice
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: PathBuf,
    /// What stands between two cells: a character, or tab
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    pub(crate) delimiter: Delimiter,
    /// The encoding of the file
    #[arg(long, value_name = "ENCODING", default_value = "utf-8")]
    pub(crate) encoding: EncodingName,
    /// The column with the addresses; address or email when not given
    #[arg(long, value_name = "NAME")]
    pub(crate) address_column: Option<String>,
    /// The column with the names; name when not given
    #[arg(long, value_name = "NAME")]
    pub(crate) name_column: Option<String>,
    /// Send to the good rows though there are bad ones
    #[arg(long)]
    pub(crate) skip_bad_rows: bool,
    /// File for all bad rows, as CSV with line, column and reason
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
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
    /// File with the plain text; - for stdin
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

impl From<TemplateArgs> for ContentArgs {
    fn from(args: TemplateArgs) -> Self {
        let TemplateArgs { subject, text, text_file, html, html_file, attach, inline, header } = args;
        Self { subject, text, text_file, html, html_file, attach, inline, header, raw: None }
    }
}
