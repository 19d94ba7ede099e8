//! What the caller should know although its job is accepted.

use hikyaku_proto::v1;

use crate::{
    domain::{parking::Standing, time::Timestamp},
    service::convert::draft::Order,
    storage::AccountRecord,
};

/// What the account's standing means for a job.
pub(super) fn of_account(account: &AccountRecord, now: Timestamp) -> Vec<String> {
    match &account.standing {
        Standing::Parked(parking) if parking.until.is_none_or(|until| until > now) => {
            let until = parking.until.map(|until| format!(" until {until}")).unwrap_or_default();
            vec![format!("the account does not send at present{until}: {}", parking.reason)]
        }
        Standing::Parked(_) | Standing::Active => Vec::new(),
    }
}

/// What an order's own terms mean.
pub(super) fn of_order(order: &Order, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(send_at) = order.send_at.filter(|send_at| *send_at < now) {
        warnings.push(format!("send_at {send_at} has passed: the job goes as soon as it may"));
    }
    if order.hold {
        warnings.push("the job is held: it goes when somebody releases it".to_owned());
    }
    if order.approval_required {
        warnings.push("the job awaits approval: it goes when somebody approves it".to_owned());
    }
    warnings
}

/// That a job is planned to go later than it may.
pub(super) fn of_plan(planned: Option<&v1::PlannedTimes>, expires_at: Option<Timestamp>) -> Option<String> {
    let (planned, expires_at) = (planned?, expires_at?);
    let (first, last) = (to_time(planned.first_at)?, to_time(planned.last_at)?);
    if first > expires_at {
        return Some(format!("as things are it would go at {first}, after it has expired: it would not be sent"));
    }
    let last_goes = format!("as things are its last message would go at {last}, after it has expired");
    (last > expires_at).then(|| format!("{last_goes}: part of it would expire unsent"))
}

fn to_time(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let prost_types::Timestamp { seconds, nanos } = time?;
    let millis = seconds.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(Timestamp::from_millis(u64::try_from(millis).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::convert::values::from_time;

    #[track_caller]
    fn check(first: u64, last: u64, expires: Option<u64>, expected: Option<&str>) {
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        let planned = v1::PlannedTimes { first_at: Some(from_time(at(first))), last_at: Some(from_time(at(last))) };
        let warning = of_plan(Some(&planned), expires.map(at));
        assert_eq!(warning.as_deref().and_then(|warning| warning.rsplit(": ").next()), expected);
    }

    #[test]
    fn what_would_expire_unsent_is_told() {
        check(5, 9, None, None);
        check(5, 9, Some(9), None);
        check(5, 9, Some(8), Some("part of it would expire unsent"));
        check(5, 9, Some(4), Some("it would not be sent"));
        assert_eq!(of_plan(None, Some(Timestamp::EPOCH)), None);
    }
}
