//! `hikyaku dkim`: keys that sign messages.

use std::{
    io::{Read as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use hikyaku_client::proto::{CreateDkimKeyRequest, DkimAlgorithm, ImportDkimKeyRequest};

use super::{
    args::Global,
    dkim_rules::{RulesCommand, rules},
    dkim_view::{CheckView, DeletedView, KeyView, key_table},
    failure::{EXIT_FAILED, Failure},
    output::Output,
    run::{connect, read_text},
};

#[derive(Debug, Subcommand)]
pub(crate) enum DkimCommand {
    /// Make a key, and say what to publish
    Create(CreateArgs),
    /// Store a key that was made elsewhere
    Import(ImportArgs),
    /// List keys
    List {
        /// Of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Show a key, and what to publish
    Show {
        /// The key, such as s2026._domainkey.example.jp
        id: String,
    },
    /// Forget a key that no rule names
    Delete {
        /// The key
        id: String,
    },
    /// Ask the name system whether a key is published; exit code 1 when it is not
    Check {
        /// The key
        id: String,
    },
    /// Show and set which messages are signed by which keys
    #[command(subcommand)]
    Rules(RulesCommand),
}

/// What key to make. Its private half never leaves the daemon's store.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// The domain that signs
    domain: String,
    /// The selector; made from the date when not given
    #[arg(long)]
    selector: Option<String>,
    /// How it signs
    #[arg(long, default_value = "rsa-2048")]
    algorithm: AlgorithmName,
}

/// What key to store.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The domain that signs
    domain: String,
    /// The selector under which it is published
    #[arg(long)]
    selector: String,
    /// File with the private key in PEM, PKCS#1 or PKCS#8; - for stdin
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlgorithmName {
    /// What all receivers check
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// Not all receivers and name servers manage such long records
    #[value(name = "rsa-4096")]
    Rsa4096,
    /// Few receivers check it yet: use it beside an RSA key
    Ed25519,
}

impl From<AlgorithmName> for DkimAlgorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Rsa2048 => Self::Rsa2048,
            AlgorithmName::Rsa4096 => Self::Rsa4096,
            AlgorithmName::Ed25519 => Self::Ed25519,
        }
    }
}

pub(crate) async fn run<W: Write>(
    command: DkimCommand,
    global: &Global,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        DkimCommand::Create(CreateArgs { domain, selector, algorithm }) => {
            let algorithm = DkimAlgorithm::from(algorithm).into();
            let request = CreateDkimKeyRequest { domain, selector: selector.unwrap_or_default(), algorithm };
            output.show(&KeyView::from(connect(global).await?.create_dkim_key(request).await?))?;
        }
        DkimCommand::Import(ImportArgs { domain, selector, key_file }) => {
            let request = ImportDkimKeyRequest { domain, selector, private_key_pem: pem(&key_file)? };
            output.show(&KeyView::from(connect(global).await?.import_dkim_key(request).await?))?;
        }
        DkimCommand::List { domain } => {
            let keys = connect(global).await?.list_dkim_keys(domain.as_deref().unwrap_or_default()).await?;
            let views: Vec<_> = keys.into_iter().map(KeyView::from).collect();
            match output.is_json() {
                true => views.iter().try_for_each(|view| output.json(view))?,
                false => output.text(&key_table(&views))?,
            }
        }
        DkimCommand::Show { id } => output.show(&KeyView::from(connect(global).await?.get_dkim_key(&id).await?))?,
        DkimCommand::Delete { id } => {
            connect(global).await?.delete_dkim_key(&id).await?;
            output.show(&DeletedView { dkim_key_id: id, deleted: true })?;
        }
        DkimCommand::Check { id } => {
            let answer = connect(global).await?.check_dkim_key(&id).await?;
            let published = answer.published;
            output.show(&CheckView::new(id, answer))?;
            return Ok(if published { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) });
        }
        DkimCommand::Rules(command) => rules(command, global, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn pem(path: &Path) -> Result<String, Failure> {
    if path != Path::new("-") {
        return read_text(path);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).context("cannot read stdin")?;
    Ok(text)
}
