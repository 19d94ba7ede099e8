//! Presets on the wire, and what they fill in of the settings that a caller left unset.

use hikyaku_proto::v1::{self, sign_in::Method};

use super::{limits::from_quota, server::from_server, violations::Violations};
use crate::{
    domain::account::{Encryption, Server},
    policy::{
        discovery::Proposal,
        presets::{Endpoint, KnownLimits, Preset, Presets, SignInWay},
    },
};

/// A preset on the wire.
pub(in crate::service) fn from_preset(preset: &Preset) -> v1::Preset {
    let sources = preset.sources.iter().map(|source| v1::PresetSource {
        about: source.about.as_str().to_owned(),
        url: source.url.clone(),
        read_on: source.read_on.clone(),
    });
    v1::Preset {
        preset_id: preset.id.clone(),
        display_name: preset.name.clone(),
        server: Some(from_endpoint(&preset.server, preset)),
        sign_in: preset.sign_in.iter().map(|way| way.as_str().to_owned()).collect(),
        oauth_provider: preset.oauth.map(|issuer| issuer.as_str().to_owned()).unwrap_or_default(),
        limits: Some(from_limits(&preset.limits)),
        pop3: preset.pop3.as_ref().map(|endpoint| from_endpoint(endpoint, preset)),
        imap: preset.imap.as_ref().map(|endpoint| from_endpoint(endpoint, preset)),
        domains: preset.domains.clone(),
        notes: preset.notes.clone(),
        sources: sources.collect(),
    }
}

/// Settings that are likely right, on the wire.
pub(in crate::service) fn from_proposal(proposal: &Proposal) -> v1::Proposal {
    v1::Proposal {
        found_by: proposal.found_by.as_str().to_owned(),
        preset_id: proposal.preset_id.clone().unwrap_or_default(),
        server: Some(without_defaults(&proposal.server)),
        pop3: proposal.pop3.as_ref().map(without_defaults),
        imap: proposal.imap.as_ref().map(without_defaults),
        user: proposal.user.clone(),
    }
}

/// The settings with what the preset of this id fills in of them; there is none when it is empty.
pub(in crate::service) fn with_preset(
    settings: Option<v1::AccountSettings>,
    preset_id: &str,
    violations: &mut Violations,
) -> Option<v1::AccountSettings> {
    let mut settings = settings?;
    if !preset_id.is_empty() {
        match Presets::built_in().get(preset_id) {
            Some(preset) => fill(&mut settings, preset),
            None => violations.add("preset", "there is no such preset; ListPresets tells all"),
        }
    }
    Some(settings)
}

/// Fills what `settings` leave unset with what is known of the provider. What the caller gave stays as it is.
fn fill(settings: &mut v1::AccountSettings, preset: &Preset) {
    fill_server(settings.server.get_or_insert_default(), &preset.server, preset);
    fill_limits(settings.limits.get_or_insert_default(), &preset.limits);
    if let Some(mailbox) = &mut settings.mailbox {
        let endpoint = match mailbox.protocol() {
            v1::MailboxProtocol::Pop3 => preset.pop3.as_ref(),
            v1::MailboxProtocol::Imap => preset.imap.as_ref(),
            v1::MailboxProtocol::Unspecified => None,
        };
        if let Some(endpoint) = endpoint {
            fill_server(mailbox.server.get_or_insert_default(), endpoint, preset);
        }
    }
    let Some(issuer) = preset.oauth.filter(|_| preset.sign_in.contains(&SignInWay::OAuth2)) else { return };
    if let Some(v1::SignIn { method: Some(Method::Oauth2(oauth)) }) = &mut settings.sign_in {
        let provider = oauth.provider.get_or_insert_default();
        if provider.kind.is_empty() && provider.token_endpoint.is_empty() {
            issuer.as_str().clone_into(&mut provider.kind);
        }
    }
}

fn fill_server(server: &mut v1::Server, known: &Endpoint, preset: &Preset) {
    if server.host.is_empty()
        && let Some(host) = &known.host
    {
        host.as_str().clone_into(&mut server.host);
    }
    let encryption = wire_encryption(known.encryption);
    let port = u32::from(known.port.get());
    let is_unset = server.encryption() == v1::Encryption::Unspecified;
    // Port and encryption belong together: of another pair nothing is taken.
    if server.port == 0 && (is_unset || server.encryption() == encryption) {
        server.port = port;
    }
    if is_unset && server.port == port {
        server.set_encryption(encryption);
    }
    if server.provider.is_empty() {
        preset.provider.as_str().clone_into(&mut server.provider);
    }
}

fn fill_limits(limits: &mut v1::Limits, known: &KnownLimits) {
    let fill = |given: &mut u32, known: Option<std::num::NonZeroU32>| {
        if *given == 0 {
            *given = known.map_or(0, std::num::NonZeroU32::get);
        }
    };
    if limits.quotas.is_empty() {
        limits.quotas = known.quotas.iter().map(from_quota).collect();
    }
    fill(&mut limits.connections_max, known.connections_max);
    fill(&mut limits.messages_per_connection_max, known.messages_per_connection_max);
    fill(&mut limits.recipients_per_job_max, known.recipients_per_job_max);
    if limits.message_bytes_max == 0 {
        limits.message_bytes_max = known.message_bytes_max.unwrap_or_default();
    }
}

fn from_limits(known: &KnownLimits) -> v1::Limits {
    let mut limits = v1::Limits::default();
    fill_limits(&mut limits, known);
    limits
}

