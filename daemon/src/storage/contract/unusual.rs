//! Settings in which nothing is as it is by default, for tests that nothing of them is lost or shown.

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::LazyLock,
    time::Duration,
};

use crate::domain::{
    account::{
        AccountSettings, ClientCertificate, ContentRules, Credentials, Encryption, EnvelopeSender, InDoubtPolicy,
        InboundMarks, IncomingMailbox, IssuerKind, MailboxProtocol, MailboxSignIn, NotifyPolicy, OAuth2SignIn,
        OauthGrant, OauthIssuer, OauthMechanism, PasswordMechanism, PopBeforeSmtp, ProviderKind, Proxy, ProxyKind,
        Results, Retry, SenderPattern, Server, SignIn, Signature, SuppressionRules, Timeouts, TlsOptions, TlsVersion,
    },
    charset::Charset,
    job::Priority,
    limits::{BatchPause, CalendarSpan, Limits, OverQuota, Pace, Quota, QuotaUnit, QuotaWindow},
    mail::Mailbox,
    quiet::{QuietRule, QuietWindow, Weekdays},
    reserves::Reserves,
    secret::Secret,
};

/// What every password, token and secret here begins with.
pub const SECRET_MARK: &str = "hunter2";

/// A certificate with its private key, both as PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub chain_pem: String,
    /// Its key.
    pub key_pem: String,
}

impl Identity {
    /// Another one with each call.
    #[must_use]
    pub fn generate() -> Self {
        let made = rcgen::generate_simple_self_signed(["client.example.jp".to_owned()]).expect("a certificate");
        Self { chain_pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() }
    }
}

/// The certificate that stands in all of these settings.
#[must_use]
pub fn identity() -> &'static Identity {
    static IDENTITY: LazyLock<Identity> = LazyLock::new(Identity::generate);
    &IDENTITY
}

/// Whether a secret of these settings can be read in `bytes`.
#[must_use]
pub fn shows_a_secret(bytes: &[u8]) -> bool {
    let key_line = identity().key_pem.lines().nth(1).expect("a PEM has lines");
    let is_in = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    is_in(SECRET_MARK) || is_in(key_line)
}

/// All ways to sign in, each with nothing as it is by default.
#[must_use]
pub fn sign_ins() -> Vec<SignIn> {
    let oauth2 = |kind, grant| {
        let issuer = OauthIssuer {
            kind,
            client_id: "application".into(),
            client_secret: Some(secret("client")),
            scopes: vec!["mail.send".into(), "offline".into()],
        };
        let (user, mechanism) = ("taro@example.jp".into(), OauthMechanism::Oauthbearer);
        SignIn::OAuth2(Box::new(OAuth2SignIn { user, mechanism, issuer, grant, allow_plaintext: true }))
    };
    let custom = IssuerKind::Custom {
        authorization_endpoint: Some("https://issuer.example/authorize".into()),
        device_endpoint: Some("http://127.0.0.1:8080/device".into()),
        token_endpoint: "https://issuer.example/token".into(),
    };
    let key_file = format!("{{\"client_email\":\"a@example.jp\",\"private_key\":\"{SECRET_MARK}-file\"}}");
    let pop = PopBeforeSmtp {
        server: server(110, ProviderKind::Xserver),
        credentials: Credentials { user: "pop".into(), password: secret("pop") },
        apop: true,
        allow_plaintext: true,
        valid_for: seconds(120),
    };
    vec![
        SignIn::Password {
            user: "taro".into(),
            password: secret("password"),
            mechanism: PasswordMechanism::Login,
            allow_plaintext: true,
        },
        oauth2(custom, OauthGrant::ServiceAccount(Secret::new(key_file))),
        oauth2(IssuerKind::Microsoft { tenant: "example.jp".into() }, OauthGrant::ClientCredentials),
        oauth2(IssuerKind::Google, OauthGrant::Consent),
        SignIn::PopBeforeSmtp(Box::new(pop)),
        SignIn::AsMailbox,
        SignIn::None,
    ]
}

/// Settings with this sign-in in which nothing else is as it is by default.
#[must_use]
pub fn settings(sign_in: SignIn) -> AccountSettings {
    AccountSettings {
        display_name: "営業".into(),
        from: mailbox(Some("Sales"), "sales@example.jp"),
        may_send_as: vec![
            SenderPattern::Address("other@example.com".parse().expect("an address")),
            SenderPattern::Domain("shop.example".into()),
        ],
        reply_to: Some(mailbox(None, "answers@example.jp")),
        server: server(2_525, ProviderKind::Sakura),
        sign_in,
        limits: limits(),
        retry: Retry {
            first_delay: seconds(5),
            multiplier: 1.5,
            delay_max: seconds(50),
            jitter: 0.5,
            give_up_after: seconds(500),
        },
        in_doubt: InDoubtPolicy::Hold,
        labels: vec!["tokyo".parse().expect("a label"), "新宿".parse().expect("a label")],
        owner: Some("taro".parse().expect("a caller")),
        unlisted: true,
        default_cc: vec![mailbox(Some("Chief"), "chief@example.jp"), mailbox(None, "team@example.jp")],
        default_bcc: vec![mailbox(None, "archive@example.jp")],
        signature: Signature { text: "Sales\r\nTokyo".into(), html: "<p>Sales</p>".into() },
        quiet_windows: windows(),
        content: ContentRules {
            charset: Charset::Iso2022JpReject,
            attachments_allowed: false,
            recipient_names: false,
            lenient_addresses: true,
            virus_scan_required: true,
            virus_scan_may_fail: true,
        },
        results: Results {
            notify: NotifyPolicy::Failures,
            destinations: vec!["mailto:boss@example.jp".into(), "slack+https://hooks.example/a".into()],
            envelope_sender: EnvelopeSender::Verp("bounces@example.jp".parse().expect("an address")),
        },
        mailbox: Some(incoming()),
        suppression: SuppressionRules {
            off: true,
            soft_bounces_max: 7,
            soft_bounces_within: seconds(7 * 86_400),
            hard_bounce_expiry: Some(seconds(365 * 86_400)),
            soft_bounces_expiry: seconds(9 * 86_400),
            ignore_replies: true,
        },
    }
}

