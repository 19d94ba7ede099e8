//! `hikyaku route`: which account sends a job that names none.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use hikyaku_client::{
    parse_mailbox,
    proto::{ExplainRouteRequest, ExplainRouteResponse, Routing, RoutingRule},
};
use serde::Serialize;
use toml::Table;

use super::{
    args::Global,
    escape::escape,
    failure::{EXIT_FAILED, Failure},
    output::{Output, Show},
    rules_file::{SetView, read_rules},
    run::connect,
    settings::{
        changes::changes,
        fields::Fields,
        toml_text::document,
        writing::{Secrets, tree},
    },
    table::table,
    time_text::show_time,
};

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Show the rules
    Get {
        /// Write them as the file that route set takes
        #[arg(long)]
        toml: bool,
    },
    /// Replace all rules by those of a file; see hikyaku route set --help
    ///
    /// The file is TOML: default_account_id, and in their order [[rules]] with name, from, recipients, account_id,
    /// fallback_account_ids, forbid_merge and forbid_dkim. Patterns are shop@example.jp, @example.jp, and
    /// *.example.jp for a domain and all below it.
    Set(SetArgs),
    /// Say which account a job would go by, and why
    Explain(ExplainArgs),
}

/// Which rules to set.
#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// File with the rules; - for stdin
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Check only, and show what would change
    #[arg(long)]
    dry_run: bool,
    /// Refuse when the rules have another version than this; their present one when not given
    #[arg(long)]
    etag: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// Who the job is from: ADDRESS or 'Taro <taro@example.jp>'
    #[arg(long, value_name = "MAILBOX")]
    from: String,
    /// A recipient; repeatable
    #[arg(long, value_name = "ADDRESS", required = true)]
    to: Vec<String>,
    /// It is a merge job
    #[arg(long)]
    merge: bool,
}

