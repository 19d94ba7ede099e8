//! Which accounts does the demo make, and which mail does it submit?

use std::time::{Duration, SystemTime};

use hikyaku_client::{Draft, proto};

use crate::domain::limits::QuotaUnit;

/// Of so many mails each one is refused for good.
const REFUSED_EVERY: usize = 20;
/// Of so many mails each one is deferred once or twice.
const DEFERRED_EVERY: usize = 10;
/// Of so many mails of an account with a quota of recipients each ordinary one has two.
const TWO_RECIPIENTS_EVERY: usize = 2;

/// What an ordinary recipient's address begins with.
const ORDINARY: &str = "someone";

/// An account of the demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    /// Its id, which is also the local part of its address.
    pub(super) id: &'static str,
    pub(super) quotas: &'static [Allowance],
    connections_max: u32,
    /// Its part of all mails, of ten.
    tenths: usize,
}

/// A sliding quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) limit: u32,
    pub(super) unit: QuotaUnit,
    pub(super) seconds: u64,
}

/// A mail to submit.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    /// The account's place among [`SENDERS`].
    pub(super) sender: usize,
    pub(super) draft: Draft,
}

/// The accounts. Their quotas let some 300 mails through in a quarter of a minute.
pub(super) const SENDERS: [Sender; 2] = [
    Sender {
        id: "sales",
        quotas: &[Allowance { limit: 30, unit: QuotaUnit::Messages, seconds: 2 }],
        connections_max: 3,
        tenths: 6,
    },
    Sender {
        id: "support",
        quotas: &[
            Allowance { limit: 20, unit: QuotaUnit::Messages, seconds: 1 },
            Allowance { limit: 50, unit: QuotaUnit::Recipients, seconds: 5 },
        ],
        connections_max: 2,
        tenths: 4,
    },
];

impl Sender {
    /// The address that its mail is from.
    pub(super) fn address(&self) -> String {
        format!("{}@hikyaku.test", self.id)
    }

    /// Its settings for a server on this host. Of a message in doubt nobody may send a second copy without asking.
    pub(super) fn settings(&self, port: u16) -> proto::AccountSettings {
        let duration = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        proto::AccountSettings {
            from: Some(proto::Mailbox { name: self.id.to_owned(), address: self.address() }),
            server: Some(proto::Server {
                host: String::from("127.0.0.1"),
                port: u32::from(port),
                encryption: proto::Encryption::None.into(),
                ehlo_name: String::from("demo.hikyaku.test"),
                ..proto::Server::default()
            }),
            limits: Some(proto::Limits {
                quotas: self.quotas.iter().map(Allowance::settings).collect(),
                connections_max: self.connections_max,
                ..proto::Limits::default()
            }),
            retry: Some(proto::Retry {
                first_delay: duration(1),
                multiplier: 1.0,
                delay_max: duration(1),
                ..proto::Retry::default()
            }),
            in_doubt: proto::InDoubtPolicy::Hold.into(),
            ..proto::AccountSettings::default()
        }
    }
}

impl Allowance {
    pub(super) fn window(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// What is counted, in a word.
    pub(super) fn noun(self) -> &'static str {
        match self.unit {
            QuotaUnit::Messages => "messages",
            QuotaUnit::Recipients => "recipients",
            QuotaUnit::Bytes => "bytes",
        }
    }

    fn settings(&self) -> proto::Quota {
        let unit = match self.unit {
            QuotaUnit::Messages => proto::QuotaUnit::Messages,
            QuotaUnit::Recipients => proto::QuotaUnit::Recipients,
            QuotaUnit::Bytes => proto::QuotaUnit::Bytes,
        };
        let seconds = i64::try_from(self.seconds).unwrap_or(i64::MAX);
        let window = proto::quota::Window::Sliding(prost_types::Duration { seconds, nanos: 0 });
        proto::Quota { limit: self.limit.into(), unit: unit.into(), window: Some(window) }
    }
}

/// So many mails of both accounts in turn, and one of each that waits for `tomorrow`.
pub(super) fn mails(count: usize, tomorrow: SystemTime) -> Vec<Mail> {
    let mut mails: Vec<Mail> = (0..count).map(mail).collect();
    mails.extend((0..SENDERS.len()).map(|sender| {
        let draft = draft(sender, count + sender).to(&format!("{ORDINARY}@example.test")).send_at(tomorrow);
        Mail { sender, draft }
    }));
    mails
}

fn mail(number: usize) -> Mail {
    let sender = usize::from(number % 10 >= SENDERS[0].tenths);
    let conduct = conduct(number);
    let draft = draft(sender, number).to(&format!("{conduct}-{number}@example.test"));
    let counts_recipients = SENDERS[sender].quotas.iter().any(|quota| quota.unit == QuotaUnit::Recipients);
    let has_two = conduct == ORDINARY && counts_recipients && number.is_multiple_of(TWO_RECIPIENTS_EVERY);
    let draft = if has_two { draft.cc(&format!("colleague-{number}@example.test")) } else { draft };
    Mail { sender, draft }
}

/// The beginning of a mail's recipient, which tells the capturing server what to do.
fn conduct(number: usize) -> &'static str {
    // Spread over both accounts: tens and units decide together.
    let turn = number + number / 10;
    match (turn % REFUSED_EVERY, turn % DEFERRED_EVERY) {
        (7, _) if number % 4 < 2 => "refused",
        (7, _) => "dot-refused",
        (_, 3) if number.is_multiple_of(2) => "deferred-1",
        (_, 3) => "deferred-2",
        _ => ORDINARY,
    }
}

/// The key makes it safe to submit again what was not answered.
fn draft(sender: usize, number: usize) -> Draft {
    Draft::new(SENDERS[sender].id)
        .subject(format!("Demo mail {number}"))
        .text(format!("This is mail {number} of the demo. It never leaves this machine.\n"))
        .idempotency_key(format!("demo-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(part: impl Fn(&str) -> bool) -> usize {
        (0..300).filter(|&number| part(conduct(number))).count()
    }

    #[test]
    fn of_300_mails_some_are_refused_and_some_deferred() {
        assert_eq!(count(|to| to.contains("refused")), 15);
        assert_eq!(count(|to| to.starts_with("deferred")), 30);
        assert!(count(|to| to.starts_with("dot-refused")) >= 5);
        assert!(count(|to| to.starts_with("deferred-2")) >= 10);
    }

    #[test]
    fn both_accounts_have_their_part_and_one_mail_for_tomorrow() {
        let mails = mails(300, SystemTime::UNIX_EPOCH);
        let of = |sender| mails.iter().filter(|mail| mail.sender == sender).count();
        assert_eq!((of(0), of(1)), (181, 121));
    }
}
