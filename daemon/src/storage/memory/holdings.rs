//! What the model holds beside accounts and jobs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        ids::{AccountId, MessageKey},
        inbound::{InboundId, InboundMail, MailboxId},
        statistics::{Counts, StatisticsGroup},
        suppression::{Suppression, SuppressionKey, SuppressionScope},
        time::Timestamp,
    },
    storage::Period,
};

/// What came back, and by what it is recognised.
#[derive(Debug, Default)]
pub(super) struct Returns {
    pub(super) read: BTreeSet<(AccountId, MailboxId, [u8; 16])>,
    pub(super) read_up_to: BTreeMap<(AccountId, MailboxId, [u8; 8]), (u32, u32)>,
    pub(super) fingerprints: BTreeMap<(AccountId, [u8; 16]), Timestamp>,
    pub(super) mails: BTreeMap<InboundId, InboundMail>,
    /// Which message of an account has which name.
    pub(super) names: BTreeMap<(AccountId, String), MessageKey>,
}

/// What was counted, by account, length of the period, its beginning, and group.
pub(super) type CountModel = BTreeMap<(AccountId, Period, Timestamp, StatisticsGroup), Counts>;

/// Suppressions, and what may come to them.
#[derive(Debug, Default)]
pub(super) struct SuppressionModel {
    pub(super) all: BTreeMap<SuppressionKey, Suppression>,
    /// How many messages came back in a row, and when the last one did and the run is forgotten.
    pub(super) runs: BTreeMap<SuppressionKey, (u32, Timestamp, Timestamp)>,
}

impl SuppressionModel {
    /// Forgets what holds for an account.
    pub(super) fn forget_account(&mut self, id: &AccountId) {
        let is_its = |key: &SuppressionKey| matches!(&key.scope, SuppressionScope::Account(of) if of == id);
        self.all.retain(|key, _| !is_its(key));
        self.runs.retain(|key, _| !is_its(key));
    }
}
