//! What the operator chose: one TOML file and the environment, checked as a whole before anything is opened.

mod checks;
mod manual;
mod mistake;
mod places;
mod reading;
mod setting;
mod settings;

use std::{fs, net::SocketAddr, path::Path, path::PathBuf, time::Duration};

use tonic::transport::ServerTlsConfig;

use self::reading::Reader;
pub use self::{
    manual::defaults,
    mistake::{Mistake, Mistakes},
    places::Environment,
};
use crate::{
    domain::account::EhloName,
    platform::logging::{LogFilter, LogFormat},
    service::api_keys::ApiKeys,
    storage::UploadLimits,
    wire::clamd::ScannerPlace,
};

/// A configuration without a mistake: numbers are within bounds, files that must be there could be read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The queue on disk.
    pub store: Store,
    /// The file with the key that seals secrets; made at the first start.
    pub seal_key_file: PathBuf,
    /// The socket of programs on this machine.
    pub unix: UnixListen,
    /// gRPC over TCP, if it is wanted.
    pub tcp: Option<TcpListen>,
    /// Who may call over TCP; nothing when everybody on this machine may.
    pub api_keys: Option<ApiKeys>,
    /// How mail is sent.
    pub delivery: Delivery,
    /// How mailboxes are read.
    pub inbound: Inbound,
    /// The name server that is asked for mail records; nothing for the system's.
    pub dns_server: Option<SocketAddr>,
    /// Where files are scanned for viruses, if they are.
    pub virus_scan: Option<VirusScan>,
    /// What is logged.
    pub log: Log,
}

/// The queue on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its folder.
    pub path: PathBuf,
    /// Memory for its cache.
    pub cache_bytes: u64,
    /// How long finished jobs and events are kept.
    pub keep_finished: Duration,
    /// Most open jobs of one account.
    pub open_jobs_per_account_max: u64,
    /// Free bytes on the disk below which no job is accepted; nothing for the engine's own rule.
    pub intake_free_bytes_min: Option<u64>,
    /// Free bytes on the disk below which the ballast is given up.
    pub work_free_bytes_min: u64,
    /// Size of the ballast.
    pub ballast_bytes: u64,
    /// How much callers may upload.
    pub uploads: UploadLimits,
}

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixListen {
    /// Where it is.
    pub path: PathBuf,
    /// The mode of its file.
    pub mode: u32,
}

/// A TCP listener. Beyond loopback it has TLS, and there is a file of API keys.
#[derive(Clone, Debug)]
pub struct TcpListen {
    /// Its address; port 0 for any that is free.
    pub address: SocketAddr,
    /// Its certificate and key, if it speaks TLS.
    pub tls: Option<Tls>,
}

/// A certificate with its key, both proven to be usable.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where the certificate was read.
    pub certificate: PathBuf,
    /// What a listener needs.
    pub server: ServerTlsConfig,
}

/// How mail is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Most connections to providers at once.
    pub connections_max: usize,
    /// How long mail in flight may take to be settled at the end.
    pub shutdown_grace: Duration,
    /// The name in EHLO; nothing for this host's.
    pub host_name: Option<EhloName>,
}

/// How mailboxes are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Below it lie the folders of accounts that archive mail or save attachments.
    pub folder: PathBuf,
    /// Most mailboxes that are read at once.
    pub reading_max: usize,
}

/// A virus scanner, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirusScan {
    /// Where clamd listens.
    pub place: ScannerPlace,
    /// How long one file may take, the wait for its turn included.
    pub limit: Duration,
    /// Most files that are scanned at once.
    pub scans_max: usize,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// In which form.
    pub format: LogFormat,
    /// Which lines.
    pub filter: LogFilter,
}

impl Config {
    /// Reads the file at `path`, or no file, and the environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, Mistakes> {
        let text = match path.map(fs::read_to_string) {
            None => Ok(String::new()),
            Some(Ok(text)) => Ok(text),
            Some(Err(error)) => Err(error),
        };
        match text {
            Ok(text) => Self::read(&text, environment).map_err(|mistakes| mistakes.of_file(path)),
            Err(error) => {
                let place = path.unwrap_or(Path::new("file")).display().to_string();
                Err(Mistakes::one(Mistake::new(place, format!("cannot be read: {error}"))))
            }
        }
    }

    /// Reads a file's text and the environment. The files that it names are looked at, none is made.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(text: &str, environment: &Environment) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(text, environment);
        let config = Self {
            store: store(&mut reader),
            seal_key_file: checks::seal_key_file(&mut reader),
            unix: UnixListen { path: reader.value(&settings::UNIX_PATH), mode: reader.value(&settings::UNIX_MODE) },
            api_keys: checks::api_keys(&mut reader),
            tcp: checks::tcp(&mut reader),
            delivery: delivery(&mut reader),
            inbound: inbound(&mut reader),
            dns_server: reader.optional(&settings::DNS_SERVER),
            virus_scan: virus_scan(&mut reader),
            log: Log { format: reader.value(&settings::LOG_FORMAT), filter: reader.value(&settings::LOG_FILTER) },
        };
        match reader.finish() {
            None => Ok(config),
            Some(mistakes) => Err(mistakes),
        }
    }
}

