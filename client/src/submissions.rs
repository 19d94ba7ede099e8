//! How many submissions go through one stream with a bound on those under way.

use std::sync::Arc;

use futures_util::stream::{Stream, StreamExt as _};
use tokio::sync::Semaphore;

use crate::{
    connection::Client,
    error::Error,
    proto::{
        SubmitJobRequest, SubmitJobResponse, SubmitJobsRequest, SubmitJobsResponse,
        submit_jobs_response::Result as Outcome,
    },
};

/// Most submissions of one stream that wait for their answer.
pub const IN_FLIGHT_MAX: usize = 128;

/// What became of one of many submissions.
#[derive(Debug)]
pub struct Answer {
    /// Which one, counted from 0 in the order of the input.
    pub index: u64,
    /// The stored job, or why it was refused. A refusal does not end the stream.
    pub outcome: Result<SubmitJobResponse, Error>,
}

impl Client {
    /// Stores many jobs through one stream, at most [`IN_FLIGHT_MAX`] of them unanswered at a time. Answers come in the
    /// order of the input, each once its job is on stable storage. The input is read no faster than answers are.
    ///
    /// An error of the stream ends it; what was not answered may or may not be stored, so repeat it with its
    /// idempotency key.
    ///
    /// # Errors
    /// When the stream cannot be opened.
    pub async fn submit_all<S>(
        &self,
        submissions: S,
    ) -> Result<impl Stream<Item = Result<Answer, Error>> + Send + Unpin + use<S>, Error>
    where
        S: Stream + Send + 'static,
        S::Item: Into<SubmitJobRequest> + Send,
    {
        let window = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let gate = Arc::clone(&window);
        let requests = submissions.enumerate().then(move |(index, submission)| {
            let gate = Arc::clone(&gate);
            let submission = Some(submission.into());
            async move {
                let permit = gate.acquire().await.expect("the semaphore is never closed");
                permit.forget();
                SubmitJobsRequest { sequence: index as u64, submission }
            }
        });
        let answers = self.jobs.clone().submit_jobs(requests).await?.into_inner();
        Ok(answers.map(move |answer| {
            window.add_permits(1);
            Ok(read(answer?))
        }))
    }
}

fn read(answer: SubmitJobsResponse) -> Answer {
    let outcome = match answer.result {
        Some(Outcome::Accepted(stored)) => Ok(stored),
        Some(Outcome::Refused(refusal)) => Err(refusal.into()),
        None => Err(tonic::Status::internal("the daemon's answer is empty").into()),
    };
    Answer { index: answer.sequence, outcome }
}
