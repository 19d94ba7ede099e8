//! What follows from an attempt beyond its job: what is counted, and who is not sent to any more.

use std::time::Duration;

use super::Worker;
use crate::{
    delivery::errand::Addressees,
    domain::{attempt::Attempt, ids::MessageKey},
    policy::{
        classify::reason::Reason,
        statistics,
        suppression::{self, Grounds},
        tried::Tried,
    },
    storage::settlement::Aftermath,
};

/// What is known of a message that was tried, beside the attempt.
#[derive(Debug)]
pub(super) struct Circumstances {
    pub(super) message: MessageKey,
    pub(super) addressees: Addressees,
    /// Why each of the outcomes was met.
    pub(super) reasons: Vec<Option<Reason>>,
    /// For how long the message had waited.
    pub(super) waited: Duration,
    /// The id that the provider gave it.
    pub(super) provider_id: Option<Box<str>>,
}

impl Worker {
    /// What follows from an attempt that counts.
    pub(super) fn aftermath(&self, attempt: &Attempt, circumstances: Circumstances) -> Box<Aftermath> {
        let Circumstances { message, addressees, reasons, waited, provider_id } = circumstances;
        let Addressees { recipients, addresses, labels, override_suppression } = &addressees;
        let tried = Tried { attempt, reasons: &reasons, recipients, addresses, labels };
        let grounds = Grounds {
            account: &self.tenure.account,
            rules: &self.account.settings().suppression,
            message,
            overrides: *override_suppression,
        };
        let suppressions = suppression::by_replies(&tried, &grounds);
        for suppression in &suppressions {
            let (account, address) = (&self.tenure.account, &suppression.address);
            tracing::info!(%message, %account, %address, "the address is dead: it is not sent to any more");
        }
        Box::new(Aftermath { counted: statistics::of_attempt(&tried, waited), suppressions, provider_id })
    }
}
