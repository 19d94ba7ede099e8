//! Accounts on the wire.

use std::{ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1;

use super::{
    limits::{from_limits, to_limits},
    server::{from_server, to_server},
    sign_in::{from_sign_in, to_sign_in},
    values::{from_duration, from_mailbox, from_time, one_line, parse, to_duration, to_mailbox},
    violations::{Violation, Violations},
};
use crate::{
    domain::{
        account::{AccountSettings, InDoubtPolicy, Retry, SenderPattern, SignIn},
        address::Address,
        limits::Limits,
        parking::{ParkingCause, Standing},
    },
    storage::AccountRecord,
};

const DISPLAY_NAME_BYTES_MAX: usize = 200;
/// Most further From addresses and domains of one account.
const SENDER_PATTERNS_MAX: usize = 1_000;
const FIRST_DELAY_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
const DELAY_MAX_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3_600);
const GIVE_UP_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3_600);
const MULTIPLIER_BOUNDS: RangeInclusive<f64> = 1.0..=10.0;
const JITTER_BOUNDS: RangeInclusive<f64> = 0.0..=1.0;

/// An account on the wire, without its password.
pub(in crate::service) fn from_account(record: &AccountRecord) -> v1::Account {
    let account = &record.account;
    v1::Account {
        account_id: account.id.as_str().to_owned(),
        settings: Some(from_settings(&account.settings)),
        etag: account.etag.to_string(),
        created_at: Some(from_time(account.created.at)),
        created_by: account.created.by.as_str().to_owned(),
        updated_at: Some(from_time(account.updated.at)),
        updated_by: account.updated.by.as_str().to_owned(),
        standing: Some(from_standing(&record.standing)),
        open_jobs: record.open_jobs,
        oauth: None,
    }
}

fn from_settings(settings: &AccountSettings) -> v1::AccountSettings {
    let may_send_as = settings.may_send_as.iter().map(|pattern| match pattern {
        SenderPattern::Address(address) => address.as_str().to_owned(),
        SenderPattern::Domain(domain) => format!("@{domain}"),
    });
    v1::AccountSettings {
        display_name: settings.display_name.clone(),
        from: Some(from_mailbox(&settings.from)),
        may_send_as: may_send_as.collect(),
        reply_to: settings.reply_to.as_ref().map(from_mailbox),
        server: Some(from_server(&settings.server)),
        sign_in: from_sign_in(&settings.sign_in),
        limits: Some(from_limits(&settings.limits)),
        retry: Some(from_retry(&settings.retry)),
        in_doubt: match settings.in_doubt {
            InDoubtPolicy::Resend => v1::InDoubtPolicy::Resend,
            InDoubtPolicy::Hold => v1::InDoubtPolicy::Hold,
        }
        .into(),
        ..v1::AccountSettings::default()
    }
}

fn from_retry(retry: &Retry) -> v1::Retry {
    v1::Retry {
        first_delay: Some(from_duration(retry.first_delay)),
        multiplier: retry.multiplier,
        delay_max: Some(from_duration(retry.delay_max)),
        jitter: Some(retry.jitter),
        give_up_after: Some(from_duration(retry.give_up_after)),
    }
}

fn from_standing(standing: &Standing) -> v1::AccountStanding {
    let Standing::Parked(parking) = standing else {
        return v1::AccountStanding { state: v1::AccountState::Active.into(), ..v1::AccountStanding::default() };
    };
    let state = match parking.cause {
        ParkingCause::Paused => v1::AccountState::Paused,
        ParkingCause::NeedsReauth => v1::AccountState::NeedsReauth,
        ParkingCause::QuotaExhausted => v1::AccountState::QuotaExhausted,
        ParkingCause::Throttled => v1::AccountState::Throttled,
        ParkingCause::SuspendedByProvider => v1::AccountState::SuspendedByProvider,
        ParkingCause::Unreachable => v1::AccountState::Unreachable,
    };
    v1::AccountStanding {
        state: state.into(),
        reason: parking.reason.clone(),
        reply: parking.reply.as_ref().map(|reply| reply.text().to_owned()).unwrap_or_default(),
        since: Some(from_time(parking.since)),
        until: parking.until.map(from_time),
    }
}

/// Settings that a caller sent. An empty password keeps that of `stored`, the sign-in as it was.
pub(in crate::service) fn to_settings(
    settings: Option<v1::AccountSettings>,
    stored: Option<&SignIn>,
    mut violations: Violations,
) -> Result<AccountSettings, Vec<Violation>> {
    let settings = read_settings(settings, stored, &mut violations);
    violations.finish(settings)
}

