//! The servers of an account on the wire: host, port, encryption, names and timeouts.

use std::{num::NonZeroU16, ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1;

use super::{
    proxy::{from_proxy, to_proxy},
    tls::{from_tls, to_custom_ca, to_tls},
    values::{from_duration, parse, to_duration, to_port},
    violations::Violations,
};
use crate::domain::account::{EhloName, Encryption, Host, ProviderKind, Server, Timeouts};

const TIMEOUT_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);

/// Which port goes with which encryption, by protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Ports {
    /// 465, 587 and 25; STARTTLS unless the port says otherwise.
    Smtp,
    /// 995 and 110; TLS unless the port says otherwise.
    Pop3,
    /// 993 and 143; TLS unless the port says otherwise.
    Imap,
}

impl Ports {
    const fn of(self, encryption: Encryption) -> u16 {
        match (self, encryption) {
            (Self::Smtp, Encryption::Tls) => 465,
            (Self::Smtp, Encryption::StartTls) => 587,
            (Self::Smtp, Encryption::None) => 25,
            (Self::Pop3, Encryption::Tls) => 995,
            (Self::Pop3, Encryption::StartTls | Encryption::None) => 110,
            (Self::Imap, Encryption::Tls) => 993,
            (Self::Imap, Encryption::StartTls | Encryption::None) => 143,
        }
    }

    /// The encryption where only a port is given, or not even that. It is NONE only where relays without sign-in are.
    fn encryption(self, port: Option<u16>) -> Encryption {
        match (self, port) {
            (Self::Smtp, Some(465)) => Encryption::Tls,
            (Self::Smtp, Some(25)) => Encryption::None,
            (Self::Smtp, _) | (Self::Pop3, Some(110)) | (Self::Imap, Some(143)) => Encryption::StartTls,
            (Self::Pop3 | Self::Imap, _) => Encryption::Tls,
        }
    }
}

/// A server on the wire, without its secrets.
pub(in crate::service) fn from_server(server: &Server) -> v1::Server {
    v1::Server {
        host: server.host.as_str().to_owned(),
        port: u32::from(server.port.get()),
        encryption: match server.encryption {
            Encryption::None => v1::Encryption::None,
            Encryption::StartTls => v1::Encryption::Starttls,
            Encryption::Tls => v1::Encryption::Tls,
        }
        .into(),
        ehlo_name: server.ehlo_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        custom_ca_pem: server.custom_ca_pem.clone().unwrap_or_default(),
        provider: server.provider.as_str().to_owned(),
        timeouts: Some(from_timeouts(&server.timeouts)),
        tls: Some(from_tls(&server.tls)),
        proxy: server.proxy.as_ref().map(from_proxy),
    }
}

/// A server that a caller sent; its empty secrets are those of the `stored` one.
pub(in crate::service) fn to_server(
    server: Option<v1::Server>,
    stored: Option<&Server>,
    ports: Ports,
    at: &str,
    violations: &mut Violations,
) -> Option<Server> {
    let Some(wire) = server else {
        violations.add(at, "is required");
        return None;
    };
    let host = parse::<Host>(&wire.host, format_args!("{at}.host"), violations);
    let endpoint = to_endpoint(&wire, ports, at, violations);
    let ehlo_name = match wire.ehlo_name.as_str() {
        "" => Some(None),
        name => parse::<EhloName>(name, format_args!("{at}.ehlo_name"), violations).map(Some),
    };
    let custom_ca_pem = to_custom_ca(wire.custom_ca_pem, at, violations);
    let provider = match wire.provider.as_str() {
        "" => Some(ProviderKind::Generic),
        name => parse::<ProviderKind>(name, format_args!("{at}.provider"), violations),
    };
    let timeouts = to_timeouts(wire.timeouts, at, violations);
    let tls = to_tls(wire.tls.unwrap_or_default(), stored.map(|server| &server.tls), at, violations);
    let old_proxy = stored.and_then(|server| server.proxy.as_ref());
    let proxy = wire.proxy.map_or(Some(None), |proxy| to_proxy(proxy, old_proxy, at, violations).map(Some));
    let (port, encryption) = endpoint?;
    Some(Server {
        host: host?,
        port,
        encryption,
        ehlo_name: ehlo_name?,
        custom_ca_pem: custom_ca_pem?,
        provider: provider?,
        timeouts: timeouts?,
        tls: tls?,
        proxy: proxy?,
    })
}

/// Port and encryption: each follows the other where it is unset.
fn to_endpoint(
    wire: &v1::Server,
    ports: Ports,
    at: &str,
    violations: &mut Violations,
) -> Option<(NonZeroU16, Encryption)> {
    let given_port = to_port(wire.port, at, violations);
    let given_encryption = match v1::Encryption::try_from(wire.encryption) {
        Ok(v1::Encryption::Unspecified) => Some(None),
        Ok(v1::Encryption::None) => Some(Some(Encryption::None)),
        Ok(v1::Encryption::Starttls) => Some(Some(Encryption::StartTls)),
        Ok(v1::Encryption::Tls) => Some(Some(Encryption::Tls)),
        Err(_) => {
            violations.add(format_args!("{at}.encryption"), "must be NONE, STARTTLS or TLS");
            None
        }
    };
    let (given_port, given_encryption) = given_port.zip(given_encryption)?;
    let encryption = given_encryption.unwrap_or_else(|| ports.encryption(given_port.map(NonZeroU16::get)));
    Some((given_port.or(NonZeroU16::new(ports.of(encryption)))?, encryption))
}

