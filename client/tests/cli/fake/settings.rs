//! What the made-up daemon makes of settings: secrets are put away, and defaults are filled in.

use std::time::Duration;

use hikyaku_client::proto::{sign_in::Method, *};

/// The settings as they are told: no secret is among them.
pub(super) fn told(mut settings: AccountSettings) -> AccountSettings {
    secrets(&mut settings).into_iter().for_each(String::clear);
    settled(settings.server.as_mut(), 587);
    if let Some(mailbox) = &mut settings.mailbox {
        settled(mailbox.server.as_mut(), 993);
    }
    let limits = settings.limits.get_or_insert_default();
    limits.interval = limits.interval.or(length(0));
    for (unset, value) in [(&mut limits.connections_max, 2), (&mut limits.recipients_per_job_max, 100)] {
        *unset = if *unset == 0 { value } else { *unset };
    }
    let retry = settings.retry.get_or_insert_default();
    retry.first_delay = retry.first_delay.or(length(60));
    retry.jitter = retry.jitter.or(Some(0.2));
    settings.results.get_or_insert_default();
    settings.content.get_or_insert_default().charset = settings.content.map_or(1, |content| content.charset.max(1));
    settings
}

/// All secrets of settings.
pub(super) fn secrets(settings: &mut AccountSettings) -> Vec<&mut String> {
    let mut found = Vec::new();
    let AccountSettings { server, sign_in, mailbox, .. } = settings;
    let (mailbox_server, mailbox_sign_in) = match mailbox {
        Some(mailbox) => (mailbox.server.as_mut(), mailbox.sign_in.as_mut()),
        None => (None, None),
    };
    let servers = [server.as_mut(), mailbox_server];
    for server in servers.into_iter().flatten() {
        found.extend(server.proxy.as_mut().map(|proxy| &mut proxy.password));
        let certificate = server.tls.as_mut().and_then(|tls| tls.client_certificate.as_mut());
        found.extend(certificate.map(|certificate| &mut certificate.key_pem));
    }
    match sign_in.as_mut().and_then(|sign_in| sign_in.method.as_mut()) {
        Some(Method::Password(method)) => found.push(&mut method.password),
        Some(Method::PopBeforeSmtp(method)) => found.push(&mut method.password),
        Some(Method::Oauth2(method)) => {
            found.push(&mut method.refresh_token);
            found.push(&mut method.service_account_json);
            found.extend(method.provider.as_mut().map(|provider| &mut provider.client_secret));
        }
        Some(Method::None(_)) | None => {}
    }
    found.extend(mailbox_sign_in.map(|sign_in| &mut sign_in.password));
    found
}

/// What is known of Gmail.
pub(super) fn gmail() -> Preset {
    let day = Quota {
        limit: 500,
        unit: QuotaUnit::Recipients.into(),
        window: Some(quota::Window::Sliding(prost_types::Duration { seconds: 86_400, nanos: 0 })),
    };
    let server = |host: &str, port, encryption: Encryption| Server {
        host: host.to_owned(),
        port,
        encryption: encryption.into(),
        ..Server::default()
    };
    let source = PresetSource {
        about: "limits".to_owned(),
        url: "https://support.example/limits".to_owned(),
        read_on: "2026-11-01".to_owned(),
    };
    Preset {
        preset_id: "gmail".to_owned(),
        display_name: "Gmail".to_owned(),
        server: Some(Server { provider: "gmail".to_owned(), ..server("smtp.gmail.com", 465, Encryption::Tls) }),
        sign_in: vec!["oauth2".to_owned(), "app-password".to_owned()],
        oauth_provider: "google".to_owned(),
        limits: Some(Limits { quotas: vec![day], ..Limits::default() }),
        imap: Some(server("imap.gmail.com", 993, Encryption::Tls)),
        domains: vec!["gmail.com".to_owned()],
        notes: vec!["needs an app password".to_owned()],
        sources: vec![source],
        pop3: None,
    }
}

fn settled(server: Option<&mut Server>, port: u32) {
    let Some(server) = server else { return };
    if server.encryption == 0 {
        server.encryption = if matches!(server.port, 465 | 993) { 3 } else { 2 };
    }
    server.port = if server.port == 0 { port } else { server.port };
    server.timeouts.get_or_insert_default().data.get_or_insert(prost_types::Duration { seconds: 120, nanos: 0 });
    if server.provider.is_empty() {
        server.provider = "generic".to_owned();
    }
}

fn length(seconds: u64) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(Duration::from_secs(seconds)).ok()
}
