//! What no single value shows: files that others could read, and who could reach a listener.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tonic::transport::{Identity, Server, ServerTlsConfig};

use super::{
    TcpListen, Tls,
    reading::Reader,
    setting::Setting,
    settings::{ACCESS_API_KEY_FILE, SEAL_KEY_FILE, TCP_ADDRESS, TCP_TLS_CERTIFICATE, TCP_TLS_KEY},
};
use crate::service::api_keys::ApiKeys;

/// Longest TLS handshake, in seconds.
const HANDSHAKE_SECONDS_MAX: u64 = 10;

/// The file of the sealing key; it may be absent, but not open to others.
pub(super) fn seal_key_file(reader: &mut Reader) -> PathBuf {
    let path = reader.value(&SEAL_KEY_FILE);
    if path.exists() {
        check_secret(reader, &SEAL_KEY_FILE, &path);
    }
    path
}

/// The API keys; the file must be readable when it is named, and not open to others.
pub(super) fn api_keys(reader: &mut Reader) -> Option<ApiKeys> {
    let path = reader.optional(&ACCESS_API_KEY_FILE)?;
    if !check_secret(reader, &ACCESS_API_KEY_FILE, &path) {
        return None;
    }
    let bytes = read(reader, &ACCESS_API_KEY_FILE, &path)?;
    match ApiKeys::parse(&String::from_utf8_lossy(&bytes)) {
        Ok(keys) => Some(keys),
        Err(mistakes) => {
            for mistake in mistakes {
                reader.blame(&ACCESS_API_KEY_FILE, format!("{}: {mistake}", path.display()));
            }
            None
        }
    }
}

/// The TCP listener, if there is one.
pub(super) fn tcp(reader: &mut Reader) -> Option<TcpListen> {
    let address = reader.optional(&TCP_ADDRESS);
    let tls = tls(reader);
    if !reader.has(&TCP_ADDRESS) && (reader.has(&TCP_TLS_CERTIFICATE) || reader.has(&TCP_TLS_KEY)) {
        reader.blame(&TCP_ADDRESS, "is missing, although there is a TLS certificate or key for it");
    }
    let address = address?;
    if !address.ip().is_loopback() {
        check_exposure(reader, address);
    }
    Some(TcpListen { address, tls })
}

/// Beyond loopback anybody may come: no password may cross in the clear, and nobody may call without a key.
fn check_exposure(reader: &mut Reader, address: SocketAddr) {
    let needed = [
        (reader.has(&TCP_TLS_CERTIFICATE), TCP_TLS_CERTIFICATE.key),
        (reader.has(&TCP_TLS_KEY), TCP_TLS_KEY.key),
        (reader.has(&ACCESS_API_KEY_FILE), ACCESS_API_KEY_FILE.key),
    ];
    let missing: Vec<&str> = needed.into_iter().filter_map(|(given, key)| (!given).then_some(key)).collect();
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        reader.blame(
            &TCP_ADDRESS,
            format!("{address} can be reached from other machines: set {missing}, or listen on 127.0.0.1"),
        );
    }
}

fn tls(reader: &mut Reader) -> Option<Tls> {
    let certificate = reader.optional(&TCP_TLS_CERTIFICATE);
    let key = reader.optional(&TCP_TLS_KEY);
    for (own, other) in [(&TCP_TLS_CERTIFICATE, &TCP_TLS_KEY), (&TCP_TLS_KEY, &TCP_TLS_CERTIFICATE)] {
        if reader.has(own) && !reader.has(other) {
            reader.blame(other, format!("is missing, although {} is set", own.key));
        }
    }
    let certificate_pem = certificate.as_ref().and_then(|path| read(reader, &TCP_TLS_CERTIFICATE, path));
    let key_pem = key.filter(|path| check_secret(reader, &TCP_TLS_KEY, path));
    let key_pem = key_pem.and_then(|path| read(reader, &TCP_TLS_KEY, &path));
    let server = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate_pem?, key_pem?))
        .timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX));
    match Server::builder().tls_config(server.clone()) {
        Ok(_) => Some(Tls { certificate: certificate?, server }),
        Err(error) => {
            let wrong = format!("does not work with its key: {:#}", anyhow::Error::from(error));
            reader.blame(&TCP_TLS_CERTIFICATE, wrong);
            None
        }
    }
}

/// Whether a file with a secret is there and closed to others. Its group may read it: so it is when Kubernetes or systemd
/// hands a secret over.
fn check_secret(reader: &mut Reader, setting: &Setting<PathBuf>, path: &Path) -> bool {
    let wrong = match fs::metadata(path) {
        Ok(facts) if facts.is_file() => {
            let mode = facts.permissions().mode() & 0o777;
            let is_open = mode & 0o037 != 0;
            is_open.then(|| format!("{} is open to others (mode {mode:04o}): chmod 0600", path.display()))
        }
        Ok(_) => Some(format!("{} is not a file", path.display())),
        Err(error) => Some(unreadable(path, &error)),
    };
    let is_good = wrong.is_none();
    if let Some(wrong) = wrong {
        reader.blame(setting, wrong);
    }
    is_good
}

fn read(reader: &mut Reader, setting: &Setting<PathBuf>, path: &Path) -> Option<Vec<u8>> {
    fs::read(path).map_err(|error| reader.blame(setting, unreadable(path, &error))).ok()
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
