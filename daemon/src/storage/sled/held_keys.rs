//! By which keys are recipients found that are held back?

use std::collections::BTreeSet;

use super::keys::{Key, ListKey};
use crate::domain::{ids::MessageKey, job::Job, recipient::RecipientState, suppression::SuppressionKey};

/// The entries by which the recipients of a plain job are found that are held back. Those of a merge job stand beside it.
pub(super) fn held_keys(job: &Job) -> BTreeSet<Vec<u8>> {
    let held = (0..).zip(job.recipients()).filter_map(|(index, recipient)| match &recipient.state {
        RecipientState::Suppressed { by, .. } => {
            let key = SuppressionKey::new(by.scope.clone(), &recipient.address);
            let message = MessageKey { job: job.id, index };
            Some(Key::List(ListKey::Held { key, message }).to_bytes())
        }
        _ => None,
    });
    held.collect()
}
