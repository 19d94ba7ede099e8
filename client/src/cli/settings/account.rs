//! The settings of an account, each by its key and its default.

use std::time::Duration;

use hikyaku_client::proto::{
    AccountSettings, Charset, ContentRules, EnvelopeSender, InDoubtPolicy, NotifyPolicy, Results, Retry, Signature,
    SuppressionRules, envelope_sender::Sender,
};
use toml::Value;

use super::{
    fields::{Choices, Fields, as_real},
    limits::limits,
    mailbox::mailbox,
    server::{Ports, server},
    sign_in::sign_in,
};
use crate::cli::quiet_text::{parse_quiet, show_quiet};

const IN_DOUBT: Choices = &[
    ("resend", InDoubtPolicy::Resend as i32),
    ("hold", InDoubtPolicy::Hold as i32),
    ("reconcile", InDoubtPolicy::Reconcile as i32),
];
const CHARSETS: Choices = &[
    ("utf-8", Charset::Utf8 as i32),
    ("iso-2022-jp", Charset::Iso2022Jp as i32),
    ("iso-2022-jp-replace", Charset::Iso2022JpReplace as i32),
    ("iso-2022-jp-reject", Charset::Iso2022JpReject as i32),
];
const NOTIFY: Choices = &[
    ("never", NotifyPolicy::Never as i32),
    ("always", NotifyPolicy::Always as i32),
    ("failures", NotifyPolicy::Failures as i32),
];
/// How many soft bounces in a row suppress by default.
const SOFT_BOUNCES: u32 = 5;
const DAY_SECONDS: u64 = 86_400;
/// Marks an envelope sender that is made anew for each message.
const VERP_MARK: &str = "verp:";

/// All settings.
pub(crate) fn account<F: Fields>(f: &mut F, settings: &mut AccountSettings) {
    f.text("display_name", &mut settings.display_name);
    f.mailbox("from", &mut settings.from);
    f.texts("may_send_as", &mut settings.may_send_as);
    f.mailbox("reply_to", &mut settings.reply_to);
    f.mailboxes("default_cc", &mut settings.default_cc);
    f.mailboxes("default_bcc", &mut settings.default_bcc);
    f.texts("labels", &mut settings.labels);
    f.text("owner", &mut settings.owner);
    f.flag("unlisted", &mut settings.unlisted);
    f.choice("in_doubt", &mut settings.in_doubt, IN_DOUBT);
    f.list("quiet_windows", &mut settings.quiet_windows, parse_quiet, show_quiet);
    f.group("server", &mut settings.server, |f, value| server(f, value, Ports::Smtp));
    f.group("sign_in", &mut settings.sign_in, sign_in);
    f.group("limits", &mut settings.limits, limits);
    f.group("retry", &mut settings.retry, retry);
    f.group("signature", &mut settings.signature, signature);
    f.group("content", &mut settings.content, content);
    f.group("results", &mut settings.results, results);
    f.group("mailbox", &mut settings.mailbox, mailbox);
    f.group("suppression", &mut settings.suppression, suppression);
}

fn suppression<F: Fields>(f: &mut F, rules: &mut SuppressionRules) {
    f.flag("off", &mut rules.off);
    f.number("soft_bounces_max", &mut rules.soft_bounces_max, SOFT_BOUNCES);
    f.length("soft_bounces_within", &mut rules.soft_bounces_within, Duration::from_secs(30 * DAY_SECONDS));
    f.length("hard_bounce_expiry", &mut rules.hard_bounce_expiry, Duration::ZERO);
    f.length("soft_bounces_expiry", &mut rules.soft_bounces_expiry, Duration::from_secs(90 * DAY_SECONDS));
    f.flag("ignore_replies", &mut rules.ignore_replies);
}

fn retry<F: Fields>(f: &mut F, retry: &mut Retry) {
    f.length("first_delay", &mut retry.first_delay, Duration::from_secs(60));
    let given = |multiplier: &f64| (*multiplier != 0.0 && *multiplier != 2.0).then_some(Value::Float(*multiplier));
    f.value("multiplier", &mut retry.multiplier, as_real, given);
    f.length("delay_max", &mut retry.delay_max, Duration::from_secs(3_600));
    let given = |jitter: &Option<f64>| jitter.filter(|jitter| *jitter != 0.2).map(Value::Float);
    f.value("jitter", &mut retry.jitter, |cell| as_real(cell).map(Some), given);
    f.length("give_up_after", &mut retry.give_up_after, Duration::from_secs(5 * 86_400));
}

fn signature<F: Fields>(f: &mut F, signature: &mut Signature) {
    f.long_text("text", &mut signature.text);
    f.long_text("html", &mut signature.html);
}

fn content<F: Fields>(f: &mut F, content: &mut ContentRules) {
    f.choice("charset", &mut content.charset, CHARSETS);
    f.flag("no_attachments", &mut content.no_attachments);
    f.flag("omit_recipient_names", &mut content.omit_recipient_names);
    f.flag("lenient_addresses", &mut content.lenient_addresses);
    f.flag("virus_scan_required", &mut content.virus_scan_required);
    f.flag("virus_scan_may_fail", &mut content.virus_scan_may_fail);
}

fn results<F: Fields>(f: &mut F, results: &mut Results) {
    f.choice("notify", &mut results.notify, NOTIFY);
    f.texts("destinations", &mut results.destinations);
    let mut sender = results.envelope_sender.take().and_then(|sender| sender.sender);
    f.parsed("envelope_sender", &mut sender, parse_sender, show_sender);
    results.envelope_sender = sender.map(|sender| EnvelopeSender { sender: Some(sender) });
}

fn parse_sender(text: &str) -> Result<Sender, String> {
    Ok(match text.strip_prefix(VERP_MARK) {
        Some(address) => Sender::Verp(address.to_owned()),
        None => Sender::Address(text.to_owned()),
    })
}

fn show_sender(sender: &Sender) -> String {
    match sender {
        Sender::Address(address) => address.clone(),
        Sender::Verp(address) => format!("{VERP_MARK}{address}"),
    }
}
