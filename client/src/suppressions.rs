//! Calls about suppressions: who must not be sent to.

use futures_util::{Stream, StreamExt as _};

use crate::{
    connection::Client,
    error::Error,
    pages::all_pages,
    proto::{
        AddSuppressionRequest, AddSuppressionResponse, CheckSuppressionRequest, ImportSuppressionsRequest,
        ImportSuppressionsResponse, ListSuppressionsRequest, RemoveSuppressionRequest, RemoveSuppressionResponse,
        Suppression,
    },
};

/// Suppressions of one page of a list.
const PAGE_SUPPRESSIONS: u32 = 1_000;

impl Client {
    /// Adds a suppression, or replaces the one of the same scope and address.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations.
    pub async fn add_suppression(&self, suppression: Suppression) -> Result<AddSuppressionResponse, Error> {
        let request = AddSuppressionRequest { suppression: Some(suppression) };
        Ok(self.suppressions.clone().add_suppression(request).await?.into_inner())
    }

    /// Adds many. Answers come in the order of the input, each once it is on stable storage; one that is refused says so and does
    /// not end the stream. The input is read no faster than the daemon takes it.
    ///
    /// # Errors
    /// When the stream cannot be opened.
    pub async fn import_suppressions<S>(
        &self,
        suppressions: S,
    ) -> Result<impl Stream<Item = Result<ImportSuppressionsResponse, Error>> + Send + Unpin + use<S>, Error>
    where
        S: Stream<Item = ImportSuppressionsRequest> + Send + 'static,
    {
        let answers = self.suppressions.clone().import_suppressions(suppressions).await?.into_inner();
        Ok(answers.map(|answer| answer.map_err(Error::from)))
    }

    /// Every suppression that holds for a recipient, the one that decides first.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations, or with `NotFound` for an unknown account.
    pub async fn check_suppression(&self, request: CheckSuppressionRequest) -> Result<Vec<Suppression>, Error> {
        Ok(self.suppressions.clone().check_suppression(request).await?.into_inner().suppressions)
    }

    /// Suppressions that match, by scope and address; pages are fetched as the stream is read. The page of the request is left
    /// aside.
    pub fn list_suppressions(
        &self,
        request: ListSuppressionsRequest,
    ) -> impl Stream<Item = Result<Suppression, Error>> + use<> {
        let suppressions = self.suppressions.clone();
        all_pages(move |page_token| {
            let request = ListSuppressionsRequest { page_size: PAGE_SUPPRESSIONS, page_token, ..request.clone() };
            let mut suppressions = suppressions.clone();
            async move {
                let page = suppressions.list_suppressions(request).await?.into_inner();
                Ok((page.suppressions, page.next_page_token))
            }
        })
    }

    /// Removes a suppression, and lets what it held back go, if wanted.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is none.
    pub async fn remove_suppression(
        &self,
        request: RemoveSuppressionRequest,
    ) -> Result<RemoveSuppressionResponse, Error> {
        Ok(self.suppressions.clone().remove_suppression(request).await?.into_inner())
    }
}
