//! A file of accounts: `[accounts.ID]`, with the settings of each below it.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use hikyaku_client::proto::{AccountSettings, Preset, sign_in::Method};
use toml::{Table, Value, de::DeTable};

use super::{
    account::account,
    fields::Fields as _,
    preset::fill,
    reading::{Reading, Source},
    resolving::{resolve, secret_paths},
    secret::Vault,
    writing::{Secrets, tree},
};
use crate::cli::{counted::counted, failure::Failure};

/// An account as a file wants it. Its secrets are references until [`FileAccount::opened`].
#[derive(Debug)]
pub(crate) struct FileAccount {
    pub(crate) account_id: String,
    /// The preset that fills what is unset; none when empty.
    pub(crate) preset: String,
    settings: AccountSettings,
    folder: PathBuf,
    /// File and line.
    origin: String,
}

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;
const ACCOUNTS: &str = "accounts";

impl FileAccount {
    /// Its settings without secrets, as a tree of those that differ from their defaults.
    pub(crate) fn tree(&self) -> Table {
        settings_tree(Secrets::LeftOut, &self.settings)
    }

    /// The paths of the secrets that it names.
    pub(crate) fn secrets(&self) -> Vec<String> {
        secret_paths(&mut self.settings.clone(), account)
    }

    /// The words to find it by.
    pub(crate) fn labels(&self) -> &[String] {
        &self.settings.labels
    }

    /// Fills what is unset.
    pub(crate) fn fill(&mut self, preset: &Preset) {
        fill(&mut self.settings, preset);
    }

    /// Its settings with the secrets themselves.
    ///
    /// # Errors
    /// Each reference that leads nowhere.
    pub(crate) fn opened(&self) -> Result<AccountSettings, Failure> {
        let variable = |name: &str| env::var(name).ok();
        let vault = Vault::new(&variable, self.folder.clone());
        let mut settings = self.settings.clone();
        match resolve(&vault, &mut settings, account) {
            Ok(()) => Ok(settings),
            Err(failures) => Err(told(&failures, "secrets cannot be read")),
        }
    }
}

/// Settings as a tree. Where no mailbox has credentials, no sign-in and an unset one are the same.
pub(crate) fn settings_tree(secrets: Secrets<'_>, settings: &AccountSettings) -> Table {
    let mut settings = settings.clone();
    let method = settings.sign_in.as_ref().and_then(|sign_in| sign_in.method.as_ref());
    let is_lent = settings.mailbox.as_ref().is_some_and(|mailbox| mailbox.sign_in.is_some());
    if matches!(method, Some(Method::None(_))) && !is_lent {
        settings.sign_in = None;
    }
    tree(secrets, &mut settings, account)
}

/// What a file with these accounts holds.
pub(crate) fn accounts_table(accounts: impl IntoIterator<Item = (String, Table)>) -> Table {
    let accounts = accounts.into_iter().map(|(id, tree)| (id, Value::Table(tree))).collect();
    Table::from_iter([(ACCOUNTS.to_owned(), Value::Table(accounts))])
}

/// All accounts of some files; a folder stands for its `.toml` files, `-` for stdin.
///
/// # Errors
/// When a file cannot be read, and otherwise every mistake in all of them.
pub(crate) fn read_accounts(paths: &[PathBuf]) -> Result<Vec<FileAccount>, Failure> {
    let mut accounts: BTreeMap<String, FileAccount> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for path in files_of(paths)? {
        let (name, text, folder) = content_of(&path)?;
        let (found, wrong) = parse(&name, &text, &folder);
        mistakes.extend(wrong);
        for one in found {
            if let Some(other) = accounts.get(&one.account_id) {
                let id = &one.account_id;
                mistakes.push(format!("{}: {ACCOUNTS}.{id}: is in {} too", one.origin, other.origin));
            } else {
                accounts.insert(one.account_id.clone(), one);
            }
        }
    }
    if mistakes.is_empty() { Ok(accounts.into_values().collect()) } else { Err(told(&mistakes, NOTHING_DONE)) }
}

