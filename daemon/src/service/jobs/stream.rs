//! Many submissions on one stream: many under way at once, answered in order, each accepted or refused by itself.

use std::{future, sync::Arc};

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use hikyaku_proto::v1::{self, submit_jobs_response::Result as Answer};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::intake::Intake;
use crate::service::{status::Refusal, visibility::Visitor};

/// Most submissions under way on one stream. They share commits, so the more the better, up to a point.
pub(super) const UNDER_WAY_MAX: usize = 256;
/// Most that they may hold together, in KiB.
const UNDER_WAY_KIB_MAX: u32 = 64 * 1_024;

/// The answers to a stream of submissions. Ends with an error when the daemon stops; what was not answered then was
/// perhaps not stored.
pub(super) fn answers(
    intake: Intake,
    visitor: Visitor,
    requests: impl Stream<Item = Result<v1::SubmitJobsRequest, Status>> + Send + 'static,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<v1::SubmitJobsResponse, Status>> + Send + 'static {
    let room = Arc::new(Semaphore::new(UNDER_WAY_KIB_MAX as usize));
    let admitted = requests.take_until(shutdown.clone().cancelled_owned()).and_then(move |request| {
        let room = Arc::clone(&room);
        async move {
            let needed = u32::try_from(request.encoded_len() / 1_024 + 1).unwrap_or(u32::MAX).min(UNDER_WAY_KIB_MAX);
            let permit = room.acquire_many_owned(needed).await.map_err(|_| Refusal::ShuttingDown)?;
            Ok((request, permit))
        }
    });
    let answered = admitted.map(move |request| {
        let (intake, visitor) = (intake.clone(), visitor.clone());
        async move {
            let (request, room) = request?;
            Ok(answer(&intake, visitor, request, room).await)
        }
    });
    let farewell = stream::once(future::ready(())).filter_map(move |()| {
        let stops = shutdown.is_cancelled();
        future::ready(stops.then(|| Err(Refusal::ShuttingDown.into())))
    });
    answered.buffered(UNDER_WAY_MAX).chain(farewell)
}

async fn answer(
    intake: &Intake,
    visitor: Visitor,
    request: v1::SubmitJobsRequest,
    room: OwnedSemaphorePermit,
) -> v1::SubmitJobsResponse {
    let v1::SubmitJobsRequest { sequence, submission } = request;
    let result = match submission {
        Some(submission) => Box::pin(intake.submit(submission, visitor)).await,
        None => Err(Refusal::field("submission", "is required")),
    };
    drop(room);
    let result = match result {
        Ok(accepted) => Answer::Accepted(accepted),
        Err(refusal) => Answer::Refused(refusal.into_wire()),
    };
    v1::SubmitJobsResponse { sequence, result: Some(result) }
}
