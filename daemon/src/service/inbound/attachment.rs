//! The files that were saved of a mail, read in pieces. A caller names a file by its id only: it is one that the mail itself names, and
//! lies below the account's folder.

use std::{io, path::PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use hikyaku_proto::v1;
use tokio::{fs::File, io::AsyncReadExt, sync::OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Inbound;
use crate::{
    domain::inbound::{InboundAttachment, InboundMail},
    service::{
        convert::filing::is_name_below,
        status::{Refusal, Returned},
    },
};

/// Longest piece, in bytes.
const PIECE_BYTES_MAX: usize = 256 * 1_024;

impl Inbound {
    /// The file of a mail that has this id.
    pub(super) async fn open(&self, mail: &InboundMail, id: &str) -> Result<File, Refusal> {
        if id.is_empty() {
            return Err(Refusal::field("attachment_id", "is required"));
        }
        let attachments = mail.content.as_ref().map(|content| content.attachments.as_slice()).unwrap_or_default();
        let is_it = |attachment: &&InboundAttachment| attachment.saved_as.as_deref() == Some(id);
        let saved = attachments.iter().find(is_it).ok_or(Returned::NoFile)?;
        let saved_as = saved.saved_as.as_deref().filter(|name| is_name_below(name)).ok_or(Returned::NoFile)?;
        let folder = self.folder_of(mail).await?.ok_or(Returned::NoFile)?;
        Ok(open(folder.join(saved_as)).await.map_err(|error| {
            tracing::debug!(mail = %mail.id, file = saved_as, %error, "attachment cannot be read");
            Returned::NoFile
        })?)
    }

    /// Where the account of a mail keeps attachments, by its settings now.
    async fn folder_of(&self, mail: &InboundMail) -> Result<Option<PathBuf>, Refusal> {
        let record = self.storage.account(&mail.account).await?;
        let mailbox = record.and_then(|record| record.account.settings.mailbox);
        let name = mailbox.and_then(|mailbox| mailbox.attachments_folder).filter(|name| is_name_below(name));
        Ok(self.folder.as_ref().zip(name).map(|(folder, name)| folder.join(name)))
    }
}

/// A file that is one itself, and not a link to something elsewhere.
async fn open(path: PathBuf) -> io::Result<File> {
    if !tokio::fs::symlink_metadata(&path).await?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    File::open(&path).await
}

/// A file, piece by piece. `place` is held as long as it is read.
pub(super) fn pieces(
    file: File,
    shutdown: CancellationToken,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<v1::ReadInboundAttachmentResponse, Status>> + Send + 'static {
    stream::unfold(Some((file, shutdown, place)), |reading| async move {
        let (mut file, shutdown, place) = reading?;
        if shutdown.is_cancelled() {
            return Some((Err(Refusal::ShuttingDown.into()), None));
        }
        match piece(&mut file).await {
            Ok(piece) if piece.is_empty() => None,
            Ok(content) => Some((Ok(v1::ReadInboundAttachmentResponse { content }), Some((file, shutdown, place)))),
            Err(error) => {
                tracing::warn!(%error, "an attachment could not be read to its end");
                Some((Err(Refusal::from(Returned::NoFile).into()), None))
            }
        }
    })
}

async fn piece(file: &mut File) -> io::Result<Bytes> {
    let mut piece = BytesMut::with_capacity(PIECE_BYTES_MAX);
    let mut rest = file.take(PIECE_BYTES_MAX as u64);
    while rest.read_buf(&mut piece).await? > 0 {}
    Ok(piece.freeze())
}
