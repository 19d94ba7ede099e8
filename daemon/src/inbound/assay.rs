//! What is a mail? It is taken apart on a thread of its own, within a bound of time: nothing is said of what no thread can read.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use super::content::{self, Contents};
use crate::policy::{
    bounce::{Findings, Nature, recognise},
    classify::rules::Rules,
};

/// How long one mail may take, in seconds. What takes longer is let go, and its thread ends by itself.
const ASSAY_SECONDS_MAX: u64 = 20;
/// Most mails that are taken apart at once, over all mailboxes, those that were let go included.
const ASSAYS_MAX: usize = 4;

/// Takes mails apart.
#[derive(Clone, Debug)]
pub(super) struct Assayer {
    rules: Arc<Rules>,
    places: Arc<Semaphore>,
}

/// A mail, taken apart.
#[derive(Debug, Default)]
pub(super) struct Assayed {
    /// What it means.
    pub(super) findings: Findings,
    /// What it holds, of mail that reports nothing, when all mail is wanted.
    pub(super) contents: Option<Contents>,
    /// By what it is known when it comes again.
    pub(super) fingerprint: [u8; 16],
    /// Its bytes, given back.
    pub(super) raw: Arc<Vec<u8>>,
}

impl Assayed {
    /// Whether it is what a mailbox of ours is read for: then it may be deleted.
    pub(super) const fn is_report(&self) -> bool {
        matches!(self.findings.nature, Nature::Bounce | Nature::Complaint)
    }
}

impl Assayer {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self { rules, places: Arc::new(Semaphore::new(ASSAYS_MAX)) }
    }

    /// Takes a mail apart; `all_mail` when its content is wanted whatever it is. Nothing when that cannot be done.
    pub(super) async fn assay(&self, raw: Vec<u8>, all_mail: bool) -> Option<Assayed> {
        let bytes = raw.len();
        let rules = Arc::clone(&self.rules);
        self.within_bounds(bytes, move |place| take_apart(&rules, Arc::new(raw), all_mail, place)).await
    }

    async fn within_bounds(
        &self,
        bytes: usize,
        take_apart: impl FnOnce(OwnedSemaphorePermit) -> Assayed + Send + 'static,
    ) -> Option<Assayed> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        match timeout(Duration::from_secs(ASSAY_SECONDS_MAX), spawn_blocking(move || take_apart(place))).await {
            Ok(Ok(assayed)) => Some(assayed),
            Ok(Err(error)) => {
                tracing::error!(%error, bytes, "a mail could not be taken apart");
                None
            }
            Err(_) => {
                tracing::error!(bytes, "a mail takes too long to be taken apart");
                None
            }
        }
    }
}

fn take_apart(rules: &Rules, raw: Arc<Vec<u8>>, all_mail: bool, _place: OwnedSemaphorePermit) -> Assayed {
    let findings = recognise(rules, &raw);
    let is_report = matches!(findings.nature, Nature::Bounce | Nature::Complaint);
    let contents = (all_mail && !is_report).then(|| content::read(&raw));
    let arrival = &findings.arrival;
    let field = |field: &Option<Box<str>>| field.as_deref().unwrap_or_default().as_bytes().to_vec();
    // The same Message-ID is not enough: there are programs that give it twice.
    let fingerprint = match &arrival.message_id {
        Some(id) => short_hash(&[id.as_bytes(), &field(&arrival.date), &field(&arrival.from)]),
        None => short_hash(&[&raw]),
    };
    Assayed { findings, contents, fingerprint, raw }
}

fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer than its beginning")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_that_cannot_be_taken_apart_is_nothing() {
        let assayer = Assayer::new(Arc::new(Rules::built_in()));
        assert!(assayer.assay(b"Subject: a\r\n\r\nb\r\n".to_vec(), true).await.is_some());
        assert!(assayer.within_bounds(1, |_| panic!("a mail broke us")).await.is_none());
    }
}
