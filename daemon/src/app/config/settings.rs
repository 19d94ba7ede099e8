//! Every key of the configuration.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    places::Places,
    setting::{
        Default, Setting, ehlo_name, log_filter, log_format, mode, path, scanner_place, socket_address, socket_path,
        whole_within,
    },
};
use crate::{
    domain::account::EhloName,
    platform::logging::{LogFilter, LogFormat},
    wire::clamd::ScannerPlace,
};

pub(super) const STORE_PATH: Setting<PathBuf> = Setting {
    key: "store.path",
    doc: "Folder of the queue. One daemon at a time; on a local disk, not on a network file system.",
    default: Default::Place(Places::store),
    parse: path,
};

pub(super) const STORE_CACHE_BYTES: Setting<u64> = Setting {
    key: "store.cache_bytes",
    doc: "Memory for the store's cache; the store needs about as much again. The queue may be larger by any amount.",
    default: Default::Value("134217728"),
    parse: whole_within::<1_048_576, 1_099_511_627_776>,
};

pub(super) const STORE_KEEP_FINISHED_DAYS: Setting<u64> = Setting {
    key: "store.keep_finished_days",
    doc: "How long finished jobs and events are kept, in days.",
    default: Default::Value("30"),
    parse: whole_within::<1, 3_650>,
};

pub(super) const STORE_OPEN_JOBS_MAX: Setting<u64> = Setting {
    key: "store.open_jobs_per_account_max",
    doc: "Most unfinished jobs of one account; more are refused.",
    default: Default::Value("1000000"),
    parse: whole_within::<1, 100_000_000>,
};

pub(super) const STORE_INTAKE_FREE_BYTES_MIN: Setting<u64> = Setting {
    key: "store.intake_free_bytes_min",
    doc: "Free bytes on the disk below which no job is accepted. Not set: a tenth of the disk, at least 1 GiB.",
    default: Default::Absent("1073741824"),
    parse: whole_within::<0, 1_099_511_627_776>,
};

pub(super) const STORE_WORK_FREE_BYTES_MIN: Setting<u64> = Setting {
    key: "store.work_free_bytes_min",
    doc: "Free bytes on the disk below which the ballast is given up, so that what was sent can still be recorded.",
    default: Default::Value("268435456"),
    parse: whole_within::<0, 1_099_511_627_776>,
};

pub(super) const STORE_BALLAST_BYTES: Setting<u64> = Setting {
    key: "store.ballast_bytes",
    doc: "Size of the ballast, a file that only takes room; 0 for none.",
    default: Default::Value("67108864"),
    parse: whole_within::<0, 1_099_511_627_776>,
};

pub(super) const STORE_UPLOADS_PER_CALLER_MAX: Setting<u64> = Setting {
    key: "store.uploads_per_caller_max",
    doc: "Most files that one caller may have begun to upload; what is not gone on with is forgotten after 24 hours.",
    default: Default::Value("16"),
    parse: whole_within::<1, 100_000>,
};

pub(super) const STORE_UPLOADS_MAX: Setting<u64> = Setting {
    key: "store.uploads_max",
    doc: "The same over all callers.",
    default: Default::Value("256"),
    parse: whole_within::<1, 100_000>,
};

pub(super) const STORE_UPLOAD_BYTES_PER_CALLER_MAX: Setting<u64> = Setting {
    key: "store.upload_bytes_per_caller_max",
    doc: "\
Most bytes that one caller may have uploaded in the last 24 hours, each file once; one counts as 65536 at least.
What jobs use they keep, whatever is forgotten here.",
    default: Default::Value("4294967296"),
    parse: whole_within::<1_048_576, 1_099_511_627_776>,
};

pub(super) const STORE_UPLOAD_BYTES_MAX: Setting<u64> = Setting {
    key: "store.upload_bytes_max",
    doc: "The same over all callers.",
    default: Default::Value("17179869184"),
    parse: whole_within::<1_048_576, 1_099_511_627_776>,
};

