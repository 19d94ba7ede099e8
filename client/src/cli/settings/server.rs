//! Servers and the way to them, each setting by its key and its default.

use std::time::Duration;

use hikyaku_client::proto::{
    ClientCertificate, Encryption, Proxy, ProxyKind, Server, Timeouts, TlsOptions, TlsVersion,
};
use toml::Value;

use super::fields::{Choices, Exported, Fields, Shape, as_choice, as_number, word_of};

/// What a server takes, which says its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Mail.
    Smtp,
    /// POP3 sessions.
    Pop3,
    /// IMAP sessions.
    Imap,
}

/// Whether and how a connection is encrypted. None of it is a default: that follows the port.
const ENCRYPTIONS: Choices =
    &[("none", Encryption::None as i32), ("starttls", Encryption::Starttls as i32), ("tls", Encryption::Tls as i32)];
const TLS_VERSIONS: Choices = &[("1.2", TlsVersion::TlsVersion12 as i32), ("1.3", TlsVersion::TlsVersion13 as i32)];
const PROXY_KINDS: Choices = &[("socks5", ProxyKind::Socks5 as i32), ("http-connect", ProxyKind::HttpConnect as i32)];
const PROXY_PORT_SOCKS5: u32 = 1_080;
const PROXY_PORT_HTTP: u32 = 3_128;

/// A server.
pub(crate) fn server<F: Fields>(f: &mut F, server: &mut Server, ports: Ports) {
    // Both are always written, so that what follows what need not be known to compare them.
    let (port, encryption) = ports.settled(server);
    f.text("host", &mut server.host);
    f.value("port", &mut server.port, as_number, |_| Some(Value::Integer(port.into())));
    let word = |_: &i32| word_of(encryption.into(), ENCRYPTIONS).map(Into::into);
    f.value("encryption", &mut server.encryption, |cell| as_choice(cell, ENCRYPTIONS), word);
    f.text("ehlo_name", &mut server.ehlo_name);
    f.long_text("custom_ca_pem", &mut server.custom_ca_pem);
    f.text_or("provider", &mut server.provider, "generic");
    f.group("timeouts", &mut server.timeouts, timeouts);
    f.group("tls", &mut server.tls, tls);
    f.group("proxy", &mut server.proxy, proxy);
}

impl Ports {
    /// Port and encryption as the daemon takes them: each follows the other where it is not given.
    fn settled(self, server: &Server) -> (u32, Encryption) {
        let encryption = match (server.encryption(), self, server.port) {
            (Encryption::Unspecified, Self::Smtp, 465) => Encryption::Tls,
            (Encryption::Unspecified, Self::Smtp, 25) => Encryption::None,
            (Encryption::Unspecified, Self::Smtp, _)
            | (Encryption::Unspecified, Self::Pop3, 110)
            | (Encryption::Unspecified, Self::Imap, 143) => Encryption::Starttls,
            (Encryption::Unspecified, Self::Pop3 | Self::Imap, _) => Encryption::Tls,
            (given, _, _) => given,
        };
        let port = match (self, encryption) {
            _ if server.port != 0 => server.port,
            (Self::Smtp, Encryption::Tls) => 465,
            (Self::Smtp, Encryption::None) => 25,
            (Self::Smtp, _) => 587,
            (Self::Pop3, Encryption::Tls) => 995,
            (Self::Pop3, _) => 110,
            (Self::Imap, Encryption::Tls) => 993,
            (Self::Imap, _) => 143,
        };
        (port, encryption)
    }
}

fn timeouts<F: Fields>(f: &mut F, timeouts: &mut Timeouts) {
    // RFC 5321 4.5.3.2.
    f.length("connect", &mut timeouts.connect, Duration::from_secs(30));
    f.length("greeting", &mut timeouts.greeting, Duration::from_secs(300));
    f.length("command", &mut timeouts.command, Duration::from_secs(300));
    f.length("data", &mut timeouts.data, Duration::from_secs(120));
    f.length("end_of_data", &mut timeouts.end_of_data, Duration::from_secs(600));
}

fn tls<F: Fields>(f: &mut F, tls: &mut TlsOptions) {
    f.choice("version_min", &mut tls.version_min, TLS_VERSIONS);
    f.text("server_name", &mut tls.server_name);
    f.group("client_certificate", &mut tls.client_certificate, client_certificate);
}

fn client_certificate<F: Fields>(f: &mut F, certificate: &mut ClientCertificate) {
    f.long_text("chain_pem", &mut certificate.chain_pem);
    f.secret("key_pem", &mut certificate.key_pem, Shape::Whole, Exported::Named);
}

fn proxy<F: Fields>(f: &mut F, proxy: &mut Proxy) {
    let usual = match proxy.kind() {
        ProxyKind::HttpConnect => PROXY_PORT_HTTP,
        ProxyKind::Unspecified | ProxyKind::Socks5 => PROXY_PORT_SOCKS5,
    };
    f.required_choice("kind", &mut proxy.kind, PROXY_KINDS);
    f.text("host", &mut proxy.host);
    f.number("port", &mut proxy.port, usual);
    f.text("user", &mut proxy.user);
    let exported = if proxy.user.is_empty() { Exported::LeftOut } else { Exported::Named };
    f.secret("password", &mut proxy.password, Shape::Line, exported);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ports: Ports, port: u32, encryption: Encryption, expected: (u32, Encryption)) {
        let server = Server { port, encryption: encryption.into(), ..Server::default() };
        assert_eq!(ports.settled(&server), expected);
    }

    #[test]
    fn port_and_encryption_follow_each_other() {
        use Encryption::{None, Starttls, Tls, Unspecified};
        check(Ports::Smtp, 0, Unspecified, (587, Starttls));
        check(Ports::Smtp, 465, Unspecified, (465, Tls));
        check(Ports::Smtp, 25, Unspecified, (25, None));
        check(Ports::Smtp, 2_525, Unspecified, (2_525, Starttls));
        check(Ports::Smtp, 0, Tls, (465, Tls));
        check(Ports::Pop3, 0, Unspecified, (995, Tls));
        check(Ports::Pop3, 110, Unspecified, (110, Starttls));
        check(Ports::Imap, 0, None, (143, None));
        check(Ports::Imap, 993, Unspecified, (993, Tls));
    }
}
