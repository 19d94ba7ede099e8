//! Reading merge jobs: their content, their recipients, and what has become of each.

use std::{io::ErrorKind, sync::Arc};

use prost::Message as _;

use super::outcomes::{OUTCOMES_PER_PAGE, OutcomePage, load_page, place_of};
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        job::{Audience, Flight},
        merge::{MergeRecipient, MergeTemplate, MessageClass, progress::MergeProgress},
    },
    storage::{
        Consignment, MERGE_SCAN_RECIPIENTS_MAX, MergeMessage, MergeMessages, PAGE_MAX, RecipientPage, StorageError,
        records::{
            merge::PartRow,
            recipients::{RECIPIENTS_PER_PAGE, read_page},
            template::TemplateRow,
        },
        sled::{
            SledStore, disk,
            jobs::{self, StoredJob, load_body},
            keys::{Family, Key},
        },
    },
};

/// How many bytes of contents are kept decoded.
pub(in crate::storage::sled) const TEMPLATES_BYTES_MAX: usize = 32 << 20;
/// How many bytes of recipients are kept decoded.
pub(in crate::storage::sled) const PAGES_BYTES_MAX: usize = 2 << 20;
/// About how many bytes a decoded recipient takes beside its texts.
const RECIPIENT_BYTES: usize = 120;

/// The content of a job, decoded.
#[derive(Debug)]
pub(in crate::storage::sled) struct TemplateRead {
    job: JobId,
    template: Arc<MergeTemplate>,
}

/// A page of recipients, decoded.
#[derive(Debug)]
pub(in crate::storage::sled) struct PageRead {
    job: JobId,
    first: u32,
    recipients: Vec<MergeRecipient>,
}

impl SledStore {
    /// The content of a merge job. May block.
    pub(super) fn read_template(&self, job: JobId) -> Result<Option<Arc<MergeTemplate>>, StorageError> {
        let stored = jobs::load(&self.disk, job)?.filter(|stored| stored.job.merge().is_some());
        stored.map(|stored| self.template_of(&stored)).transpose()
    }

    /// May block.
    pub(in crate::storage::sled) fn template_of(&self, stored: &StoredJob) -> Result<Arc<MergeTemplate>, StorageError> {
        let job = stored.job.id;
        if let Some(read) = self.templates.get(|read| read.job == job) {
            return Ok(Arc::clone(&read.template));
        }
        let damaged = |why: String| StorageError::Damaged(format!("content of {job}: {why}"));
        let bytes = load_body(&self.disk, &self.shelves, stored)?;
        let cut: u64 = stored.body.cuts.iter().map(|cut| cut.bytes).sum();
        let weight = bytes.len().saturating_add(usize::try_from(cut).unwrap_or(usize::MAX));
        let mut row = TemplateRow::decode(bytes).map_err(|error| damaged(error.to_string()))?;
        self.attach(stored, &mut row)?;
        let template = MergeTemplate::try_from(row).map_err(|error| damaged(error.to_string()))?;
        let template = Arc::new(template);
        self.templates.put(Arc::new(TemplateRead { job, template: Arc::clone(&template) }), weight);
        Ok(template)
    }

    /// A message of a merge job for sending; nothing when it does not wait.
    pub(in crate::storage::sled) async fn consign_merge(
        &self,
        stored: &Arc<StoredJob>,
        index: u32,
    ) -> Result<Option<Consignment>, StorageError> {
        let job = stored.job.id;
        let first = page_start(index);
        let has_page = self.pages.get(|read| read.job == job && read.first == first).is_some();
        let has_template = self.templates.get(|read| read.job == job).is_some();
        if has_page && has_template {
            return self.consign_message(stored, index);
        }
        let stored = Arc::clone(stored);
        self.in_background(move |store| store.consign_message(&stored, index)).await
    }

