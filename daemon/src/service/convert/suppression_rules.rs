//! When recipients are suppressed by what is met, on the wire.

use std::{ops::RangeInclusive, time::Duration};

use hikyaku_proto::v1;

use super::{
    values::{from_duration, to_duration},
    violations::Violations,
};
use crate::domain::account::SuppressionRules;

const DAY: Duration = Duration::from_secs(86_400);
const RUN_BOUNDS: RangeInclusive<u32> = 2..=100;
const WITHIN_BOUNDS: RangeInclusive<Duration> = DAY..=Duration::from_secs(365 * 86_400);
const EXPIRY_BOUNDS: RangeInclusive<Duration> = DAY..=Duration::from_secs(3_650 * 86_400);

/// Rules on the wire.
pub(super) fn from_suppression_rules(rules: &SuppressionRules) -> v1::SuppressionRules {
    v1::SuppressionRules {
        off: rules.off,
        soft_bounces_max: rules.soft_bounces_max,
        soft_bounces_within: Some(from_duration(rules.soft_bounces_within)),
        hard_bounce_expiry: rules.hard_bounce_expiry.map(from_duration),
        soft_bounces_expiry: Some(from_duration(rules.soft_bounces_expiry)),
        ignore_replies: rules.ignore_replies,
    }
}

/// Rules that a caller sent.
pub(super) fn to_suppression_rules(
    wire: Option<v1::SuppressionRules>,
    at: &str,
    violations: &mut Violations,
) -> Option<SuppressionRules> {
    let usual = SuppressionRules::default();
    let Some(wire) = wire else { return Some(usual) };
    let soft_bounces_max = match wire.soft_bounces_max {
        0 => Some(usual.soft_bounces_max),
        given if RUN_BOUNDS.contains(&given) => Some(given),
        _ => {
            let (least, most) = (RUN_BOUNDS.start(), RUN_BOUNDS.end());
            violations.add(format_args!("{at}.soft_bounces_max"), format_args!("must be from {least} to {most}"));
            None
        }
    };
    let mut length = |given, default, bounds, field: &str| {
        to_duration(given, default, bounds, format_args!("{at}.{field}"), violations)
    };
    let within = length(wire.soft_bounces_within, usual.soft_bounces_within, &WITHIN_BOUNDS, "soft_bounces_within");
    let hard = match wire.hard_bounce_expiry {
        None => Some(None),
        given => length(given, DAY, &EXPIRY_BOUNDS, "hard_bounce_expiry").map(Some),
    };
    let soft = length(wire.soft_bounces_expiry, usual.soft_bounces_expiry, &EXPIRY_BOUNDS, "soft_bounces_expiry");
    Some(SuppressionRules {
        off: wire.off,
        soft_bounces_max: soft_bounces_max?,
        soft_bounces_within: within?,
        hard_bounce_expiry: hard?,
        soft_bounces_expiry: soft?,
        ignore_replies: wire.ignore_replies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wire: v1::SuppressionRules) -> Result<SuppressionRules, Vec<String>> {
        let mut violations = Violations::default();
        let read = to_suppression_rules(Some(wire), "s", &mut violations);
        violations.finish(read).map_err(|found| found.into_iter().map(|one| one.field).collect())
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut v1::SuppressionRules), expected: &[&str]) {
        let mut wire = v1::SuppressionRules::default();
        change(&mut wire);
        assert_eq!(read(wire).err().unwrap_or_default(), expected);
    }

    #[test]
    fn each_bound_is_told_with_its_field() {
        let days = |days: i64| Some(prost_types::Duration { seconds: days * 86_400, nanos: 0 });
        check(|_| {}, &[]);
        check(|s| s.soft_bounces_max = 1, &["s.soft_bounces_max"]);
        check(|s| s.soft_bounces_max = 2, &[]);
        check(|s| s.soft_bounces_max = 101, &["s.soft_bounces_max"]);
        check(|s| s.soft_bounces_within = days(0), &["s.soft_bounces_within"]);
        check(|s| s.soft_bounces_within = days(365), &[]);
        check(|s| s.soft_bounces_within = days(366), &["s.soft_bounces_within"]);
        check(|s| s.hard_bounce_expiry = days(0), &["s.hard_bounce_expiry"]);
        check(|s| s.hard_bounce_expiry = days(3_650), &[]);
        check(|s| s.hard_bounce_expiry = days(3_651), &["s.hard_bounce_expiry"]);
        check(|s| s.soft_bounces_expiry = days(3_651), &["s.soft_bounces_expiry"]);
        let all = |s: &mut v1::SuppressionRules| (s.soft_bounces_max, s.soft_bounces_within) = (1, days(0));
        check(all, &["s.soft_bounces_max", "s.soft_bounces_within"]);
    }

    #[test]
    fn what_is_unset_takes_its_default() {
        assert_eq!(read(v1::SuppressionRules::default()), Ok(SuppressionRules::default()));
        let mut violations = Violations::default();
        assert_eq!(to_suppression_rules(None, "s", &mut violations), Some(SuppressionRules::default()));
    }

    #[test]
    fn rules_survive_the_wire() {
        let usual = SuppressionRules::default();
        let other = SuppressionRules {
            off: true,
            soft_bounces_max: 3,
            soft_bounces_within: DAY,
            hard_bounce_expiry: Some(DAY * 7),
            soft_bounces_expiry: DAY * 2,
            ignore_replies: true,
        };
        for rules in [usual, other] {
            assert_eq!(read(from_suppression_rules(&rules)), Ok(rules));
        }
    }
}
