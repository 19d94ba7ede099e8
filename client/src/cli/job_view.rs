//! How jobs are shown.

use hikyaku_client::proto::{
    Approval, Attempt, Blame, ControlSummary, Finding, Job, JobState, Outcome, Recipient, RecipientField,
    RecipientState, Report, SuppressedBy, Verdict,
};
use serde::Serialize;

use super::{
    counted::counted,
    escape::{escape, escape_lines},
    output::Show,
    suppression_view::{reason_word, scope_text},
    table::{fields, table},
    tally_view::TallyView,
    time_text::show_time,
};

/// A job as it stands.
#[derive(Debug, Serialize)]
pub(crate) struct JobView {
    pub(crate) job_id: String,
    account_id: String,
    pub(crate) state: &'static str,
    sender: String,
    subject: String,
    message_id: String,
    message_bytes: u64,
    priority: &'static str,
    labels: Vec<String>,
    accepted_at: Option<String>,
    accepted_by: String,
    due_at: Option<String>,
    expires_at: Option<String>,
    attempts_made: u32,
    recipients: Vec<RecipientView>,
    attempts: Vec<AttemptView>,
    merge: bool,
    tally: TallyView,
    approval: Option<ApprovalView>,
    resent_job_id: Option<String>,
}

/// Whether a job that needs approval has it.
#[derive(Debug, Serialize)]
struct ApprovalView {
    approved_at: Option<String>,
    approved_by: String,
}

impl From<Approval> for ApprovalView {
    fn from(approval: Approval) -> Self {
        Self { approved_at: approval.approved_at.map(show_time), approved_by: approval.approved_by }
    }
}

impl ApprovalView {
    fn text(&self) -> String {
        match &self.approved_at {
            Some(at) => [at.clone()].into_iter().chain(by(&self.approved_by)).collect::<Vec<_>>().join(" by "),
            None => "waited for".to_owned(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct RecipientView {
    pub(crate) address: String,
    field: &'static str,
    pub(crate) state: &'static str,
    pub(crate) since: Option<String>,
    finding: Option<FindingView>,
    report: Option<ReportView>,
    suppressed_by: Option<SuppressedByView>,
}

/// What a mail that came back says of a recipient.
#[derive(Debug, Serialize)]
struct ReportView {
    at: Option<String>,
    kind: String,
    reason: String,
    status: String,
    diagnostic: String,
    reporting_server: String,
    inbound_id: String,
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let Report { at, kind, reason, status, diagnostic, reporting_server, inbound_id } = report;
        Self { at: at.map(show_time), kind, reason, status, diagnostic, reporting_server, inbound_id }
    }
}

/// Why a recipient must not be sent to.
#[derive(Debug, Serialize)]
struct SuppressedByView {
    scope: String,
    reason: String,
}

impl From<SuppressedBy> for SuppressedByView {
    fn from(by: SuppressedBy) -> Self {
        Self { scope: scope_text(by.scope.as_ref()), reason: reason_word(by.reason()) }
    }
}

#[derive(Debug, Serialize)]
struct AttemptView {
    number: u32,
    started_at: Option<String>,
    ended_at: Option<String>,
    outcomes: Vec<OutcomeView>,
}

#[derive(Debug, Serialize)]
struct OutcomeView {
    recipients: Vec<u32>,
    finding: Option<FindingView>,
}

#[derive(Debug, Serialize)]
struct FindingView {
    phase: String,
    code: u32,
    enhanced_code: String,
    text: String,
    verdict: &'static str,
    blame: &'static str,
}

/// How many jobs a command concerned.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryView {
    #[serde(skip)]
    pub(crate) done: &'static str,
    pub(crate) dry_run: bool,
    matched: u64,
    changed: u64,
    refused: u64,
}

impl SummaryView {
    pub(crate) fn new(done: &'static str, dry_run: bool, summary: ControlSummary) -> Self {
        let ControlSummary { matched, changed, refused } = summary;
        Self { done, dry_run, matched, changed, refused }
    }
}

impl Show for SummaryView {
    fn text(&self) -> String {
        let would = if self.dry_run { "would be " } else { "" };
        let Self { matched, changed, refused, done, .. } = self;
        format!("{matched} matched, {changed} {would}{done}, {refused} refused")
    }
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            state: state_name(job.state()),
            priority: bare(job.priority().as_str_name(), "PRIORITY_"),
            accepted_at: job.accepted_at.map(show_time),
            due_at: job.due_at.map(show_time),
            expires_at: job.expires_at.map(show_time),
            job_id: job.job_id,
            account_id: job.account_id,
            sender: job.sender,
            subject: job.subject,
            message_id: job.message_id,
            message_bytes: job.message_bytes,
            labels: job.labels,
            accepted_by: job.accepted_by,
            attempts_made: job.attempts_made,
            recipients: job.recipients.into_iter().map(Into::into).collect(),
            attempts: job.attempts.into_iter().map(Into::into).collect(),
            merge: job.merge,
            tally: job.tally.map(Into::into).unwrap_or_default(),
            approval: job.approval.map(Into::into),
            resent_job_id: Some(job.resent_job_id).filter(|id| !id.is_empty()),
        }
    }
}

