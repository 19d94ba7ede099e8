//! What follows from what a mail says of a recipient of ours: what is known of it then, who is suppressed, what is counted.

use std::collections::BTreeMap;

use super::bounce::{Action, Finding, Kind};
use crate::domain::{
    account::SuppressionRules,
    address::Address,
    ids::{AccountId, Label},
    inbound::{Correlation, InboundId, Subject},
    reason::Reason,
    reply::keep,
    report::{Report, ReportKind},
    statistics::{Counted, Counts, StatisticsGroup},
    suppression::{
        EVIDENCE_BYTES_MAX, SoftBounce, Suppression, SuppressionKey, SuppressionReason, SuppressionScope,
        SuppressionSource,
    },
    time::Timestamp,
};

/// Whom a finding is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The recipient, and how it was found.
    pub subject: Subject,
    /// Its address.
    pub address: &'a Address,
    /// The account that sent the message.
    pub account: &'a AccountId,
    /// The labels of the job.
    pub labels: &'a [Label],
    /// What the account's settings say of suppressions.
    pub rules: &'a SuppressionRules,
}

/// What follows from a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequences {
    /// What becomes known of the recipient.
    pub report: Report,
    /// Who must not be sent to from now on.
    pub suppression: Option<Suppression>,
    /// What counts towards a suppression.
    pub soft_bounce: Option<SoftBounce>,
    /// What is counted.
    pub counted: Vec<Counted>,
}

/// What follows from a finding of the mail `inbound`, which was read at `now`; nothing from good news and automatic replies.
#[must_use]
pub fn consequences(finding: &Finding, about: &About<'_>, inbound: InboundId, now: Timestamp) -> Option<Consequences> {
    let kind = match (finding.kind, finding.action) {
        (Kind::Complaint, _) => ReportKind::Complaint,
        (Kind::Hard | Kind::Soft, Some(Action::Delayed)) => ReportKind::Delayed,
        (_, Some(Action::Delivered | Action::Relayed | Action::Expanded)) => return None,
        (Kind::Hard, _) => ReportKind::Hard,
        (Kind::Soft, _) => ReportKind::Soft,
        (Kind::AutoReply | Kind::None, _) => return None,
    };
    let unnamed = if kind == ReportKind::Complaint { Reason::Complaint } else { Reason::Undetermined };
    let report = Report {
        at: now,
        kind,
        reason: finding.reason.unwrap_or(unnamed),
        status: finding.status,
        diagnostic: keep(&finding.diagnostic).into(),
        reporting_server: finding.reporting_server.clone(),
        inbound,
    };
    let suppression = suppression(finding, &report, about);
    let (suppression, soft_bounce) = match kind {
        ReportKind::Soft => {
            let AccountRun { run_max, within } = AccountRun::of(about.rules);
            (None, suppression.map(|then| SoftBounce { then, run_max, within }))
        }
        _ => (suppression, None),
    };
    let counted = counted(&report, about);
    Some(Consequences { report, suppression, soft_bounce, counted })
}

struct AccountRun {
    run_max: u32,
    within: std::time::Duration,
}

impl AccountRun {
    const fn of(rules: &SuppressionRules) -> Self {
        Self { run_max: rules.soft_bounces_max, within: rules.soft_bounces_within }
    }
}

/// The suppression that a report asks for, or would ask for as the last of its run.
fn suppression(finding: &Finding, report: &Report, about: &About<'_>) -> Option<Suppression> {
    let About { subject, address, account, rules, .. } = *about;
    let now = report.at;
    let (reason, expires_at) = match report.kind {
        ReportKind::Hard => (SuppressionReason::HardBounce, rules.hard_bounce_expiry.map(|expiry| now.after(expiry))),
        ReportKind::Soft => (SuppressionReason::SoftBounces, Some(now.after(rules.soft_bounces_expiry))),
        ReportKind::Complaint => (SuppressionReason::Complaint, None),
        ReportKind::Delayed => return None,
    };
    // Anybody may have written what was found by its recipient only.
    if rules.off || subject.correlation == Correlation::Recipient {
        return None;
    }
    let is_complaint = report.kind == ReportKind::Complaint;
    Some(Suppression {
        key: SuppressionKey::new(SuppressionScope::Account(account.clone()), address),
        address: address.clone(),
        reason,
        source: if is_complaint { SuppressionSource::Feedback } else { SuppressionSource::Bounce },
        added_at: now,
        added_by: None,
        expires_at,
        evidence: evidence(finding, report),
        message: Some(subject.message),
    })
}

/// What the report says, verbatim; its status and reason where it has no words.
fn evidence(finding: &Finding, report: &Report) -> Box<str> {
    let words = report.diagnostic.trim();
    let text = match (words.is_empty(), finding.status) {
        (false, _) => words.to_owned(),
        (true, Some(status)) => format!("{status} ({})", report.reason.as_str()),
        (true, None) => report.reason.as_str().to_owned(),
    };
    text[..text.floor_char_boundary(EVIDENCE_BYTES_MAX)].into()
}

