//! `hikyaku blob`, and the uploads that come before a job.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use clap::Subcommand;
use hikyaku_client::{
    Client,
    proto::{Blob, JobDraft},
};
use serde::Serialize;

use super::{
    args::Global,
    counted::counted,
    escape::escape,
    failure::Failure,
    output::{Output, Show},
    progress::Progress,
    run::connect,
    table::fields,
    time_text::show_time,
    wanted::Submission,
};

#[derive(Debug, Subcommand)]
pub(crate) enum BlobCommand {
    /// Upload a file, or find it there; after a broken connection it goes on where it was
    Upload {
        /// The file
        file: PathBuf,
    },
    /// Show what is known of an uploaded file
    Get {
        /// The file's name, as the upload gave it
        id: String,
    },
}

pub(crate) async fn run<W: Write>(
    command: BlobCommand,
    global: &Global,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    match command {
        BlobCommand::Upload { file } => {
            let size_bytes = std::fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?.len();
            let view = BlobView::from(upload(&connect(global).await?, &file, size_bytes).await?);
            // The bare name, for scripts.
            if output.is_json() { output.json(&view)? } else { output.text(&escape(&view.blob_id))? }
        }
        BlobCommand::Get { id } => output.show(&BlobView::from(connect(global).await?.get_blob(&id).await?))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A job with its large files, which are uploaded first.
///
/// # Errors
/// When a file cannot be read, or is refused.
pub(crate) async fn with_uploads(client: &Client, submission: Submission) -> Result<JobDraft, Failure> {
    let mut blobs = Vec::new();
    for large in submission.large() {
        blobs.push(upload(client, &large.path, large.size_bytes).await?);
    }
    Ok(submission.with(blobs))
}

async fn upload(client: &Client, path: &Path, size_bytes: u64) -> Result<Blob, Failure> {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let call = client.upload(path, move |count| counter.store(count, Ordering::Relaxed));
    let note = path.file_name().map(|name| escape(&name.to_string_lossy()).into_owned()).unwrap_or_default();
    let mut progress = Progress::of_bytes("uploading", size_bytes);
    Ok(progress.during(call, || (sent.load(Ordering::Relaxed), note.clone())).await?)
}

/// A file that was uploaded.
#[derive(Debug, Serialize)]
struct BlobView {
    blob_id: String,
    size_bytes: u64,
    expires_at: Option<String>,
}

impl From<Blob> for BlobView {
    fn from(blob: Blob) -> Self {
        let Blob { blob_id, size_bytes, expires_at } = blob;
        Self { blob_id, size_bytes, expires_at: expires_at.map(show_time) }
    }
}

impl Show for BlobView {
    fn text(&self) -> String {
        fields([
            ("blob", self.blob_id.clone()),
            ("size", counted(self.size_bytes, "byte", "bytes")),
            ("forgotten", self.expires_at.as_ref().map(|at| format!("{at}, unless a job uses it")).unwrap_or_default()),
        ])
    }
}
