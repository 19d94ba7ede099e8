//! Calls about what will become of mail: what holds it, and when it goes.

use crate::{
    connection::Client,
    error::Error,
    proto::{EstimateCompletionRequest, EstimateCompletionResponse, ExplainJobRequest, ExplainJobResponse},
};

impl Client {
    /// What holds a job now, in the order in which it must clear, and until when.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`.
    pub async fn explain_job(&self, job_id: &str) -> Result<ExplainJobResponse, Error> {
        let request = ExplainJobRequest { job_id: job_id.to_owned() };
        Ok(self.jobs.clone().explain_job(request).await?.into_inner())
    }

    /// When mail that is queued, or that would be submitted now, will have been sent if nothing else happens.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`.
    pub async fn estimate_completion(
        &self,
        request: EstimateCompletionRequest,
    ) -> Result<EstimateCompletionResponse, Error> {
        Ok(self.jobs.clone().estimate_completion(request).await?.into_inner())
    }
}
