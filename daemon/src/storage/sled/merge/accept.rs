//! How a merge job becomes real: its row, its content, its parts and what is derived, in one commit.

use prost::Message as _;

use super::staging::{Part, Staged};
use crate::{
    domain::{job::Job, merge::MergeTemplate},
    storage::{
        Acceptance, Idempotency, MergeSubmission, StorageError,
        records::{
            job::{Body, Location},
            template::TemplateRow,
        },
        sled::{SledStore, accept::Prepared, codec, jobs::SPOOLED_BYTES_MAX, kept_file::KeptFile, keys::Key},
    },
};

impl SledStore {
    pub(super) async fn accept_staged(&self, submission: MergeSubmission) -> Result<Acceptance, StorageError> {
        let MergeSubmission { job, template, idempotency, counted } = submission;
        let staged = self.staging.take(job.id).unwrap_or_default();
        self.space.check()?;
        let prepare = move |store: &Self| store.prepare_merge(&job, &template, staged, idempotency);
        let mut prepared = self.in_background(prepare).await?;
        prepared.counted = counted;
        self.accept_prepared(prepared).await
    }

    /// Blocks.
    fn prepare_merge(
        &self,
        job: &Job,
        template: &MergeTemplate,
        staged: Staged,
        idempotency: Option<Idempotency>,
    ) -> Result<Prepared, StorageError> {
        if job.merge().is_none_or(|progress| progress.messages != staged.count) {
            return Err(StorageError::Overloaded("the recipients of the merge job are not staged (any more)"));
        }
        let mut entries = Vec::new();
        let mut files = Vec::new();
        for Part { first, row, file } in self.finish_staged(staged)? {
            let key = |chunk| Key::Recipients { job: job.id, first, chunk };
            entries.extend(codec::frames(key, &row.encode_to_vec()));
            files.extend(file);
        }
        let mut content = TemplateRow::from(template);
        let (cuts, attached) = self.shelve_attachments(&template.draft, &mut content)?;
        files.extend(attached);
        let content = content.encode_to_vec();
        let mut body = Body { cuts, ..Body::default() };
        if content.len() > SPOOLED_BYTES_MAX {
            let file = KeptFile::new(self.store_file(&content)?, &self.disk, &self.shelves.files);
            body.location = Location::File(*file.hash());
            files.push(file);
        } else {
            entries.extend(codec::frames(|chunk| Key::Body { job: job.id, chunk }, &content));
        }
        let edge = |file: &KeptFile| codec::single(&Key::FileEdge { file: *file.hash(), job: job.id }, &[]);
        entries.extend(files.iter().map(edge));
        Ok(self.prepared(job, &body, entries, files, idempotency))
    }
}
