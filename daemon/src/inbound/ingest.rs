//! How is one mail taken in: its files first, then the mail with all that follows from it, in one commit?

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{
    Context,
    assay::Assayed,
    content::{Contents, cut},
    correlate::{Correlator, Met},
    folder,
    mailbox::{Item, Place},
    opening::NotRead,
};
use crate::{
    domain::{
        account::{Account, EnvelopeSender, IncomingMailbox, SuppressionRules},
        ids::AccountId,
        inbound::{
            Effect, FINDINGS_MAX, InboundAttachment, InboundContent, InboundFinding, InboundId, InboundMail,
            LINE_BYTES_MAX, MailboxChange, MailboxId, ReadMark,
        },
        reply::keep,
        time::Timestamp,
    },
    policy::{
        bounce::Finding,
        consequences::{About, consequences},
    },
    storage::{Consequence, Ingested, Ingestion, StorageError},
};

/// Longest Date field that is kept, in bytes.
const DATE_BYTES_MAX: usize = 200;

/// Takes in what comes into the mailbox of an account.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    pub(super) context: &'a Context,
    pub(super) account: &'a Arc<Account>,
    pub(super) settings: &'a IncomingMailbox,
    pub(super) mailbox: MailboxId,
    pub(super) user: Option<&'a str>,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TakenIn {
    /// Whether it was new to us.
    pub(super) is_new: bool,
    /// Whether it may be deleted.
    pub(super) may_go: bool,
}

