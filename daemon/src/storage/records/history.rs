//! How what providers said is kept: each text and each finding once a job, wherever it is meant.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    BadRow,
    codes::{Code, optional},
    report::ReportRow,
    suppression::SuppressedRow,
};
use crate::domain::{
    attempt::{Attempt, Finding, Outcome, Response},
    reply::Reply,
    report::Report,
    suppression::SuppressedBy,
    time::Timestamp,
};

/// The texts and findings of a job. Others refer to them by their place, counted from 1; 0 means none.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryRow {
    /// What providers said, or what broke in our words.
    #[prost(string, repeated, tag = "1")]
    pub texts: Vec<String>,
    /// What was met.
    #[prost(message, repeated, tag = "2")]
    pub findings: Vec<FindingRow>,
    /// The latest attempts, oldest first.
    #[prost(message, repeated, tag = "3")]
    pub attempts: Vec<AttemptRow>,
    /// What came back.
    #[prost(message, repeated, tag = "4")]
    pub reports: Vec<ReportRow>,
    /// What kept recipients out.
    #[prost(message, repeated, tag = "5")]
    pub suppressed: Vec<SuppressedRow>,
}

/// A [`Finding`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct FindingRow {
    /// The phase.
    #[prost(uint32, tag = "1")]
    pub phase: u32,
    /// The place of the text.
    #[prost(uint32, tag = "2")]
    pub text: u32,
    /// Whether the text is a reply.
    #[prost(bool, tag = "3")]
    pub replied: bool,
    /// The verdict.
    #[prost(uint32, tag = "4")]
    pub verdict: u32,
    /// Who is to blame; 0 for nobody.
    #[prost(uint32, tag = "5")]
    pub blame: u32,
}

/// An [`Attempt`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptRow {
    /// Counted from 1.
    #[prost(uint32, tag = "1")]
    pub number: u32,
    /// In milliseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub started: u64,
    /// In milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub ended: u64,
    /// What it met.
    #[prost(message, repeated, tag = "4")]
    pub outcomes: Vec<OutcomeRow>,
}

/// An [`Outcome`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct OutcomeRow {
    /// Indexes of recipients.
    #[prost(uint32, repeated, tag = "1")]
    pub recipients: Vec<u32>,
    /// The place of the finding.
    #[prost(uint32, tag = "2")]
    pub finding: u32,
    /// What follows.
    #[prost(uint32, tag = "3")]
    pub fate: u32,
}

/// Collects texts and findings, each once.
#[derive(Debug, Default)]
pub(super) struct HistoryWriter<'a> {
    row: HistoryRow,
    texts: HashMap<&'a str, u32>,
    findings: HashMap<FindingRow, u32>,
}

impl<'a> HistoryWriter<'a> {
    /// The place of a text.
    pub(super) fn text(&mut self, text: &'a str) -> u32 {
        *self.texts.entry(text).or_insert_with(|| {
            self.row.texts.push(text.to_owned());
            place(self.row.texts.len())
        })
    }

    /// The place of a report.
    pub(super) fn report(&mut self, report: &Report) -> u32 {
        self.row.reports.push(report.into());
        place(self.row.reports.len())
    }

    /// The place of what kept a recipient out.
    pub(super) fn suppressed(&mut self, by: &SuppressedBy) -> u32 {
        let row = SuppressedRow::from(by);
        if let Some(known) = self.row.suppressed.iter().position(|known| *known == row) {
            return place(known + 1);
        }
        self.row.suppressed.push(row);
        place(self.row.suppressed.len())
    }

    /// The place of a finding.
    pub(super) fn finding(&mut self, finding: &'a Finding) -> u32 {
        let row = FindingRow {
            phase: finding.phase.code(),
            text: self.text(finding.response.text()),
            replied: finding.response.reply().is_some(),
            verdict: finding.verdict.code(),
            blame: finding.blame.map_or(0, Code::code),
        };
        *self.findings.entry(row).or_insert_with(|| {
            self.row.findings.push(row);
            place(self.row.findings.len())
        })
    }

    /// Everything collected, with the attempts.
    pub(super) fn finish(mut self, attempts: &'a [Attempt]) -> Option<HistoryRow> {
        let rows = attempts.iter().map(|attempt| AttemptRow {
            number: attempt.number,
            started: attempt.started.as_millis(),
            ended: attempt.ended.as_millis(),
            outcomes: attempt.outcomes.iter().map(|outcome| self.outcome(outcome)).collect(),
        });
        let rows = rows.collect();
        self.row.attempts = rows;
        (self.row != HistoryRow::default()).then_some(self.row)
    }

    fn outcome(&mut self, outcome: &'a Outcome) -> OutcomeRow {
        OutcomeRow {
            recipients: outcome.recipients.clone(),
            finding: self.finding(&outcome.finding),
            fate: outcome.fate.code(),
        }
    }
}

impl HistoryRow {
    pub(super) fn text(&self, place: u32) -> Result<&str, BadRow> {
        let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        let text = index.and_then(|index| self.texts.get(index));
        text.map(String::as_str).ok_or_else(|| BadRow::new("history", format_args!("no text {place}")))
    }

    pub(super) fn reply(&self, place: u32) -> Result<Reply, BadRow> {
        let text = self.text(place)?;
        Reply::from_lines(text).ok_or_else(|| BadRow::new("history", format_args!("text {place} is no reply")))
    }

    pub(super) fn finding(&self, place: u32) -> Result<Finding, BadRow> {
        let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        let row = index.and_then(|index| self.findings.get(index));
        let row = row.ok_or_else(|| BadRow::new("history", format_args!("no finding {place}")))?;
        let response = if row.replied {
            Response::Replied(self.reply(row.text)?)
        } else {
            Response::Broken(self.text(row.text)?.to_owned())
        };
        Ok(Finding {
            phase: Code::from_code(row.phase)?,
            response,
            verdict: Code::from_code(row.verdict)?,
            blame: optional(row.blame)?,
        })
    }

    pub(super) fn report(&self, place: u32) -> Result<Report, BadRow> {
        let row = usize::try_from(place).ok().and_then(|place| self.reports.get(place.checked_sub(1)?));
        row.cloned().ok_or_else(|| BadRow::new("history", format_args!("no report {place}")))?.try_into()
    }

    pub(super) fn suppressed(&self, place: u32) -> Result<SuppressedBy, BadRow> {
        let row = usize::try_from(place).ok().and_then(|place| self.suppressed.get(place.checked_sub(1)?));
        row.ok_or_else(|| BadRow::new("history", format_args!("no suppression {place}")))?.try_into()
    }

    pub(super) fn attempts(&self) -> Result<Vec<Attempt>, BadRow> {
        let outcome = |row: &OutcomeRow| {
            let finding = self.finding(row.finding)?;
            Ok(Outcome { recipients: row.recipients.clone(), finding, fate: Code::from_code(row.fate)? })
        };
        let attempt = |row: &AttemptRow| {
            Ok(Attempt {
                number: row.number,
                started: Timestamp::from_millis(row.started),
                ended: Timestamp::from_millis(row.ended),
                outcomes: row.outcomes.iter().map(outcome).collect::<Result<_, BadRow>>()?,
            })
        };
        self.attempts.iter().map(attempt).collect()
    }
}

fn place(len: usize) -> u32 {
    u32::try_from(len).expect("a job's history is bounded far below four billion texts")
}
