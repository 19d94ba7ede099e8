//! What holds a job, and when mail will have been sent.

use hikyaku_proto::v1;
use tonic::Status;

use super::service::Jobs;
use crate::domain::ids::Caller;

impl Jobs {
    /// What holds a job.
    pub(super) async fn explain(
        &self,
        _request: v1::ExplainJobRequest,
        _caller: &Caller,
    ) -> Result<v1::ExplainJobResponse, Status> {
        Err(Status::unimplemented("not yet"))
    }

    /// When mail will have been sent.
    pub(super) async fn estimate(
        &self,
        _request: v1::EstimateCompletionRequest,
        _caller: &Caller,
    ) -> Result<v1::EstimateCompletionResponse, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
