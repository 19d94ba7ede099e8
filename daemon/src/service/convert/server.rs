//! The server of an account on the wire: host, port, encryption, names and timeouts.

use std::{num::NonZeroU16, ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    values::{from_duration, parse, to_duration},
    violations::Violations,
};
use crate::domain::account::{EhloName, Encryption, Host, ProviderKind, Server, Timeouts, TlsOptions};

/// Longest custom CA in PEM, in bytes.
const CUSTOM_CA_BYTES_MAX: usize = 64 * 1_024;
const TIMEOUT_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
const PORT_TLS: u16 = 465;
const PORT_SUBMISSION: u16 = 587;
const PORT_SMTP: u16 = 25;

/// A server on the wire.
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
        tls: None,
        proxy: None,
    }
}

/// A server that a caller sent.
pub(in crate::service) fn to_server(
    server: Option<v1::Server>,
    at: &str,
    violations: &mut Violations,
) -> Option<Server> {
    let Some(wire) = server else {
        violations.add(at, "is required");
        return None;
    };
    let host = parse::<Host>(&wire.host, format_args!("{at}.host"), violations);
    let endpoint = to_endpoint(&wire, at, violations);
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
    let (port, encryption) = endpoint?;
    Some(Server {
        host: host?,
        port,
        encryption,
        ehlo_name: ehlo_name?,
        custom_ca_pem: custom_ca_pem?,
        provider: provider?,
        timeouts: timeouts?,
        tls: TlsOptions::default(),
        proxy: None,
    })
}

/// Port and encryption: each follows the other where it is unset.
fn to_endpoint(wire: &v1::Server, at: &str, violations: &mut Violations) -> Option<(NonZeroU16, Encryption)> {
    let given_port = match u16::try_from(wire.port) {
        Ok(port) => Some(NonZeroU16::new(port)),
        Err(_) => {
            violations.add(format_args!("{at}.port"), "must be from 1 to 65535");
            None
        }
    };
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
    let encryption = given_encryption.unwrap_or(match given_port.map(NonZeroU16::get) {
        Some(PORT_TLS) => Encryption::Tls,
        Some(PORT_SMTP) => Encryption::None,
        _ => Encryption::StartTls,
    });
    let usual_port = match encryption {
        Encryption::None => PORT_SMTP,
        Encryption::StartTls => PORT_SUBMISSION,
        Encryption::Tls => PORT_TLS,
    };
    Some((given_port.or(NonZeroU16::new(usual_port))?, encryption))
}

fn to_custom_ca(pem: String, at: &str, violations: &mut Violations) -> Option<Option<String>> {
    if pem.is_empty() {
        return Some(None);
    }
    let field = format!("{at}.custom_ca_pem");
    if pem.len() > CUSTOM_CA_BYTES_MAX {
        violations.add(field, format_args!("is longer than {CUSTOM_CA_BYTES_MAX} bytes"));
        return None;
    }
    if let Err(reason) = check_certificates(&pem) {
        violations.add(field, reason);
        return None;
    }
    Some(Some(pem))
}

/// Whether a text holds at least one certificate that can be trusted, and nothing that is broken.
fn check_certificates(pem: &str) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let certificate = certificate.map_err(|error| format!("is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("certificate {} cannot be used: {error}", index + 1))?;
    }
    if roots.is_empty() { Err("holds no certificate in PEM".to_owned()) } else { Ok(()) }
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
    fn check_endpoint(port: u32, encryption: v1::Encryption, expected: (u16, Encryption)) {
        let mut violations = Violations::default();
        let server =
            to_server(Some(v1::Server { port, encryption: encryption.into(), ..wire() }), "s", &mut violations);
        let server = violations.finish(server).expect("a good server");
        assert_eq!((server.port.get(), server.encryption), expected, "{port} {encryption:?}");
    }

    #[test]
    fn port_and_encryption_follow_each_other() {
        use v1::Encryption as Wire;
        check_endpoint(0, Wire::Unspecified, (587, Encryption::StartTls));
        check_endpoint(0, Wire::Tls, (465, Encryption::Tls));
        check_endpoint(0, Wire::Starttls, (587, Encryption::StartTls));
        check_endpoint(0, Wire::None, (25, Encryption::None));
        check_endpoint(465, Wire::Unspecified, (465, Encryption::Tls));
        check_endpoint(25, Wire::Unspecified, (25, Encryption::None));
        check_endpoint(587, Wire::Unspecified, (587, Encryption::StartTls));
        check_endpoint(2525, Wire::Unspecified, (2525, Encryption::StartTls));
        check_endpoint(25, Wire::Tls, (25, Encryption::Tls));
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut v1::Server), field: &str) {
        let mut server = wire();
        change(&mut server);
        let mut violations = Violations::default();
        let made = to_server(Some(server), "s", &mut violations);
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
        check_refused(|s| s.custom_ca_pem = "x".repeat(CUSTOM_CA_BYTES_MAX + 1), "s.custom_ca_pem");
        check_refused(|s| s.provider = "gmial".into(), "s.provider");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check_refused(|s| s.custom_ca_pem = broken.into(), "s.custom_ca_pem");
        check_refused(
            |s| s.timeouts = Some(v1::Timeouts { connect: seconds(0), ..v1::Timeouts::default() }),
            "s.timeouts.connect",
        );
        check_refused(
            |s| s.timeouts = Some(v1::Timeouts { end_of_data: seconds(3_601), ..v1::Timeouts::default() }),
            "s.timeouts.end_of_data",
        );
    }

    #[test]
    fn a_real_certificate_is_accepted() {
        let key = rcgen::generate_simple_self_signed(["ca.example.jp".to_owned()]).expect("a certificate");
        assert_eq!(check_certificates(&key.cert.pem()), Ok(()));
    }
}
