//! Who sends through whom, with which settings.

use std::{
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use hikyaku_daemon::domain::{
    account::{
        Account, AccountSettings, Encryption, InDoubtPolicy, PasswordMechanism, Retry, Server, SignIn, Stamp,
        SuppressionRules,
    },
    ids::{AccountId, Caller, Etag},
    limits::{CalendarSpan, Limits, Quota, QuotaUnit, QuotaWindow},
    mail::Mailbox,
    quiet::{QuietRule, QuietWindow, Weekdays},
    secret::Secret,
    time::Timestamp,
};

use crate::chance::Chance;

/// When every run begins: 2027-03-27T08:00:00Z, 17 hours before clocks change in Europe.
pub(crate) const BEGIN: Timestamp = Timestamp::from_millis(1_806_134_400_000);
/// When clocks change in Europe: 2027-03-28T01:00:00Z.
const SUMMER: Timestamp = Timestamp::from_millis(1_806_195_600_000);
/// Longest message, in bytes. No quota is smaller.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 600;
/// Most recipients of a job. No quota is smaller: such a job would be set aside.
pub(crate) const RECIPIENTS_MAX: u64 = 5;
/// The providers that are not subject to chance: one that never fails, and one that takes connections and says nothing.
pub(crate) const STEADY: usize = 0;
pub(crate) const SILENT: usize = 1;
/// Accounts of one provider, about.
const ACCOUNTS_PER_PROVIDER: u64 = 200;
/// Hours between UTC and the zones of calendar windows. None of them changes its clocks while a run lasts.
const ZONES: [(&str, i64); 3] = [("UTC", 0), ("Asia/Tokyo", 9), ("America/New_York", -4)];
/// Hours between UTC and the zones of quiet windows, before and after clocks change in Europe.
const QUIET_ZONES: [(&str, i64, i64); 4] =
    [("Europe/London", 0, 1), ("Europe/Berlin", 1, 2), ("Asia/Tokyo", 9, 9), ("America/New_York", -4, -4)];

/// How many providers there are.
pub(crate) fn providers(accounts: u64) -> usize {
    usize::try_from(4 + (accounts / ACCOUNTS_PER_PROVIDER).min(15)).expect("it is small")
}

/// The host name of a provider.
pub(crate) fn provider_name(provider: usize) -> String {
    format!("provider-{provider}")
}

/// An account, and what the checker must know of it.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) account: Account,
    pub(crate) provider: usize,
    pub(crate) windows: Vec<Window>,
    pub(crate) quiet: Vec<Quiet>,
}

/// A quiet window in the checker's own terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet {
    /// On which days it begins, Monday first.
    pub(crate) days: [bool; 7],
    /// In minutes after midnight.
    pub(crate) from: u16,
    pub(crate) to: u16,
    zone: usize,
}

impl Quiet {
    /// Milliseconds between UTC and what the clocks of its zone show.
    pub(crate) fn ahead_millis(&self, at: Timestamp) -> i64 {
        let (_, before, after) = QUIET_ZONES[self.zone];
        let hours = if at < SUMMER { before } else { after };
        hours * 3_600_000
    }

    fn setting(&self) -> QuietWindow {
        let days = Weekdays::new((0..7).filter(|day| self.days[usize::from(*day)]));
        let zone = QUIET_ZONES[self.zone].0.to_owned();
        QuietWindow { days, from: self.from, to: self.to, zone, rule: QuietRule::Defer }
    }
}

/// A quota in the checker's own terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) limit: u64,
    pub(crate) unit: QuotaUnit,
    pub(crate) shape: Shape,
}

/// When a window begins and ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// At any time, for so many milliseconds.
    Sliding(u64),
    /// At each multiple of `millis` of a clock that is `ahead_millis` before UTC.
    Calendar { millis: u64, ahead_millis: i64 },
}

/// All accounts of a run.
pub(crate) fn accounts(seed: u64, count: u64) -> Vec<Planned> {
    let providers = providers(count) as u64;
    (0..count).map(|number| account(seed, number, number % providers)).collect()
}

/// Whom the store names for what the clients do.
pub(crate) fn caller() -> Caller {
    "sim".parse().expect("a caller")
}