pub(crate) async fn run<W: Write>(
    command: RouteCommand,
    global: &Global,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        RouteCommand::Get { toml } => {
            let routing = connect(global).await?.get_routing().await?;
            match toml && !output.is_json() {
                true => output.text(&document(&rules_tree(&routing)))?,
                false => output.show(&RoutingView::from(routing))?,
            }
        }
        RouteCommand::Set(args) => set(args, global, output).await?,
        RouteCommand::Explain(ExplainArgs { from, to, merge }) => {
            let request = ExplainRouteRequest { from: Some(parse_mailbox(&from)), recipients: to, merge };
            let answer = connect(global).await?.explain_route(request).await?;
            let refused = answer.account_id.is_empty();
            output.show(&RouteView::from(answer))?;
            return Ok(if refused { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS });
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn set<W: Write>(args: SetArgs, global: &Global, output: &mut Output<W>) -> Result<(), Failure> {
    let wanted = read_rules(&args.file, |f, routing| rules(f, routing))?;
    let client = connect(global).await?;
    let present = client.get_routing().await?;
    let changes = changes(&rules_tree(&present), &rules_tree(&wanted));
    if changes.is_empty() {
        return Ok(output.show(&SetView { changed: false, dry_run: args.dry_run, etag: present.etag, changes })?);
    }
    let etag = args.etag.unwrap_or(present.etag);
    let routing = client.set_routing(Routing { etag, ..wanted }, args.dry_run).await?;
    Ok(output.show(&SetView { changed: true, dry_run: args.dry_run, etag: routing.etag, changes })?)
}

fn rules_tree(routing: &Routing) -> Table {
    tree(Secrets::LeftOut, &mut routing.clone(), rules)
}

fn rules<F: Fields>(f: &mut F, routing: &mut Routing) {
    f.text("default_account_id", &mut routing.default_account_id);
    f.groups("rules", &mut routing.rules, rule);
}

fn rule<F: Fields>(f: &mut F, rule: &mut RoutingRule) {
    f.text("name", &mut rule.name);
    f.texts("from", &mut rule.from);
    f.texts("recipients", &mut rule.recipients);
    f.text("account_id", &mut rule.account_id);
    f.texts("fallback_account_ids", &mut rule.fallback_account_ids);
    f.flag("forbid_merge", &mut rule.forbid_merge);
    f.flag("forbid_dkim", &mut rule.forbid_dkim);
}

/// All rules.
#[derive(Debug, Serialize)]
struct RoutingView {
    rules: Vec<RuleView>,
    default_account_id: Option<String>,
    etag: String,
    updated_at: Option<String>,
    updated_by: String,
}

#[derive(Debug, Serialize)]
struct RuleView {
    name: String,
    from: Vec<String>,
    recipients: Vec<String>,
    account_id: String,
    fallback_account_ids: Vec<String>,
    forbid_merge: bool,
    forbid_dkim: bool,
}

impl From<Routing> for RoutingView {
    fn from(routing: Routing) -> Self {
        let rule = |rule: RoutingRule| {
            let RoutingRule { name, from, recipients, account_id, fallback_account_ids, forbid_merge, forbid_dkim } =
                rule;
            RuleView { name, from, recipients, account_id, fallback_account_ids, forbid_merge, forbid_dkim }
        };
        Self {
            rules: routing.rules.into_iter().map(rule).collect(),
            default_account_id: Some(routing.default_account_id).filter(|id| !id.is_empty()),
            etag: routing.etag,
            updated_at: routing.updated_at.map(show_time),
            updated_by: routing.updated_by,
        }
    }
}

impl Show for RoutingView {
    fn text(&self) -> String {
        let any = |patterns: &[String]| match patterns {
            [] => "any".to_owned(),
            some => escape(&some.join(", ")).into_owned(),
        };
        let rows = self.rules.iter().map(|rule| {
            let bans = [(rule.forbid_merge, "merge"), (rule.forbid_dkim, "DKIM")];
            let bans: Vec<_> = bans.into_iter().filter(|(forbid, _)| *forbid).map(|(_, what)| what).collect();
            vec![
                escape(&rule.name).into_owned(),
                any(&rule.from),
                any(&rule.recipients),
                escape(&rule.account_id).into_owned(),
                escape(&rule.fallback_account_ids.join(", ")).into_owned(),
                bans.join(", "),
            ]
        });
        let rules = match self.rules.is_empty() {
            true => "there are no rules".to_owned(),
            false => table(&["RULE", "FROM", "RECIPIENTS", "ACCOUNT", "FALLBACKS", "FORBIDS"], rows),
        };
        let default = match &self.default_account_id {
            Some(id) => format!("else {}", escape(id)),
            None => "else refused".to_owned(),
        };
        format!("{rules}\n{default}")
    }
}

/// The way of a job.
#[derive(Debug, Serialize)]
struct RouteView {
    account_id: Option<String>,
    fallback_account_ids: Vec<String>,
    refusal: String,
    verdicts: Vec<VerdictView>,
}

#[derive(Debug, Serialize)]
struct VerdictView {
    rule: String,
    matched: bool,
    reason: String,
}

impl From<ExplainRouteResponse> for RouteView {
    fn from(answer: ExplainRouteResponse) -> Self {
        let verdicts = answer.verdicts.into_iter();
        Self {
            account_id: Some(answer.account_id).filter(|id| !id.is_empty()),
            fallback_account_ids: answer.fallback_account_ids,
            refusal: answer.refusal,
            verdicts: verdicts
                .map(|one| VerdictView { rule: one.name, matched: one.matched, reason: one.reason })
                .collect(),
        }
    }
}

impl Show for RouteView {
    fn text(&self) -> String {
        let mut text = match &self.account_id {
            Some(id) => format!("goes by {}", escape(id)),
            None => format!("would be refused: {}", escape(&self.refusal)),
        };
        if !self.fallback_account_ids.is_empty() {
            text.push_str(&format!("; else by {}", escape(&self.fallback_account_ids.join(", "))));
        }
        for one in &self.verdicts {
            let mark = if one.matched { "matched" } else { "not" };
            text.push_str(&format!("\n  {}: {mark}: {}", escape(&one.rule), escape(&one.reason)));
        }
        text
    }
}
