//! Mailboxes, suppressions and statistics of the made-up daemon.

use hikyaku_client::proto::{
    inbound_service_server::InboundService, statistics_service_server::StatisticsService,
    suppression_service_server::SuppressionService, watch_inbound_response::Change, *,
};
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};

use super::{Answer, Answers, Fake, PAGE, time};

fn key_of(scope: Option<&SuppressionScope>, address: &str) -> Result<String, Status> {
    let scope = scope.ok_or_else(|| Status::invalid_argument("scope: is required"))?;
    Ok(format!("{scope:?} {address}"))
}

impl Fake {
    fn suppress(&self, suppression: Option<Suppression>) -> Result<(Suppression, bool), Status> {
        let mut suppression = suppression.unwrap_or_default();
        if !suppression.address.contains('@') {
            return Err(Status::invalid_argument("suppression.address: has no @"));
        }
        suppression.source = SuppressionSource::Call.into();
        suppression.added_at.get_or_insert(time(1));
        let key = key_of(suppression.scope.as_ref(), &suppression.address)?;
        let replaced = self.state().suppressions.insert(key, suppression.clone()).is_some();
        Ok((suppression, replaced))
    }
}

#[tonic::async_trait]
impl SuppressionService for Fake {
    type ImportSuppressionsStream = Answers<ImportSuppressionsResponse>;

    async fn add_suppression(&self, request: Request<AddSuppressionRequest>) -> Answer<AddSuppressionResponse> {
        let (suppression, replaced) = self.suppress(request.into_inner().suppression)?;
        Ok(Response::new(AddSuppressionResponse { suppression: Some(suppression), replaced, kept: false }))
    }