fn account(seed: u64, number: u64, provider: u64) -> Planned {
    let name = format!("acc{number}");
    let chance = Chance::new(seed, &name);
    let provider = usize::try_from(provider).expect("it is small");
    let is_steady = provider == STEADY;
    let quotas = if is_steady { Vec::new() } else { quotas(&chance) };
    let windows = quotas.iter().map(|(_, window)| *window).collect();
    let quiet = if is_steady { Vec::new() } else { quiet(&chance) };
    let host = provider_name(provider).parse().expect("a host");
    let server = Server {
        ehlo_name: Some(format!("{name}.sim.example").parse().expect("a name")),
        ..Server::new(host, NonZeroU16::new(25).expect("not zero"), Encryption::None)
    };
    let from = Mailbox { name: None, address: format!("{name}@sim.example").parse().expect("an address") };
    let settings = AccountSettings {
        display_name: name.clone(),
        sign_in: sign_in(&chance, &name),
        limits: limits(&chance, is_steady, quotas.into_iter().map(|(quota, _)| quota).collect()),
        retry: Retry {
            first_delay: chance.seconds(30..=300),
            multiplier: 2.0,
            delay_max: chance.seconds(600..=3_600),
            jitter: 0.2,
            give_up_after: chance.seconds(3_600..=12 * 3_600),
        },
        quiet_windows: quiet.iter().map(Quiet::setting).collect(),
        in_doubt: if chance.one_in(4) { InDoubtPolicy::Hold } else { InDoubtPolicy::Resend },
        // The books expect every recipient to be tried, whatever was said of the address before.
        suppression: SuppressionRules { ignore_replies: true, ..SuppressionRules::default() },
        ..AccountSettings::new(from, server)
    };
    let id: AccountId = name.parse().expect("an id");
    let stamp = Stamp { at: BEGIN, by: caller() };
    let account = Account { id, settings, etag: Etag(1), created: stamp.clone(), updated: stamp };
    Planned { account, provider, windows, quiet }
}

/// Up to two windows of one to four hours, some of them over midnight.
fn quiet(chance: &Chance) -> Vec<Quiet> {
    let count = if chance.one_in(3) { chance.among(1..=2) } else { 0 };
    (0..count).map(|_| quiet_window(chance)).collect()
}

fn quiet_window(chance: &Chance) -> Quiet {
    let half_hours = |n: u64| u16::try_from(n % 48 * 30).expect("less than a day");
    let (from, length) = (chance.below(48), chance.among(2..=8));
    let is_daily = chance.one_in(2);
    let days = std::array::from_fn(|_| is_daily || chance.one_in(2));
    let days = if days == [false; 7] { [true; 7] } else { days };
    let zone = usize::try_from(chance.below(QUIET_ZONES.len() as u64)).expect("it is small");
    Quiet { days, from: half_hours(from), to: half_hours(from + length), zone }
}

fn sign_in(chance: &Chance, user: &str) -> SignIn {
    if chance.one_in(2) {
        return SignIn::None;
    }
    SignIn::Password {
        user: user.to_owned(),
        password: Secret::new("hiraku".to_owned()),
        mechanism: chance.pick(&[PasswordMechanism::Auto, PasswordMechanism::Plain, PasswordMechanism::Login]),
        allow_plaintext: true,
    }
}

fn limits(chance: &Chance, is_steady: bool, quotas: Vec<Quota>) -> Limits {
    let interval = if !is_steady && chance.one_in(5) { chance.seconds(1..=20) } else { Duration::ZERO };
    Limits {
        quotas,
        interval,
        connections_max: number(chance.among(1..=3)),
        messages_per_connection_max: number(chance.pick(&[1, 3, 20, 100])),
        ..Limits::default()
    }
}

fn quotas(chance: &Chance) -> Vec<(Quota, Window)> {
    let count = chance.below(4);
    (0..count).map(|_| quota(chance)).collect()
}

fn quota(chance: &Chance) -> (Quota, Window) {
    let unit = chance.pick(&[QuotaUnit::Messages, QuotaUnit::Recipients, QuotaUnit::Bytes]);
    let (limit, window, shape) = if chance.one_in(2) {
        let seconds = chance.pick(&[60, 600, 3_600, 86_400]);
        let window = QuotaWindow::Sliding(Duration::from_secs(seconds));
        (limit_of(chance, seconds), window, Shape::Sliding(seconds * 1_000))
    } else {
        let (span, seconds) =
            chance.pick(&[(CalendarSpan::Minute, 60), (CalendarSpan::Hour, 3_600), (CalendarSpan::Day, 86_400)]);
        let (zone, hours) = chance.pick(&ZONES);
        let shape = Shape::Calendar { millis: seconds * 1_000, ahead_millis: hours * 3_600_000 };
        (limit_of(chance, seconds), QuotaWindow::Calendar { span, zone: zone.to_owned() }, shape)
    };
    let limit = if unit == QuotaUnit::Bytes { limit * MESSAGE_BYTES_MAX } else { limit };
    (Quota { limit: number(limit).into(), unit, window }, Window { limit, unit, shape })
}

/// So much that a burst runs into it, and a day's mail gets through.
fn limit_of(chance: &Chance, seconds: u64) -> u64 {
    match seconds {
        0..=60 => chance.among(RECIPIENTS_MAX..=10),
        61..=600 => chance.among(RECIPIENTS_MAX..=15),
        601..=3_600 => chance.among(RECIPIENTS_MAX..=25),
        _ => chance.among(60..=150),
    }
}

fn number(n: u64) -> NonZeroU32 {
    u32::try_from(n).ok().and_then(NonZeroU32::new).expect("it is small and not zero")
}