impl Intake<'_> {
    /// Takes a mail in. When this returns it is on stable storage with all that follows from it.
    pub(super) async fn take_in(&self, item: &Item, place: &Place, assayed: Assayed) -> Result<TakenIn, NotRead> {
        let now = self.context.clock.now();
        let met = self.correlator(now).correlate(&assayed.findings).await?;
        let is_report = assayed.is_report();
        let may_go = is_report || self.settings.all_mail;
        if !may_go && met.iter().all(Option::is_none) {
            // Neither a bounce nor ours: that it was read is all that is noted.
            let noted = self.note(item.mark.clone(), None, now).await?;
            return Ok(TakenIn { is_new: noted, may_go: false });
        }
        let (mail, consequences) = self.mail_of(&assayed, place, met, now).await?;
        let (id, nature, archived) = (mail.id, mail.nature, mail.archived_as.clone());
        let ingestion = Ingestion {
            mark: item.mark.clone(),
            fingerprint: (!self.settings.keep_duplicates).then(|| self.fingerprint(&assayed)),
            mail: Some(Box::new(mail)),
            consequences,
            ..self.blank(item.mark.clone(), now)
        };
        let ingested = self.context.storage.ingest(ingestion).await;
        if !matches!(ingested, Ok(Ingested::Done(_)))
            && let (Some(file), Some(name)) = (archived, self.settings.archive_folder.clone())
        {
            let root = self.context.folder.clone();
            drop(spawn_blocking(move || folder::discard(&root, &name, &file)).await);
        }
        let account = &self.account.id;
        match ingested? {
            Ingested::Done(effects) => {
                let changed = effects.iter().filter(|effect| **effect != Effect::None).count();
                tracing::info!(%account, inbound = %id, nature = nature.as_str(), changed, "mail taken in");
                Ok(TakenIn { is_new: true, may_go })
            }
            Ingested::Duplicate => {
                tracing::debug!(%account, uid = %item.uid, "a mail that was read before came again");
                Ok(TakenIn { is_new: false, may_go })
            }
            Ingested::ReadBefore => Ok(TakenIn { is_new: false, may_go: false }),
        }
    }

    /// Notes that a mail was read, or why it is not. Returns whether it was new.
    pub(super) async fn note(
        &self,
        mark: ReadMark,
        skipped: Option<MailboxChange>,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let ingestion = Ingestion { skipped, ..self.blank(mark, now) };
        let ingested = self.context.storage.ingest(ingestion).await?;
        Ok(matches!(ingested, Ingested::Done(_)))
    }

    fn blank(&self, mark: ReadMark, now: Timestamp) -> Ingestion {
        Ingestion {
            account: self.account.id.clone(),
            mailbox: self.mailbox,
            mark,
            fingerprint: None,
            mail: None,
            consequences: Vec::new(),
            skipped: None,
            now,
        }
    }

    fn correlator(&self, now: Timestamp) -> Correlator<'_> {
        let Context { storage, verp, .. } = self.context;
        let sender = &self.account.settings.results.envelope_sender;
        let is_tagged = matches!(sender, EnvelopeSender::Verp(_));
        Correlator { storage, verp, account: &self.account.id, is_tagged, now }
    }

    /// The fingerprint of a mail within this account: another one may read the same mailbox.
    fn fingerprint(&self, assayed: &Assayed) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.account.id.as_str().as_bytes());
        hasher.update(&assayed.fingerprint);
        *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer than its beginning")
    }

    async fn mail_of(
        &self,
        assayed: &Assayed,
        place: &Place,
        met: Vec<Option<Met>>,
        now: Timestamp,
    ) -> Result<(InboundMail, Vec<Consequence>), NotRead> {
        let mut random = [0; 10];
        self.context.entropy.fill(&mut random);
        let id = InboundId::new(now, random);
        let mut following = Vec::new();
        let mut findings = Vec::new();
        for (at, (finding, met)) in assayed.findings.recipients.iter().zip(met).take(FINDINGS_MAX).enumerate() {
            if let Some(met) = &met {
                let rules = self.rules_of(&met.account).await?;
                following.extend(consequence(at, finding, met, &rules, id, now));
            }
            findings.push(kept_finding(finding, met.as_ref()));
        }
        let arrival = &assayed.findings.arrival;
        let mail = InboundMail {
            id,
            account: self.account.id.clone(),
            arrived_at: now,
            nature: assayed.findings.nature,
            date: arrival.date.as_deref().map(|date| cut(date, DATE_BYTES_MAX).into()),
            from: line(arrival.from.as_deref()),
            subject: line(arrival.subject.as_deref()),
            message_id: line(arrival.message_id.as_deref()),
            bytes: assayed.raw.len() as u64,
            folder: line(place.shown.as_deref()),
            findings,
            content: self.content(assayed).await?.map(Box::new),
            archived_as: self.archive(id, assayed).await?,
        };
        Ok((mail, following))
    }

    /// What the settings of the account say that sent a message: nearly always the one whose mailbox it is.
    async fn rules_of(&self, account: &AccountId) -> Result<SuppressionRules, StorageError> {
        if *account == self.account.id {
            return Ok(self.account.settings.suppression);
        }
        let record = self.context.storage.account(account).await?;
        // Nobody is suppressed for an account that is gone.
        let gone = SuppressionRules { off: true, ..SuppressionRules::default() };
        Ok(record.map_or(gone, |record| record.account.settings.suppression))
    }

    /// What the mail holds, with its files saved.
    async fn content(&self, assayed: &Assayed) -> Result<Option<InboundContent>, NotRead> {
        let Some(contents) = &assayed.contents else { return Ok(None) };
        let attachments = self.save_files(contents).await?;
        Ok(Some(InboundContent { attachments, ..contents.keep(&self.account.settings, self.user) }))
    }

    async fn save_files(&self, contents: &Contents) -> Result<Vec<InboundAttachment>, NotRead> {
        let mut attachments = Vec::with_capacity(contents.files.len());
        for file in &contents.files {
            let saved_as = match &self.settings.attachments_folder {
                Some(name) => {
                    // By its content: the same file is kept once, and what was half done is done again.
                    let hash = blake3::hash(&file.bytes).to_hex();
                    self.save(name, hash.to_string(), Arc::new(file.bytes.clone())).await?;
                    Some(hash.as_str().into())
                }
                None => None,
            };
            attachments.push(InboundAttachment {
                saved_as,
                file_name: file.name.clone(),
                media_type: file.media_type.clone(),
                bytes: file.bytes.len() as u64,
            });
        }
        Ok(attachments)
    }

    async fn archive(&self, id: InboundId, assayed: &Assayed) -> Result<Option<Box<str>>, NotRead> {
        let Some(name) = &self.settings.archive_folder else { return Ok(None) };
        let file = format!("{id}.eml");
        self.save(name, file.clone(), Arc::clone(&assayed.raw)).await?;
        Ok(Some(file.into()))
    }

    async fn save(&self, name: &str, file: String, bytes: Arc<Vec<u8>>) -> Result<(), NotRead> {
        let (root, name) = (self.context.folder.clone(), name.to_owned());
        match spawn_blocking(move || folder::save(&root, &name, &file, &bytes)).await {
            Ok(saved) => Ok(saved.map(drop)?),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn consequence(
    finding: usize,
    said: &Finding,
    met: &Met,
    rules: &SuppressionRules,
    id: InboundId,
    now: Timestamp,
) -> Option<Consequence> {
    let Met { subject, address, account, labels } = met;
    let about = About { subject: *subject, address, account, labels, rules };
    let following = consequences(said, &about, id, now)?;
    Some(Consequence {
        finding,
        report: following.report,
        suppression: following.suppression,
        soft_bounce: following.soft_bounce,
        counted: following.counted,
    })
}

fn kept_finding(finding: &Finding, met: Option<&Met>) -> InboundFinding {
    InboundFinding {
        recipient: line(finding.recipient.as_deref()),
        kind: finding.kind,
        reason: finding.reason,
        action: finding.action,
        status: finding.status,
        diagnostic: keep(&finding.diagnostic).into(),
        reporting_server: finding.reporting_server.as_deref().map(|server| cut(server, 255).into()),
        subject: met.map(|met| met.subject),
        effect: Effect::None,
    }
}

fn line(text: Option<&str>) -> Option<Box<str>> {
    text.map(|text| cut(text, LINE_BYTES_MAX).into())
}
