//! How accounts on the wire are checked, and that nothing of them is lost.

use super::*;
use crate::{
    domain::{
        account::{Account, Retry, Stamp, Timeouts},
        ids::Etag,
        parking::Parking,
        reply::Reply,
        time::Timestamp,
    },
    storage::contract::unusual,
};

fn read(wire: v1::AccountSettings, stored: Option<&AccountSettings>) -> Result<AccountSettings, Vec<Violation>> {
    to_settings(Some(wire), stored, Violations::default()).map(|read| read.settings)
}

#[test]
fn settings_survive_the_wire_but_for_their_secrets() {
    for sign_in in unusual::sign_ins() {
        let settings = unusual::settings(sign_in);
        let wire = from_settings(&settings);
        assert!(!unusual::shows_a_secret(format!("{wire:?} {settings:?}").as_bytes()));
        assert_eq!(read(wire, Some(&settings)), Ok(settings));
    }
}

#[test]
fn a_secret_is_kept_by_the_same_kind_of_sign_in_only() {
    let ways = unusual::sign_ins();
    let fields = |wire: &v1::AccountSettings, stored: &AccountSettings| {
        let found = read(wire.clone(), Some(stored)).err().unwrap_or_default();
        found.into_iter().map(|one| one.field).collect::<Vec<_>>()
    };
    let stored = unusual::settings(SignIn::None);
    let needs: [&[&str]; 7] = [
        &["settings.sign_in.password.password"],
        &["settings.sign_in.oauth2.service_account_json"],
        &["settings.sign_in.oauth2.provider.client_secret"],
        &[],
        &[
            "settings.sign_in.pop_before_smtp.server.tls.client_certificate.key_pem",
            "settings.sign_in.pop_before_smtp.server.proxy.password",
            "settings.sign_in.pop_before_smtp.password",
        ],
        &[],
        &[],
    ];
    for (way, needed) in ways.into_iter().zip(needs) {
        let settings = unusual::settings(way);
        let wire = from_settings(&settings);
        assert_eq!(fields(&wire, &stored), needed, "{:?}", wire.sign_in);
        assert_eq!(fields(&wire, &settings), [""; 0]);
    }
}

#[test]
fn a_password_does_not_follow_to_another_server() {
    let settings = unusual::settings(unusual::sign_ins().remove(0));
    let needs = |change: fn(&mut v1::Server)| {
        let mut wire = from_settings(&settings);
        wire.mailbox = None;
        change(wire.server.as_mut().expect("a server"));
        let found = read(wire, Some(&settings)).err().unwrap_or_default();
        found.iter().any(|one| one.field == "settings.sign_in.password.password")
    };
    assert!(!needs(|_| {}));
    assert!(!needs(|server| server.host = server.host.to_uppercase()));
    assert!(!needs(|server| server.port = 2525));
    assert!(needs(|server| server.host = "mail.example.net".into()));
    assert!(needs(|server| server.proxy = None));
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
            settings: unusual::settings(SignIn::None),
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

#[test]
fn what_is_unset_is_shown_as_it_holds() {
    let wire = from_settings(&read(least(), None).expect("enough"));
    assert_eq!(wire.sign_in, None);
    let server = wire.server.as_ref().expect("a server");
    assert_eq!(
        (server.port, server.encryption(), server.provider.as_str()),
        (587, v1::Encryption::Starttls, "generic")
    );
    assert_eq!(read(wire, None), read(least(), None));
}

#[track_caller]
fn check(change: impl FnOnce(&mut v1::AccountSettings), expected: &[&str]) {
    let mut wire = least();
    change(&mut wire);
    let found = read(wire, None).err().unwrap_or_default();
    let fields: Vec<_> = found.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, expected);
}

fn mailbox(address: &str) -> v1::Mailbox {
    v1::Mailbox { name: String::new(), address: address.into() }
}

fn window() -> v1::QuietWindow {
    let (days, zone) = (Vec::new(), String::new());
    v1::QuietWindow { days, from: "08:00".into(), to: "09:00".into(), zone, rule: v1::QuietRule::Defer.into() }
}

/// A mailbox that has to borrow its credentials.
fn bare_mailbox() -> v1::IncomingMailbox {
    let server = Some(v1::Server { host: "mail.example.jp".into(), ..v1::Server::default() });
    v1::IncomingMailbox { protocol: v1::MailboxProtocol::Imap.into(), server, ..v1::IncomingMailbox::default() }
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
    check(
        |s| s.suppression = Some(v1::SuppressionRules { soft_bounces_max: 1, ..Default::default() }),
        &["settings.suppression.soft_bounces_max"],
    );
    check(|s| s.may_send_as = vec!["@example.com".into(); 1_001], &["settings.may_send_as"]);
    check(|s| s.labels = (0..17).map(|label| label.to_string()).collect(), &["settings.labels"]);
    check(|s| s.labels = vec!["a".into(), "a".into(), String::new()], &["settings.labels[1]", "settings.labels[2]"]);
    check(|s| s.owner = "a b".into(), &["settings.owner"]);
    check(|s| s.default_cc = vec![v1::Mailbox::default()], &["settings.default_cc[0].address"]);
    check(|s| s.default_bcc = vec![mailbox("a@example.jp"); 21], &["settings.default_bcc"]);
    check(
        |s| s.signature = Some(v1::Signature { text: "\0".into(), html: String::new() }),
        &["settings.signature.text"],
    );
    check(
        |s| s.quiet_windows = vec![v1::QuietWindow { to: "1".into(), ..window() }],
        &["settings.quiet_windows[0].to"],
    );
    check(|s| s.content = Some(v1::ContentRules { charset: 9, ..Default::default() }), &["settings.content.charset"]);
    check(|s| s.results = Some(v1::Results { notify: 9, ..Default::default() }), &["settings.results.notify"]);
    check(
        |s| s.mailbox = Some(v1::IncomingMailbox::default()),
        &["settings.mailbox.protocol", "settings.mailbox.server"],
    );
    check(|s| s.mailbox = Some(bare_mailbox()), &["settings.mailbox.sign_in"]);
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
fn only_a_sent_folder_reconciles() {
    let sign_in = v1::MailboxSignIn { user: "me".into(), password: "p".into(), ..v1::MailboxSignIn::default() };
    let mailbox = |protocol: v1::MailboxProtocol| {
        Some(v1::IncomingMailbox { protocol: protocol.into(), sign_in: Some(sign_in.clone()), ..bare_mailbox() })
    };
    let reconcile = i32::from(v1::InDoubtPolicy::Reconcile);
    check(|s| s.in_doubt = reconcile, &["settings.in_doubt"]);
    check(|s| (s.in_doubt, s.mailbox) = (reconcile, mailbox(v1::MailboxProtocol::Imap)), &[]);
    check(|s| (s.in_doubt, s.mailbox) = (reconcile, mailbox(v1::MailboxProtocol::Pop3)), &["settings.in_doubt"]);
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
