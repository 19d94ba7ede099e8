//! Many suppressions on one stream: what has come by the time that the store is free shares one commit, and each is answered in its turn.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use hikyaku_proto::v1;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Lists, leave_to_add};
use crate::{
    domain::suppression::{Suppression, SuppressionSource},
    service::{
        convert::{
            suppression::{Origin, to_suppression},
            violations::Violations,
        },
        status::{Refusal, Returned},
        visibility::{View, Visitor},
    },
};

/// Most suppressions in one commit.
const BATCH_MAX: usize = 500;
/// Longest time between two requests of a stream.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The answers to a stream of suppressions. Ends with an error when the daemon stops, the store fails or nothing comes for long; what was
/// not answered then was perhaps not stored.
pub(super) fn answers(
    lists: Lists,
    visitor: Visitor,
    requests: impl Stream<Item = Result<v1::ImportSuppressionsRequest, Status>> + Send + Unpin + 'static,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<v1::ImportSuppressionsResponse, Status>> + Send + 'static {
    let import = Import { lists, visitor, shutdown };
    let batches = requests.ready_chunks(BATCH_MAX);
    let answered = stream::unfold(Some((import, batches)), |state| async move {
        let (import, mut batches) = state?;
        let next = tokio::select! {
            () = import.shutdown.cancelled() => Err(Status::from(Refusal::ShuttingDown)),
            next = timeout(SILENCE_MAX, batches.next()) => next.map_err(|_| Refusal::from(Returned::Silent(SILENCE_MAX)).into()),
        };
        let batch = match next {
            Ok(None) => return None,
            Ok(Some(batch)) => batch,
            Err(status) => return Some((vec![Err(status)], None)),
        };
        let answers = import.take(batch).await;
        let goes_on = answers.last().is_some_and(Result::is_ok);
        Some((answers, goes_on.then_some((import, batches))))
    });
    answered.map(stream::iter).flatten()
}

/// One import under way.
struct Import {
    lists: Lists,
    visitor: Visitor,
    shutdown: CancellationToken,
}

impl Import {
    /// What becomes of the requests of a batch. The stream has ended when the last one is an error.
    async fn take(
        &self,
        batch: Vec<Result<v1::ImportSuppressionsRequest, Status>>,
    ) -> Vec<Result<v1::ImportSuppressionsResponse, Status>> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut stored = Vec::new();
        let mut good = Vec::new();
        let mut end = None;
        let origin = self.lists.origin(&self.visitor, SuppressionSource::Import);
        let mut view = View::new(&self.visitor, &self.lists.storage);
        for request in batch {
            let v1::ImportSuppressionsRequest { sequence, suppression } = match request {
                Ok(request) => request,
                Err(status) => {
                    end = Some(status);
                    break;
                }
            };
            let mut answer = v1::ImportSuppressionsResponse { sequence, ..Default::default() };
            match self.read(suppression, &origin, &mut view).await {
                Ok(Some(suppression)) => {
                    stored.push(answers.len());
                    good.push(suppression);
                }
                Ok(None) => {}
                Err(refusal @ (Refusal::Storage(_) | Refusal::Internal(_))) => {
                    end = Some(refusal.into());
                    break;
                }
                Err(refusal) => answer.refusal = refusal.message(),
            }
            answers.push(answer);
        }
        match self.store(good).await {
            Ok(replaced) => {
                stored.into_iter().zip(replaced).for_each(|(place, replaced)| answers[place].replaced = replaced);
            }
            // What was refused before it is answered all the same.
            Err(refusal) => {
                answers.truncate(stored.first().copied().unwrap_or(answers.len()));
                end = Some(refusal.into());
            }
        }
        answers.into_iter().map(Ok).chain(end.map(Err)).collect()
    }

    /// A suppression that may be stored; nothing when one is there that the caller may not replace.
    async fn read(
        &self,
        wire: Option<v1::Suppression>,
        origin: &Origin,
        view: &mut View<'_>,
    ) -> Result<Option<Suppression>, Refusal> {
        let mut violations = Violations::default();
        let suppression = to_suppression(wire, origin, &mut violations);
        let suppression = violations.finish(suppression)?;
        let leave = leave_to_add(&suppression, &self.visitor, view).await?;
        let known = self.lists.known(&suppression, leave).await?;
        Ok(known.is_none().then_some(suppression))
    }

    async fn store(&self, suppressions: Vec<Suppression>) -> Result<Vec<bool>, Refusal> {
        if suppressions.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.lists.storage.suppress(suppressions).await?)
    }
}
