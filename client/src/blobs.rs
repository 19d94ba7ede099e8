//! How a file gets to the daemon before the job that uses it: in pieces, and on from where a connection broke.

use std::{
    convert::Infallible,
    fmt, future,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::stream;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::oneshot,
    task, time,
};

use crate::{
    connection::Client,
    error::Error,
    proto::{BeginUploadRequest, BeginUploadResponse, Blob, GetBlobRequest, UploadBlobRequest},
};

/// Bytes of a file that are sent in one request.
pub const UPLOAD_PIECE_BYTES: usize = 65_536;
/// Failures in a row, without a byte gained between them, after which an upload is given up.
const FAILURES_MAX: u32 = 5;
/// Wait after the first failure; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// Longest wait, whatever the daemon asks for.
const DELAY_MAX: Duration = Duration::from_secs(10);

type Told = Arc<dyn Fn(u64) + Send + Sync>;

impl Client {
    /// Brings a file to the daemon, for [`Draft::attach_blob`](crate::Draft::attach_blob). The file is known by its BLAKE3
    /// hash: one that is there already is not sent again, and after a broken connection, or a restart of either side, the
    /// upload goes on from what the daemon has. `progress` is told how many bytes have been sent so far.
    ///
    /// ```no_run
    /// # async fn example(client: hikyaku_client::Client) -> Result<(), hikyaku_client::Error> {
    /// let blob = client.upload("catalogue.pdf", |_sent| ()).await?;
    /// println!("{} of {} bytes", blob.blob_id, blob.size_bytes);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read; [`Error::Refused`] when it is empty, too large, or was changed
    /// meanwhile; the last error after five failures in a row.
    pub async fn upload(
        &self,
        path: impl AsRef<Path>,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Blob, Error> {
        let path = path.as_ref().to_owned();
        let request = digest(path.clone()).await.map_err(|source| Error::File { path: path.clone(), source })?;
        let mut upload = Upload { path, request, reached: 0, progress: Arc::new(progress) };
        let mut failures = 0;
        loop {
            let before = upload.reached;
            let error = match upload.go_on(self).await {
                Ok(blob) => return Ok(blob),
                Err(error) => error,
            };
            failures = if upload.reached > before { 1 } else { failures + 1 };
            if !error.is_passing() || failures >= FAILURES_MAX {
                return Err(error);
            }
            time::sleep(delay(failures, &error)).await;
        }
    }

    /// What is known of a file that was uploaded.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when it is not there, or was uploaded by another caller.
    pub async fn get_blob(&self, blob_id: &str) -> Result<Blob, Error> {
        let answer = self.blobs.clone().get_blob(GetBlobRequest { blob_id: blob_id.to_owned() }).await?;
        Ok(answer.into_inner().blob.unwrap_or_default())
    }
}

/// A file on its way.
struct Upload {
    path: PathBuf,
    request: BeginUploadRequest,
    /// How many bytes the daemon had when it was asked last.
    reached: u64,
    progress: Told,
}

impl Upload {
    /// Asks how far it has come, and sends the rest.
    async fn go_on(&mut self, client: &Client) -> Result<Blob, Error> {
        let begun = client.blobs.clone().begin_upload(self.request.clone()).await?.into_inner();
        if !begun.blob_id.is_empty() {
            (self.progress)(self.request.size_bytes);
            return client.get_blob(&begun.blob_id).await;
        }
        self.reached = self.reached.max(begun.offset_bytes);
        let (fails, failed) = oneshot::channel();
        let pieces = self.pieces(begun, fails).await.map_err(|source| self.unreadable(source))?;
        let mut blobs = client.blobs.clone();
        tokio::select! {
            biased;
            Ok(source) = failed => Err(self.unreadable(source)),
            answer = blobs.upload_blob(stream::unfold(pieces, Pieces::next)) => {
                Ok(answer?.into_inner().blob.unwrap_or_default())
            }
        }
    }

    async fn pieces(&self, begun: BeginUploadResponse, fails: oneshot::Sender<io::Error>) -> io::Result<Pieces> {
        let mut file = File::open(&self.path).await?;
        file.seek(SeekFrom::Start(begun.offset_bytes)).await?;
        (self.progress)(begun.offset_bytes);
        Ok(Pieces {
            file,
            offset: begun.offset_bytes,
            upload_id: begun.upload_id,
            progress: Arc::clone(&self.progress),
            fails: Some(fails),
        })
    }

    fn unreadable(&self, source: io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("path", &self.path).field("reached", &self.reached).finish_non_exhaustive()
    }
}

/// What is left of a file, on its way into requests.
struct Pieces {
    file: File,
    offset: u64,
    /// For the first request; empty afterwards.
    upload_id: String,
    progress: Told,
    fails: Option<oneshot::Sender<io::Error>>,
}

impl Pieces {
    async fn next(mut self) -> Option<(UploadBlobRequest, Self)> {
        let mut content = vec![0; UPLOAD_PIECE_BYTES];
        let read = match self.file.read(&mut content).await {
            Ok(read) => read,
            Err(source) => match self.break_off(source).await {},
        };
        // A stream says which upload it is about even when all bytes are there.
        if read == 0 && self.upload_id.is_empty() {
            return None;
        }
        content.truncate(read);
        let upload_id = std::mem::take(&mut self.upload_id);
        let request = UploadBlobRequest { upload_id, offset_bytes: self.offset, content: content.into() };
        self.offset += read as u64;
        (self.progress)(self.offset);
        Some((request, self))
    }

    /// A stream that ended here would be taken for whole, so it is left open until the call is dropped.
    async fn break_off(mut self, source: io::Error) -> Infallible {
        if let Some(fails) = self.fails.take() {
            // Whoever waits for it is the call itself; when that has gone, so has this.
            let _ = fails.send(source);
        }
        future::pending().await
    }
}

/// The file's name and length, read once without holding it.
async fn digest(path: PathBuf) -> io::Result<BeginUploadRequest> {
    let read = task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        let size_bytes = io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
        Ok(BeginUploadRequest { blake3: hasher.finalize().to_hex().to_string(), size_bytes })
    });
    read.await.map_err(io::Error::other)?
}

fn delay(failures: u32, error: &Error) -> Duration {
    let own = FIRST_DELAY.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
    let asked = match error {
        Error::Refused(refused) => refused.retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    own.max(asked).min(DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[tokio::test]
    async fn a_file_is_named_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"abc").unwrap();
        let request = digest(path).await.unwrap();
        assert_eq!((request.blake3, request.size_bytes), (blake3::hash(b"abc").to_hex().to_string(), 3));
        assert!(digest(folder.path().join("b")).await.is_err());
    }

    #[test]
    fn delays_grow_and_have_an_end() {
        let error = Error::from(Status::unavailable("busy"));
        assert_eq!([1, 2, 3, 40].map(|failures| delay(failures, &error).as_millis()), [200, 400, 800, 10_000]);
    }
}