/// One recipient more, by account, by domain and by each label. A delay counts nothing: it is not the end.
fn counted(report: &Report, about: &About<'_>) -> Vec<Counted> {
    let mut counts = Counts { reasons: BTreeMap::from([(report.reason, 1)]), ..Counts::default() };
    match report.kind {
        ReportKind::Hard => counts.bounced_hard = 1,
        ReportKind::Soft => counts.bounced_soft = 1,
        ReportKind::Complaint => counts.complained = 1,
        ReportKind::Delayed => return Vec::new(),
    }
    let domain = about.address.domain().to_lowercase().into();
    let groups = [StatisticsGroup::All, StatisticsGroup::Domain(domain)];
    let labels = about.labels.iter().cloned().map(StatisticsGroup::Label);
    groups.into_iter().chain(labels).map(|group| Counted { group, counts: counts.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::ids::{JobId, MessageKey};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn finding(kind: Kind, action: Option<Action>) -> Finding {
        Finding {
            recipient: Some("taro@example.com".into()),
            final_recipient: None,
            status: "5.1.1".parse().ok(),
            diagnostic: "550 5.1.1 no such user".into(),
            reporting_server: Some("mx.example.com".into()),
            remote_server: None,
            action,
            kind,
            reason: Some(Reason::UserUnknown),
            rule: "r".into(),
        }
    }

    fn found(finding: &Finding, correlation: Correlation, rules: SuppressionRules) -> Option<Consequences> {
        let message = MessageKey::only(JobId::from_bytes([1; 16]));
        let address: Address = "Taro@Example.com".parse().expect("an address");
        let account = "shop".parse().expect("an id");
        let labels = ["news".parse().expect("a label")];
        let subject = Subject { message, recipient: 3, correlation };
        let about = About { subject, address: &address, account: &account, labels: &labels, rules: &rules };
        consequences(finding, &about, InboundId::new(NOW, [1; 10]), NOW)
    }

    /// The report's kind, the suppression's reason (in brackets when it only counts towards one), and how many groups count it.
    #[track_caller]
    fn check(
        kind: Kind,
        action: Option<Action>,
        correlation: Correlation,
        expected: Option<(ReportKind, &str, usize)>,
    ) {
        let found = found(&finding(kind, action), correlation, SuppressionRules::default());
        let shown = found.map(|found| {
            let now = found.suppression.map(|suppression| suppression.reason.as_str().to_owned());
            let later = found.soft_bounce.map(|run| format!("({})", run.then.reason.as_str()));
            (found.report.kind, now.or(later).unwrap_or_default(), found.counted.len())
        });
        assert_eq!(shown, expected.map(|(kind, reason, groups)| (kind, reason.to_owned(), groups)));
    }

    #[test]
    fn only_failures_and_complaints_have_consequences() {
        use Correlation::{Header, MessageId, ProviderId, Recipient, Verp};
        let failed = Some(Action::Failed);
        check(Kind::Hard, failed, Verp, Some((ReportKind::Hard, "hard-bounce", 3)));
        check(Kind::Hard, failed, Header, Some((ReportKind::Hard, "hard-bounce", 3)));
        check(Kind::Hard, failed, MessageId, Some((ReportKind::Hard, "hard-bounce", 3)));
        check(Kind::Hard, None, ProviderId, Some((ReportKind::Hard, "hard-bounce", 3)));
        check(Kind::Hard, failed, Recipient, Some((ReportKind::Hard, "", 3)));
        check(Kind::Soft, failed, Verp, Some((ReportKind::Soft, "(soft-bounces)", 3)));
        check(Kind::Soft, failed, Recipient, Some((ReportKind::Soft, "", 3)));
        check(Kind::Soft, Some(Action::Delayed), Verp, Some((ReportKind::Delayed, "", 0)));
        check(Kind::Hard, Some(Action::Delayed), Verp, Some((ReportKind::Delayed, "", 0)));
        check(Kind::Complaint, None, Header, Some((ReportKind::Complaint, "complaint", 3)));
        check(Kind::Complaint, None, Recipient, Some((ReportKind::Complaint, "", 3)));
        check(Kind::AutoReply, None, Verp, None);
        check(Kind::None, Some(Action::Delivered), Verp, None);
        check(Kind::None, Some(Action::Relayed), Verp, None);
        check(Kind::None, None, Verp, None);
    }

    #[test]
    fn the_account_says_whether_and_for_how_long() {
        let hard = finding(Kind::Hard, Some(Action::Failed));
        let suppression = |rules| found(&hard, Correlation::Verp, rules).expect("it failed").suppression;
        let for_ever = suppression(SuppressionRules::default()).expect("it suppresses");
        assert_eq!(for_ever.expires_at, None);
        assert_eq!(
            (&*for_ever.evidence, for_ever.key.mailbox.as_str()),
            ("550 5.1.1 no such user", "taro@example.com")
        );
        let day = Duration::from_secs(86_400);
        let rules = SuppressionRules { hard_bounce_expiry: Some(day), ..SuppressionRules::default() };
        assert_eq!(suppression(rules).expect("it suppresses").expires_at, Some(NOW.after(day)));
        let off = SuppressionRules { off: true, ..SuppressionRules::default() };
        assert_eq!(suppression(off), None);
        let soft = found(&finding(Kind::Soft, None), Correlation::Verp, off).expect("it failed");
        assert_eq!(soft.soft_bounce, None);
    }

    #[test]
    fn evidence_is_never_empty_and_bounded() {
        let said = |words: &str| {
            let finding = Finding { diagnostic: words.into(), ..finding(Kind::Hard, Some(Action::Failed)) };
            let found = found(&finding, Correlation::Verp, SuppressionRules::default()).expect("it failed");
            found.suppression.expect("it suppresses").evidence
        };
        assert_eq!(&*said(" "), "5.1.1 (user-unknown)");
        assert!(said(&"ü".repeat(4_000)).len() <= EVIDENCE_BYTES_MAX);
    }
}