/// Some mistakes, each on a line.
pub(crate) fn told(mistakes: &[String], what: &str) -> Failure {
    let count = counted(mistakes.len() as u64, "mistake", "mistakes");
    let lines: String = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
    Failure::Other(anyhow!("{count}; {what}{lines}"))
}

/// Said of mistakes in files.
pub(crate) const NOTHING_DONE: &str = "nothing was changed";

/// The text of a file, its name for people, and where the files lie that it names.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn content_of(path: &Path) -> Result<(String, String, PathBuf), Failure> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text).context("cannot read stdin")?;
        return Ok(("stdin".to_owned(), text, PathBuf::new()));
    }
    let cannot = || format!("cannot read {}", path.display());
    if fs::metadata(path).with_context(cannot)?.len() > FILE_BYTES_MAX {
        return Err(anyhow!("{} is larger than {FILE_BYTES_MAX} bytes", path.display()).into());
    }
    let text = fs::read_to_string(path).with_context(cannot)?;
    Ok((path.display().to_string(), text, path.parent().unwrap_or(Path::new("")).to_owned()))
}

/// The table of a file; nothing where its text is no TOML. The words of the parser are kept, but not the line, which may
/// hold a secret.
pub(crate) fn table_of<'t>(text: &'t str, source: &Source) -> Option<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        source.note(error.span().map_or(0, |span| span.start), format!("is no TOML: {}", error.message()));
    }
    errors.is_empty().then(|| table.into_inner())
}

fn parse(name: &str, text: &str, folder: &Path) -> (Vec<FileAccount>, Vec<String>) {
    let source = Source::new(name.to_owned(), text, folder.to_owned());
    let mut found = Vec::new();
    if let Some(table) = table_of(text, &source) {
        for (key, cell) in &table {
            let at = key.span().start;
            match (key.get_ref().as_ref(), cell.get_ref().as_table()) {
                (ACCOUNTS, Some(accounts)) => found.extend(accounts.iter().filter_map(|(id, cell)| {
                    let path = format!("{ACCOUNTS}.{}", id.get_ref());
                    let at = id.span().start;
                    let Some(table) = cell.get_ref().as_table() else {
                        source.note(at, format!("{path}: must be a table with the settings of an account"));
                        return None;
                    };
                    let mut one = file_account(id.get_ref(), &source, table, path, at);
                    one.folder = folder.to_owned();
                    Some(one)
                })),
                (ACCOUNTS, None) => {
                    source.note(at, format!("{ACCOUNTS}: must be a table with an account for each key"))
                }
                (other, _) => source.note(at, format!("{other}: is not known; accounts stand below [{ACCOUNTS}.ID]")),
            }
        }
    }
    (found, source.mistakes())
}

fn file_account<'a>(id: &str, source: &'a Source, table: &'a DeTable<'a>, path: String, at: usize) -> FileAccount {
    let mut one = FileAccount {
        account_id: id.to_owned(),
        preset: String::new(),
        settings: AccountSettings::default(),
        folder: PathBuf::new(),
        origin: source.place(at),
    };
    let mut reading = Reading::new(source, table, path, at);
    reading.text("preset", &mut one.preset);
    account(&mut reading, &mut one.settings);
    reading.finish();
    one
}

fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let cannot = || format!("cannot read {}", path.display());
        let mut within = Vec::new();
        for entry in fs::read_dir(path).with_context(cannot)? {
            let file = entry.with_context(cannot)?.path();
            let named = file.extension().is_some_and(|extension| extension == "toml");
            let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if named && !hidden && file.is_file() {
                within.push(file);
            }
        }
        if within.is_empty() {
            return Err(anyhow!("there is no .toml file in {}", path.display()).into());
        }
        within.sort();
        files.extend(within);
    }
    Ok(files)
}
