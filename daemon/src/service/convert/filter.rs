//! Which jobs a caller means: filters and selectors on the wire.

use hikyaku_proto::v1::{self, job_selector::Selection};

use super::{
    job::to_state,
    values::{one_line, optional_time, parse},
    violations::{Violation, Violations},
};
use crate::{
    domain::{
        address::{ADDRESS_BYTES_MAX, Address},
        ids::{AccountId, JobId, Label},
        job::JobState,
    },
    storage::JobFilter,
};

/// One job, or all that match a filter that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) enum Selected {
    /// This one.
    One(JobId),
    /// All that match.
    Matching(JobFilter),
}

/// The jobs that a caller selected.
pub(in crate::service) fn to_selection(selector: Option<v1::JobSelector>) -> Result<Selected, Vec<Violation>> {
    let mut violations = Violations::default();
    let selected = match selector.and_then(|selector| selector.selection) {
        Some(Selection::JobId(id)) => parse::<JobId>(&id, "selector.job_id", &mut violations).map(Selected::One),
        Some(Selection::Filter(filter)) => {
            to_filter(filter, "selector.filter", &mut violations).map(Selected::Matching)
        }
        None => {
            violations.add("selector", "is required: a job_id or a filter");
            None
        }
    };
    if selected == Some(Selected::Matching(JobFilter::default())) {
        violations.add("selector.filter", "is empty and would mean all jobs: name at least one condition");
    }
    violations.finish(selected)
}

/// A filter that a caller sent.
pub(in crate::service) fn to_filter(wire: v1::JobFilter, at: &str, violations: &mut Violations) -> Option<JobFilter> {
    let account = match wire.account_id.as_str() {
        "" => Some(None),
        id => parse::<AccountId>(id, format_args!("{at}.account_id"), violations).map(Some),
    };
    let states = to_states(&wire.states, at, violations);
    let label = match wire.label.as_str() {
        "" => Some(None),
        label => parse::<Label>(label, format_args!("{at}.label"), violations).map(Some),
    };
    let recipient = one_line(wire.recipient, ADDRESS_BYTES_MAX, format_args!("{at}.recipient"), violations);
    let accepted_from = optional_time(wire.accepted_from, format_args!("{at}.accepted_from"), violations);
    let accepted_before = optional_time(wire.accepted_before, format_args!("{at}.accepted_before"), violations);
    Some(JobFilter {
        account: account?,
        states: states?,
        label: label?,
        recipient: recipient.map(|recipient| Some(as_kept(recipient)).filter(|recipient| !recipient.is_empty()))?,
        accepted_from: accepted_from?,
        accepted_before: accepted_before?,
    })
}

/// An address in the form in which recipients are kept; a text that is none finds nobody.
pub(in crate::service) fn as_kept(recipient: String) -> String {
    Address::from_lenient(&recipient).map_or(recipient, |address| address.as_str().to_owned())
}

/// The states; none when any will do.
fn to_states(wire: &[i32], at: &str, violations: &mut Violations) -> Option<Vec<JobState>> {
    let mut states = Vec::new();
    let mut any = false;
    for (index, number) in wire.iter().enumerate() {
        match v1::JobState::try_from(*number).map(to_state) {
            Ok(Some(state)) if !states.contains(&state) => states.push(state),
            Ok(Some(_)) => {}
            Ok(None) => any = true,
            Err(_) => {
                violations.add(format_args!("{at}.states[{index}]"), "is no state of a job");
                return None;
            }
        }
    }
    Some(if any { Vec::new() } else { states })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: v1::JobFilter, expected: &[&str]) {
        let selector = v1::JobSelector { selection: Some(Selection::Filter(filter)) };
        let found = to_selection(Some(selector)).err().unwrap_or_default();
        let fields: Vec<_> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn filters_are_checked_field_by_field() {
        let usual = v1::JobFilter::default;
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        check(v1::JobFilter { account_id: "sales".into(), ..usual() }, &[]);
        check(v1::JobFilter { account_id: "A B".into(), ..usual() }, &["selector.filter.account_id"]);
        check(v1::JobFilter { states: vec![1, 99], ..usual() }, &["selector.filter.states[1]"]);
        check(v1::JobFilter { states: vec![1, 1], ..usual() }, &[]);
        check(v1::JobFilter { label: "a\nb".into(), ..usual() }, &["selector.filter.label"]);
        check(v1::JobFilter { recipient: "x".repeat(255), ..usual() }, &["selector.filter.recipient"]);
        check(v1::JobFilter { accepted_from: time(-1), ..usual() }, &["selector.filter.accepted_from"]);
        check(v1::JobFilter { accepted_before: time(-1), ..usual() }, &["selector.filter.accepted_before"]);
    }

    #[test]
    fn an_empty_filter_selects_nothing() {
        check(v1::JobFilter::default(), &["selector.filter"]);
        check(v1::JobFilter { states: vec![0], ..v1::JobFilter::default() }, &["selector.filter"]);
        assert!(to_selection(None).is_err());
        let nameless = v1::JobSelector { selection: Some(Selection::JobId("x".into())) };
        assert!(to_selection(Some(nameless)).is_err());
    }
}
