//! How an account's rules are kept: for retries, content, results and quiet windows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        account::{ContentRules, EnvelopeSender, Results, Retry},
        address::Address,
        quiet::{DAY_MINUTES, QuietWindow, Weekdays},
    },
    storage::records::{BadRow, codes::Code, ledger::nanos, parsed::parsed},
};

/// A [`Retry`].
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryRow {
    #[prost(uint64, tag = "1")]
    pub first_delay: u64,
    #[prost(double, tag = "2")]
    pub multiplier: f64,
    #[prost(uint64, tag = "3")]
    pub delay_max: u64,
    #[prost(double, tag = "4")]
    pub jitter: f64,
    #[prost(uint64, tag = "5")]
    pub give_up_after: u64,
}

/// [`ContentRules`]. What is allowed by default is kept as what is not.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentRow {
    #[prost(uint32, tag = "1")]
    pub charset: u32,
    #[prost(bool, tag = "2")]
    pub no_attachments: bool,
    #[prost(bool, tag = "3")]
    pub no_recipient_names: bool,
    #[prost(bool, tag = "4")]
    pub lenient_addresses: bool,
    #[prost(bool, tag = "5")]
    pub virus_scan_required: bool,
    #[prost(bool, tag = "6")]
    pub virus_scan_may_fail: bool,
}

/// [`Results`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultsRow {
    #[prost(uint32, tag = "1")]
    pub notify: u32,
    #[prost(string, repeated, tag = "2")]
    pub destinations: Vec<String>,
    /// The reverse-path; the account's From when there is none.
    #[prost(string, optional, tag = "3")]
    pub envelope_sender: Option<String>,
    /// Whether each message has a reverse-path of its own.
    #[prost(bool, tag = "4")]
    pub verp: bool,
}

/// A [`QuietWindow`]. Times are in minutes after midnight.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct QuietWindowRow {
    /// Bit 0 is Monday.
    #[prost(uint32, tag = "1")]
    pub days: u32,
    #[prost(uint32, tag = "2")]
    pub from: u32,
    #[prost(uint32, tag = "3")]
    pub to: u32,
    #[prost(string, tag = "4")]
    pub zone: String,
    #[prost(uint32, tag = "5")]
    pub rule: u32,
}

impl From<Retry> for RetryRow {
    fn from(retry: Retry) -> Self {
        Self {
            first_delay: nanos(retry.first_delay),
            multiplier: retry.multiplier,
            delay_max: nanos(retry.delay_max),
            jitter: retry.jitter,
            give_up_after: nanos(retry.give_up_after),
        }
    }
}

impl From<RetryRow> for Retry {
    fn from(row: RetryRow) -> Self {
        Self {
            first_delay: Duration::from_nanos(row.first_delay),
            multiplier: row.multiplier,
            delay_max: Duration::from_nanos(row.delay_max),
            jitter: row.jitter,
            give_up_after: Duration::from_nanos(row.give_up_after),
        }
    }
}

impl From<ContentRules> for ContentRow {
    fn from(rules: ContentRules) -> Self {
        Self {
            charset: rules.charset.code(),
            no_attachments: !rules.attachments_allowed,
            no_recipient_names: !rules.recipient_names,
            lenient_addresses: rules.lenient_addresses,
            virus_scan_required: rules.virus_scan_required,
            virus_scan_may_fail: rules.virus_scan_may_fail,
        }
    }
}

impl TryFrom<ContentRow> for ContentRules {
    type Error = BadRow;

    fn try_from(row: ContentRow) -> Result<Self, BadRow> {
        Ok(Self {
            charset: Code::from_code(row.charset)?,
            attachments_allowed: !row.no_attachments,
            recipient_names: !row.no_recipient_names,
            lenient_addresses: row.lenient_addresses,
            virus_scan_required: row.virus_scan_required,
            virus_scan_may_fail: row.virus_scan_may_fail,
        })
    }
}

impl From<&Results> for ResultsRow {
    fn from(results: &Results) -> Self {
        let (sender, verp) = match &results.envelope_sender {
            EnvelopeSender::Account => (None, false),
            EnvelopeSender::Address(address) => (Some(address), false),
            EnvelopeSender::Verp(address) => (Some(address), true),
        };
        Self {
            notify: results.notify.code(),
            destinations: results.destinations.clone(),
            envelope_sender: sender.map(|address| address.as_str().to_owned()),
            verp,
        }
    }
}

impl TryFrom<ResultsRow> for Results {
    type Error = BadRow;

    fn try_from(row: ResultsRow) -> Result<Self, BadRow> {
        let sender = row.envelope_sender.map(|address| parsed::<Address>("envelope sender", &address)).transpose()?;
        Ok(Self {
            notify: Code::from_code(row.notify)?,
            destinations: row.destinations,
            envelope_sender: match sender {
                None => EnvelopeSender::Account,
                Some(address) if row.verp => EnvelopeSender::Verp(address),
                Some(address) => EnvelopeSender::Address(address),
            },
        })
    }
}

impl From<&QuietWindow> for QuietWindowRow {
    fn from(window: &QuietWindow) -> Self {
        Self {
            days: window.days.iter().fold(0, |bits, day| bits | 1 << day),
            from: window.from.into(),
            to: window.to.into(),
            zone: window.zone.clone(),
            rule: window.rule.code(),
        }
    }
}

impl TryFrom<QuietWindowRow> for QuietWindow {
    type Error = BadRow;

    fn try_from(row: QuietWindowRow) -> Result<Self, BadRow> {
        let minutes = |number: u32| u16::try_from(number).ok().filter(|minutes| *minutes <= DAY_MINUTES);
        let beyond = || BadRow::new("quiet window", "a time is beyond the day");
        Ok(Self {
            days: Weekdays::new((0..7).filter(|day| row.days & (1 << day) != 0)),
            from: minutes(row.from).filter(|from| *from < DAY_MINUTES).ok_or_else(beyond)?,
            to: minutes(row.to).ok_or_else(beyond)?,
            zone: row.zone,
            rule: Code::from_code(row.rule)?,
        })
    }
}
