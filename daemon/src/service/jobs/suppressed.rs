//! Which recipients of a submission must not be sent to: they are left out, and the caller is told.
//!
//! The message is composed as it was asked for, so those who get it may read in To and Cc of one who does not. A message that says less
//! than its sender wrote would be another one, and whoever answers to all would leave that person out.

use hikyaku_proto::v1;

use crate::{
    domain::{
        address::Address,
        ids::AccountId,
        job::Job,
        recipient::RecipientState,
        statistics::Counted,
        suppression::{SuppressedBy, Suppression},
        time::Timestamp,
    },
    policy::statistics::{of_acceptance, of_omission},
    service::{convert::draft::Order, status::Refusal, visibility::Visitor},
    storage::{SharedStorage, StorageError},
};

/// Most recipients that are named one by one in the warnings of a job; the others are counted.
const NAMED_MAX: usize = 50;

/// Most recipients that are named in an explanation.
const EXPLAINED_MAX: usize = 10;

/// Refuses to send to suppressed recipients on the word of somebody who may not say so.
pub(super) fn check_override(order: &Order, visitor: &Visitor) -> Result<(), Refusal> {
    if order.override_suppression && !visitor.is_admin() {
        return Err(Refusal::NotAllowed("only admins may send to suppressed recipients (override_suppression)"));
    }
    Ok(())
}

/// Leaves out the recipients of a plain job that is about to be accepted that must not be sent to, and answers with a warning of each. A
/// job that has no others is finished.
pub(super) async fn leave_out(
    storage: &SharedStorage,
    job: &mut Job,
    now: Timestamp,
) -> Result<Vec<String>, StorageError> {
    if job.override_suppression {
        return Ok(Vec::new());
    }
    let addresses: Vec<Address> = job.recipients().iter().map(|recipient| recipient.address.clone()).collect();
    let found = storage.suppressed(&job.account, &job.labels, &addresses, now).await?;
    let found = (0..).zip(&found).filter_map(|(index, found)| Some((index, found.as_ref()?)));
    let found: Vec<(u32, &Suppression)> = found.collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    job.leave_out(found.iter().map(|(index, by)| (*index, SuppressedBy::from(*by))), now);
    let named = found.iter().take(NAMED_MAX);
    let named = named.map(|(_, by)| format!("{} is left out: {}", by.address, reason_of(by)));
    let mut warnings: Vec<String> = named.collect();
    if found.len() > NAMED_MAX {
        warnings.push(format!("{} more recipients are left out because they are suppressed", found.len() - NAMED_MAX));
    }
    if job.pending().is_empty() {
        warnings.push("all recipients are suppressed: nothing is sent".to_owned());
    }
    Ok(warnings)
}

/// What is counted when a plain job is accepted.
pub(super) fn counted(job: &Job) -> Vec<Counted> {
    let all = job.recipients();
    let left_out = all.iter().filter(|recipient| matches!(recipient.state, RecipientState::Suppressed { .. }));
    let left_out: Vec<&Address> = left_out.map(|recipient| &recipient.address).collect();
    let mut counted = of_acceptance(all.iter().map(|recipient| &recipient.address), &job.labels);
    if !left_out.is_empty() {
        counted.extend(of_omission(left_out, &job.labels));
    }
    counted
}

/// That recipients of a job are left out, or would be if their turn came now.
pub(super) async fn explain(
    storage: &SharedStorage,
    job: &Job,
    now: Timestamp,
) -> Result<Option<v1::Hindrance>, StorageError> {
    let (mut sentences, mut advice) = (Vec::new(), "");
    let left_out = left_out(job);
    if !left_out.0.is_empty() || left_out.1 > 0 {
        sentences.push(sentence(left_out, "left out because they are suppressed"));
        advice = "Remove what suppresses them, with requeue, to have it sent to them.";
    }
    let to_come = to_come(storage, job, now).await?;
    if !to_come.0.is_empty() {
        sentences.push(sentence(to_come, "suppressed and will be left out"));
        advice = "Remove what suppresses them to have it sent to them.";
    }
    let explanation = sentences.join(" ");
    let hindrance = || v1::Hindrance { cause: "SUPPRESSED".into(), explanation, until: None, advice: advice.into() };
    Ok((!sentences.is_empty()).then(hindrance))
}

/// Recipients by name, and how many others there are.
type Told = (Vec<String>, usize);

fn left_out(job: &Job) -> Told {
    let of_merge = job.merge().map_or(0, |progress| progress.tally.suppressed as usize);
    let named = job.recipients().iter().filter_map(|recipient| match &recipient.state {
        RecipientState::Suppressed { by, .. } => {
            Some(format!("{} {} ({})", recipient.address, by.scope, by.reason.as_str()))
        }
        _ => None,
    });
    (named.collect(), of_merge)
}

/// Those of a plain job that wait. Those of a merge job are too many to be asked for.
async fn to_come(storage: &SharedStorage, job: &Job, now: Timestamp) -> Result<Told, StorageError> {
    let waiting: Vec<_> = job.recipients().iter().filter(|recipient| recipient.state.is_pending()).collect();
    if job.override_suppression || waiting.is_empty() {
        return Ok(Told::default());
    }
    let addresses: Vec<Address> = waiting.iter().map(|recipient| recipient.address.clone()).collect();
    let found = storage.suppressed(&job.account, &job.labels, &addresses, now).await?;
    let found = found.iter().flatten();
    let named = found.map(|found| format!("{} {} ({})", found.address, found.key.scope, found.reason.as_str()));
    Ok((named.collect(), 0))
}

fn sentence((named, others): Told, what: &str) -> String {
    let count = named.len() + others;
    let are = if count == 1 { "recipient is" } else { "recipients are" };
    let names = named.iter().take(EXPLAINED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = named.len().saturating_sub(EXPLAINED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if names.is_empty() { format!("{count} {are} {what}.") } else { format!("{count} {are} {what}: {names}{more}.") }
}

/// How many of these recipients of a merge job would be left out if their turn came now.
pub(super) async fn count(
    storage: &SharedStorage,
    account: &AccountId,
    order: &Order,
    addresses: &[Address],
    now: Timestamp,
) -> Result<u32, StorageError> {
    if order.override_suppression {
        return Ok(0);
    }
    let found = storage.suppressed(account, &order.labels, addresses, now).await?;
    Ok(u32::try_from(found.iter().flatten().count()).unwrap_or(u32::MAX))
}

/// What is said of so many recipients of a merge job.
pub(super) fn warning_of(count: u32, recipients: u32) -> Option<String> {
    (count > 0).then(|| {
        let all = if count == recipients { ": nothing is sent" } else { "" };
        let are = if count == 1 { "is" } else { "are" };
        format!("{count} of the recipients {are} suppressed and will be left out{all}")
    })
}

/// Why an address must not be sent to, for people.
pub(super) fn reason_of(suppression: &Suppression) -> String {
    let Suppression { key, reason, added_at, .. } = suppression;
    let until = suppression.expires_at.map(|end| format!(", until {end}")).unwrap_or_default();
    format!("it is suppressed {} ({}) since {added_at}{until}", key.scope, reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_of_a_merge_are_counted_in_the_warning() {
        assert_eq!(warning_of(0, 5), None);
        let some = "2 of the recipients are suppressed and will be left out";
        assert_eq!(warning_of(2, 5).as_deref(), Some(some));
        assert_eq!(warning_of(5, 5), Some(format!("5{}: nothing is sent", &some[1..])));
    }
}