impl RecipientView {
    /// What came back, what suppresses it, or what the provider said, line by line.
    pub(crate) fn reply(&self) -> String {
        if let Some(ReportView { kind, reason, diagnostic, .. }) = &self.report {
            let words = escape_lines(diagnostic).collect::<Vec<_>>().join("\n");
            return format!("{} {}: {words}", escape(kind), escape(reason));
        }
        if let Some(SuppressedByView { scope, reason }) = &self.suppressed_by {
            return format!("{} {}", escape(scope), escape(reason));
        }
        self.finding.as_ref().map(FindingView::lines).unwrap_or_default()
    }
}

impl From<Recipient> for RecipientView {
    fn from(recipient: Recipient) -> Self {
        Self {
            field: bare(RecipientField::as_str_name(&recipient.field()), "RECIPIENT_FIELD_"),
            state: bare(RecipientState::as_str_name(&recipient.state()), "RECIPIENT_STATE_"),
            since: recipient.since.map(show_time),
            address: recipient.address,
            finding: recipient.finding.map(Into::into),
            report: recipient.report.map(Into::into),
            suppressed_by: recipient.suppressed_by.map(Into::into),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let outcome =
            |outcome: Outcome| OutcomeView { recipients: outcome.recipients, finding: outcome.finding.map(Into::into) };
        Self {
            number: attempt.number,
            started_at: attempt.started_at.map(show_time),
            ended_at: attempt.ended_at.map(show_time),
            outcomes: attempt.outcomes.into_iter().map(outcome).collect(),
        }
    }
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            verdict: verdict_name(finding.verdict()),
            blame: blame_name(finding.blame()),
            phase: finding.phase,
            code: finding.code,
            enhanced_code: finding.enhanced_code,
            text: finding.text,
        }
    }
}

impl Show for JobView {
    fn text(&self) -> String {
        let bytes = counted(self.message_bytes, "byte", "bytes");
        let head = fields([
            ("job", self.job_id.clone()),
            ("state", self.state.to_owned()),
            ("account", self.account_id.clone()),
            ("sender", self.sender.clone()),
            ("subject", self.subject.clone()),
            ("message", if self.merge { String::new() } else { format!("{} ({bytes})", self.message_id) }),
            ("first message", if self.merge { bytes.clone() } else { String::new() }),
            ("priority", if self.priority == NORMAL { String::new() } else { self.priority.to_owned() }),
            ("labels", self.labels.join(", ")),
            (
                "accepted",
                self.accepted_at.iter().cloned().chain(by(&self.accepted_by)).collect::<Vec<_>>().join(" by "),
            ),
            ("approval", self.approval.as_ref().map(ApprovalView::text).unwrap_or_default()),
            ("sends again", self.resent_job_id.clone().unwrap_or_default()),
            ("due", self.due_at.clone().unwrap_or_default()),
            ("expires", self.expires_at.clone().unwrap_or_default()),
            ("attempts", if self.merge { String::new() } else { self.attempts_made.to_string() }),
            ("recipients", if self.merge { self.tally.text() } else { String::new() }),
        ]);
        if self.merge {
            return head;
        }
        let recipients = table(
            &["RECIPIENT", "FIELD", "STATE", "SINCE", "REPLY"],
            self.recipients.iter().map(|one| {
                vec![
                    escape(&one.address).into_owned(),
                    one.field.to_owned(),
                    one.state.to_owned(),
                    one.since.clone().unwrap_or_default(),
                    one.reply(),
                ]
            }),
        );
        let attempts: Vec<String> = self.attempts.iter().map(|attempt| attempt.text(&self.recipients)).collect();
        [vec![head, recipients], attempts].concat().join("\n\n")
    }
}

