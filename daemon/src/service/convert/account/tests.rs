//! How accounts on the wire are checked, and that nothing of them is lost.

use std::num::{NonZeroU16, NonZeroU32};

use super::*;
use crate::domain::{
    account::{Account, Encryption, PasswordMechanism, ProviderKind, Server, Stamp, Timeouts, TlsOptions},
    ids::Etag,
    job::Priority,
    limits::{BatchPause, CalendarSpan, OverQuota, Pace, Quota, QuotaUnit, QuotaWindow},
    mail::Mailbox,
    parking::Parking,
    reply::Reply,
    reserves::Reserves,
    secret::Secret,
    time::Timestamp,
};

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

fn mailbox(name: Option<&str>, address: &str) -> Mailbox {
    Mailbox { name: name.map(str::to_owned), address: address.parse().expect("an address") }
}

/// Settings in which nothing is as it is by default.
fn unusual_settings() -> AccountSettings {
    let seconds = Duration::from_secs;
    let server = Server {
        host: "smtp.example.jp".parse().expect("a host"),
        port: NonZeroU16::new(2_525).expect("not zero"),
        encryption: Encryption::None,
        ehlo_name: Some("client.example.jp".parse().expect("a name")),
        custom_ca_pem: None,
        provider: ProviderKind::Sakura,
        timeouts: Timeouts {
            connect: seconds(1),
            greeting: seconds(2),
            command: seconds(3),
            data: seconds(4),
            end_of_data: seconds(5),
        },
        tls: TlsOptions::default(),
        proxy: None,
    };
    AccountSettings {
        display_name: "営業".into(),
        may_send_as: vec![
            SenderPattern::Address("other@example.com".parse().expect("an address")),
            SenderPattern::Domain("shop.example".into()),
        ],
        reply_to: Some(mailbox(None, "answers@example.jp")),
        sign_in: SignIn::Password {
            user: "sales".into(),
            password: Secret::new("hunter2".into()),
            mechanism: PasswordMechanism::Login,
            allow_plaintext: true,
        },
        limits: unusual_limits(),
        retry: Retry {
            first_delay: seconds(5),
            multiplier: 1.5,
            delay_max: seconds(50),
            jitter: 0.0,
            give_up_after: seconds(500),
        },
        in_doubt: InDoubtPolicy::Hold,
        ..AccountSettings::new(mailbox(Some("Sales"), "sales@example.jp"), server)
    }
}

fn unusual_limits() -> Limits {
    let calendar = QuotaWindow::Calendar { span: CalendarSpan::Month, zone: "Asia/Tokyo".into() };
    Limits {
        quotas: vec![
            Quota {
                limit: number(7).into(),
                unit: QuotaUnit::Messages,
                window: QuotaWindow::Sliding(Duration::from_millis(1_500)),
            },
            Quota { limit: number(9).into(), unit: QuotaUnit::Recipients, window: calendar },
        ],
        interval: Duration::from_millis(250),
        pace: Some(Pace { messages_per_minute: number(30), burst: number(3) }),
        batch: Some(BatchPause { messages: number(10), pause: Duration::from_secs(60) }),
        connections_max: number(3),
        messages_per_connection_max: number(4),
        recipients_per_job_max: number(5),
        message_bytes_max: 6_000,
        over_quota: OverQuota::Queue,
        reserves: Reserves::new(10, &[(Priority::High, 20), (Priority::Normal, 5)]).expect("something is left"),
    }
}

fn read(wire: v1::AccountSettings, stored: Option<&SignIn>) -> Result<AccountSettings, Vec<Violation>> {
    to_settings(Some(wire), stored, Violations::default())
}

#[test]
fn settings_survive_the_wire_but_for_the_password() {
    let settings = unusual_settings();
    let wire = from_settings(&settings);
    assert!(!format!("{wire:?}").contains("hunter2"));
    assert_eq!(read(wire, Some(&settings.sign_in)), Ok(settings));
}

