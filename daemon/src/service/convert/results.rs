//! Where an account's bounces and notices go, on the wire.

use hikyaku_proto::v1::{self, envelope_sender::Sender};

use super::{values::parse, violations::Violations};
use crate::{
    domain::{
        account::{EnvelopeSender, NotifyPolicy, Results},
        address::Address,
    },
    policy::verp::BASE_LOCAL_PART_BYTES_MAX,
};

const DESTINATIONS_MAX: usize = 10;
const DESTINATION_BYTES_MAX: usize = 2_048;
const KINDS: [&str; 5] = ["webhook", "slack", "teams", "chatwork", "line"];

/// Results on the wire.
pub(super) fn from_results(results: &Results) -> v1::Results {
    let notify = match results.notify {
        NotifyPolicy::Always => v1::NotifyPolicy::Always,
        NotifyPolicy::Failures => v1::NotifyPolicy::Failures,
        NotifyPolicy::Never => v1::NotifyPolicy::Never,
    };
    let sender = match &results.envelope_sender {
        EnvelopeSender::Account => None,
        EnvelopeSender::Address(address) => Some(Sender::Address(address.as_str().to_owned())),
        EnvelopeSender::Verp(address) => Some(Sender::Verp(address.as_str().to_owned())),
    };
    v1::Results {
        notify: notify.into(),
        destinations: results.destinations.clone(),
        envelope_sender: sender.map(|sender| v1::EnvelopeSender { sender: Some(sender) }),
    }
}

/// Results that a caller sent.
pub(super) fn to_results(wire: Option<v1::Results>, at: &str, violations: &mut Violations) -> Option<Results> {
    let wire = wire.unwrap_or_default();
    let notify = match v1::NotifyPolicy::try_from(wire.notify) {
        Ok(v1::NotifyPolicy::Unspecified | v1::NotifyPolicy::Never) => Some(NotifyPolicy::Never),
        Ok(v1::NotifyPolicy::Always) => Some(NotifyPolicy::Always),
        Ok(v1::NotifyPolicy::Failures) => Some(NotifyPolicy::Failures),
        Err(_) => {
            violations.add(format_args!("{at}.notify"), "must be ALWAYS, FAILURES or NEVER");
            None
        }
    };
    let destinations = to_destinations(wire.destinations, at, violations);
    let mut sender = |address: String, name: &str| {
        parse::<Address>(&address, format_args!("{at}.envelope_sender.{name}"), violations)
    };
    let envelope_sender = match wire.envelope_sender.and_then(|sender| sender.sender) {
        None => Some(EnvelopeSender::Account),
        Some(Sender::Address(address)) => sender(address, "address").map(EnvelopeSender::Address),
        Some(Sender::Verp(address)) => sender(address, "verp").map(EnvelopeSender::Verp),
    };
    if let Some(EnvelopeSender::Verp(base)) = &envelope_sender
        && base.local_part().len() > BASE_LOCAL_PART_BYTES_MAX
    {
        let allowed =
            format_args!("must have at most {BASE_LOCAL_PART_BYTES_MAX} bytes before the @, so that a tag fits");
        violations.add(format_args!("{at}.envelope_sender.verp"), allowed);
    }
    Some(Results { notify: notify?, destinations: destinations?, envelope_sender: envelope_sender? })
}

fn to_destinations(texts: Vec<String>, at: &str, violations: &mut Violations) -> Option<Vec<String>> {
    if texts.len() > DESTINATIONS_MAX {
        violations.add(format_args!("{at}.destinations"), format_args!("has more than {DESTINATIONS_MAX} entries"));
        return None;
    }
    let mut are_good = true;
    for (index, _) in texts.iter().enumerate().filter(|(_, text)| !is_destination(text)) {
        let allowed = format_args!(
            "must be \"mailto:\" with an address, or one of {} with \"+https://…\", at most {DESTINATION_BYTES_MAX} bytes",
            KINDS.join(", ")
        );
        violations.add(format_args!("{at}.destinations[{index}]"), allowed);
        are_good = false;
    }
    are_good.then_some(texts)
}

fn is_destination(text: &str) -> bool {
    if text.len() > DESTINATION_BYTES_MAX {
        return false;
    }
    if let Some(address) = text.strip_prefix("mailto:") {
        return address.parse::<Address>().is_ok();
    }
    text.split_once('+').is_some_and(|(kind, url)| {
        let url = reqwest::Url::parse(url).ok().filter(|_| url.starts_with("https://") && is_printable(url));
        KINDS.contains(&kind) && url.is_some_and(|url| url.has_host())
    })
}

/// What the URL parser would silently leave out is a mistake.
fn is_printable(url: &str) -> bool {
    !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wire: v1::Results, expected: &[&str]) {
        let mut violations = Violations::default();
        let read = to_results(Some(wire), "r", &mut violations);
        let found = violations.finish(read).err().unwrap_or_default();
        assert_eq!(found.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_destination(text: &str, is_good: bool) {
        let expected: &[&str] = if is_good { &[] } else { &["r.destinations[0]"] };
        check(v1::Results { destinations: vec![text.into()], ..v1::Results::default() }, expected);
    }

    #[test]
    fn destinations_are_addresses_or_https_urls_of_a_known_kind() {
        check_destination("mailto:a@example.jp", true);
        check_destination("mailto:nobody", false);
        check_destination("mailto:a@example.jp\r\nBcc: x", false);
        for kind in KINDS {
            check_destination(&format!("{kind}+https://hooks.example/a?b=c"), true);
        }
        check_destination("https://hooks.example/a", false);
        check_destination("pager+https://hooks.example/a", false);
        check_destination("slack+http://hooks.example/a", false);
        check_destination("slack+https://", false);
        check_destination("slack+https://hooks.example/a\nb", false);
        check_destination(&format!("slack+https://hooks.example/{}", "x".repeat(2_048)), false);
    }

    #[test]
    fn each_bound_is_told_with_its_field() {
        let usual = v1::Results::default;
        let sender = |sender| Some(v1::EnvelopeSender { sender: Some(sender) });
        check(v1::Results { notify: 9, ..usual() }, &["r.notify"]);
        check(v1::Results { destinations: vec!["mailto:a@b".into(); 11], ..usual() }, &["r.destinations"]);
        let wrong = sender(Sender::Address("x".into()));
        check(v1::Results { envelope_sender: wrong, ..usual() }, &["r.envelope_sender.address"]);
        let wrong = sender(Sender::Verp("x".into()));
        check(v1::Results { envelope_sender: wrong, ..usual() }, &["r.envelope_sender.verp"]);
        check(v1::Results { envelope_sender: Some(v1::EnvelopeSender { sender: None }), ..usual() }, &[]);
    }
}
