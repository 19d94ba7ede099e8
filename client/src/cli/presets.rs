//! `hikyaku account presets` and `discover`: what is known of providers, and what can be found out about an address.

use std::{io::Write, process::ExitCode};

use hikyaku_client::{
    Client,
    proto::{
        AccountSettings, DiscoverSettingsResponse, IncomingMailbox, Mailbox, MailboxProtocol, PasswordSignIn, Preset,
        Proposal, Server, SignIn, sign_in::Method,
    },
};
use serde::Serialize;
use toml::{Table, Value};

use super::{
    escape::{escape, escape_lines},
    failure::{EXIT_FAILED, Failure, usage},
    output::{Output, Show},
    settings::{
        changes::{leaves, value_text},
        document::{accounts_table, settings_tree},
        toml_text::document,
        writing::Secrets,
    },
    table::{fields, table},
};

pub(crate) async fn presets<W: Write>(
    client: &Client,
    id: Option<String>,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let views: Vec<_> = client.list_presets().await?.into_iter().map(PresetView::from).collect();
    if let Some(id) = id {
        let known = views.iter().find(|preset| preset.preset_id == id);
        output
            .show(known.ok_or_else(|| usage(format!("there is no preset \"{id}\"; see hikyaku account presets")))?)?;
    } else if output.is_json() {
        views.iter().try_for_each(|preset| output.json(preset))?;
    } else {
        output.text(&preset_table(&views))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Exit code 1 when nothing was found.
pub(crate) async fn discover<W: Write>(
    client: &Client,
    address: &str,
    toml: bool,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let found = client.discover_settings(address).await?;
    let nothing = found.proposals.is_empty();
    if toml && !nothing && !output.is_json() {
        output.text(&account_file(address, &found.proposals[0]))?;
    } else {
        output.show(&DiscoveryView::from(found))?;
    }
    Ok(if nothing { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

/// A file from which the best proposal can be applied.
fn account_file(address: &str, proposal: &Proposal) -> String {
    let Proposal { preset_id, server, pop3, imap, user, .. } = proposal.clone();
    let mailbox = match (imap, pop3) {
        (Some(server), _) => Some((MailboxProtocol::Imap, server)),
        (None, Some(server)) => Some((MailboxProtocol::Pop3, server)),
        (None, None) => None,
    };
    let user = if user.is_empty() { address.to_owned() } else { user };
    let method = Method::Password(PasswordSignIn { user, ..PasswordSignIn::default() });
    let settings = AccountSettings {
        from: Some(Mailbox { name: String::new(), address: address.to_owned() }),
        server,
        sign_in: Some(SignIn { method: Some(method) }),
        mailbox: mailbox.map(|(protocol, server)| IncomingMailbox {
            protocol: protocol.into(),
            server: Some(server),
            ..IncomingMailbox::default()
        }),
        ..AccountSettings::default()
    };
    let id = account_id(address);
    let mut tree = settings_tree(Secrets::Named(&id), &settings);
    if !preset_id.is_empty() {
        tree.insert("preset".to_owned(), preset_id.into());
    }
    document(&accounts_table([(id, tree)]))
}

/// A name for the account of an address: what stands before the @, as far as names allow it.
fn account_id(address: &str) -> String {
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    let allowed = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    let id: String = local.chars().filter(|letter| allowed(*letter)).take(64).collect();
    if id.is_empty() { "account".to_owned() } else { id }
}

#[derive(Debug, Serialize)]
struct PresetView {
    preset_id: String,
    display_name: String,
    server: Table,
    sign_in: Vec<String>,
    oauth_provider: String,
    limits: Table,
    pop3: Option<String>,
    imap: Option<String>,
    domains: Vec<String>,
    notes: Vec<String>,
    sources: Vec<SourceView>,
}

#[derive(Debug, Serialize)]
struct SourceView {
    about: String,
    url: String,
    read_on: String,
}

impl From<Preset> for PresetView {
    fn from(preset: Preset) -> Self {
        let settings = AccountSettings { server: preset.server, limits: preset.limits, ..AccountSettings::default() };
        let mut tree = settings_tree(Secrets::LeftOut, &settings);
        let mut below = |key: &str| match tree.remove(key) {
            Some(Value::Table(table)) => table,
            _ => Table::new(),
        };
        Self {
            server: below("server"),
            limits: below("limits"),
            preset_id: preset.preset_id,
            display_name: preset.display_name,
            sign_in: preset.sign_in,
            oauth_provider: preset.oauth_provider,
            pop3: preset.pop3.map(|server| place(&server)),
            imap: preset.imap.map(|server| place(&server)),
            domains: preset.domains,
            notes: preset.notes,
            sources: preset
                .sources
                .into_iter()
                .map(|source| SourceView { about: source.about, url: source.url, read_on: source.read_on })
                .collect(),
        }
    }
}

impl PresetView {
    fn setting(&self, key: &str) -> String {
        self.server.get(key).or_else(|| self.limits.get(key)).map(value_text).unwrap_or_default()
    }

    fn place(&self) -> String {
        format!("{}:{} {}", self.setting("host"), self.setting("port"), self.setting("encryption"))
    }
}

impl Show for PresetView {
    fn text(&self) -> String {
        let own = [
            ("preset", self.preset_id.clone()),
            ("provider", self.display_name.clone()),
            ("server", self.place()),
            ("signs in by", self.sign_in.join(", ")),
            ("POP3", self.pop3.clone().unwrap_or_default()),
            ("IMAP", self.imap.clone().unwrap_or_default()),
            ("domains", self.domains.join(", ")),
        ];
        let limits = leaves(&self.limits);
        let limits = limits.iter().map(|(key, value)| (key.as_str(), value_text(value)));
        let notes = self.notes.iter().map(|note| ("note", note.clone()));
        let sources = self
            .sources
            .iter()
            .map(|source| ("source", format!("{}: {} ({})", source.about, source.url, source.read_on)));
        fields(own.into_iter().chain(limits).chain(notes).chain(sources))
    }
}

fn preset_table(presets: &[PresetView]) -> String {
    let rows = presets.iter().map(|preset| {
        let cells = [
            &preset.preset_id,
            &preset.display_name,
            &preset.place(),
            &preset.sign_in.join(", "),
            &preset.setting("quotas"),
        ];
        cells.map(|cell| escape(cell).into_owned()).to_vec()
    });
    table(&["PRESET", "PROVIDER", "SERVER", "SIGNS IN BY", "QUOTAS"], rows)
}

/// What was found.
#[derive(Debug, Serialize)]
struct DiscoveryView {
    proposals: Vec<ProposalView>,
    trail: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ProposalView {
    found_by: String,
    preset_id: String,
    server: String,
    pop3: Option<String>,
    imap: Option<String>,
    user: String,
}

impl From<DiscoverSettingsResponse> for DiscoveryView {
    fn from(found: DiscoverSettingsResponse) -> Self {
        let proposals = found.proposals.into_iter().map(|one| ProposalView {
            server: one.server.as_ref().map(place).unwrap_or_default(),
            pop3: one.pop3.as_ref().map(place),
            imap: one.imap.as_ref().map(place),
            found_by: one.found_by,
            preset_id: one.preset_id,
            user: one.user,
        });
        Self { proposals: proposals.collect(), trail: found.trail }
    }
}

impl Show for DiscoveryView {
    fn text(&self) -> String {
        let rows = self.proposals.iter().map(|one| {
            let mailbox = one.imap.as_ref().or(one.pop3.as_ref()).cloned().unwrap_or_default();
            let cells = [&one.found_by, &one.preset_id, &one.server, &mailbox, &one.user];
            cells.map(|cell| escape(cell).into_owned()).to_vec()
        });
        let mut text = match self.proposals.is_empty() {
            true => "nothing was found".to_owned(),
            false => table(&["FOUND BY", "PRESET", "SERVER", "MAILBOX", "USER"], rows),
        };
        for line in self.trail.iter().flat_map(|line| escape_lines(line)) {
            text.push_str(&format!("\n  {line}"));
        }
        text
    }
}

/// `host:port encryption`.
fn place(server: &Server) -> String {
    let encryption = super::job_view::bare(server.encryption().as_str_name(), "ENCRYPTION_").to_lowercase();
    let port = if server.port == 0 { String::new() } else { format!(":{}", server.port) };
    let encryption = if encryption == "unspecified" { String::new() } else { format!(" {encryption}") };
    format!("{}{port}{encryption}", server.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_after_its_address() {
        for (address, id) in [("Taro.Y@example.jp", "taro.y"), ("太郎@example.jp", "account"), ("a+b@x", "ab")] {
            assert_eq!(account_id(address), id);
        }
    }
}
