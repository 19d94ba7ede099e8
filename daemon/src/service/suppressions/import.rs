//! Many suppressions on one stream: what has come by the time that the store is free shares one commit, and each is answered in its turn.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use hikyaku_proto::v1;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Leave, Lists, Outcome, leave_to_add};
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
    let import = Import { lists, visitor, shutdown, tally: Tally::default() };
    let batches = requests.ready_chunks(BATCH_MAX);
    let answered = stream::unfold(Some((import, batches)), |state| async move {
        let (mut import, mut batches) = state?;
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
        import.tally.count(&answers);
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
    tally: Tally,
}

/// What became of the requests of an import.
#[derive(Default)]
struct Tally {
    added: u64,
    replaced: u64,
    kept: u64,
    refused: u64,
}

impl Tally {
    fn count(&mut self, answers: &[Result<v1::ImportSuppressionsResponse, Status>]) {
        for answer in answers.iter().flatten() {
            let counter = match answer {
                answer if !answer.refusal.is_empty() => &mut self.refused,
                answer if answer.kept => &mut self.kept,
                answer if answer.replaced => &mut self.replaced,
                _ => &mut self.added,
            };
            *counter += 1;
        }
    }
}

impl Drop for Import {
    /// However it ends.
    fn drop(&mut self) {
        let Tally { added, replaced, kept, refused } = self.tally;
        tracing::info!(caller = %self.visitor.caller(), added, replaced, kept, refused, "import of suppressions ended");
    }
}

impl Import {
    /// What becomes of the requests of a batch. The stream has ended when the last one is an error.
    async fn take(
        &self,
        batch: Vec<Result<v1::ImportSuppressionsRequest, Status>>,
    ) -> Vec<Result<v1::ImportSuppressionsResponse, Status>> {
        let mut answers = Vec::with_capacity(batch.len());
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
                Ok((suppression, leave)) => good.push((answers.len(), suppression, leave)),
                Err(refusal @ (Refusal::Storage(_) | Refusal::Internal(_))) => {
                    end = Some(refusal.into());
                    break;
                }
                Err(refusal) => answer.refusal = refusal.message(),
            }
            answers.push(answer);
        }
        let first = good.first().map(|(place, ..)| *place);
        match self.store(good).await {
            Ok(outcomes) => {
                for (place, outcome) in outcomes {
                    answers[place].replaced = matches!(outcome, Outcome::Replaced);
                    answers[place].kept = matches!(outcome, Outcome::Kept(_));
                }
            }
            // What was refused before it is answered all the same.
            Err(refusal) => {
                answers.truncate(first.unwrap_or(answers.len()));
                end = Some(refusal.into());
            }
        }
        answers.into_iter().map(Ok).chain(end.map(Err)).collect()
    }

    /// A suppression that may be added, and instead of which other one.
    async fn read(
        &self,
        wire: Option<v1::Suppression>,
        origin: &Origin,
        view: &mut View<'_>,
    ) -> Result<(Suppression, Leave), Refusal> {
        let mut violations = Violations::default();
        let suppression = to_suppression(wire, origin, &mut violations);
        let suppression = violations.finish(suppression)?;
        let leave = leave_to_add(&suppression, &self.visitor, view).await?;
        Ok((suppression, leave))
    }

    /// Adds suppressions, each with its place among the answers. Those of a scope have the same leave, so that their order is kept.
    async fn store(&self, good: Vec<(usize, Suppression, Leave)>) -> Result<Vec<(usize, Outcome)>, Refusal> {
        let mut outcomes = Vec::with_capacity(good.len());
        let (replacing, new): (Vec<_>, Vec<_>) = good.into_iter().partition(|(.., leave)| *leave == Leave::Replace);
        for (leave, some) in [(Leave::Replace, replacing), (Leave::AddOnly, new)] {
            let (places, some): (Vec<_>, Vec<_>) = some.into_iter().map(|(place, one, _)| (place, one)).unzip();
            outcomes.extend(places.into_iter().zip(self.lists.store(leave, some).await?));
        }
        Ok(outcomes)
    }
}