    /// Blocks unless what is needed was read lately.
    fn consign_message(&self, stored: &StoredJob, index: u32) -> Result<Option<Consignment>, StorageError> {
        let job = &stored.job;
        let Some(progress) = job.merge().filter(|progress| index < progress.messages) else { return Ok(None) };
        let known = if progress.untouched.contains(index) {
            None
        } else {
            let (page, place) = place_of(index);
            load_page(&self.disk, job.id, page)?.outcomes.remove(&place)
        };
        let page = self.page_of(job.id, page_start(index))?;
        let recipient = page.recipients.get((index - page.first) as usize).cloned();
        let recipient =
            recipient.ok_or_else(|| StorageError::Damaged(format!("recipient {index} of {}: is missing", job.id)))?;
        Ok(Consignment::of_merge(job, index, known.as_ref(), self.template_of(stored)?, recipient))
    }

    /// The page of recipients that begins with `first`. May block.
    fn page_of(&self, job: JobId, first: u32) -> Result<Arc<PageRead>, StorageError> {
        if let Some(read) = self.pages.get(|read| read.job == job && read.first == first) {
            return Ok(read);
        }
        let (start, row) = self.part_of(job, first)?.ok_or_else(|| missing(job, first))?;
        let place = ((first - start) / RECIPIENTS_PER_PAGE) as usize;
        let length = *row.lengths.get(place).ok_or_else(|| missing(job, first))? as usize;
        let offset: usize = row.lengths[..place].iter().map(|length| *length as usize).sum();
        let bytes = match <[u8; 32]>::try_from(row.file.as_slice()) {
            Ok(file) => self.read_from_file(job, &file, offset, length)?,
            Err(_) => row.pages.get(offset..offset + length).ok_or_else(|| missing(job, first))?.to_vec(),
        };
        let recipients = read_page(&bytes).map_err(|error| StorageError::Damaged(format!("job {job}: {error}")))?;
        let weight = bytes.len() + recipients.len() * RECIPIENT_BYTES;
        let read = Arc::new(PageRead { job, first, recipients });
        self.pages.put(Arc::clone(&read), weight);
        Ok(read)
    }