    async fn import_suppressions(
        &self,
        request: Request<Streaming<ImportSuppressionsRequest>>,
    ) -> Answer<Self::ImportSuppressionsStream> {
        let mut requests = request.into_inner();
        let mut answers = Vec::new();
        while let Some(request) = requests.next().await {
            let ImportSuppressionsRequest { sequence, suppression } = request?;
            answers.push(Ok(match self.suppress(suppression) {
                Ok((_, replaced)) => ImportSuppressionsResponse { sequence, replaced, ..Default::default() },
                Err(status) => {
                    ImportSuppressionsResponse { sequence, refusal: status.message().to_owned(), ..Default::default() }
                }
            }));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn check_suppression(&self, request: Request<CheckSuppressionRequest>) -> Answer<CheckSuppressionResponse> {
        let address = request.into_inner().address;
        let suppressions = self.state().suppressions.values().filter(|one| one.address == address).cloned().collect();
        Ok(Response::new(CheckSuppressionResponse { suppressions }))
    }

    async fn list_suppressions(&self, request: Request<ListSuppressionsRequest>) -> Answer<ListSuppressionsResponse> {
        let request = request.into_inner();
        let start: usize = request.page_token.parse().unwrap_or(0);
        let state = self.state();
        let is_meant = |one: &&Suppression| {
            request.scope.as_ref().is_none_or(|scope| one.scope.as_ref() == Some(scope))
                && one.address.contains(&request.address_contains)
        };
        let found: Vec<_> = state.suppressions.values().filter(is_meant).cloned().collect();
        let next = start + PAGE;
        let next_page_token = if next < found.len() { next.to_string() } else { String::new() };
        let suppressions = found.into_iter().skip(start).take(PAGE).collect();
        Ok(Response::new(ListSuppressionsResponse { suppressions, next_page_token }))
    }

    async fn remove_suppression(
        &self,
        request: Request<RemoveSuppressionRequest>,
    ) -> Answer<RemoveSuppressionResponse> {
        let RemoveSuppressionRequest { scope, address, requeue } = request.into_inner();
        let removed = self.state().suppressions.remove(&key_of(scope.as_ref(), &address)?);
        let suppression = removed.ok_or_else(|| Status::not_found("there is no such suppression"))?;
        let requeued_recipients = if requeue { 2 } else { 0 };
        Ok(Response::new(RemoveSuppressionResponse { suppression: Some(suppression), requeued_recipients }))
    }
}

fn bounce() -> InboundMail {
    InboundMail {
        inbound_id: "mail-1".to_owned(),
        account_id: "shop".to_owned(),
        arrived_at: Some(time(3)),
        nature: InboundNature::Bounce.into(),
        from: "mailer-daemon@mx.example.jp".to_owned(),
        subject: "failure \u{1b}notice".to_owned(),
        message_bytes: 2_000,
        findings: vec![InboundFinding {
            recipient: "taro@example.jp".to_owned(),
            kind: "hard".to_owned(),
            reason: "user-unknown".to_owned(),
            action: "failed".to_owned(),
            status: "5.1.1".to_owned(),
            diagnostic: "550 5.1.1 no such user".to_owned(),
            message: "job-1".to_owned(),
            correlation: Correlation::Verp.into(),
            effect: InboundEffect::Bounced.into(),
            ..InboundFinding::default()
        }],
        ..InboundMail::default()
    }
}

#[tonic::async_trait]
impl InboundService for Fake {
    type WatchInboundStream = Answers<WatchInboundResponse>;
    type ReadInboundAttachmentStream = Answers<ReadInboundAttachmentResponse>;

    async fn get_mailbox_status(&self, request: Request<GetMailboxStatusRequest>) -> Answer<GetMailboxStatusResponse> {
        let account_id = request.into_inner().account_id;
        let status = MailboxStatus { account_id, messages: 3, idling: true, ..MailboxStatus::default() };
        Ok(Response::new(GetMailboxStatusResponse { status: Some(status) }))
    }

    async fn read_mailbox(&self, _: Request<ReadMailboxRequest>) -> Answer<ReadMailboxResponse> {
        Err(Status::unavailable("the server replied -ERR [AUTH] no"))
    }

    async fn get_inbound(&self, request: Request<GetInboundRequest>) -> Answer<GetInboundResponse> {
        let mail = Some(bounce()).filter(|mail| mail.inbound_id == request.get_ref().inbound_id);
        let mail = mail.ok_or_else(|| Status::not_found("there is no such mail"))?;
        Ok(Response::new(GetInboundResponse { mail: Some(mail) }))
    }

    async fn list_inbound(&self, _: Request<ListInboundRequest>) -> Answer<ListInboundResponse> {
        Ok(Response::new(ListInboundResponse { mails: vec![bounce()], next_page_token: String::new() }))
    }

    async fn watch_inbound(&self, _: Request<WatchInboundRequest>) -> Answer<Self::WatchInboundStream> {
        let event = |cursor: &str, change| WatchInboundResponse {
            cursor: cursor.to_owned(),
            at: Some(time(3)),
            account_id: "shop".to_owned(),
            change: Some(change),
        };
        let skipped = InboundSkipped { message_bytes: 31_457_280, folder: "INBOX".to_owned(), uid: "7".to_owned() };
        let events = vec![Ok(event("1", Change::Mail(bounce()))), Ok(event("2", Change::Skipped(skipped)))];
        Ok(Response::new(Box::pin(tokio_stream::iter(events))))
    }

    async fn read_inbound_attachment(
        &self,
        _: Request<ReadInboundAttachmentRequest>,
    ) -> Answer<Self::ReadInboundAttachmentStream> {
        let pieces = ["first ", "second"].map(|piece| Ok(ReadInboundAttachmentResponse { content: piece.into() }));
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }
}

#[tonic::async_trait]
impl StatisticsService for Fake {
    async fn get_statistics(&self, request: Request<GetStatisticsRequest>) -> Answer<GetStatisticsResponse> {
        let request = request.into_inner();
        let group = if request.grouping() == StatisticsGrouping::Domain { "example.jp" } else { "" };
        let counts = StatisticsCounts { accepted: 4, submitted: 4, bounced_hard: 1, ..StatisticsCounts::default() };
        let counts = StatisticsCounts { success_rate: Some(0.75), ..counts };
        let row = StatisticsRow { starts_at: Some(time(0)), group: group.to_owned(), counts: Some(counts) };
        Ok(Response::new(GetStatisticsResponse { rows: vec![row], cut: false }))
    }
}