fn store(reader: &mut Reader) -> Store {
    Store {
        path: reader.value(&settings::STORE_PATH),
        cache_bytes: reader.value(&settings::STORE_CACHE_BYTES),
        keep_finished: Duration::from_secs(reader.value(&settings::STORE_KEEP_FINISHED_DAYS) * SECONDS_PER_DAY),
        open_jobs_per_account_max: reader.value(&settings::STORE_OPEN_JOBS_MAX),
        intake_free_bytes_min: reader.optional(&settings::STORE_INTAKE_FREE_BYTES_MIN),
        work_free_bytes_min: reader.value(&settings::STORE_WORK_FREE_BYTES_MIN),
        ballast_bytes: reader.value(&settings::STORE_BALLAST_BYTES),
        uploads: uploads(reader),
    }
}

fn uploads(reader: &mut Reader) -> UploadLimits {
    let mut count = |setting| usize::try_from(reader.value(setting)).unwrap_or(usize::MAX);
    let uploads_per_caller_max = count(&settings::STORE_UPLOADS_PER_CALLER_MAX);
    let uploads_max = count(&settings::STORE_UPLOADS_MAX);
    UploadLimits {
        uploads_per_caller_max,
        uploads_max,
        bytes_per_caller_max: reader.value(&settings::STORE_UPLOAD_BYTES_PER_CALLER_MAX),
        bytes_max: reader.value(&settings::STORE_UPLOAD_BYTES_MAX),
    }
}

const SECONDS_PER_DAY: u64 = 24 * 3_600;

fn delivery(reader: &mut Reader) -> Delivery {
    let connections = reader.value(&settings::DELIVERY_CONNECTIONS_MAX);
    Delivery {
        connections_max: usize::try_from(connections).unwrap_or(usize::MAX),
        shutdown_grace: Duration::from_secs(reader.value(&settings::DELIVERY_GRACE_SECONDS)),
        host_name: reader.optional(&settings::DELIVERY_HOST_NAME),
    }
}

fn inbound(reader: &mut Reader) -> Inbound {
    let reading = reader.value(&settings::INBOUND_READING_MAX);
    Inbound {
        folder: reader.value(&settings::INBOUND_FOLDER),
        reading_max: usize::try_from(reading).unwrap_or(usize::MAX),
    }
}

fn virus_scan(reader: &mut Reader) -> Option<VirusScan> {
    let limit = Duration::from_secs(reader.value(&settings::VIRUS_SCAN_TIMEOUT_SECONDS));
    let scans_max = usize::try_from(reader.value(&settings::VIRUS_SCAN_SCANS_MAX)).unwrap_or(usize::MAX);
    let place = reader.optional(&settings::VIRUS_SCAN_CLAMD)?;
    Some(VirusScan { place, limit, scans_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_a_configuration() {
        let config = Config::read("", &Environment::new()).expect("no mistake");
        assert!(config.tcp.is_none() && config.api_keys.is_none());
        assert_eq!(config.store.path, Path::new("/var/lib/hikyaku/store"));
        assert_eq!(config.unix.mode, 0o660);
    }

    #[test]
    fn the_manual_is_a_file_that_changes_nothing() {
        let environment = Environment::from([("HOME".to_owned(), "/home/a \"b\"".to_owned())]);
        let explained = Config::read(&defaults(&environment), &environment).expect("no mistake");
        let silent = Config::read("", &environment).expect("no mistake");
        assert_eq!(format!("{explained:?}"), format!("{silent:?}"));
    }

    #[track_caller]
    fn check_variable(name: &str, value: &str, expected: Result<&str, &str>) {
        let file = "[log]\nfilter = 'warn'\n[listen]\ntcp = { address = '127.0.0.1:1' }";
        let environment = Environment::from([(name.to_owned(), value.to_owned())]);
        let outcome = Config::read(file, &environment);
        match (outcome, expected) {
            (Ok(config), Ok(shown)) => {
                let tcp = config.tcp.map(|tcp| tcp.address.to_string()).unwrap_or_default();
                assert_eq!(format!("{} {tcp}", config.log.filter.as_str()), shown);
            }
            (Err(mistakes), Err(shown)) => assert_eq!(mistakes.as_slice()[0].to_string(), shown),
            (outcome, _) => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        check_variable("HIKYAKU__LOG__FILTER", "debug", Ok("debug 127.0.0.1:1"));
        check_variable("HIKYAKU__LISTEN__TCP__ADDRESS", "127.0.0.1:2", Ok("warn 127.0.0.1:2"));
        check_variable("HIKYAKU__LISTEN__TCP__ADDRESS", "", Ok("warn "));
        check_variable("HIKYAKU_ADDRESS", "unix:/x", Ok("warn 127.0.0.1:1"));
        check_variable(
            "HIKYAKU__LOG__FORMAT",
            "xml",
            Err("log.format (by HIKYAKU__LOG__FORMAT): must be \"pretty\" or \"json\", not \"xml\""),
        );
        check_variable(
            "HIKYAKU__LOG__LEVEL",
            "info",
            Err("HIKYAKU__LOG__LEVEL: there is no key log.level; `hikyakud config --defaults` lists all"),
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Config::load(Some(Path::new("/nowhere/x.toml")), &Environment::new()).expect_err("no file");
        assert!(error.to_string().contains("/nowhere/x.toml: cannot be read: "), "{error}");
    }
}