pub(super) const SEAL_KEY_FILE: Setting<PathBuf> = Setting {
    key: "seal.key_file",
    doc: "\
Seals the accounts' passwords in the store. Made at the first start when absent. Who has this file and the store has the
passwords; without it they are lost: keep a copy, but not beside the store's copies.",
    default: Default::Place(Places::seal_key),
    parse: path,
};

pub(super) const UNIX_PATH: Setting<PathBuf> = Setting {
    key: "listen.unix.path",
    doc: "Socket for programs on this machine.",
    default: Default::Place(Places::socket),
    parse: socket_path,
};

pub(super) const UNIX_MODE: Setting<u32> = Setting {
    key: "listen.unix.mode",
    doc: "Who may use the socket, as the mode of a file. Who may needs no API key.",
    default: Default::Value("\"0660\""),
    parse: mode,
};

pub(super) const TCP_ADDRESS: Setting<SocketAddr> = Setting {
    key: "listen.tcp.address",
    doc: "\
Address and port for gRPC over TCP. Not set: no TCP. Beyond loopback it needs the two TLS files and access.api_key_file.",
    default: Default::Absent("\"127.0.0.1:7725\""),
    parse: socket_address,
};

pub(super) const TCP_TLS_CERTIFICATE: Setting<PathBuf> = Setting {
    key: "listen.tcp.tls_certificate",
    doc: "The TLS certificate with its chain, as PEM.",
    default: Default::Absent("\"/etc/hikyaku/tls.crt\""),
    parse: path,
};

pub(super) const TCP_TLS_KEY: Setting<PathBuf> = Setting {
    key: "listen.tcp.tls_key",
    doc: "The key of the TLS certificate, as PEM. Others must not be able to read it.",
    default: Default::Absent("\"/etc/hikyaku/tls.key\""),
    parse: path,
};

pub(super) const ACCESS_API_KEY_FILE: Setting<PathBuf> = Setting {
    key: "access.api_key_file",
    doc: "\
Who may call over TCP, one key a line, as `hikyakud api-key new NAME` prints it; with `--admin`, for somebody
who sees and uses the personal accounts of all. Others must not be able to read it.
Not set: everybody on this machine.",
    default: Default::Absent("\"/etc/hikyaku/api-keys\""),
    parse: path,
};

pub(super) const DELIVERY_CONNECTIONS_MAX: Setting<u64> = Setting {
    key: "delivery.connections_max",
    doc: "Most connections to providers at once, over all accounts.",
    default: Default::Value("200"),
    parse: whole_within::<1, 10_000>,
};

pub(super) const DELIVERY_GRACE_SECONDS: Setting<u64> = Setting {
    key: "delivery.shutdown_grace_seconds",
    doc: "\
On SIGTERM, how long mail in flight may take to be settled. The supervisor has to wait longer than this before it kills:
TimeoutStopSec in the systemd unit, terminationGracePeriodSeconds in Kubernetes.",
    default: Default::Value("30"),
    parse: whole_within::<0, 3_600>,
};

pub(super) const DELIVERY_HOST_NAME: Setting<EhloName> = Setting {
    key: "delivery.host_name",
    doc: "The name given to providers in EHLO by accounts that set none. Not set: this host's name.",
    default: Default::Absent("\"mail.example.jp\""),
    parse: ehlo_name,
};

pub(super) const INBOUND_FOLDER: Setting<PathBuf> = Setting {
    key: "inbound.folder",
    doc: "\
Folder below which accounts archive the mail that comes into their mailboxes, and save its attachments. It is made
when it is needed.",
    default: Default::Place(Places::inbound),
    parse: path,
};

pub(super) const INBOUND_READING_MAX: Setting<u64> = Setting {
    key: "inbound.mailboxes_at_once_max",
    doc: "Most mailboxes that are read at once, over all accounts. Each may hold the largest mail that its account allows.",
    default: Default::Value("16"),
    parse: whole_within::<1, 1_000>,
};

