//! Where an account's bounces and notices go.

use crate::domain::address::Address;

/// Where bounces and notices go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// Which results of jobs are told.
    pub notify: NotifyPolicy,
    /// Where they are told, as the caller wrote it: `mailto:…`, or a kind, `+` and an https URL.
    pub destinations: Vec<String>,
    /// The reverse-path of the envelope.
    pub envelope_sender: EnvelopeSender,
}

impl Results {
    /// The reverse-path of a job that is from this address, before a message's tag is added to it.
    #[must_use]
    pub fn sender_of(&self, from: &Address) -> Address {
        match &self.envelope_sender {
            EnvelopeSender::Account => from.clone(),
            EnvelopeSender::Address(address) | EnvelopeSender::Verp(address) => address.clone(),
        }
    }
}

/// Which results are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotifyPolicy {
    /// All.
    Always,
    /// Those of jobs that failed.
    Failures,
    /// None.
    #[default]
    Never,
}

/// The reverse-path of the envelope (RFC 5321 4.1.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EnvelopeSender {
    /// The From of the job.
    #[default]
    Account,
    /// This address.
    Address(Address),
    /// This address with `+` and the message's signed tag before the `@`.
    Verp(Address),
}