fn read_settings(
    settings: Option<v1::AccountSettings>,
    stored: Option<&SignIn>,
    violations: &mut Violations,
) -> Option<AccountSettings> {
    let Some(wire) = settings else {
        violations.add("settings", "is required");
        return None;
    };
    let display_name = one_line(wire.display_name, DISPLAY_NAME_BYTES_MAX, "settings.display_name", violations);
    let from = match wire.from {
        Some(from) => to_mailbox(from, None, "settings.from", violations),
        None => {
            violations.add("settings.from.address", "is required");
            None
        }
    };
    let may_send_as = to_patterns(&wire.may_send_as, violations);
    let reply_to = match wire.reply_to {
        Some(mailbox) => to_mailbox(mailbox, None, "settings.reply_to", violations).map(Some),
        None => Some(None),
    };
    let server = to_server(wire.server, "settings.server", violations);
    let encryption = server.as_ref().map(|server| server.encryption);
    let sign_in = to_sign_in(wire.sign_in, stored, encryption, "settings.sign_in", violations);
    let limits = to_limits(wire.limits, "settings.limits", violations);
    if let Some(limits) = &limits {
        check_burst(limits, violations);
    }
    let retry = to_retry(wire.retry.unwrap_or_default(), violations);
    let in_doubt = match v1::InDoubtPolicy::try_from(wire.in_doubt) {
        Ok(v1::InDoubtPolicy::Unspecified | v1::InDoubtPolicy::Resend) => Some(InDoubtPolicy::Resend),
        Ok(v1::InDoubtPolicy::Hold) => Some(InDoubtPolicy::Hold),
        Err(_) => {
            violations.add("settings.in_doubt", "must be RESEND or HOLD");
            None
        }
    };
    Some(AccountSettings {
        display_name: display_name?,
        may_send_as: may_send_as?,
        reply_to: reply_to?,
        sign_in: sign_in?,
        limits: limits?,
        retry: retry?,
        in_doubt: in_doubt?,
        ..AccountSettings::new(from?, server?)
    })
}

/// A burst that takes longer than a day to earn is a slip of the pen.
fn check_burst(limits: &Limits, violations: &mut Violations) {
    const BURST_MINUTES_MAX: u32 = 24 * 60;
    if let Some(pace) = limits.pace {
        let most = pace.messages_per_minute.get().saturating_mul(BURST_MINUTES_MAX);
        if pace.burst.get() > most {
            violations.add("settings.limits.pace.burst", format_args!("must be at most a day's pace, {most}"));
        }
    }
}

fn to_patterns(texts: &[String], violations: &mut Violations) -> Option<Vec<SenderPattern>> {
    if texts.len() > SENDER_PATTERNS_MAX {
        violations.add("settings.may_send_as", format_args!("has more than {SENDER_PATTERNS_MAX} entries"));
        return None;
    }
    let read = texts.iter().enumerate().map(|(index, text)| {
        let at = format!("settings.may_send_as[{index}]");
        let Some(domain) = text.strip_prefix('@') else {
            return parse::<Address>(text, at, violations).map(SenderPattern::Address);
        };
        // A domain is valid where an address of it is.
        let probe = parse::<Address>(&format!("x{text}"), at, violations);
        probe.map(|_| SenderPattern::Domain(domain.to_owned()))
    });
    let patterns: Vec<_> = read.collect();
    patterns.into_iter().collect()
}

fn to_retry(wire: v1::Retry, violations: &mut Violations) -> Option<Retry> {
    let usual = Retry::default();
    let mut length = |given, default, bounds, field: &str| {
        to_duration(given, default, bounds, format_args!("settings.retry.{field}"), violations)
    };
    let first_delay = length(wire.first_delay, usual.first_delay, &FIRST_DELAY_BOUNDS, "first_delay");
    let delay_max =
        length(wire.delay_max, usual.delay_max.max(first_delay.unwrap_or_default()), &DELAY_MAX_BOUNDS, "delay_max");
    let give_up_after = length(wire.give_up_after, usual.give_up_after, &GIVE_UP_BOUNDS, "give_up_after");
    if let (Some(first), Some(longest)) = (first_delay, delay_max)
        && longest < first
    {
        violations.add("settings.retry.delay_max", "must not be shorter than first_delay");
    }
    let multiplier = if wire.multiplier == 0.0 { usual.multiplier } else { wire.multiplier };
    if !MULTIPLIER_BOUNDS.contains(&multiplier) {
        violations.add("settings.retry.multiplier", "must be from 1 to 10");
    }
    let jitter = wire.jitter.unwrap_or(usual.jitter);
    if !JITTER_BOUNDS.contains(&jitter) {
        violations.add("settings.retry.jitter", "must be from 0 to 1");
    }
    Some(Retry { first_delay: first_delay?, multiplier, delay_max: delay_max?, jitter, give_up_after: give_up_after? })
}

#[cfg(test)]
mod tests;
