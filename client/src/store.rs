//! Calls about the store and the classification rules.

use futures_util::stream::{Stream, TryStreamExt as _};

use crate::{
    connection::Client,
    error::Error,
    proto::{
        BackupStoreRequest, BackupStoreResponse, ClassifyRequest, ClassifyResponse, VerifyStoreRequest,
        VerifyStoreResponse,
    },
};

impl Client {
    /// What the rules make of a reply.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations when phase or reply is not one.
    pub async fn classify(&self, request: ClassifyRequest) -> Result<ClassifyResponse, Error> {
        Ok(self.classification.clone().classify(request).await?.into_inner())
    }

    /// Writes a copy of the store to a new directory on the daemon's host; the stream tells how far it has come.
    ///
    /// # Errors
    /// [`Error::Refused`] when the directory exists or cannot be made.
    pub async fn backup_store(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<BackupStoreResponse, Error>> + Send + Unpin + use<>, Error> {
        let progress = self.store.clone().backup_store(BackupStoreRequest { path: path.to_owned() }).await?;
        Ok(progress.into_inner().map_err(Error::from))
    }

    /// Checks every record; the stream tells how far it has come, and in its last message what was found.
    ///
    /// # Errors
    /// [`Error::Refused`] when a check is under way already.
    pub async fn verify_store(
        &self,
    ) -> Result<impl Stream<Item = Result<VerifyStoreResponse, Error>> + Send + Unpin + use<>, Error> {
        let progress = self.store.clone().verify_store(VerifyStoreRequest {}).await?;
        Ok(progress.into_inner().map_err(Error::from))
    }
}
