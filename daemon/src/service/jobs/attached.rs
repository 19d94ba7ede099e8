//! Which uploaded files does a submission name, and does what it attaches fit into a message at all? Both are asked before a
//! file is read and before anything is composed.

use hikyaku_proto::v1::{self, job_draft::Content};

use crate::{
    compose::cuts::encoded_bytes,
    domain::{ids::Caller, time::Timestamp},
    service::{
        convert::{
            draft::{Order, OrderContent},
            values::to_blob_id,
            violations::{Violation, Violations},
        },
        status::Refusal,
    },
    storage::{SharedStorage, StorageError, blobs::FileHash},
};

/// The uploaded files that a submission names instead of bringing their bytes.
#[derive(Debug, Default)]
pub(super) struct Attached(Vec<Named>);

/// One of them.
#[derive(Debug)]
struct Named {
    /// Its place among the attachments.
    index: usize,
    hash: FileHash,
    bytes: u64,
}

impl Attached {
    /// The files that a draft names, all of which this caller has uploaded. Says nothing of what else is wrong with it.
    pub(super) async fn look_up(
        storage: &SharedStorage,
        caller: &Caller,
        draft: Option<&v1::JobDraft>,
    ) -> Result<Self, Refusal> {
        let Some(Content::Mail(mail)) = draft.and_then(|draft| draft.content.as_ref()) else {
            return Ok(Self::default());
        };
        let mut violations = Violations::default();
        let mut named = Vec::new();
        for (index, attachment) in mail.attachments.iter().enumerate().filter(|(_, file)| !file.blob_id.is_empty()) {
            let at = blob_field(index);
            if !attachment.content.is_empty() {
                violations.add(at, "is set, and so is content: give one of them");
                continue;
            }
            let Some(hash) = to_blob_id(&attachment.blob_id, &at, &mut violations) else { continue };
            match storage.blob(caller, &hash).await? {
                Some(blob) => named.push(Named { index, hash, bytes: blob.bytes }),
                None => violations.add(at, UNKNOWN),
            }
        }
        Ok(Self(violations.finish(Some(named))?))
    }

    /// How many bytes they have together.
    pub(super) fn bytes(&self) -> usize {
        let bytes = self.0.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Refuses attachments that make the message longer than `bytes_max` whatever else is in it.
    pub(super) fn check(&self, order: &Order, bytes_max: u64) -> Result<(), Refusal> {
        check_sizes(order, self, bytes_max).map_err(|too_large| Refusal::Invalid(vec![too_large]))
    }

    /// Puts the files into the order. That is a use of them.
    pub(super) async fn fetch(
        &self,
        storage: &SharedStorage,
        caller: &Caller,
        order: &mut Order,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let OrderContent::Mail { attachments, .. } = &mut order.content else { return Ok(()) };
        let mut violations = Violations::default();
        for file in &self.0 {
            let Some(attachment) = attachments.get_mut(file.index) else { continue };
            match storage.read_blob(caller, &file.hash, now).await {
                Ok(Some(content)) => attachment.content = content,
                Ok(None) => violations.add(blob_field(file.index), UNKNOWN),
                Err(StorageError::Damaged(why)) => {
                    tracing::error!(reason = %why, "an uploaded file is damaged: verify the store");
                    violations.add(blob_field(file.index), "names a file that is damaged: upload it again");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(violations.finish(Some(()))?)
    }

    fn bytes_of(&self, index: usize) -> Option<u64> {
        self.0.iter().find(|file| file.index == index).map(|file| file.bytes)
    }
}

const UNKNOWN: &str = "names no file that you have uploaded in the last 24 hours: upload it, or upload it again";

/// Refuses attachments that make the message longer than `bytes_max` whatever else is in it.
pub(super) fn check_sizes(order: &Order, attached: &Attached, bytes_max: u64) -> Result<(), Violation> {
    let OrderContent::Mail { attachments, .. } = &order.content else { return Ok(()) };
    let encoded = attachments.iter().enumerate().map(|(index, file)| {
        let bytes = attached.bytes_of(index).unwrap_or(file.content.len() as u64);
        // Text may go as it is, and a message has to (RFC 2046 5.2.1).
        let is_plain = ["text/", "message/"].iter().any(|kind| has_prefix(&file.media_type, kind));
        if is_plain { bytes } else { encoded_bytes(bytes) }
    });
    let bytes = encoded.fold(0_u64, u64::saturating_add);
    if bytes <= bytes_max {
        return Ok(());
    }
    let description = format!("have {bytes} bytes in a message, which may have {bytes_max} with all that is in it");
    Err(Violation { field: "job.mail.attachments".to_owned(), description, recipient: None })
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn blob_field(index: usize) -> String {
    format!("job.mail.attachments[{index}].blob_id")
}
