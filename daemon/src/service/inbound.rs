//! InboundService: what came into the mailboxes of accounts, and how these are doing. Who sees an account sees its mail.

mod attachment;
mod listing;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use hikyaku_proto::v1::{self, inbound_service_server::InboundService};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::watch::Wanted;
use super::{
    convert::inbound::{from_status, from_whole_mail},
    guard::visitor_of,
    mailboxes::{MailboxDesk, MailboxStatus},
    paging::PageSeal,
    parts::Parts,
    places::place,
    status::{Refusal, Returned},
    unread::unless_unread,
    visibility::{View, Visitor},
    watching::{Watcher, check_account, events},
};
use crate::{
    domain::{
        ids::AccountId,
        inbound::{InboundId, InboundMail},
    },
    storage::{AccountRecord, SharedStorage},
};

/// Most of each kind at once, over all callers.
const WATCHES_MAX: usize = 1_000;
const READINGS_MAX: usize = 64;
const FILES_MAX: usize = 64;
/// Longest time that a caller waits for a mailbox to be read. Less than a call may take, so that it is told.
const READING_DURATION_MAX: Duration = Duration::from_secs(570);

/// The service.
#[derive(Debug)]
pub(super) struct Inbound {
    storage: SharedStorage,
    mailboxes: Arc<dyn MailboxDesk>,
    /// Below it lie the accounts' folders.
    folder: Option<PathBuf>,
    pages: PageSeal,
    shutdown: CancellationToken,
    watches: Arc<Semaphore>,
    readings: Arc<Semaphore>,
    files: Arc<Semaphore>,
}

impl Inbound {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            storage: Arc::clone(&parts.storage),
            mailboxes: Arc::clone(&parts.mailboxes),
            folder: parts.inbound_folder.clone(),
            pages: parts.pages.clone(),
            shutdown: parts.shutdown.clone(),
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
            files: Arc::new(Semaphore::new(FILES_MAX)),
        }
    }

    async fn status(&self, account_id: &str, visitor: &Visitor) -> Result<v1::MailboxStatus, Refusal> {
        let account = self.account_with_mailbox(account_id, visitor).await?;
        Ok(from_status(&account, &self.mailboxes.status(&account).await))
    }

    async fn read(&self, account_id: &str, visitor: &Visitor) -> Result<v1::ReadMailboxResponse, Refusal> {
        let account = self.account_with_mailbox(account_id, visitor).await?;
        let _place = place(&self.readings, "readings of mailboxes")?;
        let read = tokio::select! {
            () = self.shutdown.cancelled() => return Err(Refusal::ShuttingDown),
            read = timeout(READING_DURATION_MAX, self.mailboxes.read_now(&account)) => read,
        };
        let read_mails = read.map_err(|_| Returned::StillReading)?.map_err(Returned::from)?;
        let status: MailboxStatus = self.mailboxes.status(&account).await;
        tracing::debug!(caller = %visitor.caller(), %account, read_mails, "mailbox read");
        Ok(v1::ReadMailboxResponse { status: Some(from_status(&account, &status)), read_mails })
    }

    /// The account of a call about its mailbox.
    async fn account_with_mailbox(&self, account_id: &str, visitor: &Visitor) -> Result<AccountId, Refusal> {
        let account = self.account(account_id, visitor).await?.account;
        match account.settings.mailbox {
            Some(_) => Ok(account.id),
            None => Err(Returned::NoMailbox(account.id).into()),
        }
    }

    /// The account that a request names, if the caller sees it.
    async fn account(&self, account_id: &str, visitor: &Visitor) -> Result<AccountRecord, Refusal> {
        let id = account_id.parse::<AccountId>().map_err(|error| Refusal::field("account_id", error.to_string()))?;
        let found = visitor.account(&self.storage, &id).await?;
        found.ok_or_else(|| Refusal::no_account(id))
    }

    /// The mail that a request names, if the caller sees it.
    async fn mail(&self, inbound_id: &str, visitor: &Visitor) -> Result<InboundMail, Refusal> {
        let id = inbound_id
            .parse::<InboundId>()
            .map_err(|_| Refusal::field("inbound_id", "must be the id of an inbound mail: a version 7 UUID"))?;
        let mail = self.storage.inbound(id).await?.ok_or(Returned::NoMail(id))?;
        let is_seen = View::new(visitor, &self.storage).sees_mail_of(&mail.account, id).await?;
        if is_seen { Ok(mail) } else { Err(Returned::NoMail(id).into()) }
    }
}

#[tonic::async_trait]
impl InboundService for Inbound {
    type WatchInboundStream = BoxStream<'static, Result<v1::WatchInboundResponse, Status>>;
    type ReadInboundAttachmentStream = BoxStream<'static, Result<v1::ReadInboundAttachmentResponse, Status>>;

    async fn get_mailbox_status(
        &self,
        request: Request<v1::GetMailboxStatusRequest>,
    ) -> Result<Response<v1::GetMailboxStatusResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let status = self.status(&request.into_inner().account_id, &visitor).await?;
        Ok(Response::new(v1::GetMailboxStatusResponse { status: Some(status) }))
    }

    async fn read_mailbox(
        &self,
        request: Request<v1::ReadMailboxRequest>,
    ) -> Result<Response<v1::ReadMailboxResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.read(&request.into_inner().account_id, &visitor).await?))
    }

    async fn get_inbound(
        &self,
        request: Request<v1::GetInboundRequest>,
    ) -> Result<Response<v1::GetInboundResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let mail = self.mail(&request.into_inner().inbound_id, &visitor).await?;
        Ok(Response::new(v1::GetInboundResponse { mail: Some(from_whole_mail(&mail)) }))
    }

    async fn list_inbound(
        &self,
        request: Request<v1::ListInboundRequest>,
    ) -> Result<Response<v1::ListInboundResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.page(request.into_inner(), &visitor).await?))
    }

    async fn watch_inbound(
        &self,
        request: Request<v1::WatchInboundRequest>,
    ) -> Result<Response<Self::WatchInboundStream>, Status> {
        let visitor = visitor_of(&request)?;
        if self.shutdown.is_cancelled() {
            return Err(Refusal::ShuttingDown.into());
        }
        let place = place(&self.watches, "watches")?;
        let head = *self.storage.head().borrow();
        let (start, wanted) = Wanted::read(&request.into_inner(), head).map_err(Refusal::from)?;
        check_account(wanted.account(), &visitor, &self.storage).await?;
        start.check(&self.storage).await?;
        let (storage, shutdown) = (Arc::clone(&self.storage), self.shutdown.clone());
        let events = events(Watcher { storage, visitor, shutdown, place }, start, wanted);
        Ok(Response::new(events.boxed()))
    }

    async fn read_inbound_attachment(
        &self,
        request: Request<v1::ReadInboundAttachmentRequest>,
    ) -> Result<Response<Self::ReadInboundAttachmentStream>, Status> {
        let visitor = visitor_of(&request)?;
        let v1::ReadInboundAttachmentRequest { inbound_id, attachment_id } = request.into_inner();
        let mail = self.mail(&inbound_id, &visitor).await?;
        let place = place(&self.files, "readings of attachments")?;
        let file = self.open(&mail, &attachment_id).await?;
        Ok(Response::new(unless_unread(attachment::pieces(file, self.shutdown.clone(), place)).boxed()))
    }
}