pub(super) const DNS_SERVER: Setting<SocketAddr> = Setting {
    key: "dns.server",
    doc: "Name server, address and port, that is asked to propose settings and to check DKIM keys. Not set: the system's.",
    default: Default::Absent("\"127.0.0.1:53\""),
    parse: socket_address,
};

pub(super) const VIRUS_SCAN_CLAMD: Setting<ScannerPlace> = Setting {
    key: "virus_scan.clamd",
    doc: "\
Where ClamAV's clamd listens, for accounts that want files scanned before a job is taken: \"unix:\" and a path, or \"tcp:\",
a host and a port. Files go there in the clear. Its StreamMaxLength bounds them. Not set: no scanner.",
    default: Default::Absent("\"unix:/run/clamav/clamd.ctl\""),
    parse: scanner_place,
};

pub(super) const VIRUS_SCAN_TIMEOUT_SECONDS: Setting<u64> = Setting {
    key: "virus_scan.timeout_seconds",
    doc: "Longest scan of one file, in seconds, the wait for its turn included.",
    default: Default::Value("60"),
    parse: whole_within::<1, 300>,
};

pub(super) const VIRUS_SCAN_SCANS_MAX: Setting<u64> = Setting {
    key: "virus_scan.scans_max",
    doc: "Most files that are scanned at once; clamd's MaxThreads should allow as many.",
    default: Default::Value("8"),
    parse: whole_within::<1, 1_000>,
};

pub(super) const LOG_FORMAT: Setting<LogFormat> = Setting {
    key: "log.format",
    doc: "\"pretty\" for people, \"json\" for collectors.",
    default: Default::Value("\"pretty\""),
    parse: log_format,
};

pub(super) const LOG_FILTER: Setting<LogFilter> = Setting {
    key: "log.filter",
    doc: "Level for all, or by module: \"info,hikyaku_daemon::delivery=debug\".",
    default: Default::Value("\"info\""),
    parse: log_filter,
};

/// A setting without the type of its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) doc: &'static str,
    pub(super) default: &'static Default,
}

impl<T> Setting<T> {
    const fn entry(&'static self) -> Entry {
        Entry { key: self.key, doc: self.doc, default: &self.default }
    }
}

/// All settings in the order of the manual; those of one section stand together.
pub(super) const ALL: &[Entry] = &[
    STORE_PATH.entry(),
    STORE_CACHE_BYTES.entry(),
    STORE_KEEP_FINISHED_DAYS.entry(),
    STORE_OPEN_JOBS_MAX.entry(),
    STORE_INTAKE_FREE_BYTES_MIN.entry(),
    STORE_WORK_FREE_BYTES_MIN.entry(),
    STORE_BALLAST_BYTES.entry(),
    STORE_UPLOADS_PER_CALLER_MAX.entry(),
    STORE_UPLOADS_MAX.entry(),
    STORE_UPLOAD_BYTES_PER_CALLER_MAX.entry(),
    STORE_UPLOAD_BYTES_MAX.entry(),
    SEAL_KEY_FILE.entry(),
    UNIX_PATH.entry(),
    UNIX_MODE.entry(),
    TCP_ADDRESS.entry(),
    TCP_TLS_CERTIFICATE.entry(),
    TCP_TLS_KEY.entry(),
    ACCESS_API_KEY_FILE.entry(),
    DELIVERY_CONNECTIONS_MAX.entry(),
    DELIVERY_GRACE_SECONDS.entry(),
    DELIVERY_HOST_NAME.entry(),
    INBOUND_FOLDER.entry(),
    INBOUND_READING_MAX.entry(),
    DNS_SERVER.entry(),
    VIRUS_SCAN_CLAMD.entry(),
    VIRUS_SCAN_TIMEOUT_SECONDS.entry(),
    VIRUS_SCAN_SCANS_MAX.entry(),
    LOG_FORMAT.entry(),
    LOG_FILTER.entry(),
];