    fn read_from_file(
        &self,
        job: JobId,
        file: &[u8; 32],
        offset: usize,
        length: usize,
    ) -> Result<Vec<u8>, StorageError> {
        self.shelves.files.read_at(file, offset as u64, length).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::UnexpectedEof => {
                StorageError::Damaged(format!("recipients of {job}: {error}"))
            }
            _ => {
                tracing::warn!(%job, %error, "a file of recipients cannot be read at present");
                StorageError::Overloaded("a file of recipients cannot be read at present")
            }
        })
    }

    /// The part of a job's recipients that the one of this index is in, with the index of its first one.
    fn part_of(&self, job: JobId, index: u32) -> Result<Option<(u32, PartRow)>, StorageError> {
        let start = Key::of_job(Family::Recipients, job);
        let end = Key::Recipients { job, first: index, chunk: u16::MAX }.to_bytes();
        let last = self.disk.tree.range(start.to_vec()..=end).keys().next_back();
        let Some(key) = last.map(|key| self.disk.checked(key)).transpose()? else { return Ok(None) };
        let Some(Key::Recipients { first, .. }) = Key::parse(&key) else { return Ok(None) };
        let row = disk::read_row::<PartRow>(&self.disk, |chunk| Key::Recipients { job, first, chunk })?;
        Ok(row.map(|row| (first, row.value)))
    }

    /// A part of a job's recipients with all its pages beside it. Blocks.
    pub(in crate::storage::sled) fn whole_part(&self, job: JobId, first: u32) -> Result<Option<PartRow>, StorageError> {
        let row = disk::read_row::<PartRow>(&self.disk, |chunk| Key::Recipients { job, first, chunk })?;
        let Some(row) = row.map(|row| row.value) else { return Ok(None) };
        let Ok(file) = <[u8; 32]>::try_from(row.file.as_slice()) else { return Ok(Some(row)) };
        let length = row.lengths.iter().map(|length| *length as usize).sum();
        let pages = self.read_from_file(job, &file, 0, length)?;
        Ok(Some(PartRow { file: Vec::new(), pages, ..row }))
    }

    /// Recipients of a merge job with what has become of them. Blocks.
    pub(super) fn read_messages(
        &self,
        job: JobId,
        wanted: &RecipientPage,
    ) -> Result<Option<MergeMessages>, StorageError> {
        let Some(stored) = jobs::load(&self.disk, job)? else { return Ok(None) };
        let Audience::Each(progress) = &stored.job.audience else { return Ok(None) };
        let account = self.number_of(&stored.job.account);
        let limit = wanted.limit.clamp(1, PAGE_MAX);
        let first = wanted.after.map_or(0, |after| after.saturating_add(1));
        let mut found = MergeMessages { messages: Vec::new(), next: None };
        let mut outcomes = (u32::MAX, OutcomePage::default());
        for (seen, index) in (1..=MERGE_SCAN_RECIPIENTS_MAX).zip(first..progress.messages) {
            let (page, place) = place_of(index);
            if outcomes.0 != page {
                outcomes = (page, self.outcomes_of(job, progress, page)?);
            }
            let known = outcomes.1.outcomes.get(&place);
            let flight = self.flight_of_message(account, MessageKey { job, index }, progress)?;
            let class = MessageClass::of(&progress.state_of(known, flight));
            if wanted.classes.is_empty() || wanted.classes.contains(&class) {
                let page = self.page_of(job, page_start(index))?;
                let recipient = page.recipients.get((index - page.first) as usize);
                let recipient = recipient.ok_or_else(|| missing(job, index))?.clone();
                found.messages.push(MergeMessage::new(index, recipient, progress, known, flight));
            }
            if found.messages.len() == limit || seen == MERGE_SCAN_RECIPIENTS_MAX {
                found.next = (index + 1 < progress.messages).then_some(index);
                break;
            }
        }
        Ok(Some(found))
    }

    fn outcomes_of(&self, job: JobId, progress: &MergeProgress, page: u32) -> Result<OutcomePage, StorageError> {
        let first = page * OUTCOMES_PER_PAGE;
        let end = progress.messages.min(first + OUTCOMES_PER_PAGE);
        if progress.untouched.covers(first..end) {
            return Ok(OutcomePage::default());
        }
        load_page(&self.disk, job, page)
    }

    fn flight_of_message(
        &self,
        account: Option<u32>,
        message: MessageKey,
        progress: &MergeProgress,
    ) -> Result<Flight, StorageError> {
        let Some(account) = account.filter(|_| progress.underway > 0 && !progress.untouched.contains(message.index))
        else {
            return Ok(Flight::Grounded);
        };
        let is_marked = jobs::is_marked(&self.disk, account, message)?;
        Ok(if is_marked { Flight::UnderWay } else { Flight::Grounded })
    }

    /// Whether the content and all recipients of a merge job can be read. Blocks.
    pub(in crate::storage::sled) fn check_content(&self, stored: &StoredJob) -> Result<(), StorageError> {
        self.check_cuts(stored)?;
        self.template_of(stored)?;
        let messages = stored.job.merge().map_or(0, |progress| progress.messages);
        let mut next = 0;
        while next < messages {
            let read = self.page_of(stored.job.id, next)?.recipients.len();
            next = next.saturating_add(u32::try_from(read).unwrap_or(u32::MAX));
            if read == 0 || next < messages && next % RECIPIENTS_PER_PAGE != 0 {
                return Err(missing(stored.job.id, next));
            }
        }
        Ok(())
    }
}

const fn page_start(index: u32) -> u32 {
    index - index % RECIPIENTS_PER_PAGE
}

fn missing(job: JobId, index: u32) -> StorageError {
    StorageError::Damaged(format!("recipient {index} of job {job}: is missing"))
}