fn windows() -> Vec<QuietWindow> {
    let zone = || "Asia/Tokyo".to_owned();
    let night = QuietWindow { days: Weekdays::ALL, from: 1_320, to: 390, zone: zone(), rule: QuietRule::Reject };
    let sunday = QuietWindow { days: Weekdays::new([6]), from: 5, to: 1_440, zone: zone(), rule: QuietRule::Defer };
    vec![
        night,
        sunday,
        QuietWindow { days: Weekdays::new([0, 2]), from: 60, to: 61, zone: zone(), rule: QuietRule::Warn },
    ]
}

fn limits() -> Limits {
    let calendar = QuotaWindow::Calendar { span: CalendarSpan::Month, zone: "Asia/Tokyo".into() };
    let sliding = QuotaWindow::Sliding(Duration::from_millis(1_500));
    Limits {
        quotas: vec![
            Quota { limit: number(7).into(), unit: QuotaUnit::Messages, window: sliding },
            Quota { limit: number(9).into(), unit: QuotaUnit::Recipients, window: calendar },
        ],
        interval: Duration::from_millis(250),
        pace: Some(Pace { messages_per_minute: number(30), burst: number(3) }),
        batch: Some(BatchPause { messages: number(10), pause: seconds(60) }),
        connections_max: number(3),
        messages_per_connection_max: number(4),
        recipients_per_job_max: number(5),
        message_bytes_max: 6_000,
        over_quota: OverQuota::Reject,
        reserves: Reserves::new(10, &[(Priority::High, 20), (Priority::Normal, 5)]).expect("something is left"),
    }
}

fn server(port: u16, provider: ProviderKind) -> Server {
    let Identity { chain_pem, key_pem } = identity();
    Server {
        host: "smtp.example.jp".parse().expect("a host"),
        port: NonZeroU16::new(port).expect("not zero"),
        encryption: Encryption::None,
        ehlo_name: Some("client.example.jp".parse().expect("a name")),
        custom_ca_pem: Some(chain_pem.clone()),
        provider,
        timeouts: Timeouts {
            connect: seconds(1),
            greeting: seconds(2),
            command: seconds(3),
            data: seconds(4),
            end_of_data: seconds(5),
        },
        tls: TlsOptions {
            version_min: TlsVersion::V1_3,
            server_name: Some("mail.example.jp".parse().expect("a host")),
            client_certificate: Some(ClientCertificate {
                chain_pem: chain_pem.clone(),
                key_pem: Secret::new(key_pem.clone()),
            }),
        },
        proxy: Some(Proxy {
            kind: ProxyKind::HttpConnect,
            host: "proxy.example.jp".parse().expect("a host"),
            port: NonZeroU16::new(8_080).expect("not zero"),
            credentials: Some(Credentials { user: "proxy".into(), password: secret("proxy") }),
        }),
    }
}

/// A mailbox in which nothing is as it is by default.
#[must_use]
pub fn incoming() -> IncomingMailbox {
    IncomingMailbox {
        protocol: MailboxProtocol::Pop3,
        server: server(995, ProviderKind::YahooJapan),
        sign_in: Some(MailboxSignIn {
            credentials: Credentials { user: "bounces".into(), password: secret("mailbox") },
            apop: true,
            allow_plaintext: true,
        }),
        interval: seconds(77),
        delete_after_fetch: true,
        all_folders: true,
        unseen_only: true,
        all_mail: true,
        archive_folder: Some("/var/mail/archive".into()),
        message_bytes_max: 7_000,
        warn_messages: 77,
        errors_to: Some("errors@example.jp".parse().expect("an address")),
        attachments_folder: Some("files".into()),
        keep_duplicates: true,
        no_idle: true,
        marks_to: InboundMarks { labels: vec!["in".parse().expect("a label")], status: "new".into() },
        marks_cc: InboundMarks::default(),
        marks_from: InboundMarks {
            labels: vec!["out".parse().expect("a label"), "sent".parse().expect("a label")],
            status: String::new(),
        },
    }
}

fn secret(name: &str) -> Secret<String> {
    Secret::new(format!("{SECRET_MARK}-{name}"))
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn mailbox(name: Option<&str>, address: &str) -> Mailbox {
    Mailbox { name: name.map(str::to_owned), address: address.parse().expect("an address") }
}
