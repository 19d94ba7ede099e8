//! Accounts on the wire: the whole, who they are, and to whom they belong.

use hikyaku_proto::v1;

use super::{
    content::{from_content, from_signature, to_content, to_signature},
    hours::{from_windows, to_windows},
    limits::{from_limits, to_limits},
    mailbox::{check_lending, from_incoming, to_incoming},
    names::{from_patterns, to_labels, to_mailboxes, to_patterns},
    results::{from_results, to_results},
    retry::{from_retry, to_retry},
    server::{Ports, from_server, to_server},
    sign_in::{Surroundings, from_sign_in, to_sign_in},
    suppression_rules::{from_suppression_rules, to_suppression_rules},
    values::{from_mailbox, from_time, one_line, parse, to_mailbox, to_receiver},
    violations::{Violation, Violations},
};
use crate::{
    domain::{
        account::{AccountSettings, InDoubtPolicy, IncomingMailbox, MailboxProtocol, SignIn},
        ids::Caller,
        limits::Limits,
        mail::Mailbox,
        parking::{ParkingCause, Standing},
        secret::Secret,
    },
    storage::AccountRecord,
};

const DISPLAY_NAME_BYTES_MAX: usize = 200;

/// What a caller sent as the settings of an account.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::service) struct ReadSettings {
    /// The settings.
    pub(in crate::service) settings: AccountSettings,
    /// A refresh token that was got elsewhere. It is no setting, for it changes by itself.
    pub(in crate::service) refresh_token: Option<Secret<String>>,
}

/// An account on the wire, without its secrets.
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

/// Settings on the wire, without their secrets.
pub(in crate::service) fn from_settings(settings: &AccountSettings) -> v1::AccountSettings {
    let mailboxes = |mailboxes: &[Mailbox]| mailboxes.iter().map(from_mailbox).collect();
    let mailbox_signs_in = settings.mailbox.as_ref().is_some_and(|mailbox| mailbox.sign_in.is_some());
    // Where no mailbox signs in, no way means no sign-in too.
    let sign_in = Some(&settings.sign_in).filter(|way| mailbox_signs_in || **way != SignIn::None);
    let in_doubt = match settings.in_doubt {
        InDoubtPolicy::Resend => v1::InDoubtPolicy::Resend,
        InDoubtPolicy::Hold => v1::InDoubtPolicy::Hold,
        InDoubtPolicy::Reconcile => v1::InDoubtPolicy::Reconcile,
    };
    v1::AccountSettings {
        display_name: settings.display_name.clone(),
        from: Some(from_mailbox(&settings.from)),
        may_send_as: from_patterns(&settings.may_send_as),
        reply_to: settings.reply_to.as_ref().map(from_mailbox),
        server: Some(from_server(&settings.server)),
        sign_in: sign_in.and_then(from_sign_in),
        limits: Some(from_limits(&settings.limits)),
        retry: Some(from_retry(&settings.retry)),
        in_doubt: in_doubt.into(),
        labels: settings.labels.iter().map(|label| label.as_str().to_owned()).collect(),
        owner: settings.owner.as_ref().map(|owner| owner.as_str().to_owned()).unwrap_or_default(),
        unlisted: settings.unlisted,
        default_cc: mailboxes(&settings.default_cc),
        default_bcc: mailboxes(&settings.default_bcc),
        signature: from_signature(&settings.signature),
        quiet_windows: from_windows(&settings.quiet_windows),
        content: Some(from_content(&settings.content)),
        results: Some(from_results(&settings.results)),
        mailbox: settings.mailbox.as_ref().map(from_incoming),
        suppression: Some(from_suppression_rules(&settings.suppression)),
    }
}

fn from_standing(standing: &Standing) -> v1::AccountStanding {
    let state = state_of(standing).into();
    let Standing::Parked(parking) = standing else {
        return v1::AccountStanding { state, ..v1::AccountStanding::default() };
    };
    v1::AccountStanding {
        state,
        reason: parking.reason.clone(),
        reply: parking.reply.as_ref().map(|reply| reply.text().to_owned()).unwrap_or_default(),
        since: Some(from_time(parking.since)),
        until: parking.until.map(from_time),
    }
}

/// The state on the wire of an account that stands like this.
pub(in crate::service) const fn state_of(standing: &Standing) -> v1::AccountState {
    let Standing::Parked(parking) = standing else {
        return v1::AccountState::Active;
    };
    match parking.cause {
        ParkingCause::Paused => v1::AccountState::Paused,
        ParkingCause::NeedsReauth => v1::AccountState::NeedsReauth,
        ParkingCause::QuotaExhausted => v1::AccountState::QuotaExhausted,
        ParkingCause::Throttled => v1::AccountState::Throttled,
        ParkingCause::SuspendedByProvider => v1::AccountState::SuspendedByProvider,
        ParkingCause::Unreachable => v1::AccountState::Unreachable,
    }
}

/// Settings that a caller sent. An empty secret keeps that of `stored`, the settings as they were.
pub(in crate::service) fn to_settings(
    settings: Option<v1::AccountSettings>,
    stored: Option<&AccountSettings>,
    mut violations: Violations,
) -> Result<ReadSettings, Vec<Violation>> {
    let Some(wire) = settings else {
        violations.add("settings", "is required");
        return violations.finish(None);
    };
    let settings = read_settings(wire, stored, &mut violations);
    violations.finish(settings)
}