fn from_timeouts(timeouts: &Timeouts) -> v1::Timeouts {
    v1::Timeouts {
        connect: Some(from_duration(timeouts.connect)),
        greeting: Some(from_duration(timeouts.greeting)),
        command: Some(from_duration(timeouts.command)),
        data: Some(from_duration(timeouts.data)),
        end_of_data: Some(from_duration(timeouts.end_of_data)),
    }
}

fn to_timeouts(timeouts: Option<v1::Timeouts>, at: &str, violations: &mut Violations) -> Option<Timeouts> {
    let wire = timeouts.unwrap_or_default();
    let usual = Timeouts::default();
    let mut read = |given, default, field: &str| {
        to_duration(given, default, &TIMEOUT_BOUNDS, format_args!("{at}.timeouts.{field}"), violations)
    };
    let connect = read(wire.connect, usual.connect, "connect");
    let greeting = read(wire.greeting, usual.greeting, "greeting");
    let command = read(wire.command, usual.command, "command");
    let data = read(wire.data, usual.data, "data");
    let end_of_data = read(wire.end_of_data, usual.end_of_data, "end_of_data");
    Some(Timeouts { connect: connect?, greeting: greeting?, command: command?, data: data?, end_of_data: end_of_data? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> v1::Server {
        v1::Server { host: "smtp.example.jp".into(), ..v1::Server::default() }
    }

    #[track_caller]
    fn check_endpoint(ports: Ports, port: u32, encryption: v1::Encryption, expected: (u16, Encryption)) {
        let mut violations = Violations::default();
        let given = v1::Server { port, encryption: encryption.into(), ..wire() };
        let server = to_server(Some(given), None, ports, "s", &mut violations);
        let server = violations.finish(server).expect("a good server");
        assert_eq!((server.port.get(), server.encryption), expected, "{ports:?} {port} {encryption:?}");
    }

    #[test]
    fn port_and_encryption_follow_each_other() {
        use v1::Encryption as Wire;
        for (port, encryption, expected) in [
            (0, Wire::Unspecified, (587, Encryption::StartTls)),
            (0, Wire::Tls, (465, Encryption::Tls)),
            (0, Wire::Starttls, (587, Encryption::StartTls)),
            (0, Wire::None, (25, Encryption::None)),
            (465, Wire::Unspecified, (465, Encryption::Tls)),
            (25, Wire::Unspecified, (25, Encryption::None)),
            (587, Wire::Unspecified, (587, Encryption::StartTls)),
            (2_525, Wire::Unspecified, (2_525, Encryption::StartTls)),
            (25, Wire::Tls, (25, Encryption::Tls)),
        ] {
            check_endpoint(Ports::Smtp, port, encryption, expected);
        }
        for (ports, tls, plain) in [(Ports::Pop3, 995, 110), (Ports::Imap, 993, 143)] {
            check_endpoint(ports, 0, Wire::Unspecified, (tls, Encryption::Tls));
            check_endpoint(ports, 0, Wire::Tls, (tls, Encryption::Tls));
            check_endpoint(ports, 0, Wire::Starttls, (plain, Encryption::StartTls));
            check_endpoint(ports, 0, Wire::None, (plain, Encryption::None));
            check_endpoint(ports, tls.into(), Wire::Unspecified, (tls, Encryption::Tls));
            check_endpoint(ports, plain.into(), Wire::Unspecified, (plain, Encryption::StartTls));
            check_endpoint(ports, 9_999, Wire::Unspecified, (9_999, Encryption::Tls));
        }
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut v1::Server), field: &str) {
        let mut server = wire();
        change(&mut server);
        let mut violations = Violations::default();
        let made = to_server(Some(server), None, Ports::Smtp, "s", &mut violations);
        let found = violations.finish(made).expect_err(field);
        let fields: Vec<_> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, [field]);
    }

    #[test]
    fn each_bound_is_told_with_its_field() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        check_refused(|s| s.host = String::new(), "s.host");
        check_refused(|s| s.host = "a b".into(), "s.host");
        check_refused(|s| s.port = 65_536, "s.port");
        check_refused(|s| s.encryption = 9, "s.encryption");
        check_refused(|s| s.ehlo_name = "a\r\nMAIL".into(), "s.ehlo_name");
        check_refused(|s| s.custom_ca_pem = "no certificate".into(), "s.custom_ca_pem");
        check_refused(|s| s.provider = "gmial".into(), "s.provider");
        check_refused(|s| s.tls = Some(v1::TlsOptions { version_min: 9, ..Default::default() }), "s.tls.version_min");
        check_refused(|s| s.proxy = Some(v1::Proxy { kind: 1, ..Default::default() }), "s.proxy.host");
        let timeouts = v1::Timeouts::default;
        check_refused(|s| s.timeouts = Some(v1::Timeouts { connect: seconds(0), ..timeouts() }), "s.timeouts.connect");
        check_refused(
            |s| s.timeouts = Some(v1::Timeouts { end_of_data: seconds(3_601), ..timeouts() }),
            "s.timeouts.end_of_data",
        );
    }
}
