//! What a preset fills: settings that are unset, and no others. The daemon does the same when it makes an account; here it is
//! done for files, so that an account which is there already can be compared.

use hikyaku_client::proto::{AccountSettings, Encryption, Limits, MailboxProtocol, Preset, Server, sign_in::Method};

/// Fills what `settings` leave unset.
pub(crate) fn fill(settings: &mut AccountSettings, preset: &Preset) {
    if let Some(known) = &preset.server {
        fill_server(settings.server.get_or_insert_default(), known);
    }
    if let Some(known) = &preset.limits {
        fill_limits(settings.limits.get_or_insert_default(), known);
    }
    if let Some(mailbox) = &mut settings.mailbox {
        let known = match mailbox.protocol() {
            MailboxProtocol::Pop3 => preset.pop3.as_ref(),
            MailboxProtocol::Imap => preset.imap.as_ref(),
            MailboxProtocol::Unspecified => None,
        };
        if let Some(known) = known {
            fill_server(mailbox.server.get_or_insert_default(), known);
        }
    }
    let method = settings.sign_in.as_mut().and_then(|sign_in| sign_in.method.as_mut());
    if let Some(Method::Oauth2(method)) = method {
        let provider = method.provider.get_or_insert_default();
        if provider.kind.is_empty() && provider.token_endpoint.is_empty() {
            provider.kind.clone_from(&preset.oauth_provider);
        }
    }
}

/// What a known server fills of another.
fn fill_server(server: &mut Server, known: &Server) {
    for (unset, value) in [(&mut server.host, &known.host), (&mut server.provider, &known.provider)] {
        if unset.is_empty() {
            unset.clone_from(value);
        }
    }
    // Port and encryption belong together: of another pair nothing is taken.
    let is_unset = server.encryption() == Encryption::Unspecified;
    if server.port == 0 && (is_unset || server.encryption == known.encryption) {
        server.port = known.port;
    }
    if is_unset && server.port == known.port {
        server.encryption = known.encryption;
    }
}

fn fill_limits(limits: &mut Limits, known: &Limits) {
    if limits.quotas.is_empty() {
        limits.quotas.clone_from(&known.quotas);
    }
    limits.interval = limits.interval.or(known.interval);
    limits.pace = limits.pace.or(known.pace);
    limits.batch = limits.batch.or(known.batch);
    for (unset, value) in [
        (&mut limits.connections_max, known.connections_max),
        (&mut limits.messages_per_connection_max, known.messages_per_connection_max),
        (&mut limits.recipients_per_job_max, known.recipients_per_job_max),
    ] {
        if *unset == 0 {
            *unset = value;
        }
    }
    if limits.message_bytes_max == 0 {
        limits.message_bytes_max = known.message_bytes_max;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_stays() {
        let known = Server { host: "smtp.gmail.com".to_owned(), port: 465, encryption: 3, ..Server::default() };
        let preset = Preset { server: Some(known), ..Preset::default() };
        let mut settings = AccountSettings::default();
        fill(&mut settings, &preset);
        assert_eq!(settings.server.as_ref().map(|server| (server.port, server.encryption)), Some((465, 3)));
        let own = Server { port: 587, ..Server::default() };
        let mut settings = AccountSettings { server: Some(own), ..AccountSettings::default() };
        fill(&mut settings, &preset);
        let server = settings.server.unwrap();
        assert_eq!((server.host.as_str(), server.port, server.encryption), ("smtp.gmail.com", 587, 0));
    }
}
