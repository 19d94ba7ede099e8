//! `hikyaku dkim rules`: which messages are signed by which keys.

use std::{io::Write, path::PathBuf};

use clap::{Args, Subcommand};
use hikyaku_client::proto::{DkimRule, DkimRules};
use serde::Serialize;
use toml::Table;

use super::{
    args::Global,
    escape::escape,
    failure::Failure,
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
pub(crate) enum RulesCommand {
    /// Show the rules
    Get {
        /// Write them as the file that dkim rules set takes
        #[arg(long)]
        toml: bool,
    },
    /// Replace all rules by those of a file; see hikyaku dkim rules set --help
    ///
    /// The file is TOML: in their order [[rules]] with from and key_ids, then default_key_ids and sign_own_domains
    /// for messages that no rule matches. Patterns are shop@example.jp, @example.jp, and *.example.jp for a domain
    /// and all below it; a rule without keys leaves messages unsigned.
    Set(SetArgs),
}

/// Which rules to set.
#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// File with the rules; - for stdin
    file: PathBuf,
    /// Change nothing; show what would change
    #[arg(long)]
    dry_run: bool,
    /// Refuse when the rules have another version than this; their present one when not given
    #[arg(long)]
    etag: Option<String>,
}

pub(crate) async fn rules<W: Write>(
    command: RulesCommand,
    global: &Global,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    match command {
        RulesCommand::Get { toml } => {
            let rules = connect(global).await?.get_dkim_rules().await?;
            match toml && !output.is_json() {
                true => output.text(&document(&rules_tree(&rules)))?,
                false => output.show(&RulesView::from(rules))?,
            }
            Ok(())
        }
        RulesCommand::Set(args) => set(args, global, output).await,
    }
}

async fn set<W: Write>(args: SetArgs, global: &Global, output: &mut Output<W>) -> Result<(), Failure> {
    let wanted = read_rules(&args.file, |f, rules| fields(f, rules))?;
    let client = connect(global).await?;
    let present = client.get_dkim_rules().await?;
    let changes = changes(&rules_tree(&present), &rules_tree(&wanted));
    let changed = !changes.is_empty();
    let mut etag = args.etag.unwrap_or(present.etag);
    if changed && !args.dry_run {
        etag = client.set_dkim_rules(DkimRules { etag, ..wanted }).await?.etag;
    }
    Ok(output.show(&SetView { changed, dry_run: args.dry_run, etag, changes })?)
}

fn rules_tree(rules: &DkimRules) -> Table {
    tree(Secrets::LeftOut, &mut rules.clone(), fields)
}

fn fields<F: Fields>(f: &mut F, rules: &mut DkimRules) {
    f.texts("default_key_ids", &mut rules.default_key_ids);
    f.flag("sign_own_domains", &mut rules.sign_own_domains);
    f.groups("rules", &mut rules.rules, |f, rule| {
        f.texts("from", &mut rule.from);
        f.texts("key_ids", &mut rule.key_ids);
    });
}

/// All rules.
#[derive(Debug, Serialize)]
struct RulesView {
    rules: Vec<RuleView>,
    default_key_ids: Vec<String>,
    sign_own_domains: bool,
    etag: String,
    updated_at: Option<String>,
    updated_by: String,
}

#[derive(Debug, Serialize)]
struct RuleView {
    from: Vec<String>,
    key_ids: Vec<String>,
}

impl From<DkimRules> for RulesView {
    fn from(rules: DkimRules) -> Self {
        let rule = |DkimRule { from, key_ids }: DkimRule| RuleView { from, key_ids };
        Self {
            rules: rules.rules.into_iter().map(rule).collect(),
            default_key_ids: rules.default_key_ids,
            sign_own_domains: rules.sign_own_domains,
            etag: rules.etag,
            updated_at: rules.updated_at.map(show_time),
            updated_by: rules.updated_by,
        }
    }
}

impl Show for RulesView {
    fn text(&self) -> String {
        let keys = |ids: &[String]| match ids {
            [] => "nothing".to_owned(),
            some => escape(&some.join(", ")).into_owned(),
        };
        let rows = self.rules.iter().map(|rule| vec![escape(&rule.from.join(", ")).into_owned(), keys(&rule.key_ids)]);
        let rules = match self.rules.is_empty() {
            true => "there are no rules".to_owned(),
            false => table(&["FROM", "SIGNED BY"], rows),
        };
        let own = if self.sign_own_domains { "the keys of From's own domain, and " } else { "" };
        format!("{rules}\nelse signed by {own}{}", keys(&self.default_key_ids))
    }
}
