//! Whom must not be sent to? They are left out of their messages before a courier gets those.

use std::collections::HashMap;

use super::Context;
use crate::{
    domain::{address::Address, ids::MessageKey, suppression::Suppression, time::Timestamp},
    policy::statistics,
    storage::{Consignment, StorageError, Tenure, TenureError, settlement::Omission},
};

/// Leaves suppressed recipients out of messages that are about to go, and says of which messages: their permits are for too many
/// recipients. Beside each stands whether anybody was left out; nobody is when it was withdrawn meanwhile, or is damaged. Messages
/// of jobs with the same labels are looked up together.
pub(super) async fn leave_out_suppressed(
    context: &Context,
    tenure: &Tenure,
    consignments: impl Iterator<Item = &Consignment>,
) -> Result<HashMap<MessageKey, bool>, TenureError> {
    if !context.storage.has_suppressions() {
        return Ok(HashMap::new());
    }
    let now = context.clock.now();
    let asked: Vec<_> = consignments.filter(|consignment| !consignment.override_suppression).collect();
    let mut omissions = Vec::new();
    // Most messages that go together are of one job, or of jobs without labels.
    for alike in asked.chunk_by(|one, next| one.labels == next.labels) {
        let found = match suppressed(context, tenure, alike, now).await {
            // One that cannot be read is told of when the list is looked at.
            Err(StorageError::Damaged(error)) => {
                tracing::error!(account = %tenure.account, error, "a suppression cannot be read: verify the store");
                continue;
            }
            found => found?,
        };
        let mut found = found.into_iter();
        for consignment in alike {
            let holding: Vec<_> = found.by_ref().take(consignment.recipients.len()).collect();
            omissions.extend(omission(consignment, holding, now));
        }
    }
    if omissions.is_empty() {
        return Ok(HashMap::new());
    }
    let told: Vec<_> = omissions.iter().map(|omission| (omission.message, omission.recipients.len())).collect();
    let left = context.storage.leave_out(tenure, omissions).await?;
    for ((message, recipients), _) in told.iter().zip(&left).filter(|(_, has_left)| **has_left) {
        tracing::info!(%message, account = %tenure.account, recipients, "suppressed");
    }
    Ok(told.into_iter().map(|(message, _)| message).zip(left).collect())
}

/// For each recipient of these messages, in order, what keeps it out.
async fn suppressed(
    context: &Context,
    tenure: &Tenure,
    alike: &[&Consignment],
    now: Timestamp,
) -> Result<Vec<Option<Suppression>>, StorageError> {
    let all: Vec<Address>;
    let (labels, addresses) = match alike {
        [] => return Ok(Vec::new()),
        [only] => (&only.labels, &only.envelope.recipients),
        [first, ..] => {
            all = alike.iter().flat_map(|consignment| consignment.envelope.recipients.iter().cloned()).collect();
            (&first.labels, &all)
        }
    };
    context.storage.suppressed(&tenure.account, labels, addresses, now).await
}

fn omission(consignment: &Consignment, holding: Vec<Option<Suppression>>, now: Timestamp) -> Option<Omission> {
    if holding.iter().all(Option::is_none) {
        return None;
    }
    let addresses = consignment.envelope.recipients.iter().zip(&holding);
    let out = addresses.filter_map(|(address, suppression)| suppression.as_ref().map(|_| address));
    let counted = statistics::of_omission(out, &consignment.labels);
    let recipients = consignment.recipients.iter().copied().zip(holding);
    let recipients = recipients.filter_map(|(recipient, suppression)| Some((recipient, suppression?))).collect();
    Some(Omission { message: consignment.key, recipients, counted, now })
}
