//! Is the table of presets whole, and is each figure where it should be?

use super::*;
use crate::domain::limits::{QUOTA_WINDOW_MAX, QUOTA_WINDOW_MIN, QUOTAS_MAX, QuotaUnit, QuotaWindow};

#[test]
fn the_built_in_table_has_no_mistake() {
    let presets = table::parse(BUILT_IN).expect("a good table");
    assert!(presets.windows(2).all(|pair| pair[0].id < pair[1].id), "ids are unique and in order");
}

#[test]
fn every_provider_of_the_specification_is_there() {
    let wanted = [
        "amazon-ses",
        "exchange",
        "generic-25",
        "generic-465",
        "generic-587",
        "gmail",
        "google-workspace",
        "icloud",
        "microsoft365",
        "outlook",
        "sakura",
        "sendgrid",
        "xserver",
        "yahoo",
        "yahoo-japan",
    ];
    let found: Vec<_> = Presets::built_in().iter().map(|preset| preset.id.as_str()).collect();
    assert_eq!(found, wanted);
}

#[test]
fn every_part_of_a_preset_has_a_source_with_a_date() {
    for preset in Presets::built_in().iter() {
        let id = &preset.id;
        let has = |about| preset.sources.iter().any(|source| source.about == about);
        assert!(has(Subject::Server) && has(Subject::SignIn), "{id}");
        assert_eq!(has(Subject::Limits), preset.limits != KnownLimits::default(), "{id}");
        assert_eq!(has(Subject::Mailbox), preset.pop3.is_some() || preset.imap.is_some(), "{id}");
        for source in &preset.sources {
            assert!(source.url == SPECIFICATION || source.url.starts_with("http"), "{id}: {}", source.url);
            let date: Result<jiff::civil::Date, _> = source.read_on.parse();
            let is_standard = source.url.starts_with("https://www.rfc-editor.org/") && source.read_on.is_empty();
            assert!(is_standard || date.is_ok() && source.read_on.len() == 10, "{id}: {}", source.read_on);
        }
    }
}

#[test]
fn quotas_are_those_that_an_account_may_have() {
    for preset in Presets::built_in().iter() {
        let quotas = &preset.limits.quotas;
        assert!(quotas.len() <= QUOTAS_MAX, "{}", preset.id);
        for (index, quota) in quotas.iter().enumerate() {
            let QuotaWindow::Sliding(window) = quota.window else { panic!("{}: not sliding", preset.id) };
            assert!((QUOTA_WINDOW_MIN..=QUOTA_WINDOW_MAX).contains(&window), "{}", preset.id);
            let is_twin = |other: &Quota| other.unit == quota.unit && other.window == quota.window;
            assert!(!quotas[..index].iter().any(is_twin), "{}: two quotas of one window", preset.id);
        }
    }
}

#[track_caller]
fn check_quota(id: &str, limit: u64, unit: QuotaUnit, seconds: u64) {
    let preset = Presets::built_in().get(id).expect(id);
    let window = QuotaWindow::Sliding(std::time::Duration::from_secs(seconds));
    let is_it = |quota: &Quota| (quota.limit.get(), quota.unit, &quota.window) == (limit, unit, &window);
    assert!(preset.limits.quotas.iter().any(is_it), "{id}: {:?}", preset.limits.quotas);
}

#[test]
fn known_limits_are_in_the_presets() {
    check_quota("gmail", 500, QuotaUnit::Recipients, 86_400);
    check_quota("gmail", 100, QuotaUnit::Recipients, 3_600);
    check_quota("google-workspace", 2_000, QuotaUnit::Messages, 86_400);
    check_quota("outlook", 300, QuotaUnit::Recipients, 86_400);
    check_quota("outlook", 30, QuotaUnit::Messages, 60);
    check_quota("microsoft365", 10_000, QuotaUnit::Recipients, 86_400);
    check_quota("microsoft365", 30, QuotaUnit::Messages, 60);
    check_quota("yahoo", 500, QuotaUnit::Messages, 86_400);
    let connections = Presets::built_in().get("microsoft365").and_then(|preset| preset.limits.connections_max);
    assert_eq!(connections.map(NonZeroU32::get), Some(3));
}

#[track_caller]
fn check_exchanger(name: &str, expected: Option<&str>) {
    let found = Presets::built_in().by_mail_exchanger(name);
    assert_eq!(found.map(|preset| preset.id.as_str()), expected, "{name}");
}

#[test]
fn a_provider_is_known_by_its_mail_exchanger() {
    check_exchanger("ASPMX.L.GOOGLE.COM", Some("google-workspace"));
    check_exchanger("alt1.aspmx.l.google.com", Some("google-workspace"));
    check_exchanger("example-jp.mail.protection.outlook.com", Some("microsoft365"));
    check_exchanger("outlook-com.olc.protection.outlook.com", Some("outlook"));
    check_exchanger("mx01.mail.icloud.com", Some("icloud"));
    check_exchanger("sv1234.xserver.jp", Some("xserver"));
    check_exchanger(".xserver.jp", None);
    check_exchanger("notxserver.jp", None);
    check_exchanger("mx.example.jp", None);
}

#[test]
fn a_provider_is_known_by_its_own_domains() {
    let id = |domain| Presets::built_in().by_domain(domain).map(|preset| preset.id.as_str());
    assert_eq!(id("Gmail.com"), Some("gmail"));
    assert_eq!(id("yahoo.co.jp"), Some("yahoo-japan"));
    assert_eq!(id("example.jp"), None);
}

#[track_caller]
fn check_refused(table: &str, expected: &str) {
    let error = table::parse(table).map(|_| ()).expect_err(expected);
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_mistake_in_the_table_is_named() {
    let one = "[[preset]]\nid = 'a'\nname = 'A'\nprovider = 'generic'\nsign_in = ['password']\nsource = []\n";
    let server = "server = { port = 587, encryption = 'starttls' }\n";
    check_refused(&format!("{one}{server}{one}{server}"), "a: the id is used twice");
    check_refused(&format!("{one}{server}").replace("generic", "gmial"), "a: provider: unknown provider kind");
    check_refused(&format!("{one}{server}").replace("587", "0"), "port");
    check_refused(&format!("{one}{server}speed = 1\n"), "unknown field `speed`");
}
