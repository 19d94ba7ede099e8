//! A job as a file or options want it, before its attached files are read.

use std::path::{Path, PathBuf};

use hikyaku_client::proto::{Attachment, Blob, JobDraft, MailContent, job_draft::Content};

use super::{
    failure::{Failure, usage},
    media_type::media_type,
};
use anyhow::{Context as _, anyhow};

/// A job in the making.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// All but its content.
    pub(crate) job: JobDraft,
    /// All but its files.
    pub(crate) mail: MailContent,
    pub(crate) files: Vec<WantedFile>,
    /// A whole message, in the place of `mail` and `files`.
    pub(crate) raw: Option<Vec<u8>>,
}

/// A file that travels with a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WantedFile {
    /// Where it is, unless it was uploaded before.
    pub(crate) path: Option<PathBuf>,
    pub(crate) blob_id: String,
    /// As the reader sees it; the path's own when empty.
    pub(crate) name: String,
    /// By the name's extension when empty.
    pub(crate) media_type: String,
    pub(crate) content_id: String,
}

/// A job whose files are read, but for the large ones.
#[derive(Debug)]
pub(crate) struct Submission {
    job: JobDraft,
    large: Vec<Large>,
}

/// An attachment that is uploaded by itself.
#[derive(Debug)]
pub(crate) struct Large {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// Its place among the attachments.
    index: usize,
}

/// From this length on, a file is uploaded before the job.
pub(crate) const UPLOADED_BYTES_MIN: u64 = 1 << 20;

impl Wanted {
    /// Reads what is small.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn read(mut self) -> Result<Submission, Failure> {
        if let Some(message) = self.raw {
            return Ok(Submission {
                job: JobDraft { content: Some(Content::Raw(message.into())), ..self.job },
                large: vec![],
            });
        }
        let mut large = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            let (attachment, size_bytes) = file.attachment()?;
            self.mail.attachments.push(attachment);
            if let (Some(size_bytes), Some(path)) = (size_bytes, &file.path) {
                large.push(Large { path: path.clone(), size_bytes, index });
            }
        }
        Ok(Submission { job: JobDraft { content: Some(Content::Mail(self.mail)), ..self.job }, large })
    }
}

impl WantedFile {
    /// A file whose name and type are those of its path.
    pub(crate) fn at(path: PathBuf, content_id: String) -> Self {
        Self { path: Some(path), content_id, ..Self::default() }
    }

    /// The attachment; of a large file its length, and no content yet.
    fn attachment(&self) -> Result<(Attachment, Option<u64>), Failure> {
        let file_name = match (&self.path, self.name.is_empty()) {
            (Some(path), true) => own_name(path)?,
            _ => self.name.clone(),
        };
        let guess = media_type(Path::new(&file_name));
        let mut attachment = Attachment {
            media_type: if self.media_type.is_empty() { guess.to_owned() } else { self.media_type.clone() },
            file_name,
            content_id: self.content_id.clone(),
            blob_id: self.blob_id.clone(),
            ..Attachment::default()
        };
        let Some(path) = &self.path else { return Ok((attachment, None)) };
        let cannot = || format!("cannot read {}", path.display());
        let facts = std::fs::metadata(path).with_context(cannot)?;
        if facts.is_dir() {
            return Err(anyhow!("{} is a folder", path.display()).into());
        }
        if facts.len() >= UPLOADED_BYTES_MIN {
            return Ok((attachment, Some(facts.len())));
        }
        attachment.content = std::fs::read(path).with_context(cannot)?.into();
        Ok((attachment, None))
    }
}

impl Submission {
    /// The files that have to be uploaded.
    pub(crate) fn large(&self) -> &[Large] {
        &self.large
    }

    /// The job, now that its large files are uploaded as `blobs`, in their order.
    pub(crate) fn with(mut self, blobs: Vec<Blob>) -> JobDraft {
        if let Some(Content::Mail(mail)) = &mut self.job.content {
            for (large, blob) in self.large.iter().zip(blobs) {
                mail.attachments[large.index].blob_id = blob.blob_id;
            }
        }
        self.job
    }

    /// The job as it stands, without its large files.
    pub(crate) fn job(&self) -> &JobDraft {
        &self.job
    }
}

fn own_name(path: &Path) -> Result<String, Failure> {
    match path.file_name() {
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => Err(usage(format!("{} is not the name of a file", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_left_for_an_upload() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, length: usize| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![7; length]).unwrap();
            path
        };
        let named = WantedFile {
            name: "見積.pdf".to_owned(),
            ..WantedFile::at(file("b", UPLOADED_BYTES_MIN as usize), "cid".to_owned())
        };
        let there = WantedFile { blob_id: "b3".to_owned(), name: "c.png".to_owned(), ..WantedFile::default() };
        let files = vec![WantedFile::at(file("a.txt", 10), String::new()), named, there];
        let submission = Wanted { files, ..Wanted::default() }.read().unwrap();
        assert_eq!(submission.large().iter().map(|one| one.size_bytes).collect::<Vec<_>>(), [1 << 20]);
        let job = submission.with(vec![Blob { blob_id: "up".to_owned(), ..Blob::default() }]);
        let Some(Content::Mail(mail)) = job.content else { panic!("no mail") };
        let seen: Vec<_> = mail
            .attachments
            .iter()
            .map(|one| (&*one.file_name, &*one.media_type, one.content.len(), &*one.content_id, &*one.blob_id))
            .collect();
        assert_eq!(
            seen,
            [
                ("a.txt", "text/plain", 10, "", ""),
                ("見積.pdf", "application/pdf", 0, "cid", "up"),
                ("c.png", "image/png", 0, "", "b3"),
            ]
        );
    }

    #[test]
    fn files_that_are_none_are_told() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("absent"), folder.path().to_owned()] {
            let files = vec![WantedFile::at(path, String::new())];
            assert!(Wanted { files, ..Wanted::default() }.read().is_err());
        }
    }
}