impl AttemptView {
    fn text(&self, recipients: &[RecipientView]) -> String {
        let times = [&self.started_at, &self.ended_at].map(|time| time.as_deref().unwrap_or("?"));
        let mut text = format!("attempt {}  {} to {}", self.number, times[0], times[1]);
        for outcome in &self.outcomes {
            let addresses = outcome.recipients.iter().map(|index| {
                let recipient = usize::try_from(*index).ok().and_then(|index| recipients.get(index));
                recipient.map_or_else(|| format!("#{index}"), |one| escape(&one.address).into_owned())
            });
            text.push_str(&format!("\n  {}", addresses.collect::<Vec<_>>().join(", ")));
            if let Some(finding) = &outcome.finding {
                let FindingView { phase, verdict, blame, .. } = finding;
                text.push_str(&format!("\n    {} at {}, blame {blame}", verdict, escape(phase)));
                for line in escape_lines(&finding.text) {
                    text.push_str(&format!("\n    {line}"));
                }
            }
        }
        text
    }
}

impl FindingView {
    fn lines(&self) -> String {
        escape_lines(&self.text).collect::<Vec<_>>().join("\n")
    }
}

/// Jobs as rows.
pub(crate) fn job_table(jobs: &[JobView]) -> String {
    let headings = ["JOB", "ACCOUNT", "STATE", "ACCEPTED", "DUE", "TRIES", "RECIPIENTS", "SUBJECT"];
    let rows = jobs.iter().map(|job| {
        let others = job.recipients.len().saturating_sub(1);
        let first = job.recipients.first().map(|one| escape(&one.address).into_owned()).unwrap_or_default();
        vec![
            escape(&job.job_id).into_owned(),
            escape(&job.account_id).into_owned(),
            job.state.to_owned(),
            job.accepted_at.clone().unwrap_or_default(),
            job.due_at.clone().unwrap_or_default(),
            job.attempts_made.to_string(),
            match others {
                _ if job.merge => job.tally.text(),
                0 => first,
                _ => format!("{first} +{others}"),
            },
            escape(&short(&job.subject)).into_owned(),
        ]
    });
    table(&headings, rows)
}

pub(crate) fn state_name(state: JobState) -> &'static str {
    bare(state.as_str_name(), "JOB_STATE_")
}

pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    bare(verdict.as_str_name(), "VERDICT_")
}

/// Who is to blame; nobody for what was accepted.
pub(crate) fn blame_name(blame: Blame) -> &'static str {
    match blame {
        Blame::Unspecified => "NOBODY",
        blame => bare(blame.as_str_name(), "BLAME_"),
    }
}

/// An enumeration's value without the prefix that all its values share.
pub(crate) fn bare(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// Longest subject in a table of jobs.
const SUBJECT_CHARS_MAX: usize = 50;
const NORMAL: &str = "NORMAL";

fn short(subject: &str) -> String {
    match subject.char_indices().nth(SUBJECT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject.to_owned(),
    }
}

fn by(who: &str) -> Option<String> {
    (!who.is_empty()).then(|| who.to_owned())
}
