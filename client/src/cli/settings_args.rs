//! The settings of an account as options.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use hikyaku_client::proto::{Proxy, QuietWindow, Quota, Reserve};

use super::{
    duration_text::parse_duration,
    pair_text::{Phase, parse_timeout},
    proxy_text::parse_proxy,
    quiet_text::parse_quiet,
    quota_text::{parse_batch, parse_pace, parse_quota, parse_reserve},
};

/// The settings of an account, all of them optional.
#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct SettingsArgs {
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    pub(crate) display_name: Option<String>,
    /// Who its mail is from: ADDRESS or 'Taro <taro@example.jp>'
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) from: Option<String>,
    /// The name before the From address
    #[arg(long, value_name = "NAME")]
    pub(crate) from_name: Option<String>,
    /// A further From address, or all of a domain as @example.jp; repeatable
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) may_send_as: Vec<String>,
    /// Where answers go
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) reply_to: Option<String>,
    /// A word to find it by; repeatable
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: Vec<String>,
    /// The only caller, besides admins, who may see and use it: a personal account
    #[arg(long, value_name = "CALLER")]
    pub(crate) owner: Option<String>,
    /// Leave it out of lists that ask for listed accounts only
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) unlisted: Option<bool>,
    /// A further recipient in Cc of every job; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) default_cc: Vec<String>,
    /// A further recipient in no header of every job; repeatable
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) default_bcc: Vec<String>,
    /// File with what stands under every plain text
    #[arg(long, value_name = "FILE")]
    pub(crate) signature_file: Option<PathBuf>,
    /// File with what stands under every HTML
    #[arg(long, value_name = "FILE")]
    pub(crate) signature_html_file: Option<PathBuf>,
    /// When mail had better not be sent, such as 'mon-fri 22:00-07:00 Asia/Tokyo defer'; warn and reject are the other
    /// rules; repeatable
    #[arg(long, value_name = "WINDOW", value_parser = parse_quiet)]
    pub(crate) quiet: Vec<QuietWindow>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Name or IP address of the server that takes its mail
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// TCP port; it follows the encryption when not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// How the connection is encrypted; it follows the port when not given
    #[arg(long)]
    pub(crate) encryption: Option<EncryptionName>,
    /// Name given in EHLO
    #[arg(long, value_name = "NAME")]
    pub(crate) ehlo_name: Option<String>,
    /// Certificate authority in PEM to trust for this server
    #[arg(long, value_name = "FILE")]
    pub(crate) custom_ca: Option<PathBuf>,
    /// The provider whose habits to expect, such as gmail
    #[arg(long, value_name = "KIND")]
    pub(crate) provider: Option<String>,
    /// The lowest version of TLS that is spoken
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_min: Option<TlsVersionName>,
    /// The name that the server's certificate must be for, where that is not the host
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_name: Option<String>,
    /// File with the certificate by which we sign in to the server, in PEM
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
    /// File with its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// The proxy through which the server is reached: `socks5://[USER@]HOST[:PORT]` or `http://[USER@]HOST[:PORT]`
    #[arg(long, value_parser = parse_proxy)]
    pub(crate) proxy: Option<Proxy>,
    /// File whose first line is the proxy's password
    #[arg(long, value_name = "FILE", requires = "proxy")]
    pub(crate) proxy_password_file: Option<PathBuf>,
    /// How long a phase may take, such as connect=10s; also greeting, command, data, end-of-data
    #[arg(long, value_name = "PHASE=LENGTH", value_parser = parse_timeout)]
    pub(crate) timeout: Vec<(Phase, Duration)>,
}

#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "Sign-in")]
pub(crate) struct SignInArgs {
    /// Name to sign in with
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE", group = "password")]
    pub(crate) password_file: Option<PathBuf>,
    /// Environment variable that holds the password
    #[arg(long, value_name = "VARIABLE", group = "password")]
    pub(crate) password_env: Option<String>,
    /// Read the password from the first line of stdin
    #[arg(long, group = "password")]
    pub(crate) password_stdin: bool,
    /// How the password is presented; what the server offers when not given
    #[arg(long)]
    pub(crate) mechanism: Option<MechanismName>,
    /// Let the password cross an unencrypted connection
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) allow_plaintext: Option<bool>,
}