fn from_endpoint(endpoint: &Endpoint, preset: &Preset) -> v1::Server {
    let mut server = v1::Server::default();
    fill_server(&mut server, endpoint, preset);
    server
}

/// A server with what was found, so that the rest stays unset in an account that is made of it.
fn without_defaults(server: &Server) -> v1::Server {
    v1::Server { timeouts: None, tls: None, proxy: None, ..from_server(server) }
}

const fn wire_encryption(encryption: Encryption) -> v1::Encryption {
    match encryption {
        Encryption::None => v1::Encryption::None,
        Encryption::StartTls => v1::Encryption::Starttls,
        Encryption::Tls => v1::Encryption::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::convert::account::to_settings;

    fn preset(id: &str) -> &'static Preset {
        Presets::built_in().get(id).expect(id)
    }

    fn filled(id: &str, mut settings: v1::AccountSettings) -> v1::AccountSettings {
        fill(&mut settings, preset(id));
        settings
    }

    #[test]
    fn every_preset_makes_a_valid_account() {
        for preset in Presets::built_in().iter() {
            let mut settings = v1::AccountSettings {
                from: Some(v1::Mailbox { name: String::new(), address: "me@example.jp".into() }),
                ..v1::AccountSettings::default()
            };
            fill(&mut settings, preset);
            let server = settings.server.as_mut().expect("filled");
            if preset.server.host.is_none() {
                assert_eq!(server.host, "", "{}", preset.id);
                server.host = "smtp.example.jp".into();
            }
            let made = to_settings(Some(settings), None, Violations::default());
            let made = made.unwrap_or_else(|wrong| panic!("{}: {wrong:?}", preset.id));
            assert_eq!(made.settings.server.port, preset.server.port, "{}", preset.id);
            assert_eq!(made.settings.server.encryption, preset.server.encryption, "{}", preset.id);
            assert_eq!(made.settings.limits.quotas, preset.limits.quotas, "{}", preset.id);
        }
    }

    #[test]
    fn what_the_caller_gave_stays() {
        let own = v1::AccountSettings {
            server: Some(v1::Server {
                host: "relay.example.jp".into(),
                provider: "generic".into(),
                ..Default::default()
            }),
            limits: Some(v1::Limits {
                quotas: vec![v1::Quota { limit: 7, ..Default::default() }],
                connections_max: 1,
                ..Default::default()
            }),
            ..Default::default()
        };
        let settings = filled("microsoft365", own);
        let (server, limits) = (settings.server.expect("there"), settings.limits.expect("there"));
        assert_eq!((server.host.as_str(), server.port, server.provider.as_str()), ("relay.example.jp", 587, "generic"));
        assert_eq!((limits.quotas.len(), limits.connections_max, limits.recipients_per_job_max), (1, 1, 500));
    }

    #[track_caller]
    fn check_endpoint(port: u32, encryption: v1::Encryption, expected: (u32, v1::Encryption)) {
        let server = v1::Server { port, encryption: encryption.into(), ..Default::default() };
        let settings = filled("gmail", v1::AccountSettings { server: Some(server), ..Default::default() });
        let server = settings.server.expect("there");
        assert_eq!((server.port, server.encryption()), expected);
    }

    #[test]
    fn port_and_encryption_are_filled_together() {
        use v1::Encryption as Wire;
        check_endpoint(0, Wire::Unspecified, (587, Wire::Starttls));
        check_endpoint(587, Wire::Unspecified, (587, Wire::Starttls));
        check_endpoint(0, Wire::Starttls, (587, Wire::Starttls));
        check_endpoint(465, Wire::Unspecified, (465, Wire::Unspecified));
        check_endpoint(0, Wire::Tls, (0, Wire::Tls));
    }

    #[test]
    fn mailboxes_and_issuers_are_filled_where_they_are_wanted() {
        let mailbox = v1::IncomingMailbox { protocol: v1::MailboxProtocol::Imap.into(), ..Default::default() };
        let oauth = v1::OAuth2SignIn { user: "me".into(), ..Default::default() };
        let settings = filled(
            "gmail",
            v1::AccountSettings {
                mailbox: Some(mailbox),
                sign_in: Some(v1::SignIn { method: Some(Method::Oauth2(oauth)) }),
                ..Default::default()
            },
        );
        let server = settings.mailbox.and_then(|mailbox| mailbox.server).expect("filled");
        assert_eq!((server.host.as_str(), server.port), ("imap.gmail.com", 993));
        let Some(Method::Oauth2(oauth)) = settings.sign_in.and_then(|sign_in| sign_in.method) else { panic!("gone") };
        assert_eq!(oauth.provider.expect("filled").kind, "google");
        assert!(filled("gmail", v1::AccountSettings::default()).mailbox.is_none());
    }

    #[test]
    fn a_preset_that_is_not_there_is_told() {
        let mut violations = Violations::default();
        let settings = with_preset(Some(v1::AccountSettings::default()), "gmial", &mut violations);
        let found = violations.finish(settings).expect_err("unknown");
        assert_eq!(found[0].field, "preset");
    }

    #[test]
    fn a_preset_is_told_with_its_sources() {
        let wire = from_preset(preset("microsoft365"));
        assert_eq!((wire.preset_id.as_str(), wire.oauth_provider.as_str()), ("microsoft365", "microsoft"));
        assert_eq!(wire.sign_in, ["oauth2"]);
        assert!(wire.sources.iter().any(|source| source.about == "limits" && source.read_on == "2026-11-22"));
    }
}
