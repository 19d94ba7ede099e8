//! Calls about mail that comes into the mailboxes of accounts.

use futures_util::{Stream, TryStreamExt as _};

use crate::{
    connection::Client,
    error::Error,
    pages::all_pages,
    proto::{
        GetInboundRequest, GetMailboxStatusRequest, InboundMail, ListInboundRequest, MailboxStatus,
        ReadInboundAttachmentRequest, ReadInboundAttachmentResponse, ReadMailboxRequest, ReadMailboxResponse,
        WatchInboundRequest, WatchInboundResponse,
    },
};

/// Mails of one page of a list.
const PAGE_MAILS: u32 = 200;

impl Client {
    /// How the mailbox of an account is doing.
    ///
    /// # Errors
    /// [`Error::Refused`] with `FailedPrecondition` when it has none.
    pub async fn mailbox_status(&self, account_id: &str) -> Result<MailboxStatus, Error> {
        let request = GetMailboxStatusRequest { account_id: account_id.to_owned() };
        Ok(self.inbound.clone().get_mailbox_status(request).await?.into_inner().status.unwrap_or_default())
    }

    /// Looks into a mailbox now.
    ///
    /// # Errors
    /// [`Error::Refused`] with `Unavailable` and the server's words when it cannot be read.
    pub async fn read_mailbox(&self, account_id: &str) -> Result<ReadMailboxResponse, Error> {
        let request = ReadMailboxRequest { account_id: account_id.to_owned() };
        Ok(self.inbound.clone().read_mailbox(request).await?.into_inner())
    }

    /// One mail, with its content.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such mail.
    pub async fn get_inbound(&self, inbound_id: &str) -> Result<InboundMail, Error> {
        let request = GetInboundRequest { inbound_id: inbound_id.to_owned() };
        Ok(self.inbound.clone().get_inbound(request).await?.into_inner().mail.unwrap_or_default())
    }

    /// Mails that match, the youngest first, without their content; pages are fetched as the stream is read. The page of the request
    /// is left aside.
    pub fn list_inbound(&self, request: ListInboundRequest) -> impl Stream<Item = Result<InboundMail, Error>> + use<> {
        let inbound = self.inbound.clone();
        all_pages(move |page_token| {
            let request = ListInboundRequest { page_size: PAGE_MAILS, page_token, ..request.clone() };
            let mut inbound = inbound.clone();
            async move {
                let page = inbound.list_inbound(request).await?.into_inner();
                Ok((page.mails, page.next_page_token))
            }
        })
    }

    /// What comes, for as long as the stream is read, from a cursor on. Keep the last cursor: after a break, a watch from there
    /// misses nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] when the cursor is unknown.
    pub async fn watch_inbound(
        &self,
        request: WatchInboundRequest,
    ) -> Result<impl Stream<Item = Result<WatchInboundResponse, Error>> + Send + Unpin + use<>, Error> {
        Ok(self.inbound.clone().watch_inbound(request).await?.into_inner().map_err(Error::from))
    }

    /// A file of a mail, piece by piece.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such file.
    pub async fn read_inbound_attachment(
        &self,
        inbound_id: &str,
        attachment_id: &str,
    ) -> Result<impl Stream<Item = Result<ReadInboundAttachmentResponse, Error>> + Send + Unpin + use<>, Error> {
        let request =
            ReadInboundAttachmentRequest { inbound_id: inbound_id.to_owned(), attachment_id: attachment_id.to_owned() };
        let pieces = self.inbound.clone().read_inbound_attachment(request).await?.into_inner();
        Ok(pieces.map_err(Error::from))
    }
}