#[test]
fn an_account_shows_its_standing() {
    let stamp = Stamp { at: Timestamp::from_millis(5_000), by: "local".parse().expect("a caller") };
    let reply = Reply::from_lines("535 5.7.8 no").expect("a reply");
    let parking = Parking {
        cause: ParkingCause::NeedsReauth,
        reason: "the sign-in is not accepted".into(),
        reply: Some(reply),
        since: Timestamp::from_millis(7_000),
        until: None,
        strikes: 1,
    };
    let record = AccountRecord {
        account: Account {
            id: "sales".parse().expect("an id"),
            settings: unusual_settings(),
            etag: Etag(4),
            created: stamp.clone(),
            updated: stamp,
        },
        standing: Standing::Parked(parking),
        open_jobs: 3,
    };
    let wire = from_account(&record);
    assert_eq!((wire.etag.as_str(), wire.open_jobs, wire.created_by.as_str()), ("4", 3, "local"));
    let standing = wire.standing.expect("a standing");
    assert_eq!(standing.state(), v1::AccountState::NeedsReauth);
    assert_eq!(standing.reply, "535 5.7.8 no");
    assert_eq!(standing.since.map(|since| since.seconds), Some(7));
    assert_eq!(standing.until, None);
}

fn least() -> v1::AccountSettings {
    v1::AccountSettings {
        from: Some(v1::Mailbox { name: String::new(), address: "sales@example.jp".into() }),
        server: Some(v1::Server { host: "smtp.example.jp".into(), ..v1::Server::default() }),
        ..v1::AccountSettings::default()
    }
}

#[test]
fn what_is_unset_takes_its_default() {
    let settings = read(least(), None).expect("enough");
    assert_eq!(settings.retry, Retry::default());
    assert_eq!(settings.limits, Limits::default());
    assert_eq!(settings.server.timeouts, Timeouts::default());
    assert_eq!((settings.in_doubt, settings.sign_in), (InDoubtPolicy::Resend, SignIn::None));
}

#[track_caller]
fn check(change: impl FnOnce(&mut v1::AccountSettings), expected: &[&str]) {
    let mut wire = least();
    change(&mut wire);
    let found = read(wire, None).err().unwrap_or_default();
    let fields: Vec<_> = found.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, expected);
}

fn retry(change: impl FnOnce(&mut v1::Retry)) -> Option<v1::Retry> {
    let mut retry = v1::Retry::default();
    change(&mut retry);
    Some(retry)
}

#[test]
fn each_bound_is_told_with_its_field() {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    check(|_| {}, &[]);
    check(|s| s.display_name = "x".repeat(201), &["settings.display_name"]);
    check(|s| s.display_name = "a\nb".into(), &["settings.display_name"]);
    check(|s| s.from = None, &["settings.from.address"]);
    check(|s| s.server = None, &["settings.server"]);
    check(
        |s| s.may_send_as = vec!["@example.com".into(), "@".into(), "x".into()],
        &["settings.may_send_as[1]", "settings.may_send_as[2]"],
    );
    check(|s| s.reply_to = Some(v1::Mailbox::default()), &["settings.reply_to.address"]);
    check(|s| s.in_doubt = 7, &["settings.in_doubt"]);
    check(|s| s.retry = retry(|r| r.first_delay = seconds(0)), &["settings.retry.first_delay"]);
    check(|s| s.retry = retry(|r| r.delay_max = seconds(8 * 24 * 3_600)), &["settings.retry.delay_max"]);
    check(|s| s.retry = retry(|r| r.delay_max = seconds(59)), &["settings.retry.delay_max"]);
    check(|s| s.retry = retry(|r| r.give_up_after = seconds(31 * 24 * 3_600)), &["settings.retry.give_up_after"]);
    check(|s| s.retry = retry(|r| r.multiplier = 0.5), &["settings.retry.multiplier"]);
    check(|s| s.retry = retry(|r| r.multiplier = f64::NAN), &["settings.retry.multiplier"]);
    check(|s| s.retry = retry(|r| r.jitter = Some(1.1)), &["settings.retry.jitter"]);
    check(|s| s.retry = retry(|r| r.jitter = Some(0.0)), &[]);
    let pace =
        |burst| Some(v1::Limits { pace: Some(v1::Pace { messages_per_minute: 1, burst }), ..v1::Limits::default() });
    check(|s| s.limits = pace(1_440), &[]);
    check(|s| s.limits = pace(1_441), &["settings.limits.pace.burst"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let found = to_settings(None, None, Violations::default()).expect_err("nothing was sent");
    assert_eq!(found[0].field, "settings");
    check(
        |s| {
            s.from = None;
            s.server = Some(v1::Server { port: 70_000, ..v1::Server::default() });
            s.limits = Some(v1::Limits { quotas: vec![v1::Quota::default()], ..v1::Limits::default() });
        },
        &[
            "settings.from.address",
            "settings.server.host",
            "settings.server.port",
            "settings.limits.quotas[0].limit",
            "settings.limits.quotas[0].unit",
            "settings.limits.quotas[0].window",
        ],
    );
}