#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// 7/10s, 20/minute, or recipients:500/day@Asia/Tokyo for the calendar of a zone; repeatable
    #[arg(long, value_parser = parse_quota)]
    pub(crate) quota: Vec<Quota>,
    /// Shortest time from one send to the next, such as 500ms
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration)]
    pub(crate) interval: Option<Duration>,
    /// A steady pace, such as 30/min or 2/s
    #[arg(long, value_parser = parse_pace)]
    pub(crate) pace: Option<u32>,
    /// Messages that may go at once after a rest
    #[arg(long, value_name = "N", requires = "pace")]
    pub(crate) pace_burst: Option<u32>,
    /// A pause after each batch, such as 50/30s
    #[arg(long, value_name = "N/PAUSE", value_parser = parse_batch)]
    pub(crate) batch: Option<(u32, Duration)>,
    /// Most connections at once
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<u32>,
    /// Messages after which a connection is closed
    #[arg(long, value_name = "N")]
    pub(crate) messages_per_connection: Option<u32>,
    /// Percent of every quota to leave to people who send by hand; 0 for none
    #[arg(long, value_name = "PERCENT")]
    pub(crate) reserve_for_humans: Option<u32>,
    /// Percent of every quota to keep for a priority and those more urgent, such as high=20; repeatable
    #[arg(long, value_name = "PRIORITY=PERCENT", value_parser = parse_reserve)]
    pub(crate) reserve: Vec<Reserve>,
    /// Largest message in bytes
    #[arg(long, value_name = "BYTES")]
    pub(crate) message_bytes_max: Option<u64>,
    /// Most recipients of one job
    #[arg(long, value_name = "N")]
    pub(crate) recipients_max: Option<u32>,
    /// What becomes of a job that the quotas do not let go at once
    #[arg(long, value_name = "POLICY")]
    pub(crate) over_quota: Option<OverQuotaName>,
}

#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "Retry")]
pub(crate) struct RetryArgs {
    /// Wait after the first deferral
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration)]
    pub(crate) retry_first: Option<Duration>,
    /// By how much each wait is longer than the one before
    #[arg(long, value_name = "FACTOR")]
    pub(crate) retry_multiplier: Option<f64>,
    /// Longest wait
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration)]
    pub(crate) retry_max: Option<Duration>,
    /// How far a wait may differ at random, as a share of it
    #[arg(long, value_name = "SHARE")]
    pub(crate) retry_jitter: Option<f64>,
    /// How long after its first attempt a recipient may still be tried
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration)]
    pub(crate) retry_give_up: Option<Duration>,
    /// What becomes of a message that may or may not have been taken
    #[arg(long, value_name = "POLICY")]
    pub(crate) in_doubt: Option<InDoubtName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EncryptionName {
    /// In the clear
    None,
    /// In the clear, then TLS; never downgraded
    Starttls,
    /// TLS from the first byte
    Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MechanismName {
    /// The first of PLAIN, LOGIN and CRAM-MD5 that the server offers
    Auto,
    /// PLAIN (RFC 4616)
    Plain,
    /// LOGIN
    Login,
    /// CRAM-MD5 (RFC 2195)
    CramMd5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsVersionName {
    /// TLS 1.2
    #[value(name = "1.2")]
    V1_2,
    /// TLS 1.3
    #[value(name = "1.3")]
    V1_3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OverQuotaName {
    /// It is accepted and waits
    Queue,
    /// It is refused
    Reject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InDoubtName {
    /// It is sent again: at least once
    Resend,
    /// It waits for an operator: at most once
    Hold,
    /// The Sent folder of the account's mailbox is asked
    Reconcile,
}

/// Settings that can be put back to their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clear {
    MaySendAs,
    ReplyTo,
    DefaultCc,
    DefaultBcc,
    Labels,
    Owner,
    Signature,
    QuietWindows,
    Content,
    Results,
    Mailbox,
    Tls,
    Proxy,
    SignIn,
    CustomCa,
    Timeouts,
    Quotas,
    Reserves,
    Interval,
    Pace,
    Batch,
    Retry,
}
