//! Whether the files of a job are free of viruses, for accounts that want to know before they take it.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::route::Standbys;
use crate::{
    domain::{account::ContentRules, job::Job},
    service::{
        convert::{
            draft::{Order, OrderContent},
            violations::Violations,
        },
        status::{Refusal, Unscanned},
    },
    wire::clamd::{Clamd, ScanError, ScanVerdict},
};

/// Has files scanned.
#[derive(Clone, Debug)]
pub(super) struct Scanning {
    scanner: Option<Arc<Clamd>>,
}

/// Something to be scanned, by its field in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) field: String,
    pub(super) bytes: Bytes,
    /// Whether it is a message as a whole, into which nobody has looked for files.
    pub(super) is_message: bool,
}

impl Suspect {
    /// A message as a whole, which a field gives or names.
    pub(super) fn message(field: &str, bytes: Bytes) -> Self {
        Self { field: field.to_owned(), bytes, is_message: true }
    }
}

impl Scanning {
    pub(super) const fn new(scanner: Option<Arc<Clamd>>) -> Self {
        Self { scanner }
    }

    /// Has all of these scanned when the account wants that, each content once, and gives the warnings of a job that is taken
    /// all the same.
    ///
    /// # Errors
    /// When something is infected, could not be scanned and the account does not let that pass, or did not have its turn.
    pub(super) async fn check(&self, rules: &ContentRules, suspects: Vec<Suspect>) -> Result<Vec<String>, Refusal> {
        if !rules.virus_scan_required || suspects.is_empty() {
            return Ok(Vec::new());
        }
        let mut violations = Violations::default();
        let mut refusal = None;
        let mut warnings = Vec::new();
        let mut known: HashMap<blake3::Hash, Result<ScanVerdict, String>> = HashMap::new();
        // One that is away is not waited for at each file again.
        let mut away = None;
        for Suspect { field, bytes, .. } in suspects {
            let hash = blake3::hash(&bytes);
            let verdict = match (known.get(&hash), &away) {
                (Some(verdict), _) => verdict.clone(),
                (None, Some(reason)) => Err(String::clone(reason)),
                (None, None) => self.scan(&bytes).await.map_err(|error| {
                    let reason = error.to_string();
                    away = Some(reason.clone()).filter(|_| !matches!(error, Unscanned::TooLarge));
                    refusal = Some(error);
                    reason
                }),
            };
            match &verdict {
                Ok(ScanVerdict::Clean) => {}
                Ok(ScanVerdict::Infected(name)) => {
                    violations.add(field, format_args!("is infected: the virus scanner calls it {name}"));
                }
                Err(reason) => warnings.push(format!("{field} was not scanned for viruses: {reason}")),
            }
            known.insert(hash, verdict);
        }
        violations.finish(Some(()))?;
        let is_let_pass = |refusal: &Unscanned| rules.virus_scan_may_fail && !matches!(refusal, Unscanned::Busy(_));
        match refusal.filter(|refusal| !is_let_pass(refusal)) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(warnings),
        }
    }

    async fn scan(&self, bytes: &[u8]) -> Result<ScanVerdict, Unscanned> {
        let Some(scanner) = &self.scanner else { return Err(Unscanned::NoScanner) };
        scanner.scan(bytes).await.map_err(|error| match error {
            ScanError::TooLarge => Unscanned::TooLarge,
            error @ ScanError::Busy => Unscanned::Busy(error.to_string()),
            error => {
                tracing::warn!(scanner = %scanner.place(), %error, "a file could not be scanned for viruses");
                Unscanned::Away(error.to_string())
            }
        })
    }
}

/// What is asked of a job's files when its account asks this of them: they are scanned if anybody wants that who may come to
/// send it, by the strictest. Those that allow no files are no longer among its fallbacks.
pub(super) fn heed_standbys(
    own: ContentRules,
    standbys: Standbys,
    job: &mut Job,
    suspects: &[Suspect],
) -> ContentRules {
    let mut rules = own;
    let Some(fallbacks) = job.fallbacks.as_mut().filter(|_| !suspects.is_empty()) else { return rules };
    let has_files = suspects.iter().any(|suspect| !suspect.is_message);
    let fit: Standbys = standbys.into_iter().filter(|(_, theirs)| theirs.attachments_allowed || !has_files).collect();
    for (_, theirs) in fit.iter().filter(|(_, theirs)| theirs.virus_scan_required) {
        rules.virus_scan_may_fail =
            theirs.virus_scan_may_fail && (rules.virus_scan_may_fail || !rules.virus_scan_required);
        rules.virus_scan_required = true;
    }
    fallbacks.accounts = fit.into_iter().map(|(id, _)| id).collect();
    if fallbacks.accounts.is_empty() {
        job.fallbacks = None;
    }
    rules
}

/// What of an order could be infected: its files, or the whole of a raw message.
pub(super) fn suspects_of(order: &Order) -> Vec<Suspect> {
    match &order.content {
        OrderContent::Mail { attachments, .. } => {
            let suspect =
                |(index, bytes)| Suspect { field: format!("job.mail.attachments[{index}]"), bytes, is_message: false };
            attachments.iter().map(|file| file.content.clone()).enumerate().map(suspect).collect()
        }
        OrderContent::Raw(bytes) => vec![Suspect::message("job.raw", bytes.clone())],
    }
}