fn read_settings(
    wire: v1::AccountSettings,
    stored: Option<&AccountSettings>,
    violations: &mut Violations,
) -> Option<ReadSettings> {
    let display_name = one_line(wire.display_name, DISPLAY_NAME_BYTES_MAX, "settings.display_name", violations);
    let from = to_from(wire.from, violations);
    let may_send_as = to_patterns(&wire.may_send_as, "settings.may_send_as", violations);
    let reply_to = wire
        .reply_to
        .map_or(Some(None), |mailbox| to_receiver(mailbox, None, "settings.reply_to", violations).map(Some));
    let old = stored.map(|stored| &stored.server);
    let server = to_server(wire.server, old, Ports::Smtp, "settings.server", violations);
    // Whoever may change the server could otherwise read the passwords that others have given.
    let is_elsewhere = stored.zip(server.as_ref()).is_some_and(|(old, new)| !new.may_have_secrets_of(&old.server));
    let around = Surroundings {
        stored: stored.filter(|_| !is_elsewhere).map(|stored| &stored.sign_in),
        encryption: server.as_ref().map(|server| server.encryption),
        mailbox_signs_in: wire.mailbox.as_ref().is_some_and(|mailbox| mailbox.sign_in.is_some()),
    };
    let signed = to_sign_in(wire.sign_in, around, "settings.sign_in", violations);
    let limits = to_limits(wire.limits, "settings.limits", violations);
    let limits = limits.inspect(|limits| check_burst(limits, violations));
    let retry = to_retry(wire.retry.unwrap_or_default(), violations);
    let labels = to_labels(&wire.labels, "settings.labels", violations);
    let owner = to_owner(&wire.owner, violations);
    let default_cc = to_mailboxes(wire.default_cc, "settings.default_cc", violations);
    let default_bcc = to_mailboxes(wire.default_bcc, "settings.default_bcc", violations);
    let signature = to_signature(wire.signature, "settings.signature", violations);
    let quiet_windows = to_windows(wire.quiet_windows, "settings.quiet_windows", violations);
    let content = to_content(wire.content, "settings.content", violations);
    if content.is_some_and(|content| content.lenient_addresses) {
        violations.take_unless_lenient();
    }
    let results = to_results(wire.results, "settings.results", violations);
    let mailbox = to_mailbox_of_bounces(wire.mailbox, stored, is_elsewhere, violations);
    let suppression = to_suppression_rules(wire.suppression, "settings.suppression", violations);
    let in_doubt = to_in_doubt(wire.in_doubt, mailbox.as_ref(), violations);
    let (server, signed) = (server?, signed?);
    if let Some(Some(mailbox)) = &mailbox {
        check_lending(&signed.sign_in, server.encryption, mailbox, violations);
    }
    let settings = AccountSettings {
        display_name: display_name?,
        from: from?,
        may_send_as: may_send_as?,
        reply_to: reply_to?,
        server,
        sign_in: signed.sign_in,
        limits: limits?,
        retry: retry?,
        in_doubt: in_doubt?,
        labels: labels?,
        owner: owner?,
        unlisted: wire.unlisted,
        default_cc: default_cc?,
        default_bcc: default_bcc?,
        signature: signature?,
        quiet_windows: quiet_windows?,
        content: content?,
        results: results?,
        mailbox: mailbox?,
        suppression: suppression?,
    };
    Some(ReadSettings { settings, refresh_token: signed.refresh_token })
}

fn to_from(from: Option<v1::Mailbox>, violations: &mut Violations) -> Option<Mailbox> {
    let Some(from) = from else {
        violations.add("settings.from.address", "is required");
        return None;
    };
    to_mailbox(from, "settings.from", violations)
}

/// The policy for what is in doubt. Of a mailbox that is wrong otherwise nothing is said here.
fn to_in_doubt(
    policy: i32,
    mailbox: Option<&Option<IncomingMailbox>>,
    violations: &mut Violations,
) -> Option<InDoubtPolicy> {
    match v1::InDoubtPolicy::try_from(policy) {
        Ok(v1::InDoubtPolicy::Unspecified | v1::InDoubtPolicy::Resend) => Some(InDoubtPolicy::Resend),
        Ok(v1::InDoubtPolicy::Hold) => Some(InDoubtPolicy::Hold),
        Ok(v1::InDoubtPolicy::Reconcile) => {
            let is_imap = |mailbox: &IncomingMailbox| mailbox.protocol == MailboxProtocol::Imap;
            if mailbox.is_some_and(|mailbox| !mailbox.as_ref().is_some_and(is_imap)) {
                violations
                    .add("settings.in_doubt", "may be RECONCILE only with an IMAP mailbox, whose Sent folder is asked");
            }
            Some(InDoubtPolicy::Reconcile)
        }
        Err(_) => {
            violations.add("settings.in_doubt", "must be RESEND, HOLD or RECONCILE");
            None
        }
    }
}

fn to_owner(owner: &str, violations: &mut Violations) -> Option<Option<Caller>> {
    match owner {
        "" => Some(None),
        owner => parse::<Caller>(owner, "settings.owner", violations).map(Some),
    }
}

fn to_mailbox_of_bounces(
    mailbox: Option<v1::IncomingMailbox>,
    stored: Option<&AccountSettings>,
    is_elsewhere: bool,
    violations: &mut Violations,
) -> Option<Option<IncomingMailbox>> {
    let Some(mailbox) = mailbox else { return Some(None) };
    let mut old = stored.and_then(|stored| stored.mailbox.clone());
    if let Some(old) = old.as_mut().filter(|_| is_elsewhere) {
        // It could be lent to the new server.
        old.sign_in = None;
    }
    to_incoming(mailbox, old.as_ref(), "settings.mailbox", violations).map(Some)
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

#[cfg(test)]
mod tests;
